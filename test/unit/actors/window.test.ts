/** The window of a conversation, over any conversation and any size. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { tokensIn, withinTokens } from '../../../src/actors/window.ts';
import type { ChatMessage } from '../../../src/protocols/model.ts';

const exchange = fc.oneof(
  fc.string().map((text): ChatMessage[] => [{ role: 'user', text }]),
  fc
    .array(fc.string(), { maxLength: 4 })
    .map((results): ChatMessage[] => [
      { role: 'assistant', text: 'a', toolCalls: results.map((_, index) => ({ id: `c${index}`, name: 'look', input: {} })) },
      ...results.map((text, index): ChatMessage => ({ role: 'tool', callId: `c${index}`, text, ok: true })),
    ]),
);

test('it is the end of the conversation, no longer than allowed, and cuts no call from its result', () => {
  fc.assert(
    fc.property(fc.array(exchange, { maxLength: 12 }), fc.integer({ min: 0, max: 400 }), (exchanges, maxTokens) => {
      const messages = exchanges.flat();
      const kept = withinTokens(messages, maxTokens);
      expect(kept).toEqual(messages.slice(messages.length - kept.length));
      expect(kept[0]?.role).not.toBe('tool');
      if (kept.length > 0) expect(tokensIn(kept)).toBeLessThanOrEqual(maxTokens + 1);
    }),
  );
});

test('one more exchange would have been too long', () => {
  const messages = Array.from({ length: 20 }, (_, index): ChatMessage => ({ role: 'user', text: `${index}`.padStart(30, 'x') }));
  const kept = withinTokens(messages, 100);
  expect(kept.length).toBeGreaterThan(0);
  expect(tokensIn(messages.slice(messages.length - kept.length - 1))).toBeGreaterThan(100);
});
