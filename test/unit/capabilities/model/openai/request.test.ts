import { describe, expect, it } from 'vitest';
import { parseCompat } from '../../../../../src/capabilities/model/openai/compat.ts';
import { bodyOf, strictSchema } from '../../../../../src/capabilities/model/openai/request.ts';
import type { ToolSpec } from '../../../../../src/capabilities/model/port.ts';
import { ModelRequest } from '../../../../../src/protocols/model.ts';

describe('a chat-completions request', () => {
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

  it('asks for one answer, as one is reserved for', () => {
    expect(bodyOf(asked, [look], 70, new Set())).not.toHaveProperty('n');
  });

  it('cannot hold an image, whose tokens nobody here could bound', () => {
    const parts = [{ type: 'image_url', image_url: { url: 'https://example.org/a.png' } }];
    expect(ModelRequest.safeParse({ ...asked, messages: [{ role: 'user', text: parts }] }).success).toBe(false);
    const beside = ModelRequest.parse({ ...asked, messages: [{ role: 'user', text: 'Look.', content: parts }] });
    expect(bodyOf(beside, [], 70, new Set()).messages).toEqual([{ role: 'user', content: 'Look.' }]);
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
