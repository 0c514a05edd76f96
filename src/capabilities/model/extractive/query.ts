/** A question as this model understands it: its terms with weights, the pairs that stand together, and what kind of thing would answer it. */
import { contentTerms, isStopWord, termsOf } from '../../tool/words.ts';
import { alikeTerms, isGeneric } from './lexicon.ts';
import type { Brief } from './sections.ts';

export type QuestionKind = 'when' | 'who' | 'where' | 'why' | 'how' | 'amount' | 'duration' | 'frequency' | 'definition' | 'list' | 'yes-no' | 'open';

export type QueryTerm = {
  readonly term: string;
  readonly weight: number;
  readonly alike: readonly string[];
  /** A name or an identifier: nothing else can stand for it. */ readonly isName: boolean;
};

export type Query = {
  readonly text: string;
  readonly kind: QuestionKind;
  readonly terms: readonly QueryTerm[];
  /** Neighbouring content terms. */
  readonly pairs: readonly (readonly [string, string])[];
};

const KINDS: readonly (readonly [QuestionKind, RegExp])[] = [
  ['duration', /\bhow (?:long|soon|quickly|old)\b/i],
  ['frequency', /\bhow (?:often|frequently|regularly)\b/i],
  [
    'amount',
    /\bhow (?:many|much|far|large|big|high|fast|tall|deep|heavy)\b|\bwhat (?:is|are|was) the (?:\w+ )?(?:price|cost|fee|number|limit|amount|size|maximum|minimum|rate|timeout|deadline)\b/i,
  ],
  ['when', /\bwhen\b|\bwhat (?:time|date|day|year)\b|\b(?:which|what|until|by) (?:day|date|year|month)\b/i],
  ['who', /\bwho(?:m|se)?\b/i],
  ['where', /\bwhere\b/i],
  ['why', /\bwhy\b|\bfor what reason\b/i],
  ['list', /^(?:which|list|name)\b|\bwhat (?:are|kinds?|types?|sorts?)\b|\bwhich (?:\w+ )?(?:are|were|\w+s)\b/i],
  ['how', /\bhow\b/i],
  ['definition', /^what(?:'s| is| are| does)\b/i],
  ['yes-no', /^(?:is|are|was|were|do|does|did|can|could|may|must|should|will|has|have)\b/i],
];

export const kindOf = (question: string): QuestionKind => KINDS.find(([, pattern]) => pattern.test(question.trim()))?.[0] ?? 'open';

const ACTION_WEIGHT = 1.3;
/** Of a question that has more, the ones that weigh most count; of a text with more questions, the last is all the rest. */
const TERMS_MAX = 64;
const QUESTIONS_MAX = 6;
/** The parts of `maxTokens` or `two-factor` help to find it and do not count as much again. */
const PART_WEIGHT = 0.3;
/** From this weight on a term belongs to what is asked; below it is background. */
const SUBJECT_WEIGHT = 0.5;

export const isSubject = ({ weight }: QueryTerm): boolean => weight >= SUBJECT_WEIGHT;

export const queryOf = (text: string, context: readonly { readonly text: string; readonly weight: number }[] = []): Query => {
  const weights = new Map<string, number>();
  const subject = contentTerms(text).filter((term) => !isGeneric(term));
  for (const term of subject.length > 0 ? subject : contentTerms(text)) weights.set(term, 1);
  for (const part of compoundParts(text)) if (weights.has(part)) weights.set(part, PART_WEIGHT);
  // How to do something: what is to be done counts most.
  if (subject.length > 1 && /\bhow (?:do|can|to|should|does|is|are)\b/i.test(text)) weights.set(subject[0]!, ACTION_WEIGHT);
  // A name of several words is one thing.
  for (const [name] of text.matchAll(/(?<=\S )\p{Lu}[\p{L}\p{N}]*(?: \p{Lu}[\p{L}\p{N}]*)+/gu)) {
    const parts = contentTerms(name).filter((term) => weights.has(term));
    for (const part of parts) weights.set(part, Math.max(SUBJECT_WEIGHT, 1 / parts.length));
  }
  for (const extra of context) for (const term of contentTerms(extra.text)) if (!isGeneric(term) && !weights.has(term)) weights.set(term, extra.weight);
  const names = namesIn([text, ...context.map((extra) => extra.text)].join(' '));
  const kept = new Map(heaviest(weights));
  const terms = [...kept].map(([term, weight]): QueryTerm => ({ term, weight, alike: alikeTerms(term), isName: names.has(term) }));
  const sequence = termsOf(text).filter((term) => kept.has(term));
  const pairs = sequence
    .slice(1)
    .map((term, index) => [sequence[index]!, term] as const)
    .filter(([a, b]) => a !== b);
  return { text, kind: kindOf(text), terms, pairs };
};

/** In their order. Of terms that weigh the same the first ones. */
const heaviest = (weights: ReadonlyMap<string, number>): [string, number][] => {
  const all = [...weights];
  if (all.length <= TERMS_MAX) return all;
  const chosen = new Set(all.toSorted(([, a], [, b]) => b - a).slice(0, TERMS_MAX));
  return all.filter((one) => chosen.has(one));
};

/** Terms that stand in a text only as parts of compounds. */
const compoundParts = (text: string): string[] => {
  const words = text.split(/\s+/).map((word) => contentTerms(word));
  const alone = new Set(words.map(([first]) => first));
  return words.flatMap(([, ...parts]) => parts.filter((part) => !alone.has(part)));
};

/** Terms of words that are written like names: a capital inside a sentence, digits, code. No word is looked at from its middle. */
const namesIn = (text: string): Set<string> =>
  new Set(
    [
      ...text.matchAll(
        /`([^`]+)`|(?<=[\p{L}\d,;:)] )(\p{Lu}[\p{L}\p{N}.-]+)|((?<![\p{L}\p{N}])[\p{L}\p{N}]*\d[\p{L}\p{N}.]*|(?<!\p{Ll})\p{Ll}+\p{Lu}\p{L}*|(?<![\p{L}\p{N}])[\p{L}\p{N}]+(?:[._-][\p{L}\p{N}]+)+)/gu,
      ),
    ].flatMap((match) => contentTerms(match[1] ?? match[2] ?? match[3] ?? '').filter((term) => !isGeneric(term))),
  );

const ASKS = 'what|who|whom|whose|when|where|why|how|which|is|are|was|were|does|do|did|can|could|may|must|should|will';
const JOINT = new RegExp(
  `(?:[,;]\\s*|\\s+)(?:and|or|as well as)\\s+(?:also\\s+)?(?=(?:(?:in|on|at|for|by|to|from|with|under|until|after) )?(?:${ASKS})\\b)|(?<=\\?)\\s+|;\\s+`,
  'i',
);

/** The questions in a question: `What is X and how is it changed?` holds two. */
export const subQuestions = (text: string): string[] => {
  const [, one, other] = /\bdifferences? between (.+?) and (.+?)[?.!]*$/i.exec(text) ?? [];
  if (one !== undefined && other !== undefined) return [`What is ${one}?`, `What is ${other}?`];
  const [, these, those] = /^compare (.+?) (?:and|with|to) (.+?)[?.!]*$/i.exec(text.trim()) ?? [];
  if (these !== undefined && those !== undefined) return [these, those];
  const parts = text
    .split(JOINT)
    .map((part) => part.trim())
    .filter((part) => contentTerms(part).length > 0);
  if (parts.length > QUESTIONS_MAX) return [...parts.slice(0, QUESTIONS_MAX - 1), parts.slice(QUESTIONS_MAX - 1).join(' ')];
  return parts.length > 0 ? parts : [text.trim()];
};

const POINTS_BACK = /\b(?:it|its|they|them|their|this|that|these|those|one|ones|he|she|there)\b/i;

/** Each question of a text, with what the ones before it say where it points back to them. */
export const queriesIn = (text: string, context: readonly { readonly text: string; readonly weight: number }[] = []): Query[] => {
  const parts = subQuestions(text);
  return parts.map((part, index) => {
    const leansBack = index > 0 && (POINTS_BACK.test(part) || contentTerms(part).filter((term) => !isGeneric(term)).length < 2);
    return queryOf(part, [...(leansBack ? [{ text: parts.slice(0, index).join(' '), weight: 0.8 }] : []), ...context]);
  });
};

/**
 * What is really asked: a task that names a subject of its own is the question, and the run's question is its background; a
 * task that only says what to do with the question (`find the facts and cite them`) adds nothing to it.
 */
export const focusOf = ({ question, task }: Pick<Brief, 'question' | 'task'>): Query[] => {
  const wanted = contentTerms(question).filter((term) => !isGeneric(term));
  const own = contentTerms(task).filter((term) => !isGeneric(term));
  const shared = own.filter((term) => wanted.includes(term)).length;
  if (question === '' || (own.length > 0 && shared * 2 >= own.length)) return queriesIn(task === '' ? question : task, [{ text: question, weight: 0.15 }]);
  return queriesIn(question, [{ text: task, weight: 0.15 }]);
};

/** The words of a text that carry its subject, as they are written. */
export const keywords = (text: string): string[] => [
  ...new Set(
    [...text.matchAll(/[\p{L}\p{N}]+(?:[._'’-][\p{L}\p{N}]+)*/gu)]
      .map(([word]) => word)
      .filter((word) => !isStopWord(word) && contentTerms(word).some((term) => !isGeneric(term))),
  ),
];
