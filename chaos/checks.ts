/** What must hold when everything is over, whatever went wrong on the way. Each check gives the sentences that are not true. */
import { get, valuesOf } from '../src/actors/budget/by-id.ts';
import type { Bus, Entry } from '../src/bus/port.ts';
import { decode } from '../src/protocols/catalogue.ts';
import { effectOfGrant, runOf, type RunId, type Address } from '../src/protocols/ids.ts';
import { firstBreak } from '../src/protocols/ledger.ts';
import { listHosts } from '../src/runtime/presence.ts';
import { clientOf } from '../src/topology/cast.ts';
import { booksOf, verifyLedger } from '../src/topology/remote.ts';
import { resultOf, type RunResult } from '../src/topology/run-result.ts';
import type { Call } from './models.ts';
import { ACCOUNT, ACCOUNT_NANOS, type Question } from './teams.ts';

export type Submission = { readonly run: RunId; readonly question: Question; readonly limitNanos: bigint };

/** Everything that the bus has, and what the provider knows. */
export type Evidence = {
  readonly bus: Bus;
  readonly logs: ReadonlyMap<string, readonly Entry[]>;
  readonly runs: readonly Submission[];
  readonly expected: ReadonlyMap<string, string>;
  readonly calls: readonly Call[];
};

/** The entries by log; one that came twice counts once. */
export const readLogs = async (bus: Bus): Promise<ReadonlyMap<string, readonly Entry[]>> => {
  const logs = new Map<string, Map<string, Entry>>();
  for await (const entry of bus.read('>')) {
    const log = logs.get(entry.log) ?? new Map<string, Entry>();
    logs.set(entry.log, log);
    if (!log.has(entry.envelope.id)) log.set(entry.envelope.id, entry);
  }
  return new Map([...logs].map(([name, log]) => [name, [...log.values()]]));
};

/** How a run ended, but for what differs from run to run. */
export const outcomeOf = ({ status, answer, citations, failure, steps }: RunResult): string => JSON.stringify({ status, answer, citations, failure, steps });

const endsOf = (run: RunId, entries: readonly Entry[] = []): readonly RunResult[] =>
  entries.flatMap(({ envelope, at }) => {
    const decoded = decode(envelope);
    const ended = decoded.ok ? resultOf(run, { message: decoded.message, at }, at) : undefined;
    return ended ? [ended] : [];
  });

export const unequalEnds = ({ runs, logs, expected }: Evidence): string[] =>
  runs.flatMap(({ run, question }) => {
    const ends = endsOf(run, logs.get(clientOf(run)));
    if (ends.length === 0) return [`${run} (${question.kind}) has not ended`];
    if (ends.length > 1) return [`${run} (${question.kind}) has ended ${ends.length} times`];
    const [found, wanted] = [outcomeOf(ends[0]!), expected.get(question.text)!];
    return found === wanted ? [] : [`${run} (${question.kind}) has ended otherwise than undisturbed:\n    ${found}\n    ${wanted}`];
  });

/**
 * When each effect had a result that was paid for. An attempt that failed is no result that a late call could repeat: whoever
 * stopped between the last look at its lease and the write to the socket sends its call when it wakes, and it is booked.
 */
const resultTimes = (logs: Evidence['logs']): ReadonlyMap<string, number> => {
  const times = new Map<string, number>();
  for (const { envelope, at } of [...logs.values()].flat()) {
    if (envelope.type !== 'effect.completed') continue;
    const effect = envelope.data['effect'] as string;
    if (!times.has(effect)) times.set(effect, at);
  }
  return times;
};

/**
 * Nobody can take a call back between the last look at a lease and the write to the socket: a process that is stopped just then
 * sends it when it wakes. Of a thousand calls one may be such a call.
 */
export const repeatedCalls = ({ logs, calls }: Pick<Evidence, 'logs' | 'calls'>): string[] => {
  const times = resultTimes(logs);
  const seen = new Set<string>();
  let stopped = Math.floor(calls.length / 1_000);
  return calls.flatMap(({ grant, arrivedAt }) => {
    const recordedAt = times.get(effectOfGrant(grant).effect);
    const isLate = recordedAt !== undefined && arrivedAt > recordedAt;
    const late = isLate && stopped-- <= 0 ? [`${grant} was called ${arrivedAt - recordedAt} ms after its effect had a result`] : [];
    const twice = seen.has(grant) ? [`${grant} was used twice`] : [];
    seen.add(grant);
    return [...late, ...twice];
  });
};

/** Each assignment and each review is answered once, by whoever did it. */
export const doubledAnswers = ({ logs, runs }: Evidence): string[] =>
  runs.flatMap(({ run }) => {
    const answers = new Map<string, number>();
    for (const { envelope } of logs.get(`${run}.supervisor`) ?? []) {
      if (/^(task|review)\./.test(envelope.type)) answers.set(envelope.from, (answers.get(envelope.from) ?? 0) + 1);
    }
    return [...answers].flatMap(([from, count]) => (count > 1 ? [`${from} has answered ${count} times`] : []));
  });

const billOf = (calls: readonly Call[], of: (run: string) => boolean): bigint =>
  calls.reduce((sum, { grant, nanos }) => (of(runOf(grant as Address)) ? sum + nanos : sum), 0n);

export type Money = { readonly problems: readonly string[]; readonly billed: bigint; readonly booked: bigint; readonly lines: number };

/** At every line of its ledger what is spent and held is within the limit, and the bill is not above what is spent and held at its end. */
export const auditAccount = async (bus: Bus, name: string, limitNanos: bigint, bill: bigint): Promise<Omit<Money, 'billed'>> => {
  const problems: string[] = [];
  const { desk, lines } = await booksOf(bus, name);
  const broken = firstBreak(lines);
  if (broken) problems.push(`the ledger of ${name}: ${broken.why}`);
  const { broken: untrue } = await verifyLedger(bus, name);
  if (untrue) problems.push(`the ledger of ${name}: ${untrue.why}`);
  let limit = limitNanos;
  for (const { kind, amounts, spentNanos, heldNanos, seq } of lines) {
    if (kind === 'raise') limit += BigInt(amounts['money'] ?? '0');
    const over = BigInt(spentNanos) + BigInt(heldNanos) - limit;
    if (over > 0n) problems.push(`${name} overshot its limit by ${over} nano-dollars at line ${seq}`);
  }
  const { spent, held } = get(desk.book.tree, name)!;
  const booked = spent.money + held.money;
  if (booked < bill) problems.push(`the ledger of ${name} has ${booked}, the provider bills ${bill}`);
  return { problems, booked, lines: lines.length };
};

/** Of every account; at the end nothing is held. */
export const auditMoney = async ({ bus, runs, calls }: Evidence): Promise<Money> => {
  const shared = new Set<string>(runs.flatMap(({ run, question }) => (question.kind === 'shared' ? [run] : [])));
  const own = runs.filter(({ run }) => !shared.has(run));
  const audits: Omit<Money, 'billed'>[] = [];
  const audit = async (name: string, limitNanos: bigint, bill: bigint): Promise<void> => {
    const found = await auditAccount(bus, name, limitNanos, bill);
    audits.push({ ...found, problems: [...found.problems, ...(await heldIn(bus, name))] });
  };
  for (const { run, limitNanos } of own)
    await audit(
      run,
      limitNanos,
      billOf(calls, (of) => of === run),
    );
  await audit(
    ACCOUNT,
    ACCOUNT_NANOS,
    billOf(calls, (of) => shared.has(of)),
  );
  return {
    problems: audits.flatMap(({ problems }) => problems),
    billed: billOf(calls, () => true),
    booked: audits.reduce((sum, { booked }) => sum + booked, 0n),
    lines: audits.reduce((sum, { lines }) => sum + lines, 0),
  };
};

const heldIn = async (bus: Bus, name: string): Promise<string[]> =>
  [...valuesOf((await booksOf(bus, name)).desk.book.tree)].flatMap(({ id, held }) =>
    Object.values(held).some((amount) => amount !== 0n) ? [`${id} still holds ${held.money} nano-dollars`] : [],
  );

/** What ended runs leave behind in the store. */
export const leftovers = async (bus: Bus): Promise<string[]> => {
  const hosts = new Set((await listHosts(bus, 0)).map(({ record }) => record.id));
  const [leases, open, snapshots] = await Promise.all(['lease.', 'open.', 'snapshot.r-'].map((prefix) => bus.keys(prefix)));
  const left = await Promise.all(
    leases!.map(async (key) => {
      const host = (await bus.get(key))?.value;
      return host === undefined ? [] : [`${key} is left, of ${host}, which is ${hosts.has(host) ? 'there' : 'gone'}`];
    }),
  );
  const counted = (keys: readonly string[]): string[] => (keys.length === 0 ? [] : [`${keys.length} keys are left: ${keys.slice(0, 3).join(', ')}...`]);
  return [...left.flat(), ...counted(open!), ...counted(snapshots!)];
};

export const deadLetters = async (bus: Bus): Promise<string[]> =>
  (await bus.deadLetters()).map(({ source, reason }) => `a dead letter for ${source}: ${reason}`);

/** More than ten times what the same run needs undisturbed. */
const ENTRIES_MAX = 10;

export const entriesOf = ({ logs }: Evidence, run: string): number => {
  let entries = 0;
  for (const [log, { length }] of logs) if (log.startsWith(`${run}.`)) entries += length;
  return entries;
};

export const overgrownRuns = (evidence: Evidence, undisturbed: ReadonlyMap<string, number>): string[] =>
  evidence.runs.flatMap(({ run, question }) => {
    const [entries, usual] = [entriesOf(evidence, run), undisturbed.get(question.text) ?? 0];
    return usual > 0 && entries > ENTRIES_MAX * usual ? [`${run} has ${entries} entries, ${usual} undisturbed`] : [];
  });
