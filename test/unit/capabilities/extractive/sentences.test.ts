import { describe, expect, it } from 'vitest';
import { claimsOf } from '../../../../src/capabilities/model/extractive/synthesis.ts';
import { sentencesOf } from '../../../../src/capabilities/model/extractive/sentences.ts';
import { queriesIn, subQuestions } from '../../../../src/capabilities/model/extractive/query.ts';

describe('sentences', () => {
  it.each([
    ['It works, e.g. On Linux. It fails elsewhere.', ['It works, e.g. On Linux.', 'It fails elsewhere.']],
    ['See vitest.config.ts. Then run v1.2.3 of it.', ['See vitest.config.ts.', 'Then run v1.2.3 of it.']],
    ['Dr. Dahl built it. "Well!" Mette said.', ['Dr. Dahl built it.', '"Well!"', 'Mette said.']],
    ['Really? Yes. (Perhaps.) `Code` follows.', ['Really?', 'Yes.', '(Perhaps.)', '`Code` follows.']],
    ['船は九時に出ます。犬も乗れます。', ['船は九時に出ます。', '犬も乗れます。']],
    ['no end', ['no end']],
  ])('%s', (text, sentences) => {
    expect(sentencesOf(text)).toEqual(sentences);
  });
});

describe('questions in a question', () => {
  it.each([
    ['What is refreshMs and how is it changed?', ['What is refreshMs', 'how is it changed?']],
    ['Who is Ann? Where is Bob?', ['Who is Ann?', 'Where is Bob?']],
    ['What is the difference between tabs and spaces?', ['What is tabs?', 'What is spaces?']],
    ['How do salt and pepper mix?', ['How do salt and pepper mix?']],
  ])('%s', (text, parts) => {
    expect(subQuestions(text)).toEqual(parts);
  });
});

describe('a query', () => {
  it('has a bounded number of questions and terms, the ones that weigh most, in their order', () => {
    const word = (n: number): string => `w${n.toString(36)}x`;
    const text = Array.from({ length: 300 }, (_, n) => `What does ${word(n)} do?`).join(' ');
    const queries = queriesIn(text, [{ text: 'ferry', weight: 0.15 }]);
    expect(queries).toHaveLength(6);
    for (const { terms } of queries) expect(terms.length).toBeLessThanOrEqual(64);
    expect(queries[5]!.terms.map(({ term }) => term)).toEqual(Array.from({ length: 64 }, (_, n) => word(n + 5)));
    expect(queries[0]!.terms.map(({ term }) => term)).toEqual([word(0), 'ferri']);
  });
});

describe('claims of a report', () => {
  it('belong to the marks behind them, before or after the full stop', () => {
    expect(claimsOf('One is so [1]. Two is so. [2][3]')).toEqual([
      { text: 'One is so.', marks: [1], isCode: false },
      { text: 'Two is so.', marks: [2, 3], isCode: false },
    ]);
  });

  it('share the mark at the end of their line', () => {
    expect(claimsOf('- Ferries float. They rarely sink. [4]').map(({ marks }) => marks)).toEqual([[4], [4]]);
  });

  it('are code where code is fenced', () => {
    expect(claimsOf('```\nnpm install\nnpm test\n```\n[1][2]')).toEqual([{ text: 'npm install\nnpm test', marks: [1, 2], isCode: true }]);
  });
});
