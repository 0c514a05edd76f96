/** Who hosts what: the processes on record, and the leases that name them. For people; nothing is decided by it. */
import type { Bus } from '../bus/port.ts';
import type { RunId } from '../protocols/ids.ts';
import { LEASE_PREFIX, NOBODY } from '../runtime/lease.ts';
import { isKnownDead, listHosts, livingHosts, type HostRecord } from '../runtime/presence.ts';
import type { RunRecord } from './run-record.ts';
import { missingParts } from './submit.ts';

export type TroupeProcess = {
  readonly record: HostRecord;
  /** It is known to have died, and nobody has taken it off the record yet. */
  readonly dead: boolean;
  /** Runs that it hosts whole, and single actors. Those that any number of processes host at once are not among them. */
  readonly units: readonly string[];
};

/** The processes on record, the oldest first. */
export const listProcesses = async (bus: Bus, now: number): Promise<readonly TroupeProcess[]> => {
  const [hosts, leases] = await Promise.all([listHosts(bus, now), leasesOn(bus)]);
  return hosts
    .map(({ record }) => ({ record, dead: isKnownDead(record), units: [...leases].flatMap(([unit, host]) => (host === record.id ? [unit] : [])).sort() }))
    .toSorted((a, b) => a.record.startedAt - b.record.startedAt);
};

/** Which host each unit's lease names. */
export const leasesOn = async (bus: Bus, below = ''): Promise<ReadonlyMap<string, string>> => {
  const keys = await bus.keys(`${LEASE_PREFIX}${below}`);
  const found = await Promise.all(keys.map((key) => bus.get(key)));
  return new Map(found.flatMap((stored) => (stored && stored.value !== NOBODY ? [[stored.key.slice(LEASE_PREFIX.length), stored.value] as const] : [])));
};

/** The parts of a run that nobody plays; of one that is hosted as a whole, `whole` when nobody hosts it. Empty: it goes on. */
export const unhostedParts = async (bus: Bus, run: RunId, { hosting, team }: Pick<RunRecord, 'hosting' | 'team'>, now: number): Promise<readonly string[]> => {
  const hosts = await livingHosts(bus, now);
  if (hosting === 'apart') return missingParts(team, hosts);
  const host = (await bus.get(`${LEASE_PREFIX}${run}`))?.value;
  return hosts.some(({ id }) => id === host) ? [] : ['whole'];
};
