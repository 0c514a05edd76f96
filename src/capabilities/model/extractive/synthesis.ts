/** One answer from what a team found: its statements by what they do for the question, each once, with the sources they came with. */
import type { Citation } from '../../../protocols/formats.ts';
import { contentTerms, termsOf } from '../../tool/words.ts';
import { isNote, NOT_FOUND, overlap, type Answer, type Statement } from './answer.ts';
import { queriesIn } from './query.ts';
import { rank } from './ranking.ts';
import type { Brief, Told } from './sections.ts';
import { sentencesOf } from './sentences.ts';
import type { Unit } from './units.ts';

export type Claim = { readonly text: string; readonly marks: readonly number[]; readonly isCode: boolean };

const MARKS = /\s*(?:\[\d{1,3}\])+/g;
const STATEMENTS_MAX = 10;
/** What stands for the result of a step that has none: how it ended, why, and after it what was done all the same. */
const NO_RESULT = /^This step (failed|was skipped|was not done): ([^\n]*)(?:\nWhat was done: )?/;

/** The statements of a text with the numbers behind them. A fenced block is one statement. */
export const claimsOf = (text: string): Claim[] => {
  const claims: Claim[] = [];
  for (const [, code, marks, prose] of text.matchAll(/```[^\n]*\n([\s\S]*?)\n```[ \t]*\n?((?:\[\d{1,3}\])*)|([^\n]+)/g)) {
    if (code !== undefined) claims.push({ text: code, marks: marksIn(marks ?? ''), isCode: true });
    else claims.push(...lineClaims(prose!));
  }
  return claims;
};

/** Marks belong to the sentence before them, also behind its full stop. */
const lineClaims = (line: string): Claim[] => {
  const attached = line.replace(/([.!?])(\s*(?:\[\d{1,3}\])+)/g, '$2$1').trim();
  const parts = isNote(attached) ? [attached] : sentencesOf(attached);
  const claims = parts.map((part): Claim => {
    const bare = part
      .replace(MARKS, '')
      .replace(/^\s*(?:[-*+]|\d{1,3}[.)])\s+/, '')
      .trim();
    const code = /^`([^`]+)`$/.exec(bare)?.[1];
    return { text: code ?? bare, marks: marksIn(part), isCode: code !== undefined };
  });
  // One mark behind several sentences of a line stands for all of them.
  const last = claims.at(-1)?.marks ?? [];
  const isShared = claims.length > 1 && claims.slice(0, -1).every(({ marks }) => marks.length === 0);
  return claims.filter((claim) => /[\p{L}\p{N}]/u.test(claim.text)).map((claim) => (isShared ? { ...claim, marks: last } : claim));
};

const marksIn = (text: string): number[] => [...text.matchAll(/\[(\d{1,3})\]/g)].map(([, digits]) => Number(digits));

export const sourcesOf = ({ marks }: Claim, citations: readonly Citation[]): Citation[] => marks.flatMap((mark) => citations[mark - 1] ?? []);

export const synthesise = ({ question, findings }: Pick<Brief, 'question' | 'findings'>): Answer => {
  const found = dedupe(findings.flatMap((finding) => statementsOf(finding)));
  const ordered = byRelevance(question, found);
  const unanswered = findings.flatMap(({ text }) =>
    text
      .split('\n')
      .filter((line) => line.startsWith(NOT_FOUND))
      .map((line) => line.slice(NOT_FOUND.length).trim()),
  );
  // What was skipped was not wanted, or follows from a step that failed.
  const failed = findings.flatMap(({ step, text }) => {
    const [, how, why] = NO_RESULT.exec(text) ?? [];
    return how === undefined || how === 'was skipped' ? [] : [`${step} (${why})`];
  });
  const said = new Set(ordered.flatMap(({ text }) => termsOf(text)));
  const isOpen = (asked: string): boolean => ordered.length === 0 || overlap(contentTerms(asked), said) < 0.6;
  return {
    statements: ordered.slice(0, STATEMENTS_MAX),
    missing: [...new Set([...unanswered.filter(isOpen), ...failed, ...(ordered.length + unanswered.length + failed.length === 0 ? [question] : [])])],
    coverage: 1,
  };
};

const statementsOf = (told: Told): Statement[] => {
  const claims = claimsOf(told.text.replace(NO_RESULT, '')).filter(({ text }) => !isNote(text));
  const statements = claims.map((claim): Statement => ({ text: claim.text, sources: sourcesOf(claim, told.citations), isCode: claim.isCode }));
  // Where sources are given, what has none is left out, except remarks about the work.
  return told.citations.length > 0 ? statements.filter(({ text, sources }) => sources.length > 0 || text.startsWith('(')) : statements;
};

const dedupe = (statements: readonly Statement[]): Statement[] => {
  const kept: { statement: Statement; terms: readonly string[]; among: ReadonlySet<string> }[] = [];
  for (const statement of statements) {
    const terms = termsOf(statement.text);
    const among = new Set(terms);
    const isKnown = kept.some((other) => other.statement.text === statement.text || (overlap(terms, other.among) > 0.85 && overlap(other.terms, among) > 0.7));
    if (!isKnown) kept.push({ statement, terms, among });
  }
  return kept.map(({ statement }) => statement);
};

/** For each question in the question its best statements, the best first; what fits none keeps its order behind them. */
const byRelevance = (question: string, statements: readonly Statement[]): Statement[] => {
  const units = statements.map(unitFor);
  const best = new Map<Unit, number>();
  for (const query of queriesIn(question)) for (const { unit, score } of rank(query, units)) best.set(unit, Math.max(best.get(unit) ?? 0, score));
  return units
    .map((unit, index) => ({ statement: statements[index]!, score: best.get(unit) ?? 0, index }))
    .sort((a, b) => b.score - a.score || a.index - b.index)
    .map(({ statement }) => statement);
};

/** A statement of its own, without neighbours or headings. */
const unitFor = ({ text, sources, isCode }: Statement, index: number): Unit => {
  const sequence = termsOf(text);
  return { kind: isCode ? 'code' : 'item', text, sequence, terms: new Set(sequence), sources, headings: [], file: `${index}`, line: 1, block: index };
};
