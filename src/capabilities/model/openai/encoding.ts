/**
 * How many tokens a text is for OpenAI's own models: exactly, by the encoding that the tokenizer's authors name for a model.
 * A model that they do not name has no encoding here, however much its name looks like one that has.
 *
 * The tables are megabytes and take most of a second to build, so they are loaded by the first text that is counted.
 */
import { createRequire } from 'node:module';
import type * as Library from 'js-tiktoken/lite';

/** Tokens of a text, never fewer than there are. */
export type Count = (text: string) => number;

/** Byte-level tokenizers make at least one byte of each token, so no text is more tokens than bytes, whoever counts. */
export const countBytes: Count = (text) => Buffer.byteLength(text);

export type Encoding = 'cl100k_base' | 'o200k_base';

/** `model` without its provider. `undefined`: nobody has said how it counts. */
export const encodingOf = (model: string): Encoding | undefined => {
  const { getEncodingNameForModel } = load('js-tiktoken/lite') as typeof Library;
  try {
    const encoding = getEncodingNameForModel(model as Library.TiktokenModel);
    return encoding === 'cl100k_base' || encoding === 'o200k_base' ? encoding : undefined;
  } catch {
    return undefined;
  }
};

/** Exact, but for words beyond WORD_BYTES_MAX: they count as their bytes. */
export const countWith = (encoding: Encoding): Count => {
  let count: Count | undefined;
  return (text) => (count ??= counterOf(encoding))(text);
};

const load = createRequire(import.meta.url);

/** The tokenizer takes time quadratic in the length of a word, and whoever writes the text must not be able to stop a process. */
const WORD_BYTES_MAX = 128;
/** Words whose tokens are remembered: some megabytes at most. */
const WORDS_MAX = 50_000;

const counterOf = (encoding: Encoding): Count => {
  const { Tiktoken } = load('js-tiktoken/lite') as typeof Library;
  const ranks = load(`js-tiktoken/ranks/${encoding}`) as Library.TiktokenBPE;
  const tokenizer = new Tiktoken(ranks);
  const words = new RegExp(ranks.pat_str, 'gu');
  const known = new Map<string, number>();
  /** No token goes across the border of a word, and a word alone is cut as it is in its text. */
  const countWord = (word: string): number => {
    const before = known.get(word);
    if (before !== undefined) return before;
    const bytes = countBytes(word);
    if (bytes > WORD_BYTES_MAX) return bytes;
    const tokens = tokenizer.encode(word, [], []).length;
    if (known.size >= WORDS_MAX) known.clear();
    known.set(word, tokens);
    return tokens;
  };
  return (text) => {
    let tokens = 0;
    for (const [word] of text.matchAll(words)) tokens += countWord(word);
    return tokens;
  };
};
