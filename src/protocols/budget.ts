/**
 * Money between whoever wants to spend and the account that may allow it.
 *
 * Before a paid call its actor's host says `budget.reserve`; the account answers `budget.granted` (in full, or with a smaller
 * `maxTokens`) or `budget.vetoed`. After the call the actor says `budget.settle`, or `budget.release` if the call was not
 * made. Everything is keyed by the grant's id (ids.ts), which is unique for a physical attempt, so a duplicate changes nothing.
 * A grant that is neither settled nor released by its deadline counts as spent in full until it is settled after all.
 */
import { z } from 'zod';
import { Failure } from './failure.ts';
import { message } from './message.ts';
import { Nanos, Usage } from './money.ts';

/** The upper bound of a call: `fixedNanos` for what is certain (input, fees) and a price for each token of output. */
export const Quote = z.object({
  model: z.string(),
  fixedNanos: Nanos,
  outputNanosPerMtok: Nanos,
  maxTokens: z.number().int().nonnegative(),
  minTokens: z.number().int().nonnegative(),
  /** Of the input, by tokenizer or by bytes: never fewer than the provider will count. */
  inputTokens: z.number().int().nonnegative(),
  /** Of the price table that the amounts come from. */
  priceHash: z.string(),
});
export type Quote = z.infer<typeof Quote>;

export const BudgetReserve = message('budget.reserve', { grant: z.string(), quote: Quote });

export const BudgetSettle = message('budget.settle', {
  grant: z.string(),
  spentNanos: Nanos,
  usage: Usage,
  model: z.string(),
});

export const BudgetRelease = message('budget.release', { grant: z.string(), reason: z.string() });

/** Asks for `budget.closed`; nothing is granted afterwards. */
export const BudgetClose = message('budget.close', { reason: z.string() });

export const BudgetGranted = message('budget.granted', {
  grant: z.string(),
  amountNanos: Nanos,
  /** The cap that the call must really send: at most the quote's. */
  maxTokens: z.number().int().nonnegative(),
  /** By the log's clock, milliseconds since 1970. */
  deadline: z.number(),
  leftNanos: Nanos,
});

/** `failure.code` is BUDGET_EXHAUSTED, or BUDGET_CLOSED; `details` are `VetoDetails`. */
export const BudgetVetoed = message('budget.vetoed', { grant: z.string(), failure: Failure });

export const VetoDetails = z.object({
  account: z.string(),
  limitNanos: Nanos,
  spentNanos: Nanos,
  heldNanos: Nanos,
  /** For the smallest answer that would have been worth the call. */
  neededNanos: Nanos,
  askedNanos: Nanos,
});
export type VetoDetails = z.infer<typeof VetoDetails>;

export const BudgetClosed = message('budget.closed', {
  limitNanos: Nanos,
  spentNanos: Nanos,
  heldNanos: Nanos,
});
