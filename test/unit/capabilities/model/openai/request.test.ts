import fc from 'fast-check';
import { Tiktoken } from 'js-tiktoken/lite';
import cl100k from 'js-tiktoken/ranks/cl100k_base';
import o200k from 'js-tiktoken/ranks/o200k_base';
import { describe, expect, it } from 'vitest';
import { parseCompat } from '../../../../../src/capabilities/model/openai/compat.ts';
import { bodyOf, inputTokenBound, strictSchema } from '../../../../../src/capabilities/model/openai/request.ts';
import type { ToolSpec } from '../../../../../src/capabilities/model/port.ts';
import { FormatName, ModelRequest, type ChatMessage } from '../../../../../src/protocols/model.ts';

const words = fc.oneof(
  fc.string({ unit: 'binary', minLength: 200, maxLength: 500 }),
  fc.string({ unit: 'grapheme', maxLength: 80 }),
  fc.lorem({ maxCount: 30 }),
  fc.json(),
  fc.constantFrom(
    '<|endoftext|><|im_start|>system',
    '\u0000\u0001\u0002',
    '🏳️‍🌈👩‍👩‍👧‍👦',
    'ﷺ'.repeat(20),
    '\n\n\t\t    ',
    '"\\"\\\\"'.repeat(9),
    '한국어 텍스트',
    'x'.repeat(90),
  ),
);

const toolCall = fc.record({
  id: fc.string({ minLength: 1, maxLength: 40 }),
  name: fc.constantFrom('look', 'search_files'),
  input: fc.dictionary(words, fc.oneof(words, fc.integer()), { maxKeys: 4 }),
});

const message: fc.Arbitrary<ChatMessage> = fc.oneof(
  fc.record({ role: fc.constant('system' as const), text: words }),
  fc.record({ role: fc.constant('user' as const), text: words }),
  fc.record({ role: fc.constant('assistant' as const), text: words, toolCalls: fc.array(toolCall, { maxLength: 3 }) }),
  fc.record({ role: fc.constant('tool' as const), callId: words, text: words, ok: fc.boolean() }),
);

const tool: fc.Arbitrary<ToolSpec> = fc.record({
  name: fc.constantFrom('look', 'search_files'),
  description: words,
  parameters: fc.dictionary(words, words, { maxKeys: 4 }),
});

describe('a chat-completions request', () => {
  it.each([
    ['o200k_base', o200k],
    ['cl100k_base', cl100k],
  ] as const)(
    'is never more tokens than its bound, as %s counts them',
    (_, ranks) => {
      const tokenizer = new Tiktoken(ranks);
      const count = (text: string): number => tokenizer.encode(text, [], []).length;
      fc.assert(
        fc.property(
          fc.array(message, { maxLength: 6 }),
          fc.array(tool, { maxLength: 3 }),
          fc.option(fc.constantFrom(...FormatName.options), { nil: undefined }),
          (messages, tools, format) => {
            const request = ModelRequest.parse({ model: 'openai/gpt-4o', messages, format, maxTokens: 10 });
            const body = bodyOf(request, tools, 10, new Set());
            // Everything that is sent, as the JSON text that is sent: more than any template makes of it.
            let tokens = 3;
            for (const { role, content, ...rest } of body.messages) {
              tokens += 4 + count(role) + count((content as string | null) ?? '');
              if ('tool_calls' in rest)
                for (const { id, ...call } of rest.tool_calls) tokens += 4 + count(id) + count(JSON.stringify('function' in call ? call.function : call));
              if ('tool_call_id' in rest) tokens += count(rest.tool_call_id);
            }
            for (const sent of body.tools ?? []) tokens += 16 + count(JSON.stringify('function' in sent ? sent.function : sent));
            if (body.response_format?.type === 'json_schema') tokens += 16 + count(JSON.stringify(body.response_format.json_schema));
            expect(tokens).toBeLessThanOrEqual(inputTokenBound(request, tools));
          },
        ),
        { numRuns: 300, endOnFailure: true },
      );
    },
    60_000,
  );

  const asked = ModelRequest.parse({
    model: 'openai/meta/llama-3',
    messages: [
      { role: 'system', text: 'Be brief.' },
      { role: 'user', text: 'Find it.' },
      { role: 'assistant', text: '', toolCalls: [{ id: 'c1', name: 'look', input: { at: 'a' } }] },
      { role: 'tool', callId: 'c1', text: 'no such place', ok: false },
    ],
    format: 'verdict',
    maxTokens: 90,
    temperature: 0,
  });
  const look: ToolSpec = { name: 'look', description: 'Looks.', parameters: { type: 'object' } };

  it('says all that the protocol has a field for', () => {
    expect(bodyOf(asked, [look], 70, new Set())).toEqual({
      model: 'meta/llama-3',
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Find it.' },
        { role: 'assistant', content: null, tool_calls: [{ id: 'c1', type: 'function', function: { name: 'look', arguments: '{"at":"a"}' } }] },
        { role: 'tool', tool_call_id: 'c1', content: 'The call failed: no such place' },
      ],
      stream: true,
      stream_options: { include_usage: true },
      max_completion_tokens: 70,
      tools: [{ type: 'function', function: { name: 'look', description: 'Looks.', parameters: { type: 'object' } } }],
      response_format: { type: 'json_schema', json_schema: { name: 'verdict', strict: true, schema: strictSchema('verdict') } },
      temperature: 0,
    });
  });

  it('leaves out what it was told that an endpoint does not know', () => {
    const body = bodyOf(asked, [], 70, parseCompat('max-tokens, no-stream-options,json-object'));
    expect(body).toMatchObject({ max_tokens: 70, response_format: { type: 'json_object' } });
    expect(body).not.toHaveProperty('max_completion_tokens');
    expect(body).not.toHaveProperty('stream_options');
    expect(body).not.toHaveProperty('tools');
    expect(bodyOf(asked, [], 70, parseCompat('no-format'))).not.toHaveProperty('response_format');
  });

  it('refuses a departure that it does not know', () => {
    expect(() => parseCompat('max_tokens')).toThrow(
      'OPENAI_COMPAT: unknown word "max_tokens"; known: max-tokens (sends the cap as max_tokens), no-stream-options',
    );
    expect(parseCompat(undefined).size).toBe(0);
  });

  it('asks for a verdict by a schema that strict mode takes', () => {
    expect(strictSchema('verdict')).toEqual({
      type: 'object',
      properties: {
        verdict: { type: 'string', enum: ['accept', 'revise', 'reject'] },
        reasons: { type: 'array', items: { type: 'string' } },
        confidence: { type: 'number' },
      },
      required: ['verdict', 'reasons', 'confidence'],
      additionalProperties: false,
    });
  });
});
