import { describe, expect, it } from 'vitest';
import { get } from '../../../../src/actors/budget/by-id.ts';
import { accountFor, holdersBelow, leftOf, openBook, remember, totals, type Book, type Orphans } from '../../../../src/actors/budget/book.ts';
import { closeBranch, endBranch, freeze, openBranch, raise } from '../../../../src/actors/budget/branches.ts';
import { expire, extend, orphan, release, settle, type Bill } from '../../../../src/actors/budget/endings.ts';
import { decide, enqueue, hold, serve, type Request } from '../../../../src/actors/budget/policy.ts';
import type { AccountSpec, Measure, Window } from '../../../../src/protocols/account.ts';
import { VetoDetails, type Quote } from '../../../../src/protocols/budget.ts';
import type { Address } from '../../../../src/protocols/ids.ts';

const NOON = Date.UTC(2026, 0, 31, 12, 30);
const HOUR = 3_600_000;
const GRANT_MS = 1_000;
const HOLDER = 'r-1.worker.ann.s-1' as Address;

const limit = (amount: number, measure: Measure = 'money', window: Window = 'total') => ({ measure, amount: String(amount), window });
const spec = (id: string, change: Partial<AccountSpec> = {}): AccountSpec => {
  const above = id.split('/').slice(0, -1).join('/');
  return { id, limits: [], ...(above !== '' && { parent: above }), ...change };
};
const bookOf = (...accounts: readonly AccountSpec[]): Book => openBook(accounts, 0n);
const pool = (nanos: number): Book => bookOf(spec('org', { limits: [limit(nanos)] }), spec('org/ann'), spec('org/bob'));

/** 100 for the input and one nano-dollar a token: 500 in full, 300 at least. */
const quoteOf = (change: Partial<Quote> = {}): Quote => ({
  model: 'm',
  fixedNanos: '100',
  outputNanosPerMtok: '1000000',
  maxTokens: 400,
  minTokens: 200,
  inputTokens: 10,
  priceHash: 'p',
  ...change,
});
const request = (grant: string, change: Partial<Quote> = {}, account = 'org'): Request => ({ grant, account, holder: HOLDER, quote: quoteOf(change) });

/** Asks, and books the answer as the desk does. */
const ask = (book: Book, one: Request, now = NOON): Book => {
  const decision = decide(book, one, now, GRANT_MS);
  switch (decision.kind) {
    case 'grant':
      return hold(book, one.grant, decision.hold, now);
    case 'wait':
      return enqueue(book, one, now + 50);
    case 'veto':
      return remember(book, one.grant, 'unbilled');
    case 'known':
      return book;
  }
};
const asks = (book: Book, ...all: readonly Request[]): Book => all.reduce((next, one) => ask(next, one), book);
const bill = (grant: string, nanos: bigint, change: Partial<Bill> = {}): Bill => ({
  grant,
  account: 'org',
  spentNanos: nanos,
  tokens: 20n,
  calls: 1n,
  toolCalls: 0n,
  ...change,
});
const money = (book: Book, id = 'org') => ({ spent: get(book.tree, id)!.spent.money, held: get(book.tree, id)!.held.money });
const capOf = (book: Book, one: Request, now = NOON): number | string => {
  const decision = decide(book, one, now, GRANT_MS);
  return decision.kind === 'grant' ? decision.hold.maxTokens : decision.kind;
};
const vetoOf = (book: Book, one: Request, now = NOON) => {
  const decision = decide(book, one, now, GRANT_MS);
  if (decision.kind !== 'veto') throw new Error(`no veto: ${decision.kind}`);
  return decision.failure;
};

describe('a grant', () => {
  it.each([
    ['in full when all of it fits', 500, {}, 400],
    ['the largest cap that fits when nothing may come back', 499, {}, 399],
    ['the smallest cap that is worth the call', 300, {}, 200],
    ['nothing below that', 299, {}, 'veto'],
    ['nothing when not even the input fits', 99, { minTokens: 0 }, 'veto'],
    ['nothing when the input of a model with free output does not fit', 99, { outputNanosPerMtok: '0' }, 'veto'],
    ['everything when the output is free', 100, { outputNanosPerMtok: '0' }, 400],
    ['everything when the call is free, on an empty account', 0, { fixedNanos: '0', outputNanosPerMtok: '0' }, 400],
    ['a call whose whole answer is smaller than what is worth it', 150, { maxTokens: 50 }, 50],
    ['a fraction of a nano-dollar a token, rounded up', 101, { outputNanosPerMtok: '1', maxTokens: 7 }, 7],
  ])('is %s (M1)', (_, nanos, change, expected) => {
    expect(capOf(pool(nanos), request('one', change))).toBe(expected);
  });

  it('is held with all that the call may use, from now to its deadline', () => {
    const decision = decide(pool(500), request('one', { timeoutMs: 70 }), NOON, GRANT_MS);
    const amounts = { money: 500n, tokens: 410n, calls: 1n, tool_calls: 0n, seconds: 70n };
    expect(decision).toEqual({
      kind: 'grant',
      hold: { account: 'org', holder: HOLDER, model: 'm', amounts, maxTokens: 400, at: NOON, deadline: NOON + GRANT_MS, state: 'held' },
    });
  });

  it('of a tool counts as a tool call', () => {
    const decision = decide(pool(500), request('one', { kind: 'tool' }), NOON, GRANT_MS);
    expect(decision).toMatchObject({ hold: { amounts: { calls: 0n, tool_calls: 1n } } });
  });

  it('is made smaller for want of tokens as well', () => {
    expect(capOf(bookOf(spec('org', { limits: [limit(310, 'tokens')] })), request('one'))).toBe(300);
    expect(capOf(bookOf(spec('org', { limits: [limit(209, 'tokens')] })), request('one'))).toBe('veto');
  });

  it('is bounded by every account up to the root', () => {
    const book = bookOf(spec('org', { limits: [limit(450)] }), spec('org/run', { limits: [limit(420)] }), spec('org/run/ann', { limits: [limit(600)] }));
    expect(['org/run/ann', 'org/run', 'org'].map((account) => capOf(book, request('one', {}, account)))).toEqual([320, 320, 350]);
  });

  it('comes from a slice although nothing is left above it, and no small request is refused for that', () => {
    const book = hold(
      bookOf(spec('org', { limits: [limit(800)] }), spec('org/run', { sliceNanos: '500' })),
      'other',
      {
        account: 'org',
        holder: HOLDER,
        model: 'm',
        amounts: { money: 300n, tokens: 0n, calls: 0n, tool_calls: 0n, seconds: 0n },
        maxTokens: 1,
        at: NOON,
        deadline: NOON + 1,
        state: 'held',
      },
      NOON,
    );
    expect(capOf(book, request('one', {}, 'org/run'))).toBe(400);
    expect(capOf(book, request('one'))).toBe('wait');
  });
});

describe('who waits', () => {
  it('waits while something is held that may come back, also when a smaller cap would fit', () => {
    expect(capOf(asks(pool(900), request('one')), request('two'))).toBe('wait');
  });

  it('waits for nothing that is held beside the account that is short', () => {
    const book = bookOf(spec('org', { limits: [limit(900)] }), spec('org/ann', { limits: [limit(400)] }), spec('org/bob'));
    expect(capOf(asks(book, request('one', {}, 'org/bob')), request('two', {}, 'org/ann'))).toBe(300);
  });

  it('waits for what is held below the account that is short, also above a slice', () => {
    const book = bookOf(spec('org', { limits: [limit(2_000), limit(500, 'tokens')] }), spec('org/ann', { sliceNanos: '900' }), spec('org/bob'));
    expect(capOf(asks(book, request('one', {}, 'org/bob')), request('two', {}, 'org/ann'))).toBe('wait');
  });

  it('waits for no orphan', () => {
    const book = asks(pool(900), request('one'));
    for (const orphans of ['charge', 'ask'] as const) expect(capOf(orphan(book, 'one', NOON, orphans), request('two'))).toBe(300);
  });

  it('waits behind those who wait already, whatever it asks for (M4)', () => {
    const book = asks(pool(900), request('one'), request('two'));
    expect(capOf(book, request('three', { fixedNanos: '1', maxTokens: 1 }))).toBe('wait');
  });

  it('does not wait behind those who wait for what is none of its own slice', () => {
    const book = asks(bookOf(spec('org', { limits: [limit(1_400)] }), spec('org/run', { sliceNanos: '500' })), request('one'), request('two'));
    expect([book.queue.length, capOf(book, request('three', {}, 'org/run'))]).toEqual([1, 400]);
  });

  it('is served in the order of asking, as far as it goes (M4)', () => {
    const waiting = asks(pool(1_300), request('one'), request('two'), request('three'), request('four'), request('five', { maxTokens: 1, minTokens: 1 }));
    expect(waiting.queue.map(({ grant }) => grant)).toEqual(['three', 'four', 'five']);
    const { book, served } = serve(settle(waiting, bill('one', 100n), NOON), NOON + 1, GRANT_MS);
    expect(served.map(({ waiter, decision }) => [waiter.grant, decision.kind])).toEqual([['three', 'grant']]);
    expect(book.queue.map(({ grant }) => grant)).toEqual(['four', 'five']);
    expect(get(book.holds, 'three')).toMatchObject({ at: NOON + 1, deadline: NOON + 1 + GRANT_MS });
  });

  it('is served at once when nothing is held any more: in full, with a smaller cap, or by a veto (M4)', () => {
    const waiting = asks(pool(1_000), request('one'), request('two'), request('three'), request('four', { minTokens: 50 }), request('five'));
    const free = settle(settle(waiting, bill('one', 50n), NOON), bill('two', 50n), NOON);
    const { served, book } = serve(free, NOON, GRANT_MS);
    expect(served.map(({ waiter, decision }) => [waiter.grant, decision.kind === 'grant' ? decision.hold.maxTokens : decision.kind])).toEqual([['three', 400]]);
    const rest = serve(settle(book, bill('three', 500n), NOON), NOON, GRANT_MS);
    expect(rest.served.map(({ waiter, decision }) => [waiter.grant, decision.kind === 'grant' ? decision.hold.maxTokens : decision.kind])).toEqual([
      ['four', 300],
    ]);
    const last = serve(settle(rest.book, bill('four', 400n), NOON), NOON, GRANT_MS);
    expect(last.served.map(({ waiter, decision }) => [waiter.grant, decision.kind])).toEqual([['five', 'veto']]);
    expect(last.book.queue).toEqual([]);
  });

  it.each([
    ['not before its deadline', 49, []],
    ['at its deadline', 50, ['two']],
  ])('is vetoed %s', (_, ms, expected) => {
    const { served } = serve(asks(pool(700), request('one'), request('two')), NOON + ms, GRANT_MS);
    expect(served.map(({ waiter }) => waiter.grant)).toEqual(expected);
    for (const { decision } of served) expect(decision).toMatchObject({ kind: 'veto', failure: { code: 'BUDGET_EXHAUSTED', details: { asked: '500' } } });
  });

  it('gets at its deadline what there is, if that is worth the call', () => {
    const { served } = serve(asks(pool(900), request('one'), request('two')), NOON + 50, GRANT_MS);
    expect(served).toMatchObject([{ waiter: { grant: 'two' }, decision: { kind: 'grant', hold: { maxTokens: 300, amounts: { money: 400n } } } }]);
  });

  it('is vetoed at its own deadline also when somebody waits longer before it: a clock had jumped back', () => {
    const waiting = ask(asks(pool(700), request('one'), request('two')), request('three'), NOON - 40);
    expect(serve(waiting, NOON + 10, GRANT_MS).served.map(({ waiter }) => waiter.grant)).toEqual(['three']);
  });

  it('is vetoed at once when its account ends or is frozen, also behind others', () => {
    const waiting = asks(pool(900), request('one'), request('two'), request('three', {}, 'org/bob'));
    expect(serve(endBranch(waiting, 'org/bob'), NOON, GRANT_MS).served).toMatchObject([
      { waiter: { grant: 'three' }, decision: { failure: { code: 'BUDGET_CLOSED' } } },
    ]);
    expect(serve(freeze(waiting, 'org/bob', true), NOON, GRANT_MS).served).toMatchObject([
      { waiter: { grant: 'three' }, decision: { failure: { code: 'BUDGET_FROZEN' } } },
    ]);
  });

  it('is known as vetoed afterwards (M2)', () => {
    const { book } = serve(asks(pool(900), request('one'), request('two')), NOON + 50, GRANT_MS);
    expect(capOf(book, request('two'))).toBe('known');
  });
});

describe('a veto', () => {
  it.each([
    ['money', 'total', limit(299), { limit: '299', needed: '300', asked: '500' }, ['$0.0000003', '$0.000000299']],
    ['money', 'hour', limit(299, 'money', 'hour'), { limit: '299', needed: '300', asked: '500' }, ['of this hour']],
    ['tokens', 'total', limit(209, 'tokens'), { limit: '209', needed: '210', asked: '410' }, ['210 tokens', '209 tokens']],
    ['calls', 'day', limit(0, 'calls', 'day'), { limit: '0', needed: '1', asked: '1' }, ['at least 1 model call,', '0 model calls are left', 'of this day']],
    ['seconds', 'month', limit(69, 'seconds', 'month'), { limit: '69', needed: '70', asked: '70' }, ['70 milliseconds', 'of this month']],
  ] as const)('for want of %s names account, limit of the %s, spent, held, needed and asked', (measure, window, tight, expected, words) => {
    const book = bookOf(spec('org'), spec('org/run', { limits: [tight] }), spec('org/run/ann'));
    const veto = vetoOf(book, request('one', { timeoutMs: 70 }, 'org/run/ann'));
    expect(veto).toMatchObject({ code: 'BUDGET_EXHAUSTED', retryable: false });
    expect(VetoDetails.parse(veto.details)).toEqual({ account: 'org/run', measure, window, spent: '0', held: '0', ...expected });
    for (const word of ['org/run', ...words]) expect(veto.message).toContain(word);
  });

  it('for want of tool calls says so', () => {
    const veto = vetoOf(bookOf(spec('org', { limits: [limit(0, 'tool_calls')] })), request('one', { kind: 'tool' }));
    expect([veto.details['measure'], veto.message]).toEqual(['tool_calls', expect.stringContaining('at least 1 tool call,')]);
  });

  it('says what is spent and held at the account that is short, in its window', () => {
    let book = asks(bookOf(spec('org', { limits: [limit(900, 'money', 'hour')] })), request('one'), request('held', { maxTokens: 200 }));
    book = settle(settle(book, bill('one', 450n), NOON), bill('old', 0n), NOON);
    const { queue, ...rest } = ask(book, request('two', { fixedNanos: '1000' }));
    expect(queue.map(({ grant }) => grant)).toEqual(['two']);
    const { served } = serve({ ...rest, queue }, NOON + 50, GRANT_MS);
    expect(served[0]!.decision).toMatchObject({ failure: { details: { spent: '450', held: '300', limit: '900', needed: '1200', asked: '1400' } } });
  });

  it.each([
    ['what is kept back', openBook([spec('org', { limits: [limit(800)] })], 600n), 300n, 100n],
    ['what was overspent', pool(400), 900n, 500n],
  ])('says how much is missing beside %s, and a raise of that and of what was asked makes the call fit', (_, book, spent, over) => {
    const short = freeze(settle(book, bill('old', spent), NOON), 'org', false);
    expect(vetoOf(short, request('one')).details).toMatchObject({ asked: '500', over: String(over) });
    const [enough, tooLittle] = [over + 500n, over + 499n].map((nanos) => raise(short, 'org', nanos, NOON) as Book);
    expect(capOf(enough!, request('one'))).toBe(400);
    expect(capOf(tooLittle!, request('one'))).not.toBe(400);
  });

  it.each([
    ['ending', endBranch(pool(900), 'org'), 'BUDGET_CLOSED'],
    ['closed', closeBranch(pool(900), 'org'), 'BUDGET_CLOSED'],
  ])('of an account that is %s says so', (_, book, code) => {
    expect(vetoOf(book, request('one', {}, 'org/ann'))).toMatchObject({ code, details: { account: 'org/ann' } });
  });

  it.each([
    ['org', freeze(pool(900), 'org', true, 'ann: stop'), 'budget of org is frozen (ann: stop; $0.0000 is spent of $0.0000009)'],
    ['org/ann', freeze(freeze(pool(900), 'org', true), 'org/ann', true), 'budget of org/ann is frozen'],
    [
      'org/ann',
      settle(pool(900), bill('old', 700n, { account: 'org/ann' }), NOON),
      'budget of org/ann is frozen (a provider billed more than was held for its call; $0.0000007 is spent)',
    ],
  ])('names the account that is frozen, %s, and why', (account, book, said) => {
    expect(vetoOf(book, request('one', {}, 'org/ann'))).toMatchObject({
      code: 'BUDGET_FROZEN',
      message: `${said}: nothing is granted until it is thawed`,
      details: { account },
    });
  });

  it('is none any more after a thaw', () => {
    expect(capOf(freeze(freeze(pool(500), 'org', true), 'org', false), request('one'))).toBe(400);
  });
});

describe('money that is kept back', () => {
  const book = openBook([spec('org', { limits: [limit(800)] }), spec('org/run')], 400n);

  it.each([
    ['not for work', 'work', 300],
    ['not where it is not said what for', undefined, 300],
    ['for a closing answer', 'closing', 400],
  ] as const)('is there %s', (_, purpose, cap) => {
    expect(capOf(book, request('one', purpose && { purpose }, 'org/run'))).toBe(cap);
  });

  it('is not counted as left', () => {
    expect([leftOf(book, 'org/run', NOON), leftOf(settle(book, bill('x', 500n), NOON), 'org', NOON)]).toEqual([400n, 0n]);
  });

  it('is of the root for its whole life: no window and no slice knows it', () => {
    const sliced = openBook([spec('org', { limits: [limit(900), limit(600, 'money', 'hour')] }), spec('org/run', { sliceNanos: '500' })], 400n);
    expect([leftOf(sliced, 'org', NOON), leftOf(sliced, 'org/run', NOON)]).toEqual([0n, 500n]);
  });
});

describe('settling', () => {
  const held = asks(pool(1_000), request('one', { timeoutMs: 900 }, 'org/ann'));

  it('books what was billed and frees the rest, at every account (T3)', () => {
    const settled = settle(held, bill('one', 150n), NOON + 70);
    expect([money(settled, 'org/ann'), money(settled)]).toEqual([
      { spent: 150n, held: 0n },
      { spent: 150n, held: 0n },
    ]);
    expect(totals(settled)).toEqual({
      spent: { money: 150n, tokens: 20n, calls: 1n, tool_calls: 0n, seconds: 70n },
      held: { money: 0n, tokens: 0n, calls: 0n, tool_calls: 0n, seconds: 0n },
    });
    expect(get(settled.tree, 'org/ann')!.frozen).toBe(false);
  });

  it('to the last nano-dollar of the hold flags nothing', () => {
    const settled = settle(held, bill('one', 500n), NOON);
    expect([settled.overrun, get(settled.tree, 'org/ann')!.frozen]).toEqual([0n, false]);
  });

  it('above the hold is booked in full, flagged, and freezes the account (M1)', () => {
    const settled = settle(held, bill('one', 501n), NOON);
    expect([money(settled), settled.overrun, get(settled.tree, 'org/ann')!.frozen, get(settled.tree, 'org')!.frozen]).toEqual([
      { spent: 501n, held: 0n },
      1n,
      true,
      false,
    ]);
    expect(vetoOf(settled, request('two', {}, 'org/ann')).code).toBe('BUDGET_FROZEN');
    expect(settle(settle(held, bill('one', 501n), NOON), bill('other', 2n), NOON).overrun).toBe(3n);
  });

  it('of what nobody was granted is booked in full at the account of whoever says it, and flagged (M5)', () => {
    const settled = settle(held, bill('stray', 9n, { account: 'org/bob' }), NOON);
    expect([money(settled, 'org/bob'), money(settled, 'org/ann'), get(settled.tree, 'org/bob')!.frozen]).toEqual([
      { spent: 9n, held: 0n },
      { spent: 0n, held: 500n },
      true,
    ]);
  });

  it.each([
    ['frozen', (book: Book) => freeze(book, 'org', true)],
    ['ending', (book: Book) => endBranch(book, 'org')],
    ['closed', (book: Book) => closeBranch(book, 'org/ann')],
  ])('is taken when the account is %s (M5)', (_, as) => {
    expect(money(settle(as(held), bill('one', 150n), NOON), 'org/ann')).toEqual({ spent: 150n, held: 0n });
  });

  it('does not go back in time when the clock does', () => {
    expect(totals(settle(held, bill('one', 150n), NOON - 5_000)).spent.seconds).toBe(0n);
  });
});

describe('what comes twice (M2)', () => {
  const held = asks(pool(900), request('one'));

  it.each([
    ['a request that is granted', held, (book: Book) => ask(book, request('one'))],
    ['a request that waits', asks(held, request('two')), (book: Book) => ask(book, request('two'))],
    ['a request that was vetoed', ask(pool(1), request('one')), (book: Book) => ask(book, request('one'))],
    ['a request that was settled', settle(held, bill('one', 150n), NOON), (book: Book) => ask(book, request('one'))],
    ['a request that was released', release(held, 'one', NOON), (book: Book) => ask(book, request('one'))],
    ['a bill', settle(held, bill('one', 150n), NOON), (book: Book) => settle(book, bill('one', 150n), NOON)],
    ['a release', release(held, 'one', NOON), (book: Book) => release(book, 'one', NOON)],
    ['a release of what was billed', settle(held, bill('one', 150n), NOON), (book: Book) => release(book, 'one', NOON)],
    ['an orphan that is charged', orphan(held, 'one', NOON, 'charge'), (book: Book) => orphan(book, 'one', NOON, 'charge')],
    ['an orphan that is asked about', orphan(held, 'one', NOON, 'ask'), (book: Book) => expire(book, NOON + HOUR, 'ask')],
    ['an orphan of what was billed', settle(held, bill('one', 150n), NOON), (book: Book) => orphan(book, 'one', NOON, 'charge')],
    ['an extension that is none', held, (book: Book) => extend(book, 'one', NOON + GRANT_MS)],
    ['an extension of an orphan', orphan(held, 'one', NOON, 'charge'), (book: Book) => extend(book, 'one', NOON + HOUR)],
    ['an extension of nothing', held, (book: Book) => extend(book, 'none', NOON + HOUR)],
  ])('changes nothing: %s', (_, book, again) => {
    expect(again(book)).toEqual(book);
  });

  it('a bill changes nothing also after a release that came late', () => {
    const settled = release(settle(held, bill('one', 150n), NOON), 'one', NOON);
    expect(settle(settled, bill('one', 150n), NOON)).toEqual(settled);
  });

  it('is recognised for a thousand others', () => {
    let book = settle(held, bill('one', 150n), NOON);
    for (let other = 0; other < 1_500; other++) book = remember(book, `other-${other}`, 'unbilled');
    expect(settle(book, bill('one', 150n), NOON)).toBe(book);
    expect(book.ended[0].size + book.ended[1].size).toBeLessThanOrEqual(2_048);
  });
});

describe('releasing', () => {
  it('gives back all that was held', () => {
    const released = release(asks(pool(900), request('one', {}, 'org/ann')), 'one', NOON);
    expect([money(released), money(released, 'org/ann'), released.holds.size]).toEqual([{ spent: 0n, held: 0n }, { spent: 0n, held: 0n }, 0]);
  });

  it('of who still waits takes it out of the queue; before it asks, it is not granted afterwards', () => {
    const waiting = asks(pool(900), request('one'), request('two'));
    expect(release(waiting, 'two', NOON).queue).toEqual([]);
    expect(capOf(release(pool(900), 'one', NOON), request('one'))).toBe('known');
  });

  it('does not keep a bill that comes after all from being booked, flagged (M5)', () => {
    const settled = settle(release(asks(pool(900), request('one')), 'one', NOON), bill('one', 150n), NOON);
    expect([money(settled), settled.overrun]).toEqual([{ spent: 150n, held: 0n }, 150n]);
  });
});

describe('an orphan (M3)', () => {
  const held = asks(pool(900), request('one'));

  it.each(['charge', 'release', 'ask'] as const)('is none before its deadline, by the rule %s', (orphans) => {
    expect(expire(held, NOON + GRANT_MS - 1, orphans)).toBe(held);
  });

  it.each<[Orphans, ReturnType<typeof money>, boolean]>([
    ['charge', { spent: 500n, held: 0n }, true],
    ['release', { spent: 0n, held: 0n }, false],
    ['ask', { spent: 0n, held: 500n }, true],
  ])('by the rule %s is booked as %o', (orphans, expected, open) => {
    for (const after of [expire(held, NOON + GRANT_MS, orphans), orphan(held, 'one', NOON, orphans)]) {
      expect([money(after), get(after.holds, 'one') !== undefined]).toEqual([expected, open]);
      expect(holdersBelow(after, 'org')).toEqual([]);
    }
  });

  it.each<[Orphans, bigint]>([
    ['charge', 0n],
    ['release', 150n],
    ['ask', 0n],
  ])('by the rule %s is put right by a late bill, and nobody is suspected', (orphans, overrun) => {
    const late = settle(expire(held, NOON + GRANT_MS, orphans), bill('one', 150n), NOON + HOUR);
    expect([money(late), late.overrun, late.holds.size, get(late.tree, 'org')!.frozen]).toEqual([{ spent: 150n, held: 0n }, overrun, 0, false]);
    expect(settle(late, bill('one', 150n), NOON + HOUR)).toBe(late);
  });

  it.each<Orphans>(['charge', 'release', 'ask'])('by the rule %s is put right by a late release', (orphans) => {
    const late = release(expire(held, NOON + GRANT_MS, orphans), 'one', NOON + HOUR);
    expect([money(late), late.holds.size]).toEqual([{ spent: 0n, held: 0n }, 0]);
  });

  it('that was charged and is billed for more is booked in full and flagged', () => {
    const late = settle(expire(held, NOON + GRANT_MS, 'charge'), bill('one', 501n), NOON + HOUR);
    expect([money(late), late.overrun, get(late.tree, 'org')!.frozen]).toEqual([{ spent: 501n, held: 0n }, 1n, true]);
  });

  it('that was charged in one hour and put right in the next gives that one nothing (T1)', () => {
    const hourly = asks(bookOf(spec('org', { limits: [limit(500, 'money', 'hour')] })), request('one'));
    for (const late of [
      settle(expire(hourly, NOON + GRANT_MS, 'charge'), bill('one', 150n), NOON + HOUR),
      release(expire(hourly, NOON + GRANT_MS, 'charge'), 'one', NOON + HOUR),
    ]) {
      expect(leftOf(late, 'org', NOON + HOUR)).toBe(500n);
    }
    expect(leftOf(settle(expire(hourly, NOON + GRANT_MS, 'charge'), bill('one', 150n), NOON + GRANT_MS), 'org', NOON + GRANT_MS)).toBe(350n);
  });

  it('is none until the deadline that it was extended to', () => {
    const longer = extend(held, 'one', NOON + 5_000);
    expect(expire(longer, NOON + 4_999, 'charge')).toBe(longer);
    expect(money(expire(longer, NOON + 5_000, 'charge'))).toEqual({ spent: 500n, held: 0n });
  });
});

describe('whose account it is', () => {
  const book = bookOf(spec('org'), spec('org/r-1'), spec('org/r-1/ann'), spec('org/supervisor'));

  it.each([
    ['its own in its run', 'r-1', 'ann', 'org/r-1/ann'],
    ['its own of the root', 'r-1', 'supervisor', 'org/supervisor'],
    ["its run's", 'r-1', 'bob', 'org/r-1'],
    ["the root's", 'r-2', 'ann', 'org'],
    ["its run's when it has no name", 'r-1', '', 'org/r-1'],
  ])('%s', (_, run, part, expected) => {
    expect(accountFor(book, run, part)).toBe(expected);
  });
});

describe('what people do', () => {
  it('a raise gives more, and none is given to nobody', () => {
    expect(capOf(raise(pool(300), 'org', 200n, NOON) as Book, request('one'))).toBe(400);
    expect(raise(pool(300), 'none', 200n, NOON)).toEqual({ problem: 'no-parent' });
  });

  it('accounts are opened together, or none of them', () => {
    const book = pool(500);
    expect(openBranch(book, [spec('org/cyd', { sliceNanos: '400' }), spec('org/dan', { sliceNanos: '101' })], NOON)).toMatchObject({
      account: 'org/dan',
      why: { problem: 'uncovered' },
    });
    const opened = openBranch(book, [spec('org/cyd', { sliceNanos: '400' }), spec('org/cyd/eve')], NOON) as Book;
    expect([leftOf(opened, 'org/cyd/eve', NOON), leftOf(opened, 'org', NOON)]).toEqual([400n, 100n]);
    expect(openBranch(opened, [spec('org/cyd', { sliceNanos: '400' })], NOON)).toEqual(opened);
  });

  it('a book with an account that is not covered is not opened', () => {
    expect(() => openBook([spec('org', { limits: [limit(5)] }), spec('org/run', { sliceNanos: '6' })], 0n)).toThrow(
      'org/run cannot be opened: org has $0.000000005 left',
    );
  });

  it('holders are those at and below an account, and nobody whose name only begins the same', () => {
    const book = asks(bookOf(spec('org'), spec('org/an'), spec('org/ann')), request('one', {}, 'org/an'), request('two', {}, 'org/ann'), request('three'));
    expect(['org/an', 'org/ann', 'org'].map((id) => holdersBelow(book, id).map(([grant]) => grant))).toEqual([['one'], ['two'], ['one', 'two', 'three']]);
  });
});
