import { describe, expect, it } from 'vitest';
import { blocksOf } from '../../../../src/capabilities/tool/blocks.ts';
import { passagesOf } from '../../../../src/capabilities/tool/passages.ts';
import { contentTerms, termsOf } from '../../../../src/capabilities/tool/words.ts';

const MARKDOWN = [
  '# One',
  '',
  'A paragraph',
  'in two lines.',
  '',
  '- an item',
  '  that goes on',
  '- another',
  '',
  '```sh',
  'npm install',
  '',
  'npm test',
  '```',
  '',
  'Two',
  '---',
  '',
  '| a | b |',
  '|---|---|',
  '| 1 | 2 |',
];

describe('blocks', () => {
  it('are what a reader sees as one thing, under its headings', () => {
    expect(blocksOf('x.md', MARKDOWN).map(({ kind, from, lines, headings }) => [kind, from, lines.length, headings.join('/')])).toEqual([
      ['heading', 1, 1, ''],
      ['paragraph', 3, 2, 'One'],
      ['item', 6, 2, 'One'],
      ['item', 8, 1, 'One'],
      ['code', 11, 3, 'One'],
      ['heading', 16, 1, 'One'],
      ['row', 21, 1, 'One/Two'],
    ]);
    expect(blocksOf('x.md', MARKDOWN).at(-1)!.head).toEqual({ line: 19, text: '| a | b |' });
  });

  it('are read rightly from a line inside fenced code on', () => {
    expect(blocksOf('x.md', ['const a = 1;', 'run(a);', '```', '', 'Prose.', '', '```ts', 'run();', '```']).map(({ kind, from }) => [kind, from])).toEqual([
      ['code', 1],
      ['paragraph', 5],
      ['code', 8],
    ]);
  });

  it('of other files stand between blank lines', () => {
    expect(blocksOf('x.ts', ['# not a heading', 'b', '', 'c']).map(({ kind, from }) => [kind, from])).toEqual([
      ['code', 1],
      ['code', 4],
    ]);
  });
});

describe('passages', () => {
  it('cover every line that says something, once, in screenfuls', () => {
    const lines = Array.from({ length: 200 }, (_, n) => (n % 7 === 0 ? `## Part ${n}` : n % 5 === 0 ? '' : `Line ${n} says something.`));
    const passages = passagesOf('x.md', lines);
    const covered = passages.flatMap(({ from, lines: own }) => own.map((_, index) => from + index));
    expect(new Set(covered).size).toBe(covered.length);
    lines.forEach((line, index) => line !== '' && expect(covered).toContain(index + 1));
    for (const passage of passages) expect(passage.lines.length).toBeLessThanOrEqual(15);
  });
});

describe('terms', () => {
  it.each([
    ['installing', 'installed'],
    ['configuration', 'configured'],
    ['retries', 'retry'],
    ['policies', 'policy'],
    ['running', 'runs'],
    ['refunds', 'refunded'],
    ['Café', 'cafe'],
    ["company's", 'company'],
  ])('%s meets %s', (one, other) => {
    expect(termsOf(one)).toEqual(termsOf(other));
  });

  it.each([
    ['port', 'portal'],
    ['policy', 'police'],
    ['v1.2', 'v1.3'],
  ])('%s does not meet %s', (one, other) => {
    expect(termsOf(one)).not.toEqual(termsOf(other));
  });

  it('hold identifiers whole and in parts', () => {
    expect(termsOf('maxTokens two-factor')).toEqual(['maxtokens', 'max', 'token', 'two-factor', 'two', 'factor']);
  });

  it('leave out the words that only hold a sentence together', () => {
    expect(contentTerms('What is the price of a ticket to 6 islands?')).toEqual(['price', 'ticket', '6', 'island']);
  });
});

describe('a word of any length', () => {
  it.each(['eed', 'ful', 'ize', 'e', ''])('is a term like another: yyy…%s', (ending) => {
    const word = 'y'.repeat(100_000) + ending;
    expect(termsOf(word)).toEqual([word]);
  });

  it('is as many pairs as it has neighbours where no spaces part words', () => {
    expect(termsOf('渡船'.repeat(150_000))).toHaveLength(299_999);
  });
});
