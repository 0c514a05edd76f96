import { spawnSync } from 'node:child_process';
import { hostname } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openEmbeddedBus } from '../../../src/bus/embedded/bus.ts';
import type { Bus } from '../../../src/bus/port.ts';
import { TroupeError } from '../../../src/protocols/failure.ts';
import { NOBODY, SHARED_LEASE, takeLease, takeLeaseAt } from '../../../src/runtime/lease.ts';
import { fence, hostOf, Presence } from '../../../src/runtime/presence.ts';
import { eventually } from '../../support/eventually.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const LEASE_MS = 3_000;
const UNIT = 'r-1';
const KEY = 'lease.r-1';

type Member = { readonly presence: Presence; readonly clock: ManualClock; readonly bus: Bus };

let bus: Bus;
const members: Member[] = [];
beforeEach(() => {
  bus = openEmbeddedBus({ path: ':memory:' });
});
afterEach(async () => {
  await Promise.all(members.splice(0).map(({ presence }) => presence.close()));
  await bus.close();
});

/** A host with a clock of its own. */
const host = async (id: string): Promise<Member> => {
  const clock = new ManualClock();
  const member = { presence: await Presence.open({ bus, clock, id, leaseMs: LEASE_MS }), clock, bus };
  members.push(member);
  return member;
};

/** A host of which no more is known than its record, and that has the unit. */
const owned = async ({ pid = 1, machine = 'another machine' }: { pid?: number; machine?: string } = {}): Promise<void> => {
  await bus.put('host.other', JSON.stringify({ id: 'other', pid, machine, startedAt: 0 }));
  await bus.put(KEY, 'other');
};

const owner = async (): Promise<string | undefined> => (await bus.get(KEY))?.value;
const revision = async (): Promise<number> => (await bus.get(KEY))?.revision ?? 0;
const fenced = async (id: string): Promise<boolean> => fence(bus, (await hostOf(bus, id))!);

const refusal = async (taking: Promise<unknown>): Promise<TroupeError> => {
  try {
    await taking;
  } catch (thrown) {
    if (thrown instanceof TroupeError) return thrown;
  }
  throw new Error('it was not refused');
};

describe('a unit that nobody has', () => {
  it('is taken at once, and its key names the host', async () => {
    const lease = await takeLease(UNIT, await host('h1'), { wait: false });
    expect([lease.holds(), await lease.confirm(), await owner()]).toEqual([true, true, 'h1']);
  });

  it('is taken by one of two who want it', async () => {
    const [one, other] = [await host('h1'), await host('h2')];
    const both = await Promise.allSettled([takeLease(UNIT, one, { wait: false }), takeLease(UNIT, other, { wait: false })]);
    expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
  });

  it('is taken as it was seen by one of two who saw it', async () => {
    const [one, other] = [await host('h1'), await host('h2')];
    const both = await Promise.all([takeLeaseAt(UNIT, 0, one), takeLeaseAt(UNIT, 0, other)]);
    expect(both.filter((lease) => lease !== undefined)).toHaveLength(1);
  });

  it('is taken without a look where nobody should have it, and with one where somebody has', async () => {
    const [one, other] = [await host('h1'), await host('h2')];
    const lease = await takeLease(UNIT, one, { fresh: true });
    expect(lease.holds()).toBe(true);
    expect((await refusal(takeLease(UNIT, other, { fresh: true, wait: false }))).code).toBe('RUN_HOSTED');
    expect((await refusal(takeLease(UNIT, one, { fresh: true }))).code).toBe('RUN_HOSTED');
    expect(await owner()).toBe('h1');
  });

  it('is not for a host that was fenced', async () => {
    const member = await host('h1');
    member.clock.jump(LEASE_MS);
    await fenced('h1');
    expect(await takeLeaseAt(UNIT, 0, member)).toBeUndefined();
    expect(await refusal(takeLease(UNIT, member))).toMatchObject({ code: 'RUN_LOST', retryable: true });
    expect(await owner()).toBeUndefined();
  });
});

describe('a unit that another host has', () => {
  it('is refused, with the name of its process, to who does not wait', async () => {
    await owned();
    const refused = await refusal(takeLease(UNIT, await host('h2'), { wait: false }));
    expect(refused).toMatchObject({ code: 'RUN_HOSTED', retryable: true });
    expect(refused.message).toContain('r-1 is hosted by process 1 on another machine');
  });

  it('is taken over when its host was silent for the length of a lease, and not before; the host is fenced first (L1, L3)', async () => {
    await owned();
    const member = await host('h2');
    const taking = takeLease(UNIT, member);
    await eventually('it waits', () => member.clock.waiting === 2);
    member.clock.jump(LEASE_MS - 1);
    expect([await owner(), (await hostOf(bus, 'other')) !== undefined]).toEqual(['other', true]);
    member.clock.advance(1);
    const lease = await taking;
    expect([await owner(), await hostOf(bus, 'other'), await lease.confirm()]).toEqual(['h2', undefined, true]);
  });

  it('is not taken over when its host was heard meanwhile (L1)', async () => {
    await owned();
    const member = await host('h2');
    const taking = refusal(takeLease(UNIT, member));
    await eventually('it waits', () => member.clock.waiting === 2);
    await bus.put('host.other', JSON.stringify({ id: 'other', pid: 1, machine: 'another machine', startedAt: 0 }));
    member.clock.advance(LEASE_MS);
    expect((await taking).code).toBe('RUN_HOSTED');
    expect(await owner()).toBe('other');
  });

  it('is taken at once when its host is known to be dead (L1)', async () => {
    await owned({ pid: spawnSync(process.execPath, ['--version']).pid, machine: hostname() });
    const lease = await takeLease(UNIT, await host('h2'), { wait: false });
    expect([lease.holds(), await owner(), await hostOf(bus, 'other')]).toEqual([true, 'h2', undefined]);
  });

  it('is not taken for that of a dead process because that one has the number of a dead one here (L1)', async () => {
    await owned({ pid: spawnSync(process.execPath, ['--version']).pid });
    expect((await refusal(takeLease(UNIT, await host('h2'), { wait: false }))).code).toBe('RUN_HOSTED');
  });

  it('is taken at once when its host is not on record', async () => {
    await bus.put(KEY, 'long gone');
    expect((await takeLease(UNIT, await host('h2'), { wait: false })).holds()).toBe(true);
  });

  it('is taken as it was seen only if that is how it is', async () => {
    const [one, other] = [await host('h1'), await host('h2')];
    const lease = await takeLease(UNIT, one);
    const seen = await revision();
    await lease.release();
    const again = await takeLease(UNIT, one);
    expect(await takeLeaseAt(UNIT, seen, other)).toBeUndefined();
    expect([await owner(), again.holds()]).toEqual(['h1', true]);
  });
});

describe('a lease', () => {
  it('lasts as long as its host renews its own record, and no key of its own', async () => {
    const member = await host('h1');
    const lease = await takeLease(UNIT, member);
    const written = await revision();
    for (let i = 0; i < 6; i++) {
      const before = (await hostOf(bus, 'h1'))!.revision;
      member.clock.advance(LEASE_MS / 3);
      await eventually('the host renews', async () => (await hostOf(bus, 'h1'))!.revision !== before && member.clock.waiting === 1);
      for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve)); // it hears of it
      expect(lease.holds()).toBe(true);
    }
    expect(await revision()).toBe(written);
  });

  it('is not sure any more when its host is not, and is when that has asked (L2)', async () => {
    const member = await host('h1');
    const lease = await takeLease(UNIT, member);
    member.clock.jump(LEASE_MS);
    expect([lease.holds(), await lease.confirm(), lease.holds()]).toEqual([false, true, true]);
  });

  it('is lost with its host, and the new one has it (L3)', async () => {
    const [one, other] = [await host('h1'), await host('h2')];
    const lease = await takeLease(UNIT, one);
    one.clock.jump(LEASE_MS);
    await fenced('h1');
    const taken = await takeLease(UNIT, other);
    expect([lease.holds(), await lease.confirm(), taken.holds()]).toEqual([false, false, true]);
  });

  it('that is let go can be taken by another at once', async () => {
    const [one, other] = [await host('h1'), await host('h2')];
    const lease = await takeLease(UNIT, one);
    await lease.release();
    expect([lease.holds(), await lease.confirm(), await owner()]).toEqual([false, false, undefined]);
    expect((await takeLease(UNIT, other, { wait: false })).holds()).toBe(true);
  });

  it('that is handed over leaves its key as nobody’s, for who looks for units without a host', async () => {
    const [one, other] = [await host('h1'), await host('h2')];
    const lease = await takeLease(UNIT, one);
    await lease.handOver();
    expect([lease.holds(), await lease.confirm(), await owner()]).toEqual([false, false, NOBODY]);
    expect((await takeLeaseAt(UNIT, await revision(), other))!.holds()).toBe(true);
    await lease.handOver();
    await lease.release();
    expect(await owner()).toBe('h2');
  });

  it('that was handed over is taken by who asks for it', async () => {
    const [one, other] = [await host('h1'), await host('h2')];
    await (await takeLease(UNIT, one)).handOver();
    expect((await takeLease(UNIT, other, { wait: false })).holds()).toBe(true);
  });

  it('that is let go a second time, or late, leaves the key of the new owner alone', async () => {
    const [one, other] = [await host('h1'), await host('h2')];
    const lease = await takeLease(UNIT, one);
    one.clock.jump(LEASE_MS);
    await fenced('h1');
    const taken = await takeLease(UNIT, other);
    await lease.release();
    await lease.release();
    expect([await owner(), taken.holds()]).toEqual(['h2', true]);
  });

  it('that many may have is never lost', async () => {
    await SHARED_LEASE.release();
    expect([SHARED_LEASE.holds(), await SHARED_LEASE.confirm()]).toEqual([true, true]);
  });
});
