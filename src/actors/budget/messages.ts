/** What each message makes of a desk. Pure; the rules are those of policy.ts, endings.ts and branches.ts. */
import type {
  BudgetClose,
  BudgetExtend,
  BudgetFreeze,
  BudgetOpen,
  BudgetOrphaned,
  BudgetRaise,
  BudgetRelease,
  BudgetReserve,
  BudgetSettle,
  Quote,
} from '../../protocols/budget.ts';
import type { BudgetCheckpoint } from '../../protocols/checkpoint.ts';
import { failure } from '../../protocols/failure.ts';
import { parseAddress, type Address } from '../../protocols/ids.ts';
import type { Received } from '../../protocols/message.ts';
import { split, splitAll } from './advance.ts';
import * as books from './book.ts';
import * as branches from './branches.ts';
import { entriesOf, get } from './by-id.ts';
import { sealOf, stateFrom } from './checkpoint.ts';
import { nextDeadline, type Desk } from './desk.ts';
import * as endings from './endings.ts';
import * as policy from './policy.ts';
import { refusedAsFrozen, refusedToOpen } from './refusals.ts';
import { asPause, Sitting } from './sitting.ts';
import { NOTHING } from './tree.ts';

/** Whoever asks takes a longer silence for absence: it draws on its advance at half of the call's time, and gives up at three quarters. */
const WAIT_SHARE = 2 / 5;

const waitOf = ({ rules: { waitMs } }: Desk, { timeoutMs }: Quote): number =>
  timeoutMs === undefined ? waitMs : Math.min(waitMs, Math.floor(timeoutMs * WAIT_SHARE));

export const reserve = (desk: Desk, { grant, quote, from, at }: Received<typeof BudgetReserve>): Desk => {
  const sitting = new Sitting(desk, at);
  const account = accountOf(desk, from, quote.payer);
  const decision = policy.decide(desk.book, { grant, account, holder: from, quote }, at, desk.rules.grantMs);
  switch (decision.kind) {
    case 'known':
      break;
    case 'grant':
      sitting.book = policy.hold(desk.book, grant, decision.hold, at);
      sitting.grant(grant, decision.hold);
      break;
    case 'wait':
      sitting.book = policy.enqueue(desk.book, { grant, account, holder: from, quote }, at + waitOf(desk, quote));
      sitting.watch(at + waitOf(desk, quote));
      break;
    case 'veto':
      sitting.book = books.remember(desk.book, grant, 'unbilled');
      sitting.veto(grant, account, from, quote, decision.failure);
  }
  return sitting.end();
};

export const settle = (desk: Desk, { grant, spentNanos, usage, model, kind, response, advance, from, at }: Received<typeof BudgetSettle>): Desk => {
  const sitting = new Sitting(desk, at);
  const covered = advance === undefined ? desk.book : split(desk.book, advance, { grant, nanos: spentNanos }, at);
  const asked = accountOf(desk, from);
  const account = get(covered.holds, grant)?.account ?? (get(desk.book.tree, asked) ? asked : desk.book.root);
  const tokens = BigInt(usage.inputTokens + usage.outputTokens);
  const bill = { grant, account, spentNanos: BigInt(spentNanos), tokens, calls: kind === 'tool' ? 0n : 1n, toolCalls: kind === 'tool' ? 1n : 0n };
  sitting.book = endings.settle(covered, bill, at);
  if (sitting.book !== covered) {
    const over = sitting.book.overrun > desk.book.overrun;
    const overNote = books.endingOf(desk.book, grant) === 'unknown' ? 'its hold had been given back' : 'above its hold: the account is frozen';
    sitting.write({
      kind: 'settle',
      account,
      grant,
      holder: from,
      model,
      amounts: { ...NOTHING, money: bill.spentNanos, tokens },
      ...(response !== undefined && { response }),
      ...(over && { note: overNote }),
    });
    sitting.announce(account, from);
  }
  return sitting.end();
};

export const release = (desk: Desk, { grant, reason, drawn = [], from, at }: Received<typeof BudgetRelease>): Desk => {
  const sitting = new Sitting(desk, at);
  const covered = splitAll(desk.book, grant, drawn, at);
  const known = get(covered.holds, grant);
  sitting.book = covered;
  for (const call of drawn) if (get(covered.holds, call.grant) !== get(desk.book.holds, call.grant)) sitting.writeDrawn(call.grant, grant);
  sitting.book = endings.release(covered, grant, at);
  if (known) sitting.write({ kind: 'release', account: known.account, grant, holder: from, model: known.model, amounts: known.amounts, note: reason });
  return sitting.end();
};

export const extend = (desk: Desk, { grant, deadline, at }: Received<typeof BudgetExtend>): Desk => {
  const sitting = new Sitting(desk, at);
  sitting.book = endings.extend(desk.book, grant, Math.min(deadline, at + desk.rules.grantMs));
  return sitting.end();
};

export const openBranch = (desk: Desk, { accounts, from, at }: Received<typeof BudgetOpen>): Desk => {
  const sitting = new Sitting(desk, at);
  const opened = branches.openBranch(desk.book, accounts, at);
  if ('why' in opened) {
    sitting.outbox.push({ type: 'budget.opened', to: from, failure: refusedToOpen(opened.account, opened.why) });
    return sitting.end();
  }
  sitting.book = opened;
  for (const { id } of accounts) if (!get(desk.book.tree, id)) sitting.write({ kind: 'open', account: id, amounts: NOTHING });
  sitting.outbox.push({ type: 'budget.opened', to: from });
  return sitting.end();
};

export const raise = (desk: Desk, { account = desk.book.root, nanos, by, why, at }: Received<typeof BudgetRaise>): Desk => {
  const sitting = new Sitting(desk, at);
  const raised = branches.raise(desk.book, account, BigInt(nanos), at);
  if ('problem' in raised) return sitting.end();
  sitting.book = raised;
  sitting.unannounce(account);
  sitting.write({ kind: 'raise', account, amounts: { ...NOTHING, money: BigInt(nanos) }, note: `${by}: ${why}` });
  return tellPaused(sitting, account);
};

export const freeze = (desk: Desk, { account = desk.book.root, frozen, revoke, by, why, at }: Received<typeof BudgetFreeze>): Desk => {
  const sitting = new Sitting(desk, at);
  if (!get(desk.book.tree, account)) return sitting.end();
  sitting.book = branches.freeze(desk.book, account, frozen, `${by}: ${why}`);
  sitting.write({ kind: frozen ? 'freeze' : 'thaw', account, amounts: NOTHING, note: `${by}: ${why}` });
  if (!frozen) return tellPaused(sitting, account);
  if (!revoke) {
    const refusal = refusedAsFrozen(get(sitting.book.tree, account)!);
    for (const [grant, { holder, drawn }] of books.holdersBelow(sitting.book, account)) {
      if (drawn) sitting.outbox.push({ type: 'budget.vetoed', to: holder, grant, failure: refusal });
    }
  } else {
    const pauses = desk.rules.onExhausted === 'pause';
    const revoked = failure('BUDGET_REVOKED', `budget of ${account} was frozen by ${by}: ${why}`, { details: { account } });
    const said = pauses ? asPause(revoked) : revoked;
    for (const [grant, { holder, drawn }] of books.holdersBelow(sitting.book, account)) {
      sitting.outbox.push({ type: 'budget.revoked', to: holder, grant, failure: said });
      if (pauses && !drawn) sitting.pause(holder, account, said);
    }
  }
  return sitting.end();
};

const tellPaused = (sitting: Sitting, account: string): Desk => {
  if (get(sitting.book.tree, account)!.closed) return sitting.end();
  const leftNanos = books.leftOf(sitting.book, account, sitting.now).toString();
  for (const to of sitting.paused) sitting.outbox.push({ type: 'budget.raised', to, account, leftNanos });
  sitting.paused = [];
  sitting.wanted = [];
  sitting.again = undefined;
  return sitting.end();
};

export const closeAccount = (desk: Desk, { from, at }: Received<typeof BudgetClose>): Desk => {
  const sitting = new Sitting(desk, at);
  const { run } = parseAddress(from);
  if (books.isForgottenRun(desk.book, run)) return sitting.end(); // it was answered
  if (!books.hasAccount(desk.book, run)) {
    // It was cancelled before it began. What is above is not its to close.
    sitting.outbox.push({ type: 'budget.closed', to: from, limitNanos: '0', spentNanos: '0', heldNanos: '0', ledger: sitting.chain });
    return sitting.end();
  }
  const account = books.accountFor(desk.book, run, '');
  sitting.book = branches.endBranch(desk.book, account);
  sitting.closing = [...desk.closing, { account, closer: from, deadline: at + desk.rules.drainMs }];
  sitting.watch(at + desk.rules.drainMs);
  return sitting.end();
};

/** Deadlines that have come: of grants, of those who wait, of those who close; or a new window for those who paused. */
export const tick = (desk: Desk, at: number): Desk => {
  const sitting = new Sitting(desk, at);
  sitting.book = endings.forgetCharged(endings.expire(desk.book, at, desk.rules.orphans));
  for (const [grant] of entriesOf(desk.book.holds)) sitting.writeOrphan(grant, 'nothing was heard until its deadline');
  const begins = desk.again !== undefined && desk.again <= at;
  if (begins) sitting.again = undefined;
  return begins ? tellPaused(sitting, desk.book.root) : sitting.end();
};

export const orphan = (desk: Desk, { grant, at }: Received<typeof BudgetOrphaned>): Desk => {
  const sitting = new Sitting(desk, at);
  sitting.book = endings.orphan(desk.book, grant, at, desk.rules.orphans);
  sitting.writeOrphan(grant, 'its host is gone');
  return sitting.end();
};

/** The state is what the checkpoint says, for who has read what came before it and for who has not. */
export const goOnFrom = (desk: Desk, checkpoint: Received<typeof BudgetCheckpoint>): Desk => {
  const { type: _, from, at, ...state } = checkpoint;
  const read = stateFrom(state, desk.book.keptBack);
  const sitting = new Sitting({ ...desk, ...read, due: nextDeadline(read) }, at);
  sitting.write({ kind: 'checkpoint', account: sitting.book.root, holder: from, amounts: NOTHING, note: sealOf(state) });
  return sitting.end();
};

const accountOf = ({ book }: Desk, from: Address, payer?: readonly string[]): string => {
  const { run, role, agent } = parseAddress(from);
  if (books.isForgottenRun(book, run)) return `${book.root}/${run}`;
  return books.accountFor(book, run, role === 'supervisor' ? role : (agent ?? role), payer);
};
