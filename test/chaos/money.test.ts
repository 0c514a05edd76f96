/**
 * The books under any schedule: many callers, calls that end late, twice or never, clocks that jump, limits that are raised,
 * accounts that are frozen, closed and opened meanwhile, logs that are cut at any point. After every message the invariants of
 * money hold, at every account.
 *
 * CHAOS_SEED repeats one seed; CHAOS_SCHEDULES says how many are tried.
 */
import { describe, expect, it } from 'vitest';
import * as desk from '../../src/actors/budget/desk.ts';
import * as messages from '../../src/actors/budget/messages.ts';
import type { Desk, Outgoing } from '../../src/actors/budget/desk.ts';
import { checkpointOf } from '../../src/actors/budget/checkpoint.ts';
import { entriesOf, get, valuesOf } from '../../src/actors/budget/by-id.ts';
import { accountFor, leftOf } from '../../src/actors/budget/book.ts';
import { beginOf, type Account } from '../../src/actors/budget/tree.ts';
import type { AccountSpec } from '../../src/protocols/account.ts';
import type { Quote } from '../../src/protocols/budget.ts';
import { BudgetCheckpoint } from '../../src/protocols/checkpoint.ts';
import type { Address } from '../../src/protocols/ids.ts';
import { firstBreak, type LedgerLine } from '../../src/protocols/ledger.ts';
import { tokensCost } from '../../src/protocols/money.ts';
import { seeded } from '../support/simulation.ts';

const FIRST_SEED = Number(process.env['CHAOS_SEED'] ?? 77_000);
const SCHEDULES = process.env['CHAOS_SEED'] ? 1 : Number(process.env['CHAOS_SCHEDULES'] ?? 10_000);

type Call = {
  readonly grant: string;
  readonly from: Address;
  readonly quote: Quote;
  answers: number;
  granted: { nanos: bigint; maxTokens: number } | undefined;
  billed: bigint | undefined;
  settled: boolean;
};

/** Money that lies ready for calls which nobody is asked for, and what was drawn from it; the account hears of it in any order. */
type Advance = {
  readonly grant: string;
  readonly from: Address;
  left: bigint;
  state: 'asked' | 'open' | 'over' | 'told';
  readonly draws: { readonly grant: string; readonly bound: bigint; billed: bigint | undefined; settled: boolean }[];
};

/** All that is said but for the ledger's lines, of which a checkpoint is one, and that a closed account is closed. */
const decisionsOf = ({ outbox }: Desk): string =>
  JSON.stringify(
    outbox.filter(({ type }) => type !== 'budget.closed'),
    (key, value: unknown) => (key === 'ledger' ? undefined : value),
  );

/** `expect` costs more than the books. */
const must = (holds: boolean, otherwise: () => string): void => {
  if (!holds) throw new Error(otherwise());
};

class Schedule {
  readonly #random: () => number;
  now = Date.UTC(2026, 0, 31, 22, 50);
  /** Of a process that begins anew at every cut. */
  books: Desk;
  /** Of one that has read everything from the beginning. */
  replica: Desk;
  /** Of one whose log is never cut. */
  uncut: Desk;
  readonly #input: desk.BudgetInput;
  readonly calls: Call[] = [];
  readonly advances: Advance[] = [];
  readonly lines: LedgerLine[] = [];
  #next = 0;

  constructor(seed: number) {
    this.#random = seeded(seed);
    this.#input = {
      accounts: this.#accounts(),
      grantMs: 60_000,
      waitMs: 20_000,
      drainMs: 30_000,
      orphans: this.#random() < 0.7 ? 'charge' : 'ask',
      onExhausted: this.#random() < 0.5 ? 'pause' : 'fail',
      keptBackNanos: this.#random() < 0.3 ? '20000' : '0',
      thresholds: [50, 80, 95],
    };
    this.books = desk.openDesk(this.#input);
    this.replica = desk.openDesk(this.#input);
    this.uncut = desk.openDesk(this.#input);
  }

  #pick(count: number): number {
    return Math.floor(this.#random() * count);
  }

  #accounts(): AccountSpec[] {
    const limit = 100_000 + this.#pick(400_000);
    // Where more than money is limited there is no advance.
    const counts = this.#random() < 0.5;
    return [
      {
        id: 'acme',
        limits: [
          { measure: 'money', amount: String(limit), window: 'total' },
          ...(counts ? [{ measure: 'calls' as const, amount: '25', window: 'total' as const }] : []),
          { measure: 'money', amount: String(Math.floor(limit / 2)), window: 'hour' },
        ],
      },
      {
        id: 'acme/r-one',
        parent: 'acme',
        limits: [
          { measure: 'money', amount: String(Math.floor(limit / 2)), window: 'total' },
          ...(counts ? [{ measure: 'tokens' as const, amount: '2000', window: 'total' as const }] : []),
        ],
      },
      { id: 'acme/r-one/ann', parent: 'acme/r-one', limits: [], sliceNanos: String(Math.floor(limit / 8)) },
      { id: 'acme/r-one/bob', parent: 'acme/r-one', limits: [{ measure: 'money', amount: String(Math.floor(limit / 6)), window: 'total' }] },
      { id: 'acme/r-two', parent: 'acme', limits: [], sliceNanos: String(Math.floor(limit / 6)) },
    ];
  }

  #say(message: (books: Desk) => Desk): void {
    const before = this.books;
    this.books = message(before);
    this.replica = message(this.replica);
    this.uncut = message(this.uncut);
    // What is known already changes nothing and says nothing again.
    if (this.books.chain.seq > before.chain.seq) this.lines.push(...this.books.lines);
    for (const said of this.books.outbox) this.#hear(said);
  }

  /** All that was before is gone: what is left of it is in the checkpoint, as it comes from the wire. */
  #cut(): void {
    const wire = JSON.stringify(checkpointOf(this.books, this.#next));
    const entry = { type: 'budget.checkpoint' as const, from: 'r-one.client' as Address, at: this.now, ...BudgetCheckpoint.data.parse(JSON.parse(wire)) };
    this.books = messages.goOnFrom(desk.openDesk(this.#input), entry);
    this.replica = messages.goOnFrom(this.replica, entry);
    this.uncut = { ...this.uncut, outbox: [] };
    this.lines.push(...this.books.lines);
  }

  #hear(said: Outgoing): void {
    const advance = 'grant' in said ? this.advances.find(({ grant }) => grant === said.grant) : undefined;
    if (advance) return this.#hearOfAdvance(advance, said);
    if (said.type !== 'budget.granted' && said.type !== 'budget.vetoed') return;
    const call = this.calls.find(({ grant }) => grant === said.grant)!;
    call.answers++;
    if (said.type === 'budget.vetoed') return;
    const { holds, tree } = this.books.book;
    for (let at = get(tree, get(holds, said.grant)!.account); at; at = at.parent === undefined ? undefined : get(tree, at.parent)) {
      must(!at.frozen && !at.ending && !at.closed, () => `${said.grant} is granted at ${at.id}, which grants nothing`);
    }
    call.granted = { nanos: BigInt(said.amountNanos), maxTokens: said.maxTokens };
  }

  #hearOfAdvance(advance: Advance, said: Outgoing): void {
    if (said.type === 'budget.granted') {
      must(advance.state === 'asked', () => `${advance.grant} is granted although it is ${advance.state}`);
      Object.assign(advance, { state: 'open', left: BigInt(said.amountNanos) });
    } else if (advance.state === 'asked' || advance.state === 'open') advance.state = 'over';
  }

  #askForAdvance(): void {
    const from = this.#somebody();
    const deadline = this.now + this.#pick(120_000);
    const quote: Quote = {
      model: 'advance',
      fixedNanos: String(this.#pick(40_000)),
      outputNanosPerMtok: '0',
      maxTokens: 0,
      minTokens: 0,
      inputTokens: 0,
      priceHash: '',
      advance: { deadline },
    };
    const advance: Advance = { grant: `${from}/${this.#next++}/~advance#1`, from, left: 0n, state: 'asked', draws: [] };
    this.advances.push(advance);
    this.#say((books) => messages.reserve(books, { type: 'budget.reserve', grant: advance.grant, quote, from, at: this.now }));
    must(advance.state !== 'asked', () => `${advance.grant} waits`);
  }

  /** A call under the advance, of which the account does not hear. */
  #draw(advance: Advance): void {
    const bound = BigInt(this.#pick(15_000));
    if (advance.state !== 'open' || bound > advance.left) return;
    advance.left -= bound;
    advance.draws.push({ grant: `${advance.from}/${this.#next++}/model#2`, bound, billed: undefined, settled: false });
  }

  #billDraw(advance: Advance): void {
    const draw = advance.draws[this.#pick(advance.draws.length)];
    if (!draw) return;
    draw.billed ??= (draw.bound * BigInt(this.#pick(101))) / 100n;
    if (!draw.settled && advance.state === 'open') advance.left += draw.bound - draw.billed;
    // The actor knows the bill, and the account hears of it now, later, or again.
    draw.settled = true;
    if (this.#random() < 0.3) return;
    this.#settleDraw(advance, draw.grant, draw.billed);
  }

  #settleDraw({ grant: advance, from }: Advance, grant: string, billed: bigint): void {
    const usage = { inputTokens: 1, outputTokens: 1, cachedInputTokens: 0, reasoningTokens: 0 };
    const bill = { grant, advance, spentNanos: billed.toString(), usage, model: 'any/model' };
    this.#say((books) => messages.settle(books, { type: 'budget.settle', ...bill, from, at: this.now }));
  }

  #giveBack(advance: Advance): void {
    if (advance.state === 'asked') return;
    advance.state = 'told';
    const drawn = advance.draws.map(({ grant, bound, billed }) => ({ grant, nanos: (billed ?? bound).toString() }));
    this.#say((books) => messages.release(books, { type: 'budget.release', grant: advance.grant, reason: 'test', drawn, from: advance.from, at: this.now }));
  }

  #somebody(): Address {
    return ['r-one.worker.ann.s-1', 'r-one.worker.bob.s-2', 'r-one.worker.cyd.s-3', 'r-two.worker.dan.s-1', 'r-two.supervisor'][this.#pick(5)] as Address;
  }

  #reserve(): void {
    const from = this.#somebody();
    const { book } = this.books;
    const account = accountFor(book, from.split('.')[0]!, from.split('.')[2] ?? from.split('.')[1]!);
    // Now and then the call needs all that is left, to the last nano-dollar, or one more.
    const exact = this.#random() < 0.15;
    const quote: Quote = {
      model: 'any/model',
      fixedNanos: exact ? String(leftOf(book, account, this.now) + BigInt(this.#pick(2))) : String(this.#pick(20_000)),
      outputNanosPerMtok: '100000000',
      maxTokens: exact ? 0 : 1 + this.#pick(400),
      minTokens: exact ? 0 : 1 + this.#pick(60),
      inputTokens: this.#pick(80),
      priceHash: '',
      kind: 'model',
      timeoutMs: 1_000,
      purpose: this.#random() < 0.1 ? 'closing' : 'work',
    };
    const call: Call = { grant: `${from}/${this.#next++}/model#1`, from, quote, answers: 0, granted: undefined, billed: undefined, settled: false };
    this.calls.push(call);
    this.#ask(call);
  }

  #ask({ grant, quote, from }: Call): void {
    this.#say((books) => messages.reserve(books, { type: 'budget.reserve', grant, quote, from, at: this.now }));
  }

  #settle(call: Call): void {
    const { grant, from, granted, quote } = call;
    if (!granted) return;
    // The provider bills once, within the bound; what is told later of it is the same.
    const tokens = this.#pick(granted.maxTokens + 1);
    call.billed ??= (BigInt(quote.fixedNanos) * BigInt(50 + this.#pick(51))) / 100n + tokensCost(tokens, BigInt(quote.outputNanosPerMtok));
    call.settled = true;
    const usage = { inputTokens: Math.min(quote.inputTokens, 10), outputTokens: tokens, cachedInputTokens: 0, reasoningTokens: 0 };
    const spentNanos = call.billed.toString();
    this.#say((books) => messages.settle(books, { type: 'budget.settle', grant, spentNanos, usage, model: 'any/model', kind: 'model', from, at: this.now }));
  }

  #release(call: Call): void {
    if (call.billed !== undefined) return; // what was billed is never said to be unused
    call.settled = true;
    this.#say((books) => messages.release(books, { type: 'budget.release', grant: call.grant, reason: 'test', from: call.from, at: this.now }));
  }

  step(): void {
    const open = this.calls.filter(({ granted, settled }) => granted && !settled);
    const some = <T>(list: readonly T[]): T | undefined => list[this.#pick(list.length)];
    const account = some(['acme', 'acme/r-one', 'acme/r-one/ann', 'acme/r-one/bob', 'acme/r-two'])!;
    const chance = this.#pick(125);
    if (chance >= 100) this.#useAdvances(chance - 100);
    else if (chance < 40) this.#reserve();
    else if (chance < 70) this.#each(some(open), (call) => this.#settle(call));
    else if (chance < 76) this.#each(some(open), (call) => this.#release(call));
    else if (chance < 80) this.#each(some(this.calls.filter(({ settled, billed }) => settled && billed !== undefined)), (call) => this.#settle(call));
    else if (chance < 83) this.#each(some(this.calls), (call) => this.#ask(call));
    else if (chance < 89) this.#tick(this.#pick(30_000));
    else if (chance < 91) this.#tick(this.#pick(4_000_000));
    else if (chance < 92) this.now -= this.#pick(5_000);
    else if (chance < 95) this.#raise(account, this.#pick(30_000));
    else if (chance < 97) this.#freeze(account, this.#random() < 0.4);
    else if (chance < 99) this.#cut();
    else this.#say((books) => messages.closeAccount(books, { type: 'budget.close', reason: 'test', from: 'r-two.supervisor' as Address, at: this.now }));
    this.check();
  }

  #useAdvances(chance: number): void {
    const one = this.advances[this.#pick(this.advances.length)];
    if (chance < 5 || !one) this.#askForAdvance();
    else if (chance < 13) this.#draw(one);
    else if (chance < 21) this.#billDraw(one);
    else this.#giveBack(one);
  }

  #each<T>(one: T | undefined, act: (one: T) => void): void {
    if (one !== undefined) act(one);
  }

  #freeze(account: string, frozen: boolean): void {
    this.#say((books) =>
      messages.freeze(books, { type: 'budget.freeze', account, frozen, revoke: true, by: 'ann', why: 'test', from: 'r-one.client' as Address, at: this.now }),
    );
  }

  #raise(account: string, nanos: number): void {
    this.#say((books) =>
      messages.raise(books, { type: 'budget.raise', account, nanos: String(nanos), by: 'ann', why: 'test', from: 'r-one.client' as Address, at: this.now }),
    );
  }

  #tick(ms: number): void {
    this.now += ms;
    this.#say((books) => messages.tick(books, this.now));
  }

  /** Everybody who may still speak does, and all deadlines pass. */
  drain(): void {
    for (const account of entriesOf(this.books.book.tree).map(([id]) => id)) this.#freeze(account, false);
    for (let round = 0; round < 200; round++) {
      for (const call of this.calls) if (call.granted && !call.settled) this.#settle(call);
      for (const advance of this.advances) {
        if (advance.state !== 'told') this.#giveBack(advance);
        this.#billDraw(advance);
      }
      this.#tick(30_000);
      this.check();
      if (this.books.book.queue.length === 0 && this.calls.every(({ granted, settled }) => !granted || settled)) break;
    }
    for (const advance of this.advances) for (const draw of advance.draws) this.#settleDraw(advance, draw.grant, (draw.billed ??= draw.bound));
    this.check();
  }

  check(): void {
    const { tree, holds } = this.books.book;
    for (const account of valuesOf(tree)) this.#checkAccount(account);
    const held = entriesOf(holds)
      .filter(([, { state }]) => state !== 'charged')
      .reduce((sum, [, { amounts }]) => sum + amounts.money, 0n);
    must(get(tree, 'acme')!.held.money === held, () => `the root holds ${get(tree, 'acme')!.held.money}, its grants ${held}`);
    const billed = this.#billed();
    must(get(tree, 'acme')!.spent.money + get(tree, 'acme')!.held.money >= billed, () => `the ledger is below the bill of ${billed}`);
    must(
      this.books.book.queue.length === 0 || entriesOf(holds).some(([, { state, drawn }]) => state === 'held' && !drawn),
      () => 'somebody waits although nothing is held',
    );
    for (const { answers, grant } of this.calls) must(answers <= 1, () => `${grant} is answered ${answers} times`);
    must(JSON.stringify(this.replica.outbox) === JSON.stringify(this.books.outbox), () => 'a replica says something else');
    must(
      decisionsOf(this.uncut) === decisionsOf(this.books),
      () => `a cut has changed what is said: ${decisionsOf(this.uncut)}, now ${decisionsOf(this.books)}`,
    );
    must(this.books.book.overrun === 0n, () => `${this.books.book.overrun} was billed above its hold`);
  }

  /** By the provider, of which the account need not have heard. */
  #billed(): bigint {
    return [...this.calls, ...this.advances.flatMap(({ draws }) => draws)].reduce((sum, { billed }) => sum + (billed ?? 0n), 0n);
  }

  #checkAccount({ id, limits, spent, held, sliced, slice, spells, parent }: Account): void {
    for (const { measure, amount, window } of limits) {
      const spell = spells[window];
      const inWindow = window === 'total' ? spent : spell && spell.begin >= beginOf(window, this.now) ? spell.spent : undefined;
      const used = (inWindow?.[measure] ?? 0n) + held[measure] + (measure === 'money' && window === 'total' ? sliced : 0n);
      must(used <= amount, () => `${id}: ${used} of ${amount} ${measure} in all of this ${window}`);
    }
    must(held.money >= 0n && spent.money >= 0n && sliced >= 0n, () => `${id} is below nothing`);
    if (slice !== undefined) must(spent.money + held.money + sliced <= slice, () => `${id} is over its slice`);
    if (parent === undefined) return;
    const above = get(this.books.book.tree, parent)!;
    must(above.spent.money >= spent.money && above.held.money >= held.money, () => `${parent} knows less of ${id} than it does itself`);
  }

  end(): void {
    const { tree, queue } = this.books.book;
    expect(queue, 'nobody waits').toEqual([]);
    expect(get(tree, 'acme')!.held.money, 'nothing is held').toBe(0n);
    const billed = this.#billed();
    expect(get(tree, 'acme')!.spent.money, 'after all is said, what is spent is what was billed').toBe(billed);
    for (const { answers, grant } of this.calls) expect(answers, `${grant} is answered`).toBe(1);
    expect(firstBreak(this.lines), 'the chain holds').toBeUndefined();
  }
}

describe('the books', () => {
  it(`hold every invariant of money after every message (CHAOS_SEED ${FIRST_SEED} and ${SCHEDULES - 1} more)`, { timeout: 600_000 }, () => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SCHEDULES; seed++) {
      const schedule = new Schedule(seed);
      try {
        for (let step = 0; step < 60; step++) schedule.step();
        schedule.drain();
        schedule.end();
      } catch (thrown) {
        throw new Error(`CHAOS_SEED=${seed}: ${thrown instanceof Error ? thrown.message : String(thrown)}`, { cause: thrown });
      }
    }
  });
});
