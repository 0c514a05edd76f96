/**
 * Runs of peers in a simulated world: whatever the order of what happens, wherever processes die, and whoever of the peers never
 * says anything, each run ends once, and says how.
 *
 * CHAOS_SEED repeats one seed; CHAOS_RUNS says how many are tried.
 */
import { describe, expect, it } from 'vitest';
import { address, parseAddress, type RunId } from '../../src/protocols/ids.ts';
import type { PayloadOf } from '../../src/protocols/catalogue.ts';
import type { PeerRules } from '../../src/protocols/peer.ts';
import { Host } from '../../src/runtime/host.ts';
import { Provider, runners } from '../support/company.ts';
import { peerAnswer, peerCompany } from '../support/peer-company.ts';
import { Process, settle, World } from '../support/simulation.ts';

const FIRST_SEED = Number(process.env['CHAOS_SEED'] ?? 31_400);
const RUNS = process.env['CHAOS_SEED'] ? 1 : Number(process.env['CHAOS_RUNS'] ?? 12);
const STEPS_MAX = 60_000;

const run = 'r-peers' as RunId;
const client = address(run, 'client');
const PEERS = ['ann', 'bob', 'cleo'];

const protocols: readonly PeerRules[] = [
  { protocol: 'contract_net' },
  { protocol: 'debate', rounds: 2, vote: 'majority', weights: {}, quorum: 0.5, onTie: 'first' },
  { protocol: 'refine', rounds: 6 },
  { protocol: 'gossip', rounds: 4, fanout: 1 },
];

type Mishaps = {
  readonly hosts?: number;
  readonly deaths?: number;
  readonly doubles?: number;
  readonly impatience?: number;
  /** Nobody hosts this peer. */
  readonly silent?: string;
  readonly limitNanos?: bigint;
};

type End = { readonly type: string; readonly data: PayloadOf<'run.completed'> & PayloadOf<'run.failed'> };

const play = async (seed: number, rules: PeerRules, mishaps: Mishaps = {}): Promise<{ end: End; provider: Provider; died: number }> => {
  const { hosts = 1, deaths = 0, doubles = 0, impatience = 0, silent, limitNanos } = mishaps;
  const world = new World(seed, { impatience });
  const provider = new Provider();
  const cast = peerCompany({ run, rules, peers: PEERS, ...(limitNanos !== undefined && { limitNanos }) });
  const processes: Process[] = [];
  let died = 0;
  const start = async (): Promise<void> => {
    const process = new Process(world, `p${processes.length + 1}`);
    processes.push(process);
    const soon = <T>(what: string, then: () => T) => new Promise<T>((done) => world.later(process, `${process.name}: ${what}`, () => done(then())));
    const host = new Host({
      bus: process.bus,
      id: process.name,
      clock: process.clock,
      runners: runners(provider, () => world.now, { soon, says: peerAnswer }),
      resolve: (at) => (silent !== undefined && parseAddress(at).role === 'peer' && parseAddress(at).agent === silent ? undefined : cast(at)),
      snapshotEvery: 3,
    });
    await host.start('>');
    host.inbox(client, () => {});
    void host.adopt(run);
    await settle();
  };
  world.put(address(run, 'supervisor'), { id: 'start', type: 'run.start', v: 1, from: client, time: 0, data: { goal: 'What do the pages say?' } });
  for (let host = 0; host < hosts; host++) await start();
  for (let step = 0; step < STEPS_MAX; step++) {
    if (deaths > 0 && world.random() < deaths) {
      const alive = processes.filter((process) => process.alive);
      world.kill(alive[world.pick(alive.length)]!);
      died++;
      await start();
    }
    if (doubles > 0 && world.random() < doubles) world.duplicate(world.pick(world.log.length));
    if (!(await world.step(processes))) break;
  }
  const ends = new Map(
    world.log
      .filter(({ log, envelope }) => log === client && ['run.completed', 'run.failed'].includes(envelope.type))
      .map(({ envelope }) => [envelope.id, envelope]),
  );
  expect([...ends.keys()], 'the run ends once').toHaveLength(1);
  return { end: [...ends.values()][0]! as unknown as End, provider, died };
};

describe.each(protocols.map((rules) => [rules.protocol, rules] as const))('a simulated run of %s', (_, rules) => {
  const eachSeed = (name: string, test: (seed: number) => Promise<void>): void => {
    it(`${name} (CHAOS_SEED ${FIRST_SEED} and ${RUNS - 1} more)`, { timeout: 240_000 }, async () => {
      for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed++) {
        await test(seed).catch((thrown: unknown) => {
          throw new Error(`CHAOS_SEED=${seed}: ${thrown instanceof Error ? thrown.message : String(thrown)}`, { cause: thrown });
        });
      }
    });
  };
  const endings = { contract_net: 'award', debate: 'agreement', refine: 'agreement', gossip: 'agreement' } as const;

  eachSeed('has an answer and says how it came to it, wherever its host dies', async (seed) => {
    const { end } = await play(seed, rules, { deaths: 0.005 });
    expect(end).toMatchObject({ type: 'run.completed', data: { ended: { by: endings[rules.protocol] } } });
    expect(end.data.answer).toContain('page one and page two');
  });

  eachSeed('ends the same when entries come again and again', async (seed) => {
    const { end } = await play(seed, rules, { doubles: 0.05, hosts: 2 });
    expect(end).toMatchObject({ type: 'run.completed', data: { ended: { by: endings[rules.protocol] } } });
  });

  eachSeed('goes on without a peer that nobody hosts, whoever it is', async (seed) => {
    const silent = PEERS[seed % PEERS.length]!;
    const { end } = await play(seed, rules, { silent });
    expect(end.type).toBe('run.completed');
    expect(end.data.answer).toContain('page one and page two');
    expect(end.data.steps.find(({ agent }) => agent === silent)?.status).toBe('silent');
  });

  eachSeed('ends, whatever time-outs fire in the midst of it', async (seed) => {
    const { end } = await play(seed, rules, { deaths: 0.005, impatience: 0.02, silent: PEERS[seed % PEERS.length]! });
    expect(end.data.failure ?? end.data.ended).toBeDefined();
  });

  eachSeed('never spends over its budget, wherever it runs out', async (seed) => {
    const limitNanos = BigInt(5_000 + (seed % 12) * 5_000);
    const { end, provider } = await play(seed, rules, { limitNanos });
    expect(provider.billed).toBeLessThanOrEqual(limitNanos);
    expect(end.data.failure ?? end.data.ended).toBeDefined();
  });

  it('dies often enough to prove something', async () => {
    expect((await play(FIRST_SEED, rules, { deaths: 0.02 })).died).toBeGreaterThan(0);
  });
});
