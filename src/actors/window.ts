/**
 * The part of a conversation that is kept when not all of it is wanted. What belongs together stays together: an answer with tool
 * calls and all of their results are one, because providers refuse a call without its result and a result without its call.
 */
import type { ChatMessage } from '../protocols/model.ts';

/** Messages that are kept or left out together, in their order. */
const exchangesOf = (messages: readonly ChatMessage[]): ChatMessage[][] => {
  const exchanges: ChatMessage[][] = [];
  for (const message of messages) {
    if (message.role === 'tool' && exchanges.length > 0) exchanges.at(-1)!.push(message);
    else exchanges.push([message]);
  }
  return exchanges;
};

/** No tokenizer has more tokens than a text has bytes; of prose, about one in four. */
const BYTES_PER_TOKEN = 3;

export const tokensIn = (messages: readonly ChatMessage[]): number => Math.ceil(new TextEncoder().encode(JSON.stringify(messages)).length / BYTES_PER_TOKEN);

/** The last messages that come to at most so many tokens, by estimate. */
export const withinTokens = (messages: readonly ChatMessage[], maxTokens: number): readonly ChatMessage[] => {
  const kept: ChatMessage[] = [];
  let left = maxTokens;
  for (const exchange of exchangesOf(messages).toReversed()) {
    left -= tokensIn(exchange);
    if (left < 0) break;
    kept.unshift(...exchange);
  }
  return kept;
};

/** The last exchanges, so many at most. */
export const lastExchanges = (messages: readonly ChatMessage[], count: number): readonly ChatMessage[] => exchangesOf(messages).slice(-count).flat();

/** What was said, without calls of tools and their results. */
export const withoutTools = (messages: readonly ChatMessage[]): readonly ChatMessage[] =>
  messages.flatMap((message): ChatMessage[] => {
    if (message.role === 'tool') return [];
    if (message.role !== 'assistant') return [message];
    return message.text.trim() === '' ? [] : [{ ...message, toolCalls: [] }];
  });
