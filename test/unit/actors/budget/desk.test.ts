import { describe, expect, it } from 'vitest';
import * as desk from '../../../../src/actors/budget/desk.ts';
import * as messages from '../../../../src/actors/budget/messages.ts';
import { entriesOf, get } from '../../../../src/actors/budget/by-id.ts';
import { unansweredMs } from '../../../../src/actors/retry.ts';
import { checkpointOf } from '../../../../src/actors/budget/checkpoint.ts';
import type { BudgetInput, Desk } from '../../../../src/actors/budget/desk.ts';
import type { AccountSpec } from '../../../../src/protocols/account.ts';
import { BudgetCheckpoint } from '../../../../src/protocols/checkpoint.ts';
import type { Quote } from '../../../../src/protocols/budget.ts';
import type { Address } from '../../../../src/protocols/ids.ts';
import { firstBreak, type LedgerLine } from '../../../../src/protocols/ledger.ts';

const NOON = Date.UTC(2026, 0, 31, 12, 30);
const ANN = 'r-1.worker.ann.s-1' as Address;
const BOB = 'r-1.worker.bob.s-2' as Address;
const LEAD = 'r-1.supervisor' as Address;
const CLIENT = 'r-1.client' as Address;
const OTHER = 'r-2.worker.dan.s-1' as Address;

const money = (amount: number) => ({ measure: 'money' as const, amount: String(amount), window: 'total' as const });
const ACCOUNTS: readonly AccountSpec[] = [
  { id: 'org', limits: [money(2_000)] },
  { id: 'org/r-1', parent: 'org', limits: [money(1_000)] },
  { id: 'org/r-1/ann', parent: 'org/r-1', limits: [] },
  { id: 'org/r-2', parent: 'org', limits: [], sliceNanos: '600' },
];
const quote: Quote = { model: 'm', fixedNanos: '100', outputNanosPerMtok: '1000000', maxTokens: 400, minTokens: 200, inputTokens: 10, priceHash: 'p' };
const usage = { inputTokens: 10, outputTokens: 50, cachedInputTokens: 0, reasoningTokens: 0 };

/** A desk, and all that it has said and written. */
class Told {
  desk: Desk;
  now = NOON;
  readonly lines: LedgerLine[] = [];

  constructor(input: Partial<BudgetInput> = {}) {
    this.desk = desk.openDesk({
      accounts: ACCOUNTS,
      grantMs: 1_000,
      waitMs: 400,
      drainMs: 2_500,
      orphans: 'charge',
      onExhausted: 'fail',
      keptBackNanos: '0',
      thresholds: [50, 80, 95],
      ...input,
    });
  }

  /** What is said now, in short: to whom, and about what. */
  #said(next: Desk): readonly string[] {
    if (next.chain.seq > this.desk.chain.seq) this.lines.push(...next.lines);
    this.desk = next;
    return next.outbox.map(
      (one) =>
        `${one.type.slice('budget.'.length)} ${'grant' in one ? one.grant : one.type === 'budget.threshold' ? `${one.account} ${one.percent}` : 'account' in one ? one.account : ''} > ${one.to}`,
    );
  }

  reserve = (grant: string, from: Address = ANN, change: Partial<Quote> = {}) =>
    this.#said(messages.reserve(this.desk, { type: 'budget.reserve', grant, quote: { ...quote, ...change }, from, at: this.now }));
  settle = (grant: string, nanos: number, from: Address = ANN, advance?: string) =>
    this.#said(
      messages.settle(this.desk, {
        type: 'budget.settle',
        grant,
        spentNanos: String(nanos),
        usage,
        model: 'm-2',
        ...(advance !== undefined && { advance }),
        from,
        at: this.now,
      }),
    );
  release = (grant: string, from: Address = ANN, drawn?: { grant: string; nanos: string }[]) =>
    this.#said(messages.release(this.desk, { type: 'budget.release', grant, reason: 'not made', ...(drawn && { drawn }), from, at: this.now }));
  extend = (grant: string, deadline: number) => this.#said(messages.extend(this.desk, { type: 'budget.extend', grant, deadline, from: ANN, at: this.now }));
  orphan = (grant: string) => this.#said(messages.orphan(this.desk, { type: 'budget.orphaned', grant, from: ANN, at: this.now }));
  raise = (nanos: number, account?: string) =>
    this.#said(
      messages.raise(this.desk, {
        type: 'budget.raise',
        ...(account && { account }),
        nanos: String(nanos),
        by: 'ann',
        why: 'go on',
        from: CLIENT,
        at: this.now,
      }),
    );
  freeze = (frozen: boolean, account?: string, revoke = false) =>
    this.#said(
      messages.freeze(this.desk, { type: 'budget.freeze', ...(account && { account }), frozen, revoke, by: 'ann', why: 'look', from: CLIENT, at: this.now }),
    );
  close = (from: Address = LEAD) => this.#said(messages.closeAccount(this.desk, { type: 'budget.close', reason: 'done', from, at: this.now }));
  open = (...accounts: AccountSpec[]) => this.#said(messages.openBranch(this.desk, { type: 'budget.open', accounts, from: CLIENT, at: this.now }));
  tick = (ms: number) => this.#said(messages.tick(this.desk, (this.now += ms)));

  get last() {
    return this.desk.outbox.at(-1)!;
  }
  get line(): LedgerLine {
    return this.lines.at(-1)!;
  }
}

describe('answers', () => {
  it('are given once, with what is left and the line of the ledger up to which it stood', () => {
    const told = new Told();
    expect(told.reserve('one')).toEqual([`granted one > ${ANN}`]);
    const { seq, hash } = told.line;
    expect(told.last).toMatchObject({ amountNanos: '500', maxTokens: 400, deadline: NOON + 1_000, leftNanos: '500', ledger: { seq, hash } });
    expect(told.reserve('one')).toEqual([]);
  });

  it('to who waits come when something is given back, in the order of asking', () => {
    const told = new Told();
    for (const [grant, from] of [
      ['one', ANN],
      ['two', BOB],
      ['three', ANN],
      ['four', BOB],
    ] as const)
      told.reserve(grant, from);
    expect(told.desk.book.queue.map(({ grant }) => grant)).toEqual(['three', 'four']);
    expect(told.settle('one', 0)).toEqual([`granted three > ${ANN}`]);
    expect(told.release('two', BOB)).toEqual([`granted four > ${BOB}`]);
  });

  it('to who waits come at the end of the wait at the latest', () => {
    const told = new Told();
    for (const grant of ['one', 'two', 'three']) told.reserve(grant);
    expect(told.tick(399)).toEqual([]);
    expect(told.tick(1)).toEqual([`vetoed three > ${ANN}`]);
    expect(told.last).toMatchObject({ failure: { code: 'BUDGET_EXHAUSTED', details: { account: 'org/r-1', held: '1000' } }, ledger: { seq: told.line.seq } });
  });

  it('come from the account of whoever asks', () => {
    const told = new Told();
    told.reserve('one');
    told.reserve('two', BOB);
    told.reserve('three', OTHER);
    expect(told.lines.map(({ account }) => account)).toEqual(['org/r-1/ann', 'org/r-1', 'org/r-2']);
  });
});

describe('deadlines', () => {
  it('are those of grants, of waits and of closings: the first one counts', () => {
    const told = new Told();
    expect(desk.nextDeadline(told.desk)).toBeUndefined();
    told.reserve('one');
    expect(desk.nextDeadline(told.desk)).toBe(NOON + 1_000);
    told.reserve('two');
    told.reserve('three');
    expect(desk.nextDeadline(told.desk)).toBe(NOON + 400);
    told.tick(400);
    expect(desk.nextDeadline(told.desk)).toBe(NOON + 1_000);
    told.tick(600);
    expect(desk.nextDeadline(told.desk)).toBeUndefined();
  });

  it('of a closing count as well', () => {
    const told = new Told({ drainMs: 200 });
    told.reserve('one');
    told.close();
    expect(desk.nextDeadline(told.desk)).toBe(NOON + 200);
  });

  it('are watched for in time, whichever comes, and not any more when the account is closed', () => {
    const told = new Told({ drainMs: 200 });
    expect(told.desk.due).toBeUndefined();
    told.reserve('one');
    told.reserve('two');
    told.reserve('three');
    expect(told.desk.due).toBe(NOON + 400);
    told.close();
    expect(told.desk.due).toBe(NOON + 200);
    told.tick(200);
    expect(told.desk.due).toBe(desk.nextDeadline(told.desk));
    told.settle('one', 1);
    told.settle('two', 1);
    expect(told.desk.due).toBe(NOON + 1_000);
    expect(told.tick(800)).toEqual([]);
    expect(told.desk.due).toBeUndefined();
  });

  it('of what has ended are not looked for again until they come: a grant that is settled in time sets and clears no watch', () => {
    const told = new Told();
    told.reserve('one');
    told.settle('one', 1);
    told.now += 10;
    told.reserve('two');
    expect(told.desk.due).toBe(NOON + 1_000);
    expect(told.tick(990)).toEqual([]);
    expect(told.desk.due).toBe(NOON + 1_010);
    told.settle('two', 1);
    told.close();
    expect(told.desk.due).toBe(NOON + 1_010);
    const whole = new Told({ accounts: [{ id: 'r-1', limits: [money(1_000)] }] });
    whole.reserve('one');
    whole.settle('one', 1);
    whole.close();
    expect([get(whole.desk.book.tree, 'r-1')!.closed, whole.desk.due]).toEqual([true, undefined]);
  });

  it('wake who paused for the limit of a window, when the next one begins', () => {
    const hourly = { measure: 'money' as const, amount: '500', window: 'hour' as const };
    const told = new Told({ accounts: [{ id: 'org', limits: [hourly] }], onExhausted: 'pause' });
    told.reserve('one');
    told.settle('one', 500);
    expect(told.reserve('two')).toContain(`vetoed two > ${ANN}`);
    const begin = NOON + 30 * 60_000;
    expect(desk.nextDeadline(told.desk)).toBe(begin);
    expect(told.tick(1_000)).toEqual([]);
    expect(told.desk.due).toBe(begin);
    expect(told.tick(30 * 60_000 - 1_001)).toEqual([]);
    expect(told.tick(1)).toEqual([`raised org > ${ANN}`, `raised org > ${LEAD}`]);
    expect([told.desk.paused, told.desk.due]).toEqual([[], undefined]);
    expect(told.reserve('three')).toEqual([`granted three > ${ANN}`]);
  });

  it('of an orphan that is asked about is none', () => {
    const told = new Told({ orphans: 'ask' });
    told.reserve('one');
    told.tick(1_000);
    expect(desk.nextDeadline(told.desk)).toBeUndefined();
  });

  it('are not put off beyond the life of a grant', () => {
    const told = new Told();
    told.reserve('one');
    told.now += 300;
    expect(told.extend('one', NOON + 9_000)).toEqual([]);
    expect(desk.nextDeadline(told.desk)).toBe(NOON + 1_300);
  });
});

describe('thresholds', () => {
  it('are announced once each to the client of the run, the highest that is reached', () => {
    const told = new Told();
    const spend = (grant: string, nanos: number): readonly string[] => {
      told.reserve(grant, BOB, { fixedNanos: String(nanos), minTokens: 0, maxTokens: 0 });
      return told.settle(grant, nanos, BOB);
    };
    expect(spend('one', 499)).toEqual([]);
    expect(spend('two', 1)).toEqual([`threshold org/r-1 50 > ${CLIENT}`]);
    expect(told.last).toMatchObject({ spentNanos: '500', limitNanos: '1000' });
    expect(spend('three', 299)).toEqual([]);
    expect(spend('four', 160)).toEqual([`threshold org/r-1 95 > ${CLIENT}`]);
    expect(told.settle('four', 160, BOB)).toEqual([]);
    expect(spend('five', 41)).toEqual([`threshold org 50 > ${CLIENT}`]);
  });

  it('that a raise moves away are announced again when they are reached again', () => {
    const told = new Told({ accounts: [{ id: 'org', limits: [money(1_000)] }] });
    const spend = (grant: string, nanos: number): readonly string[] => {
      told.reserve(grant, BOB, { fixedNanos: String(nanos), minTokens: 0, maxTokens: 0 });
      return told.settle(grant, nanos, BOB);
    };
    expect(spend('one', 850)).toEqual([`threshold org 80 > ${CLIENT}`]);
    told.raise(500);
    expect(spend('two', 340)).toEqual([]);
    expect(spend('three', 10)).toEqual([`threshold org 80 > ${CLIENT}`]);
    told.raise(3_000);
    expect(spend('four', 1_050)).toEqual([`threshold org 50 > ${CLIENT}`]);
  });

  it('of an account without money are none', () => {
    const told = new Told({ accounts: [{ id: 'org', limits: [money(0)] }] });
    expect(told.settle('stray', 0)).toEqual([]);
  });
});

describe('running out', () => {
  const spent = (input: Partial<BudgetInput>): Told => {
    const told = new Told({ thresholds: [], ...input });
    told.reserve('one');
    told.reserve('two', BOB);
    told.settle('one', 500);
    told.settle('two', 500, BOB);
    return told;
  };

  it('is a plain veto where calls fail', () => {
    const told = spent({});
    expect(told.reserve('three')).toEqual([`vetoed three > ${ANN}`]);
    expect(told.last).not.toHaveProperty('failure.details.pause');
    expect(told.raise(600)).toEqual([]);
  });

  it('pauses who asked, and tells the client and the supervisor', () => {
    const told = spent({ onExhausted: 'pause' });
    expect(told.reserve('three')).toEqual([`vetoed three > ${ANN}`, `paused org/r-1/ann > ${CLIENT}`, `paused org/r-1/ann > ${LEAD}`]);
    for (const said of told.desk.outbox) expect(said).toHaveProperty('failure.details.pause', true);
    expect(told.desk.lastVeto).toMatchObject({ code: 'BUDGET_EXHAUSTED' });
  });

  it.each([
    ['a raise', (told: Told) => told.raise(600, 'org/r-1'), 'org/r-1'],
    ['a thaw', (told: Told) => told.freeze(false), 'org'],
  ])('ends with %s for everybody who paused, once', (_, lift, account) => {
    const told = spent({ onExhausted: 'pause' });
    told.reserve('three');
    told.reserve('four', BOB);
    told.reserve('five', LEAD);
    expect(lift(told).toSorted()).toEqual([LEAD, ANN, BOB].map((to) => `raised ${account} > ${to}`).toSorted());
    expect(lift(told)).toEqual([]);
  });

  it('says what there is after a raise', () => {
    const told = spent({ onExhausted: 'pause' });
    told.reserve('three');
    told.raise(600, 'org/r-1');
    expect(told.last).toMatchObject({ type: 'budget.raised', leftNanos: '400' }); // of the 2,000 of the root 1,000 are spent and 600 are sliced
  });

  it('does not end by a raise that is not covered, nor by one of nobody', () => {
    const told = spent({ onExhausted: 'pause' });
    told.reserve('three');
    const { seq } = told.desk.chain;
    expect([told.raise(401, 'org/r-2'), told.raise(1, 'none')]).toEqual([[], []]);
    expect([told.desk.chain.seq, told.desk.paused]).toEqual([seq, [ANN, LEAD]]);
  });

  it('is a plain veto of a closing answer', () => {
    expect(spent({ onExhausted: 'pause' }).reserve('three', LEAD, { purpose: 'closing' })).toEqual([`vetoed three > ${LEAD}`]);
  });

  it('is a plain veto of what no raise can change: other measures than money, and an end', () => {
    const told = new Told({ onExhausted: 'pause', accounts: [{ id: 'org', limits: [{ measure: 'calls', amount: '0', window: 'total' }] }] });
    expect(told.reserve('one')).toEqual([`vetoed one > ${ANN}`]);
    const ended = new Told({ onExhausted: 'pause' });
    ended.close();
    expect(ended.reserve('one')).toEqual([`vetoed one > ${ANN}`]);
  });
});

describe('a freeze', () => {
  it('vetoes, and lets those go on who hold a grant', () => {
    const told = new Told();
    told.reserve('one');
    expect(told.freeze(true, 'org/r-1')).toEqual([]);
    expect(told.reserve('two')).toEqual([`vetoed two > ${ANN}`]);
    expect(told.last).toMatchObject({ failure: { code: 'BUDGET_FROZEN' } });
    expect(told.settle('one', 10)).toEqual([]);
  });

  it('that revokes tells the holders at and below the account, and nobody else', () => {
    const told = new Told();
    told.reserve('one');
    told.reserve('two', BOB);
    told.reserve('three', OTHER);
    expect(told.freeze(true, 'org/r-1', true)).toEqual([`revoked one > ${ANN}`, `revoked two > ${BOB}`]);
    expect(told.last).toMatchObject({ failure: { code: 'BUDGET_REVOKED', message: 'budget of org/r-1 was frozen by ann: look' } });
    expect(told.freeze(false, 'org/r-1', true)).toEqual([]);
    expect(told.freeze(true, undefined, true).length).toBe(3);
  });

  it('vetoes who waits', () => {
    const told = new Told();
    for (const grant of ['one', 'two', 'three']) told.reserve(grant);
    expect(told.freeze(true)).toEqual([`vetoed three > ${ANN}`]);
  });

  it('of nobody does nothing', () => {
    const told = new Told();
    expect([told.freeze(true, 'none'), told.desk.chain.seq]).toEqual([[], 0]);
  });
});

describe('a wait for others', () => {
  const full = (waitMs: number) => {
    const told = new Told({ waitMs, grantMs: 3_600_000, thresholds: [] });
    told.reserve('one');
    told.reserve('two');
    return told;
  };

  it.each([1_000, 20_000, 60_000, 120_000, 600_000])('of a call of %s ms ends before its caller takes the account for absent', (timeoutMs) => {
    const told = full(3_000_000);
    expect(told.reserve('three', ANN, { timeoutMs })).toEqual([]);
    const waited = desk.nextDeadline(told.desk)! - NOON;
    expect(waited).toBeLessThan(timeoutMs / 2); // it draws on its advance
    expect(waited).toBeLessThan(unansweredMs({ limits: { turns: 1, maxTokens: 1, attempts: 1, timeoutMs } })); // it gives up
    expect(told.tick(waited - 1)).toEqual([]);
    expect(told.tick(1)).toEqual([`vetoed three > ${ANN}`]);
    expect(told.last).toMatchObject({ failure: { code: 'BUDGET_EXHAUSTED' } });
  });

  it('is never longer than the account allows', () => {
    const told = full(400);
    told.reserve('three', ANN, { timeoutMs: 120_000 });
    expect(desk.nextDeadline(told.desk)).toBe(NOON + 400);
  });
});

describe('a close', () => {
  it('is answered at once when nothing is held, with what was spent', () => {
    const told = new Told({ thresholds: [] });
    told.reserve('one');
    told.settle('one', 150);
    expect(told.close()).toEqual([`closed  > ${LEAD}`]);
    expect(told.last).toMatchObject({ limitNanos: '1000', spentNanos: '150', heldNanos: '0', ledger: { seq: told.line.seq } });
  });

  it('vetoes who waits, drains what is held, and then answers', () => {
    const told = new Told();
    for (const grant of ['one', 'two', 'three']) told.reserve(grant);
    expect(told.close()).toEqual([`vetoed three > ${ANN}`]);
    expect(told.reserve('four')).toEqual([`vetoed four > ${ANN}`]);
    expect(told.settle('one', 1)).toEqual([]);
    expect(told.release('two')).toEqual([`closed  > ${LEAD}`]);
  });

  it('is answered when its time is over, whatever is held', () => {
    const told = new Told({ grantMs: 10_000 });
    told.reserve('one');
    told.close();
    expect(told.tick(2_499)).toEqual([]);
    expect(told.tick(1)).toEqual([`closed  > ${LEAD}`]);
    expect(told.last).toMatchObject({ spentNanos: '0', heldNanos: '500' });
  });

  it('of a run that has no account is answered with nothing, and closes none', () => {
    const told = new Told();
    expect(told.close('r-3.supervisor' as Address)).toEqual(['closed  > r-3.supervisor']);
    expect(told.last).toMatchObject({ limitNanos: '0', spentNanos: '0', heldNanos: '0', ledger: { seq: 0 } });
    expect(told.reserve('one')).toEqual([`granted one > ${ANN}`]);
    expect(told.tick(5_000)).not.toContain('closed');
  });

  it('of one run leaves the others alone, and gives the rest of a slice back', () => {
    const told = new Told();
    told.reserve('one', OTHER);
    told.settle('one', 100, OTHER);
    expect(told.close('r-2.supervisor' as Address)).toEqual(['closed  > r-2.supervisor']);
    expect(told.reserve('two')).toEqual([`granted two > ${ANN}`]);
    told.raise(5_000, 'org/r-1');
    told.release('two');
    told.reserve('three');
    expect(told.last).toMatchObject({ leftNanos: '1400' }); // 2,000 without the 100 that were spent and the 500 that are held
  });
});

describe('advances', () => {
  const LIFE = { advance: { deadline: NOON + 9_000 }, maxTokens: 0, minTokens: 0, inputTokens: 0, outputNanosPerMtok: '0' };
  const ask = (told: Told, nanos = 300, grant = 'ready', from: Address = ANN) => told.reserve(grant, from, { ...LIFE, fixedNanos: String(nanos) });
  const root = (told: Told) => get(told.desk.book.tree, 'org')!;
  const money = (told: Told): [spent: bigint, held: bigint] => [root(told).spent.money, root(told).held.money];

  it('are of money alone, and last until the deadline that was asked for', () => {
    const told = new Told();
    expect(ask(told)).toEqual([`granted ready > ${ANN}`]);
    expect(told.last).toMatchObject({ amountNanos: '300', deadline: NOON + 9_000 });
    expect(root(told).held).toMatchObject({ money: 300n, tokens: 0n, calls: 0n, seconds: 0n });
    expect(told.tick(8_999)).toEqual([]);
    expect(money(told)).toEqual([0n, 300n]);
  });

  it('wait for nobody, pause nobody, and nobody waits for them (A2)', () => {
    const told = new Told({ onExhausted: 'pause' });
    told.reserve('one');
    expect(ask(told, 501)).toEqual([`vetoed ready > ${ANN}`]);
    expect(ask(told, 500, 'other')).toEqual([`granted other > ${ANN}`]);
    told.settle('one', 500);
    expect(told.reserve('two')[0]).toBe(`vetoed two > ${ANN}`);
    expect(told.desk.book.queue).toEqual([]);
  });

  it('are not granted while others wait, or where more than money is limited (A2)', () => {
    const told = new Told();
    for (const grant of ['one', 'two', 'three']) told.reserve(grant);
    told.settle('one', 400);
    expect(told.desk.book.queue.map(({ grant }) => grant)).toEqual(['three']);
    expect(ask(told, 1)).toEqual([`vetoed ready > ${ANN}`]);
    const limits = [
      { measure: 'money', amount: '1000', window: 'total' },
      { measure: 'calls', amount: '9', window: 'total' },
    ] as const;
    const counting = new Told({ accounts: [{ id: 'org', limits: [...limits] }] });
    expect(ask(counting)).toEqual([`vetoed ready > ${ANN}`]);
    expect(counting.last).toMatchObject({ failure: { message: 'no advance for org: org limits more than money' } });
  });

  it('pay a call out of what they hold, and give back the rest: the bills may come first (A1)', () => {
    const told = new Told();
    ask(told);
    told.settle('call#2', 120, ANN, 'ready');
    expect(money(told)).toEqual([120n, 180n]);
    told.settle('call#2', 120, ANN, 'ready');
    expect(money(told)).toEqual([120n, 180n]);
    told.release('ready', ANN, [{ grant: 'call#2', nanos: '120' }]);
    expect(money(told)).toEqual([120n, 0n]);
    expect(told.lines.map(({ kind, grant, amounts }) => [kind, grant, amounts['money']])).toEqual([
      ['hold', 'ready', '300'],
      ['settle', 'call#2', '120'],
      ['release', 'ready', '180'],
    ]);
    expect([told.desk.book.overrun, root(told).frozen, root(told).spent.calls]).toEqual([0n, false, 1n]);
  });

  it('pay a call whose bill comes last: until then it has a hold of its own (A1)', () => {
    const told = new Told();
    ask(told);
    told.release('ready', ANN, [{ grant: 'call#2', nanos: '200' }]);
    expect(money(told)).toEqual([0n, 200n]);
    told.settle('call#2', 120, ANN, 'ready');
    expect(money(told)).toEqual([120n, 0n]);
    expect(told.desk.book.overrun).toBe(0n);
  });

  it('do not pay a call twice of which the account has forgotten that it was billed (A1)', () => {
    const told = new Told();
    ask(told);
    told.settle('call#2', 120, ANN, 'ready');
    for (let other = 0; other < 2_100; other++) told.release(`other-${other}`);
    told.release('ready', ANN, [{ grant: 'call#2', nanos: '120' }]);
    expect(money(told)).toEqual([120n, 0n]);
  });

  it('that nobody speaks of count as spent, whatever the rule for orphans; a late word corrects that (A3)', () => {
    const told = new Told({ orphans: 'release' });
    ask(told);
    told.tick(9_000);
    expect(money(told)).toEqual([300n, 0n]);
    told.settle('call#2', 120, ANN, 'ready');
    expect(money(told)).toEqual([300n, 0n]);
    told.release('ready', ANN, [
      { grant: 'call#2', nanos: '120' },
      { grant: 'call#4', nanos: '50' },
    ]);
    expect(money(told)).toEqual([170n, 0n]);
    told.settle('call#4', 10, ANN, 'ready');
    expect(money(told)).toEqual([130n, 0n]);
  });

  it('whose bill is above all that they hold are booked in full, and the account is frozen', () => {
    const told = new Told();
    ask(told);
    told.settle('call#2', 301, ANN, 'ready');
    expect(money(told)).toEqual([301n, 0n]);
    expect([told.desk.book.overrun, get(told.desk.book.tree, 'org/r-1/ann')!.frozen]).toEqual([1n, true]);
  });

  it.each([
    [false, `vetoed ready > ${ANN}`],
    [true, `revoked ready > ${ANN}`],
  ])('are ended by a freeze, which pauses nobody for them (revoke: %s)', (revoke, expected) => {
    const told = new Told({ onExhausted: 'pause' });
    ask(told);
    expect(told.freeze(true, undefined, revoke)).toEqual([expected]);
  });

  it('are waited for when the account is closed, and are the same from a checkpoint', () => {
    const told = new Told();
    ask(told);
    told.settle('call#2', 120, ANN, 'ready');
    expect(told.close()).toEqual([]);
    const wire: unknown = JSON.parse(JSON.stringify(checkpointOf(told.desk, 1)));
    const from = messages.goOnFrom(told.desk, { type: 'budget.checkpoint', from: CLIENT, at: told.now, ...BudgetCheckpoint.data.parse(wire) });
    expect(entriesOf(from.book.holds)).toEqual(entriesOf(told.desk.book.holds));
    expect(told.release('ready', ANN, [{ grant: 'call#2', nanos: '120' }])).toEqual([`closed  > ${LEAD}`]);
    expect(told.last).toMatchObject({ spentNanos: '120', heldNanos: '0' });
  });
});

describe('a grant that was given back because nobody knew what became of its call', () => {
  it('may be billed late without a freeze, also after the log was cut', () => {
    const told = new Told({ orphans: 'release', accounts: [{ id: 'org', limits: [money(1_000)] }] });
    told.reserve('one');
    told.tick(1_000);
    expect(told.lines.at(-1)).toMatchObject({ kind: 'release', grant: 'one' });
    const wire: unknown = JSON.parse(JSON.stringify(checkpointOf(told.desk, 1)));
    const entry = { type: 'budget.checkpoint', from: CLIENT, at: told.now, ...BudgetCheckpoint.data.parse(wire) } as const;
    told.desk = messages.goOnFrom(told.desk, entry);
    told.settle('one', 200);
    expect(told.lines.at(-1)).toMatchObject({ kind: 'settle', spentNanos: '200', note: 'its hold had been given back' });
    expect(get(told.desk.book.tree, 'org')!.frozen).toBe(false);
  });
});

describe('opening accounts', () => {
  const child = { id: 'org/r-3', parent: 'org', limits: [], sliceNanos: '1400' };

  it('is answered, also when it is asked again', () => {
    const told = new Told();
    expect([told.open(child), told.open(child)]).toEqual([[`opened  > ${CLIENT}`], [`opened  > ${CLIENT}`]]);
    expect(told.last).not.toHaveProperty('failure');
    expect(told.lines.map(({ kind, account }) => [kind, account])).toEqual([['open', 'org/r-3']]);
  });

  it.each([
    ['more than there is', { ...child, sliceNanos: '1401' }, 'org has $0.0000014 left'],
    ['below nobody', { ...child, parent: 'none' }, 'its parent is not there'],
    ['an id that does not begin with its parent', { ...child, id: 'organic' }, "its parent's, a slash and a name", 'ACCOUNT_INVALID'],
    ['an id that is only a slash longer', { ...child, id: 'org/' }, "its parent's, a slash and a name", 'ACCOUNT_INVALID'],
  ])('is refused for %s', (_, spec, said, code = 'BUDGET_NOT_COVERED') => {
    const told = new Told();
    told.open(spec);
    expect(told.last).toMatchObject({ type: 'budget.opened', failure: { code, message: expect.stringContaining(said) } });
    expect(told.lines).toEqual([]);
  });
});

describe('a call that would fit now', () => {
  it('is told to whoever paused for it, when a charge is put right, and nobody else', () => {
    const told = new Told({ onExhausted: 'pause', thresholds: [], accounts: [{ id: 'org', limits: [money(1_000)] }] });
    told.reserve('one');
    told.reserve('two', BOB);
    told.tick(1_000);
    told.reserve('three', OTHER, { minTokens: 300 });
    told.reserve('four', BOB, { minTokens: 400, fixedNanos: '600' });
    expect(told.settle('one', 200)).toEqual([]);
    expect(told.settle('one', 0)).toEqual([]);
    expect(told.settle('two', 400, BOB)).toEqual([`raised org > ${OTHER}`, 'raised org > r-2.supervisor']);
    expect(told.last).toMatchObject({ leftNanos: '400' });
    expect(told.desk.paused).toEqual([BOB, LEAD]);
    expect(told.reserve('five', OTHER, { minTokens: 300 })).toEqual([`granted five > ${OTHER}`]);
  });

  it('is not told to a run that has ended', () => {
    const told = new Told({ onExhausted: 'pause', thresholds: [] });
    told.reserve('one');
    told.reserve('two', BOB);
    told.tick(1_000);
    told.reserve('three');
    expect(told.close()).toContain(`closed  > ${LEAD}`);
    expect([told.desk.paused, told.desk.wanted]).toEqual([[], []]);
    expect(told.settle('one', 0)).toEqual([]);
  });
});

describe('a veto of a call for which there is a cheaper model', () => {
  it('pauses nobody: it is asked for again; a freeze pauses all the same', () => {
    const told = new Told({ onExhausted: 'pause', thresholds: [] });
    expect(told.reserve('dear', ANN, { fixedNanos: '5000', hasCheaper: true })).toEqual([`vetoed dear > ${ANN}`]);
    expect(told.last).toMatchObject({ failure: { code: 'BUDGET_EXHAUSTED', details: { measure: 'money' } } });
    expect(told.desk.paused).toEqual([]);
    told.freeze(true);
    told.reserve('frozen', ANN, { hasCheaper: true });
    expect(told.desk.paused).toContain(ANN);
  });
});

describe('a release', () => {
  it('of a grant that is waited for ends the wait: nobody is answered, nobody pauses', () => {
    const told = new Told({ onExhausted: 'pause', thresholds: [] });
    for (const grant of ['one', 'two', 'three']) told.reserve(grant);
    expect(told.release('three')).toEqual([]);
    expect(told.tick(400)).toEqual([]);
    expect([told.desk.book.queue, told.desk.paused]).toEqual([[], []]);
    expect(told.reserve('three')).toEqual([]);
  });
});

describe('a checkpoint', () => {
  const cut = (told: Told): Told => {
    const checkpoint = BudgetCheckpoint.data.parse(JSON.parse(JSON.stringify(checkpointOf(told.desk, 9_000))));
    const after = new Told();
    after.desk = messages.goOnFrom(after.desk, { type: 'budget.checkpoint', from: CLIENT, at: NOON, ...checkpoint });
    return after;
  };
  const grant = (position: number): string => `${ANN}/${position}/model#1`;

  it('is a line of the ledger, behind which the chain goes on', () => {
    const told = new Told();
    told.reserve('one');
    const { chain } = told.desk;
    const after = cut(told);
    expect(after.desk.lines).toMatchObject([{ kind: 'checkpoint', seq: chain.seq + 1, previous: chain.hash, account: 'org' }]);
    after.lines.push(...after.desk.lines);
    after.settle('one', 100);
    expect(firstBreak(after.lines, chain)).toBeUndefined();
    expect(firstBreak(after.lines)).toMatchObject({ index: 0 });
  });

  it('that says something else has another line', () => {
    const told = new Told();
    told.reserve('one');
    const checkpoint = checkpointOf(told.desk, 1);
    const lineOf = (said: typeof checkpoint) => messages.goOnFrom(told.desk, { type: 'budget.checkpoint', from: CLIENT, at: NOON, ...said }).chain.hash;
    const [root, ...rest] = checkpoint.accounts;
    expect(lineOf({ ...checkpoint })).toBe(lineOf(checkpoint));
    expect(lineOf({ ...checkpoint, accounts: [{ ...root!, announced: 50 }, ...rest] })).not.toBe(lineOf(checkpoint));
  });

  it('keeps a grant that is open, and what was charged for one of which nothing was heard: a late word counts', () => {
    const told = new Told();
    told.reserve('lost');
    told.tick(1_000);
    told.reserve('open', BOB);
    const after = cut(told);
    after.settle('open', 100, BOB);
    after.settle('lost', 50);
    expect(get(after.desk.book.tree, 'org')).toMatchObject({ spent: { money: 150n }, held: { money: 0n } });
  });

  it('watches for the first deadline of what is open, and for none where nothing is', () => {
    const told = new Told();
    expect(cut(told).desk.due).toBeUndefined();
    for (const each of ['one', 'two', 'three']) told.reserve(each);
    const after = cut(told);
    expect(after.desk.due).toBe(NOON + 400);
    expect(after.tick(400)).toEqual([`vetoed three > ${ANN}`]);
  });

  it('leaves closed accounts out: what was charged there is the account above it from then on', () => {
    const told = new Told({ drainMs: 0 });
    told.reserve('lost');
    told.tick(1_000);
    told.close();
    const after = cut(told);
    expect(entriesOf(after.desk.book.tree).map(([id]) => id)).toEqual(['org', 'org/r-2']);
    after.settle('lost', 50);
    expect(get(after.desk.book.tree, 'org')).toMatchObject({ spent: { money: 50n } });
    expect(after.reserve('more')).toEqual([`vetoed more > ${ANN}`]);
    expect(after.last).toMatchObject({ failure: { code: 'BUDGET_CLOSED', details: { account: 'org/r-1' } } });
    expect(after.close()).toEqual([]);
    expect(get(after.desk.book.tree, 'org')!.closed).toBe(false);
  });

  it('knows still why an account is frozen', () => {
    const told = new Told();
    told.freeze(true);
    const after = cut(told);
    after.reserve('one');
    expect(after.last).toMatchObject({
      failure: { code: 'BUDGET_FROZEN', message: expect.stringContaining('budget of org is frozen (ann: look;') as string, details: { account: 'org' } },
    });
  });

  it('lets a bill be booked once, however often it is said, and however many came since', () => {
    const told = new Told({ accounts: [{ id: 'org', limits: [money(1_000_000)] }], thresholds: [] });
    const pay = (to: Told, position: number): void => {
      to.reserve(grant(position));
      to.settle(grant(position), 100);
    };
    for (let position = 1; position <= 3_000; position++) pay(told, position);
    const after = cut(told);
    for (const position of [1, 500, 952, 953, 2_000, 3_000]) {
      expect(after.settle(grant(position), 100)).toEqual([]);
      expect(after.release(grant(position))).toEqual([]);
    }
    expect(get(after.desk.book.tree, 'org')).toMatchObject({ spent: { money: 300_000n }, frozen: false });
    expect(after.desk.book.ended.reduce((sum, { size }) => sum + size, 0)).toBeLessThanOrEqual(2_048);
    pay(after, 9_500);
    expect(get(after.desk.book.tree, 'org')!.spent.money).toBe(300_100n);
  });

  it('keeps the accounts of the runs that ended last, and no more', () => {
    const told = new Told();
    for (let run = 100; run < 150; run++) {
      const from = `r-${run}.supervisor` as Address;
      told.open({ id: `org/r-${run}`, parent: 'org', limits: [] }, { id: `org/r-${run}/ann`, parent: `org/r-${run}`, limits: [], sliceNanos: '100' });
      told.reserve(`g-${run}`, from, { fixedNanos: '1', minTokens: 0, maxTokens: 0 });
      told.settle(`g-${run}`, 1, from);
      told.close(from);
    }
    const { tree } = told.desk.book;
    expect(tree.size).toBe(4 + 2 * 32);
    expect(get(tree, 'org')).toMatchObject({ spent: { money: 50n }, sliced: 600n });
    expect(told.reserve('late', 'r-101.supervisor' as Address)).toEqual(['vetoed late > r-101.supervisor']);
  });
});

describe('the ledger', () => {
  const held = (input: Partial<BudgetInput> = {}): Told => {
    const told = new Told(input);
    told.reserve('one');
    return told;
  };

  it.each<[string, Told, (told: Told) => unknown, Partial<LedgerLine>]>([
    [
      'hold',
      new Told(),
      (told) => told.reserve('one'),
      {
        account: 'org/r-1/ann',
        grant: 'one',
        holder: ANN,
        model: 'm',
        amounts: { money: '500', tokens: '410', calls: '1' },
        spentNanos: '0',
        heldNanos: '500',
      },
    ],
    [
      'veto',
      new Told(),
      (told) => told.reserve('one', OTHER, { fixedNanos: '900' }),
      { account: 'org/r-2', grant: 'one', holder: OTHER, amounts: {}, note: 'BUDGET_EXHAUSTED' },
    ],
    [
      'settle',
      held(),
      (told) => told.settle('one', 150),
      { account: 'org/r-1/ann', grant: 'one', model: 'm-2', amounts: { money: '150', tokens: '60' }, spentNanos: '150', heldNanos: '0' },
    ],
    ['settle', held(), (told) => told.settle('one', 501), { amounts: { money: '501', tokens: '60' }, note: 'above its hold: the account is frozen' }],
    [
      'settle',
      new Told(),
      (told) => told.settle('never granted', 9),
      { account: 'org/r-1/ann', grant: 'never granted', amounts: { money: '9', tokens: '60' }, spentNanos: '9' },
    ],
    [
      'release',
      held(),
      (told) => told.release('one'),
      { grant: 'one', amounts: { money: '500', tokens: '410', calls: '1' }, note: 'not made', heldNanos: '0' },
    ],
    [
      'charge',
      held(),
      (told) => told.tick(1_000),
      {
        grant: 'one',
        holder: ANN,
        amounts: { money: '500', tokens: '410', calls: '1' },
        spentNanos: '500',
        heldNanos: '0',
        note: 'nothing was heard until its deadline',
      },
    ],
    ['charge', held(), (told) => told.orphan('one'), { grant: 'one', spentNanos: '500', note: 'its host is gone' }],
    ['ask', held({ orphans: 'ask' }), (told) => told.orphan('one'), { grant: 'one', spentNanos: '0', heldNanos: '500' }],
    ['release', held({ orphans: 'release' }), (told) => told.tick(1_000), { grant: 'one', spentNanos: '0', heldNanos: '0' }],
    ['raise', new Told(), (told) => told.raise(7), { account: 'org', amounts: { money: '7' }, note: 'ann: go on' }],
    ['freeze', new Told(), (told) => told.freeze(true, 'org/r-1'), { account: 'org/r-1', note: 'ann: look' }],
    ['thaw', new Told(), (told) => told.freeze(false), { account: 'org', note: 'ann: look' }],
    ['close', new Told(), (told) => told.close(), { account: 'org/r-1' }],
    ['open', new Told(), (told) => told.open({ id: 'org/r-3', parent: 'org', limits: [] }), { account: 'org/r-3' }],
  ])('has a line of the kind %s', (kind, told, act, expected) => {
    const before = told.lines.length;
    act(told);
    expect(told.lines.length).toBe(before + 1);
    expect(told.line).toMatchObject({ kind, at: told.now, ...expected });
  });

  it('has no line for what changes nothing', () => {
    const told = held();
    told.settle('one', 150);
    const { seq } = told.desk.chain;
    const again = [
      () => told.reserve('one'),
      () => told.settle('one', 150),
      () => told.release('one'),
      () => told.release('none'),
      () => told.orphan('one'),
      () => told.extend('one', NOON + 9_000),
      () => told.tick(5_000),
    ];
    for (const act of again) act();
    expect(told.desk.chain.seq).toBe(seq);
  });

  it('books a bill at the account that was asked, also when the holder has one of its own by now', () => {
    const told = new Told();
    told.reserve('one', BOB);
    told.open({ id: 'org/r-1/bob', parent: 'org/r-1', limits: [] });
    told.settle('one', 150, BOB);
    expect([told.line.account, get(told.desk.book.tree, 'org/r-1/bob')!.spent.money]).toEqual(['org/r-1', 0n]);
  });

  it('is one chain, through all that happened', () => {
    const told = held();
    told.reserve('two', BOB);
    told.reserve('three');
    told.settle('one', 600);
    told.freeze(false, 'org/r-1/ann');
    told.tick(1_000);
    told.raise(9);
    told.close();
    expect(told.lines.length).toBeGreaterThan(7);
    expect([firstBreak(told.lines), told.lines.at(-1)!.hash]).toEqual([undefined, told.desk.chain.hash]);
  });
});
