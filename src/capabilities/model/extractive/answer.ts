/**
 * An answer made of statements that stand in the documents: chosen, put in order, each behind the places that carry it. What
 * the documents do not hold is said plainly.
 */
import type { Citation, Report } from '../../../protocols/formats.ts';
import { isProse } from '../../tool/blocks.ts';
import { isLeftOutLine } from '../../tool/left-out.ts';
import { contentTerms } from '../../tool/words.ts';
import { isSubject, type Query, type QuestionKind } from './query.ts';
import { holdsKind, rank, SPECIFIC, type Ranked } from './ranking.ts';
import { withoutMarkup, type Unit } from './units.ts';

/** Something said, and where it stands. */
export type Statement = { readonly text: string; readonly sources: readonly Citation[]; readonly isCode: boolean };

export type Answer = {
  readonly statements: readonly Statement[];
  readonly missing: readonly string[];
  /** 0 to 1: how much of the questions the best statements cover. */ readonly coverage: number;
};

const STATEMENTS_MAX = 4;
const LISTED_MAX = 7;
const COVERAGE_MIN = 0.55;
/** For statements that hold no date where one was asked for, and so on. */
const COVERAGE_STRICT = 0.75;
/** What a statement may leave uncovered because it holds the kind of thing that was asked for. */
const KIND_BONUS = 0.1;
const HOLDS_A_THING: ReadonlySet<QuestionKind> = new Set<QuestionKind>(['who', ...SPECIFIC]);
const CODE_MAX = 2;
const FOLLOWERS_MAX = 6;

/** The best statements for each question, the most to the point first, and the questions that nothing answers. */
export const answer = (queries: readonly Query[], units: readonly Unit[], objections: readonly string[] = []): Answer => {
  const allowed = objections.length === 0 ? units : units.filter((unit) => !isObjectedTo(unit, objections));
  const parts = queries.map((query) => ({ query, chosen: choose(query, allowed) }));
  const chosen = [...new Set(parts.flatMap((part) => part.chosen.units))];
  return {
    statements: chosen.slice(0, LISTED_MAX * queries.length + FOLLOWERS_MAX).map((unit, index, all) => statementOf(unit, queries, all[index - 1])),
    missing: parts.flatMap(({ query, chosen: choice }) => (choice.units.length === 0 ? [query.text] : unknownNames(query, allowed))),
    coverage: parts.reduce((total, part) => total + part.chosen.coverage, 0) / Math.max(1, parts.length),
  };
};

/** Names in a question that no document mentions: what was found may not be about them. */
const unknownNames = ({ terms, text }: Query, units: readonly Unit[]): string[] => {
  const unknown = terms
    .filter((asked) => asked.isName && isSubject(asked) && !units.some((unit) => unit.terms.has(asked.term) || unit.file.toLowerCase().includes(asked.term)))
    .map(({ term }) => term);
  const words = [...text.matchAll(/[\p{L}\p{N}][\p{L}\p{N}._-]*/gu)]
    .map(([word]) => word)
    .filter((word) => contentTerms(word).some((term) => unknown.includes(term)));
  return words.length > 0 ? [`anything about ${words.join(' ')}`] : [];
};

const isObjectedTo = (unit: Unit, objections: readonly string[]): boolean =>
  objections.some((reason) => [...reason.matchAll(/"([^"]{12,})"/g)].some(([, claim]) => overlap(contentTerms(claim!), unit.terms) > 0.85));

/** The share of `terms` that `among` holds. */
export const overlap = (terms: readonly string[], among: ReadonlySet<string>): number =>
  terms.length === 0 ? 0 : terms.filter((term) => among.has(term)).length / terms.length;

type Choice = { readonly units: readonly Unit[]; readonly coverage: number };

const choose = (query: Query, units: readonly Unit[]): Choice => {
  const ranked = rank(query, units);
  const best = ranked[0];
  if (!best || !isAnswered(query, ranked)) return { units: [], coverage: best?.coverage ?? 0 };
  const picked: Ranked[] = [];
  const covered = query.terms.map(() => 0);
  for (const candidate of ranked) {
    if (picked.length >= (query.kind === 'list' ? LISTED_MAX : STATEMENTS_MAX)) break;
    if (picked.some(({ unit }) => isSame(unit, candidate.unit))) continue;
    // Where a text explains, source code adds nothing that was asked for.
    if (picked[0] && isSourceCode(candidate.unit) && !isSourceCode(picked[0].unit)) continue;
    if (candidate.unit.kind === 'code' && picked.filter(({ unit }) => unit.kind === 'code').length >= CODE_MAX) continue;
    const adds = candidate.credits.some((credit, term) => credit >= covered[term]! + 0.3 && isSubject(query.terms[term]!));
    if (
      picked.length === 0 ||
      candidate.score >= (query.kind === 'list' ? 0.8 : 0.85) * best.score ||
      (adds && candidate.score >= 0.7 * best.score && candidate.coverage >= 0.7 * best.coverage)
    ) {
      picked.push(candidate);
      candidate.credits.forEach((credit, term) => (covered[term] = Math.max(covered[term]!, credit)));
    }
  }
  const [first] = picked;
  // A list is given in the order of its file.
  if (query.kind === 'list' && picked.every(({ unit }) => unit.file === first?.unit.file)) picked.sort((a, b) => a.unit.line - b.unit.line);
  return {
    units: dedupe(picked.flatMap(({ unit }, index) => [...before(unit, units), unit, ...(index < 2 ? after(unit, units, query) : [])])),
    coverage: best.coverage,
  };
};

/** Whether the best statements are about the question at all, or only share words with it. */
const isAnswered = (query: Query, ranked: readonly Ranked[]): boolean =>
  ranked.slice(0, 5).some(({ unit, coverage, credits }) => {
    if (!credits.some((credit) => credit >= 0.7)) return false;
    const holds = holdsKind(query.kind, unit);
    if (HOLDS_A_THING.has(query.kind)) return coverage >= (holds ? COVERAGE_MIN - KIND_BONUS : COVERAGE_STRICT);
    return coverage >= COVERAGE_MIN - (query.kind === 'yes-no' && holds ? KIND_BONUS : 0);
  });

const isSourceCode = ({ kind, file }: Unit): boolean => kind === 'code' && !isProse(file);

const isSame = (a: Unit, b: Unit): boolean => a === b || (overlap([...a.terms], b.terms) > 0.8 && overlap([...b.terms], a.terms) > 0.6);

const dedupe = (units: readonly Unit[]): Unit[] => units.filter((unit, index) => !units.slice(0, index).some((earlier) => isSame(earlier, unit)));

/** A sentence that begins with a pronoun needs the one before it, and code the sentence that introduces it. */
const before = (unit: Unit, units: readonly Unit[]): Unit[] => {
  const previous = units[units.indexOf(unit) - 1];
  if (!previous || previous.file !== unit.file) return [];
  const introduces =
    unit.kind === 'code' && previous.kind !== 'code' && unit.line - lastLine(previous) <= 3 && previous.headings.at(-1) === unit.headings.at(-1);
  if (introduces) return [previous];
  return previous.block === unit.block &&
    unit.kind === 'paragraph' &&
    /^(?=.{0,90}$).*\b(?:them|they)\b|^(?:it|its|they|their|this|these|those|that|such|he|she|however|instead|otherwise|also|but)\b/i.test(unit.text)
    ? [previous]
    : [];
};

/** What a sentence that ends in a colon introduces; for a question how to do something, the example below. */
const after = (unit: Unit, units: readonly Unit[], { kind }: Query): Unit[] => {
  const next = units.slice(units.indexOf(unit) + 1).filter((other) => other.file === unit.file);
  const isLead = unit.text.endsWith(':');
  const followers: Unit[] = [];
  let line = lastLine(unit);
  for (const other of next) {
    const follows = other.line - line <= (other.kind === 'row' ? 4 : 3) && other.headings[unit.headings.length - 1] === unit.headings.at(-1);
    if (!follows || followers.length >= FOLLOWERS_MAX) break;
    if (isLead ? other.kind === 'paragraph' : !(kind === 'how' && other.kind === 'code' && followers.length === 0 && unit.kind !== 'code')) break;
    followers.push(other);
    line = lastLine(other);
    if (other.kind === 'code' && !isLead) break;
  }
  return followers;
};

const lastLine = (unit: Unit): number => unit.sources.at(-1)!.line;

/** A statement under a heading that says what it is about is given with it. */
const statementOf = (unit: Unit, queries: readonly Query[], previous: Unit | undefined): Statement => {
  const asked = new Set(queries.flatMap(({ terms }) => terms.filter(isSubject).map(({ term }) => term)));
  const heading = unit.heading;
  const explains =
    heading !== undefined &&
    heading !== previous?.heading &&
    unit.kind !== 'code' &&
    contentTerms(heading.quote).some((term) => asked.has(term) && !unit.terms.has(term));
  const text = unit.kind === 'code' ? unit.text : withoutMarks(unit.text);
  if (!explains) return { text, sources: unit.sources, isCode: unit.kind === 'code' };
  return { text: `${withoutMarks(withoutMarkup(heading.quote))}: ${text}`, sources: [...unit.sources, heading], isCode: false };
};

/** A number in brackets would pass for a mark of ours. */
const withoutMarks = (text: string): string => text.replace(/\[(\d{1,3})\]/g, '($1)');

export const NOT_FOUND = 'Not found in the documents:';

/** Says nothing of the matter: what was not found, what was not read. */
export const isNote = (line: string): boolean => line.startsWith(NOT_FOUND) || isLeftOutLine(line);

/** `unread`: what was not read and might have held what is missing, a line each. */
type Reported = Pick<Answer, 'statements' | 'missing'> & { readonly unread?: readonly string[] };

const MISSING_CHARS_MAX = 600;
const shortened = (question: string): string =>
  question.length <= MISSING_CHARS_MAX ? question : `${question.slice(0, MISSING_CHARS_MAX).replace(/\s+\S*$/, '')} …`;

/** Statements with numbered sources, then what is missing. The first `size` statements only. */
export const reportOf = ({ statements, missing, unread = [] }: Reported, size = statements.length): Report => {
  const citations: Citation[] = [];
  const numberOf = (source: Citation): number => {
    const at = citations.findIndex(({ file, line, quote }) => file === source.file && line === source.line && quote === source.quote);
    return at >= 0 ? at + 1 : citations.push(source);
  };
  const shown = statements.slice(0, Math.max(size, 0));
  const said = shown.map(({ text, sources, isCode }) => {
    const marks = sources.map((source) => `[${numberOf(source)}]`).join('');
    if (isCode) return text.includes('\n') ? `\`\`\`\n${text}\n\`\`\`\n${marks}` : `\`${text.trim()}\` ${marks}`;
    return `${shown.length > 1 ? '- ' : ''}${text} ${marks}`;
  });
  const absent = missing.map((question) => `${NOT_FOUND} ${shortened(question)}`);
  return { text: [...said, ...absent, ...(missing.length > 0 ? unread : [])].join('\n') || `${NOT_FOUND} nothing was asked`, citations };
};

/** The same for people: the places in brackets behind each statement. */
export const proseOf = (given: Reported, size = given.statements.length): string => {
  const { text, citations } = reportOf(given, size);
  return text.replace(
    /(?:\[\d+\])+/g,
    (marks) =>
      `(${[...marks.matchAll(/\d+/g)]
        .map(([digits]) => citations[Number(digits) - 1]!)
        .map(({ file, line }) => `${file}:${line}`)
        .join(', ')})`,
  );
};
