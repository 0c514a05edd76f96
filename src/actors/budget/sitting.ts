/** One message being dealt with at the desk: the book as it changes, what is to be said because of it, and the lines for the ledger. */
import { Window } from '../../protocols/account.ts';
import type { Quote } from '../../protocols/budget.ts';
import type { Failure } from '../../protocols/failure.ts';
import { address, parseAddress, runOf, type Address } from '../../protocols/ids.ts';
import { append, type Chain, type LedgerLine, type NewLine } from '../../protocols/ledger.ts';
import * as books from './book.ts';
import type { Book, Hold } from './book.ts';
import * as branches from './branches.ts';
import { get } from './by-id.ts';
import type { Closing } from './checkpoint.ts';
import { figuresOf, nextDeadline, type Desk, type Outgoing } from './desk.ts';
import * as policy from './policy.ts';
import { moneyLimitOf, nextBeginOf, NOTHING, pathOf, type Account } from './tree.ts';

/** Accounts of ended runs that stay in the tree, for whoever looks. */
const CLOSED_KEPT = 32;

export class Sitting {
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
    const { spent, held } = books.totals(this.book);
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
      leftNanos: books.leftOf(this.book, hold.account, this.now).toString(),
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
    const due = books.isOver(after) ? undefined : this.#isDue() ? nextDeadline(this) : this.#due;
    return { rules: this.desk.rules, book: after, chain, outbox, lines, paused, wanted, lastVeto, again, closing, due };
  }

  /** What was watched for has come, and may have ended: the next one is looked for. */
  #isDue(): boolean {
    return this.#due !== undefined && this.#due <= this.now;
  }

  #answerClosers(): void {
    const left: Closing[] = [];
    for (const one of this.closing) {
      if (one.deadline > this.now && books.isHeldFrom(this.book, one.account)) {
        left.push(one);
        continue;
      }
      this.book = branches.closeBranch(this.book, one.account);
      this.write({ kind: 'close', account: one.account, amounts: NOTHING });
      this.outbox.push({ type: 'budget.closed', to: one.closer, ...figuresOf(this.book, one.account), ledger: this.chain });
      this.#forgetPaused(runOf(one.closer));
    }
    if (left.length === this.closing.length) return;
    this.book = branches.forgetClosed(this.book, CLOSED_KEPT);
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
      const leftNanos = books.leftOf(this.book, account, this.now).toString();
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
      this.book = branches.announced(this.book, account.id, reached);
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
    const account = get(this.book.tree, id)!;
    const reached = this.#thresholdOf(account);
    if (reached < account.announced) this.book = branches.announced(this.book, id, reached);
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

/** A raise adds money, and a thaw ends a freeze; nobody can add calls or tokens. */
const canBeLifted = ({ code, details }: Failure): boolean => code === 'BUDGET_FROZEN' || (code === 'BUDGET_EXHAUSTED' && details['measure'] === 'money');

export const asPause = (why: Failure): Failure => ({ ...why, details: { ...why.details, pause: true } });

const clientOf = (holder: Address): Address => address(parseAddress(holder).run, 'client');
const supervisorOf = (holder: Address): Address => address(parseAddress(holder).run, 'supervisor');

/** When the window begins whose limit was in the way. */
const nextWindow = ({ details }: Failure, now: number): number | undefined => {
  const window = Window.safeParse(details['window']);
  return window.success ? nextBeginOf(window.data, now) : undefined;
};
