/** What is stored of a run under `run.<id>`, so that any process can go on with it. */
import { z } from 'zod';
import type { Bus } from '../bus/port.ts';
import { TroupeError } from '../protocols/failure.ts';
import { RunId } from '../protocols/ids.ts';
import { mismatches } from '../protocols/mismatch.ts';
import { chartVersions } from './charts.ts';
import { Team } from './team.ts';

export const RunRecord = z.object({
  team: Team,
  models: z.record(z.string(), z.string()),
  startedAt: z.number(),
  /** `together`: by one process; `apart`: each agent by those that play it. */
  hosting: z.enum(['together', 'apart']).default('together'),
  /** Versions of the charts that it began with. */
  charts: z.record(z.string(), z.number()).default(chartVersions),
});
export type RunRecord = z.infer<typeof RunRecord>;

/** Whether there is nothing of a run any more that could go on; of what is no run, no. */
export const isRemoved = async (bus: Bus, run: string): Promise<boolean> => RunId.safeParse(run).success && (await bus.get(`run.${run}`)) === undefined;

const Head = z.object({ team: z.object({ name: z.string() }), startedAt: z.number(), hosting: z.enum(['together', 'apart']).default('together') });

/** What can be said of a run also when another version began it; `undefined`: nothing. */
export const readHead = (stored: string): z.infer<typeof Head> | undefined => {
  try {
    return Head.safeParse(JSON.parse(stored)).data;
  } catch {
    return undefined;
  }
};

/** What was stored. Errors: RUN_UNREADABLE, RUN_VERSION (it began with charts of another version). */
export const readRecord = (run: string, stored: string): RunRecord => {
  const unreadable = (why: string): TroupeError =>
    new TroupeError('RUN_UNREADABLE', `what the bus has of ${run} cannot be read: ${why}; use the troupe that wrote it, or a copy of the bus from before`);
  let value: unknown;
  try {
    value = JSON.parse(stored);
  } catch (thrown) {
    throw unreadable((thrown as Error).message);
  }
  const parsed = RunRecord.safeParse(value);
  if (!parsed.success) throw unreadable(mismatches(parsed.error, value, 'record'));
  const other = Object.entries(parsed.data.charts).find(([chart, version]) => chartVersions[chart] !== version);
  if (other) {
    const [chart, version] = other;
    throw new TroupeError(
      'RUN_VERSION',
      `${run} began with version ${version} of the chart ${chart}, and this troupe has ${chartVersions[chart] ?? 'none'}: end it with the troupe that started it`,
      { details: { run, chart, began: version, here: chartVersions[chart] } },
    );
  }
  return parsed.data;
};
