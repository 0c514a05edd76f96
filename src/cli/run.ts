/** `troupe run`: starts or resumes a run, shows how it goes, and prints the answer. */
import { DEFAULT_BUS, openBus } from '../bus/open.ts';
import { TroupeError } from '../protocols/failure.ts';
import type { Citation } from '../protocols/formats.ts';
import { formatDollars } from '../protocols/money.ts';
import { formatProblem } from '../topology/problem.ts';
import { loadTeam } from '../topology/load.ts';
import { resolveTeam } from '../topology/resolve.ts';
import {
  standardCatalogue,
  standardModels,
  standardTools,
  Troupe,
  type Paused,
  type Run,
  type RunResult,
  type Threshold,
  type Waiting,
} from '../topology/start.ts';
import type { Team } from '../topology/team.ts';
import { openDisplay } from './display.ts';
import { EXIT, exitCodeOf, print, printJson, say, tell } from './exit.ts';
import { logStep, openLog, type LogOptions } from './log.ts';

export type RunOptions = LogOptions & {
  readonly input?: Readonly<Record<string, string>>;
  readonly bus: string;
  readonly budget?: string;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly resume?: string;
};

const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;

export const run = async (file: string | undefined, task: string | undefined, options: RunOptions): Promise<number> => {
  checkUsage(file, options);
  const team = file === undefined ? undefined : await teamOf(file, task, options);
  const log = openLog(options);
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
  try {
    const started = team ? await troupe.start(team) : await troupe.resume(options.resume!);
    if (!options.quiet) say(headline(started, options.bus));
    display?.begin();
    log.info({ run: started.id, team: started.team.name, models: started.models, bus: bus.name }, team ? 'started' : 'resumed');
    const ended = await orSignal(started);
    if (typeof ended === 'number') return stoppedBy(started, ended, options.bus);
    if (ended.status === 'waiting') return waiting(ended, options);
    return ended.status === 'paused' ? paused(ended, options) : end(ended, started, options);
  } finally {
    await troupe.close();
    await bus.close();
  }
};

const checkUsage = (file: string | undefined, { resume, budget, input }: RunOptions): void => {
  if (file === undefined && resume === undefined)
    throw new TroupeError('USAGE', 'expected a team file, or --resume with the id of a run; see troupe run --help');
  if (resume === undefined) return;
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

/** The run's end, or the exit code of the signal that came first. */
const orSignal = async (started: Run): Promise<RunResult | Waiting | Paused | number> => {
  const { promise, resolve } = Promise.withResolvers<number>();
  const hear = (signal: keyof typeof SIGNALS) => resolve(SIGNALS[signal]);
  for (const signal of Object.keys(SIGNALS)) process.once(signal, hear);
  try {
    return await Promise.race([started.resultOrIdle, promise]);
  } finally {
    for (const signal of Object.keys(SIGNALS)) process.removeListener(signal, hear);
  }
};

/** As an option of a command that people are told to run. */
const busArgument = (bus: string): string => (bus === DEFAULT_BUS ? '' : ` --bus ${bus}`);

const stoppedBy = ({ id }: Run, exitCode: number, bus: string): number => {
  say(`stopped; nothing is lost. Go on with: troupe run --resume ${id}${busArgument(bus)}`);
  return exitCode;
};

const sourceLines = (citations: readonly Citation[]): string[] =>
  citations.map(({ file, line, quote }, index) => `[${index + 1}] ${file}:${line} ${JSON.stringify(quote)}`);

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
    printJson(failure ? { ...shared, failure: { code: failure.code, message: failure.message, details: failure.details } } : shared);
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
  if (json)
    print(
      JSON.stringify({
        run: id,
        status: 'waiting',
        questions: questions.map(({ approval, question, details, deadline, otherwise }) => ({ approval, question, details, deadline, otherwise })),
      }),
    );
  const on = busArgument(bus);
  for (const { approval, question } of questions) {
    say(`waiting for a person: ${question}`);
    say(`  troupe approve ${id} ${approval}${on}          (or --deny, and --note "why")`);
  }
  say(`then: troupe run --resume ${id}${on}`);
  return EXIT.waiting;
};

const paused = ({ run: id, failure, spending }: Paused, { json, bus }: RunOptions): number => {
  const { code, message, details } = failure;
  if (json) printJson({ run: id, status: 'paused', citations: [], ...spending, failure: { code, message, details } });
  tell(failure);
  say('the run is paused, and everything that was paid is kept. To go on:');
  const account = details['account'] === undefined || details['account'] === id ? '' : ` --account ${details['account'] as string}`;
  const command = code === 'BUDGET_EXHAUSTED' ? `raise ${id} 0.05${account} --why "worth it"` : `freeze ${id} --thaw${account} --why "looked at"`;
  say(`  troupe budget ${command}${busArgument(bus)}`);
  say(`  troupe run --resume ${id}${busArgument(bus)}`);
  return EXIT.budget;
};
