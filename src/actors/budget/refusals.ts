/** Why money is not granted, and an account not opened, in words and in figures. */
import type { Amounts } from '../../protocols/account.ts';
import type { VetoDetails } from '../../protocols/budget.ts';
import { failure, type Failure } from '../../protocols/failure.ts';
import { formatDollars } from '../../protocols/money.ts';
import { moneyLimitOf, type Account, type Tightness, type Uncovered } from './tree.ts';

const UNITS = { tokens: 'token', calls: 'model call', tool_calls: 'tool call', seconds: 'millisecond' } as const;

const inWords = (measure: keyof Amounts, amount: bigint): string =>
  measure === 'money' ? formatDollars(amount) : `${amount} ${UNITS[measure]}${amount === 1n ? '' : 's'}`;

/** The veto names the limit that tripped, at which account, and how to raise it. `tight`: the limit; without one the wait was too long. */
export const exhausted = (asker: string, tight: Tightness | undefined, needed: Amounts, asked: Amounts): Failure => {
  if (!tight) return failure('BUDGET_EXHAUSTED', `budget of ${asker}: the wait for others to settle was too long`, { retryable: true });
  const { account, limit, free, over } = tight;
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
    ...(over > 0n && { over: over.toString() }),
  };
  // Slices that were moved away, and what is kept back.
  const aside = limit.amount + over - spent - account.held[measure] - free;
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

/** Of the account that is frozen, which may be above that of whoever asks: it is the one to thaw. */
export const refusedAsFrozen = (account: Account): Failure => {
  const { id, frozenFor, spent } = account;
  const limit = moneyLimitOf(account);
  const figures = `${formatDollars(spent.money)} is spent${limit ? ` of ${formatDollars(limit.amount)}` : ''}`;
  const why = frozenFor === undefined ? '' : ` (${frozenFor}; ${figures})`;
  return failure('BUDGET_FROZEN', `budget of ${id} is frozen${why}: nothing is granted until it is thawed`, { details: { account: id } });
};

export const refusedAsClosed = (account: string): Failure =>
  failure('BUDGET_CLOSED', `budget of ${account} is closed: the run is ending`, { details: { account } });
