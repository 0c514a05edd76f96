/** Judging a report: is every quote where it is said to be, and does every statement say no more than its quotes do? */
import type { Verdict } from '../../../protocols/formats.ts';
import { contentTerms } from '../../tool/words.ts';
import { isNote, NOT_FOUND, overlap } from './answer.ts';
import type { Brief } from './sections.ts';
import { claimsOf, sourcesOf, type Claim } from './synthesis.ts';

const COVERED = 0.6;
const SHOWN_CHARS = 160;
const NEGATION = /\b(?:not|no|never|none|neither|nor|cannot|without|n't)\b|n't\b/i;

type Checked = ReadonlyMap<number, { readonly result: string; readonly line: string }>;

export const verdictOn = ({ question, task, report, evidence }: Brief): Verdict => {
  const { text, citations } = report!;
  const claims = claimsOf(text).filter((claim) => !isNote(claim.text) && isClaim(claim));
  if (claims.length === 0) return saysNothing(text);
  const checked = checkedIn(evidence ?? '');
  const reasons: string[] = [];
  for (const [number, { result, line }] of checked) if (result !== 'ok') reasons.push(`Source [${number}] is not right: ${line}`);
  let covered = 0;
  for (const claim of claims) {
    const sources = sourcesOf(claim, citations);
    const quotes = sources.map(({ quote, file }) => `${quote} ${file}`).join(' ');
    const share = overlap(contentTerms(claim.text), new Set(contentTerms(quotes)));
    covered += share;
    const shown = JSON.stringify(claim.text.slice(0, SHOWN_CHARS));
    if (sources.length === 0) reasons.push(`${shown} cites nothing: name the place, or leave it out`);
    else if (share < COVERED)
      reasons.push(
        `${shown} says more than its sources: ${contentTerms(claim.text)
          .filter((term) => !contentTerms(quotes).includes(term))
          .slice(0, 6)
          .join(', ')} does not stand there`,
      );
    else if (numbersIn(claim.text).some((number) => !numbersIn(quotes).includes(number))) reasons.push(`${shown} holds a number that its sources do not`);
    else if (!claim.isCode && NEGATION.test(claim.text) !== NEGATION.test(quotes) && share < 0.95) reasons.push(`${shown} and its sources differ in a "not"`);
  }
  const share = covered / claims.length;
  if (reasons.length > 0) return { verdict: 'revise', reasons: reasons.slice(0, 12), confidence: 0.9 };
  if (isElsewhere(`${question} ${task}`, `${text} ${citations.map(({ file, quote }) => `${file} ${quote}`).join(' ')}`)) {
    return { verdict: 'reject', reasons: ['The report speaks of something else: no word of the question stands in it.'], confidence: 0.7 };
  }
  // Without a mechanical check the quotes themselves are taken on trust.
  const trust = citations.every((_, index) => checked.has(index + 1)) ? 1 : 0.7;
  return { verdict: 'accept', reasons: [], confidence: round((0.5 + 0.48 * share) * trust) };
};

const round = (value: number): number => Math.round(value * 100) / 100;

/** A report that found nothing is right to say so; nothing here shows that there was something. */
const saysNothing = (text: string): Verdict =>
  text.includes(NOT_FOUND) || /\bnot? (?:found|mentioned|stated|answer)/i.test(text)
    ? { verdict: 'accept', reasons: [], confidence: 0.75 }
    : { verdict: 'revise', reasons: ['The report makes no statement: answer the question, or say what was not found.'], confidence: 0.9 };

/** Leads and remarks claim nothing. */
const isClaim = ({ text, isCode, marks }: Claim): boolean =>
  isCode || marks.length > 0 || (contentTerms(text).length >= 3 && !text.endsWith(':') && !text.startsWith('(') && !text.startsWith('#'));

const checkedIn = (evidence: string): Checked =>
  new Map(
    [...evidence.matchAll(/^\[(\d+)\] ((ok|moved|missing)\b.*)$/gm)].map(([, number, line, result]) => [Number(number), { result: result!, line: line! }]),
  );

const numbersIn = (text: string): string[] => [...text.matchAll(/\d+(?:[.,]\d+)*/g)].map(([number]) => number);

const isElsewhere = (asked: string, said: string): boolean => {
  const terms = contentTerms(asked);
  return terms.length >= 3 && overlap(terms, new Set(contentTerms(said))) === 0;
};
