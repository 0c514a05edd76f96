import { spawnSync } from 'node:child_process';
import { hostname } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openEmbeddedBus } from '../../../src/bus/embedded/bus.ts';
import type { Bus } from '../../../src/bus/port.ts';
import { TroupeError } from '../../../src/protocols/failure.ts';
import { takeLease, type Lease } from '../../../src/runtime/lease.ts';
import { eventually } from '../../support/eventually.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const LEASE_MS = 3_000;
const KEY = 'lease.r-1';

let bus: Bus;
beforeEach(() => {
  bus = openEmbeddedBus({ path: ':memory:' });
});
afterEach(() => bus.close());

const ownedElsewhere = (id = 'other'): string => JSON.stringify({ id, pid: 1, machine: 'another machine' });

const take = (clock: ManualClock, id: string, { wait = true, on = bus }: { wait?: boolean; on?: Bus } = {}): Promise<Lease> =>
  takeLease('r-1', { bus: on, clock, id, leaseMs: LEASE_MS }, { wait });

/** Resolves when the owner wrote its key again. */
const renewed = async (clock: ManualClock): Promise<void> => {
  const before = (await bus.get(KEY))?.revision;
  clock.advance(LEASE_MS / 3);
  await eventually('the lease is renewed', async () => (await bus.get(KEY))?.revision !== before && clock.waiting > 0);
};

const refusal = async (taking: Promise<unknown>): Promise<TroupeError> => {
  try {
    await taking;
  } catch (thrown) {
    if (thrown instanceof TroupeError) return thrown;
  }
  throw new Error('it was not refused');
};

describe('a lease that nobody has', () => {
  it('is taken at once, and says who has it', async () => {
    const lease = await take(new ManualClock(), 'h1', { wait: false });
    expect(lease.holds()).toBe(true);
    expect(JSON.parse((await bus.get(KEY))!.value)).toEqual({ id: 'h1', pid: process.pid, machine: hostname() });
  });

  it('is taken by one of two who want it', async () => {
    const clock = new ManualClock();
    const both = await Promise.allSettled([take(clock, 'h1', { wait: false }), take(clock, 'h2', { wait: false })]);
    expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
  });
});

describe('a lease that somebody else has', () => {
  it('is refused with the name of its owner to whoever does not wait', async () => {
    await bus.put(KEY, ownedElsewhere());
    const refused = await refusal(take(new ManualClock(), 'h2', { wait: false }));
    expect(refused).toMatchObject({ code: 'RUN_HOSTED', retryable: true });
    expect(refused.message).toContain('r-1 is hosted by process 1 on another machine');
  });

  it('is taken over when its key has not changed for the length of a lease, and not before (L1)', async () => {
    await bus.put(KEY, ownedElsewhere());
    const clock = new ManualClock();
    const taking = take(clock, 'h2');
    await eventually('it waits', () => clock.waiting === 1);
    clock.advance(LEASE_MS - 1);
    expect(JSON.parse((await bus.get(KEY))!.value)).toMatchObject({ id: 'other' });
    clock.advance(1);
    expect((await taking).holds()).toBe(true);
    expect(JSON.parse((await bus.get(KEY))!.value)).toMatchObject({ id: 'h2' });
  });

  it('is not taken over while its owner renews it (L1)', async () => {
    await bus.put(KEY, ownedElsewhere());
    const clock = new ManualClock();
    const taking = refusal(take(clock, 'h2'));
    await eventually('it waits', () => clock.waiting === 1);
    await bus.put(KEY, ownedElsewhere());
    clock.advance(LEASE_MS);
    expect((await taking).code).toBe('RUN_HOSTED');
  });

  it('is taken at once when its owner is known to be dead (L1)', async () => {
    const { pid } = spawnSync(process.execPath, ['--version']);
    await bus.put(KEY, JSON.stringify({ id: 'dead', pid, machine: hostname() }));
    const lease = await take(new ManualClock(), 'h2', { wait: false });
    expect(lease.holds()).toBe(true);
  });

  it('is not taken for that of a dead process because that one has the number of a dead one here (L1)', async () => {
    const { pid } = spawnSync(process.execPath, ['--version']);
    await bus.put(KEY, JSON.stringify({ id: 'alive', pid, machine: 'another machine' }));
    expect((await refusal(take(new ManualClock(), 'h2', { wait: false }))).code).toBe('RUN_HOSTED');
  });
});

describe('an owner', () => {
  it('holds its lease for as long as it renews it', async () => {
    const clock = new ManualClock();
    const lease = await take(clock, 'h1');
    for (let i = 0; i < 9; i++) {
      await renewed(clock);
      expect(lease.holds()).toBe(true);
    }
  });

  it('stops holding it, by its own clock, before anybody else can take it over (L2)', async () => {
    const [own, others] = [new ManualClock(), new ManualClock()];
    const lease = await take(own, 'h1');
    const taking = take(others, 'h2');
    await eventually('it waits', () => others.waiting === 1);
    // The owner sleeps: it renews nothing, and both clocks go on.
    for (let passed = 0; passed < LEASE_MS - 100; passed += 100) {
      own.jump(100);
      others.advance(100);
    }
    expect(lease.holds()).toBe(false);
    expect(JSON.parse((await bus.get(KEY))!.value)).toMatchObject({ id: 'h1' });
    others.advance(100);
    expect((await taking).holds()).toBe(true);
    expect(lease.holds()).toBe(false);
  });

  it('stops holding it while the bus is away, and holds it again when that comes back in time (L2)', async () => {
    let away = true;
    const flaky: Bus = Object.create(bus, {
      put: {
        value: (...args: Parameters<Bus['put']>) => (away ? Promise.reject(new TroupeError('BUS_UNAVAILABLE', 'away', { retryable: true })) : bus.put(...args)),
      },
    }) as Bus;
    const clock = new ManualClock();
    away = false;
    const lease = await take(clock, 'h1', { on: flaky });
    away = true;
    clock.advance(LEASE_MS / 3);
    await eventually('it tries again later', () => clock.waiting === 1);
    expect(lease.holds()).toBe(true);
    clock.advance(LEASE_MS / 3);
    await eventually('it tries again later', () => clock.waiting === 1);
    expect(lease.holds()).toBe(false);
    away = false;
    clock.advance(LEASE_MS / 3);
    await eventually('it holds it again', () => lease.holds());
  });

  it('counts a renewal from when it asked, not from when it was answered (L2)', async () => {
    let answer = () => {};
    let asked = 0;
    const slow: Bus = Object.create(bus, {
      put: {
        value: async (...args: Parameters<Bus['put']>) => {
          const revision = await bus.put(...args);
          if (++asked > 1) await new Promise<void>((resolve) => (answer = resolve));
          return revision;
        },
      },
    }) as Bus;
    const clock = new ManualClock();
    const lease = await take(clock, 'h1', { on: slow });
    clock.advance(LEASE_MS / 3);
    await eventually('it asks', () => asked === 2);
    clock.jump(LEASE_MS);
    answer();
    await eventually('it was answered', () => clock.waiting === 1);
    expect(lease.holds()).toBe(false);
  });

  it('knows its own renewal again when the answer to it was lost', async () => {
    let silent = false;
    const lossy: Bus = Object.create(bus, {
      put: {
        value: async (...args: Parameters<Bus['put']>) => {
          const revision = await bus.put(...args);
          if (silent) throw new TroupeError('BUS_UNAVAILABLE', 'no answer', { retryable: true });
          return revision;
        },
      },
    }) as Bus;
    const clock = new ManualClock();
    const lease = await take(clock, 'h1', { on: lossy });
    silent = true;
    clock.advance(LEASE_MS / 3);
    await eventually('it tries again later', () => clock.waiting === 1);
    silent = false;
    await renewed(clock);
    clock.advance(LEASE_MS / 3 - 1);
    expect(lease.holds()).toBe(true);
  });

  it('does not hold what somebody else has taken, and does not take that back', async () => {
    const clock = new ManualClock();
    const lease = await take(clock, 'h1');
    await bus.put(KEY, ownedElsewhere());
    clock.advance(LEASE_MS / 3);
    await eventually('it notices', () => !lease.holds());
    expect(clock.waiting).toBe(0);
    await lease.release();
    expect(JSON.parse((await bus.get(KEY))!.value)).toMatchObject({ id: 'other' });
  });

  it('does not let go what somebody else has taken in the meantime', async () => {
    const lease = await take(new ManualClock(), 'h1');
    await bus.put(KEY, ownedElsewhere());
    await lease.release();
    expect(JSON.parse((await bus.get(KEY))!.value)).toMatchObject({ id: 'other' });
  });

  it('lets it go, so that another one can take it at once', async () => {
    const clock = new ManualClock();
    const lease = await take(clock, 'h1');
    await renewed(clock);
    await lease.release();
    expect([lease.holds(), clock.waiting]).toEqual([false, 0]);
    expect((await take(clock, 'h2', { wait: false })).holds()).toBe(true);
  });

  it('lets it go also while it is being renewed', async () => {
    let answer = () => {};
    let asked = 0;
    const slow: Bus = Object.create(bus, {
      put: {
        value: async (...args: Parameters<Bus['put']>) => {
          const revision = await bus.put(...args);
          if (++asked > 1) await new Promise<void>((resolve) => (answer = resolve));
          return revision;
        },
      },
    }) as Bus;
    const clock = new ManualClock();
    const lease = await take(clock, 'h1', { on: slow });
    clock.advance(LEASE_MS / 3);
    await eventually('it asks', () => asked === 2);
    const released = lease.release();
    expect(lease.holds()).toBe(false);
    answer();
    await released;
    expect([lease.holds(), clock.waiting, await bus.get(KEY)]).toEqual([false, 0, undefined]);
  });
});
