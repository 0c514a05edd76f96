/** `troupe run`: starts or resumes a run, shows how it goes, and prints the answer. */
import { DEFAULT_BUS, isInMemory, openBus } from '../bus/open.ts';
import type { Bus } from '../bus/port.ts';
import type { Inspector } from '../observe/inspector.ts';
import { TroupeError } from '../protocols/failure.ts';
import { formatDollars } from '../protocols/money.ts';
import { inSession } from '../topology/session.ts';
import { Troupe, type Run } from '../topology/start.ts';
import { standardModels, standardTools } from '../topology/standard.ts';
import type { Team } from '../topology/team.ts';
import { detach } from './detach.ts';
import { openDisplay } from './display.ts';
import { fail, printJson, say } from './exit.ts';
import { logStep, openLog, type LogOptions } from './log.ts';
import { GONE, resumeCommand } from './next-command.ts';
import { showEnd, showPaused, showWaiting, thresholdLine } from './outcome.ts';
import { safeJson } from './redact.ts';
import { hearSignals, SIGNALS, type Signal } from './signals.ts';
import { teamOf } from './team-of.ts';

export type RunOptions = LogOptions & {
  readonly input?: Readonly<Record<string, string>>;
  readonly bus: string;
  readonly budget?: string;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly resume?: string;
  readonly detach?: boolean;
  readonly session?: string;
  /** The port of an inspector. */
  readonly inspect?: number;
};

export const run = async (file: string | undefined, task: string | undefined, options: RunOptions): Promise<number> => {
  checkUsage(file, options);
  const team = file === undefined ? undefined : await teamOf(file, task, options);
  if (team && options.detach) return detach(file!, team, options);
  const log = openLog(options);
  const inspector = options.inspect === undefined ? undefined : await openInspector(options.inspect);
  const signals = hearSignals();
  const bus = await openBus(options.bus);
  const display = options.quiet ? undefined : openDisplay(process.stderr);
  const troupe = await Troupe.open({
    bus,
    models: standardModels(),
    tools: standardTools(),
    observe: (seen) => {
      logStep(log, seen);
      if (!seen.replayed) display?.see(seen);
      inspector?.see(seen);
    },
    onReach: (reachable) => {
      log.warn({ bus: options.bus, reachable }, 'bus');
      display?.note(reachable ? 'the bus answers again' : `the bus does not answer, and nothing is begun until it does: ${options.bus}`);
    },
    onThreshold: (reached) => {
      log.info({ ...reached }, 'threshold');
      display?.note(thresholdLine(reached));
    },
  });
  let started: Run | undefined;
  try {
    const begin = async (): Promise<Run> => {
      await inspector?.watched;
      return team ? startIn(troupe, bus, team, options) : troupe.resume(options.resume!);
    };
    const begun = await Promise.race([signals.first, begin()]);
    if (typeof begun === 'string') return left(options.resume, begun, options);
    started = begun;
    if (!options.quiet) say(headline(started, options.bus));
    display?.begin();
    log.info({ run: started.id, team: started.team.name, models: started.models, bus: bus.name }, team ? 'started' : 'resumed');
    const ended = await Promise.race([signals.first, started.resultOrIdle]);
    if (typeof ended === 'string') return left(started.id, ended, options);
    const idle = { ...options, next: resumeCommand(started.id, options.bus) };
    if (ended.status === 'waiting') return showWaiting(ended, idle);
    return ended.status === 'paused' ? showPaused(ended, idle) : showEnd(ended, started.team.budget.limitNanos, options);
  } catch (thrown) {
    if (!started) throw thrown;
    // RUN_LOST, or the bus is gone: the run itself has not ended.
    const exitCode = fail(thrown, { json: options.json, run: started.id, ...leftJson(started.id, options.bus) });
    say(howToGoOn(started.id, options.bus));
    return exitCode;
  } finally {
    signals.stop();
    await troupe.close();
    await inspector?.close();
    await bus.close();
  }
};

/** In the session that was named, with what was said there before. */
const startIn = async (troupe: Troupe, bus: Bus, team: Team, { session }: RunOptions): Promise<Run> =>
  troupe.start(session === undefined ? team : await inSession(bus, session, team));

const openInspector = async (port: number): Promise<Inspector> => {
  const { Inspector } = await import('../observe/inspector.ts');
  const inspector = await Inspector.open({ port, toJson: safeJson });
  say(`the run begins when somebody watches: open ${inspector.url}`);
  return inspector;
};

const checkUsage = (file: string | undefined, { resume, budget, input, detach: apart = false, inspect, bus, session }: RunOptions): void => {
  if (file === undefined && resume === undefined)
    throw new TroupeError('USAGE', 'expected a team file, or --resume with the id of a run; see troupe run --help');
  if (apart && isInMemory(bus)) throw new TroupeError('USAGE', '--detach needs a bus that other processes reach: a file or a server, and not memory');
  if (apart && inspect !== undefined) throw new TroupeError('USAGE', '--inspect shows what this process hosts, and with --detach it hosts nothing');
  if (apart && session !== undefined) throw new TroupeError('USAGE', '--session needs the end of the run, which --detach does not wait for');
  if (resume === undefined) return;
  if (isInMemory(bus)) throw new TroupeError('USAGE', '--resume needs the bus that the run is on, and a bus in memory is gone with its process');
  const beside = [
    ...(file === undefined ? [] : ['a file']),
    ...(budget === undefined ? [] : ['--budget']),
    ...(input === undefined ? [] : ['--input']),
    ...(apart ? ['--detach'] : []),
    ...(session === undefined ? [] : ['--session']),
  ];
  if (beside.length > 0) throw new TroupeError('USAGE', `--resume goes on with what the run was started with: leave out ${beside.join(' and ')}`);
};

const headline = ({ id, team, models, limitNanos }: Run, bus: string): string => {
  const named = [...new Set(Object.values(models))].join(', ');
  return `${id}: team ${team.name} on ${named}, budget ${formatDollars(BigInt(limitNanos))}${bus === DEFAULT_BUS ? '' : `, bus ${bus}`}`;
};

/** Of a run that has not ended and is hosted here no longer: the command that goes on, if one can. */
const leftJson = (run: string, bus: string) => {
  const resume = resumeCommand(run, bus);
  return { status: 'left', ...(resume !== undefined && { resume }) };
};

const howToGoOn = (run: string, bus: string): string => {
  const resume = resumeCommand(run, bus);
  return resume === undefined ? GONE : `go on with: ${resume}`;
};

/** A signal came; before there was a run there is none to go on with. */
const left = (run: string | undefined, signal: Signal, { json, bus }: RunOptions): number => {
  if (json) printJson({ ...(run === undefined ? { status: 'left' } : { run, ...leftJson(run, bus) }), signal });
  if (run === undefined) say(`stopped by ${signal} before there was a run`);
  else say(isInMemory(bus) ? `stopped by ${signal}; ${GONE}` : `stopped; nothing is lost. G${howToGoOn(run, bus).slice(1)}`);
  return SIGNALS[signal];
};
