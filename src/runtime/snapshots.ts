/**
 * Snapshots: an actor's state beside its log, so that whoever takes it over folds the rest only. They are a cache: deleting them
 * all changes nothing but time.
 */
import type { Bus } from '../bus/port.ts';
import type { Address } from '../protocols/ids.ts';
import type { Instance } from './instance.ts';
import type { Unit } from './unit.ts';

/** Before the address of the actor that a snapshot is of. */
export const SNAPSHOT_PREFIX = 'snapshot.';

/** Of a snapshot, that are worth an entry of the log: all snapshots of an actor together are about as long as what it heard. */
const CHARS_PER_ENTRY = 1_000;

/** Of the actors of a unit, by address. */
export const snapshotsOf = async (bus: Bus, prefix: string): Promise<ReadonlyMap<string, string>> => {
  const found = new Map<string, string>();
  for (const key of await bus.keys(`${SNAPSHOT_PREFIX}${prefix}`)) {
    const at = key.slice(SNAPSHOT_PREFIX.length);
    if (at !== prefix && !at.startsWith(`${prefix}.`)) continue;
    const stored = await bus.get(key);
    if (stored) found.set(at, stored.value);
  }
  return found;
};

/** Counts an entry that an actor has heard. Whether it is time for a snapshot; `every`: entries between two, 0 for none. */
export const isDue = ({ untilSnapshot }: Unit, address: Address, every: number): boolean => {
  if (every === 0) return false;
  const left = (untilSnapshot.get(address) ?? every) - 1;
  untilSnapshot.set(address, left);
  return left <= 0;
};

/** Messages that led up to a snapshot would not be said again, so it is stored only once they are durable. */
export const store = async (bus: Bus, { untilSnapshot, appends }: Unit, instance: Instance, every: number, isStopped: () => boolean): Promise<void> => {
  const { address } = instance;
  const frozen = instance.freeze();
  untilSnapshot.set(address, Math.max(every, Math.ceil(frozen.length / CHARS_PER_ENTRY)));
  await Promise.all(appends);
  if (!isStopped()) await bus.put(`${SNAPSHOT_PREFIX}${address}`, frozen);
};
