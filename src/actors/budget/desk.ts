/** The desk at which a book is kept: what the budget's chart holds between two messages. */
import type { AccountSpec } from '../../protocols/account.ts';
import type {
  BudgetClosed,
  BudgetGranted,
  BudgetOpened,
  BudgetPaused,
  BudgetRaised,
  BudgetRevoked,
  BudgetThreshold,
  BudgetVetoed,
} from '../../protocols/budget.ts';
import { BEGINNING, type LedgerLine } from '../../protocols/ledger.ts';
import type { Sent } from '../../protocols/message.ts';
import { openBook, type Book, type Orphans } from './book.ts';
import { get, valuesOf } from './by-id.ts';
import type { State } from './checkpoint.ts';
import { moneyLimitOf } from './tree.ts';

/** What happens when the money is used up: calls fail, or the run pauses until someone raises the limit. */
export type OnExhausted = 'fail' | 'pause';

export type BudgetInput = {
  /** The root first, parents before their children. */
  readonly accounts: readonly AccountSpec[];
  /** From a grant to its deadline. */
  readonly grantMs: number;
  /** The longest wait for others to settle; a call that may take less time waits less. */
  readonly waitMs: number;
  /** The longest wait for open grants when an account is closed. */
  readonly drainMs: number;
  readonly orphans: Orphans;
  readonly onExhausted: OnExhausted;
  /** Only a closing answer may use this much. */
  readonly keptBackNanos: string;
  /** Shares of a limit on money, in percent, that are announced when they are reached. */
  readonly thresholds: readonly number[];
};

export type Outgoing =
  | Sent<typeof BudgetGranted>
  | Sent<typeof BudgetVetoed>
  | Sent<typeof BudgetClosed>
  | Sent<typeof BudgetOpened>
  | Sent<typeof BudgetRaised>
  | Sent<typeof BudgetRevoked>
  | Sent<typeof BudgetPaused>
  | Sent<typeof BudgetThreshold>;

export type Desk = State & {
  readonly rules: Omit<BudgetInput, 'accounts' | 'keptBackNanos'>;
  /** Of the last message: what is to be said, and what goes into the ledger. */
  readonly outbox: readonly Outgoing[];
  readonly lines: readonly LedgerLine[];
};

export const openDesk = ({ accounts, keptBackNanos, ...rules }: BudgetInput): Desk => ({
  rules,
  book: openBook(accounts, BigInt(keptBackNanos)),
  chain: BEGINNING,
  outbox: [],
  lines: [],
  paused: [],
  wanted: [],
  lastVeto: undefined,
  again: undefined,
  closing: [],
  due: undefined,
});

/** Of an account's money. */
export const figuresOf = ({ tree }: Book, id: string) => {
  const account = get(tree, id)!;
  const { spent, held } = account;
  return { limitNanos: (moneyLimitOf(account)?.amount ?? 0n).toString(), spentNanos: spent.money.toString(), heldNanos: held.money.toString() };
};

/** The first deadline of all; what `due` says may be of something that has ended meanwhile. `undefined`: there is none. */
export const nextDeadline = ({ book: { holds, queue }, closing, again }: Pick<Desk, 'book' | 'closing' | 'again'>): number | undefined => {
  let first = again;
  const look = (deadline: number): void => void (first = first === undefined || deadline < first ? deadline : first);
  for (const { state, deadline } of valuesOf(holds)) if (state === 'held') look(deadline);
  for (const { deadline } of queue) look(deadline);
  for (const { deadline } of closing) look(deadline);
  return first;
};
