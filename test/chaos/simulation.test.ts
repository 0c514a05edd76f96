/**
 * Runs of a whole team in a simulated world: whatever the order of what happens, and wherever processes die.
 *
 * CHAOS_SEED repeats one seed; CHAOS_RUNS says how many are tried.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { get } from '../../src/actors/budget/by-id.ts';
import type { Grant } from '../../src/protocols/grant.ts';
import { address, effectOfGrant, type RunId } from '../../src/protocols/ids.ts';
import type { BudgetContext } from '../../src/actors/budget/machine.ts';
import type { Book } from '../../src/actors/budget/book.ts';
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
  /** The account is served by a process of its own. How often that dies, a chance at each step; another one begins sooner. */
  readonly outages?: number;
  readonly impatience?: number;
};

type Ending = {
  readonly world: World;
  readonly provider: Provider;
  readonly end: { readonly type: string; readonly data: Record<string, unknown> };
  readonly deaths: number;
};

/** So much likelier is it, at each step, that the account is served again than that its server dies. */
const RETURNS = 2;

const ends = ['run.completed', 'run.failed'];

const play = async (seed: number, mishaps: Mishaps, options: Omit<CompanyOptions, 'run'> = {}): Promise<Ending> => {
  const { hosts = 1, deaths = 0, pauses = 0, doubles = 0, snapshots = 'kept', outages = 0, impatience = 0 } = mishaps;
  const world = new World(seed, { impatience });
  const provider = new Provider();
  const resolve = company({ ...options, run });
  const processes: Process[] = [];
  let died = 0;

  const units = outages === 0 ? [run] : ['supervisor', 'worker', 'reviewer', 'approver'].map((role) => address(run, role));

  const start = async (hosted: readonly string[] = units) => {
    const process = new Process(world, `p${processes.length + 1}`);
    processes.push(process);
    const soon = <T>(what: string, then: () => T) => new Promise<T>((settle) => world.later(process, `${process.name}: ${what}`, () => settle(then())));
    const paid = (grant: Grant) => noRepetition(world, grant);
    const book = runners(provider, () => world.now, { soon, paid });
    const host = new Host({ bus: process.bus, id: process.name, clock: process.clock, runners: book, resolve, snapshotEvery: snapshots === 'none' ? 0 : 3 });
    await host.start('>');
    host.inbox(client, () => {});
    for (const unit of hosted) void host.adopt(unit);
    await settle();
    return process;
  };
  const account = (): Promise<Process> => start([address(run, 'budget')]);

  const startRun = { id: 'the-question', type: 'run.start', v: 1, from: client, time: 0, data: { goal: 'What do the pages say?' } };
  world.put(address(run, 'supervisor'), startRun);
  for (let i = 0; i < hosts; i++) await start();
  let server = outages === 0 ? undefined : await account();

  for (let step = 0; step < STEPS_MAX; step++) {
    if (server?.alive === true && provider.calls.length > 0 && world.random() < outages) world.kill(server);
    else if (server?.alive === false && world.random() < outages * RETURNS) server = await account();
    const alive = processes.filter((process) => process.alive && process !== server);
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
    else if (!went && server?.alive === false) server = await account();
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

/** No call was paid from an advance that had not its upper bound left, whatever became of the calls before it. */
const checkAdvances = ({ calls }: Provider, openUpToNanos = 0n): void => {
  const billed = new Map<string, bigint>();
  for (const { advance, nanos, bound } of calls) {
    if (advance === undefined) continue;
    const before = billed.get(advance) ?? 0n;
    expect(before + bound, `drawn from ${advance}`).toBeLessThanOrEqual(openUpToNanos);
    billed.set(advance, before + nanos);
  }
};

/** No grant is used twice; at no entry of the account's log more than the limit is spent and held; the ledger is never below the provider's bill. */
const checkMoney = ({ world, provider }: Ending, options: Omit<CompanyOptions, 'run'> = {}): void => {
  const grants = provider.calls.map(({ grant }) => grant);
  expect(new Set(grants).size).toBe(grants.length);
  checkAdvances(provider, options.openUpToNanos);
  const { tree } = accountIn(world, options, ({ overrun, tree: now }) => {
    const { spent, held, limits } = get(now, run)!;
    expect(spent.money + held.money).toBeLessThanOrEqual(limits[0]!.amount);
    expect(overrun).toBe(0n);
  });
  const { spent, held } = get(tree, run)!;
  expect(spent.money + held.money).toBeGreaterThanOrEqual(provider.billed);
  expect(world.dead).toEqual([]);
};

/** The books as they follow from the account's log; `see` is shown them after each entry. */
const accountIn = (world: World, options: Omit<CompanyOptions, 'run'>, see: (book: Book) => void = () => {}): Book => {
  const account = address(run, 'budget');
  const definition = company({ ...options, run })(account)!;
  let instance: Instance | undefined;
  const book = (): Book => (instance!.state.snapshot.context as BudgetContext).desk.book;
  for (const { log, position, at, envelope } of world.log) {
    if (log !== account) continue;
    instance ??= Instance.begin(account, definition, at)[0];
    instance.apply({ position, at, id: envelope.id, from: envelope.from, message: envelope as unknown as Decoded });
    see(book());
  }
  return book();
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

  describe('while nobody answers for the budget now and then', () => {
    const drawnIn = ({ provider }: Ending): number => provider.calls.filter(({ advance }) => advance !== undefined).length;

    /** Nothing is held when all deadlines have passed. */
    const checkDrained = ({ world }: Ending, options: Omit<CompanyOptions, 'run'>): void => {
      expect(get(accountIn(world, options).tree, run)!.held.money).toBe(0n);
    };

    const mishaps: Mishaps = { outages: 0.02, deaths: 0.01, doubles: 0.02 };

    eachSeed('makes no call without an answer unless it is told that it may', async (seed) => {
      const ending = await play(seed, mishaps);
      checkMoney(ending);
      checkDrained(ending, {});
      expect(drawnIn(ending)).toBe(0);
    });

    eachSeed('spends no more than its advances, and not one nano-dollar over the limit (V1, V4, V6)', async (seed) => {
      const options = { openUpToNanos: BigInt(40_000 + (seed % 5) * 20_000), limitNanos: seed % 3 === 0 ? 10_000_000n : BigInt(60_000 + (seed % 40) * 10_000) };
      const ending = await play(seed, mishaps, options);
      checkMoney(ending, options);
      checkDrained(ending, options);
    });

    eachSeed('does so when two hosts believe that they own it, and both may die or sleep (V2)', async (seed) => {
      const options = { openUpToNanos: 80_000n, limitNanos: BigInt(150_000 + (seed % 40) * 10_000) };
      const ending = await play(seed, { ...mishaps, hosts: 2, pauses: 0.02 }, options);
      checkMoney(ending, options);
      checkDrained(ending, options);
    });

    eachSeed('does so when it takes a slow answer for silence, and other time-outs fire in the midst of it (V3, V7)', async (seed) => {
      const options = { openUpToNanos: 80_000n, limitNanos: BigInt(150_000 + (seed % 40) * 10_000) };
      const ending = await play(seed, { ...mishaps, impatience: 0.02 }, options);
      checkMoney(ending, options);
      checkDrained(ending, options);
    });

    it('draws often enough to prove something, also right before its host dies', { timeout: 240_000 }, async () => {
      let drawn = 0;
      let lost = 0;
      for (let seed = FIRST_SEED; seed < FIRST_SEED + 30; seed++) {
        const ending = await play(seed, { outages: 0.02, deaths: 0.02 }, { openUpToNanos: 100_000n });
        drawn += drawnIn(ending);
        const draws = ending.world.log.filter(({ envelope }) => envelope.type === 'effect.drawn').map(({ envelope: { data } }) => data);
        lost += ending.world.log.filter(
          ({ envelope: { type, data } }) =>
            type === 'effect.lost' && draws.some((one) => one['effect'] === data['effect'] && Number(one['attempt']) + 1 === data['attempt']),
        ).length;
      }
      expect(drawn).toBeGreaterThan(20);
      expect(lost).toBeGreaterThan(0);
    });
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
