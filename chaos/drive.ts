/**
 * A chaos run from beginning to end: real processes on a real server; runs all the time, and everything that can go wrong with
 * processes, the server, the network and the provider. Then quiet, and a look at what is left.
 *
 * The seed chooses what goes wrong and when; how the processes of the machine take turns is nobody's to choose.
 */
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as timer } from 'node:timers/promises';
import { valuesOf } from '../src/actors/budget/by-id.ts';
import { openBus } from '../src/bus/open.ts';
import type { Bus } from '../src/bus/port.ts';
import { runOf, type Address } from '../src/protocols/ids.ts';
import { booksOf, raiseBudget } from '../src/topology/remote.ts';
import { openSharedAccount } from '../src/topology/shared-account.ts';
import { listHosts } from '../src/runtime/presence.ts';
import { awaitEnd, missingParts, submitRun } from '../src/topology/submit.ts';
import { hostedAgents } from '../src/topology/team.ts';
import { eventually } from '../test/support/eventually.ts';
import { startNatsServer } from '../test/support/nats-server.ts';
import { seeded } from '../test/support/simulation.ts';
import {
  auditMoney,
  deadLetters,
  doubledAnswers,
  entriesOf,
  leftovers,
  outcomeOf,
  overgrownRuns,
  readLogs,
  repeatedCalls,
  unequalEnds,
  type Evidence,
  type Money,
  type Submission,
} from './checks.ts';
import { trouble } from './faults.ts';
import { Fleet, type Sample } from './fleet.ts';
import { startModels, type Call } from './models.ts';
import { ACCOUNT, ACCOUNT_NANOS, questions, RAISE_NANOS, teamFor, writeTeams, type Question } from './teams.ts';
import { Witness } from './witness.ts';

export type ChaosOptions = {
  readonly seed: number;
  readonly minutes: number;
  /** Runs at once. */
  readonly open?: number;
  /** Between two faults, on average. */
  readonly pauseMs?: number;
  readonly say?: (line: string) => void;
};

export type Outcome = {
  readonly problems: readonly string[];
  readonly struck: ReadonlyMap<string, number>;
  readonly moods: ReadonlyMap<string, number>;
  readonly runs: number;
  readonly entries: number;
  readonly takeoverMs: readonly number[];
  readonly calls: readonly Call[];
  readonly money: Money;
  /** Megabytes of a process, in the middle of the first and of the last third. */
  readonly memory: readonly [number, number];
  /** Where the server's store and the processes' logs are; kept when something is wrong. */
  readonly folder: string;
};

const UNDISTURBED_MS = 120_000;
const END_MS = 240_000;
/** Grants of calls whose end nobody tells run out; leases are let go. */
const QUIET_MS = 90_000;
/** Nothing may be written for so long when all is over. */
const SILENCE_MS = 5_000;

export const runChaos = async ({ seed, minutes, open = 8, pauseMs = 900, say = () => {} }: ChaosOptions): Promise<Outcome> => {
  const folder = await mkdtemp(join(tmpdir(), 'troupe-chaos-'));
  await mkdir(join(folder, 'docs'));
  await Promise.all([writeTeams(folder), writeFile(join(folder, 'docs/page.md'), 'a page\n')]);
  const server = await startNatsServer({ storeDir: folder });
  const models = await startModels(seed);
  const bus = await openBus(server.url);
  const witness = new Witness(bus);
  const problems: string[] = [];
  await openSharedAccount(bus, {
    account: { id: ACCOUNT, limits: [{ measure: 'money', amount: ACCOUNT_NANOS.toString(), window: 'total' }] },
    onExhausted: 'pause',
    orphans: 'charge',
    grantMs: 30_000,
    waitMs: 10_000,
  });
  const fleet = await Fleet.open(folder, server.port, models.url);
  const stopRaising = raiseWhoeverPauses(bus, witness, problems);
  const submit = (question: Question): Promise<Submission> => submitQuestion(bus, folder, question);
  const asked = questions(2);
  let isSound = false;
  const random = seeded(seed);

  try {
    const probe = await teamFor(folder, asked[0]!);
    await eventually(
      'every part is played',
      async () =>
        missingParts(
          probe,
          (await listHosts(bus, 0)).map(({ record }) => record),
        ).length === 0,
      60_000,
    );
    say(`${fleet.posts.length} processes on ${server.url}, all in ${folder}`);

    // Undisturbed first.
    const references = await Promise.all(asked.map(submit));
    const ends = await within(
      UNDISTURBED_MS,
      `the undisturbed runs have ended (see ${folder})`,
      Promise.all(references.map(({ run }) => awaitEnd(bus, run, 0).result)),
    );
    const expected = new Map(asked.map(({ text }, index) => [text, outcomeOf(ends[index]!)]));
    for (const { status, run, failure } of ends) if (status !== 'completed') problems.push(`${run} failed undisturbed: ${failure?.message}`);
    say(`${references.length} runs undisturbed, ${models.calls().length} calls`);

    const over = new AbortController();
    const runs: Submission[] = [...references];
    models.setMoody(true);
    const troubled = trouble({ fleet, server, witness, random }, over.signal, pauseMs);
    const asking = Promise.all(
      Array.from({ length: open }, async (_, lane) => {
        for (let next = lane; !over.signal.aborted; next += open) {
          const submission = await submit(asked[next % asked.length]!);
          runs.push(submission);
          const end = awaitEnd(bus, submission.run, 0);
          await Promise.race([end.result, aborted(over.signal)]);
          end.stop();
        }
      }),
    );
    await Promise.race([timer(minutes * 60_000), troubled, asking]);
    over.abort();
    const struck = await troubled;
    await asking;
    models.setMoody(false);
    say(`${runs.length} runs begun; no more faults`);

    const unended = await Promise.all(
      runs.map(async ({ run }) => {
        const end = awaitEnd(bus, run, 0);
        const ended = await Promise.race([end.result.then(() => true), timer(END_MS, false, { ref: false })]);
        end.stop();
        return ended ? [] : [run];
      }),
    );
    if (unended.flat().length > 0) say(`not ended: ${unended.flat().join(' ')}`);
    await models.idle();
    await eventually('nothing is left', async () => (await leftovers(bus)).length === 0 && (await isSettled(bus, runs)), QUIET_MS).catch((thrown: unknown) =>
      say((thrown as Error).message),
    );
    await silence(bus).catch((thrown: unknown) => problems.push((thrown as Error).message));

    stopRaising();
    const evidence: Evidence = { bus, logs: await readLogs(bus), runs, expected, calls: models.calls() };
    const money = await auditMoney(evidence);
    const undisturbed = new Map(references.map(({ run, question }) => [question.text, entriesOf(evidence, run)]));
    const memory = thirds(fleet.posts.flatMap(({ memory: samples }) => samples));
    problems.push(
      ...unequalEnds(evidence),
      ...repeatedCalls(evidence),
      ...doubledAnswers(evidence),
      ...money.problems,
      ...(await leftovers(bus)),
      ...(await deadLetters(bus)),
      ...overgrownRuns(evidence, undisturbed),
      ...witness.thefts,
      ...fleet.posts.flatMap(({ accidents }) => accidents),
      ...(memory[1] > memory[0] * 1.5 + 30 ? [`processes have grown from ${memory[0].toFixed(0)} to ${memory[1].toFixed(0)} MB`] : []),
    );
    isSound = problems.length === 0;
    const entries = [...evidence.logs.values()].reduce((sum, { length }) => sum + length, 0);
    return { problems, struck, moods: models.moods, runs: runs.length, entries, takeoverMs: witness.takeoverMs, calls: evidence.calls, money, memory, folder };
  } finally {
    stopRaising();
    witness.stop();
    await fleet.close();
    await bus.close();
    await server.dispose();
    await models.stop();
    if (isSound) await rm(folder, { recursive: true, force: true });
  }
};

const submitQuestion = async (bus: Bus, folder: string, question: Question): Promise<Submission> => {
  const team = await teamFor(folder, question);
  const chosen = Object.fromEntries(hostedAgents(team).map(({ name, models }) => [name, models[0]!]));
  const { run } = await submitRun(bus, team, () => chosen, Date.now());
  return { run, question, limitNanos: BigInt(team.budget.limitNanos) };
};

const raiseWhoeverPauses = (bus: Bus, witness: Witness, problems: string[]): (() => void) => {
  const raised = new Set<string>();
  return witness.on('>', ({ log, envelope }) => {
    if (envelope.type !== 'budget.paused' || raised.has(envelope.id)) return;
    raised.add(envelope.id);
    raiseBudget(bus, runOf(log as Address), undefined, RAISE_NANOS, { by: 'chaos', why: 'it paused' }).catch((thrown: unknown) =>
      problems.push(`raising ${log}: ${thrown as Error}`),
    );
  });
};

/** Whether no account that a run may use holds anything. */
const isSettled = async (bus: Bus, runs: readonly Submission[]): Promise<boolean> => {
  for (const name of [ACCOUNT, ...runs.flatMap(({ run, question }) => (question.kind === 'shared' ? [] : [run]))]) {
    if ([...valuesOf((await booksOf(bus, name)).desk.book.tree)].some(({ held }) => held.money !== 0n)) return false;
  }
  return true;
};

/** Until nothing was written for a while. Deadlines of grants that have ended may still pass. */
const silence = async (bus: Bus): Promise<void> => {
  let head = await bus.head();
  let since = Date.now();
  await eventually(
    'no log grows any more',
    async () => {
      const now = await bus.head();
      if (now !== head) since = Date.now();
      head = now;
      return Date.now() - since > SILENCE_MS;
    },
    QUIET_MS,
  );
};

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => (signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), { once: true })));

const within = async <T>(ms: number, what: string, waited: Promise<T>): Promise<T> => {
  const late = timer(ms, undefined, { ref: false }).then(() => Promise.reject(new Error(`waited ${ms} ms in vain: ${what}`)));
  late.catch(() => {});
  return Promise.race([waited, late]);
};

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

const thirds = (samples: readonly Sample[]): readonly [number, number] => {
  const [first, last] = [Math.min(...samples.map(({ at }) => at)), Math.max(...samples.map(({ at }) => at))];
  const third = (last - first) / 3;
  const among = (from: number, to: number): number => median(samples.filter(({ at }) => at >= from && at <= to).map(({ megabytes }) => megabytes));
  return [among(first, first + third), among(last - third, last)];
};
