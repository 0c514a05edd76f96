/**
 * The tree of accounts: how much is used and free at every level. Pure arithmetic; who asks and what is answered is policy.ts's.
 *
 *   T1  At every account and for every limit, windows included: used + asked <= amount, or nothing is held.
 *   T2  A slice is moved from the parent when its account opens; what of it was not spent returns when the account closes.
 *       Without a slice an account takes from its parent's pool, and its limits only bound what it takes.
 *   T3  What is held or spent is held or spent at every account up to the root.
 */
import type { AccountSpec, Amounts, Measure, Window } from '../../protocols/account.ts';
import { entriesOf, get, has, put, without, type ById } from './by-id.ts';

export const NOTHING: Amounts = { money: 0n, tokens: 0n, calls: 0n, tool_calls: 0n, seconds: 0n };

export const plus = (a: Amounts, b: Amounts): Amounts =>
  b === NOTHING
    ? a
    : {
        money: a.money + b.money,
        tokens: a.tokens + b.tokens,
        calls: a.calls + b.calls,
        tool_calls: a.tool_calls + b.tool_calls,
        seconds: a.seconds + b.seconds,
      };
export const minus = (a: Amounts, b: Amounts): Amounts => ({
  money: a.money - b.money,
  tokens: a.tokens - b.tokens,
  calls: a.calls - b.calls,
  tool_calls: a.tool_calls - b.tool_calls,
  seconds: a.seconds - b.seconds,
});

const positive = (amount: bigint): bigint => (amount > 0n ? amount : 0n);
const atLeastNothing = ({ money, tokens, calls, tool_calls: toolCalls, seconds }: Amounts): Amounts => ({
  money: positive(money),
  tokens: positive(tokens),
  calls: positive(calls),
  tool_calls: positive(toolCalls),
  seconds: positive(seconds),
});

export type Limit = { readonly measure: Measure; readonly amount: bigint; readonly window: Window };

/** What was spent since a window began. */
export type Spell = { readonly begin: number; readonly spent: Amounts };

export type Account = {
  readonly id: string;
  readonly parent: string | undefined;
  readonly limits: readonly Limit[];
  readonly slice: bigint | undefined;
  /** Here and below. */
  readonly spent: Amounts;
  readonly held: Amounts;
  readonly spells: Readonly<Partial<Record<Window, Spell>>>;
  /** Money of open slices below that is neither spent nor held yet: it is spoken for. */
  readonly sliced: bigint;
  readonly frozen: boolean;
  /** Who or what froze it, for people. */
  readonly frozenFor: string | undefined;
  /** Grants nothing more, and closes when nothing is held any more. */
  readonly ending: boolean;
  readonly closed: boolean;
  /** The highest threshold that was announced, in percent. */
  readonly announced: number;
};

/** Parents came before their children. */
export type Tree = ById<Account>;

/** The accounts from `id` up to the root. */
export const pathOf = (tree: Tree, id: string): readonly Account[] => {
  const path: Account[] = [];
  for (let account = get(tree, id); account; account = account.parent === undefined ? undefined : get(tree, account.parent)) path.push(account);
  return path;
};

// --- what is free ------------------------------------------------------------------------------------------------------------

/** What `limit` leaves at `account`. `over`: how much more than the limit is used, where nothing is free. */
export type Room = { readonly free: bigint; readonly over: bigint };

const roomIn = (amount: bigint, used: bigint): Room => ({ free: positive(amount - used), over: positive(used - amount) });

export const roomOf = (account: Account, { measure, amount, window }: Limit, now: number): Room => {
  const spent = window === 'total' ? account.spent : spellAt(account, window, now).spent;
  // A slice is spoken for as long as its account lives; how fast it may be spent is another question.
  const used = spent[measure] + account.held[measure] + (measure === 'money' && window === 'total' ? account.sliced : 0n);
  return roomIn(amount, used);
};

/** The same where `kept` of it is not to be used. */
export const roomBeside = ({ free, over }: Room, kept: bigint): Room => roomIn(free, over + kept);

/** What of the slice is neither spent nor held nor sliced further. */
const remaining = ({ slice, closed, spent, held, sliced }: Account): bigint => {
  if (slice === undefined || closed) return 0n;
  const left = slice - spent.money - held.money - sliced;
  return left > 0n ? left : 0n;
};

/** The first limit on the path that does not leave `needed`. */
export type Tightness = Room & { readonly account: Account; readonly limit: Limit };

/** The limits that count for what is asked at `id`. Above a slice the total is not asked for: that money was moved already. */
export function* limitsOn(tree: Tree, id: string, now: number): Generator<Tightness> {
  let moved = false;
  for (const account of pathOf(tree, id)) {
    for (const limit of account.limits) if (!(moved && isTotalMoney(limit))) yield { account, limit, ...roomOf(account, limit, now) };
    moved ||= account.slice !== undefined;
  }
}

const isTotalMoney = ({ measure, window }: Limit): boolean => measure === 'money' && window === 'total';

/** On its money over its whole life. */
export const moneyLimitOf = ({ limits }: Account): Limit | undefined => limits.find(isTotalMoney);

export const tightest = (tree: Tree, id: string, needed: Amounts, now: number): Tightness | undefined => {
  for (const one of limitsOn(tree, id, now)) if (one.free < needed[one.limit.measure]) return one;
  return undefined;
};

// --- what changes ------------------------------------------------------------------------------------------------------------

/** `since`: when that was booked which this puts right. A window that began later does not get back what it never spent. */
export type Change = { readonly spent?: Amounts; readonly held?: Amounts; readonly since?: number };

/** Books at `id` and at every account above (T3). Amounts may be negative. */
export const book = (tree: Tree, id: string, { spent = NOTHING, held = NOTHING, since }: Change, now: number): Tree => {
  let after = tree;
  let sliced = 0n;
  for (const before of pathOf(tree, id)) {
    const booked: Account = {
      ...before,
      spent: plus(before.spent, spent),
      held: plus(before.held, held),
      spells: spent === NOTHING ? before.spells : withSpent(before, spent, now, since ?? now),
      sliced: before.sliced + sliced,
    };
    after = put(after, before.id, booked);
    if (before.slice !== undefined) sliced += remaining(booked) - remaining(before);
  }
  return after;
};

export const mark = (tree: Tree, id: string, as: Partial<Pick<Account, 'frozen' | 'frozenFor' | 'ending' | 'announced'>>): Tree => {
  const account = get(tree, id);
  return account ? put(tree, id, { ...account, ...as }) : tree;
};

/** Speaks for money at every account from `id` up to the next slice, or gives it back. */
const speakFor = (tree: Tree, id: string | undefined, nanos: bigint): Tree => {
  if (id === undefined || nanos === 0n) return tree;
  let changed = tree;
  let sliced = nanos;
  for (const before of pathOf(tree, id)) {
    const after = { ...before, sliced: before.sliced + sliced };
    changed = put(changed, before.id, after);
    sliced += remaining(after) - remaining(before);
  }
  return changed;
};

/** What keeps an account from being opened. */
export type Uncovered = { readonly problem: 'exists' | 'no-parent' | 'misnamed' | 'uncovered'; readonly tight?: Tightness };

/** The total that does not leave `nanos` to be moved. */
const uncovered = (tree: Tree, id: string, nanos: bigint, now: number): Tightness | undefined => {
  for (const one of limitsOn(tree, id, now)) if (isTotalMoney(one.limit) && one.free < nanos) return one;
  return undefined;
};

export const isUncovered = (made: Tree | Uncovered): made is Uncovered => 'problem' in made;

export const open = (tree: Tree, { id, parent, limits, sliceNanos }: AccountSpec, now: number): Tree | Uncovered => {
  if (has(tree, id)) return { problem: 'exists' };
  if (parent !== undefined && !has(tree, parent)) return { problem: 'no-parent' };
  if (parent !== undefined && !isBelow(id, parent)) return { problem: 'misnamed' };
  const slice = sliceNanos === undefined ? undefined : BigInt(sliceNanos);
  const tight = slice === undefined || parent === undefined ? undefined : uncovered(tree, parent, slice, now);
  if (tight) return { problem: 'uncovered', tight };
  const own = limits.map(({ measure, amount, window }): Limit => ({ measure, amount: BigInt(amount), window }));
  const account: Account = {
    id,
    parent,
    limits: slice === undefined ? own : [...own, { measure: 'money', amount: slice, window: 'total' }],
    slice,
    spent: NOTHING,
    held: NOTHING,
    spells: {},
    sliced: 0n,
    frozen: false,
    frozenFor: undefined,
    ending: false,
    closed: false,
    announced: 0,
  };
  return put(speakFor(tree, parent, slice ?? 0n), id, account);
};

/** Whose name says that it is somewhere below `above`. */
export const isBelow = (id: string, above: string): boolean => id.length > above.length + 1 && id.startsWith(above) && id[above.length] === '/';
export const isAtOrBelow = (id: string, above: string): boolean => id === above || isBelow(id, above);

/** T2: the rest of the slice goes back. */
export const close = (tree: Tree, id: string): Tree => {
  const account = get(tree, id);
  if (!account || account.closed) return tree;
  return put(speakFor(tree, account.parent, -remaining(account)), id, { ...account, closed: true });
};

/** An account and all below it are forgotten: what was spent there is in the accounts above (T3). */
export const drop = (tree: Tree, id: string): Tree => entriesOf(tree, (each) => isAtOrBelow(each, id)).reduce((left, [each]) => without(left, each), tree);

/** Adds to an account's limit on money over its whole life, or, without one, to what it may spend in each window. A slice grows with it, and must be covered above. */
export const raise = (tree: Tree, id: string, nanos: bigint, now: number): Tree | Uncovered => {
  const account = get(tree, id);
  if (!account) return { problem: 'no-parent' };
  const { slice, parent } = account;
  if (slice !== undefined && parent !== undefined) {
    const tight = uncovered(tree, parent, nanos, now);
    if (tight) return { problem: 'uncovered', tight };
  }
  const raised = moneyLimitOf(account) ? ['total'] : ['hour', 'day', 'month'];
  const limits = account.limits.map((limit) =>
    limit.measure === 'money' && raised.includes(limit.window) ? { ...limit, amount: limit.amount + nanos } : limit,
  );
  const raisedAccount: Account = { ...account, limits, slice: slice === undefined ? undefined : slice + nanos };
  const after = put(tree, id, raisedAccount);
  return slice === undefined ? after : speakFor(after, parent, remaining(raisedAccount) - remaining(account));
};

/** Why nothing is granted at an account, whatever it has: it, or the account above it that is named, is closed or frozen. */
export type Refusal = { readonly why: 'frozen' | 'closed'; readonly at: Account };

export const refusalAt = (tree: Tree, id: string): Refusal | undefined => {
  const path = pathOf(tree, id);
  const closed = path.find((account) => account.ending || account.closed);
  if (closed) return { why: 'closed', at: closed };
  const frozen = path.find((account) => account.frozen);
  return frozen && { why: 'frozen', at: frozen };
};

// --- windows -----------------------------------------------------------------------------------------------------------------

export const beginOf = (window: Window, now: number): number => {
  const date = new Date(now);
  switch (window) {
    case 'total':
      return 0;
    case 'hour':
      return now - (now % 3_600_000);
    case 'day':
      return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate());
    case 'month':
      return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1);
  }
};

/** When the window after the present one begins; `total` has none. */
export const nextBeginOf = (window: Window, now: number): number | undefined => {
  const date = new Date(now);
  switch (window) {
    case 'total':
      return undefined;
    case 'hour':
      return beginOf('hour', now) + 3_600_000;
    case 'day':
      return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate() + 1);
    case 'month':
      return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
  }
};

/** The present window. A clock that jumped back does not begin an old one again. */
const spellAt = ({ spells }: Account, window: Window, now: number): Spell => {
  const begin = beginOf(window, now);
  const known = spells[window];
  return known && known.begin >= begin ? known : { begin, spent: NOTHING };
};

const withSpent = (account: Account, spent: Amounts, now: number, since: number): Account['spells'] => {
  let spells: Partial<Record<Window, Spell>> | undefined;
  for (const { window } of account.limits) {
    if (window === 'total' || spells?.[window]) continue;
    const { begin, spent: before } = spellAt(account, window, now);
    (spells ??= {})[window] = { begin, spent: plus(before, begin > since ? atLeastNothing(spent) : spent) };
  }
  return spells ?? account.spells;
};
