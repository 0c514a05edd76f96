/**
 * Who hosts a unit: a key of the store that names a host. It keeps two hosts from doing the same work; should two believe that
 * they own a unit all the same, nothing is paid twice for it (calls.ts, H3). A lease lasts as long as its host's presence
 * (presence.ts), so that a host of a thousand units renews one record.
 */
import type { Bus } from '../bus/port.ts';
import { TroupeError } from '../protocols/failure.ts';
import type { Clock } from './clock.ts';
import { fence, hostOf, isKnownDead, pause, put, type HostRecord, type Presence } from './presence.ts';

export type Lease = {
  /** Whether nobody else has the unit while its host has it. */
  readonly isSole: boolean;
  /** Whether its host is sure to have it. */
  readonly holds: () => boolean;
  /** Whether its host has it; asks where it is not sure. */
  readonly confirm: () => Promise<boolean>;
  /** Lets it go, so that another one can take it at once. */
  release(): Promise<void>;
  /** Lets it go and leaves its key, as nobody's: whoever sees that knows that the unit waits for a host. */
  handOver(): Promise<void>;
};

/** For a unit that any number of hosts may have. */
export const SHARED_LEASE: Lease = {
  isSole: false,
  holds: () => true,
  confirm: () => Promise.resolve(true),
  release: () => Promise.resolve(),
  handOver: () => Promise.resolve(),
};

export const LEASE_PREFIX = 'lease.';
/** What a unit's key says when its host has handed it over. */
export const NOBODY = '';
const keyOf = (unit: string): string => `${LEASE_PREFIX}${unit}`;

export type LeaseOptions = { readonly bus: Bus; readonly clock: Clock; readonly presence: Presence };

/**
 * Takes the lease on a unit; `wait`: until its host is known to be silent; `fresh`: nobody should have it yet. Error: RUN_HOSTED
 * (retryable; another host has it), RUN_LOST (retryable; others have fenced this host).
 */
export const takeLease = async (
  unit: string,
  options: LeaseOptions,
  { fresh = false, wait = true }: { readonly fresh?: boolean; readonly wait?: boolean } = {},
): Promise<Lease> => {
  const { bus, presence } = options;
  const key = keyOf(unit);
  if (!(await presence.confirm())) throw new TroupeError('RUN_LOST', 'this process was silent for too long, and is only coming back', { retryable: true });
  const fences = watchFences(presence);
  for (let isFresh = fresh; ; isFresh = false) {
    const found = isFresh ? undefined : await bus.get(key);
    if (found) await freed(unit, found.value, options, wait);
    const revision = await put(bus, key, presence.id, found?.revision ?? 0, { lazy: isFresh });
    if (revision !== undefined) return leaseOf(key, revision, options, fences);
  }
};

/**
 * As `takeLease`, of a unit whose lease is as it was last seen: 0 if there is none. `undefined`: somebody else was first, or this
 * host was fenced: what it took then would be anybody's, and its own again when it rejoins.
 */
export const takeLeaseAt = async (unit: string, revision: number, options: LeaseOptions): Promise<Lease | undefined> => {
  if (!(await options.presence.confirm())) return undefined;
  const fences = watchFences(options.presence);
  const taken = await put(options.bus, keyOf(unit), options.presence.id, revision);
  if (taken !== undefined) return leaseOf(keyOf(unit), taken, options, fences);
  fences.stop();
  return undefined;
};

type Fences = { readonly isFenced: () => boolean; readonly stop: () => void };

/** From before a lease is asked for: a host that was fenced has lost it, also if it takes part again by the time that it hears of it. */
const watchFences = (presence: Presence): Fences => {
  let fenced = false;
  const stop = presence.onFenced(() => void (fenced = true));
  return { isFenced: () => fenced, stop };
};

const leaseOf = (key: string, revision: number, { bus, presence }: LeaseOptions, { isFenced, stop }: Fences): Lease => {
  let released = false;
  const isOver = (): boolean => released || isFenced();
  const letGo = async (write: () => Promise<unknown>): Promise<void> => {
    if (released) return;
    released = true;
    stop();
    await write().catch(() => {}); // nobody's but its new owner's, if it is not as it was
  };
  return {
    isSole: true,
    holds: () => !isOver() && presence.holds(),
    confirm: async () => !isOver() && (await presence.confirm()) && !isOver(),
    release: () => letGo(() => bus.delete(key, { expect: revision })),
    handOver: () => letGo(() => bus.put(key, NOBODY, { expect: revision })),
  };
};

/** Resolves when the host that has the unit is fenced. */
const freed = async (unit: string, host: string, { bus, clock, presence }: LeaseOptions, wait: boolean): Promise<void> => {
  const found = host === NOBODY ? undefined : await hostOf(bus, host);
  if (!found) return;
  if (host !== presence.id && isKnownDead(found.record) && (await fence(bus, found))) return;
  if (!wait || host === presence.id) throw hosted(unit, found.record);
  await pause(clock, presence.leaseMs);
  if (!(await fence(bus, found))) throw hosted(unit, found.record);
};

const hosted = (unit: string, { pid, machine }: HostRecord): TroupeError =>
  new TroupeError('RUN_HOSTED', `${unit} is hosted by process ${pid} on ${machine}: follow it from there, or stop that process first`, { retryable: true });
