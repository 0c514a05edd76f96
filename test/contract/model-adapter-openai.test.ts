/** The adapter for chat completions against a server that speaks the protocol, and fails in it. */
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createModelGateway } from '../../src/capabilities/model/gateway.ts';
import { createOpenAIAdapter, type OpenAIOptions } from '../../src/capabilities/model/openai/adapter.ts';
import { REPLY_BYTES_MAX } from '../../src/capabilities/model/openai/reply.ts';
import { UNREADABLE_INPUT, type ModelAdapter, type ModelAnswer, type ModelError, type ToolSpec } from '../../src/capabilities/model/port.ts';
import { createPrices } from '../../src/capabilities/model/prices.ts';
import { parseFormat } from '../../src/protocols/formats.ts';
import { Grant } from '../../src/protocols/grant.ts';
import { ModelRequest } from '../../src/protocols/model.ts';
import { startModelServer, type ModelServer, type ModelServerOptions } from '../support/model-server.ts';

const KEY = 'sk-test-0123456789abcdef';
const look: ToolSpec = { name: 'look', description: 'Looks somewhere.', parameters: { type: 'object', properties: { at: { type: 'string' } } } };

let server: ModelServer;
afterEach(() => server?.stop());

const start = async (serverOptions: ModelServerOptions = {}, options: OpenAIOptions = {}): Promise<ModelAdapter> => {
  server = await startModelServer(serverOptions);
  return createOpenAIAdapter({ apiKey: KEY, baseURL: server.url, env: {}, ...options });
};

let grants = 0;
const grantOf = (maxTokens = 1_000, amountNanos = 1_000_000n): Grant =>
  Grant.from({
    grant: `r-test.worker.a/1/model#${++grants}`,
    amountNanos: amountNanos.toString(),
    maxTokens,
    deadline: Number.MAX_SAFE_INTEGER,
    leftNanos: '0',
  });

const request = (more: Partial<ModelRequest> = {}): ModelRequest =>
  ModelRequest.parse({ model: 'openai/gpt-4o-mini', messages: [{ role: 'user', text: 'Say something.' }], maxTokens: 1_000, ...more });

const ask = (
  adapter: ModelAdapter,
  asked = request(),
  more: { grant?: Grant; signal?: AbortSignal; onText?: (piece: string) => void; tools?: readonly ToolSpec[] } = {},
): Promise<ModelAnswer> =>
  adapter.call(asked, more.grant ?? grantOf(), { signal: more.signal ?? new AbortController().signal, tools: more.tools ?? [], onText: more.onText });

const errorOf = (calling: Promise<unknown>): Promise<ModelError> =>
  calling.then(
    (value) => Promise.reject(new Error(`expected it to fail, got ${JSON.stringify(value)}`)),
    (thrown: ModelError) => thrown,
  );

describe('the chat-completions adapter', () => {
  it('answers with the text, its usage and the name of the model that served', async () => {
    const adapter = await start({ answer: () => ({ text: 'Paris it is.', cachedTokens: 4, reasoningTokens: 7 }) });
    const reply = await ask(adapter);
    const { billed } = server.requests[0]!;
    expect(reply).toEqual({
      text: 'Paris it is.',
      toolCalls: [],
      finish: 'stop',
      usage: { inputTokens: billed.inputTokens, outputTokens: billed.outputTokens, cachedInputTokens: 4, reasoningTokens: 7 },
      model: 'gpt-4o-mini-served',
      id: 'chatcmpl-0',
    });
    expect(billed.inputTokens).toBeGreaterThan(0);
  });

  it('sends the id of its grant, once for each attempt, and the key as a bearer', async () => {
    const adapter = await start({ apiKey: KEY });
    const grant = grantOf();
    await ask(adapter, request(), { grant });
    expect(server.requests.map(({ attempt }) => attempt)).toEqual([grant.id]);
  });

  it('calls tools whose arguments came in pieces', async () => {
    const adapter = await start({
      answer: () => ({
        text: 'Let me see.',
        calls: [
          { name: 'look', arguments: { at: 'the left side' }, id: 'a' },
          { name: 'look', arguments: '', id: 'b' },
        ],
      }),
    });
    expect(await ask(adapter, request(), { tools: [look] })).toMatchObject({
      finish: 'tools',
      text: 'Let me see.',
      toolCalls: [
        { id: 'a', name: 'look', input: { at: 'the left side' } },
        { id: 'b', name: 'look', input: {} },
      ],
    });
    expect(server.requests[0]!.body.tools).toEqual([{ type: 'function', function: look }]);
  });

  it.each(['{"at": "the le', '["left"]', 'left', '7'])('hands on arguments that are no JSON object as they came: %s', async (given) => {
    const adapter = await start({ answer: () => ({ calls: [{ name: 'look', arguments: given }] }) });
    const { toolCalls } = await ask(adapter, request(), { tools: [look] });
    expect(toolCalls[0]!.input).toEqual({ [UNREADABLE_INPUT]: given });
  });

  it('leaves out the calls of an answer that was cut off', async () => {
    const adapter = await start({ answer: () => ({ text: 'x', calls: [{ name: 'look', arguments: '{"at": "the le' }], finish: 'length' }) });
    expect(await ask(adapter, request(), { tools: [look] })).toMatchObject({ finish: 'length', toolCalls: [] });
  });

  it('reports a refusal as filtered, with its words', async () => {
    const adapter = await start({ answer: () => ({ refusal: 'I cannot help with that.' }) });
    expect(await ask(adapter)).toMatchObject({ finish: 'filtered', text: 'I cannot help with that.' });
  });

  it.each(['plan', 'report', 'verdict'] as const)('gets a %s by its schema, in strict mode', async (format) => {
    const adapter = await start();
    const { text } = await ask(adapter, request({ format }));
    expect(parseFormat(format, text)).toMatchObject({ ok: true });
    expect(server.requests[0]!.body.response_format?.json_schema?.strict).toBe(true);
  });

  it.each([[[]], [['openai-tokens']]] as const)(
    'bounds and flags the usage of an endpoint that reports none, between the bill and the quote, as %j counts',
    async (compat) => {
      const calls = [{ name: 'look', arguments: { at: 'a' } }];
      const adapter = await start({ answer: () => ({ text: 'Ünïcödé 🏳️‍🌈 '.repeat(20), calls, usage: 'none' }) }, { compat });
      const reply = await ask(adapter, request(), { tools: [look] });
      expect(reply.usage.inputTokens).toBe(adapter.inputTokenBound(request(), [look]));
      expect(reply.estimated).toBe(true);
      const { billed } = server.requests[0]!;
      expect(reply.usage.inputTokens).toBeGreaterThanOrEqual(billed.inputTokens);
      expect(reply.usage.outputTokens).toBeGreaterThanOrEqual(billed.outputTokens);
      expect(reply.usage.outputTokens).toBeLessThanOrEqual(1_000);
    },
  );

  it('works with an endpoint that knows neither the new cap, nor stream options, nor schemas', async () => {
    const adapter = await start(
      { refuses: ['max_completion_tokens', 'stream_options', 'response_format'] },
      { compat: ['max-tokens', 'no-stream-options', 'no-format'] },
    );
    expect(await ask(adapter, request({ format: 'verdict', maxTokens: 3 }))).toMatchObject({ finish: 'length', estimated: true, usage: { outputTokens: 3 } });
    const told = await start({ refuses: ['max_completion_tokens'] }, { env: { OPENAI_COMPAT: 'max-tokens' } });
    expect((await ask(told)).text).toBe('You said: Say something.');
  });

  it.each([[[]], [['openai-tokens']]] as const)('is never billed more than the ledger says, over many calls, as %j counts', async (compat) => {
    const adapter = await start({ answer: (_, index) => ({ text: 'word '.repeat(index * 7), cachedTokens: index, reasoningTokens: index * 3 }) }, { compat });
    const gateway = createModelGateway({ adapters: [adapter], prices: createPrices(), toolSpecs: () => [look] });
    let spent = 0n;
    for (let i = 0; i < 12; i++) {
      const asked = request({ messages: [{ role: 'user', text: `Question ${i}: ${'why '.repeat(i * 5)}` }], maxTokens: 60, tools: ['look'] });
      const quote = gateway.quote(asked);
      const { spentNanos } = await gateway.call(asked, grantOf(60), { signal: new AbortController().signal });
      expect(spentNanos <= BigInt(quote.fixedNanos) + (60n * BigInt(quote.outputNanosPerMtok)) / 1_000_000n).toBe(true);
      spent += spentNanos;
    }
    expect(server.bill.calls).toBe(12);
    expect(spent >= server.bill.nanos).toBe(true);
    expect(spent - server.bill.nanos).toBeLessThanOrEqual(12n * 3n);
  });
});

describe('the chat-completions adapter, when the call fails', () => {
  it.each([
    ['a wrong key', 401, undefined, 'MODEL_UNAUTHORISED', 'none', false],
    ['a forbidden model', 403, undefined, 'MODEL_UNAUTHORISED', 'none', false],
    ['an unknown model', 404, 'model_not_found', 'MODEL_REJECTED', 'none', false],
    ['a bad request', 400, 'context_length_exceeded', 'MODEL_REJECTED', 'none', false],
    ['a request that is too large', 413, undefined, 'MODEL_REJECTED', 'none', false],
    ['an unprocessable request', 422, undefined, 'MODEL_REJECTED', 'none', false],
    ['a conflict', 409, undefined, 'MODEL_UNAVAILABLE', 'none', true],
    ['too many requests', 429, 'rate_limit_exceeded', 'MODEL_RATE_LIMITED', 'none', true],
    ['an empty account', 429, 'insufficient_quota', 'MODEL_REJECTED', 'none', false],
    ['a broken server', 500, undefined, 'MODEL_UNAVAILABLE', 'unknown', true],
    ['an overloaded server', 503, undefined, 'MODEL_UNAVAILABLE', 'unknown', true],
  ] as const)('%s (%i, %s) is %s, billed %s, and is sent once', async (_, status, code, expected, billing, retryable) => {
    const adapter = await start();
    server.next({ fault: 'status', status, ...(code && { code }) });
    const failed = await errorOf(ask(adapter));
    expect(failed).toMatchObject({ name: 'ModelError', code: expected, billing, retryable, details: { status, host: new URL(server.url).host } });
    expect(failed.message).toContain(`answered ${status}: status ${status} on demand`);
    expect(server.requests.length).toBe(1);
  });

  it.each([
    [{ 'retry-after': '2' }, 2_000],
    [{ 'retry-after': '0.25' }, 250],
    [{ 'retry-after-ms': '120', 'retry-after': '9' }, 120],
    [{ 'retry-after': 'Thu, 01 Jan 2026 00:00:30 GMT' }, 30_000],
    [{ 'retry-after': 'soon' }, undefined],
    [{}, undefined],
  ] as const)('knows from %j when to come back', async (headers, expected) => {
    const adapter = await start({}, { now: () => Date.parse('2026-01-01T00:00:00Z') });
    server.next({ fault: 'status', status: 429, headers });
    const failed = await errorOf(ask(adapter));
    expect(failed.details['retryAfterMs']).toBe(expected);
  });

  it('never repeats the key, whoever says it', async () => {
    const adapter = await start({ apiKey: 'sk-other-0123456789' });
    const refused = await errorOf(ask(adapter));
    expect(refused.code).toBe('MODEL_UNAUTHORISED');
    expect(refused.message).toContain('Incorrect API key provided: [key]');
    server.next({ fault: 'status', status: 500, message: `upstream said ${KEY} and sk-proj-AAAABBBBCCCC` });
    const broken = await errorOf(ask(createOpenAIAdapter({ apiKey: 'sk-other-0123456789', baseURL: server.url, env: {} })));
    for (const failed of [refused, broken]) {
      const everything = `${failed.message} ${failed.stack} ${JSON.stringify(failed)} ${JSON.stringify(failed.details)} ${String(failed.cause)}`;
      expect(everything).not.toMatch(/sk-[a-z]/);
    }
  });

  it('never reached anybody: nothing was spent', async () => {
    const free = await new Promise<number>((resolve) => {
      const probe = createServer().listen(0, '127.0.0.1', () => {
        const { port } = probe.address() as AddressInfo;
        probe.close(() => resolve(port));
      });
    });
    const refused = await errorOf(ask(createOpenAIAdapter({ apiKey: KEY, baseURL: `http://127.0.0.1:${free}/v1`, env: {} })));
    expect(refused).toMatchObject({ code: 'MODEL_UNREACHABLE', billing: 'none', retryable: true });
    expect(refused.message).toBe(`openai/gpt-4o-mini: cannot reach 127.0.0.1:${free} (ECONNREFUSED); check OPENAI_BASE_URL and the network`);
    const unknown = await errorOf(ask(createOpenAIAdapter({ apiKey: KEY, baseURL: 'http://nobody.invalid/v1', env: {} })));
    expect(unknown).toMatchObject({ code: 'MODEL_UNREACHABLE', billing: 'none', retryable: true });
  });

  it.each([
    ['a connection that breaks before the answer', { fault: 'cut', text: '', pieces: 0 }, 'MODEL_UNAVAILABLE'],
    ['a connection that breaks in the answer', { fault: 'cut', text: 'one two three', pieces: 2 }, 'MODEL_UNAVAILABLE'],
    ['an answer that just ends', { fault: 'unfinished' }, 'MODEL_UNAVAILABLE'],
    ['an error among the events', { fault: 'error-event' }, 'MODEL_UNAVAILABLE'],
    ['an event that is not JSON', { fault: 'bad-event' }, 'MODEL_BAD_REPLY'],
    ['a web page', { fault: 'html' }, 'MODEL_BAD_REPLY'],
  ] as const)('%s may have cost anything', async (_, fault, code) => {
    const adapter = await start();
    server.next(fault);
    expect(await errorOf(ask(adapter))).toMatchObject({ code, billing: 'unknown', retryable: true });
    expect(server.requests.length).toBe(1);
  });

  it.each([
    ['never begins', { fault: 'hang' }],
    ['stops in its middle', { fault: 'stall', text: 'one two three', pieces: 2 }],
  ] as const)('gives up on an answer that %s', async (_, fault) => {
    const adapter = await start();
    server.next(fault);
    expect(await errorOf(ask(adapter, request({ timeoutMs: 1_000 })))).toMatchObject({ code: 'MODEL_TIMEOUT', billing: 'unknown', retryable: true });
    await server.idle();
    expect(server.requests[0]!.abandoned).toBe(true);
  });

  it.each(['text', 'arguments', 'calls', 'event'] as const)('cuts off a server whose %s never ends, and asks it no more', async (of) => {
    const adapter = await start();
    server.next({ fault: 'flood', of });
    const heard: string[] = [];
    const asked = request({ maxTokens: 300, timeoutMs: 10_000 });
    const cut = await errorOf(ask(adapter, asked, { onText: (piece) => heard.push(piece) }));
    expect(cut).toMatchObject({ code: 'MODEL_REPLY_TOO_LARGE', billing: 'unknown', retryable: false });
    expect(cut.message).toMatch(/sent more than the 500000 bytes that an answer may have, for at most 300 tokens; it was cut off$/);
    expect(heard.join('').length).toBeLessThanOrEqual(REPLY_BYTES_MAX);
    await server.idle();
    expect(server.requests).toMatchObject([{ abandoned: true }]);
    const grant = grantOf(300);
    const gateway = createModelGateway({ adapters: [adapter], prices: createPrices(), toolSpecs: () => [] });
    expect(gateway.costOf(cut, asked, grant)).toMatchObject({ spentNanos: grant.amountNanos, usage: { outputTokens: 300 } });
  });

  it('cuts off a refusal whose words never end, and it is still a refusal', async () => {
    const adapter = await start();
    server.next({ fault: 'flood', of: 'error' });
    const refused = await errorOf(ask(adapter, request({ timeoutMs: 10_000 })));
    expect(refused).toMatchObject({ code: 'MODEL_REJECTED', billing: 'none', details: { status: 400 } });
    expect(refused.message.length).toBeLessThan(1_000);
    await server.idle();
    expect(server.requests).toMatchObject([{ abandoned: true }]);
  });

  it('takes a large answer that may be kept', async () => {
    const text = '"quoted"\n'.repeat(50_000);
    const adapter = await start({ answer: () => ({ calls: [{ name: 'look', arguments: { at: text.slice(0, 150_000) } }], refusal: text.slice(0, 250_000) }) });
    expect((await ask(adapter, request({ timeoutMs: 30_000 }), { tools: [look] })).text.length).toBe(250_000);
  });

  it('may be billed for what it aborted, and for nothing when it was not sent yet', async () => {
    const adapter = await start();
    const abort = new AbortController();
    server.next({ fault: 'stall', text: 'one two three', pieces: 2 });
    const heard: string[] = [];
    const aborted = await errorOf(
      ask(adapter, request(), {
        signal: abort.signal,
        onText: (piece) => {
          heard.push(piece);
          if (heard.length === 2) abort.abort();
        },
      }),
    );
    expect(aborted).toMatchObject({ code: 'MODEL_ABORTED', billing: 'unknown', retryable: false });
    await server.idle();
    const grant = grantOf();
    expect(await errorOf(ask(adapter, request(), { signal: abort.signal, grant }))).toMatchObject({ code: 'MODEL_ABORTED', billing: 'none' });
    expect(server.requests.length).toBe(1);
  });

  it('keeps an answer that is complete and paid, although the connection does not end', async () => {
    const adapter = await start({ answer: () => ({ text: 'done', endless: true }) });
    const reply = await ask(adapter, request({ timeoutMs: 100 }));
    expect(reply).toMatchObject({ text: 'done', finish: 'stop', usage: { outputTokens: 1 } });
    expect(reply.estimated).toBeUndefined();
    server.next({ text: 'done', endless: true, usage: 'none' });
    expect(await errorOf(ask(adapter, request({ timeoutMs: 100 })))).toMatchObject({ code: 'MODEL_TIMEOUT', billing: 'unknown' });
  });

  it('says before a run that the key is missing, and needs none where OpenAI is not asked', async () => {
    const keyless = createOpenAIAdapter({ env: {} });
    expect(keyless.ready!()).toMatchObject({
      code: 'MODEL_UNAUTHORISED',
      message: 'no key for openai/*: set OPENAI_API_KEY, or OPENAI_BASE_URL for an endpoint that needs none',
    });
    expect(await errorOf(ask(keyless))).toMatchObject({ code: 'MODEL_UNAUTHORISED', billing: 'none', retryable: false });
    expect(createOpenAIAdapter({ env: { OPENAI_BASE_URL: 'http://127.0.0.1:1/v1' } }).ready!()).toBeUndefined();
    expect(createOpenAIAdapter({ env: { OPENAI_BASE_URL: 'nonsense' } }).ready!()).toMatchObject({ code: 'MODEL_SETTING_INVALID' });
    const withPassword = createOpenAIAdapter({ env: { OPENAI_BASE_URL: 'http://me:secret@127.0.0.1:1/v1' } }).ready!();
    expect(withPassword?.message).toBe('OPENAI_BASE_URL: expected a URL without user and password; give the key in OPENAI_API_KEY');
    expect(createOpenAIAdapter({ env: { OPENAI_COMPAT: 'all' } }).ready!()).toMatchObject({ code: 'MODEL_SETTING_INVALID' });
  });
});
