/**
 * Whether money may be spent: pure decisions over one account.
 *
 *   M1  spent + held <= limit, unless a provider billed more than the bound it was held to (`overrun` then says how much).
 *   M2  A grant is decided once, settled once, released once; a repetition changes nothing.
 *   M3  A grant whose deadline passes without a word counts as spent in full, until a late word corrects it.
 *   M4  Nothing is granted once the account is closed.
 */
import type { Quote, VetoDetails } from '../../protocols/budget.ts';
import { failure, type Failure } from '../../protocols/failure.ts';
import { formatDollars, tokensCost, tokensFor } from '../../protocols/money.ts';

/** What became of a grant. `nanos`: held, or spent. */
export type GrantRecord = {
  readonly state: 'held' | 'settled' | 'released' | 'expired';
  readonly nanos: bigint;
  /** The cap that the call may send. */
  readonly maxTokens: number;
  readonly deadline: number;
};

export type Account = {
  readonly name: string;
  readonly limit: bigint;
  readonly spent: bigint;
  readonly held: bigint;
  /** Billed above what was held, in all. */
  readonly overrun: bigint;
  readonly grants: Readonly<Record<string, GrantRecord>>;
};

export const openAccount = (name: string, limit: bigint): Account => ({ name, limit, spent: 0n, held: 0n, overrun: 0n, grants: {} });

export const left = (account: Account): bigint => {
  const free = account.limit - account.spent - account.held;
  return free > 0n ? free : 0n;
};

export type Offer = { readonly nanos: bigint; readonly maxTokens: number };

const costOf = (quote: Quote, tokens: number): bigint => BigInt(quote.fixedNanos) + tokensCost(tokens, BigInt(quote.outputNanosPerMtok));

/** What the account can give: in full if that fits, else the largest cap that fits and is still worth the call, else nothing. */
export const offer = (account: Account, quote: Quote): Offer | undefined => {
  const free = left(account);
  const maxTokens = Math.min(quote.maxTokens, tokensFor(free - BigInt(quote.fixedNanos), BigInt(quote.outputNanosPerMtok)));
  const nanos = costOf(quote, maxTokens);
  return maxTokens >= fewestTokens(quote) && nanos <= free ? { nanos, maxTokens } : undefined;
};

/** Holds an offer that was made for this account as it stands. */
export const hold = (account: Account, grant: string, { nanos, maxTokens }: Offer, deadline: number): Account => ({
  ...account,
  held: account.held + nanos,
  grants: { ...account.grants, [grant]: { state: 'held', nanos, maxTokens, deadline } },
});

const fewestTokens = (quote: Quote): number => Math.min(quote.minTokens, quote.maxTokens);

export const exhausted = (account: Account, quote: Quote): Failure => {
  const needed = costOf(quote, fewestTokens(quote));
  const asked = costOf(quote, quote.maxTokens);
  const details: VetoDetails = {
    account: account.name,
    limitNanos: account.limit.toString(),
    spentNanos: account.spent.toString(),
    heldNanos: account.held.toString(),
    neededNanos: needed.toString(),
    askedNanos: asked.toString(),
  };
  const said =
    `budget of ${account.name}: the next call needs at least ${formatDollars(needed)}, ${formatDollars(left(account))} is left ` +
    `(limit ${formatDollars(account.limit)}, spent ${formatDollars(account.spent)}, held ${formatDollars(account.held)}); raise budget.limit or --budget`;
  return failure('BUDGET_EXHAUSTED', said, { details });
};

export const closed = (account: Account): Failure => failure('BUDGET_CLOSED', `budget of ${account.name} is closed: the run is ending`);

/** Books what a call cost, in full, whatever was held for it. */
export const settle = (account: Account, grant: string, spent: bigint): Account => {
  const known = account.grants[grant];
  if (known?.state === 'settled') return account;
  const undone = known ? withoutGrant(account, known) : account;
  const over = spent > (known?.nanos ?? 0n) ? spent - (known?.nanos ?? 0n) : 0n;
  const grants = { ...undone.grants, [grant]: { state: 'settled' as const, nanos: spent, maxTokens: known?.maxTokens ?? 0, deadline: known?.deadline ?? 0 } };
  return { ...undone, spent: undone.spent + spent, overrun: undone.overrun + over, grants };
};

/** Gives back what a call would have cost that was never made. */
export const release = (account: Account, grant: string): Account => {
  const known = account.grants[grant];
  if (!known || known.state === 'settled' || known.state === 'released') return account;
  return { ...withoutGrant(account, known), grants: { ...account.grants, [grant]: { ...known, state: 'released', nanos: 0n } } };
};

/** M3, for every grant whose deadline has come. */
export const expire = (account: Account, now: number): Account => {
  const grants = { ...account.grants };
  let moved = 0n;
  for (const [grant, known] of Object.entries(account.grants)) {
    if (known.state !== 'held' || known.deadline > now) continue;
    grants[grant] = { ...known, state: 'expired' };
    moved += known.nanos;
  }
  return moved === 0n ? account : { ...account, held: account.held - moved, spent: account.spent + moved, grants };
};

const withoutGrant = (account: Account, known: GrantRecord): Account => {
  if (known.state === 'held') return { ...account, held: account.held - known.nanos };
  if (known.state === 'expired') return { ...account, spent: account.spent - known.nanos };
  return account;
};
