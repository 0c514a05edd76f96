/**
 * The same agents and the same question under every topology, on both buses, whatever goes wrong: each run comes to the answer
 * that it comes to undisturbed, with sources that hold, within its time, within its budget, booked in full, and nothing that was
 * recorded is called again. CHAOS_SEED repeats one history.
 */
import { describe, expect, test } from 'vitest';
import { auditAccount, deadLetters, readLogs, repeatedCalls } from '../../chaos/checks.ts';
import { callsOf } from '../../chaos/models.ts';
import { openNatsBus } from '../../src/bus/nats/bus.ts';
import type { Bus } from '../../src/bus/port.ts';
import { createOpenAIAdapter } from '../../src/capabilities/model/openai/adapter.ts';
import { TroupeError } from '../../src/protocols/failure.ts';
import { loadTeam } from '../../src/topology/load.ts';
import { resolveTeam } from '../../src/topology/resolve.ts';
import type { RunResult } from '../../src/topology/run-result.ts';
import { standardCatalogue, standardTools } from '../../src/topology/standard.ts';
import { Troupe } from '../../src/topology/start.ts';
import { runIdIn, testBuses, type Desk } from '../support/cli.ts';
import { documents, stands } from '../support/documents.ts';
import { doublingBus, type Doubled } from '../support/doubling-bus.ts';
import { eventually } from '../support/eventually.ts';
import { cases, DEADLINE_S, fileOf, LIMIT_NANOS, ROUNDS, sayFor, topologyNames, type TopologyName } from '../support/every-topology.ts';
import { faultyLinkTo } from '../support/faulty-link.ts';
import { FaultyStore, type Link } from '../support/faulty-store.ts';
import { startModelServer, type Behaviour, type ModelServer } from '../support/model-server.ts';
import { PRICE } from '../support/research-desk.ts';
import { seeded } from '../support/simulation.ts';

const SEED = Number(process.env['CHAOS_SEED'] ?? 4_100);

type BusName = keyof typeof testBuses;

/** Where a run takes place. `meet` has its way with each request before the model says what it says; it may keep it waiting. */
type Place = {
  readonly busName: BusName;
  readonly desk: Desk;
  readonly model: ModelServer;
  readonly random: () => number;
  readonly pick: (count: number) => number;
  meet: (index: number) => Promise<Behaviour | undefined> | Behaviour | undefined;
};

/** How a run ended, as also the command line tells it. */
type End = Pick<RunResult, 'run' | 'status' | 'answer' | 'citations' | 'ended' | 'durationMs'>;

const TEAM = 'team.yaml';

/** A run in this process, from its beginning or from where it stands, to its end. */
const hostOn = async ({ desk, model }: Place, bus: Bus): Promise<End> => {
  const { file, inputs } = await loadTeam(TEAM, { cwd: desk.folder.path, catalogue: standardCatalogue() });
  const models = [createOpenAIAdapter({ apiKey: 'a key', baseURL: model.url, env: {} })];
  const troupe = await Troupe.open({ bus, models, tools: standardTools(), snapshotEvery: 3 });
  try {
    const [begun] = await bus.keys('run.');
    const { result } = await (begun === undefined ? troupe.start(resolveTeam(file, inputs)) : troupe.resume(begun.slice('run.'.length)));
    return await result;
  } finally {
    await troupe.close();
    await bus.close();
  }
};

const undisturbed = async (place: Place): Promise<End> => hostOn(place, await place.desk.openBus());

/** As kill -9, while a call waits for its answer or when the answer has just come; another process goes on with the run. */
const killed = async (place: Place): Promise<End> => {
  const { desk, model, pick } = place;
  const env = { OPENAI_BASE_URL: model.url };
  const nth = pick(4);
  const isAnswered = pick(2) === 0;
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  place.meet = async (index) => {
    if (index >= nth + (isAnswered ? 1 : 0)) await released;
    return undefined;
  };
  const first = desk.start(['run', TEAM, '--json'], { env });
  await Promise.race([model.arrived(nth + 1), first.ended]);
  if (isAnswered) await Promise.race([model.idle(), model.arrived(nth + 2)]);
  first.kill('SIGKILL');
  const { exitCode, stderr } = await first.ended;
  expect(exitCode, `it was killed before its end: ${stderr}`).toBeNull();
  release();
  const second = await desk.run(['run', '--resume', runIdIn(stderr)!, '--json'], { env });
  expect(second.exitCode, second.stderr).toBe(0);
  return JSON.parse(second.stdout) as End;
};

/** Everything that is said may arrive twice, and twice the bus is away: once what was asked of it is done and not answered. */
const doubledAndCut = async (place: Place): Promise<End> => {
  const struck: string[] = [];
  const doubled = { appended: 0, handedOver: 0 };
  const end = await (place.busName === 'nats' ? overFaultyLink : withFaultyStore)(place, struck, doubled);
  expect(Math.min(doubled.appended, doubled.handedOver), 'both were doubled').toBeGreaterThan(10);
  expect(struck.toSorted()).toEqual(['away', 'deaf']);
  return end;
};

const overFaultyLink = async (place: Place, struck: string[], doubled: Doubled): Promise<End> => {
  const [deaf, away] = [place.pick(2), 2 + place.pick(2)];
  const [, address] = place.desk.busArgs;
  const link = await faultyLinkTo(Number(new URL(address!).port));
  const cut = (why: string): void => {
    link.cut();
    struck.push(why);
  };
  let unheard: Promise<void> | undefined;
  place.meet = (index) => {
    if (index === deaf) {
      const before = link.heardBytes();
      link.deafen();
      unheard = eventually('the server says what nobody hears', () => link.heardBytes() > before).then(() => cut('deaf'));
    } else if (index === away) cut('away');
    return undefined;
  };
  try {
    const end = await hostOn(place, doublingBus(await openNatsBus({ servers: link.url }), place.random, doubled));
    await unheard;
    return end;
  } finally {
    await link.close();
  }
};

/** A host that cannot reach its file gives the run up, unless nothing is lost by it; then it is resumed. */
const withFaultyStore = async (place: Place, struck: string[], doubled: Doubled): Promise<End> => {
  const links = new Map<number, Link>([
    [place.pick(2), 'deaf'],
    [2 + place.pick(2), 'away'],
  ]);
  for (;;) {
    const store = new FaultyStore(await place.desk.openBus());
    place.meet = async (index) => {
      const link = links.get(index);
      if (link === undefined) return undefined;
      const before = store.failures;
      store.link = link;
      await eventually('the store is missed', () => store.failures > before);
      store.link = 'here';
      struck.push(link);
      return undefined;
    };
    try {
      return await hostOn(place, doublingBus(store.bus, place.random, doubled));
    } catch (thrown) {
      if (!(thrown instanceof TroupeError && thrown.code === 'BUS_UNAVAILABLE')) throw thrown;
    }
  }
};

const failures: readonly Behaviour[] = [
  { fault: 'status', status: 429, code: 'rate_limit_exceeded', headers: { 'retry-after': '0' } },
  { fault: 'status', status: 500 },
  { fault: 'cut', text: '{"text": "half an answer to what was', pieces: 3 },
  'What an interesting question! Let me think about it.',
];

/** Each failure once, in any order, at one of two calls. */
const failing = async (place: Place): Promise<End> => {
  const { pick, random } = place;
  const order = failures.map((failure) => ({ failure, at: random() })).toSorted((one, other) => one.at - other.at);
  const planned = new Map(order.map(({ failure }, index) => [2 * index + pick(2), failure]));
  place.meet = (index) => {
    const failure = planned.get(index);
    planned.delete(index);
    return failure;
  };
  const end = await undisturbed(place);
  expect([...planned.values()], 'each of them struck').toEqual([]);
  return end;
};

const faults = {
  nothing: undisturbed,
  'kill -9': killed,
  'doubled messages and a bus that is away': doubledAndCut,
  'a model that fails': failing,
} as const satisfies Record<string, (place: Place) => Promise<End>>;

const faultNames = Object.keys(faults) as (keyof typeof faults)[];

const isRight = async ({ desk, model }: Place, topology: TopologyName, end: End): Promise<void> => {
  const { run, status, answer, citations, ended, durationMs } = end;
  expect({ status, answer }, JSON.stringify(end)).toEqual({ status: 'completed', answer: cases[topology].answer });
  expect(citations).toHaveLength(2);
  for (const citation of citations) expect(citation).toSatisfy(stands);
  expect(durationMs).toBeLessThan(DEADLINE_S * 1_000);
  expect(ended?.rounds ?? 0).toBeLessThanOrEqual(ROUNDS);

  await model.idle();
  const bus = await desk.openBus();
  try {
    const { problems } = await auditAccount(bus, run, LIMIT_NANOS, model.bill.nanos);
    expect(problems).toEqual([]);
    expect(repeatedCalls({ logs: await readLogs(bus), calls: callsOf(model.requests) })).toEqual([]);
    expect(await deadLetters(bus)).toEqual([]);
  } finally {
    await bus.close();
  }
};

const play = async (busName: BusName, topology: TopologyName, fault: keyof typeof faults, seed: number): Promise<void> => {
  const random = seeded(seed);
  const model = await startModelServer({ price: PRICE, answer: async (request, index) => (await place.meet(index)) ?? sayFor(request) });
  const buses = await testBuses[busName]();
  const desk = buses.desk({ ...documents, [TEAM]: fileOf(topology) });
  const place: Place = { busName, desk, model, random, pick: (count) => Math.floor(random() * count), meet: () => undefined };
  try {
    await isRight(place, topology, await faults[fault](place));
  } finally {
    await model.stop();
    await buses.dispose();
  }
};

describe.concurrent.each(['embedded', 'nats'] as const)(`the same team on the %s bus (CHAOS_SEED ${SEED})`, (busName) => {
  describe.each(topologyNames)('%s', (topology) => {
    test.each(faultNames)('comes to its answer with %s', { timeout: (DEADLINE_S + 20) * 1_000 }, (fault) =>
      play(busName, topology, fault, SEED + topologyNames.indexOf(topology) * 100 + faultNames.indexOf(fault)),
    );
  });
});
