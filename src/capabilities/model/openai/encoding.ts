/**
 * How many tokens a text is for OpenAI's own models: exactly, by the encoding of the model's family. A family is named here only
 * when its encoding is published; a model of any other has none, and is counted by bytes.
 *
 * The table of an encoding takes a tenth of a second to build and some sixty megabytes, so it is loaded by the first text that is
 * counted with it, and no other is.
 */
import { createRequire } from 'node:module';
import type { GptEncoding } from 'gpt-tokenizer/GptEncoding';
import type * as Patterns from 'gpt-tokenizer/encodingParams/constants';

/** Tokens of a text, never fewer than there are. */
export type Count = (text: string) => number;

/** Byte-level tokenizers make at least one byte of each token, so no text is more tokens than bytes, whoever counts. */
export const countBytes: Count = (text) => Buffer.byteLength(text);

export type Encoding = 'cl100k_base' | 'o200k_base';

/** As the tokenizers' authors name them (tiktoken's prefixes, gpt-tokenizer's models). */
const FAMILIES: Readonly<Record<Encoding, readonly string[]>> = {
  o200k_base: [
    ...['gpt-4o', 'chatgpt-4o', 'gpt-4.1', 'gpt-4.5', 'o1', 'o3', 'o4-mini'],
    ...['gpt-5', 'gpt-5.1', 'gpt-5.2', 'gpt-5.3', 'gpt-5.4', 'gpt-5.5', 'gpt-5.6'],
  ],
  cl100k_base: ['gpt-4', 'gpt-3.5-turbo'],
};

const byFamily = new Map((['o200k_base', 'cl100k_base'] as const).flatMap((encoding) => FAMILIES[encoding].map((family) => [family, encoding] as const)));

/** `model` without its provider: a family's name alone, or with anything behind a dash. `undefined`: nobody has said how it counts. */
export const encodingOf = (model: string): Encoding | undefined => {
  const family = [...byFamily.keys()].find((name) => model === name || model.startsWith(`${name}-`));
  return family === undefined ? undefined : byFamily.get(family);
};

/** Exact, but for words beyond WORD_BYTES_MAX, which count as their bytes, and for byte order marks, which count one more than they are. */
export const countWith = (encoding: Encoding): Count => {
  let count: Count | undefined;
  return (text) => (count ??= counterOf(encoding))(text);
};

const load = createRequire(import.meta.url);

/** The tokenizer takes time quadratic in the length of a word, and whoever writes the text must not be able to stop a process. */
const WORD_BYTES_MAX = 128;
/** Words whose tokens are remembered: some megabytes at most. */
const WORDS_MAX = 50_000;
/** What looks like a sign of the protocol is text. */
const AS_TEXT = { disallowedSpecial: new Set<string>() };

const wordsOf = (encoding: Encoding): RegExp => {
  const patterns = load('gpt-tokenizer/encodingParams/constants') as typeof Patterns;
  return encoding === 'o200k_base' ? patterns.O200K_TOKEN_SPLIT_REGEX : patterns.CL100K_TOKEN_SPLIT_REGEX;
};

const counterOf = (encoding: Encoding): Count => {
  const { default: tokenizer } = load(`gpt-tokenizer/encoding/${encoding}`) as { readonly default: GptEncoding };
  const words = wordsOf(encoding);
  tokenizer.setMergeCacheSize(WORDS_MAX);
  /** No token goes across the border of a word, and a word alone is cut as it is in its text. */
  const countWord = (word: string): number => {
    const bytes = countBytes(word);
    return bytes > WORD_BYTES_MAX ? bytes : tokenizer.countTokens(word, AS_TEXT);
  };
  return (text) => {
    let tokens = 0;
    for (const [word] of text.matchAll(words)) tokens += countWord(word);
    return tokens;
  };
};
