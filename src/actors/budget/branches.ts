/** What becomes of the accounts of a book: they are opened below others, raised, frozen, closed with all below them, and forgotten. Pure. */
import type { AccountSpec } from '../../protocols/account.ts';
import type { Book } from './book.ts';
import { entriesOf, get, put } from './by-id.ts';
import { close, drop, isAtOrBelow, isUncovered, mark, open, raise as raiseIn, type Uncovered } from './tree.ts';

export const raise = (current: Book, account: string, nanos: bigint, now: number): Book | Uncovered => {
  const raised = raiseIn(current.tree, account, nanos, now);
  return isUncovered(raised) ? raised : { ...current, tree: raised };
};

/** `why`: of a freeze. */
export const freeze = (current: Book, account: string, frozen: boolean, why?: string): Book => ({
  ...current,
  tree: mark(current.tree, account, { frozen, frozenFor: frozen ? why : undefined }),
});

export const announced = (current: Book, account: string, percent: number): Book => ({ ...current, tree: mark(current.tree, account, { announced: percent }) });

/** From now on nothing is granted at or below the account. */
export const endBranch = (current: Book, account: string): Book => ({ ...current, tree: mark(current.tree, account, { ending: true }) });

export const openBranch = (current: Book, accounts: readonly AccountSpec[], now: number): Book | { readonly account: string; readonly why: Uncovered } => {
  let { tree } = current;
  for (const account of accounts) {
    const opened = open(tree, account, now);
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
  const branch = entriesOf(current.tree, (id) => isAtOrBelow(id, account));
  return { ...current, tree: branch.toReversed().reduce((tree, [id]) => close(tree, id), current.tree) };
};

/**
 * Forgets closed accounts but for the newest `keep`, and those of which something may still be said. A grant that was charged
 * there is the account's above from now on: a late word corrects what is booked there.
 */
export const forgetClosed = (current: Book, keep: number): Book => {
  const { tree } = current;
  const closed = entriesOf(tree, (_, { closed: gone, parent }) => gone && parent !== undefined && get(tree, parent)?.closed !== true);
  let next = current;
  for (const [id, { parent }] of closed.slice(0, Math.max(0, closed.length - keep))) {
    const below = entriesOf(next.holds, (_, { account }) => isAtOrBelow(account, id));
    if (below.some(([, { state }]) => state !== 'charged')) continue;
    const holds = below.reduce((all, [grant, held]) => put(all, grant, { ...held, account: parent! }), next.holds);
    next = { ...next, tree: drop(next.tree, id), holds, forgotRuns: true };
  }
  return next;
};
