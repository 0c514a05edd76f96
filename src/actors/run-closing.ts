/**
 * The end of a run, as every chart that leads one comes to it: the account is asked to close, and what was spent is told with
 * how the run ended. The account's silence keeps nobody waiting: the run then ends without its figures.
 */
import { assign, emit, type ActionFunction, type ParameterizedObject } from 'xstate';
import type { BudgetClose, BudgetClosed } from '../protocols/budget.ts';
import type { Failure } from '../protocols/failure.ts';
import type { Address } from '../protocols/ids.ts';
import type { Spending } from '../protocols/lifecycle.ts';
import type { Received, Sent } from '../protocols/message.ts';

/** What a chart that leads a run keeps for its end. */
export type Closing = {
  readonly account: Address;
  /** Why the run failed, if it did. */
  readonly failure: Failure | undefined;
  readonly spending: Spending | undefined;
};

/** The account answers at once unless its hosts are gone. */
const CLOSE_MS = 60_000;

/** XState ties an action to the context and the events of one machine; these fit any that keeps `Closing`. */
// oxlint-disable-next-line typescript/no-explicit-any
type Any = any;
type Does<Params extends ParameterizedObject['params'] | undefined, Says extends Sent<typeof BudgetClose> = never> = ActionFunction<
  Any,
  Any,
  Any,
  Params,
  never,
  never,
  never,
  never,
  Says
>;

export const closingDelays = { closing: () => CLOSE_MS };

export const closingGuards = { hasFailed: ({ context }: { context: Closing }) => context.failure !== undefined };

const takeSpending: Does<Received<typeof BudgetClosed>> = assign<Closing, Any, Received<typeof BudgetClosed>, Any, never>(
  (_, { spentNanos, heldNanos, limitNanos }) => ({ spending: { spentNanos, heldNanos, limitNanos } }),
);

const closeAccount: Does<undefined, Sent<typeof BudgetClose>> = emit<Closing, Any, undefined, Any, Sent<typeof BudgetClose>>(({ context }) => ({
  type: 'budget.close',
  to: context.account,
  reason: context.failure?.code ?? 'completed',
}));

export const closingActions = { takeSpending, closeAccount };

const closedOf = ({ event }: { event: Received<typeof BudgetClosed> }) => event;

/** The state in which the account is waited for; the chart's states `failed` and `completed` stand beside it. */
export const closing = {
  entry: 'closeAccount',
  on: {
    'budget.closed': [
      { guard: 'hasFailed', target: 'failed', actions: { type: 'takeSpending', params: closedOf } },
      { target: 'completed', actions: { type: 'takeSpending', params: closedOf } },
    ],
  },
  after: {
    closing: [{ guard: 'hasFailed', target: 'failed' }, { target: 'completed' }],
  },
} as const;
