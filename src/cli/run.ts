/** `troupe run`: starts or resumes a run, shows how it goes, and prints the answer. */
import { DEFAULT_BUS, isInMemory, openBus } from '../bus/open.ts';
import { TroupeError } from '../protocols/failure.ts';
import type { Citation } from '../protocols/formats.ts';
import { formatDollars } from '../protocols/money.ts';
import { formatProblem } from '../topology/problem.ts';
import { loadTeam } from '../topology/load.ts';
import { resolveTeam } from '../topology/resolve.ts';
import { Troupe, type Paused, type Run, type Threshold, type Waiting } from '../topology/start.ts';
import { standardCatalogue, standardModels, standardTools } from '../topology/standard.ts';
import type { RunResult } from '../topology/run-result.ts';
import type { Team } from '../topology/team.ts';
import { openDisplay } from './display.ts';
import { EXIT, exitCodeOf, fail, failureJson, print, printJson, say, tell } from './exit.ts';
import { logStep, openLog, type LogOptions } from './log.ts';
import { busArgument, GONE, resumeCommand } from './next-command.ts';
import { deadlineOf, questionJson } from './question.ts';
import { oneLine } from './redact.ts';

export type RunOptions = LogOptions & {
  readonly input?: Readonly<Record<string, string>>;
  readonly bus: string;
  readonly budget?: string;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly resume?: string;
};

const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;
type Signal = keyof typeof SIGNALS;

export const run = async (file: string | undefined, task: string | undefined, options: RunOptions): Promise<number> => {
  checkUsage(file, options);
  const team = file === undefined ? undefined : await teamOf(file, task, options);
  const log = openLog(options);
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
    },
    onThreshold: (reached) => {
      log.info({ ...reached }, 'threshold');
      display?.note(thresholdLine(reached));
    },
  });
  let started: Run | undefined;
  try {
    const begun = await Promise.race([signals.first, team ? troupe.start(team) : troupe.resume(options.resume!)]);
    if (typeof begun === 'string') return left(options.resume, begun, options);
    started = begun;
    if (!options.quiet) say(headline(started, options.bus));
    display?.begin();
    log.info({ run: started.id, team: started.team.name, models: started.models, bus: bus.name }, team ? 'started' : 'resumed');
    const ended = await Promise.race([signals.first, started.resultOrIdle]);
    if (typeof ended === 'string') return left(started.id, ended, options);
    if (ended.status === 'waiting') return waiting(ended, options);
    return ended.status === 'paused' ? paused(ended, options) : end(ended, started, options);
  } catch (thrown) {
    if (!started) throw thrown;
    // RUN_LOST, or the bus is gone: the run itself has not ended.
    const exitCode = fail(thrown, { json: options.json, run: started.id, ...leftJson(started.id, options.bus) });
    say(howToGoOn(started.id, options.bus));
    return exitCode;
  } finally {
    signals.stop();
    await troupe.close();
    await bus.close();
  }
};

const checkUsage = (file: string | undefined, { resume, budget, input, bus }: RunOptions): void => {
  if (file === undefined && resume === undefined)
    throw new TroupeError('USAGE', 'expected a team file, or --resume with the id of a run; see troupe run --help');
  if (resume === undefined) return;
  if (isInMemory(bus)) throw new TroupeError('USAGE', '--resume needs the bus that the run is on, and a bus in memory is gone with its process');
  const beside = [...(file === undefined ? [] : ['a file']), ...(budget === undefined ? [] : ['--budget']), ...(input === undefined ? [] : ['--input'])];
  if (beside.length > 0) throw new TroupeError('USAGE', `--resume goes on with what the run was started with: leave out ${beside.join(' and ')}`);
};

const teamOf = async (file: string, task: string | undefined, { input, budget, quiet }: RunOptions): Promise<Team> => {
  const loaded = await loadTeam(file, { cwd: process.cwd(), catalogue: standardCatalogue(), ...(input && { inputs: input }), budget });
  if (!quiet) for (const warning of loaded.warnings) say(formatProblem(warning));
  return resolveTeam(loaded.file, loaded.inputs, task);
};

const headline = ({ id, team, models }: Run, bus: string): string => {
  const named = [...new Set(Object.values(models))].join(', ');
  return `${id}: team ${team.name} on ${named}, budget ${formatDollars(BigInt(team.budget.limitNanos))}${bus === DEFAULT_BUS ? '' : `, bus ${bus}`}`;
};

const thresholdLine = ({ account, percent, spentNanos, limitNanos }: Threshold): string =>
  `budget of ${account}: ${percent} % is spent, ${formatDollars(BigInt(spentNanos))} of ${formatDollars(BigInt(limitNanos))}`;

/** From here on a signal does not end the process: whoever waits for `first` does. A second one does. */
const hearSignals = (): { readonly first: Promise<Signal>; stop(): void } => {
  const { promise: first, resolve } = Promise.withResolvers<Signal>();
  const names = Object.keys(SIGNALS) as Signal[];
  for (const name of names) process.once(name, resolve);
  return { first, stop: () => names.forEach((name) => process.removeListener(name, resolve)) };
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

const sourceLines = (citations: readonly Citation[]): string[] =>
  citations.map(({ file, line, quote }, index) => `[${index + 1}] ${oneLine(file)}:${line} ${JSON.stringify(quote)}`);

const figures = ({ spending, durationMs }: RunResult, { id, team }: Run): string => {
  const limit = BigInt(spending?.limitNanos ?? team.budget.limitNanos);
  const money = spending
    ? `spent ${formatDollars(BigInt(spending.spentNanos))} of ${formatDollars(limit)}, ${formatDollars(limit - BigInt(spending.spentNanos) - BigInt(spending.heldNanos))} left`
    : `spent an unknown part of ${formatDollars(limit)}: the account did not answer`;
  const held = spending && spending.heldNanos !== '0' ? ` (${formatDollars(BigInt(spending.heldNanos))} held for calls whose end is unknown)` : '';
  return `${money}${held} · ${(durationMs / 1000).toFixed(1)} s · run ${id}`;
};

const end = (result: RunResult, started: Run, { json, quiet }: RunOptions): number => {
  const { status, answer, citations, failure, spending, durationMs } = result;
  if (json) {
    const limitNanos = spending?.limitNanos ?? started.team.budget.limitNanos;
    const shared = {
      run: started.id,
      status,
      ...(answer !== undefined && { answer }),
      citations,
      ...(spending && { spentNanos: spending.spentNanos, heldNanos: spending.heldNanos }),
      limitNanos,
      durationMs,
    };
    printJson(failure ? { ...shared, failure: failureJson(failure) } : shared);
  } else if (answer !== undefined) {
    print([answer, ...(citations.length > 0 ? ['', ...sourceLines(citations)] : [])].join('\n'));
  }
  if (failure) tell(failure);
  if (failure?.code === 'BUDGET_EXHAUSTED')
    say('start it again with a higher --budget, or with on_exhausted: pause in its file, so that it waits for more money');
  if (!quiet) say(figures(result, started));
  return failure ? exitCodeOf(failure) : EXIT.done;
};

const waiting = ({ run: id, questions }: Waiting, { json, bus }: RunOptions): number => {
  if (json) printJson({ run: id, status: 'waiting', questions: questions.map(questionJson) });
  const resume = resumeCommand(id, bus);
  for (const asked of questions) {
    say(`waiting for a person: ${asked.question} (${deadlineOf(asked)})`);
    if (resume !== undefined) say(`  troupe approve ${id} ${asked.approval}${busArgument(bus)}          (or --deny, and --note "why")`);
  }
  say(resume === undefined ? GONE : `then: ${resume}`);
  return EXIT.waiting;
};

const paused = ({ run: id, failure, spending }: Paused, { json, bus }: RunOptions): number => {
  if (json) printJson({ run: id, status: 'paused', citations: [], ...spending, failure: failureJson(failure) });
  tell(failure);
  const resume = resumeCommand(id, bus);
  if (resume === undefined) {
    say(GONE);
    return EXIT.budget;
  }
  const { code, details } = failure;
  say('the run is paused, and everything that was paid is kept. To go on:');
  const account = details['account'] === undefined || details['account'] === id ? '' : ` --account ${details['account'] as string}`;
  const command = code === 'BUDGET_EXHAUSTED' ? `raise ${id} 0.05${account} --why "worth it"` : `freeze ${id} --thaw${account} --why "looked at"`;
  say(`  troupe budget ${command}${busArgument(bus)}`);
  say(`  ${resume}`);
  return EXIT.budget;
};
