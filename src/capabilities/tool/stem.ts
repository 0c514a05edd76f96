/**
 * English words without their endings, after Porter's rules, so that `installing`, `installs` and `installed` meet. What comes
 * out is a key to compare by, not a word. Words with digits, and very short or long ones, stay as they are.
 */
const VOWEL = /[aeiou]|(?<=[^aeiou])y/;

/** How many times a vowel is followed by a consonant: the length of a word as the rules see it. */
const measure = (stem: string): number =>
  Array.from(stem)
    .map((_, at) => (isVowel(stem, at) ? 'v' : 'c'))
    .join('')
    .match(/v+c+/g)?.length ?? 0;

const isVowel = (word: string, at: number): boolean => 'aeiou'.includes(word[at]!) || (word[at] === 'y' && at > 0 && !isVowel(word, at - 1));

type Rule = readonly [ending: string, instead: string];

const SUFFIXES: readonly Rule[] = [
  ['ational', 'ate'], ['ization', 'ize'], ['isation', 'ize'], ['fulness', 'ful'], ['ousness', 'ous'], ['iveness', 'ive'], ['tional', 'tion'],
  ['biliti', 'ble'], ['ation', 'ate'], ['alism', 'al'], ['aliti', 'al'], ['iviti', 'ive'], ['ousli', 'ous'], ['entli', 'ent'], ['enci', 'ence'],
  ['anci', 'ance'], ['abli', 'able'], ['alli', 'al'], ['ator', 'ate'], ['ise', 'ize'], ['izer', 'ize'], ['eli', 'e'],
]; // prettier-ignore
const ENDINGS: readonly Rule[] = [
  ['icate', 'ic'],
  ['ative', ''],
  ['alize', 'al'],
  ['iciti', 'ic'],
  ['ical', 'ic'],
  ['ful', ''],
  ['ness', ''],
];
const TAILS = ['ement', 'ance', 'ence', 'able', 'ible', 'ment', 'ant', 'ent', 'ism', 'ate', 'iti', 'ous', 'ive', 'ize', 'ion', 'al', 'er', 'ic'];

/** No English word is as long, and the rules go over a word again and again. */
const WORD_CHARS_MAX = 64;

export const stem = (word: string): string => {
  if (word.length < 4 || word.length > WORD_CHARS_MAX || !/^[a-z]+$/.test(word)) return word;
  return withoutE(withoutTail(replace(replace(yToI(withoutPast(withoutPlural(word))), SUFFIXES), ENDINGS)));
};

const withoutPlural = (word: string): string => {
  if (word.endsWith('sses') || word.endsWith('ies')) return word.slice(0, -2);
  return word.endsWith('s') && !/(?:ss|us|is)$/.test(word) ? word.slice(0, -1) : word;
};

const withoutPast = (word: string): string => {
  if (word.endsWith('eed')) return measure(word.slice(0, -3)) > 0 ? word.slice(0, -1) : word;
  const bare = /^(.*)(?:ed|ing)$/.exec(word)?.[1];
  if (bare === undefined || !VOWEL.test(bare)) return word;
  if (/(?:at|bl|iz)$/.test(bare)) return `${bare}e`;
  if (/([^aeiouylsz])\1$/.test(bare)) return bare.slice(0, -1);
  return measure(bare) === 1 && endsShort(bare) ? `${bare}e` : bare;
};

/** Consonant, vowel, consonant: `hop`, not `snow`. */
const endsShort = (word: string): boolean => {
  const last = word.length - 1;
  return last >= 2 && !isVowel(word, last) && isVowel(word, last - 1) && !isVowel(word, last - 2) && !'wxy'.includes(word[last]!);
};

const yToI = (word: string): string => (word.endsWith('y') && VOWEL.test(word.slice(0, -1)) ? `${word.slice(0, -1)}i` : word);

const replace = (word: string, rules: readonly Rule[]): string => {
  const rule = rules.find(([ending]) => word.endsWith(ending));
  if (!rule) return word;
  const bare = word.slice(0, -rule[0].length);
  return measure(bare) > 0 ? bare + rule[1] : word;
};

const withoutTail = (word: string): string => {
  const tail = TAILS.find((ending) => word.endsWith(ending));
  if (!tail) return word;
  const bare = word.slice(0, -tail.length);
  return measure(bare) > 1 && (tail !== 'ion' || /[st]$/.test(bare)) ? bare : word;
};

const withoutE = (word: string): string => {
  const plain =
    word.endsWith('e') && (measure(word.slice(0, -1)) > 1 || (measure(word.slice(0, -1)) === 1 && !endsShort(word.slice(0, -1)))) ? word.slice(0, -1) : word;
  return plain.endsWith('ll') && measure(plain) > 1 ? plain.slice(0, -1) : plain;
};
