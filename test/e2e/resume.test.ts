/**
 * Runs that are stopped in the middle, and gone on with: by kill -9, by Ctrl-C, after their end.
 *
 * The model is a server of the test's own, which keeps a bill and knows the grant of each request that reached it. CHAOS_SEED
 * repeats one history.
 */
import { describe, expect, test } from 'vitest';
import type { Bus } from '../../src/bus/port.ts';
import { effectOfGrant } from '../../src/protocols/ids.ts';
import { BRIEF, runIdIn, startCli, testBuses, type CliProcess, type Desk } from '../support/cli.ts';
import { documents } from '../support/documents.ts';
import { startModelServer, type ModelServer } from '../support/model-server.ts';
import { ANSWER, answerOf, PRICE, QUESTION } from '../support/research-desk.ts';
import { seeded } from '../support/simulation.ts';

const FIRST_SEED = Number(process.env['CHAOS_SEED'] ?? 1);
const HISTORIES = process.env['CHAOS_SEED'] ? 1 : 3;

type BusName = keyof typeof testBuses;

/** A desk and its model. Requests from the `holdFrom`th on, counted from 0, wait until `release`. */
type Place = { readonly desk: Desk; readonly model: ModelServer; holdFrom: number; release(): void };

const at = async (bus: BusName, body: (place: Place) => Promise<void>): Promise<void> => {
  const held = new Set<() => void>();
  const model = await startModelServer({
    price: PRICE,
    answer: async (request, index) => {
      if (index >= place.holdFrom) await new Promise<void>((resolve) => held.add(resolve));
      return answerOf(request);
    },
  });
  const buses = await testBuses[bus]();
  const place: Place = {
    desk: buses.desk(documents),
    model,
    holdFrom: Infinity,
    release: () => {
      place.holdFrom = Infinity;
      held.forEach((resolve) => resolve());
    },
  };
  try {
    await body(place);
  } finally {
    place.release();
    await model.stop();
    await buses.dispose();
  }
};

const env = ({ model }: Place) => ({ OPENAI_BASE_URL: model.url });
const start = (place: Place): CliProcess => place.desk.start(['run', BRIEF, '--input', 'docs=docs', '--json', QUESTION], { env: env(place) });
const resume = (place: Place, run: string): CliProcess => place.desk.start(['run', '--resume', run, '--json'], { env: env(place) });

type Result = { readonly run: string; readonly status: string; readonly answer: string; readonly spentNanos: string; readonly heldNanos: string };
const resultOf = async (process: CliProcess): Promise<Result> => {
  const { exitCode, stdout, stderr } = await process.ended;
  expect(exitCode, stderr).toBe(0);
  return JSON.parse(stdout) as Result;
};

const looking = async <T>({ desk }: Place, look: (bus: Bus) => Promise<T>): Promise<T> => {
  const bus = await desk.openBus();
  try {
    return await look(bus);
  } finally {
    await bus.close();
  }
};

/** The model calls whose results are in the run's logs. */
const recordedCalls = (place: Place, run: string): Promise<Set<string>> =>
  looking(place, async (bus) => {
    const recorded = new Set<string>();
    for await (const { envelope } of bus.read(`${run}.>`)) {
      if (envelope.type === 'effect.completed' && envelope.data['bill'] !== undefined) recorded.add(envelope.data['effect'] as string);
    }
    return recorded;
  });

const onlyRun = (place: Place): Promise<string | undefined> => looking(place, async (bus) => (await bus.keys('run.'))[0]?.slice('run.'.length));

/** Ends the process at a moment that the seed chooses, or lets it end where that never comes. */
const killAt = async (place: Place, process: CliProcess, pick: (count: number) => number): Promise<string> => {
  const { model } = place;
  const seen = model.requests.length;
  const until = (moment: Promise<void>) => Promise.race([moment, process.ended]);
  const moments: readonly (() => Promise<string>)[] = [
    async () => {
      const nth = seen + pick(8);
      place.holdFrom = nth;
      await until(model.arrived(nth + 1));
      return `while request ${nth} waits for its answer`;
    },
    async () => {
      const nth = seen + pick(8);
      await until(model.arrived(nth + 1));
      await until(model.idle());
      return `once request ${nth} is answered`;
    },
    async () => {
      const count = 1 + pick(9);
      await until(process.lines(count));
      return `after ${count} lines`;
    },
  ];
  const what = await moments[pick(moments.length)]!();
  process.kill('SIGKILL');
  await process.ended;
  place.release();
  return what;
};

/** A run that is killed up to three times. */
const play = (bus: BusName, seed: number): Promise<void> =>
  at(bus, async (place) => {
    const random = seeded(seed);
    const pick = (count: number) => Math.floor(random() * count);
    const history: string[] = [];
    const kills: { readonly requests: number; readonly recorded: ReadonlySet<string> }[] = [];
    try {
      let process = start(place);
      for (let left = 1 + pick(3); left > 0; left--) {
        history.push(await killAt(place, process, pick));
        const run = await onlyRun(place);
        if (run !== undefined) kills.push({ requests: place.model.requests.length, recorded: await recordedCalls(place, run) });
        // Killed before there was a run, there is nothing to go on with.
        process = run === undefined ? start(place) : resume(place, run);
      }
      const result = await resultOf(process);
      expect(result).toMatchObject({ status: 'completed', answer: ANSWER });

      await place.model.idle();
      const attempts = place.model.requests.map(({ attempt }) => attempt!);
      expect(new Set(attempts).size, 'one request for each grant').toBe(attempts.length);
      for (const { requests, recorded } of kills) {
        for (const attempt of attempts.slice(requests)) expect(recorded, 'what was recorded is not asked again').not.toContain(effectOfGrant(attempt).effect);
      }
      expect(BigInt(result.spentNanos) + BigInt(result.heldNanos), 'the ledger against the bill').toBeGreaterThanOrEqual(place.model.bill.nanos);
    } catch (thrown) {
      throw new Error(`CHAOS_SEED=${seed} (killed ${history.join(', ')}): ${thrown instanceof Error ? thrown.message : String(thrown)}`, { cause: thrown });
    }
  });

describe.concurrent.each(['embedded', 'nats'] as const)('on the %s bus', { timeout: 60_000 }, (bus) => {
  test(
    `a run that is killed at any moment ends as if it had not been, and repeats nothing that was recorded (CHAOS_SEED ${FIRST_SEED} and ${HISTORIES - 1} more)`,
    { timeout: 150_000 },
    async () => {
      await Promise.all(Array.from({ length: HISTORIES }, (_, index) => play(bus, FIRST_SEED + index)));
    },
  );

  test('a run that nobody disturbs makes ten calls, and its result can be had again without another', () =>
    at(bus, async (place) => {
      const first = await resultOf(start(place));
      expect(first).toMatchObject({ status: 'completed', answer: ANSWER, heldNanos: '0' });
      expect(place.model.requests).toHaveLength(10);
      expect(BigInt(first.spentNanos)).toBeGreaterThanOrEqual(place.model.bill.nanos);
      expect(await resultOf(resume(place, first.run))).toEqual(first);
      expect(place.model.requests).toHaveLength(10);
    }));

  test.each([
    ['Ctrl-C', 'SIGINT', 130],
    ['a closed terminal', 'SIGHUP', 129],
  ] as const)('%s ends with its code, says how to go on, and that command does', (_, signal, code) =>
    at(bus, async (place) => {
      place.holdFrom = 3;
      const process = place.desk.start(['run', BRIEF, '--input', 'docs=docs', QUESTION], { env: env(place) });
      await place.model.arrived(4);
      process.kill(signal);
      const { exitCode, stdout, stderr } = await process.ended;
      expect({ exitCode, stdout }).toEqual({ exitCode: code, stdout: '' });
      const command = /Go on with: troupe (.+)$/m.exec(stderr)![1]!.split(' ');
      expect(command).toEqual(['resume', runIdIn(stderr), ...place.desk.busArgs]);
      place.release();
      const again = await resultOf(startCli(place.desk.folder.path, [...command, '--json'], { env: env(place) }));
      expect(again).toMatchObject({ status: 'completed', answer: ANSWER, heldNanos: '0' });
      expect(BigInt(again.spentNanos)).toBeGreaterThanOrEqual(place.model.bill.nanos);
    }),
  );

  test('a run whose process died before it had said what to do is begun by whoever resumes it', () =>
    at(bus, async (place) => {
      const { run } = await resultOf(start(place));
      const unsaid = 'r-unsaid0000';
      await looking(place, async (opened) => void (await opened.put(`run.${unsaid}`, (await opened.get(`run.${run}`))!.value)));
      expect(await resultOf(resume(place, unsaid))).toMatchObject({ run: unsaid, status: 'completed', answer: ANSWER });
    }));

  test('a run that another process hosts is not resumed, and the other process goes on', () =>
    at(bus, async (place) => {
      place.holdFrom = 2;
      const host = start(place);
      await place.model.arrived(3);
      const second = await resume(place, runIdIn(host.stderr)!).ended;
      expect(second.exitCode).toBe(1);
      expect(JSON.parse(second.stdout)).toMatchObject({ status: 'failed', failure: { code: 'RUN_HOSTED' } });
      expect(second.stderr).toMatch(/is hosted by process \d+ on .+\(RUN_HOSTED\)/);
      place.release();
      expect(await resultOf(host)).toMatchObject({ status: 'completed', answer: ANSWER });
      expect(place.model.requests).toHaveLength(10);
    }));
});
