/**
 * Who hosts a unit: a key of the store that its owner renews. It keeps two hosts from doing the same work; should two believe
 * that they own a unit all the same, nothing is paid twice for it (host.ts, H3).
 *
 *   L1  A unit is taken over when its key has not changed for the length of a lease, by the clock of whoever waits: no two
 *       clocks have to agree. An owner that is known to be dead is not waited for.
 *   L2  An owner stops holding it, by its own clock, before anybody else can take it over.
 */
import { hostname } from 'node:os';
import type { Bus } from '../bus/port.ts';
import { TroupeError } from '../protocols/failure.ts';
import type { Clock } from './clock.ts';

export type LeaseOptions = {
  readonly bus: Bus;
  readonly clock: Clock;
  /** Of the host, unique for each start of a process. */
  readonly id: string;
  readonly leaseMs?: number;
};

export type Lease = {
  readonly holds: () => boolean;
  /** Lets it go, so that another one can take it at once. */
  release(): Promise<void>;
};

type Owner = { readonly id: string; readonly pid: number; readonly machine: string };

/** An owner that is busy for two thirds of it loses nothing. */
const LEASE_MS = 15_000;

/**
 * Takes the lease on a unit, waiting for it to run out if `wait`; `fresh`: nobody can have it yet. Error: RUN_HOSTED (retryable;
 * somebody else holds it).
 */
export const takeLease = async (
  unit: string,
  options: LeaseOptions,
  { fresh = false, wait = true }: { fresh?: boolean; wait?: boolean } = {},
): Promise<Lease> => {
  const { bus, clock, id, leaseMs = LEASE_MS } = options;
  const key = `lease.${unit}`;
  const value = JSON.stringify({ id, pid: process.pid, machine: hostname() } satisfies Owner);
  for (;;) {
    const found = fresh ? undefined : await bus.get(key);
    if (found && !isGone(JSON.parse(found.value) as Owner)) {
      const { pid, machine } = JSON.parse(found.value) as Owner;
      const held = new TroupeError('RUN_HOSTED', `${unit} is hosted by process ${pid} on ${machine}: follow it from there, or stop that process first`, {
        retryable: true,
      });
      if (!wait) throw held;
      await pause(clock, leaseMs);
      if ((await bus.get(key))?.revision !== found.revision) throw held;
    }
    const revision = await put(bus, key, value, found?.revision ?? 0);
    if (revision !== undefined) return renew(key, value, revision, options, leaseMs);
  }
};

const renew = (key: string, value: string, first: number, { bus, clock }: LeaseOptions, leaseMs: number): Lease => {
  let revision: number | undefined = first;
  // L2: a third of the lease is kept back for what is slow on the way.
  let until = clock.now() + (leaseMs * 2) / 3;
  let released = false;
  let renewing = Promise.resolve();
  let stop = () => {};
  const next = (): void => {
    if (!released) stop = clock.after(leaseMs / 3, () => void (renewing = again()));
  };
  const again = async (): Promise<void> => {
    const asked = clock.now();
    try {
      revision = revision === undefined ? undefined : ((await put(bus, key, value, revision)) ?? (await reclaim(bus, key, value)));
    } catch {
      return next(); // the bus may come back in time
    }
    if (revision === undefined) return; // somebody else has it
    until = asked + (leaseMs * 2) / 3;
    next();
  };
  next();
  return {
    holds: () => !released && revision !== undefined && clock.now() < until,
    release: async () => {
      released = true;
      stop();
      await renewing; // the key is deleted only as it is known to be
      const last = revision;
      revision = undefined;
      if (last !== undefined) await bus.delete(key, { expect: last }).catch(() => {});
    },
  };
};

/** A renewal whose answer was lost may have been written: then the key says who has it, and it is written once more. */
const reclaim = async (bus: Bus, key: string, value: string): Promise<number | undefined> => {
  const found = await bus.get(key);
  return found?.value === value ? put(bus, key, value, found.revision) : undefined;
};

/** The new revision, or `undefined` if it is no longer the expected one. */
const put = async (bus: Bus, key: string, value: string, expect: number): Promise<number | undefined> => {
  try {
    return await bus.put(key, value, { expect });
  } catch (thrown) {
    if (thrown instanceof TroupeError && thrown.code === 'BUS_CONFLICT') return undefined;
    throw thrown;
  }
};

/** Only of a process of this machine can that be known. */
const isGone = ({ pid, machine }: Owner): boolean => {
  if (machine !== hostname() || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return false;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === 'ESRCH';
  }
};

const pause = (clock: Clock, ms: number): Promise<void> => new Promise((resolve) => void clock.after(ms, resolve));
