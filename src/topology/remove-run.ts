/** Removes what a bus keeps of a run. What it spent of an account that runs share stays in that account's books. */
import type { Bus } from '../bus/port.ts';
import { TroupeError } from '../protocols/failure.ts';
import type { RunId } from '../protocols/ids.ts';
import { LEASE_PREFIX } from '../runtime/lease.ts';
import { livingHosts } from '../runtime/presence.ts';
import { leasesOn } from './processes.ts';
import { listRuns, type RunSummary } from './remote.ts';
import { openKey } from './service.ts';
import { unknownRun } from './unknown-run.ts';

export type Removed = { readonly run: RunId; readonly logs: number; readonly entries: number };

/**
 * Its record goes last, so that a removal that was broken off can be made again. Errors: RUN_NOT_ENDED (without `force`),
 * RUN_HOSTED (a process has it still; `force` changes nothing about that).
 */
export const removeRun = async (bus: Bus, { id: run, status }: Pick<RunSummary, 'id' | 'status'>, { force = false, dryRun = false } = {}): Promise<Removed> => {
  if (status === 'running') {
    if (!force)
      throw new TroupeError('RUN_NOT_ENDED', `${run} has not ended: end it with troupe cancel ${run} --why ..., or remove it unfinished with --force`);
    await refuseHosted(bus, run);
  }
  const logs = new Map<string, { last: number; entries: number }>();
  for await (const { log, position } of bus.read(`${run}.>`)) logs.set(log, { last: position, entries: (logs.get(log)?.entries ?? 0) + 1 });
  const entries = [...logs.values()].reduce((sum, log) => sum + log.entries, 0);
  if (!dryRun) {
    for (const [log, { last }] of logs) await bus.cut(log, last + 1);
    const below = await Promise.all([`snapshot.${run}.`, `${LEASE_PREFIX}${run}.`].map((prefix) => bus.keys(prefix)));
    await Promise.all([...below.flat(), `${LEASE_PREFIX}${run}`, openKey(run)].map((key) => bus.delete(key)));
    await bus.delete(`run.${run}`);
  }
  return { run, logs: logs.size, entries };
};

const refuseHosted = async (bus: Bus, run: RunId): Promise<void> => {
  const [hosts, leases] = await Promise.all([livingHosts(bus, Date.now()), leasesOn(bus, run)]);
  const host = hosts.find(({ id }) => [...leases].some(([unit, by]) => by === id && (unit === run || unit.startsWith(`${run}.`))));
  if (host)
    throw new TroupeError(
      'RUN_HOSTED',
      `${run} is hosted by process ${host.pid} on ${host.machine}: end it with troupe cancel ${run} --why ..., or stop that process first`,
    );
};

/** The runs of these names. Error: RUN_UNKNOWN. */
export const runsNamed = async (bus: Bus, names: readonly string[]): Promise<readonly RunSummary[]> => {
  const listed = await listRuns(bus);
  return names.map((name) => {
    const found = listed.find(({ id }) => id === name);
    if (!found) throw unknownRun(bus, name);
    return found;
  });
};

/** Which runs a rule removes: those that ended so long ago, but for the newest. */
export const runsToRemove = (
  listed: readonly RunSummary[],
  { now, olderThanMs, keepLast = 0 }: { readonly now: number; readonly olderThanMs: number; readonly keepLast?: number },
): readonly RunSummary[] => {
  const ended = listed.filter(({ endedAt }) => endedAt !== undefined).toSorted((a, b) => a.endedAt! - b.endedAt!);
  return ended.slice(0, Math.max(0, ended.length - keepLast)).filter(({ endedAt }) => now - endedAt! >= olderThanMs);
};
