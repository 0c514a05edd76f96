/**
 * How an endpoint that speaks the chat-completions protocol departs from OpenAI's own. It is said, never found out by trying:
 * every try may be billed. As an option, or as a list in OPENAI_COMPAT, for instance `OPENAI_COMPAT=max-tokens,json-object`.
 */
import { TroupeError } from '../../../protocols/failure.ts';

export const compatWords = {
  /** The cap is called `max_tokens`; `max_completion_tokens` is not known. */
  'max-tokens': 'sends the cap as max_tokens',
  /** `stream_options` is refused, so nothing says what was used: bills go by the text that came. */
  'no-stream-options': 'does not ask for usage in the stream',
  /** Only `response_format: json_object`: the schema is not sent. */
  'json-object': 'asks for any JSON object instead of one by a schema',
  /** No `response_format` at all: the instructions alone ask for JSON. */
  'no-format': 'does not ask for a format',
  /** A gateway before OpenAI's own models, for instance: what their tokenizer counts is a bound here too. */
  'openai-tokens': "counts tokens as OpenAI's model of the same name does",
} as const satisfies Record<string, string>;

export type Compat = keyof typeof compatWords;

/** Errors: MODEL_SETTING_INVALID. */
export const parseCompat = (text: string | undefined): ReadonlySet<Compat> => {
  const words = (text ?? '')
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
  const unknown = words.find((word) => !(word in compatWords));
  if (unknown === undefined) return new Set(words as Compat[]);
  const known = Object.entries(compatWords).map(([word, effect]) => `${word} (${effect})`);
  throw new TroupeError('MODEL_SETTING_INVALID', `OPENAI_COMPAT: unknown word "${unknown}"; known: ${known.join(', ')}`);
};
