/**
 * Text as terms that can be compared: lower case, without accents, English endings taken off, identifiers both whole and in
 * parts (`maxTokens` is also `max` and `token`), and pairs of characters for scripts that put no spaces between words.
 */
import { stem } from './stem.ts';

const WORD = /[\p{L}\p{N}]+(?:[._'’-][\p{L}\p{N}]+)*/gu;
const PART = /[\p{L}\p{N}]+/gu;
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]{2,}/u;

/** The terms of a text in its order. An identifier's parts follow it. */
export const termsOf = (text: string): string[] => {
  const terms: string[] = [];
  for (const [word] of text.normalize('NFKC').matchAll(WORD)) {
    const bare = word.replace(/['’]s?$|['’](?=\p{L})/gu, '');
    const parts = [...bare.matchAll(PART)].flatMap(([part]) => part.split(/(?<=[\p{Ll}\p{N}])(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll})/u));
    if (UNSPACED.test(bare)) for (const pair of pairs(bare)) terms.push(pair);
    else if (parts.length === 1) terms.push(termOf(bare));
    else terms.push(bare.toLowerCase(), ...parts.filter(isLong).map(termOf));
  }
  return terms;
};

/** A single letter says nothing; a single digit does. */
const isLong = (word: string): boolean => word.length > 1 || /\d/.test(word);

/** Texts repeat their words: most terms are already known. Bounded, and only a cache. */
const known = new Map<string, string>();
const KNOWN_MAX = 50_000;

const termOf = (word: string): string => {
  const before = known.get(word);
  if (before !== undefined) return before;
  const term = stem(word.toLowerCase().normalize('NFD').replace(/\p{M}/gu, ''));
  if (known.size >= KNOWN_MAX) known.clear();
  known.set(word, term);
  return term;
};

const pairs = (word: string): string[] => {
  const letters = Array.from(word);
  return letters.slice(1).map((letter, index) => letters[index]! + letter);
};

const STOP_WORDS = new Set(
  (
    'a about above after again all also am an and any are as at be because been before being below between both but by can could did do does doing ' +
    'down during each either else for from further get gets give given had has have having he her here hers him his how i if in into is it its itself ' +
    'just let like may me might more most must my no nor not of off on once only or other our out over own please said same say says shall she should ' +
    'so some such tell than that the their them then there these they this those through to too under until up upon us use used uses using very was we ' +
    'were what whatever when where whether which while who whom whose why will with within without would yes you your'
  ).split(' '),
);

export const isStopWord = (word: string): boolean => !isLong(word) || STOP_WORDS.has(word.toLowerCase());

const STOP_TERMS = new Set([...STOP_WORDS].map(stem));

/** Terms that say what a text is about, in its order and without repetition. */
export const contentTerms = (text: string): string[] => [...new Set(termsOf(text).filter((term) => isLong(term) && !STOP_TERMS.has(term)))];
