/**
 * Whether money may be spent: pure decisions over one book.
 *
 *   M1  settled + held <= limit at every account and for every limit. Only what a provider bills above the bound that it was
 *       held to can break it: it is booked in full, flagged, and its account grants nothing until someone looks.
 *   M4  Who waits is served in the order of asking, or vetoed at the deadline: nobody waits when nothing is held any more.
 */
import type { Amounts } from '../../protocols/account.ts';
import { boundOf, type Quote } from '../../protocols/budget.ts';
import { failure, type Failure } from '../../protocols/failure.ts';
import { runOf, type Address } from '../../protocols/ids.ts';
import { tokensFor } from '../../protocols/money.ts';
import { endingOf, isForgottenRun, isHeldBelow, remember, type Book, type Hold, type Waiter } from './book.ts';
import { get, put, valuesOf } from './by-id.ts';
import { exhausted, refusedAsClosed, refusedAsFrozen } from './refusals.ts';
import { book, limitsOn, NOTHING, refusalAt, roomBeside, tightest, type Tightness, type Tree } from './tree.ts';

type NewDecision = { readonly kind: 'grant'; readonly hold: Hold } | { readonly kind: 'wait' } | { readonly kind: 'veto'; readonly failure: Failure };
export type Decision = NewDecision | { readonly kind: 'known' };

const WAIT = { kind: 'wait' } as const;

export type Request = { readonly grant: string; readonly account: string; readonly holder: Address; readonly quote: Quote };

const needOf = (quote: Quote, maxTokens: number): Amounts => ({
  ...NOTHING,
  money: boundOf(quote, maxTokens),
  ...(!quote.advance && countedOf(quote, maxTokens)),
});

const countedOf = ({ inputTokens, kind, timeoutMs }: Quote, maxTokens: number): Omit<Amounts, 'money'> => ({
  tokens: BigInt(inputTokens + maxTokens),
  calls: kind === 'tool' ? 0n : 1n,
  tool_calls: kind === 'tool' ? 1n : 0n,
  seconds: BigInt(timeoutMs ?? 0),
});

const fewestTokens = ({ minTokens, maxTokens }: Quote): number => Math.min(minTokens, maxTokens);

/** The limits that count for a request: money that is kept back is not there, but for a closing answer. */
function* limitsFor(current: Book, { account, quote }: Request, now: number): Generator<Tightness> {
  for (const one of limitsOn(current.tree, account, now)) {
    const kept =
      one.account.id === current.root && one.limit.measure === 'money' && one.limit.window === 'total' && quote.purpose !== 'closing' ? current.keptBack : 0n;
    yield kept === 0n ? one : { ...one, ...roomBeside(one, kept) };
  }
}

const lacking = (current: Book, request: Request, need: Amounts, now: number): Tightness | undefined => {
  for (const one of limitsFor(current, request, now)) if (one.free < need[one.limit.measure]) return one;
  return undefined;
};

/** The most tokens of output that every limit allows, whatever the other measures say. */
const largestCap = (current: Book, request: Request, now: number): number => {
  const { quote } = request;
  let cap = quote.maxTokens;
  for (const { limit, free } of limitsFor(current, request, now)) {
    if (limit.measure === 'money') cap = Math.min(cap, tokensFor(free - BigInt(quote.fixedNanos), BigInt(quote.outputNanosPerMtok)));
    if (limit.measure === 'tokens') cap = Math.min(cap, Math.max(0, Number(free) - quote.inputTokens));
  }
  return cap;
};

const isKnown = (current: Book, grant: string): boolean =>
  get(current.holds, grant) !== undefined || endingOf(current, grant) !== undefined || current.queue.some((waiter) => waiter.grant === grant);

/**
 * In full if that fits. Otherwise, while others hold something that may come back, it waits for that; and when nothing will, it
 * gets the largest cap that is still worth the call, or a veto.
 */
export const decide = (current: Book, request: Request, now: number, grantMs: number): Decision => {
  if (isKnown(current, request.grant)) return { kind: 'known' };
  return decideNew(current, request, now, grantMs, current.queue.length > 0);
};

const decideNew = (current: Book, request: Request, now: number, grantMs: number, othersWait: boolean): NewDecision => {
  const { account, holder, quote } = request;
  const refusal = refusalAt(current.tree, account);
  if (refusal?.why === 'frozen') return { kind: 'veto', failure: refusedAsFrozen(refusal.at) };
  if (refusal || isForgottenRun(current, runOf(holder))) return { kind: 'veto', failure: refusedAsClosed(account) };
  const tight = lacking(current, request, needOf(quote, quote.maxTokens), now);
  if (quote.advance) return decideAdvance(current, request, now, tight === undefined && !othersWait);
  if (tight ? mayComeBack(current, tight.account.id) : othersWait && mayOvertake(current, request)) return WAIT;
  return tight ? decideAtOnce(current, request, now, grantMs) : granted(request, quote.maxTokens, now, grantMs);
};

const granted = ({ account, holder, quote }: Request, maxTokens: number, now: number, grantMs: number): Extract<NewDecision, { kind: 'grant' }> => ({
  kind: 'grant',
  hold: {
    account,
    holder,
    model: quote.model,
    amounts: needOf(quote, maxTokens),
    maxTokens,
    at: now,
    ...(quote.advance ? { deadline: quote.advance.deadline, drawn: [] } : { deadline: now + grantMs }),
    state: 'held',
  },
});

/** How much is drawn from it is known when it is over, so that no limit on calls, tokens or seconds could be kept. */
const decideAdvance = (current: Book, request: Request, now: number, isFree: boolean): NewDecision => {
  const { account } = request;
  const counting = [...limitsOn(current.tree, account, now)].find(({ limit }) => limit.measure !== 'money');
  if (counting) return { kind: 'veto', failure: failure('BUDGET_EXHAUSTED', `no advance for ${account}: ${counting.account.id} limits more than money`) };
  return isFree ? granted(request, request.quote.maxTokens, now, 0) : { kind: 'veto', failure: whyNot(current, request, now) };
};

/** In full, or with the largest cap that is worth the call, or not at all. */
const decideAtOnce = (current: Book, request: Request, now: number, grantMs: number): Exclude<NewDecision, { kind: 'wait' }> => {
  const { quote } = request;
  const cap = largestCap(current, request, now);
  if (cap >= fewestTokens(quote) && !lacking(current, request, needOf(quote, cap), now)) return granted(request, cap, now, grantMs);
  return { kind: 'veto', failure: whyNot(current, request, now) };
};

/** Whether a request that was vetoed would get something now. */
export const wouldFit = (current: Book, request: Request, now: number): boolean =>
  current.queue.length === 0 && decideNew(current, request, now, 0, false).kind === 'grant';

/** Whether something that is held at or below the account that has not enough may be less when it is settled; an advance lasts too long to be waited for. */
const mayComeBack = ({ holds }: Book, tight: string): boolean => {
  for (const held of valuesOf(holds)) if (!held.drawn && isHeldBelow(held, tight)) return true;
  return false;
};

/** Whether a grant now may take what another one waits for. */
const mayOvertake = ({ tree, root, holds }: Book, { account }: Request): boolean => {
  for (const { state, account: other } of valuesOf(holds)) if (state === 'held' && sharesPath(tree, root, account, other)) return true;
  return false;
};

/** Two accounts always share the root; a slice of its own shares nothing but with what is below it. */
const sharesPath = (tree: Tree, root: string, account: string, other: string): boolean => {
  for (let at: string | undefined = account; at !== undefined; at = get(tree, at)?.parent) {
    if (at === other || other.startsWith(`${at}/`)) return true;
    if (at !== root && get(tree, at)?.slice !== undefined) return false;
  }
  return false;
};

export const hold = (current: Book, grant: string, held: Hold, now: number): Book => ({
  ...current,
  tree: book(current.tree, held.account, { held: held.amounts }, now),
  holds: put(current.holds, grant, held),
});

export const enqueue = (current: Book, { grant, account, holder, quote }: Request, deadline: number): Book => ({
  ...current,
  queue: [...current.queue, { grant, account, holder, quote, deadline }],
});

export type Served = { readonly waiter: Waiter; readonly decision: Extract<Decision, { kind: 'grant' | 'veto' }> };

/** Serves the queue in its order as far as it goes. Whose time is over, or whose account grants nothing, waits behind nobody. */
export const serve = (current: Book, now: number, grantMs: number): { readonly book: Book; readonly served: readonly Served[] } => {
  let next = current;
  const served: Served[] = [];
  const waiting: Waiter[] = [];
  for (const waiter of current.queue) {
    const late = waiter.deadline <= now;
    const decision = waiting.length > 0 && !late && !refusalAt(next.tree, waiter.account) ? WAIT : decideNew(next, waiter, now, grantMs, false);
    if (decision.kind === 'wait' && !late) {
      waiting.push(waiter);
      continue;
    }
    const final = decision.kind === 'wait' ? decideAtOnce(next, waiter, now, grantMs) : decision;
    next = final.kind === 'grant' ? hold(next, waiter.grant, final.hold, now) : remember(next, waiter.grant, 'unbilled');
    served.push({ waiter, decision: final });
  }
  return { book: waiting.length === current.queue.length ? next : { ...next, queue: waiting }, served };
};

/** The limit that is in the way of the smallest call, or else of the whole one. */
const whyNot = (current: Book, request: Request, now: number): Failure => {
  const { quote } = request;
  const needed = needOf(quote, fewestTokens(quote));
  const asked = needOf(quote, quote.maxTokens);
  const tight = lacking(current, request, needed, now) ?? lacking(current, request, asked, now) ?? tightest(current.tree, request.account, asked, now);
  return exhausted(request.account, tight, needed, asked);
};
