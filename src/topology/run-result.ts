/** How a run ended, as its client hears it. */
import type { Failure } from '../protocols/failure.ts';
import type { Citation } from '../protocols/formats.ts';
import type { RunId } from '../protocols/ids.ts';
import type { Ended, Spending, StepOutcome } from '../protocols/lifecycle.ts';
import type { FoldEntry } from '../runtime/fold.ts';

export type RunResult = {
  readonly run: RunId;
  readonly status: 'completed' | 'failed';
  readonly answer?: string;
  readonly citations: readonly Citation[];
  /** The answer as a value, where a form was asked for. */
  readonly output?: unknown;
  readonly failure?: Failure;
  readonly steps: readonly StepOutcome[];
  /** How the peers came to the answer. */
  readonly ended?: Ended;
  /** Absent when the account did not answer in time. */
  readonly spending?: Spending;
  readonly durationMs: number;
};

/** What an entry of the client's log says of the end; `undefined`: it says something else. */
export const resultOf = (run: RunId, { message, at }: Pick<FoldEntry, 'message' | 'at'>, startedAt: number): RunResult | undefined => {
  if (message.type !== 'run.completed' && message.type !== 'run.failed') return undefined;
  const { steps, spending } = message.data;
  const shared = { run, steps, durationMs: Math.max(0, at - startedAt), ...(spending && { spending }) };
  if (message.type === 'run.completed') {
    const { answer, citations, output, ended } = message.data;
    return { ...shared, status: 'completed', answer, citations, ...(output !== undefined && { output }), ...(ended && { ended }) };
  }
  const { failure, answer, citations } = message.data;
  return { ...shared, status: 'failed', ...(answer !== undefined && { answer }), citations, failure };
};
