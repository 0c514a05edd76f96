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
import { AccountSpec, Measure, Window } from './account.ts';
import { message } from './message.ts';
import { Nanos, tokensCost, Usage } from './money.ts';

/** The line of the ledger up to which it stood when this was said. */
export const Anchor = z.object({ seq: z.number().int().nonnegative(), hash: z.string() });

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
  /** A model call where it is not said. */
  kind: z.enum(['model', 'tool']).optional(),
  /** The longest that the call may take. */
  timeoutMs: z.number().int().nonnegative().optional(),
  /** Money that is kept back is only for a closing answer. */
  purpose: z.enum(['work', 'closing']).optional(),
  /** Whoever asks has a cheaper model for this call: a veto for want of money pauses nobody. */
  hasCheaper: z.boolean().optional(),
  /** Accounts below the run's that pay, the outermost first; one that is not there is left out. */
  payer: z.array(z.string()).optional(),
  /**
   * An advance: no call is made for it, but calls may be paid from it while nobody answers. It is of money alone, is granted at
   * once or not at all, and holds until this deadline.
   */
  advance: z.object({ deadline: z.number() }).optional(),
});
export type Quote = z.infer<typeof Quote>;

/** What a call may cost with so many tokens of output. */
export const boundOf = ({ fixedNanos, outputNanosPerMtok }: Quote, maxTokens: number): bigint =>
  BigInt(fixedNanos) + tokensCost(maxTokens, BigInt(outputNanosPerMtok));

export const BudgetReserve = message('budget.reserve', { grant: z.string(), quote: Quote });

export const BudgetSettle = message('budget.settle', {
  grant: z.string(),
  spentNanos: Nanos,
  usage: Usage,
  model: z.string(),
  kind: z.enum(['model', 'tool']).optional(),
  /** The provider's own id of its answer. */
  response: z.string().max(200).optional(),
  /** The grant of the advance that the call was paid from; the account was never asked for the call's own. */
  advance: z.string().optional(),
});

/** The call goes on longer than its grant was made for. */
export const BudgetExtend = message('budget.extend', { grant: z.string(), deadline: z.number() });

/** Opens accounts below those that are there; answered by `budget.opened`. Opening one again changes nothing. */
export const BudgetOpen = message('budget.open', { accounts: z.array(AccountSpec).min(1) });
export const BudgetOpened = message('budget.opened', { failure: Failure.optional() });

/** By a person: more money for an account, the root without one. Whoever paused for want of it hears `budget.raised`. */
export const BudgetRaise = message('budget.raise', { account: z.string().optional(), nanos: Nanos, by: z.string(), why: z.string() });
export const BudgetRaised = message('budget.raised', { account: z.string(), leftNanos: Nanos });

/** By a person: nothing new is granted at or below the account; with `revoke` the holders of grants are told to stop as well. */
export const BudgetFreeze = message('budget.freeze', {
  account: z.string().optional(),
  frozen: z.boolean(),
  revoke: z.boolean().default(false),
  by: z.string(),
  why: z.string(),
});
export const BudgetRevoked = message('budget.revoked', { grant: z.string(), failure: Failure });

/** To the client of the run: it goes on when the account is raised. */
export const BudgetPaused = message('budget.paused', { account: z.string(), failure: Failure });

/** To the client of the run: so many percent of the account's limit are spent. */
export const BudgetThreshold = message('budget.threshold', { account: z.string(), percent: z.number().int(), spentNanos: Nanos, limitNanos: Nanos });

export const BudgetRelease = message('budget.release', {
  grant: z.string(),
  reason: z.string(),
  /** Of an advance: each call that was paid from it, with what it cost, or with its bound where that is not known yet. */
  drawn: z.array(z.object({ grant: z.string(), nanos: Nanos })).optional(),
});

/** The host of the call is gone and nobody will say what became of it: its grant need not run to its deadline. */
export const BudgetOrphaned = message('budget.orphaned', { grant: z.string() });

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
  ledger: Anchor.optional(),
});

/** `failure.code` is BUDGET_EXHAUSTED, or BUDGET_CLOSED; `details` are `VetoDetails`. */
export const BudgetVetoed = message('budget.vetoed', { grant: z.string(), failure: Failure, ledger: Anchor.optional() });

/** Amounts in the measure's own unit, decimal. */
export const VetoDetails = z.object({
  account: z.string(),
  measure: Measure,
  window: Window,
  limit: z.string(),
  spent: z.string(),
  held: z.string(),
  /** For the smallest answer that would have been worth the call. */
  needed: z.string(),
  asked: z.string(),
  /** How much more than the limit is used, or kept back, where it is more. */
  over: z.string().optional(),
});
export type VetoDetails = z.infer<typeof VetoDetails>;

export const BudgetClosed = message('budget.closed', {
  limitNanos: Nanos,
  spentNanos: Nanos,
  heldNanos: Nanos,
  ledger: Anchor.optional(),
});
