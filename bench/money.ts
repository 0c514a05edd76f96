/**
 * `npm run bench:money`: whether the budget can be overspent, and what it costs that it cannot.
 *
 * 64 agents in eight processes make their calls against a model server that keeps a bill of its own; all pay from one account,
 * which is served by two processes, and one of these is killed twice. The money runs out on the way. Beside it the same calls
 * are made by callers that look at a shared total, call, and add what it cost. It ends with 1 if a nano-dollar too many was spent,
 * or one was spent that the ledger does not know. Times are told and never fail anything. BENCH_SEED repeats a schedule.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { get } from '../src/actors/budget/by-id.ts';
import { openEmbeddedBus } from '../src/bus/embedded/bus.ts';
import { openNatsBus } from '../src/bus/nats/bus.ts';
import type { Bus } from '../src/bus/port.ts';
import { decode, type PayloadOf } from '../src/protocols/catalogue.ts';
import { firstBreak, type LedgerLine } from '../src/protocols/ledger.ts';
import { formatDollars, tokensCost, usageCost } from '../src/protocols/money.ts';
import { createPrices } from '../src/capabilities/model/prices.ts';
import { systemClock } from '../src/runtime/clock.ts';
import { Host } from '../src/runtime/host.ts';
import { sharedAccount } from '../src/topology/cast.ts';
import { booksOf } from '../src/topology/remote.ts';
import { openSharedAccount, sharedDefinition } from '../src/topology/shared-account.ts';
import { eventually } from '../test/support/eventually.ts';
import { startModelServer, type ModelServer } from '../test/support/model-server.ts';
import { startNatsServer } from '../test/support/nats-server.ts';
import { heading } from './measure.ts';
import type { Seen, Task } from './money-agent.ts';
import { drive, driveUntilRevoked, type Driven } from './money-drive.ts';
import { AGENTS, askedFor, CALLS, IN_FLIGHT, MODEL, PROCESSES, scheduleOf } from './money-schedule.ts';

const seed = Number(process.env['BENCH_SEED'] ?? Math.floor(Math.random() * 1_000_000));
const LIMIT_NANOS = 280_000_000n;
const PLENTY_NANOS = 1_000_000_000_000_000n;
const calls = AGENTS * CALLS;

const say = (what: string, value: string): void => console.log(`${what.padEnd(52)} ${value}`);
const quantile = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN;
const ms = (value: number): string => `${value.toFixed(value < 10 ? 2 : 1)} ms`;
const latencies = (values: readonly number[]): string => `p50 ${ms(quantile(values, 0.5))}, p99 ${ms(quantile(values, 0.99))} of ${values.length}`;
const dollars = formatDollars;
const percent = (part: bigint, whole: bigint): string => `${(Number((part * 100_000n) / whole) / 1_000).toFixed(3)} %`;

// --- processes ---------------------------------------------------------------------------------------------------------------

const children = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

const startProcess = async (task: Task): Promise<ChildProcess> => {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'money-agent.ts'), JSON.stringify(task)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  children.add(child);
  child.once('exit', () => children.delete(child));
  await once(child, 'message', { signal: AbortSignal.timeout(60_000) });
  return child;
};

const kill9 = async (child: ChildProcess): Promise<void> => {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
};

/** Answers what it is asked for, and knows how many calls were open at once. */
const startModels = async (): Promise<ModelServer & { readonly peak: () => number }> => {
  let open = 0;
  let peak = 0;
  const server = await startModelServer({
    answer: async ({ messages }) => {
      const { words, tookMs } = askedFor(messages[0]!.content!);
      peak = Math.max(peak, ++open);
      await new Promise((resolve) => void setTimeout(resolve, tookMs));
      open--;
      return Array.from({ length: words }, () => 'yes').join('-');
    },
  });
  return Object.assign(Object.create(server) as ModelServer, { peak: () => peak });
};

// --- the real run ------------------------------------------------------------------------------------------------------------

type Reserved = PayloadOf<'budget.reserve'>;

/** What was asked of the account, in the order of asking. */
const reservationsOf = async (bus: Bus, account: string): Promise<readonly Reserved[]> => {
  const asked = new Map<string, Reserved>();
  for await (const { envelope } of bus.read(sharedAccount(account))) {
    const decoded = decode(envelope);
    if (decoded.ok && decoded.message.type === 'budget.reserve' && !asked.has(decoded.message.data.grant))
      asked.set(decoded.message.data.grant, decoded.message.data);
  }
  return [...asked.values()];
};

/** Vetoes of calls whose smallest answer would have fitted into what was left in the end, each with those before it. */
const falseRefusals = (asked: readonly Reserved[], lines: readonly LedgerLine[], limit: bigint): number => {
  const vetoed = new Set(lines.flatMap(({ kind, grant }) => (kind === 'veto' ? [grant!] : [])));
  let left = limit - BigInt(lines.at(-1)!.spentNanos);
  let wrong = 0;
  for (const { grant, quote } of asked) {
    if (!vetoed.has(grant)) continue;
    const needed = BigInt(quote.fixedNanos) + tokensCost(Math.min(quote.minTokens, quote.maxTokens), BigInt(quote.outputNanosPerMtok));
    if (needed > left) continue;
    left -= needed;
    wrong++;
  }
  return wrong;
};

/** Grants that are smaller than what was asked for in full. */
const lowered = (asked: readonly Reserved[], lines: readonly LedgerLine[]): number => {
  const held = new Map(lines.flatMap(({ kind, grant, amounts }) => (kind === 'hold' ? [[grant!, BigInt(amounts['money'] ?? 0)] as const] : [])));
  return asked.filter(({ grant, quote: { fixedNanos, maxTokens, outputNanosPerMtok } }) => {
    const nanos = held.get(grant);
    return nanos !== undefined && nanos < BigInt(fixedNanos) + tokensCost(maxTokens, BigInt(outputNanosPerMtok));
  }).length;
};

const most = (values: Iterable<bigint>): bigint => {
  let highest = 0n;
  for (const value of values) if (value > highest) highest = value;
  return highest;
};

const openHolds = (lines: readonly LedgerLine[]): number => {
  let open = 0;
  let peak = 0;
  for (const { kind } of lines) {
    if (kind === 'hold') peak = Math.max(peak, ++open);
    else if (kind === 'settle' || kind === 'release') open--;
  }
  return peak;
};

/** Whether nothing was overspent. */
const runForReal = async (bus: Bus, servers: string): Promise<boolean> => {
  heading(`${AGENTS} agents in ${PROCESSES} processes, ${IN_FLIGHT} calls at once each, ${calls} calls in all, one account of ${dollars(LIMIT_NANOS)}`);
  const account = 'bench';
  const models = await startModels();
  await openShared(bus, account, LIMIT_NANOS);
  const replica = (): Promise<ChildProcess> => startProcess({ servers, kind: 'replica', account });
  const [first, second] = await Promise.all([replica(), replica()]);
  const agents = await Promise.all(
    Array.from({ length: PROCESSES }, (_, index) => startProcess({ servers, kind: 'agents', account, process: index, seed, models: models.url })),
  );
  const seen = agents.map(async (agent) => (await once(agent, 'message'))[0] as Seen);
  const began = performance.now();
  for (const agent of agents) agent.send('go');

  const killing = (async (): Promise<ChildProcess> => {
    let victim = second;
    for (const after of [600, 1_800]) {
      await models.arrived(after);
      await kill9(victim);
      victim = await replica();
    }
    return victim;
  })();
  const told = await Promise.all(seen);
  const tookMs = performance.now() - began;
  const replicas = [first, await killing];
  await models.idle();
  const { bill } = models;
  const peakCalls = models.peak();
  await eventually('every grant has ended', async () => get((await booksOf(bus, account)).desk.book.tree, account)!.held.money === 0n);
  for (const agent of agents) agent.send('end');
  await Promise.all(replicas.map(kill9));
  await models.stop();

  const { desk, lines } = await booksOf(bus, account);
  const { spent } = get(desk.book.tree, account)!;
  const used = most(lines.map(({ spentNanos, heldNanos }) => BigInt(spentNanos) + BigInt(heldNanos)));
  const overshoot = most([bill.nanos - LIMIT_NANOS, spent.money - LIMIT_NANOS, used - LIMIT_NANOS]);
  const firstVeto = lines.find(({ kind }) => kind === 'veto');
  const asked = await reservationsOf(bus, account);
  const wrong = falseRefusals(asked, lines, LIMIT_NANOS);
  const sum = (of: (one: Seen) => number): number => told.reduce((total, one) => total + of(one), 0);
  const failed = told.flatMap(({ failed: codes }) => Object.entries(codes));
  const broken = firstBreak(lines);
  const billed = bill.nanos <= spent.money;

  say(
    'calls',
    `${sum(({ answered }) => answered)} answered, ${sum(({ vetoed }) => vetoed)} vetoed, ${failed.length === 0 ? 'none failed' : JSON.stringify(failed)}`,
  );
  say('  answered with a smaller cap than was asked for', String(lowered(asked, lines)));
  say('at once, at most', `${peakCalls} calls at the model server, ${openHolds(lines)} grants open`);
  say('replicas of the account', '2, one of them killed with -9 twice');
  say('overshoot', `${overshoot} nano-dollars`);
  say("the server's bill against the ledger", `${dollars(bill.nanos)} of ${bill.calls} calls, ${dollars(spent.money)}: ${billed ? 'covered' : 'NOT COVERED'}`);
  say('the ledger', `${lines.length} lines, ${broken ? `BROKEN: ${broken.why}` : 'the chain holds'}`);
  say('false refusals', `${wrong} of ${lines.filter(({ kind }) => kind === 'veto').length} vetoes`);
  say('utilisation when the money had run out', percent(spent.money, LIMIT_NANOS));
  if (firstVeto) say('  spent when the first call was vetoed', percent(BigInt(firstVeto.spentNanos), LIMIT_NANOS));
  say('grant latency, waiting for others to settle included', latencies(told.flatMap(({ grantMs }) => grantMs)));
  say('it took', `${(tookMs / 1_000).toFixed(1)} s`);
  return overshoot === 0n && billed && !broken;
};

const openShared = (bus: Bus, id: string, nanos: bigint): Promise<void> =>
  openSharedAccount(bus, {
    account: { id, limits: [{ measure: 'money', amount: nanos.toString(), window: 'total' }] },
    onExhausted: 'fail',
    orphans: 'charge',
    grantMs: 120_000,
    waitMs: 120_000,
  });

// --- the baseline ------------------------------------------------------------------------------------------------------------

/** As most frameworks do it: look whether there is money, call, add what it cost. The total could not be nearer: a variable. */
const runBaseline = async (): Promise<void> => {
  heading('the same calls with check-then-record: read a shared total, call, add what it cost');
  const models = await startModels();
  const { rates } = createPrices().get(MODEL);
  let total = 0n;
  let refused = 0;
  const one = async ({ request }: ReturnType<typeof scheduleOf>[number][number]): Promise<void> => {
    if (total >= LIMIT_NANOS) return void refused++;
    const body = {
      model: MODEL.slice('openai/'.length),
      messages: request.messages.map(({ role, text }) => ({ role, content: text })),
      max_completion_tokens: request.maxTokens,
    };
    const response = await fetch(`${models.url}/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const { usage } = (await response.json()) as { usage: { prompt_tokens: number; completion_tokens: number } };
    total += usageCost({ inputTokens: usage.prompt_tokens, outputTokens: usage.completion_tokens, cachedInputTokens: 0, reasoningTokens: 0 }, rates);
  };
  await Promise.all(
    scheduleOf(seed).map(async (agent) => {
      const queue = [...agent];
      const worker = async (): Promise<void> => {
        for (let call = queue.shift(); call; call = queue.shift()) await one(call);
      };
      await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
    }),
  );
  const { bill } = models;
  const over = bill.nanos > LIMIT_NANOS ? bill.nanos - LIMIT_NANOS : 0n;
  say('calls', `${bill.calls} answered, ${refused} refused`);
  say('overshoot', `${over} nano-dollars, ${percent(over, LIMIT_NANOS)} of the limit (bill ${dollars(bill.nanos)})`);
  await models.stop();
};

// --- how fast ----------------------------------------------------------------------------------------------------------------

const rate = ({ perSecond }: Driven): string => `${Math.round(perSecond).toLocaleString('en')} reserve-and-settle pairs/s`;

const PAIRS = 10_000;
const measure = async (bus: Bus, account: string): Promise<void> => {
  const at = sharedAccount(account);
  const run = async (inFlight: number, pairs: number): Promise<Driven> => drive(bus, at, { name: `${account}${inFlight}`, pairs, inFlight });
  await run(16, 1_000);
  say('grant latency, 8 in flight', latencies((await run(8, 2_000)).latencyMs));
  say('grant latency, 100 in flight', latencies((await run(100, 5_000)).latencyMs));
  say('durable grants, 500 in flight', rate(await run(500, PAIRS)));
  say('durable grants, 1000 in flight', rate(await run(1_000, PAIRS)));
  const { lastGrantMs, durableMs, grantsAfter } = await driveUntilRevoked(bus, at, { name: `${account}stop`, inFlight: 100, before: 2_000 });
  say(
    'from a revoke to the last grant, 100 in flight',
    `${ms(lastGrantMs)} (${grantsAfter} were on their way; the freeze itself was durable after ${ms(durableMs)})`,
  );
};

const measureEmbedded = async (): Promise<void> => {
  heading('one account on the embedded bus, a file, every commit on the disk, the account in this process');
  const folder = await mkdtemp(join(tmpdir(), 'troupe-bench-'));
  const bus = openEmbeddedBus({ path: join(folder, 'bus.db') });
  try {
    await openShared(bus, 'here', PLENTY_NANOS);
    const definition = await sharedDefinition(bus, 'here');
    const at = sharedAccount('here');
    const host = new Host({
      bus,
      id: 'bench',
      clock: systemClock,
      runners: {},
      resolve: (asked) => (asked === at ? definition : undefined),
      snapshotEvery: 1_000,
    });
    await host.adopt(at);
    await measure(bus, 'here');
    await host.stop();
  } finally {
    await bus.close();
    await rm(folder, { recursive: true, force: true });
  }
};

const measureNats = async (bus: Bus, servers: string, replicas: number): Promise<void> => {
  heading(`one account on NATS, every write on the disk, served by ${replicas === 1 ? 'one other process' : `${replicas} other processes`}`);
  const account = `apart${replicas}`;
  await openShared(bus, account, PLENTY_NANOS);
  const serving = await Promise.all(Array.from({ length: replicas }, () => startProcess({ servers, kind: 'replica', account })));
  await measure(bus, account);
  await Promise.all(serving.map(kill9));
};

// --- all of it ---------------------------------------------------------------------------------------------------------------

const load = (): string =>
  loadavg()
    .map((one) => one.toFixed(2))
    .join(' ');

console.log(`node ${process.version}, ${cpus().length} cores, load ${load()}, BENCH_SEED=${seed}`);
const server = await startNatsServer();
const bus = await openNatsBus({ servers: server.url });
try {
  if (!(await runForReal(bus, server.url))) process.exitCode = 1;
  await runBaseline();
  await measureNats(bus, server.url, 1);
  await measureNats(bus, server.url, 2);
} finally {
  await bus.close();
  await server.dispose();
}
await measureEmbedded();
console.log(`\nload at the end ${load()}`);
