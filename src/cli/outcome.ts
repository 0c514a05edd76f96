/** How a run stands when a command has nothing more to wait for: its end, or what keeps it from going on. Printed, and as an exit code. */
import type { Citation } from '../protocols/formats.ts';
import type { StepOutcome } from '../protocols/lifecycle.ts';
import { formatDollars } from '../protocols/money.ts';
import type { RunResult } from '../topology/run-result.ts';
import type { Paused, Threshold, Waiting } from '../topology/start.ts';
import { howToRaise, liftCommand } from './exhausted.ts';
import { EXIT, exitCodeOf, failureJson, print, printJson, say, tell } from './exit.ts';
import { busArgument, GONE } from './next-command.ts';
import { deadlineOf, questionJson } from './question.ts';
import { oneLine } from './redact.ts';

type Shown = { readonly bus: string; readonly json: boolean; readonly quiet: boolean };

export const thresholdLine = ({ account, percent, spentNanos, limitNanos }: Threshold): string =>
  `budget of ${account}: ${percent} % is spent, ${formatDollars(BigInt(spentNanos))} of ${formatDollars(BigInt(limitNanos))}`;

/** `limit`: of the team, where the account did not say. */
export const showEnd = (result: RunResult, limit: string, { bus, json, quiet }: Shown): number => {
  const { run, status, answer, citations, output, steps, ended, failure, spending, durationMs } = result;
  if (json) {
    const limitNanos = spending?.limitNanos ?? limit;
    const shared = {
      run,
      status,
      ...(answer !== undefined && { answer }),
      citations,
      ...(output !== undefined && { output }),
      steps: steps.map(stepJson),
      ...(ended && { ended }),
      ...(spending && { spentNanos: spending.spentNanos, heldNanos: spending.heldNanos }),
      limitNanos,
      durationMs,
    };
    printJson(failure ? { ...shared, failure: failureJson(failure) } : shared);
  } else if (answer !== undefined) {
    print([answer, ...(citations.length > 0 ? ['', ...sourceLines(citations)] : [])].join('\n'));
  }
  if (ended && !quiet) say(oneLine(`ended by ${ended.by} after ${ended.rounds} ${ended.rounds === 1 ? 'round' : 'rounds'}: ${ended.note}`));
  if (!quiet) leftOutLines(result).forEach(say);
  if (failure) tell(failure);
  if (failure?.code === 'BUDGET_EXHAUSTED') say(howToRaise(run, failure, bus));
  if (!quiet) say(figures(result, limit));
  return failure ? exitCodeOf(failure) : EXIT.done;
};

const stepJson = ({ failure, ...step }: StepOutcome) => ({ ...step, ...(failure && { failure: failureJson(failure) }) });

/** Of a list of a thousand items that all failed, the first are enough: `--json` has them all. */
const LEFT_OUT_MAX = 20;

/** What the answer is without: a line for each step that failed, was skipped, or did less than it was to. Why the run failed is said apart. */
const leftOutLines = ({ steps, failure: end }: RunResult): string[] => {
  const lines = steps.flatMap(({ step, agent, status, failure }) =>
    failure && failure.message !== end?.message ? [oneLine(`${step} (${agent}) ${status}: ${failure.message}`)] : [],
  );
  const more = lines.length - LEFT_OUT_MAX;
  return more > 0 ? [...lines.slice(0, LEFT_OUT_MAX), `and ${more} more steps: --json has them all`] : lines;
};

const sourceLines = (citations: readonly Citation[]): string[] =>
  citations.map(({ file, line, quote }, index) => `[${index + 1}] ${oneLine(file)}:${line} ${JSON.stringify(quote)}`);

const figures = ({ run, spending, durationMs }: RunResult, teamLimit: string): string => {
  const limit = BigInt(spending?.limitNanos ?? teamLimit);
  const money = spending
    ? `spent ${formatDollars(BigInt(spending.spentNanos))} of ${formatDollars(limit)}, ${formatDollars(limit - BigInt(spending.spentNanos) - BigInt(spending.heldNanos))} left`
    : `spent an unknown part of ${formatDollars(limit)}: the account did not answer`;
  const held = spending && spending.heldNanos !== '0' ? ` (${formatDollars(BigInt(spending.heldNanos))} held for calls whose end is unknown)` : '';
  return `${money}${held} · ${(durationMs / 1000).toFixed(1)} s · run ${run}`;
};

/** `next`: the command that goes on with it; none where its bus was in memory. */
type Idle = { readonly json: boolean; readonly bus: string; readonly next: string | undefined };

export const showWaiting = ({ run, questions }: Waiting, { json, bus, next }: Idle): number => {
  if (json) printJson({ run, status: 'waiting', questions: questions.map(questionJson) });
  for (const asked of questions) {
    say(`waiting for a person: ${asked.question} (${deadlineOf(asked)})`);
    if (next !== undefined) say(`  troupe approve ${run} ${asked.approval}${busArgument(bus)}          (or --deny, and --note "why")`);
  }
  say(next === undefined ? GONE : `then: ${next}`);
  return EXIT.waiting;
};

export const showPaused = ({ run, failure, spending }: Paused, { json, bus, next }: Idle): number => {
  if (json) printJson({ run, status: 'paused', citations: [], ...spending, failure: failureJson(failure) });
  tell(failure);
  if (next === undefined) {
    say(GONE);
    return EXIT.budget;
  }
  say('the run is paused, and everything that was paid is kept. To go on:');
  say(`  ${liftCommand(run, failure, bus)}`);
  say(`  ${next}`);
  return EXIT.budget;
};
