/** `troupe rm`: removes runs from a bus, by name or by rule. */
import { TroupeError } from '../protocols/failure.ts';
import { removeRun, runsNamed, runsToRemove, type Removed } from '../topology/remove-run.ts';
import { listRuns } from '../topology/remote.ts';
import { EXIT, print, printJson, say } from './exit.ts';
import { withBus } from './with-bus.ts';

export type RmOptions = {
  readonly bus: string;
  readonly ended: boolean;
  readonly olderThan?: string;
  readonly keepLast?: number;
  readonly force: boolean;
  readonly dryRun: boolean;
  readonly json: boolean;
};

/** Errors: USAGE, RUN_UNKNOWN, RUN_NOT_ENDED, RUN_HOSTED. */
export const rm = (names: readonly string[], options: RmOptions): Promise<number> => {
  checkUsage(names, options);
  const { bus: address, json, dryRun, keepLast, force } = options;
  const olderThanMs = options.olderThan === undefined ? 0 : durationOf(options.olderThan);
  return withBus(address, async (bus) => {
    const rule = { now: Date.now(), olderThanMs, ...(keepLast !== undefined && { keepLast }) };
    const chosen = names.length > 0 ? await runsNamed(bus, names) : runsToRemove(await listRuns(bus), rule);
    const removed: Removed[] = [];
    for (const run of chosen) {
      const gone = await removeRun(bus, run, { force, dryRun });
      removed.push(gone);
      if (!json) print(`${gone.run}  ${run.status.padEnd(9)}  ${run.team}  ${gone.entries} entries in ${gone.logs} logs${dryRun ? '' : ' removed'}`);
    }
    if (json) printJson({ dryRun, removed });
    else say(`${removed.length} ${removed.length === 1 ? 'run' : 'runs'} ${dryRun ? 'would be removed' : 'removed'}`);
    return EXIT.done;
  });
};

const checkUsage = (names: readonly string[], { ended, olderThan, keepLast, force }: RmOptions): void => {
  const byRule = ended || olderThan !== undefined || keepLast !== undefined;
  if (names.length === 0 && !ended)
    throw new TroupeError('USAGE', 'expected runs, or --ended for those that have ended (with --older-than 7d or --keep-last 20); see troupe rm --help');
  if (names.length > 0 && byRule)
    throw new TroupeError('USAGE', 'expected either runs or a rule: leave out the runs, or --ended, --older-than and --keep-last');
  if (names.length === 0 && force) throw new TroupeError('USAGE', '--force is for runs that are named: a rule takes only those that have ended');
};

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

const durationOf = (given: string): number => {
  const found = /^(\d{1,6})([smhd])$/.exec(given);
  if (!found) throw new TroupeError('USAGE', `--older-than ${given}: expected a number and s, m, h or d, such as 7d`);
  return Number(found[1]) * UNITS[found[2]!]!;
};
