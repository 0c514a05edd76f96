/**
 * The desk at which a book is kept: one message in, the book as it is afterwards, what is to be said because of it, and the
 * lines for the ledger. Pure; the rules are policy.ts's.
 */
import { Window, type AccountSpec } from '../../protocols/account.ts';
import type {
  BudgetClose,
  BudgetClosed,
  BudgetExtend,
  BudgetFreeze,
  BudgetGranted,
  BudgetOpen,
  BudgetOpened,
  BudgetOrphaned,
  BudgetPaused,
  BudgetRaise,
  BudgetRaised,
  BudgetRelease,
  BudgetReserve,
  BudgetRevoked,
  BudgetSettle,
  BudgetThreshold,
  BudgetVetoed,
  Quote,
} from '../../protocols/budget.ts';
import { failure, type Failure } from '../../protocols/failure.ts';
import type { BudgetCheckpoint } from '../../protocols/checkpoint.ts';
import { address, parseAddress, runOf, type Address } from '../../protocols/ids.ts';
import type { Received, Sent } from '../../protocols/message.ts';
import { append, BEGINNING, type Chain, type LedgerLine, type NewLine } from '../../protocols/ledger.ts';
import { entriesOf, get, valuesOf } from './by-id.ts';
import { sealOf, stateFrom, type Closing, type State } from './checkpoint.ts';
import { split, splitAll } from './advance.ts';
import * as policy from './policy.ts';
import type { Book, Hold, Orphans } from './policy.ts';
import { nextBeginOf, NOTHING, pathOf, type Account } from './tree.ts';

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

/** Accounts of ended runs that stay in the tree, for whoever looks. */
const CLOSED_KEPT = 32;

export type Desk = State & {
  readonly rules: Omit<BudgetInput, 'accounts' | 'keptBackNanos'>;
  /** Of the last message: what is to be said, and what goes into the ledger. */
  readonly outbox: readonly Outgoing[];
  readonly lines: readonly LedgerLine[];
};

export const openDesk = ({ accounts, keptBackNanos, ...rules }: BudgetInput): Desk => ({
  rules,
  book: policy.openBook(accounts, BigInt(keptBackNanos)),
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

/** One message being dealt with. */
class Sitting {
  book: Book;
  chain: Chain;
  readonly outbox: Outgoing[] = [];
  readonly lines: LedgerLine[] = [];
  paused: readonly Address[];
  wanted: readonly policy.Request[];
  lastVeto: Failure | undefined;
  again: number | undefined;
  closing: readonly Closing[];
  #due: number | undefined;
  readonly desk: Desk;
  readonly now: number;

  constructor(desk: Desk, now: number) {
    this.desk = desk;
    this.now = now;
    ({
      book: this.book,
      chain: this.chain,
      paused: this.paused,
      wanted: this.wanted,
      lastVeto: this.lastVeto,
      again: this.again,
      closing: this.closing,
    } = desk);
    this.#due = desk.due;
  }

  /** Something ends by itself at `deadline`. */
  watch(deadline: number): void {
    if (this.#due === undefined || deadline < this.#due) this.#due = deadline;
  }

  write(line: NewLine): void {
    const { spent, held } = policy.totals(this.book);
    const written = append(this.chain, { ...line, at: this.now, spentNanos: spent.money.toString(), heldNanos: held.money.toString() });
    this.lines.push(written);
    this.chain = { seq: written.seq, hash: written.hash };
  }

  /** A call that was paid from an advance, and whose bill is not there yet. */
  writeDrawn(grant: string, advance: string): void {
    const { account, holder, model, amounts, state, deadline } = get(this.book.holds, grant)!;
    if (state === 'held') this.watch(deadline);
    this.write({ kind: state === 'held' ? 'hold' : state === 'charged' ? 'charge' : 'ask', account, grant, holder, model, amounts, note: `from ${advance}` });
  }

  /** What became of a grant of which nothing was heard, if anything did. */
  writeOrphan(grant: string, note: string): void {
    const before = get(this.desk.book.holds, grant);
    const now = get(this.book.holds, grant)?.state;
    if (before?.state !== 'held' || now === 'held') return;
    const { account, holder, model, amounts } = before;
    this.write({ kind: now === 'charged' ? 'charge' : now === 'asked' ? 'ask' : 'release', account, grant, holder, model, amounts, note });
  }

  grant(grant: string, hold: Hold): void {
    this.watch(hold.deadline);
    this.write({ kind: 'hold', account: hold.account, grant, holder: hold.holder, model: hold.model, amounts: hold.amounts });
    this.outbox.push({
      type: 'budget.granted',
      to: hold.holder,
      grant,
      amountNanos: hold.amounts.money.toString(),
      maxTokens: hold.maxTokens,
      deadline: hold.deadline,
      leftNanos: policy.leftOf(this.book, hold.account, this.now).toString(),
      ledger: this.chain,
    });
  }

  veto(grant: string, account: string, holder: Address, quote: Quote, why: Failure): void {
    const goesOn =
      quote.purpose === 'closing' || quote.advance !== undefined || quote.kind === 'tool' || (quote.hasCheaper === true && why.code === 'BUDGET_EXHAUSTED');
    const pauses = this.desk.rules.onExhausted === 'pause' && !goesOn && canBeLifted(why);
    const said = pauses ? asPause(why) : why;
    this.write({ kind: 'veto', account, grant, holder, model: quote.model, amounts: NOTHING, note: why.code });
    this.outbox.push({ type: 'budget.vetoed', to: holder, grant, failure: said, ledger: this.chain });
    if (!pauses) return;
    this.pause(holder, account, said, nextWindow(why, this.now));
    this.wanted = [...this.wanted.filter((one) => one.holder !== holder), { grant, account, holder, quote }];
  }

  /** The holder goes on when the account is raised or thawed, or at `again`. */
  pause(holder: Address, account: string, why: Failure, again?: number): void {
    this.lastVeto = why;
    if (again !== undefined) {
      this.again = Math.min(again, this.again ?? again);
      this.watch(again);
    }
    if (!this.paused.includes(holder)) this.paused = [...this.paused, holder];
    for (const to of [clientOf(holder), supervisorOf(holder)]) this.outbox.push({ type: 'budget.paused', to, account, failure: why });
    if (!this.paused.includes(supervisorOf(holder))) this.paused = [...this.paused, supervisorOf(holder)];
  }

  /** After anything that may have freed money: who waits is served, and who closes is told. */
  end(): Desk {
    const { grantMs } = this.desk.rules;
    const { book, served } = policy.serve(this.book, this.now, grantMs);
    this.book = book;
    for (const { waiter, decision } of served) {
      if (decision.kind === 'grant') this.grant(waiter.grant, decision.hold);
      else this.veto(waiter.grant, waiter.account, waiter.holder, waiter.quote, decision.failure);
    }
    this.#answerClosers();
    this.#tellWhoFits();
    const { book: after, chain, outbox, lines, paused, wanted, lastVeto, again, closing } = this;
    const due = policy.isOver(after) ? undefined : this.#isDue() ? nextDeadline(this) : this.#due;
    return { rules: this.desk.rules, book: after, chain, outbox, lines, paused, wanted, lastVeto, again, closing, due };
  }

  /** What was watched for has come, and may have ended: the next one is looked for. */
  #isDue(): boolean {
    return this.#due !== undefined && this.#due <= this.now;
  }

  #answerClosers(): void {
    const left: Closing[] = [];
    for (const one of this.closing) {
      if (policy.holdersBelow(this.book, one.account).length > 0 && one.deadline > this.now) {
        left.push(one);
        continue;
      }
      this.book = policy.closeBranch(this.book, one.account);
      this.write({ kind: 'close', account: one.account, amounts: NOTHING });
      this.outbox.push({ type: 'budget.closed', to: one.closer, ...figuresOf(this.book, one.account), ledger: this.chain });
      this.#forgetPaused(runOf(one.closer));
    }
    if (left.length === this.closing.length) return;
    this.book = policy.forgetClosed(this.book, CLOSED_KEPT);
    this.closing = left;
  }

  #forgetPaused(run: string): void {
    this.paused = this.paused.filter((who) => runOf(who) !== run);
    this.wanted = this.wanted.filter(({ holder }) => runOf(holder) !== run);
  }

  /** What was held or wrongly charged has come back: whoever paused and would get something now goes on. */
  #tellWhoFits(): void {
    for (const request of this.wanted) {
      const { holder, account } = request;
      if (!policy.wouldFit(this.book, request, this.now)) continue;
      const leftNanos = policy.leftOf(this.book, account, this.now).toString();
      const told = this.paused.filter((who) => who === holder || who === supervisorOf(holder));
      for (const to of told) this.outbox.push({ type: 'budget.raised', to, account, leftNanos });
      this.paused = this.paused.filter((who) => !told.includes(who));
      this.wanted = this.wanted.filter((one) => one !== request);
    }
  }

  /** The thresholds that were reached at `id` or above, to the client of whoever spent it. */
  announce(id: string, spender: Address): void {
    for (const account of pathOf(this.book.tree, id)) {
      const limit = moneyLimitOf(account);
      const reached = this.#thresholdOf(account);
      if (!limit || account.closed || reached <= account.announced) continue;
      this.book = policy.announced(this.book, account.id, reached);
      this.outbox.push({
        type: 'budget.threshold',
        to: clientOf(spender),
        account: account.id,
        percent: reached,
        spentNanos: account.spent.money.toString(),
        limitNanos: limit.amount.toString(),
      });
    }
  }

  /** A raise has moved the thresholds of `id` away: those that are not reached any more are announced again. */
  unannounce(id: string): void {
    const account = this.book.tree[id]!;
    const reached = this.#thresholdOf(account);
    if (reached < account.announced) this.book = policy.announced(this.book, id, reached);
  }

  /** The highest threshold that the account has reached, in percent. */
  #thresholdOf(account: Account): number {
    const limit = moneyLimitOf(account);
    if (!limit || limit.amount === 0n) return 0;
    let reached = 0;
    for (const threshold of this.desk.rules.thresholds) {
      if (account.spent.money * 100n >= limit.amount * BigInt(threshold) && threshold > reached) reached = threshold;
    }
    return reached;
  }
}

const moneyLimitOf = ({ limits }: Account) => limits.find(({ measure, window }) => measure === 'money' && window === 'total');

/** A raise adds money, and a thaw ends a freeze; nobody can add calls or tokens. */
const canBeLifted = ({ code, details }: Failure): boolean => code === 'BUDGET_FROZEN' || (code === 'BUDGET_EXHAUSTED' && details['measure'] === 'money');

const asPause = (why: Failure): Failure => ({ ...why, details: { ...why.details, pause: true } });

const clientOf = (holder: Address): Address => address(parseAddress(holder).run, 'client');
const supervisorOf = (holder: Address): Address => address(parseAddress(holder).run, 'supervisor');

const accountOf = ({ book }: Desk, from: Address, payer?: readonly string[]): string => {
  const { run, role, agent } = parseAddress(from);
  if (policy.isForgottenRun(book, run)) return `${book.root}/${run}`;
  return policy.accountFor(book, run, role === 'supervisor' ? role : (agent ?? role), payer);
};

/** Of an account's money. */
export const figuresOf = ({ tree }: Book, id: string) => {
  const account = tree[id]!;
  const { spent, held } = account;
  return { limitNanos: (moneyLimitOf(account)?.amount ?? 0n).toString(), spentNanos: spent.money.toString(), heldNanos: held.money.toString() };
};

// --- one message each --------------------------------------------------------------------------------------------------------

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
      sitting.book = policy.remember(desk.book, grant, 'unbilled');
      sitting.veto(grant, account, from, quote, decision.failure);
  }
  return sitting.end();
};

export const settle = (desk: Desk, { grant, spentNanos, usage, model, kind, response, advance, from, at }: Received<typeof BudgetSettle>): Desk => {
  const sitting = new Sitting(desk, at);
  const covered = advance === undefined ? desk.book : split(desk.book, advance, { grant, nanos: spentNanos }, at);
  const asked = accountOf(desk, from);
  const account = get(covered.holds, grant)?.account ?? (desk.book.tree[asked] ? asked : desk.book.root);
  const tokens = BigInt(usage.inputTokens + usage.outputTokens);
  const bill = { grant, account, spentNanos: BigInt(spentNanos), tokens, calls: kind === 'tool' ? 0n : 1n, toolCalls: kind === 'tool' ? 1n : 0n };
  sitting.book = policy.settle(covered, bill, at);
  if (sitting.book !== covered) {
    const over = sitting.book.overrun > desk.book.overrun;
    sitting.write({
      kind: 'settle',
      account,
      grant,
      holder: from,
      model,
      amounts: { ...NOTHING, money: bill.spentNanos, tokens },
      ...(response !== undefined && { response }),
      ...(over && { note: 'above its hold: the account is frozen' }),
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
  sitting.book = policy.release(covered, grant, at);
  if (known) sitting.write({ kind: 'release', account: known.account, grant, holder: from, model: known.model, amounts: known.amounts, note: reason });
  return sitting.end();
};

export const extend = (desk: Desk, { grant, deadline, at }: Received<typeof BudgetExtend>): Desk => {
  const sitting = new Sitting(desk, at);
  sitting.book = policy.extend(desk.book, grant, Math.min(deadline, at + desk.rules.grantMs));
  return sitting.end();
};

export const openBranch = (desk: Desk, { accounts, from, at }: Received<typeof BudgetOpen>): Desk => {
  const sitting = new Sitting(desk, at);
  const opened = policy.openBranch(desk.book, accounts, at);
  if ('why' in opened) {
    sitting.outbox.push({ type: 'budget.opened', to: from, failure: policy.refusedToOpen(opened.account, opened.why) });
    return sitting.end();
  }
  sitting.book = opened;
  for (const { id } of accounts) if (!desk.book.tree[id]) sitting.write({ kind: 'open', account: id, amounts: NOTHING });
  sitting.outbox.push({ type: 'budget.opened', to: from });
  return sitting.end();
};

export const raise = (desk: Desk, { account = desk.book.root, nanos, by, why, at }: Received<typeof BudgetRaise>): Desk => {
  const sitting = new Sitting(desk, at);
  const raised = policy.raise(desk.book, account, BigInt(nanos), at);
  if ('problem' in raised) return sitting.end();
  sitting.book = raised;
  sitting.unannounce(account);
  sitting.write({ kind: 'raise', account, amounts: { ...NOTHING, money: BigInt(nanos) }, note: `${by}: ${why}` });
  return tellPaused(sitting, account);
};

export const freeze = (desk: Desk, { account = desk.book.root, frozen, revoke, by, why, at }: Received<typeof BudgetFreeze>): Desk => {
  const sitting = new Sitting(desk, at);
  if (!desk.book.tree[account]) return sitting.end();
  sitting.book = policy.freeze(desk.book, account, frozen);
  sitting.write({ kind: frozen ? 'freeze' : 'thaw', account, amounts: NOTHING, note: `${by}: ${why}` });
  if (!frozen) return tellPaused(sitting, account);
  if (!revoke) {
    const why = policy.refused(account, 'frozen');
    for (const [grant, { holder, drawn }] of policy.holdersBelow(sitting.book, account)) {
      if (drawn) sitting.outbox.push({ type: 'budget.vetoed', to: holder, grant, failure: why });
    }
  } else {
    const pauses = desk.rules.onExhausted === 'pause';
    const revoked = failure('BUDGET_REVOKED', `budget of ${account} was frozen by ${by}: ${why}`, { details: { account } });
    const said = pauses ? asPause(revoked) : revoked;
    for (const [grant, { holder, drawn }] of policy.holdersBelow(sitting.book, account)) {
      sitting.outbox.push({ type: 'budget.revoked', to: holder, grant, failure: said });
      if (pauses && !drawn) sitting.pause(holder, account, said);
    }
  }
  return sitting.end();
};

/** When the window begins whose limit was in the way. */
const nextWindow = ({ details }: Failure, now: number): number | undefined => {
  const window = Window.safeParse(details['window']);
  return window.success ? nextBeginOf(window.data, now) : undefined;
};

const tellPaused = (sitting: Sitting, account: string): Desk => {
  if (sitting.book.tree[account]!.closed) return sitting.end();
  const leftNanos = policy.leftOf(sitting.book, account, sitting.now).toString();
  for (const to of sitting.paused) sitting.outbox.push({ type: 'budget.raised', to, account, leftNanos });
  sitting.paused = [];
  sitting.wanted = [];
  sitting.again = undefined;
  return sitting.end();
};

export const closeAccount = (desk: Desk, { from, at }: Received<typeof BudgetClose>): Desk => {
  const sitting = new Sitting(desk, at);
  const { run } = parseAddress(from);
  if (policy.isForgottenRun(desk.book, run)) return sitting.end(); // it was answered
  if (!policy.hasAccount(desk.book, run)) {
    // It was cancelled before it began. What is above is not its to close.
    sitting.outbox.push({ type: 'budget.closed', to: from, limitNanos: '0', spentNanos: '0', heldNanos: '0', ledger: sitting.chain });
    return sitting.end();
  }
  const account = policy.accountFor(desk.book, run, '');
  sitting.book = policy.endBranch(desk.book, account);
  sitting.closing = [...desk.closing, { account, closer: from, deadline: at + desk.rules.drainMs }];
  sitting.watch(at + desk.rules.drainMs);
  return sitting.end();
};

/** Deadlines that have come: of grants, of those who wait, of those who close; or a new window for those who paused. */
export const tick = (desk: Desk, at: number): Desk => {
  const sitting = new Sitting(desk, at);
  sitting.book = policy.forgetCharged(policy.expire(desk.book, at, desk.rules.orphans));
  for (const [grant] of entriesOf(desk.book.holds)) sitting.writeOrphan(grant, 'nothing was heard until its deadline');
  const begins = desk.again !== undefined && desk.again <= at;
  if (begins) sitting.again = undefined;
  return begins ? tellPaused(sitting, desk.book.root) : sitting.end();
};

export const orphan = (desk: Desk, { grant, at }: Received<typeof BudgetOrphaned>): Desk => {
  const sitting = new Sitting(desk, at);
  sitting.book = policy.orphan(desk.book, grant, at, desk.rules.orphans);
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

/** The first deadline of all; what `due` says may be of something that has ended meanwhile. `undefined`: there is none. */
export const nextDeadline = ({ book: { holds, queue }, closing, again }: Pick<Desk, 'book' | 'closing' | 'again'>): number | undefined => {
  let first = again;
  const look = (deadline: number): void => void (first = first === undefined || deadline < first ? deadline : first);
  for (const { state, deadline } of valuesOf(holds)) if (state === 'held') look(deadline);
  for (const { deadline } of queue) look(deadline);
  for (const { deadline } of closing) look(deadline);
  return first;
};
