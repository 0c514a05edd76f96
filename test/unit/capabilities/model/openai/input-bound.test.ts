import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { Tiktoken } from 'js-tiktoken/lite';
import cl100k from 'js-tiktoken/ranks/cl100k_base';
import o200k from 'js-tiktoken/ranks/o200k_base';
import { describe, expect, it } from 'vitest';
import { createOpenAIAdapter } from '../../../../../src/capabilities/model/openai/adapter.ts';
import { countBytes, countWith, encodingOf } from '../../../../../src/capabilities/model/openai/encoding.ts';
import { createInputBound } from '../../../../../src/capabilities/model/openai/input-bound.ts';
import { bodyOf } from '../../../../../src/capabilities/model/openai/request.ts';
import type { ToolSpec } from '../../../../../src/capabilities/model/port.ts';
import { createPrices } from '../../../../../src/capabilities/model/prices.ts';
import { FormatName, ModelRequest, type ChatMessage } from '../../../../../src/protocols/model.ts';
import { inputTokensOf, type ChatRequest } from '../../../../support/model-server.ts';

const ROOT = join(import.meta.dirname, '../../../../..');
const prose = readFileSync(join(ROOT, 'docs/recovery.md'), 'utf8');
const code = readFileSync(join(ROOT, 'src/capabilities/model/openai/reply.ts'), 'utf8');

/** Another tokenizer than the one that the bound is made with, from other authors. */
const tokenizers = { o200k_base: new Tiktoken(o200k), cl100k_base: new Tiktoken(cl100k) };
const tokensBy = (encoding: keyof typeof tokenizers, text: string): number => tokenizers[encoding].encode(text, [], []).length;

const words = fc.oneof(
  fc.string({ unit: 'binary', minLength: 200, maxLength: 500 }),
  fc.string({ unit: 'grapheme', maxLength: 80 }),
  fc.lorem({ maxCount: 30 }),
  fc.json(),
  fc.string({ unit: fc.constantFrom(' ', '\t', '\n', '\r\n', 'a', 'É', '字', '!', '7', "'s", '"', '\\'), maxLength: 120 }),
  fc.nat(prose.length).chain((from) => fc.nat(400).map((length) => prose.slice(from, from + length))),
  fc.constantFrom(
    '<|endoftext|><|im_start|>system',
    '\u0000\u0001\u0002',
    '🏳️‍🌈👩‍👩‍👧‍👦',
    'ﷺ'.repeat(20),
    '\n\n\t\t    ',
    '"\\"\\\\"'.repeat(9),
    '한국어 텍스트',
    'x'.repeat(90),
    'x'.repeat(400),
    '\ud800 alone',
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

const request = (model: string, more: Partial<ModelRequest> = {}): ModelRequest => ModelRequest.parse({ model, messages: [], maxTokens: 10, ...more });

/** Everything that is sent, as the JSON text that is sent: more than any template makes of it. */
const tokensSent = (encoding: keyof typeof tokenizers, asked: ModelRequest, tools: readonly ToolSpec[]): number => {
  const count = (text: string): number => tokensBy(encoding, text);
  const body = bodyOf(asked, tools, 10, new Set());
  let tokens = 3;
  for (const { role, content, ...rest } of body.messages) {
    tokens += 4 + count(role) + count((content as string | null) ?? '');
    if ('tool_calls' in rest)
      for (const { id, ...call } of rest.tool_calls) tokens += 4 + count(id) + count(JSON.stringify('function' in call ? call.function : call));
    if ('tool_call_id' in rest) tokens += count(rest.tool_call_id);
  }
  for (const sent of body.tools ?? []) tokens += 16 + count(JSON.stringify('function' in sent ? sent.function : sent));
  if (body.response_format?.type === 'json_schema') tokens += 16 + count(JSON.stringify(body.response_format.json_schema));
  return tokens;
};

type Rendered = {
  readonly name: string;
  readonly description: string;
  readonly properties: Record<string, { type: string; description: string; enum: readonly string[] }>;
};

/** As OpenAI's cookbook counts tools for GPT-4o. */
const tokensRendered = (tools: readonly Rendered[]): number => {
  const count = (text: string): number => tokensBy('o200k_base', text);
  let tokens = 12;
  for (const { name, description, properties } of tools) {
    tokens += 7 + count(`${name}:${description}`) + (Object.keys(properties).length > 0 ? 3 : 0);
    for (const [key, property] of Object.entries(properties)) {
      tokens += 3 + count(`${key}:${property.type}:${property.description}`);
      if (property.enum.length > 0) tokens += property.enum.reduce((sum, item) => sum + 3 + count(item), -3);
    }
  }
  return tokens;
};

const openai = createOpenAIAdapter({ apiKey: 'none', env: {} });
const elsewhere = createOpenAIAdapter({ baseURL: 'http://127.0.0.1:1/v1', env: {} });

describe('the bound of a request', () => {
  it.each([
    ['o200k_base', 'openai/gpt-4o'],
    ['cl100k_base', 'openai/gpt-3.5-turbo'],
  ] as const)(
    'is never below what %s counts, by its encoding or by bytes (U1, U2)',
    (encoding, model) => {
      fc.assert(
        fc.property(
          fc.array(message, { maxLength: 6 }),
          fc.array(tool, { maxLength: 3 }),
          fc.option(fc.constantFrom(...FormatName.options), { nil: undefined }),
          (messages, tools, format) => {
            const asked = request(model, { messages, format });
            const bound = openai.inputTokenBound(asked, tools);
            const counted = tokensSent(encoding, asked, tools);
            expect(counted).toBeLessThanOrEqual(bound);
            if (encoding === 'o200k_base') expect(inputTokensOf(bodyOf(asked, tools, 10, new Set()) as ChatRequest)).toBeLessThanOrEqual(bound);
            expect(bound).toBeLessThanOrEqual(elsewhere.inputTokenBound(asked, tools));
          },
        ),
        { numRuns: 300, endOnFailure: true },
      );
    },
    60_000,
  );

  it('is never below what the one published rendering of tools takes (U3)', () => {
    const short = fc.oneof(fc.constantFrom('a', 'on', 'x_y', '字', 'left'), fc.string({ maxLength: 6 }));
    const property = fc.record({ type: fc.constant('string'), description: short, enum: fc.array(short, { maxLength: 60 }) });
    const specs = fc.array(fc.record({ name: short, description: short, properties: fc.dictionary(short, property, { maxKeys: 6 }) }), {
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(specs, (found) => {
        const tools = found.map(({ name, description, properties }): ToolSpec => ({ name, description, parameters: { type: 'object', properties } }));
        const text = request('openai/gpt-4o', { messages: [{ role: 'user', text: '' }] });
        expect(7 + tokensRendered(found)).toBeLessThanOrEqual(openai.inputTokenBound(text, tools));
      }),
      { numRuns: 500, endOnFailure: true },
    );
  });

  it('has room for what is added to each of many small parts (U1, U3)', () => {
    const many = Array.from({ length: 200 }, (_, index) => index);
    const failed = many.map((): ChatMessage => ({ role: 'tool', callId: 'c', text: 'x', ok: false }));
    const call = { id: 'c', name: 'look', input: {} };
    const calls = many.map((): ChatMessage => ({ role: 'assistant', text: '', toolCalls: [call, call, call] }));
    for (const messages of [failed, calls]) {
      const asked = request('openai/gpt-4o', { messages });
      expect(tokensSent('o200k_base', asked, [])).toBeLessThanOrEqual(openai.inputTokenBound(asked, []));
    }
    const items = many.map((index) => String.fromCodePoint(97 + (index % 26)));
    const choice: Rendered = { name: 'look', description: '', properties: { at: { type: 'string', description: '', enum: items } } };
    const tool: ToolSpec = { name: choice.name, description: '', parameters: { type: 'object', properties: choice.properties } };
    for (const length of [1, 20]) {
      const bound = openai.inputTokenBound(
        request('openai/gpt-4o'),
        Array.from({ length }, () => tool),
      );
      expect(tokensRendered(Array.from({ length }, () => choice))).toBeLessThanOrEqual(bound);
    }
  });

  it.each(['o200k_base', 'cl100k_base'] as const)(
    'counts a text as %s does, word by word',
    (encoding) => {
      const count = countWith(encoding);
      fc.assert(
        fc.property(fc.array(words, { maxLength: 4 }), (parts) => {
          const text = parts.join('');
          const tokens = tokensBy(encoding, text);
          expect(count(text)).toBeGreaterThanOrEqual(tokens);
          if (!/\S{32}|\s{32}|\ufeff/u.test(text)) expect(count(text)).toBe(tokens);
        }),
        { numRuns: 500, endOnFailure: true },
      );
      expect(count('\ufeffA mark that says how bytes are ordered')).toBe(1 + tokensBy(encoding, '\ufeffA mark that says how bytes are ordered'));
      for (const text of [prose, code]) expect(count(text)).toBe(tokensBy(encoding, text));
    },
    60_000,
  );

  it('is near to what is counted for a conversation', () => {
    const tools: ToolSpec[] = [
      {
        name: 'search_files',
        description: 'Finds lines by their words.',
        parameters: { type: 'object', properties: { query: { type: 'string', description: 'What to look for.' } }, required: ['query'] },
      },
    ];
    const messages: ChatMessage[] = [
      { role: 'system', text: prose.slice(0, 900) },
      { role: 'user', text: 'What happens when a host is lost?' },
      { role: 'assistant', text: '', toolCalls: [{ id: 'call_8fJk2', name: 'search_files', input: { query: 'host lost' } }] },
      { role: 'tool', callId: 'call_8fJk2', text: prose.slice(900, 4_000), ok: true },
      { role: 'tool', callId: 'call_9aBc3', text: code.slice(0, 3_000), ok: true },
    ];
    const asked = request('openai/gpt-4o', { messages, format: 'report' });
    const counted = inputTokensOf(bodyOf(asked, tools, 10, new Set()) as ChatRequest);
    const ratios = [openai, elsewhere].map(({ inputTokenBound }) => inputTokenBound(asked, tools) / counted);
    process.stderr.write(`bound of the input: ${ratios[0]!.toFixed(2)} times what is counted by encoding, ${ratios[1]!.toFixed(2)} times by bytes\n`);
    expect(ratios[0]).toBeLessThan(1.5);
    expect(ratios[1]).toBeGreaterThan(2.5);
  });

  it('goes by bytes where no encoding is known, and at an endpoint where anything may stand behind a name (U2)', () => {
    const asked = (model: string) => request(model, { messages: [{ role: 'user', text: prose }] });
    const bytes = elsewhere.inputTokenBound(asked('openai/gpt-4o'), []);
    expect(bytes).toBeGreaterThan(countBytes(prose));
    expect(openai.inputTokenBound(asked('openai/gpt-7-ultra'), [])).toBe(bytes);
    const exact = openai.inputTokenBound(asked('openai/gpt-4o'), []);
    expect(exact).toBeLessThan(bytes / 2);
    const bounds = [
      createOpenAIAdapter({ baseURL: 'https://eu.api.openai.com/v1', env: {} }),
      createOpenAIAdapter({ baseURL: 'http://127.0.0.1:1/v1', env: { OPENAI_COMPAT: 'openai-tokens' } }),
      createOpenAIAdapter({ baseURL: 'https://notapi.openai.com/v1', env: {} }),
      createOpenAIAdapter({ baseURL: 'https://api.openai.com.example.org/v1', env: {} }),
    ].map((adapter) => adapter.inputTokenBound(asked('openai/gpt-4o'), []));
    expect(bounds).toEqual([exact, exact, bytes, bytes]);
  });

  it('knows the encoding of every family that has a published one, and guesses none', () => {
    expect(['gpt-4o', 'gpt-4.1-mini', 'gpt-5', 'gpt-5.4-mini-2026-03-17', 'o3', 'o4-mini-2025-04-16', 'chatgpt-4o-latest'].map(encodingOf)).toEqual(
      Array.from({ length: 7 }, () => 'o200k_base'),
    );
    expect(['gpt-4', 'gpt-4-turbo', 'gpt-3.5-turbo', 'gpt-3.5-turbo-0125'].map(encodingOf)).toEqual(Array.from({ length: 4 }, () => 'cl100k_base'));
    expect(['gpt-4omega', 'gpt-4.2', 'gpt-50', 'gpt-5.9', 'gpt-7', 'o2', 'o4', 'gpt2', 'llama-3', '', 'constructor'].map(encodingOf)).toEqual(
      Array.from({ length: 11 }, () => undefined),
    );
  });

  it('counts every model with a price by its encoding, but for those whose encoding is not published', () => {
    const byBytes = createPrices()
      .known.filter((model) => model.startsWith('openai/') && encodingOf(model.slice('openai/'.length)) === undefined)
      .map((model) => model.slice('openai/'.length));
    expect(byBytes).toEqual(['gpt-6-astra', 'gpt-6-luna', 'gpt-6-sol']);
  });

  it('counts a message once, however long the conversation becomes', () => {
    let counted = 0;
    const bound = createInputBound((text) => {
      counted += text.length;
      return text.length;
    });
    const messages: ChatMessage[] = [{ role: 'system', text: 'Be brief.' }];
    for (let turn = 0; turn < 200; turn++) {
      messages.push({ role: 'user', text: `Question ${turn}` });
      bound(request('openai/gpt-4o', {}), []);
      bound({ ...request('openai/gpt-4o'), messages: [...messages] }, []);
    }
    expect(counted).toBe(messages.reduce((sum, { text }) => sum + text.length, 0));
  });

  it('takes a word of any length without taking its time', () => {
    expect(countWith('o200k_base')('x'.repeat(1_000_000))).toBe(1_000_000);
  });

  it('refuses a message that is not text (U4)', () => {
    const messages = [
      { role: 'user', text: 'Look.' },
      { role: 'user', text: [{ type: 'image_url' }] },
    ] as unknown as ChatMessage[];
    expect(() => openai.inputTokenBound({ ...request('openai/gpt-4o'), messages }, [])).toThrow(
      'openai/gpt-4o: message 2 (user) is not text; images and other parts have no upper bound here, so they are not sent',
    );
  });

  it('loads no encoding before a text is counted by it, and then no other', () => {
    const script = `
      const { createOpenAIAdapter } = await import('./src/capabilities/model/openai/adapter.ts');
      const { createRequire } = await import('node:module');
      const loaded = () => Object.keys(createRequire(import.meta.url).cache).flatMap((file) => file.split('bpeRanks/').slice(1));
      const bound = (messages) => createOpenAIAdapter({ apiKey: 'none', env: {} }).inputTokenBound({ model: 'openai/gpt-4o', messages, tools: [] }, []);
      bound([]);
      const before = loaded();
      bound([{ role: 'user', text: 'a' }]);
      process.stdout.write(JSON.stringify([before, loaded()]));`;
    expect(execFileSync(process.execPath, ['--input-type=module', '-e', script], { cwd: ROOT, encoding: 'utf8' })).toBe('[[],["o200k_base.js"]]');
  });
});
