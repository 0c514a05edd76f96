import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openEmbeddedBus } from '../../../src/bus/embedded/bus.ts';
import type { Bus } from '../../../src/bus/port.ts';
import type { Grant } from '../../../src/protocols/grant.ts';
import { address, parseAddress, type Address, type RunId } from '../../../src/protocols/ids.ts';
import type { EffectContext, EffectResult, Runners } from '../../../src/runtime/effects.ts';
import { Host } from '../../../src/runtime/host.ts';
import { LEASE_PREFIX, NOBODY } from '../../../src/runtime/lease.ts';
import { Placement, type Part, type PlacementChange } from '../../../src/runtime/placement.ts';
import { fence, hostOf, Presence } from '../../../src/runtime/presence.ts';
import { company, Provider, runners } from '../../support/company.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { settle } from '../../support/simulation.ts';

const LEASE_MS = 3_000;
const run = 'r-placed' as RunId;
const lead = address(run, 'supervisor');
const account = address(run, 'budget');
const worker = (key: string): Address => address(run, 'worker', 'reader', key);

/** A process that plays the part `reader`, with a clock of its own. */
type Member = {
  readonly id: string;
  /** As kill -9: it hears and says nothing more. */
  readonly kill: () => void;
  readonly clock: ManualClock;
  readonly host: Host;
  readonly presence: Presence;
  readonly placement: Placement;
  readonly changes: PlacementChange[];
};

/** A paid call that ends when the test says so. */
type Held = { readonly host: string; readonly end: () => void };

let bus: Bus;
let provider: Provider;
let held: Held[];
const members: Member[] = [];
/** Members whose time goes on. */
let awake: Set<Member>;
let bankClock: ManualClock;

beforeEach(() => {
  bus = openEmbeddedBus({ path: ':memory:' });
  provider = new Provider();
  held = [];
  awake = new Set();
  bankClock = new ManualClock();
});
afterEach(async () => {
  for (const { placement } of members) placement.close();
  members.splice(0);
  await bus.close();
});

const heldRunners = (id: string, clock: ManualClock): Runners => {
  const free = runners(provider, () => clock.now());
  const run = (input: never, context: EffectContext, grant: Grant): Promise<EffectResult> =>
    new Promise((resolve) => {
      const call: Held = { host: id, end: () => held.splice(held.indexOf(call), 1).forEach(() => resolve(free['model']!.run(input, context, grant))) };
      held.push(call);
    });
  return { ...free, model: { ...free['model']!, run: run as Runners[string]['run'] } };
};

const partOf = async (at: Address): Promise<Part | undefined> => {
  const { run: of, role, agent } = parseAddress(at);
  if (of !== run) return undefined;
  if (role === 'budget') return { team: 'company', agent: role, shared: true };
  return role === 'worker' ? { team: 'company', agent: agent!, shared: false } : undefined;
};

type Joining = { readonly concurrency?: number; readonly on?: Bus; readonly plays?: readonly string[]; readonly holds?: boolean };

/** The bus as a process has it that can be killed. */
const mortal = (below: Bus): { readonly bus: Bus; kill(): void } => {
  let isDead = false;
  const never = new Promise<never>(() => {});
  const alive: Pick<Bus, 'append' | 'get' | 'put' | 'delete' | 'follow' | 'watchStore'> = {
    append: (...args) => (isDead ? never : below.append(...args)),
    get: (...args) => (isDead ? never : below.get(...args)),
    put: (...args) => (isDead ? never : below.put(...args)),
    delete: (...args) => (isDead ? never : below.delete(...args)),
    follow: (pattern, from, onEntry) => below.follow(pattern, from, (entry) => void (isDead || onEntry(entry))),
    watchStore: (prefix, onChange) => below.watchStore(prefix, (change) => void (isDead || onChange(change))),
  };
  return { bus: Object.assign(Object.create(below) as Bus, alive), kill: () => (isDead = true) };
};

const join = async (id: string, { concurrency = 8, on: below = bus, plays = ['reader'], holds = true }: Joining = {}): Promise<Member> => {
  const clock = new ManualClock();
  const { bus: on, kill } = mortal(below);
  const serves = { team: 'company', hash: 'hash', agents: [...plays], concurrency, models: {} };
  const presence = await Presence.open({ bus: on, clock, id, leaseMs: LEASE_MS, about: { serves } });
  const changes: PlacementChange[] = [];
  const host: Host = new Host({
    bus: on,
    id,
    clock,
    runners: holds ? heldRunners(id, clock) : runners(provider, () => clock.now()),
    resolve: company({ run }),
    unowned: (entry) => placement.receive(entry),
    ended: (at) => void placement.ended(at),
  });
  const placement: Placement = new Placement({
    bus: on,
    clock,
    host,
    presence,
    partOf,
    plays: ({ agent }) => plays.includes(agent),
    concurrency,
    isBirth: (type) => type === 'task.assign',
    onChange: (change) => changes.push(change),
  });
  presence.onFenced(() => void placement.letAllGo().then(() => presence.rejoin()));
  await host.start('>');
  placement.start();
  placement.knowsAll();
  const member = { id, kill, clock, host, presence, placement, changes };
  members.push(member);
  awake.add(member);
  await until(`${id} is heard of`, async () => (await hostOf(bus, id)) !== undefined);
  return member;
};

/** Time goes on, a little at a time and for all who are awake, until it holds. */
const until = async (what: string, holds: () => boolean | Promise<boolean>): Promise<void> => {
  for (let passed = 0; passed < 60_000; passed += 25) {
    for (let i = 0; i < 5; i++) await settle();
    if (await holds()) return;
    for (const { clock } of awake) clock.advance(25);
    bankClock.advance(25);
  }
  throw new Error(`a minute passed in vain: ${what}`);
};

/** Grants what the workers ask for. */
const openBank = async (): Promise<void> => {
  const bank = new Host({ bus, id: 'bank', clock: bankClock, runners: {}, resolve: company({ run }) });
  await bank.adopt(account, { fresh: true });
};

const assign = (key: string): Promise<number> =>
  bus.append(worker(key), {
    id: `assign-${key}`,
    type: 'task.assign',
    v: 1,
    from: lead,
    time: 0,
    data: { step: `s${key}`, attempt: 1, goal: 'why', instructions: 'look', findings: [] },
  });

const ownerOf = async (key: string): Promise<string | undefined> => (await bus.get(`${LEASE_PREFIX}${worker(key)}`))?.value;
const hasOwner = async (key: string): Promise<boolean> => Boolean(await ownerOf(key));
const takenBy = ({ changes }: Member): string[] => changes.flatMap((change) => (change.kind === 'taken' ? [change.unit] : []));
const allTaken = (): string[] => members.flatMap(takenBy);
const typesIn = async (log: string): Promise<string[]> => {
  const types: string[] = [];
  for await (const { envelope } of bus.read(log)) types.push(envelope.type);
  return types;
};

describe('an actor for which an entry came', () => {
  it('is taken on by one of those that play its part, the least busy first (P1)', async () => {
    const three = [await join('a'), await join('b'), await join('c')];
    for (const key of ['1', '2', '3', '4', '5', '6']) {
      await assign(key);
      await until(`${key} is hosted`, () => hasOwner(key));
    }
    await until('all know who has what', () => allTaken().length === 6);
    expect(three.map((member) => member.placement.load)).toEqual([2, 2, 2]);
    expect(new Set(allTaken()).size).toBe(6);
  });

  it('is taken once, however many come at once (P1)', async () => {
    const three = [await join('a'), await join('b'), await join('c')];
    const keys = Array.from({ length: 12 }, (_, i) => `s${i}`);
    await Promise.all(keys.map(assign));
    await until('all are hosted', () => allTaken().length >= keys.length);
    for (let i = 0; i < 50; i++) await settle();
    expect(allTaken().toSorted()).toEqual(keys.map(worker).toSorted());
    expect(three.reduce((sum, { placement }) => sum + placement.load, 0)).toBe(keys.length);
  });

  it('is left to those that play its part (P1)', async () => {
    const other = await join('other', { plays: ['writer'] });
    const member = await join('a');
    await assign('1');
    await until('it is hosted', () => takenBy(member).length === 1);
    expect([await ownerOf('1'), takenBy(other)]).toEqual(['a', []]);
  });

  it('is left by those that are full, and waits where all are, until something ends (P1)', async () => {
    await openBank();
    const two = [await join('a', { concurrency: 1 }), await join('b', { concurrency: 1 })];
    for (const key of ['1', '2']) {
      await assign(key);
      await until(`${key} is hosted`, () => hasOwner(key));
    }
    await assign('3');
    await until('both make their first calls', () => held.length === 2);
    expect([two.map(takenBy).map(({ length }) => length), await ownerOf('3')]).toEqual([[1, 1], undefined]);
    const { host: free } = held[0]!;
    await until('one comes to its end', () => {
      for (const call of [...held]) if (call.host === free) call.end();
      return allTaken().includes(worker('3'));
    });
    expect(await ownerOf('3')).toBe(free);
  });

  it('has its room, whatever is taken on beside it that needs none (P1)', async () => {
    const { promise: mayRead, resolve: read } = Promise.withResolvers<void>();
    const on: Bus = Object.assign(Object.create(bus) as Bus, {
      async *read(pattern: string, from?: number) {
        if (pattern === account) await mayRead;
        yield* bus.read(pattern, from);
      },
    });
    const member = await join('a', { concurrency: 1, plays: ['reader', 'budget'], on });
    await bus.append(account, { id: 'stray', type: 'budget.release', v: 1, from: lead, time: 0, data: { grant: 'none', reason: 'none' } });
    for (let i = 0; i < 50; i++) await settle();
    expect(takenBy(member), 'the account is being read').toEqual([]);
    await assign('1');
    for (let i = 0; i < 50; i++) await settle();
    read();
    await until('both are hosted', () => takenBy(member).length === 2);
    expect(takenBy(member).toSorted()).toEqual([account, worker('1')]);
  });

  it('is hosted from what was seen, without a look at its log', async () => {
    const reads: string[] = [];
    const on: Bus = Object.assign(Object.create(bus) as Bus, {
      read: (pattern: string, from?: number) => {
        reads.push(pattern);
        return bus.read(pattern, from);
      },
    });
    const member = await join('a', { on });
    await assign('1');
    await until('it is hosted', () => takenBy(member).length === 1);
    expect([reads, member.host.instance(worker('1'))?.has('assign-1')]).toEqual([[], true]);
  });

  it('is hosted from its log where its first entry was not seen', async () => {
    await assign('1');
    const member = await join('a');
    member.placement.find(worker('1'));
    await until('it is hosted', () => takenBy(member).length === 1);
    expect(member.host.instance(worker('1'))?.has('assign-1')).toBe(true);
  });
});

describe('what a host had', () => {
  it('is taken over when it is silent for a lease, and folded from its log (P2)', async () => {
    await openBank();
    const dead = await join('a');
    await assign('1');
    await until('it makes its call', () => held.length === 1);
    const other = await join('b', { holds: false });
    dead.kill();
    awake.delete(dead);
    await until('its silence is noticed', () => takenBy(other).length === 1);
    expect(other.changes.slice(0, 2)).toEqual([
      { kind: 'silent', host: 'a' },
      { kind: 'taken', unit: worker('1'), from: 'a' },
    ]);
    await until('the task is done', async () => (await typesIn(lead)).includes('task.completed'));
    expect((await typesIn(worker('1'))).filter((type) => type === 'effect.lost')).toHaveLength(1);
  });

  it('is not taken from it before its record is gone, although nothing was heard of that (P2)', async () => {
    const deaf: Bus = Object.assign(Object.create(bus) as Bus, {
      watchStore: (prefix: string, onChange: Parameters<Bus['watchStore']>[1]) =>
        bus.watchStore(prefix, (change) => void (change.key === 'host.a' || onChange(change))),
    });
    await join('a', { concurrency: 1 });
    await assign('1');
    await until('it is hosted', () => hasOwner('1'));
    const other = await join('b', { on: deaf });
    other.placement.find(worker('1'));
    await assign('2');
    await until('something else is hosted there', () => takenBy(other).includes(worker('2')));
    expect([await ownerOf('1'), takenBy(other)]).toEqual(['a', [worker('2')]]);
  });

  it('is let go by it when it hears that it was fenced, and it takes part again (P2)', async () => {
    const slow = await join('a');
    await assign('1');
    await until('it is hosted', () => takenBy(slow).length === 1);
    await fence(bus, (await hostOf(bus, 'a'))!);
    slow.clock.jump(LEASE_MS);
    await until('it is back', async () => !slow.presence.fenced && (await hostOf(bus, 'a')) !== undefined);
    await until('it has the actor again', () => takenBy(slow).length === 2);
    expect(slow.changes.map(({ kind }) => kind)).toEqual(['taken', 'let go', 'taken']);
  });
});

describe('an actor that has ended', () => {
  it('is let go, and its key is deleted (P3)', async () => {
    await openBank();
    const member = await join('a', { holds: false });
    await assign('1');
    await until('it is let go', () => member.changes.some(({ kind }) => kind === 'let go'));
    expect([await ownerOf('1'), member.placement.load, await typesIn(lead)]).toEqual([undefined, 0, ['task.completed']]);
  });

  it('is taken on for what comes late, and let go again (P3)', async () => {
    await openBank();
    const member = await join('a', { holds: false });
    await assign('1');
    await until('it is let go', () => member.changes.length === 2);
    await bus.append(worker('1'), { id: 'late', type: 'task.cancel', v: 1, from: lead, time: 0, data: { reason: 'too late' } });
    await until('it is let go again', () => member.changes.length === 4);
    expect(member.changes.map(({ kind }) => kind)).toEqual(['taken', 'let go', 'taken', 'let go']);
    expect([await ownerOf('1'), await typesIn(lead)]).toEqual([undefined, ['task.completed']]);
  });
});

describe('a host that drains', () => {
  it('lets its calls end, hands over the rest, and no call is made twice (P4)', async () => {
    await openBank();
    const old = await join('a');
    await assign('1');
    await until('it makes its call', () => held.length === 1);
    const next = await join('b', { holds: false });
    const drained = old.placement.drain(10 * LEASE_MS);
    await until('it says so', async () => (await hostOf(bus, 'a'))?.record.draining === true);
    expect([takenBy(next), await ownerOf('1')]).toEqual([[], 'a']);
    held[0]!.end();
    await until('the other one has it', () => takenBy(next).length === 1);
    await drained;
    await until('the task is done', async () => (await typesIn(lead)).includes('task.completed'));
    const paid = provider.calls.map(({ grant }) => grant);
    expect(new Set(paid).size).toBe(paid.length);
    expect((await typesIn(worker('1'))).filter((type) => type === 'effect.lost')).toEqual([]);
  });

  it('hands over what waits for somebody else, for which nothing comes meanwhile (P4)', async () => {
    const old = await join('a');
    await assign('1');
    await until('it is hosted', () => takenBy(old).length === 1);
    const next = await join('b');
    await Promise.all([old.placement.drain(0), until('the other one has it', () => takenBy(next).length === 1)]);
    expect([await ownerOf('1'), old.placement.load]).toEqual(['b', 0]);
  });

  it('takes nothing on, and leaves what it hands over as nobody’s where nobody else is (P4)', async () => {
    const old = await join('a');
    await assign('1');
    await until('it is hosted', () => takenBy(old).length === 1);
    await old.placement.drain(0);
    await assign('2');
    const next = await join('b', { plays: [] });
    expect([await ownerOf('1'), await ownerOf('2'), takenBy(old)]).toEqual([NOBODY, undefined, [worker('1')]]);
    expect(takenBy(next)).toEqual([]);
  });
});
