/**
 * Runs of a whole team in a simulated world: whatever the order of what happens, and wherever processes die.
 *
 * CHAOS_SEED repeats one seed; CHAOS_RUNS says how many are tried.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Grant } from '../../src/protocols/grant.ts';
import { address, effectOfGrant, type RunId } from '../../src/protocols/ids.ts';
import type { BudgetContext } from '../../src/actors/budget/machine.ts';
import type { Decoded } from '../../src/protocols/catalogue.ts';
import { Host } from '../../src/runtime/host.ts';
import { Instance } from '../../src/runtime/instance.ts';
import { company, Provider, runners, type CompanyOptions } from '../support/company.ts';
import { Process, settle, World } from '../support/simulation.ts';

const FIRST_SEED = Number(process.env['CHAOS_SEED'] ?? 20_260);
const RUNS = process.env['CHAOS_SEED'] ? 1 : Number(process.env['CHAOS_RUNS'] ?? 60);
const STEPS_MAX = 60_000;

const run = 'r-simulated' as RunId;
const client = address(run, 'client');

type Mishaps = {
  /** Processes that host the run from the start, each sure that it is the only one. */
  readonly hosts?: number;
  /** How often a process dies, and another one takes over: a chance at each step. */
  readonly deaths?: number;
  /** How often a process is stopped for a while and goes on unaware. */
  readonly pauses?: number;
  /** How often the bus brings an entry that it brought before, as one whose memory of ids ran out. */
  readonly doubles?: number;
  readonly snapshots?: 'none' | 'kept' | 'deleted';
  readonly impatience?: number;
};

type Ending = {
  readonly world: World;
  readonly provider: Provider;
  readonly end: { readonly type: string; readonly data: Record<string, unknown> };
  readonly deaths: number;
};

const ends = ['run.completed', 'run.failed'];

const play = async (seed: number, mishaps: Mishaps, options: Omit<CompanyOptions, 'run'> = {}): Promise<Ending> => {
  const { hosts = 1, deaths = 0, pauses = 0, doubles = 0, snapshots = 'kept', impatience = 0 } = mishaps;
  const world = new World(seed, { impatience });
  const provider = new Provider();
  const resolve = company({ ...options, run });
  const processes: Process[] = [];
  let died = 0;

  const start = async () => {
    const process = new Process(world, `p${processes.length + 1}`);
    processes.push(process);
    const soon = <T>(what: string, then: () => T) => new Promise<T>((settle) => world.later(process, `${process.name}: ${what}`, () => settle(then())));
    const paid = (grant: Grant) => noRepetition(world, grant);
    const book = runners(provider, () => world.now, { soon, paid });
    const host = new Host({ bus: process.bus, id: process.name, clock: process.clock, runners: book, resolve, snapshotEvery: snapshots === 'none' ? 0 : 3 });
    await host.start('>');
    host.inbox(client, () => {});
    void host.adopt(run);
    await settle();
  };

  const startRun = { id: 'the-question', type: 'run.start', v: 1, from: client, time: 0, data: { goal: 'What do the pages say?' } };
  world.put(address(run, 'supervisor'), startRun);
  for (let i = 0; i < hosts; i++) await start();

  for (let step = 0; step < STEPS_MAX; step++) {
    const alive = processes.filter((process) => process.alive);
    if (deaths > 0 && world.random() < deaths) {
      const victim = alive[world.pick(alive.length)]!;
      world.history.push(`${victim.name} dies`);
      world.kill(victim);
      died++;
      await start();
    }
    if (pauses > 0 && world.random() < pauses) {
      const sleeper = alive[world.pick(alive.length)]!;
      sleeper.paused = !sleeper.paused;
    }
    if (doubles > 0 && world.random() < doubles) world.duplicate(world.pick(world.log.length));
    if (snapshots === 'deleted' && world.random() < 0.05) world.store.clear();
    const went = await world.step(processes);
    if (!went && processes.some((process) => process.paused)) for (const process of processes) process.paused = false;
    else if (!went) break;
  }
  const said = new Map(world.log.filter(({ log, envelope }) => log === client && ends.includes(envelope.type)).map(({ envelope }) => [envelope.id, envelope]));
  expect([...said.keys()], 'the run ends once').toHaveLength(1);
  return { world, provider, end: [...said.values()][0]!, deaths: died };
};

/** H3: asked of the log at the very moment of a call. */
const noRepetition = (world: World, grant: Grant): void => {
  const { effect } = effectOfGrant(grant.id);
  const recorded = world.log.some(({ envelope }) => envelope.type === 'effect.completed' && envelope.data['effect'] === effect);
  if (recorded) throw new Error(`${grant.id} is called although its result is in the log`);
};

/** No grant is used twice; at no entry of the account's log more than the limit is spent and held; the ledger is never below the provider's bill. */
const checkMoney = ({ world, provider }: Ending, options: Omit<CompanyOptions, 'run'> = {}): void => {
  const grants = provider.calls.map(({ grant }) => grant);
  expect(new Set(grants).size).toBe(grants.length);
  const account = address(run, 'budget');
  let instance: Instance | undefined;
  for (const { log, position, at, envelope } of world.log) {
    if (log !== account) continue;
    instance ??= Instance.begin(account, company({ ...options, run })(account)!, at)[0];
    instance.apply({ position, at, id: envelope.id, from: envelope.from, message: envelope as unknown as Decoded });
    const { overrun, tree } = (instance.state.snapshot.context as BudgetContext).desk.book;
    const { spent, held, limits } = tree[run]!;
    expect(spent.money + held.money).toBeLessThanOrEqual(limits[0]!.amount);
    expect(overrun).toBe(0n);
  }
  const { spent, held } = (instance!.state.snapshot.context as BudgetContext).desk.book.tree[run]!;
  expect(spent.money + held.money).toBeGreaterThanOrEqual(provider.billed);
  expect(world.dead).toEqual([]);
};

const eachSeed = (name: string, test: (seed: number) => Promise<void>): void => {
  it(`${name} (CHAOS_SEED ${FIRST_SEED} and ${RUNS - 1} more)`, { timeout: 240_000 }, async () => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed++) {
      await test(seed).catch((thrown: unknown) => {
        throw new Error(`CHAOS_SEED=${seed}: ${thrown instanceof Error ? thrown.message : String(thrown)}`, { cause: thrown });
      });
    }
  });
};

const strip = ({ data }: Ending['end']) => ({ answer: data['answer'], citations: data['citations'], steps: data['steps'] });

describe('a simulated run', () => {
  let undisturbed: ReturnType<typeof strip>;
  beforeAll(async () => {
    undisturbed = strip((await play(1, {})).end);
  });

  it('has an answer that comes from its steps', () => {
    expect(undisturbed.answer).toContain('revised: page one and page two');
  });

  eachSeed('gives the same answer in whatever order things happen', async (seed) => {
    const ending = await play(seed, {});
    expect(strip(ending.end)).toEqual(undisturbed);
    checkMoney(ending);
  });

  eachSeed('gives the same answer wherever its host dies, and repeats no paid call whose result is recorded (H3, H5)', async (seed) => {
    const ending = await play(seed, { deaths: 0.01 });
    expect(strip(ending.end)).toEqual(undisturbed);
    checkMoney(ending);
  });

  eachSeed('gives the same answer when two hosts believe that they own it, and both may die or sleep', async (seed) => {
    const ending = await play(seed, { hosts: 2, deaths: 0.005, pauses: 0.02 });
    expect(strip(ending.end)).toEqual(undisturbed);
    checkMoney(ending);
  });

  eachSeed('gives the same answer when entries come again and again', async (seed) => {
    const ending = await play(seed, { doubles: 0.05, deaths: 0.005 });
    expect(strip(ending.end)).toEqual(undisturbed);
    checkMoney(ending);
  });

  eachSeed('gives the same answer when snapshots vanish', async (seed) => {
    const ending = await play(seed, { deaths: 0.01, snapshots: 'deleted' });
    expect(strip(ending.end)).toEqual(undisturbed);
  });

  eachSeed('ends, whatever time-outs fire in the midst of it', async (seed) => {
    checkMoney(await play(seed, { deaths: 0.005, hosts: 2, pauses: 0.02, impatience: 0.02 }, { grantMs: 60_000 }), { grantMs: 60_000 });
  });

  eachSeed('never spends over its budget, wherever it runs out', async (seed) => {
    const limitNanos = BigInt(20_000 + (seed % 40) * 5_000);
    checkMoney(await play(seed, { deaths: 0.005 }, { limitNanos }), { limitNanos });
  });

  eachSeed('has one history for one seed', async (seed) => {
    const first = await play(seed, { deaths: 0.01, hosts: 2, impatience: 0.01 });
    const second = await play(seed, { deaths: 0.01, hosts: 2, impatience: 0.01 });
    expect(second.world.history).toEqual(first.world.history);
    expect(second.world.log).toEqual(first.world.log);
  });

  it('dies often enough to prove something', async () => {
    const { deaths } = await play(FIRST_SEED, { deaths: 0.01 });
    expect(deaths).toBeGreaterThan(0);
  });
});
