import { spawnSync } from 'node:child_process';
import { hostname } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openEmbeddedBus } from '../../../src/bus/embedded/bus.ts';
import type { Bus } from '../../../src/bus/port.ts';
import { fence, hostOf, isKnownDead, listHosts, Presence, watchHosts, type HostRecord, type Peer } from '../../../src/runtime/presence.ts';
import { eventually } from '../../support/eventually.ts';
import { FaultyStore } from '../../support/faulty-store.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const LEASE_MS = 3_000;
const KEY = 'host.h1';

let bus: Bus;
let clock: ManualClock;
const open: Presence[] = [];
beforeEach(() => {
  bus = openEmbeddedBus({ path: ':memory:' });
  clock = new ManualClock();
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((presence) => presence.close()));
  await bus.close();
});

const join = async (id = 'h1', { on = bus, by = clock }: { on?: Bus; by?: ManualClock } = {}): Promise<Presence> => {
  const presence = await Presence.open({ bus: on, clock: by, id, leaseMs: LEASE_MS });
  open.push(presence);
  return presence;
};

const record = async (id = 'h1'): Promise<HostRecord | undefined> => (await hostOf(bus, id))?.record;
const revision = async (): Promise<number | undefined> => (await bus.get(KEY))?.revision;
const heard = async (id = 'h1'): Promise<Peer> => (await listHosts(bus, clock.now())).find(({ record: found }) => found.id === id)!;

/** What was asked has been answered, unless the answer is held back. */
const turns = async (): Promise<void> => {
  for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
};

/** Resolves when the host has renewed its record. */
const renewed = async (): Promise<void> => {
  const before = await revision();
  clock.advance(LEASE_MS / 3);
  await turns();
  await eventually('the record is renewed', async () => (await revision()) !== before && clock.waiting === 1);
};

/** Time for one renewal passes, and it comes to nothing. */
const unanswered = async (): Promise<void> => {
  clock.advance(LEASE_MS / 3);
  await turns();
  await eventually('it will try again', () => clock.waiting === 1);
};

describe('a host on record', () => {
  it('says which process it is, and where', async () => {
    const presence = await join();
    expect(presence.holds()).toBe(true);
    expect(await record()).toMatchObject({ id: 'h1', pid: process.pid, machine: hostname(), startedAt: clock.now() });
  });

  it('is sure of itself for as long as it renews its record (L2)', async () => {
    const presence = await join();
    for (let i = 0; i < 9; i++) {
      await renewed();
      expect(presence.holds()).toBe(true);
    }
  });

  it('is sure for two thirds of a lease, and no longer (L2)', async () => {
    const presence = await join();
    clock.jump((LEASE_MS * 2) / 3 - 1);
    expect(presence.holds()).toBe(true);
    clock.jump(1);
    expect(presence.holds()).toBe(false);
  });

  it('stops being sure, by its own clock, before anybody may fence it (L1, L2)', async () => {
    const presence = await join();
    const others = new ManualClock();
    const seen = new Map<string, Peer>();
    const watch = watchHosts(bus, others, (id, peer) => void (peer && seen.set(id, peer)));
    await eventually('the others hear of it', () => seen.has('h1'));
    // It sleeps: both clocks go on, and it renews nothing.
    let passed = 0;
    for (; presence.holds(); passed += 100) {
      clock.jump(100);
      others.advance(100);
    }
    expect(passed).toBeLessThan(LEASE_MS);
    expect(others.now() - seen.get('h1')!.heardAt).toBeLessThan(LEASE_MS);
    watch.stop();
  });

  it('says something else of itself, at once', async () => {
    const presence = await join();
    await presence.say({ draining: true });
    expect(await record()).toMatchObject({ id: 'h1', draining: true });
    await renewed();
    expect(await record()).toMatchObject({ draining: true });
  });

  it('takes itself off the record, and renews nothing more', async () => {
    const presence = await join();
    await presence.close();
    expect([presence.holds(), await presence.confirm(), clock.waiting, await record()]).toEqual([false, false, 0, undefined]);
    await presence.close();
  });

  it('takes itself off the record also while it is being renewed', async () => {
    const store = new FaultyStore(bus);
    const presence = await join('h1', { on: store.bus });
    store.link = 'slow';
    clock.advance(LEASE_MS / 3);
    await eventually('it asks', () => store.held === 1);
    const closed = presence.close();
    store.answer();
    await closed;
    expect([presence.holds(), clock.waiting, await record()]).toEqual([false, 0, undefined]);
  });

  it('is not there at all when its first word cannot be written', async () => {
    const store = new FaultyStore(bus);
    store.link = 'away';
    await expect(Presence.open({ bus: store.bus, clock, id: 'h1' })).rejects.toMatchObject({ code: 'BUS_UNAVAILABLE' });
    expect(clock.waiting).toBe(0);
  });
});

describe('a host that was away', () => {
  it('asks before it acts, and may act where nobody has fenced it (L2)', async () => {
    const presence = await join();
    clock.jump(LEASE_MS * 10);
    expect(presence.holds()).toBe(false);
    expect(await presence.confirm()).toBe(true);
    expect(presence.holds()).toBe(true);
  });

  it('may not act where it was fenced, and is told once (L3)', async () => {
    const presence = await join();
    let told = 0;
    presence.onFenced(() => told++);
    clock.jump(LEASE_MS * 10);
    expect(await fence(bus, await heard())).toBe(true);
    expect([await presence.confirm(), presence.holds(), presence.fenced, told]).toEqual([false, false, true, 1]);
    expect(await presence.confirm()).toBe(false);
    await presence.say({ draining: true });
    expect([told, clock.waiting, await record()]).toEqual([1, 0, undefined]);
  });

  it('finds out by its next renewal that it was fenced (L3)', async () => {
    const presence = await join();
    expect(await fence(bus, await heard())).toBe(true);
    clock.advance(LEASE_MS / 3);
    await eventually('it knows', () => presence.fenced);
    expect([presence.holds(), clock.waiting]).toEqual([false, 0]);
  });

  it('does not tell who wants to hear it no more', async () => {
    const presence = await join();
    let told = 0;
    presence.onFenced(() => told++)();
    await fence(bus, await heard());
    expect([await confirmLater(presence), told]).toEqual([false, 0]);
  });

  it('takes part again when it has nothing left, as the host that it was', async () => {
    const presence = await join();
    await presence.rejoin();
    await fence(bus, await heard());
    expect(await confirmLater(presence)).toBe(false);
    await presence.rejoin();
    expect([presence.fenced, presence.holds()]).toEqual([false, true]);
    expect(await record()).toMatchObject({ id: 'h1' });
    await renewed();
    expect(presence.holds()).toBe(true);
  });

  it('takes part again when the bus is back, if that was away when it meant to', async () => {
    const store = new FaultyStore(bus);
    const presence = await join('h1', { on: store.bus });
    await fence(bus, await heard());
    expect(await confirmLater(presence)).toBe(false);
    store.link = 'away';
    const back = presence.rejoin();
    await eventually('it will try again', () => clock.waiting === 2);
    expect(presence.holds()).toBe(false);
    store.link = 'here';
    clock.advance(LEASE_MS / 3);
    await back;
    expect([presence.fenced, presence.holds()]).toEqual([false, true]);
  });
});

/** Time enough that the host must ask. */
const confirmLater = (presence: Presence): Promise<boolean> => {
  clock.jump(LEASE_MS);
  return presence.confirm();
};

describe('while the bus is away, a host', () => {
  it('stops being sure, and is sure again when it is back (L2)', async () => {
    const store = new FaultyStore(bus);
    const presence = await join('h1', { on: store.bus });
    store.link = 'away';
    await unanswered();
    expect(presence.holds()).toBe(true);
    await unanswered();
    expect(presence.holds()).toBe(false);
    store.link = 'here';
    clock.advance(LEASE_MS / 3);
    await eventually('it is sure again', () => presence.holds());
  });

  it('goes on asking when it must know, until there is an answer', async () => {
    const store = new FaultyStore(bus);
    const presence = await join('h1', { on: store.bus });
    store.link = 'away';
    clock.jump(LEASE_MS);
    let answer: boolean | undefined;
    const asking = presence.confirm().then((said) => (answer = said));
    for (let i = 0; i < 3; i++) {
      await eventually('it will ask again', () => clock.waiting === 2);
      expect(answer).toBeUndefined();
      clock.advance(LEASE_MS / 3);
    }
    store.link = 'here';
    await eventually('it will ask again', () => clock.waiting === 2);
    clock.advance(LEASE_MS / 3);
    expect(await asking).toBe(true);
  });

  it('is told that it was fenced, when it is back', async () => {
    const store = new FaultyStore(bus);
    const presence = await join('h1', { on: store.bus });
    store.link = 'away';
    await unanswered();
    await fence(bus, await heard());
    store.link = 'here';
    clock.advance(LEASE_MS / 3);
    await eventually('it knows', () => presence.fenced);
  });

  it('knows its own renewal again when the answer to it was lost', async () => {
    const store = new FaultyStore(bus);
    const presence = await join('h1', { on: store.bus });
    store.link = 'deaf';
    await unanswered();
    store.link = 'here';
    await renewed();
    clock.jump(LEASE_MS / 3);
    expect([presence.holds(), presence.fenced]).toEqual([true, false]);
  });

  it('counts a renewal from when it asked, not from when it was answered (L2)', async () => {
    const store = new FaultyStore(bus);
    const presence = await join('h1', { on: store.bus });
    store.link = 'slow';
    clock.advance(LEASE_MS / 3);
    await eventually('it asks', () => store.held === 1);
    clock.jump(LEASE_MS);
    store.answer();
    await eventually('it was answered', () => clock.waiting === 1);
    expect(presence.holds()).toBe(false);
  });
});

describe('fencing', () => {
  it('needs that nothing was heard since (L3)', async () => {
    const presence = await join();
    const before = await heard();
    await renewed();
    expect(await fence(bus, before)).toBe(false);
    expect([await record(), presence.holds()]).toMatchObject([{ id: 'h1' }, true]);
  });

  it('succeeds for everybody who notices', async () => {
    await join();
    const peer = await heard();
    expect(await Promise.all([fence(bus, peer), fence(bus, peer)])).toEqual([true, true]);
    expect(await record()).toBeUndefined();
  });

  it('does not reach who came back under the same name', async () => {
    const presence = await join();
    const peer = await heard();
    await fence(bus, peer);
    await confirmLater(presence);
    await presence.rejoin();
    expect(await fence(bus, peer)).toBe(false);
    expect(await record()).toMatchObject({ id: 'h1' });
  });
});

describe('who is known to be dead', () => {
  const gone = (): number => spawnSync(process.execPath, ['--version']).pid;
  const hostWith = (pid: number, machine = hostname()): HostRecord => ({ id: 'x', pid, machine, startedAt: 0 });

  it('is a process of this machine that is no more (L1)', () => {
    expect(isKnownDead(hostWith(gone()))).toBe(true);
  });

  it('is not one of another machine that had the same number (L1)', () => {
    expect(isKnownDead(hostWith(gone(), 'another machine'))).toBe(false);
  });

  it('is neither this process nor another one that is there', () => {
    expect([isKnownDead(hostWith(process.pid)), isKnownDead(hostWith(process.ppid))]).toEqual([false, false]);
  });
});

describe('who looks on', () => {
  it('hears of each host that comes, speaks and goes', async () => {
    const seen: string[] = [];
    const watch = watchHosts(bus, clock, (id, peer) => void seen.push(peer ? `${id}${peer.record.draining ? ' drains' : ''}` : `${id} is gone`));
    const presence = await join();
    await eventually('it is heard', () => seen.length === 1);
    await presence.say({ draining: true });
    await eventually('it is heard', () => seen.length === 2);
    await presence.close();
    await eventually('it is heard', () => seen.length === 3);
    watch.stop();
    expect(seen).toEqual(['h1', 'h1 drains', 'h1 is gone']);
  });

  it('passes over a record that says something else', async () => {
    await bus.put('host.strange', 'not what a host says');
    await bus.put('host.old', JSON.stringify({ id: 'old' }));
    await join();
    expect((await listHosts(bus, clock.now())).map(({ record: { id } }) => id)).toEqual(['h1']);
  });
});

describe('a host whose bus does not answer', () => {
  it('says so once, and once that it answers again', async () => {
    const said: boolean[] = [];
    let away = false;
    const flaky: Bus = Object.create(bus, {
      put: { value: (...args: Parameters<Bus['put']>) => (away ? new Promise(() => {}) : bus.put(...args)) },
    }) as Bus;
    const presence = await Presence.open({ bus: flaky, clock, id: 'h1', leaseMs: LEASE_MS, onReach: (reachable) => said.push(reachable) });
    await eventually('it is on record', async () => clock.waiting === 1);
    away = true;
    clock.advance(LEASE_MS / 3); // it asks, and hears nothing
    expect(said).toEqual([]);
    clock.advance(LEASE_MS);
    expect(said).toEqual([false]);
    expect(presence.holds()).toBe(false);
    away = false;
  });

  it('says that it answers again, where it refused', async () => {
    const said: boolean[] = [];
    const store = new FaultyStore(bus);
    const presence = await Presence.open({ bus: store.bus, clock, id: 'h1', leaseMs: LEASE_MS, onReach: (reachable) => said.push(reachable) });
    open.push(presence);
    store.link = 'away';
    await unanswered();
    await unanswered();
    expect(said).toEqual([false]);
    store.link = 'here';
    clock.advance(LEASE_MS / 3);
    await eventually('it answers again', () => said.length === 2);
    expect(said).toEqual([false, true]);
  });
});
