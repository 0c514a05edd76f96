/**
 * How grants end: what was spent is booked, and what was not goes back. Pure.
 *
 *   M2  A grant is decided once, settled once, released once; a repetition changes nothing.
 *   M3  A grant whose deadline passes without a word is an orphan: it counts as spent, goes back, or is asked about, by rule.
 *       A late word corrects whatever was booked.
 *   M5  What was spent is booked, however late, also when the account is frozen or closed.
 */
import type { Amounts } from '../../protocols/account.ts';
import { endingOf, isForgotten, remember, type Book, type Orphans } from './book.ts';
import { entriesOf, get, put, without } from './by-id.ts';
import { book, mark, minus, NOTHING } from './tree.ts';

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
  // What was given back unheard is not there to compare with: the provider may have kept to it.
  const isSuspect = over > 0n && endingOf(current, grant) !== 'unknown';
  const flagged = isSuspect ? mark(tree, account, { frozen: true, frozenFor: 'a provider billed more than was held for its call' }) : tree;
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
      return remember(release(current, grant, now), grant, 'unknown');
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

/** Of so many orphans that were charged a late word is waited for. */
const CHARGED_MAX = 1_024;

/** The oldest of the charged orphans: what was charged for them stands. */
export const forgetCharged = (current: Book): Book => {
  const charged = entriesOf(current.holds).filter(([, { state }]) => state === 'charged');
  return charged
    .slice(0, Math.max(0, charged.length - CHARGED_MAX))
    .reduce((next, [grant]) => remember({ ...next, holds: without(next.holds, grant) }, grant, 'billed'), current);
};
