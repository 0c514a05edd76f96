/** `troupe tail`: follows a run that others host, and ends as `troupe run` would have. */
import type { Bus } from '../bus/port.ts';
import { Progress } from '../observe/progress.ts';
import { unhostedParts } from '../topology/processes.ts';
import { watchRun, type RunWatch } from '../topology/watch-run.ts';
import { openDisplay, type Display } from './display.ts';
import { EXIT, printJson, say } from './exit.ts';
import { busArgument, resumeCommand, tailCommand } from './next-command.ts';
import { showEnd, showPaused, showWaiting, thresholdLine } from './outcome.ts';
import { listParts } from './parts.ts';
import { hearSignals, SIGNALS } from './signals.ts';
import { withBus } from './with-bus.ts';

export type TailOptions = { readonly bus: string; readonly json: boolean; readonly follow: boolean; readonly quiet: boolean };

export const tail = (run: string, options: TailOptions): Promise<number> => withBus(options.bus, (bus) => tailOn(bus, run, options));

/** Errors: RUN_UNKNOWN, RUN_UNREADABLE, RUN_VERSION, BUS_*. */
export const tailOn = async (bus: Bus, run: string, options: TailOptions): Promise<number> => {
  const { json, quiet } = options;
  const signals = hearSignals();
  const display = quiet ? undefined : json ? jsonLines() : openDisplay(process.stderr);
  const watch = await watchRun(bus, run, { see: (seen) => display?.see(seen), onThreshold: (reached) => display?.note(thresholdLine(reached)) });
  try {
    display?.begin();
    await watch.caughtUp;
    const stands = watch.end() ?? watch.idle();
    if (stands === undefined && !quiet) await sayWhoIsMissing(bus, watch, options.bus);
    const ended = options.follow ? await Promise.race([signals.first, watch.resultOrIdle]) : stands;
    if (typeof ended === 'string') return left(run, ended, options);
    if (ended === undefined) return underWay(watch, options);
    const idle = { ...options, next: tailCommand(run, options.bus) };
    if (ended.status === 'waiting') return showWaiting(ended, idle);
    return ended.status === 'paused' ? showPaused(ended, idle) : showEnd(ended, watch.record.team.budget.limitNanos, options);
  } finally {
    signals.stop();
    watch.stop();
  }
};

const underWay = (watch: RunWatch, { json }: TailOptions): number => {
  if (json) printJson({ run: watch.run, status: 'running' });
  else say(`${watch.run} has not ended`);
  return EXIT.done;
};

const left = (run: string, signal: keyof typeof SIGNALS, { json, bus }: TailOptions): number => {
  if (json) printJson({ run, status: 'left', signal });
  say(`${run} goes on without being watched; look again with: ${tailCommand(run, bus)}`);
  return SIGNALS[signal];
};

const sayWhoIsMissing = async (bus: Bus, { run, record }: RunWatch, address: string): Promise<void> => {
  const missing = await unhostedParts(bus, run, record, Date.now());
  if (missing.length === 0) return;
  if (record.hosting === 'together') say(`nobody hosts ${run}: go on with ${resumeCommand(run, address)}`);
  else say(`nobody plays ${listParts(missing)}: start that with troupe up or troupe agent, or here with troupe resume ${run}${busArgument(address)}`);
};

/** What an agent is at, one JSON object for each change. */
const jsonLines = (): Display => {
  const progress = new Progress();
  return {
    see: (seen) => {
      const line = progress.see(seen);
      if (!line) return;
      const { address: actor, doing, spentNanos, ended } = line;
      printJson({ at: seen.entry.at, position: seen.entry.position, actor, doing, spentNanos: spentNanos.toString(), ended });
    },
    note: (text) => printJson({ note: text }),
    begin: () => {},
  };
};
