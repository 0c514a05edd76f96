/** All that an account must remember, as its checkpoint has it, and back. The rules are not in it: they are the account's own. */
import type { Amounts } from '../../protocols/account.ts';
import type { PayloadOf } from '../../protocols/catalogue.ts';
import type { Failure } from '../../protocols/failure.ts';
import type { Address } from '../../protocols/ids.ts';
import { digestOf, type Chain } from '../../protocols/ledger.ts';
import { entriesOf, none, put, type ById } from './by-id.ts';
import type { Book, Ending, Hold } from './book.ts';
import { forgetClosed } from './branches.ts';
import type { Request } from './policy.ts';
import { NOTHING, type Account, type Spell, type Tree } from './tree.ts';

export type Closing = { readonly account: string; readonly closer: Address; readonly deadline: number };

export type State = {
  readonly book: Book;
  readonly chain: Chain;
  /** Who was vetoed for want of money and is told when there is some. */
  readonly paused: readonly Address[];
  /** What they asked for: who would get it now is told as well. */
  readonly wanted: readonly Request[];
  /** Why the last of them was. */
  readonly lastVeto: Failure | undefined;
  /** When a window begins in which those who paused may have what the last one did not leave. */
  readonly again: number | undefined;
  readonly closing: readonly Closing[];
  /** No deadline comes before it: of grants, of those who wait, of those who close. What it was of may have ended since. */
  readonly due: number | undefined;
};

type Checkpoint = PayloadOf<'budget.checkpoint'>;
type InText = Checkpoint['accounts'][number]['spent'];

/** Closed accounts are left out: what was spent there is in the accounts above. `upTo`: the position of the last entry folded. */
export const checkpointOf = (state: State, upTo: number): Checkpoint => {
  const { chain, paused, wanted, lastVeto, again, closing } = state;
  const { tree, holds, queue, ended, forgottenUpTo, forgotRuns, overrun } = forgetClosed(state.book, 0);
  return {
    upTo,
    ledger: chain,
    accounts: entriesOf(tree).map(([, account]) => accountInText(account)),
    grants: entriesOf(holds).map(([grant, { amounts, at, drawn, ...hold }]) => ({
      grant,
      ...hold,
      amounts: inText(amounts),
      grantedAt: at,
      ...(drawn && { drawn: [...drawn] }),
    })),
    waiting: [...queue],
    ended: { newest: endingsInText(ended[0]), older: endingsInText(ended[1]) },
    forgottenUpTo,
    forgotRuns,
    overrunNanos: overrun.toString(),
    paused: [...paused],
    wanted: [...wanted],
    ...(lastVeto && { lastVeto }),
    ...(again !== undefined && { again }),
    closing: [...closing],
  };
};

/** The same for who has folded what the checkpoint stands for and for who begins with it. */
export const stateFrom = (checkpoint: Checkpoint, keptBack: bigint): Omit<State, 'due'> => {
  const { upTo, ledger, accounts, grants, waiting, ended, forgottenUpTo, forgotRuns, overrunNanos, paused, wanted, lastVeto, again, closing } = checkpoint;
  const tree: Tree = accounts.reduce((all, account) => put(all, account.id, accountFrom(account)), none as Tree);
  const book: Book = {
    root: accounts[0]!.id,
    tree,
    holds: grants.reduce((all, { grant, grantedAt, amounts, chargedAt, drawn, ...hold }) => {
      const held: Hold = {
        ...hold,
        amounts: fromText(amounts),
        at: grantedAt,
        ...(chargedAt !== undefined && { chargedAt }),
        ...(drawn && { drawn }),
      };
      return put(all, grant, held);
    }, none as ById<Hold>),
    queue: waiting,
    ended: [endingsFrom(ended.newest), endingsFrom(ended.older)],
    forgottenUpTo,
    forgotRuns,
    cutAt: upTo,
    keptBack,
    overrun: BigInt(overrunNanos),
  };
  return { book, chain: ledger, paused, wanted, lastVeto, again, closing };
};

/** Of the whole checkpoint: it stands in the ledger, so that nobody changes one unseen. */
export const sealOf = (checkpoint: Checkpoint): string => digestOf(checkpoint);

const inText = (amounts: Amounts): InText =>
  Object.fromEntries(Object.entries(amounts).flatMap(([measure, amount]) => (amount === 0n ? [] : [[measure, amount.toString()]])));

const fromText = (text: InText): Amounts => ({
  ...NOTHING,
  ...Object.fromEntries(Object.entries(text).map(([measure, amount]) => [measure, BigInt(amount)])),
});

const accountInText = (account: Account): Checkpoint['accounts'][number] => {
  const { id, parent, limits, slice, spent, held, spells, sliced, frozen, frozenFor, ending, closed, announced } = account;
  return {
    id,
    ...(parent !== undefined && { parent }),
    limits: limits.map(({ measure, amount, window }) => ({ measure, amount: amount.toString(), window })),
    ...(slice !== undefined && { sliceNanos: slice.toString() }),
    spent: inText(spent),
    held: inText(held),
    windows: Object.fromEntries(Object.entries(spells).map(([window, spell]) => [window, { begin: spell.begin, spent: inText(spell.spent) }])),
    slicedNanos: sliced.toString(),
    state: closed ? 'closed' : ending ? 'ending' : 'open',
    frozen,
    ...(frozenFor !== undefined && { frozenFor }),
    announced,
  };
};

const accountFrom = ({
  id,
  parent,
  limits,
  sliceNanos,
  spent,
  held,
  windows,
  slicedNanos,
  state,
  frozen,
  frozenFor,
  announced,
}: Checkpoint['accounts'][number]): Account => ({
  id,
  parent,
  limits: limits.map(({ measure, amount, window }) => ({ measure, amount: BigInt(amount), window })),
  slice: sliceNanos === undefined ? undefined : BigInt(sliceNanos),
  spent: fromText(spent),
  held: fromText(held),
  spells: Object.fromEntries(Object.entries(windows).map(([window, spell]): [string, Spell] => [window, { begin: spell.begin, spent: fromText(spell.spent) }])),
  sliced: BigInt(slicedNanos),
  frozen,
  frozenFor,
  ending: state !== 'open',
  closed: state === 'closed',
  announced,
});

const endingsInText = (endings: ById<Ending>): Checkpoint['ended']['newest'] => {
  const all = entriesOf(endings);
  const of = (wanted: Ending): string[] => all.flatMap(([grant, ending]) => (ending === wanted ? [grant] : []));
  const unknown = of('unknown');
  return { billed: of('billed'), unbilled: of('unbilled'), ...(unknown.length > 0 && { unknown }) };
};

const endingsFrom = (text: Checkpoint['ended']['newest']): ById<Ending> => {
  let all: ById<Ending> = none;
  for (const ending of ['billed', 'unbilled', 'unknown'] as const) for (const grant of text[ending] ?? []) all = put<Ending>(all, grant, ending);
  return all;
};
