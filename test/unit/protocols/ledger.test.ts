import { describe, expect, it } from 'vitest';
import type { Amounts } from '../../../src/protocols/account.ts';
import { append, breakdown, firstBreak, hashOf, parseLine, type LedgerLine, type NewLine } from '../../../src/protocols/ledger.ts';

const amounts = (money: bigint, tokens = 0n): Amounts => ({ money, tokens, calls: 0n, tool_calls: 0n, seconds: 0n });
const chained = (...said: readonly NewLine[]): LedgerLine[] => {
  const lines: LedgerLine[] = [];
  for (const line of said) lines.push(append(lines.at(-1) ?? { seq: 0, hash: '' }, { ...line, at: 5 + lines.length, spentNanos: '1', heldNanos: '2' }));
  return lines;
};
const hold: NewLine = { kind: 'hold', account: 'org', grant: 'one', holder: 'r.worker.a.b', model: 'm', amounts: amounts(7n, 3n) };
const lines = chained(
  hold,
  { ...hold, kind: 'settle', amounts: amounts(5n, 2n) },
  { ...hold, grant: 'two' },
  { ...hold, kind: 'release', grant: 'two', note: 'not made' },
);
const without = (index: number) => lines.filter((_, at) => at !== index);
const changed = (index: number, change: Partial<LedgerLine>) => lines.map((line, at) => (at === index ? { ...line, ...change } : line));

describe('a line', () => {
  it('follows from the one before it, and leaves out what is nothing', () => {
    expect(lines.map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
    expect(lines.map(({ previous }) => previous)).toEqual(['', ...lines.slice(0, 3).map(({ hash }) => hash)]);
    expect(lines[0]!.amounts).toEqual({ money: '7', tokens: '3' });
  });

  it('has the same hash in whatever order its keys are', () => {
    const [line] = lines as [LedgerLine];
    const turned = (record: object): object => Object.fromEntries(Object.entries(record).toReversed());
    expect(hashOf({ ...turned(line), amounts: turned(line.amounts) } as LedgerLine)).toBe(line.hash);
    expect(hashOf({ ...line, note: undefined } as unknown as LedgerLine)).toBe(line.hash);
  });

  it.each(['seq', 'at', 'kind', 'account', 'grant', 'holder', 'model', 'spentNanos', 'heldNanos', 'previous'] as const)(
    'has another hash with another %s',
    (field) => {
      const [line] = lines as [LedgerLine];
      expect(hashOf({ ...line, [field]: 'other' })).not.toBe(line.hash);
    },
  );

  it('is the same when it is written and read again', () => {
    expect(lines.map((line) => parseLine(JSON.stringify(line)))).toEqual(lines);
  });

  it.each([
    ['{', /JSON/],
    ['{}', /seq: .*hash: /],
    [JSON.stringify({ ...lines[0], seq: 0 }), /seq: /],
    [JSON.stringify({ ...lines[0], amounts: { money: 7 } }), /amounts.money: /],
  ])('that is none is said to be none: %s', (text, problem) => {
    expect(parseLine(text)).toMatch(problem);
  });
});

describe('the first break', () => {
  it('is none in a whole ledger, in the beginning of one, and in an empty one', () => {
    expect([firstBreak(lines), firstBreak(lines.slice(0, 2)), firstBreak([])]).toEqual([undefined, undefined, undefined]);
  });

  it.each([
    ['an amount that was changed', changed(1, { amounts: { money: '4' } }), 1, /line 2 was changed/],
    ['a note that was added', changed(2, { note: 'fine' }), 2, /line 3 was changed/],
    [
      'an amount that was changed and sealed again',
      changed(1, { amounts: { money: '4' }, hash: hashOf({ ...lines[1]!, amounts: { money: '4' } }) }),
      2,
      /line 3 does not follow/,
    ],
    ['a line that is missing', without(1), 1, /expected line 2, found 3: one is missing/],
    ['the first line missing', without(0), 0, /one is missing/],
    ['a line that is there twice', [...lines.slice(0, 2), ...lines.slice(1)], 2, /expected line 3, found 2: one is there twice/],
    ['two lines in the wrong order', [lines[0]!, lines[2]!, lines[1]!, lines[3]!], 1, /one is missing/],
    ['a missing line whose number was given away again', without(1).map((line, at) => ({ ...line, seq: at + 1 })), 1, /does not follow/],
  ])('is %s', (_, broken, index, why) => {
    const found = firstBreak(broken);
    expect(found?.index).toBe(index);
    expect(found?.why).toMatch(why);
  });
});

describe('the breakdown', () => {
  it('adds up what was spent by name, the dearest first, and counts no hold', () => {
    const spent = chained(
      hold,
      { ...hold, kind: 'settle', model: 'small', amounts: amounts(5n, 2n) },
      { ...hold, kind: 'settle', grant: 'two', model: 'large', amounts: amounts(9n, 1n) },
      { ...hold, kind: 'charge', grant: 'three', model: 'small', amounts: amounts(1n) },
    );
    expect(breakdown(spent, ({ model }) => model!)).toEqual([
      ['large', { calls: 1, nanos: 9n, tokens: 1n }],
      ['small', { calls: 2, nanos: 6n, tokens: 2n }],
    ]);
  });

  it.each([
    ['billed', { kind: 'settle' as const, amounts: amounts(5n, 2n) }, [['m', { calls: 1, nanos: 5n, tokens: 2n }]]],
    ['given back', { kind: 'release' as const, amounts: amounts(7n, 3n) }, []],
  ])('counts a grant that was charged and then %s by the last word', (_, last, expected) => {
    expect(breakdown(chained(hold, { ...hold, kind: 'charge' }, { ...hold, ...last }), ({ model }) => model!)).toEqual(expected);
  });
});
