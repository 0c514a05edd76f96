/**
 * The whole state of an account as an entry of its own log. Whoever folds the log goes on from it, whether it has read what was
 * before it or not, so that can be cut away.
 *
 * It is appended by whoever cuts the log, on the condition that nothing came after the last entry that it accounts for, and only
 * when everything that the account said until then has reached those it was said to.
 */
import { z } from 'zod';
import { LimitSpec, Measure, Window } from './account.ts';
import { Anchor, Quote } from './budget.ts';
import { Failure } from './failure.ts';
import { Address } from './ids.ts';
import { message } from './message.ts';
import { Nanos } from './money.ts';

/** By measure, in its own unit; what is not there is nothing. */
const AmountsInText = z.partialRecord(Measure, z.string().regex(/^-?\d{1,30}$/));

const AccountState = z.object({
  id: z.string(),
  parent: z.string().optional(),
  /** As raised since; a slice has its limit here. */
  limits: z.array(LimitSpec),
  sliceNanos: Nanos.optional(),
  /** Here and below. */
  spent: AmountsInText,
  held: AmountsInText,
  /** What was spent since the present window began. */
  windows: z.partialRecord(Window, z.object({ begin: z.number(), spent: AmountsInText })),
  /** Spoken for by slices below. */
  slicedNanos: Nanos,
  state: z.enum(['open', 'ending', 'closed']),
  frozen: z.boolean(),
  /** Who or what froze it, for people. */
  frozenFor: z.string().optional(),
  /** The highest threshold announced, in percent. */
  announced: z.number(),
});

const GrantState = z.object({
  grant: z.string(),
  account: z.string(),
  holder: Address,
  model: z.string(),
  amounts: AmountsInText,
  maxTokens: z.number(),
  grantedAt: z.number(),
  deadline: z.number(),
  state: z.enum(['held', 'charged', 'asked']),
  chargedAt: z.number().optional(),
  /** Of an advance: the calls that were paid from it so far. */
  drawn: z.array(z.string()).optional(),
});

/** Grants that ended: they are recognised when they are spoken of again. */
const Endings = z.object({ billed: z.array(z.string()), unbilled: z.array(z.string()), unknown: z.array(z.string()).optional() });

export const BudgetCheckpoint = message('budget.checkpoint', {
  /** The last entry that is in here; what was in the log up to it may be said again after it was cut away. */
  upTo: z.number().int().nonnegative(),
  /** The ledger goes on behind this line. */
  ledger: Anchor,
  /** Parents before their children. */
  accounts: z.array(AccountState).min(1),
  grants: z.array(GrantState),
  waiting: z.array(z.object({ grant: z.string(), account: z.string(), holder: Address, quote: Quote, deadline: z.number() })),
  ended: z.object({ newest: Endings, older: Endings }),
  /** Grants of calls that began up to here, by position, have ended unless they are among `grants` or `waiting`. */
  forgottenUpTo: z.number(),
  /** Whether accounts of runs that have ended are left out. */
  forgotRuns: z.boolean(),
  overrunNanos: Nanos,
  paused: z.array(Address),
  wanted: z.array(z.object({ grant: z.string(), account: z.string(), holder: Address, quote: Quote })),
  lastVeto: Failure.optional(),
  /** When those who paused are told of a new window. */
  again: z.number().optional(),
  closing: z.array(z.object({ account: z.string(), closer: Address, deadline: z.number() })),
});
