/**
 * Which statements answer a question: how much of it they cover, how close its words stand together, and whether they hold the
 * kind of thing that was asked for. A term counts less when a heading or a neighbour says it and the statement does not.
 */
import { isProse } from '../../tool/blocks.ts';
import { stem } from '../../tool/stem.ts';
import { termsOf } from '../../tool/words.ts';
import { isSubject, type Query, type QueryTerm, type QuestionKind } from './query.ts';
import type { Unit } from './units.ts';

export type Ranked = {
  readonly unit: Unit;
  readonly score: number;
  /** The share of the question that the statement covers, 0 to 1, headings and neighbours counted in part. */
  readonly coverage: number;
  /** How well each term is covered, in the order of the query's terms. */
  readonly credits: readonly number[];
};

const CREDIT = { own: 1, alike: 0.7, title: 0.85, heading: 0.65, headingAlike: 0.45, near: 0.4, path: 0.4 } as const;
const TITLE_TERMS_MAX = 3;
/** Asked for by their names, given as numbers. */
const MEASURES = new Set(
  ['size', 'length', 'duration', 'number', 'amount', 'cost', 'price', 'date', 'weight', 'height', 'age', 'count', 'distance', 'speed'].map(stem),
);
const RELATIVE_CHARS_MIN = 5;
const IDF_MIN = 1;
const IDF_MAX = 2;
/** How far a section reaches around a statement, in lines. */
const SECTION_LINES = 20;

export const rank = (query: Query, units: readonly Unit[]): Ranked[] => {
  const rarity = rarities(query, units);
  const total = sum(query.terms.map(({ weight }, index) => weight * rarity[index]!));
  if (total === 0) return [];
  const { contexts, longTerms } = readingOf(units);
  const kin = query.terms.map((term) => kinOf(term, longTerms));
  return units
    .map((unit, index): Ranked => {
      const context = contexts[index]!;
      const credits = query.terms.map(({ term }, at) => credit(term, kin[at]!, unit, context));
      const coverage = sum(query.terms.map(({ weight }, term) => weight * rarity[term]! * credits[term]!)) / total;
      return { unit, coverage, credits, score: coverage * form(unit) + 0.15 * closeness(query, unit) + (coverage > 0.2 ? hint(query, unit) : 0) };
    })
    .map((one, index, all) => ({ ...one, score: one.score + 0.3 * sectionCoverage(index, all, query, rarity, total) }))
    .filter(({ coverage }) => coverage > 0)
    .sort((a, b) => b.score - a.score || a.unit.line - b.unit.line);
};

/** How much of the question the statement's surroundings cover, the statement included. */
const sectionCoverage = (at: number, all: readonly Ranked[], { terms }: Query, rarity: readonly number[], total: number): number => {
  const { unit } = all[at]!;
  const best = terms.map(() => 0);
  const visit = (index: number): boolean => {
    const other = all[index];
    if (!other || other.unit.file !== unit.file || Math.abs(other.unit.line - unit.line) > SECTION_LINES || other.unit.headings.at(-1) !== unit.headings.at(-1))
      return false;
    other.credits.forEach((credit, term) => (best[term] = Math.max(best[term]!, credit)));
    return true;
  };
  for (let index = at; visit(index); index--);
  for (let index = at; visit(index); index++);
  return sum(terms.map(({ weight }, term) => weight * rarity[term]! * best[term]!)) / total;
};

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);

/** How much each term says. One that nobody uses says as much as a rare one. */
const rarities = (query: Query, units: readonly Unit[]): number[] =>
  query.terms.map(({ term, alike }) => {
    const used = units.filter(({ terms }) => terms.has(term) || alike.some((other) => terms.has(other))).length;
    return Math.min(IDF_MAX, Math.max(IDF_MIN, Math.log(1 + (units.length - used + 0.5) / (used + 0.5))));
  });

type Context = {
  readonly heading: ReadonlySet<string>;
  /** Of the heading right above. */
  readonly title: readonly string[];
  readonly path: string;
  /** The neighbours that belong to the statement. */
  readonly near: readonly Unit[];
};

/** What is the same for every question that is put to the same statements: what stands around each, and the terms that can have relatives. */
type Reading = { readonly contexts: readonly Context[]; readonly longTerms: readonly string[] };

const readings = new WeakMap<readonly Unit[], Reading>();

const readingOf = (units: readonly Unit[]): Reading => {
  const known = readings.get(units);
  if (known) return known;
  const contexts = units.map((unit, index): Context => ({
    heading: new Set(unit.headings.flatMap((heading) => headingTerms(heading))),
    title: headingTerms(unit.headings.at(-1) ?? ''),
    path: unit.file.toLowerCase(),
    near: [units[index - 1], units[index + 1]].filter((other): other is Unit => other !== undefined && isNear(unit, other)),
  }));
  const terms = new Set(units.flatMap((unit, index) => [...unit.terms, ...contexts[index]!.heading]));
  const reading = { contexts, longTerms: [...terms].filter((term) => term.length >= RELATIVE_CHARS_MIN) };
  readings.set(units, reading);
  return reading;
};

const headingCache = new Map<string, readonly string[]>();
const headingTerms = (heading: string): readonly string[] => {
  const known = headingCache.get(heading);
  if (known) return known;
  if (headingCache.size > 5_000) headingCache.clear();
  const terms = termsOf(heading);
  headingCache.set(heading, terms);
  return terms;
};

const isNear = (unit: Unit, other: Unit): boolean =>
  other.file === unit.file && (other.block === unit.block || Math.abs(other.line - unit.line) <= 3) && other.headings.join() === unit.headings.join();

/** `kin`: what may stand for the term. */
const credit = (term: string, kin: readonly string[], unit: Unit, { heading, title, path, near }: Context): number => {
  if (unit.terms.has(term)) return CREDIT.own;
  if (kin.some((other) => unit.terms.has(other))) return CREDIT.alike;
  if (title.length <= TITLE_TERMS_MAX && title.includes(term)) return CREDIT.title;
  if (MEASURES.has(term) && /\d/.test(unit.text)) return CREDIT.alike;
  if (heading.has(term)) return CREDIT.heading;
  if (kin.some((other) => heading.has(other))) return CREDIT.headingAlike;
  if (near.some(({ terms }) => terms.has(term))) return CREDIT.near;
  return term.length > 2 && path.includes(term) ? CREDIT.path : 0;
};

/** What may stand for a term: terms that mean nearly the same, and its relatives among the terms at hand. */
const kinOf = ({ term, alike }: QueryTerm, longTerms: readonly string[]): string[] => [
  ...alike,
  ...(term.length < RELATIVE_CHARS_MIN ? [] : longTerms.filter((other) => areRelatives(term, other))),
];

/** `timeout` and `timeouts`, `config` and `configur`: one begins with the other, and enough of it. */
const areRelatives = (term: string, other: string): boolean => other !== term && (other.startsWith(term) || term.startsWith(other));

const closeness = ({ pairs }: Query, { sequence }: Unit): number => {
  if (pairs.length === 0) return 0;
  const close = pairs.filter(([a, b]) => sequence.some((term, at) => term === a && sequence.slice(Math.max(0, at - 3), at + 4).includes(b)));
  return close.length / pairs.length;
};

/** Fragments and questions answer little; so does what is very long. */
const form = (unit: Unit): number => shape(unit) * (ASIDE.test(unit.file) ? 0.8 : 1);

/** What tests and histories say is true of them first. */
const ASIDE = /(?:^|[/._-])(?:changelog|changes|history|tests?|specs?|__tests__|fixtures?|bench(?:marks?)?)(?=[/._-])/i;
const POINTS_ELSEWHERE = /^(?:examples?(?: files?)?:|see\b|more (?:in|about|on)\b|refer\b|source:|read more)/i;

const shape = ({ kind, text, sequence, file }: Unit): number => {
  if (kind === 'code') return isProse(file) ? 0.85 : 0.6;
  if (!isProse(file)) return 0.9;
  if (/\?["')*_]*$/.test(text) || POINTS_ELSEWHERE.test(text)) return 0.6;
  if (sequence.length < 4 && !GIVES_DEFAULT.test(text)) return 0.8;
  return sequence.length > 60 ? 0.85 : 1;
};

const DATE =
  /\b(?:1[5-9]|20)\d\d\b|\b\d{1,2}[:.]\d\d\b|\b(?:January|February|March|April|May|June|July|August|September|October|November|December|Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)s?\b|\bnoon\b|\bmidnight\b|o'clock|\b(?:before|after|until|once|whenever|every|from the|as soon as|daily|weekly)\b/;
const NUMBER =
  /\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|hundred|thousand|million|once|twice|half|no limit|unlimited|never|always)\b/i;
const DURATION =
  /(?:\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|thirty|forty|fifty|sixty|ninety|a|an|hundred)\b)[\s-]*(?:ms|s|h|milliseconds?|seconds?|minutes?|min|hours?|days?|weeks?|months?|quarters?|years?|decades?)\b|\b(?:until|for ever|forever|indefinitely|immediately|at once)\b/i;
const FREQUENCY =
  /\b(?:every|each|once|twice|times|daily|hourly|nightly|weekly|monthly|quarterly|yearly|annually|regularly|per (?:second|minute|hour|day|week|month|year)|interval)\b/i;
const DOES = /\b(?:use|run|call|set|pass|add|create|install|import|configure|by \w+ing|you can|to \w+,)\b|`/i;

const HOLDS: Readonly<Record<QuestionKind, RegExp | undefined>> = {
  when: DATE,
  who: /\b\p{Lu}[\p{L}.'-]+ (?:\p{Lu}\.? )?\p{Lu}[\p{L}'-]+|\bby \p{Lu}|\b(?:maintainer|author|team|manager|owner|director|officer|chair|secretary|department|committee|council)s?\b/u,
  where: /\b(?:in|at|on|under|behind|beside|near|inside|below|above|next to)\b|\/\w/i,
  why: /\b(?:because|since|so that|due to|therefore|reason|avoid|prevent|otherwise|in order to|as a result|why)\b/i,
  how: DOES,
  amount: NUMBER,
  duration: DURATION,
  frequency: FREQUENCY,
  definition: /\b(?:is|are|means|refers to|describes|provides|allows|lets)\b|:/i,
  list: /,|:/,
  'yes-no': /\b(?:can|cannot|not|must|only|support|supports|supported|allowed|required|never|always|is|are|may|no|yes)\b/i,
  open: undefined,
};

/** Kinds of which a text says clearly whether it holds one. */
export const SPECIFIC: ReadonlySet<QuestionKind> = new Set<QuestionKind>(['when', 'amount', 'duration', 'frequency']);

const DEFAULT = stem('default');
const GIVES_DEFAULT = /\bdefaults?(?: value)?`?\s*(?:\([^)]*\)\s*)?[:=]|\bdefaults? (?:to|is|are|value is)\b|\(default\b|\bby default,? (?:it is|is|to)\b/i;

/** Whether a statement holds the kind of thing that was asked for; where that cannot be told, it does. */
export const holdsKind = (kind: QuestionKind, { text }: Unit): boolean => HOLDS[kind]?.test(text) ?? true;

const hint = ({ kind, terms }: Query, unit: Unit): number => {
  if (terms.some((asked) => asked.term === DEFAULT && isSubject(asked)) && GIVES_DEFAULT.test(unit.text)) return 0.6;
  const pattern = HOLDS[kind];
  if (!pattern) return 0;
  const holds = pattern.test(unit.text) || (kind === 'how' && unit.kind === 'code');
  if (kind === 'definition' && holds) return definesOne(terms, unit) ? 0.3 : 0.03;
  if (SPECIFIC.has(kind)) return holds ? 0.15 : -0.12;
  return holds ? 0.08 : 0;
};

/** The statement begins with what the question is about. */
const definesOne = (terms: readonly QueryTerm[], { sequence }: Unit): boolean =>
  sequence.slice(0, 4).some((term) => terms.some((asked) => isSubject(asked) && asked.term === term));
