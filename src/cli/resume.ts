/** `troupe resume`: goes on with a run, whichever way it is hosted. */
import { openBus } from '../bus/open.ts';
import { standardModels, standardTools } from '../topology/standard.ts';
import { unhostedParts } from '../topology/processes.ts';
import { recordOf } from '../topology/remote.ts';
import { Service } from '../topology/service.ts';
import { say } from './exit.ts';
import { logStep, openLog, type LogOptions } from './log.ts';
import { listParts } from './parts.ts';
import { run as runWhole } from './run.ts';
import { refuseMemory } from './serve.ts';
import { tailOn } from './tail.ts';
import { version } from './version.ts';
import { withBus } from './with-bus.ts';

export type ResumeOptions = LogOptions & { readonly bus: string; readonly json: boolean; readonly quiet: boolean };

/** Actors of the run at once. */
const CONCURRENCY = 64;

export const resume = async (run: string, options: ResumeOptions): Promise<number> => {
  refuseMemory(options.bus);
  const { hosting } = await withBus(options.bus, (bus) => recordOf(bus, run));
  return hosting === 'together' ? runWhole(undefined, undefined, { ...options, resume: run }) : withMissing(run, options);
};

/** Plays here what nobody else plays, of this run only, until it ends. */
const withMissing = async (run: string, options: ResumeOptions): Promise<number> => {
  const bus = await openBus(options.bus);
  const record = await recordOf(bus, run);
  const plays = await unhostedParts(bus, record.id, record, Date.now());
  const log = openLog(options);
  const service =
    plays.length === 0
      ? undefined
      : await Service.open({
          bus,
          team: record.team,
          plays,
          run: record.id,
          concurrency: CONCURRENCY,
          version,
          models: standardModels(),
          tools: standardTools(),
          observe: (seen) => logStep(log, seen),
        });
  try {
    if (!options.quiet) say(service ? `plays ${listParts(plays)} of ${run} here, until it ends` : `every part of ${run} is played`);
    const tailing = tailOn(bus, run, { ...options, follow: true });
    return await (service ? Promise.race([tailing, service.failed]) : tailing);
  } finally {
    await service?.close();
    await bus.close();
  }
};
