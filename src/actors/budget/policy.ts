/**
 * Whether money may be spent: pure decisions over one book. A book is a tree of accounts, the grants that are open, and those
 * who wait for one.
 *
 *   M1  settled + held <= limit at every account and for every limit. Only what a provider bills above the bound that it was
 *       held to can break it: it is booked in full, flagged, and its account grants nothing until someone looks.
 *   M2  A grant is decided once, settled once, released once; a repetition changes nothing.
 *   M3  A grant whose deadline passes without a word is an orphan: it counts as spent, goes back, or is asked about, by rule.
 *       A late word corrects whatever was booked.
 *   M4  Who waits is served in the order of asking, or vetoed at the deadline: nobody waits when nothing is held any more.
 *   M5  What was spent is booked, however late, also when the account is frozen or closed.
 */
import type { AccountSpec, Amounts } from '../../protocols/account.ts';
import { boundOf, type Quote, type VetoDetails } from '../../protocols/budget.ts';
import { failure, type Failure } from '../../protocols/failure.ts';
import { positionOfGrant, runOf, type Address } from '../../protocols/ids.ts';
import { formatDollars, tokensFor } from '../../protocols/money.ts';
import { entriesOf, get, none, put, valuesOf, without, type ById } from './by-id.ts';
import {
  book,
  close,
  drop,
  isBelow,
  isUncovered,
  limitsOn,
  mark,
  minus,
  NOTHING,
  open as openAccountIn,
  raise as raiseIn,
  refusalAt,
  tightest,
  type Tightness,
  type Tree,
  type Uncovered,
} from './tree.ts';

/** What becomes of a grant of which nothing is heard until its deadline. */
export type Orphans = 'charge' | 'release' | 'ask';

export type Hold = {
  readonly account: string;
  readonly holder: Address;
  /** For people: what the call was for. */
  readonly model: string;
  readonly amounts: Amounts;
  readonly maxTokens: number;
  readonly at: number;
  readonly deadline: number;
  /** `charged`: counted as spent after its deadline. `asked`: someone has to say what became of it. */
  readonly state: 'held' | 'charged' | 'asked';
  readonly chargedAt?: number;
  /** Of an advance: the calls that were paid from it so far. */
  readonly drawn?: readonly string[];
};

/** A grant of which it was said that it cost nothing may still be billed; one that was billed is done with. */
export type Ending = 'billed' | 'unbilled';

export type Waiter = { readonly grant: string; readonly account: string; readonly holder: Address; readonly quote: Quote; readonly deadline: number };

export type Book = {
  readonly root: string;
  readonly tree: Tree;
  readonly holds: ById<Hold>;
  readonly queue: readonly Waiter[];
  /** The newest grants that ended or were vetoed, in two generations. */
  readonly ended: readonly [newest: ById<Ending>, older: ById<Ending>];
  /** Of the calls whose grants are not among `ended` any more: the last position at which one of them began. */
  readonly forgottenUpTo: number;
  /** The log was cut here, or nowhere: the bus does not recognise what it heard before, so that it may come again. */
  readonly cutAt: number;
  /** Whether accounts of runs that ended are gone from the tree. */
  readonly forgotRuns: boolean;
  /** Money that only a closing answer may use. */
  readonly keptBack: bigint;
  /** Billed above what was held, in all. */
  readonly overrun: bigint;
};

const GENERATION = 1_024;

export const openBook = (accounts: readonly AccountSpec[], keptBack: bigint): Book => {
  let tree: Tree = {};
  for (const account of accounts) {
    const opened = openAccountIn(tree, account, 0);
    if (isUncovered(opened)) throw new Error(refusedToOpen(account.id, opened).message);
    tree = opened;
  }
  return { root: accounts[0]!.id, tree, holds: none, queue: [], ended: [none, none], forgottenUpTo: 0, cutAt: 0, forgotRuns: false, keptBack, overrun: 0n };
};

/**
 * The account of whoever asks: its own where it has one (`part`: the agent's name, or the role), else that of the innermost team
 * of `payer` that has one, else the run's, else the root.
 */
export const accountFor = ({ tree, root }: Book, run: string, part: string, payer: readonly string[] = []): string => {
  const above = [run, ...payer].reduce((id, name) => (Object.hasOwn(tree, `${id}/${name}`) ? `${id}/${name}` : id), root);
  return [`${above}/${part}`, `${root}/${part}`].find((id) => Object.hasOwn(tree, id)) ?? above;
};

/** Whether a run has an account here. The book of a run is the run's; below a shared account each opens one before its first call. */
export const hasAccount = ({ tree, root }: Book, run: string): boolean => run === root || Object.hasOwn(tree, `${root}/${run}`);

/** Whether a run's account was closed and is forgotten. */
export const isForgottenRun = (current: Book, run: string): boolean => current.forgotRuns && !hasAccount(current, run);

// --- deciding ----------------------------------------------------------------------------------------------------------------

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
    yield kept === 0n ? one : { ...one, free: one.free > kept ? one.free - kept : 0n };
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

export const endingOf = ({ ended: [newest, older] }: Book, grant: string): Ending | undefined => get(newest, grant) ?? get(older, grant);

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
  const refusal = refusalAt(current.tree, account) ?? (isForgottenRun(current, runOf(holder)) ? 'closed' : undefined);
  if (refusal) return { kind: 'veto', failure: refused(account, refusal) };
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
  return isFree ? granted(request, request.quote.maxTokens, now, 0) : { kind: 'veto', failure: exhausted(current, request, now) };
};

/** In full, or with the largest cap that is worth the call, or not at all. */
const decideAtOnce = (current: Book, request: Request, now: number, grantMs: number): Exclude<NewDecision, { kind: 'wait' }> => {
  const { quote } = request;
  const cap = largestCap(current, request, now);
  if (cap >= fewestTokens(quote) && !lacking(current, request, needOf(quote, cap), now)) return granted(request, cap, now, grantMs);
  return { kind: 'veto', failure: exhausted(current, request, now) };
};

/** Whether a request that was vetoed would get something now. */
export const wouldFit = (current: Book, request: Request, now: number): boolean =>
  current.queue.length === 0 && decideNew(current, request, now, 0, false).kind === 'grant';

/** Whether the whole account is closed: nothing is held or waited for any more. */
export const isOver = ({ tree, root, queue }: Book): boolean => {
  const { closed, held } = tree[root]!;
  return closed && held.money === 0n && held.calls === 0n && held.tool_calls === 0n && queue.length === 0;
};

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
  for (let at: string | undefined = account; at !== undefined; at = tree[at]?.parent) {
    if (at === other || other.startsWith(`${at}/`)) return true;
    if (at !== root && tree[at]?.slice !== undefined) return false;
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

export const remember = (current: Book, grant: string, ending: Ending): Book => {
  const [newest, older] = current.ended;
  if (newest.size < GENERATION) return { ...current, ended: [put(newest, grant, ending), older] };
  let { forgottenUpTo } = current;
  for (const [forgotten] of entriesOf(older)) forgottenUpTo = Math.max(forgottenUpTo, positionOfGrant(forgotten) ?? 0);
  return { ...current, ended: [put<Ending>(none, grant, ending), newest], forgottenUpTo };
};

/** Whether what is said of an unknown grant was said before, and is booked: it is older than what is remembered, and than the cut. */
const isForgotten = ({ forgottenUpTo, cutAt }: Book, grant: string): boolean => {
  const position = cutAt === 0 ? undefined : positionOfGrant(grant);
  return position !== undefined && position <= forgottenUpTo && position <= cutAt;
};

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

// --- ending ------------------------------------------------------------------------------------------------------------------

export type Bill = {
  readonly grant: string;
  readonly account: string;
  readonly spentNanos: bigint;
  readonly tokens: bigint;
  readonly calls: bigint;
  readonly toolCalls: bigint;
};

const spentOf = ({ spentNanos, tokens, calls, toolCalls }: Bill, ms: number): Amounts => ({
  money: spentNanos,
  tokens,
  calls,
  tool_calls: toolCalls,
  seconds: BigInt(Math.max(0, Math.round(ms))),
});

/** M5: books what a call cost, in full, whatever was held for it. */
export const settle = (current: Book, bill: Bill, now: number): Book => {
  const { grant } = bill;
  const known = get(current.holds, grant);
  if (endingOf(current, grant) === 'billed' || (!known && isForgotten(current, grant))) return current; // M2
  const queue = current.queue.filter((waiter) => waiter.grant !== grant);
  const account = known?.account ?? bill.account;
  const spent = spentOf(bill, known ? now - known.at : 0);
  const booked =
    known?.state === 'charged'
      ? { spent: minus(spent, known.amounts), since: known.chargedAt! }
      : known
        ? { spent, held: minus(NOTHING, known.amounts) }
        : { spent };
  const over = bill.spentNanos - (known?.amounts.money ?? 0n);
  const tree = book(current.tree, account, booked, now);
  const flagged = over > 0n ? { ...tree, [account]: { ...tree[account]!, frozen: true } } : tree;
  return remember(
    { ...current, tree: flagged, queue, holds: without(current.holds, grant), overrun: current.overrun + (over > 0n ? over : 0n) },
    grant,
    'billed',
  );
};

/** Gives back what a call would have cost that was never made, or was never granted yet. */
export const release = (current: Book, grant: string, now: number): Book => {
  const known = get(current.holds, grant);
  if (endingOf(current, grant) || (!known && isForgotten(current, grant))) return current; // M2
  if (!known) return { ...remember(current, grant, 'unbilled'), queue: current.queue.filter((waiter) => waiter.grant !== grant) };
  const back = minus(NOTHING, known.amounts);
  const tree = book(current.tree, known.account, known.state === 'charged' ? { spent: back, since: known.chargedAt! } : { held: back }, now);
  return remember({ ...current, tree, holds: without(current.holds, grant) }, grant, 'unbilled');
};

/** M3, for every grant whose deadline has come. */
export const expire = (current: Book, now: number, orphans: Orphans): Book =>
  [...entriesOf(current.holds)].filter(([, { deadline }]) => deadline <= now).reduce((next, [grant]) => orphan(next, grant, now, orphans), current);

/** M3: nobody will say what became of the call. */
export const orphan = (current: Book, grant: string, now: number, orphans: Orphans): Book => {
  const known = get(current.holds, grant);
  if (known?.state !== 'held') return current;
  const as = (state: 'charged' | 'asked'): Book['holds'] => put(current.holds, grant, { ...known, state, ...(state === 'charged' && { chargedAt: now }) });
  switch (known.drawn && orphans === 'release' ? 'charge' : orphans) {
    case 'release':
      return release(current, grant, now);
    case 'ask':
      return { ...current, holds: as('asked') };
    case 'charge':
      return { ...current, tree: book(current.tree, known.account, { held: minus(NOTHING, known.amounts), spent: known.amounts }, now), holds: as('charged') };
  }
};

export const extend = (current: Book, grant: string, deadline: number): Book => {
  const known = get(current.holds, grant);
  if (!known || known.state !== 'held' || deadline <= known.deadline) return current;
  return { ...current, holds: put(current.holds, grant, { ...known, deadline }) };
};

// --- what people do ----------------------------------------------------------------------------------------------------------

export const raise = (current: Book, account: string, nanos: bigint, now: number): Book | Uncovered => {
  const raised = raiseIn(current.tree, account, nanos, now);
  return isUncovered(raised) ? raised : { ...current, tree: raised };
};

export const freeze = (current: Book, account: string, frozen: boolean): Book => ({ ...current, tree: mark(current.tree, account, { frozen }) });

export const announced = (current: Book, account: string, percent: number): Book => ({ ...current, tree: mark(current.tree, account, { announced: percent }) });

/** From now on nothing is granted at or below the account. */
export const endBranch = (current: Book, account: string): Book => ({ ...current, tree: mark(current.tree, account, { ending: true }) });

export const holdersBelow = ({ holds }: Book, account: string): readonly (readonly [grant: string, hold: Hold])[] =>
  entriesOf(holds).filter(([, held]) => isHeldBelow(held, account));

const isHeldBelow = ({ state, account: at }: Hold, account: string): boolean => state === 'held' && isAtOrBelow(at, account);

const isAtOrBelow = (id: string, account: string): boolean => id === account || isBelow(id, account);

export const openBranch = (current: Book, accounts: readonly AccountSpec[], now: number): Book | { readonly account: string; readonly why: Uncovered } => {
  let { tree } = current;
  for (const account of accounts) {
    const opened = openAccountIn(tree, account, now);
    if (isUncovered(opened)) {
      if (opened.problem === 'exists') continue; // asked for again
      return { account: account.id, why: opened };
    }
    tree = opened;
  }
  return { ...current, tree };
};

/** Closes an account and all below it, the lowest first: what is left of its slices goes back as well. */
export const closeBranch = (current: Book, account: string): Book => {
  const branch = Object.keys(current.tree).filter((id) => isAtOrBelow(id, account));
  return { ...current, tree: branch.toReversed().reduce(close, current.tree) };
};

/**
 * Forgets closed accounts but for the newest `keep`, and those of which something may still be said. A grant that was charged
 * there is the account's above from now on: a late word corrects what is booked there.
 */
export const forgetClosed = (current: Book, keep: number): Book => {
  const closed = Object.values(current.tree).filter(({ closed: gone, parent }) => gone && parent !== undefined && !current.tree[parent]?.closed);
  let next = current;
  for (const { id, parent } of closed.slice(0, Math.max(0, closed.length - keep))) {
    const below = entriesOf(next.holds).filter(([, { account }]) => isAtOrBelow(account, id));
    if (below.some(([, { state }]) => state !== 'charged')) continue;
    const holds = below.reduce((all, [grant, held]) => put(all, grant, { ...held, account: parent! }), next.holds);
    next = { ...next, tree: drop(next.tree, id), holds, forgotRuns: true };
  }
  return next;
};

/** Of so many orphans that were charged a late word is waited for. */
const CHARGED_MAX = 1_024;

/** The oldest of the charged orphans: what was charged for them stands. */
export const forgetCharged = (current: Book): Book => {
  const charged = entriesOf(current.holds).filter(([, { state }]) => state === 'charged');
  return charged
    .slice(0, Math.max(0, charged.length - CHARGED_MAX))
    .reduce((next, [grant]) => remember({ ...next, holds: without(next.holds, grant) }, grant, 'billed'), current);
};

// --- in words ----------------------------------------------------------------------------------------------------------------

const UNITS = { tokens: 'token', calls: 'model call', tool_calls: 'tool call', seconds: 'millisecond' } as const;

const inWords = (measure: keyof Amounts, amount: bigint): string =>
  measure === 'money' ? formatDollars(amount) : `${amount} ${UNITS[measure]}${amount === 1n ? '' : 's'}`;

/** The veto names the limit that tripped, at which account, and how to raise it. */
const exhausted = (current: Book, request: Request, now: number): Failure => {
  const { quote } = request;
  const needed = needOf(quote, fewestTokens(quote));
  const asked = needOf(quote, quote.maxTokens);
  const tight = lacking(current, request, needed, now) ?? lacking(current, request, asked, now) ?? tightest(current.tree, request.account, asked, now);
  if (!tight) return failure('BUDGET_EXHAUSTED', `budget of ${request.account}: the wait for others to settle was too long`, { retryable: true });
  const { account, limit, free } = tight;
  const { measure, window } = limit;
  const spent = window === 'total' ? account.spent[measure] : (account.spells[window]?.spent[measure] ?? 0n);
  const details: VetoDetails = {
    account: account.id,
    measure,
    window,
    limit: limit.amount.toString(),
    spent: spent.toString(),
    held: account.held[measure].toString(),
    needed: needed[measure].toString(),
    asked: asked[measure].toString(),
  };
  // Slices that were moved away, and what is kept back.
  const aside = limit.amount - spent - account.held[measure] - free;
  const said =
    `budget of ${account.id}: the next call needs at least ${inWords(measure, needed[measure])}, ${inWords(measure, free)} ${measure === 'money' || free === 1n ? 'is' : 'are'} left` +
    `${window === 'total' ? '' : ` of this ${window}`} (limit ${inWords(measure, limit.amount)}, spent ${inWords(measure, spent)}, held ${inWords(measure, account.held[measure])}${aside > 0n ? `, set aside ${inWords(measure, aside)}` : ''})`;
  return failure('BUDGET_EXHAUSTED', said, { details });
};

export const refusedToOpen = (account: string, { problem, tight }: Uncovered): Failure => {
  if (problem === 'misnamed') {
    return failure('ACCOUNT_INVALID', `account ${account} cannot be opened: expected an id that is its parent's, a slash and a name`);
  }
  const why = tight
    ? `${tight.account.id} has ${formatDollars(tight.free)} left of its limit`
    : problem === 'exists'
      ? 'it is there already'
      : 'its parent is not there';
  return failure('BUDGET_NOT_COVERED', `account ${account} cannot be opened: ${why}`);
};

export const refused = (account: string, refusal: 'frozen' | 'closed'): Failure =>
  refusal === 'frozen'
    ? failure('BUDGET_FROZEN', `budget of ${account} is frozen: nothing is granted until it is thawed`, { details: { account } })
    : failure('BUDGET_CLOSED', `budget of ${account} is closed: the run is ending`, { details: { account } });

/** For people and for the agents: what an account has left of its money. */
export const leftOf = ({ tree, keptBack, root }: Book, account: string, now: number): bigint => {
  let left: bigint | undefined;
  for (const { account: at, limit, free } of limitsOn(tree, account, now)) {
    if (limit.measure !== 'money') continue;
    const usable = at.id === root && limit.window === 'total' ? (free > keptBack ? free - keptBack : 0n) : free;
    left = left === undefined || usable < left ? usable : left;
  }
  return left ?? 0n;
};

export const totals = ({ tree, root }: Book): { readonly spent: Amounts; readonly held: Amounts } => {
  const { spent, held } = tree[root]!;
  return { spent, held };
};
