import { describe, expect, it } from 'vitest';
import {
  beginOf,
  book,
  close,
  limitsOn,
  mark,
  minus,
  NOTHING,
  open,
  pathOf,
  plus,
  raise,
  refusalAt,
  roomOf,
  tightest,
  type Tree,
  type Uncovered,
} from '../../../../src/actors/budget/tree.ts';
import { entriesOf, get, none } from '../../../../src/actors/budget/by-id.ts';
import type { AccountSpec, Amounts, Measure, Window } from '../../../../src/protocols/account.ts';

const NOON = Date.UTC(2026, 0, 31, 12, 30);
const HOUR = 3_600_000;

const money = (nanos: bigint): Amounts => ({ ...NOTHING, money: nanos });
const limit = (amount: number, measure: Measure = 'money', window: Window = 'total') => ({ measure, amount: String(amount), window });
const spec = (id: string, change: Partial<AccountSpec> = {}): AccountSpec => {
  const above = id.split('/').slice(0, -1).join('/');
  return { id, limits: [], ...(above !== '' && { parent: above }), ...change };
};
const opened = (tree: Tree | Uncovered): Tree => {
  if ('problem' in tree) throw new Error(JSON.stringify(tree.problem));
  return tree;
};
const treeOf = (...specs: readonly AccountSpec[]): Tree => specs.reduce((tree, one) => opened(open(tree, one, NOON)), none as Tree);
/** What of its money an account could spend now. */
const free = (tree: Tree, id: string, now = NOON): bigint =>
  [...limitsOn(tree, id, now)].reduce((least, { limit: { measure }, free: left }) => (measure === 'money' && left < least ? left : least), 1_000_000n);
const allFree = (tree: Tree): Record<string, bigint> => Object.fromEntries(entriesOf(tree).map(([id]) => [id, free(tree, id)]));

describe('amounts', () => {
  it('are added and taken away measure by measure', () => {
    const one: Amounts = { money: 1n, tokens: 2n, calls: 3n, tool_calls: 4n, seconds: 5n };
    const ten: Amounts = { money: 10n, tokens: 20n, calls: 30n, tool_calls: 40n, seconds: 50n };
    expect(plus(one, ten)).toEqual({ money: 11n, tokens: 22n, calls: 33n, tool_calls: 44n, seconds: 55n });
    expect(minus(ten, one)).toEqual({ money: 9n, tokens: 18n, calls: 27n, tool_calls: 36n, seconds: 45n });
  });
});

describe('an account without a slice', () => {
  const tree = treeOf(
    spec('org', { limits: [limit(100)] }),
    spec('org/run', { limits: [limit(80)] }),
    spec('org/run/ann', { limits: [limit(30)] }),
    spec('org/run/bob'),
  );

  it.each([
    ['of the root is its own limit', 'org', 100n],
    ['is bounded by a cap above', 'org/run', 80n],
    ['is bounded by its own cap', 'org/run/ann', 30n],
    ['is the pool of its parent where it has no cap', 'org/run/bob', 80n],
  ])('what is free %s (T2)', (_, id, expected) => {
    expect(free(tree, id)).toBe(expected);
  });

  it('books what is held and spent at every account up to the root, and nowhere else (T3)', () => {
    const booked = book(tree, 'org/run/ann', { held: money(20n), spent: money(5n) }, NOON);
    expect(pathOf(booked, 'org/run/ann').map(({ id, held, spent }) => [id, held.money, spent.money])).toEqual([
      ['org/run/ann', 20n, 5n],
      ['org/run', 20n, 5n],
      ['org', 20n, 5n],
    ]);
    expect(get(booked, 'org/run/bob')).toBe(get(tree, 'org/run/bob'));
    expect(allFree(booked)).toEqual({ org: 75n, 'org/run': 55n, 'org/run/ann': 5n, 'org/run/bob': 55n });
  });

  it('moves nothing when it opens and returns nothing when it closes (T2)', () => {
    const booked = book(tree, 'org/run/ann', { spent: money(5n) }, NOON);
    expect(free(close(booked, 'org/run/ann'), 'org')).toBe(95n);
  });

  it.each([
    ['its own cap first', 31n, 'org/run/ann'],
    ['nothing when all fits, to the last nano-dollar', 30n, undefined],
  ])('names as tightest %s (T1)', (_, needed, expected) => {
    expect(tightest(tree, 'org/run/ann', money(needed), NOON)?.account.id).toBe(expected);
  });

  it('names as tightest an account above when that has less (T1)', () => {
    const used = book(tree, 'org', { held: money(90n) }, NOON);
    expect(tightest(used, 'org/run/ann', money(11n), NOON)).toMatchObject({ account: { id: 'org' }, free: 10n });
  });

  it('has nothing free, never less, when more was spent than its limit', () => {
    const over = book(tree, 'org/run/ann', { spent: money(31n) }, NOON);
    expect(roomOf(get(over, 'org/run/ann')!, { measure: 'money', amount: 30n, window: 'total' }, NOON).free).toBe(0n);
  });
});

describe('a slice', () => {
  const tree = treeOf(
    spec('org', { limits: [limit(100)] }),
    spec('org/run', { sliceNanos: '60' }),
    spec('org/run/ann', { sliceNanos: '20' }),
    spec('org/run/bob'),
  );

  it('is moved from the parent when it opens, and one below it from there (T2)', () => {
    expect(allFree(tree)).toEqual({ org: 40n, 'org/run': 40n, 'org/run/ann': 20n, 'org/run/bob': 40n });
    expect([get(tree, 'org')!.sliced, get(tree, 'org/run')!.sliced]).toEqual([60n, 20n]);
  });

  it('is not opened when its parent has less (T2)', () => {
    expect(open(tree, spec('org/two', { sliceNanos: '41' }), NOON)).toMatchObject({ problem: 'uncovered', tight: { account: { id: 'org' }, free: 40n } });
    expect(open(tree, spec('org/run/cyd', { sliceNanos: '41' }), NOON)).toMatchObject({ problem: 'uncovered', tight: { account: { id: 'org/run' } } });
    expect(open(tree, spec('org/two', { sliceNanos: '40' }), NOON)).not.toHaveProperty('problem');
  });

  it('is not asked for above it: it can be used although the parent has nothing left (T2)', () => {
    const used = book(tree, 'org', { spent: money(40n) }, NOON);
    expect(allFree(used)).toEqual({ org: 0n, 'org/run': 40n, 'org/run/ann': 20n, 'org/run/bob': 40n });
  });

  it('is asked above it for what is not money', () => {
    const counted = treeOf(spec('org', { limits: [limit(100), limit(2, 'calls')] }), spec('org/run', { sliceNanos: '60' }));
    const called = book(counted, 'org', { held: { ...NOTHING, calls: 2n } }, NOON);
    expect(tightest(called, 'org/run', { ...money(1n), calls: 1n }, NOON)).toMatchObject({ account: { id: 'org' }, limit: { measure: 'calls' } });
  });

  it('leaves the parent as it is when something of it is held or spent: it was moved before (T2, T3)', () => {
    const used = book(tree, 'org/run/ann', { held: money(8n), spent: money(7n) }, NOON);
    expect(allFree(used)).toEqual({ org: 40n, 'org/run': 40n, 'org/run/ann': 5n, 'org/run/bob': 40n });
    expect([get(used, 'org')!.sliced, get(used, 'org')!.held.money, get(used, 'org')!.spent.money]).toEqual([45n, 8n, 7n]);
  });

  it('gives back the rest when it closes, once (T2)', () => {
    const used = book(tree, 'org/run/ann', { spent: money(7n) }, NOON);
    const closed = close(used, 'org/run/ann');
    expect([free(closed, 'org/run'), free(closed, 'org')]).toEqual([53n, 40n]);
    expect(close(closed, 'org/run/ann')).toBe(closed);
  });

  it('that closes with a slice open below keeps that one moved, until it closes as well', () => {
    const closed = close(tree, 'org/run');
    expect([free(closed, 'org'), free(closed, 'org/run/ann')]).toEqual([80n, 20n]);
    expect(free(close(closed, 'org/run/ann'), 'org')).toBe(100n);
  });

  it('gives back what was held when it closed as soon as it is not held any more', () => {
    const held = close(book(tree, 'org/run/ann', { held: money(15n) }, NOON), 'org/run/ann');
    expect(free(held, 'org/run')).toBe(45n);
    expect(free(book(held, 'org/run/ann', { held: money(-15n), spent: money(1n) }, NOON), 'org/run')).toBe(59n);
  });

  it('that is overspent takes the excess from its parent', () => {
    const over = book(tree, 'org/run/ann', { spent: money(25n) }, NOON);
    expect([get(over, 'org/run')!.sliced, free(over, 'org/run'), free(over, 'org/run/ann')]).toEqual([0n, 35n, 0n]);
  });
});

describe('opening', () => {
  const tree = treeOf(spec('org'));

  it.each([
    ['what is there already', spec('org'), 'exists'],
    ['below nobody', spec('other/run'), 'no-parent'],
  ])('refuses %s', (_, one, problem) => {
    expect(open(tree, one, NOON)).toEqual({ problem });
  });

  it('of a slice asks what may be spent in all, not how fast: what is spent from it is asked of every window above (T1)', () => {
    const tree = treeOf(spec('org', { limits: [limit(100), limit(10, 'money', 'hour')] }), spec('org/run', { sliceNanos: '40' }));
    expect(tightest(tree, 'org/run', money(10n), NOON)).toBeUndefined();
    expect(tightest(tree, 'org/run', money(11n), NOON)).toMatchObject({ account: { id: 'org' }, limit: { window: 'hour' } });
  });

  it('closes nothing that is not there', () => {
    expect(close(tree, 'other')).toBe(tree);
  });
});

describe('raising', () => {
  const tree = treeOf(
    spec('org', { limits: [limit(100), limit(50, 'money', 'hour'), limit(9, 'calls')] }),
    spec('org/run', { sliceNanos: '30' }),
    spec('org/run/ann', { sliceNanos: '20' }),
    spec('org/cap', { limits: [limit(5)] }),
  );

  it('adds to the limit on money for the whole life, and to no other', () => {
    const raised = opened(raise(tree, 'org', 7n, NOON));
    expect(get(raised, 'org')!.limits.map(({ amount }) => amount)).toEqual([107n, 50n, 9n]);
    expect(roomOf(get(opened(raise(tree, 'org/cap', 7n, NOON)), 'org/cap')!, { measure: 'money', amount: 12n, window: 'total' }, NOON).free).toBe(12n);
  });

  it('of a slice moves the money from above (T2)', () => {
    const raised = opened(raise(tree, 'org/run/ann', 10n, NOON));
    expect([free(raised, 'org/run/ann'), free(raised, 'org/run')]).toEqual([30n, 0n]);
    expect([get(raised, 'org/run')!.sliced, get(raised, 'org')!.sliced, get(raised, 'org/run/ann')!.slice]).toEqual([30n, 30n, 30n]);
    const once = opened(raise(tree, 'org/run', 10n, NOON));
    expect([get(once, 'org')!.sliced, free(once, 'org/run')]).toEqual([40n, 20n]);
  });

  it.each([
    ['a slice in a slice', 'org/run/ann', 11n, 'org/run'],
    ['a slice of the root', 'org/run', 71n, 'org'],
  ])('of %s is refused when it is not covered above (T2)', (_, id, nanos, at) => {
    expect(raise(tree, id, nanos, NOON)).toMatchObject({ problem: 'uncovered', tight: { account: { id: at } } });
  });

  it('of nobody is refused', () => {
    expect(raise(tree, 'org/none', 1n, NOON)).toEqual({ problem: 'no-parent' });
  });

  it('of a slice that was overspent moves what is left of it', () => {
    const over = book(tree, 'org/run/ann', { spent: money(24n) }, NOON);
    const raised = opened(raise(over, 'org/run/ann', 6n, NOON));
    expect([free(raised, 'org/run/ann'), get(raised, 'org/run')!.sliced, free(raised, 'org/run')]).toEqual([2n, 2n, 4n]);
  });
});

describe('what refuses', () => {
  const tree = treeOf(spec('org'), spec('org/run'), spec('org/run/ann'), spec('org/two'));

  it.each([
    ['nothing', tree, 'org/run/ann', undefined],
    ['a freeze of its own', mark(tree, 'org/run/ann', { frozen: true }), 'org/run/ann', 'frozen'],
    ['a freeze above', mark(tree, 'org', { frozen: true }), 'org/run/ann', 'frozen'],
    ['no freeze below', mark(tree, 'org/run', { frozen: true }), 'org', undefined],
    ['no freeze beside', mark(tree, 'org/run', { frozen: true }), 'org/two', undefined],
    ['an end above', mark(tree, 'org/run', { ending: true }), 'org/run/ann', 'closed'],
    ['an account above that is closed', close(tree, 'org/run'), 'org/run/ann', 'closed'],
    ['an end before a freeze', mark(mark(tree, 'org', { ending: true }), 'org/run/ann', { frozen: true }), 'org/run/ann', 'closed'],
  ])('is %s', (_, marked, id, expected) => {
    expect(refusalAt(marked, id)?.why).toBe(expected);
  });

  it('marks nobody who is not there', () => {
    expect(mark(tree, 'none', { frozen: true })).toBe(tree);
  });
});

describe('a window', () => {
  it.each([
    ['hour', NOON, Date.UTC(2026, 0, 31, 12)],
    ['hour', Date.UTC(2026, 0, 31, 12, 59, 59, 999), Date.UTC(2026, 0, 31, 12)],
    ['hour', Date.UTC(2026, 0, 31, 13), Date.UTC(2026, 0, 31, 13)],
    ['day', NOON, Date.UTC(2026, 0, 31)],
    ['day', Date.UTC(2026, 1, 1) - 1, Date.UTC(2026, 0, 31)],
    ['day', Date.UTC(2026, 1, 1), Date.UTC(2026, 1, 1)],
    ['month', NOON, Date.UTC(2026, 0, 1)],
    ['month', Date.UTC(2024, 1, 29, 23), Date.UTC(2024, 1, 1)],
    ['month', Date.UTC(2027, 0, 1), Date.UTC(2027, 0, 1)],
    ['total', NOON, 0],
  ] as const)('of an %s at %d begins at %d', (window, now, begin) => {
    expect(beginOf(window, now)).toBe(begin);
  });

  it.each([
    ['hour', HOUR],
    ['day', 24 * HOUR],
    ['month', 24 * HOUR],
  ] as const)('of one %s is full again when the next one begins, what is held is held in both (T1)', (window, later) => {
    const tree = book(treeOf(spec('org', { limits: [limit(100), limit(50, 'money', window)] })), 'org', { spent: money(40n), held: money(6n) }, NOON);
    expect(free(tree, 'org', NOON)).toBe(4n);
    expect(free(tree, 'org', NOON + later)).toBe(44n);
    const next = book(tree, 'org', { spent: money(10n) }, NOON + later);
    expect([free(next, 'org', NOON + later), get(next, 'org')!.spent.money]).toEqual([34n, 50n]);
  });

  it('does not count what is sliced until it is spent', () => {
    const tree = treeOf(spec('org', { limits: [limit(100), limit(50, 'money', 'hour')] }), spec('org/run', { sliceNanos: '30' }));
    expect(tightest(tree, 'org', money(50n), NOON)).toBeUndefined();
    const spent = book(tree, 'org/run', { spent: money(30n) }, NOON);
    expect(tightest(spent, 'org', money(21n), NOON)).toMatchObject({ limit: { window: 'hour' }, free: 20n });
  });

  it('that is over does not begin again when the clock jumps back', () => {
    const tree = book(treeOf(spec('org', { limits: [limit(50, 'money', 'hour')] })), 'org', { spent: money(40n) }, NOON);
    expect(free(tree, 'org', NOON - HOUR)).toBe(10n);
    const back = book(tree, 'org', { spent: money(5n) }, NOON - HOUR);
    expect([free(back, 'org', NOON - HOUR), free(back, 'org', NOON), free(back, 'org', NOON + HOUR)]).toEqual([5n, 5n, 50n]);
  });

  it('gets back what was counted in it, and nothing of what was counted in another one', () => {
    const tree = book(treeOf(spec('org', { limits: [limit(50, 'money', 'hour')] })), 'org', { spent: money(40n) }, NOON);
    const correction = { spent: money(-30n), since: NOON };
    expect(free(book(tree, 'org', correction, NOON + 1), 'org', NOON + 1)).toBe(40n);
    const next = book(tree, 'org', correction, NOON + HOUR);
    expect([free(next, 'org', NOON + HOUR), get(next, 'org')!.spent.money]).toEqual([50n, 10n]);
    const more = book(tree, 'org', { spent: money(3n), since: NOON }, NOON + HOUR);
    expect(free(more, 'org', NOON + HOUR)).toBe(47n);
  });
});
