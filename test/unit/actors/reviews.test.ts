import { describe, expect, it } from 'vitest';
import { accepts, heldByAll, objectionsOf, type Merge, type Review } from '../../../src/actors/supervisor/reviews.ts';

const review = (reviewer: string, verdict: Review['verdict'], ...reasons: string[]): Review => ({ reviewer, verdict, reasons });
const said = (...verdicts: Review['verdict'][]): Review[] => verdicts.map((verdict, index) => review(`r${index}`, verdict));

describe('the merged verdict of several reviewers', () => {
  it.each<[Merge, Review['verdict'][], boolean]>([
    ['all', ['accept', 'accept'], true],
    ['all', ['accept', 'revise'], false],
    ['all', ['accept', 'none'], false],
    ['majority', ['accept', 'accept', 'reject'], true],
    ['majority', ['accept', 'reject'], false],
    ['majority', ['accept', 'none', 'revise'], false],
    ['any', ['reject', 'accept'], true],
    ['any', ['reject', 'none'], false],
  ])('%s of %j: %s', (merge, verdicts, accepted) => {
    expect(accepts(merge, said(...verdicts))).toBe(accepted);
  });

  it('keeps the reasons of those who did not accept, each under its reviewer where there are several', () => {
    expect(objectionsOf([review('technical', 'accept', 'nice'), review('security', 'revise', 'hash it', 'salt it'), review('legal', 'reject')])).toEqual([
      'security: hash it',
      'security: salt it',
      'legal: the review says "reject"',
    ]);
    expect(objectionsOf([review('only', 'revise', 'cite it')])).toEqual(['cite it']);
  });

  it('holds no source that one of them found not to hold, and keeps where another found it to stand', () => {
    const at = (line: number) => ({ file: 'a.md', line, quote: 'so' });
    const looked = (held: Review['held']): Review => ({ ...review('r', 'accept'), held });
    expect(heldByAll([looked([at(1), null]), looked([at(5), at(2)])])).toEqual([at(5), null]);
    expect(heldByAll([looked(undefined), looked([at(1)])])).toEqual([at(1)]);
    expect(heldByAll(said('accept'))).toBeUndefined();
  });
});
