/**
 * The book of an account: its tree, the grants that are open, those who wait for one, and what is remembered of grants that ended.
 * What is decided over it is policy.ts's, how grants end endings.ts's, and what becomes of its accounts branches.ts's.
 */
import type { AccountSpec, Amounts } from '../../protocols/account.ts';
import type { Quote } from '../../protocols/budget.ts';
import { positionOfGrant, type Address } from '../../protocols/ids.ts';
import { entriesOf, get, has, none, put, valuesOf, type ById } from './by-id.ts';
import { refusedToOpen } from './refusals.ts';
import { isAtOrBelow, isUncovered, limitsOn, open, type Tree } from './tree.ts';

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

/**
 * A grant that was billed is done with. One of which it was said that it cost nothing may still be billed, and so may one that
 * was given back because nobody could say what became of its call.
 */
export type Ending = 'billed' | 'unbilled' | 'unknown';

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
  let tree: Tree = none;
  for (const account of accounts) {
    const opened = open(tree, account, 0);
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
  const above = [run, ...payer].reduce((id, name) => (has(tree, `${id}/${name}`) ? `${id}/${name}` : id), root);
  return [`${above}/${part}`, `${root}/${part}`].find((id) => has(tree, id)) ?? above;
};

/** Whether a run has an account here. The book of a run is the run's; below a shared account each opens one before its first call. */
export const hasAccount = ({ tree, root }: Book, run: string): boolean => run === root || has(tree, `${root}/${run}`);

/** Whether a run's account was closed and is forgotten. */
export const isForgottenRun = (current: Book, run: string): boolean => current.forgotRuns && !hasAccount(current, run);

/** Whether the whole account is closed: nothing is held or waited for any more. */
export const isOver = ({ tree, root, queue }: Book): boolean => {
  const { closed, held } = get(tree, root)!;
  return closed && held.money === 0n && held.calls === 0n && held.tool_calls === 0n && queue.length === 0;
};

/** Whether anything is held at or below an account. */
export const isHeldFrom = ({ holds }: Book, account: string): boolean => {
  for (const held of valuesOf(holds)) if (isHeldBelow(held, account)) return true;
  return false;
};

export const holdersBelow = ({ holds }: Book, account: string): readonly (readonly [grant: string, hold: Hold])[] =>
  entriesOf(holds, (_, held) => isHeldBelow(held, account));

export const isHeldBelow = ({ state, account: at }: Hold, account: string): boolean => state === 'held' && isAtOrBelow(at, account);

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
  const { spent, held } = get(tree, root)!;
  return { spent, held };
};

// --- grants that ended -------------------------------------------------------------------------------------------------------

export const endingOf = ({ ended: [newest, older] }: Book, grant: string): Ending | undefined => get(newest, grant) ?? get(older, grant);

export const remember = (current: Book, grant: string, ending: Ending): Book => {
  const [newest, older] = current.ended;
  if (newest.size < GENERATION) return { ...current, ended: [put(newest, grant, ending), older] };
  let { forgottenUpTo } = current;
  for (const [forgotten] of entriesOf(older)) forgottenUpTo = Math.max(forgottenUpTo, positionOfGrant(forgotten) ?? 0);
  return { ...current, ended: [put<Ending>(none, grant, ending), newest], forgottenUpTo };
};

/** Whether what is said of an unknown grant was said before, and is booked: it is older than what is remembered, and than the cut. */
export const isForgotten = ({ forgottenUpTo, cutAt }: Book, grant: string): boolean => {
  const position = cutAt === 0 ? undefined : positionOfGrant(grant);
  return position !== undefined && position <= forgottenUpTo && position <= cutAt;
};
