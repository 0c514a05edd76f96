/**
 * An advance: money that an actor holds for calls which it may make while nobody answers it. Where a team allows none, there is
 * none, and silence is no permission.
 *
 *   V1  It is granted by the account like any other money, with the actor's first paid effect, and held from then on. So whatever
 *       is drawn from it has been within every limit all the time, whoever knows of it.
 *   V2  A draw is an entry in the actor's own log before its call is made. It counts only if the fold finds the attempt still
 *       unanswered, the advance open, its deadline to come, and the call's upper bound left in it: so hosts may write as many as
 *       they like, and all of them fold the same.
 *   V3  A draw is an attempt of its own, with a grant of its own. The one that was asked for is withdrawn, and what is answered to
 *       it later is a stale grant.
 *   V4  What is left is the advance less the bills of its draws, and less the bound of each whose bill is not known. Only a draw
 *       that was never used gives its part back; one that was lost with its host does not.
 *   V5  Only silence opens it. A veto, a pause or a freeze that is heard ends it, as the actor's end does and whatever closes its
 *       account. Nothing is drawn from one that is over.
 *   V6  Its end is one `budget.release` that lists all its draws; the bill of each names the advance. So the account comes to the
 *       same, in whatever order it hears of them, and when.
 *   V7  Past its deadline the account counts it as spent, whatever the rule for orphans, and the messages of V6 correct that.
 */
import type { Quote } from '../protocols/budget.ts';
import type { PayloadOf } from '../protocols/catalogue.ts';
import { effectOfGrant, grantId, type Address } from '../protocols/ids.ts';

/** What a team allows an actor. */
export type AdvanceTerms = {
  readonly amountNanos: string;
  /** From the moment at which it is asked for to its deadline. */
  readonly lifeMs: number;
  /** So long a call waits for an answer before it is drawn for. */
  readonly silenceMs: number;
};

type Draw = {
  readonly grant: string;
  /** The upper bound until there is a bill. */
  readonly nanos: bigint;
  /** Its host is gone: nobody will say what it cost, unless late. */
  readonly isLost?: true;
};

/** What an actor knows of its advance. It may have been asked for as soon as the actor has begun an effect. */
export type Advance = {
  readonly grant: string;
  readonly phase: 'asked' | 'open' | 'over';
  readonly amountNanos: bigint;
  readonly deadline: number;
  readonly draws: readonly Draw[];
  /** Nothing was heard of the account since the last draw. */
  readonly isSilent: boolean;
  /** What the account said last that is left. */
  readonly leftNanos: string;
};

/** No effect of a chart has this name. */
const NAME = '~advance';

/** The wait of a call after one that was drawn for, while nothing is heard, as a share of the first wait. */
const STILL_SILENT = 1 / 10;

export const maybeAsked = (address: Address, position: number): Advance => ({
  grant: grantId(`${address}/${position}/${NAME}`, 1),
  phase: 'asked',
  amountNanos: 0n,
  deadline: 0,
  draws: [],
  isSilent: false,
  leftNanos: '0',
});

export const isAdvance = (grant: string): boolean => effectOfGrant(grant).effect.endsWith(`/${NAME}`);

/** What is asked of the account, beside the first call's own quote. */
export const quoteOf = ({ amountNanos, lifeMs }: AdvanceTerms, { priceHash, payer }: Quote, nowMs: number): Quote => ({
  model: 'advance',
  fixedNanos: amountNanos,
  outputNanosPerMtok: '0',
  maxTokens: 0,
  minTokens: 0,
  inputTokens: 0,
  priceHash,
  advance: { deadline: nowMs + lifeMs },
  ...(payer && { payer }),
});

export const opened = (advance: Advance, { amountNanos, deadline, leftNanos }: PayloadOf<'budget.granted'>): Advance =>
  advance.phase === 'asked' ? { ...advance, phase: 'open', amountNanos: BigInt(amountNanos), deadline, leftNanos } : advance;

export const ended = (advance: Advance): Advance => ({ ...advance, phase: 'over' });

/** The account was heard. */
export const heard = (advance: Advance, leftNanos = advance.leftNanos): Advance => ({ ...advance, isSilent: false, leftNanos });

/** How long a call waits before it is drawn for. */
export const silenceOf = ({ silenceMs }: AdvanceTerms, { isSilent }: Advance): number => (isSilent ? Math.ceil(silenceMs * STILL_SILENT) : silenceMs);

/** V4. */
export const leftIn = ({ amountNanos, draws }: Advance): bigint => draws.reduce((left, { nanos }) => left - nanos, amountNanos);

/** V2: the advance with one draw more; `undefined`: it is not allowed. */
export const draw = (advance: Advance, grant: string, nanos: bigint, now: number): Advance | undefined => {
  if (advance.phase !== 'open' || now >= advance.deadline || nanos > leftIn(advance)) return undefined;
  return { ...advance, draws: [...advance.draws, { grant, nanos }], isSilent: true };
};

export const billed = (advance: Advance, { grant, spentNanos }: Pick<PayloadOf<'budget.settle'>, 'grant' | 'spentNanos'>): Advance =>
  change(advance, grant, (one) => ({ ...one, nanos: BigInt(spentNanos) }));

export const lost = (advance: Advance, grant: string): Advance => change(advance, grant, (one) => ({ ...one, isLost: true }));

const change = (advance: Advance, grant: string, to: (one: Draw) => Draw): Advance =>
  isDrawn(advance, grant) ? { ...advance, draws: advance.draws.map((one) => (one.grant === grant ? to(one) : one)) } : advance;

/** The call of a draw was never made. */
export const unused = (advance: Advance, grant: string): Advance =>
  isDrawn(advance, grant) ? { ...advance, draws: advance.draws.filter((one) => one.grant !== grant) } : advance;

const isDrawn = ({ draws }: Advance, grant: string): boolean => draws.some((one) => one.grant === grant);

/** V6: what the account is told at the end. */
export const drawnFrom = ({ draws }: Advance): NonNullable<PayloadOf<'budget.release'>['drawn']> =>
  draws.map(({ grant, nanos }) => ({ grant, nanos: nanos.toString() }));
