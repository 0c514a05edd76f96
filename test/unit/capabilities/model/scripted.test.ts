import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { ModelError } from '../../../../src/capabilities/model/port.ts';
import { createScriptedAdapter, type ScriptedAdapter } from '../../../../src/capabilities/model/scripted/adapter.ts';
import { parseScript } from '../../../../src/capabilities/model/scripted/script.ts';
import { Grant } from '../../../../src/protocols/grant.ts';
import { ModelRequest, type ModelReply } from '../../../../src/protocols/model.ts';

let grants = 0;
const grantOf = (maxTokens = 1_000): Grant =>
  Grant.from({ grant: `g#${++grants}`, amountNanos: '1', maxTokens, deadline: Number.MAX_SAFE_INTEGER, leftNanos: '0' });

const request = (text = 'Hello', more: Partial<ModelRequest> = {}): ModelRequest =>
  ModelRequest.parse({ model: 'scripted/any', messages: [{ role: 'user', text }], maxTokens: 1_000, ...more });

const ask = (
  adapter: ScriptedAdapter,
  asked = request(),
  grant = grantOf(),
  signal = new AbortController().signal,
  onText?: (piece: string) => void,
): Promise<ModelReply> => adapter.call(asked, grant, { signal, tools: [], onText });

const errorOf = (calling: Promise<unknown>): Promise<ModelError> =>
  calling.then(
    () => Promise.reject(new Error('expected it to fail')),
    (thrown: ModelError) => thrown,
  );

/** Time that passes only by waiting. */
const held = () => {
  const slept: number[] = [];
  return { slept, sleep: (ms: number) => Promise.resolve(void slept.push(ms)) };
};

describe('the scripted model', () => {
  it('uses a list up in its order and then says that nothing is left', async () => {
    const adapter = createScriptedAdapter(['one', { text: 'two' }, (asked) => `three: ${asked.messages[0]!.text}`]);
    expect((await ask(adapter)).text).toBe('one');
    expect((await ask(adapter)).text).toBe('two');
    expect((await ask(adapter)).text).toBe('three: Hello');
    const failed = await errorOf(ask(adapter));
    expect(failed).toMatchObject({ code: 'MODEL_REJECTED', billing: 'none', retryable: false });
    expect(failed.message).toBe('scripted: the script of scripted/any has no answer left for this request');
  });

  it('takes the first turn that fits the request, again and again if it says so', async () => {
    const adapter = createScriptedAdapter([{ when: 'draft', repeat: true, text: 'about the draft' }, 'anything']);
    expect((await ask(adapter, request('Is the draft done?'))).text).toBe('about the draft');
    expect((await ask(adapter, request('Hello'))).text).toBe('anything');
    expect((await ask(adapter, request('The draft again'))).text).toBe('about the draft');
  });

  it('answers each name by its own script', async () => {
    const adapter = createScriptedAdapter({ writer: ['from the writer'], checker: () => 'from the checker' });
    expect((await ask(adapter, request('x', { model: 'scripted/checker' }))).text).toBe('from the checker');
    expect((await ask(adapter, request('x', { model: 'scripted/writer' }))).text).toBe('from the writer');
    expect((await errorOf(ask(adapter))).message).toBe('scripted: no script is called "any"; known: writer, checker');
  });

  it('calls tools, under ids that differ from round to round', async () => {
    const adapter = createScriptedAdapter(() => ({
      calls: [
        { name: 'look', input: { at: 'a' } },
        { name: 'look', input: { at: 'b' } },
      ],
    }));
    const first = await ask(adapter);
    expect(first).toMatchObject({ finish: 'tools', text: '', toolCalls: [{ id: 'call-1-1', name: 'look', input: { at: 'a' } }, { id: 'call-1-2' }] });
    const second = await ask(adapter, request('x', { messages: [{ role: 'assistant', text: '', toolCalls: first.toolCalls }] }));
    expect(second.toolCalls.map(({ id }) => id)).toEqual(['call-2-1', 'call-2-2']);
  });

  it('cuts an answer at the cap, between characters, and says so', async () => {
    const reply = await ask(
      createScriptedAdapter(() => '€'.repeat(100)),
      request('x', { maxTokens: 50 }),
      grantOf(5),
    );
    expect(reply).toMatchObject({ text: '€'.repeat(6), finish: 'length' });
    expect(reply.usage.outputTokens).toBe(5);
  });

  it('drops tool calls that do not fit under the cap', async () => {
    const reply = await ask(
      createScriptedAdapter(() => ({ text: 'ok', calls: [{ name: 'look', input: { at: 'a'.repeat(100) } }] })),
      request(),
      grantOf(3),
    );
    expect(reply).toMatchObject({ text: 'ok', toolCalls: [], finish: 'length' });
  });

  it('fails as the script says; a refusal costs nothing, a lost answer perhaps everything', async () => {
    const adapter = createScriptedAdapter([
      { error: { code: 'MODEL_RATE_LIMITED', retryAfterMs: 50 } },
      { error: { code: 'MODEL_UNAVAILABLE' } },
      { error: { code: 'MODEL_UNAUTHORISED' } },
    ]);
    expect(await errorOf(ask(adapter))).toMatchObject({ code: 'MODEL_RATE_LIMITED', retryable: true, billing: 'none', details: { retryAfterMs: 50 } });
    expect(await errorOf(ask(adapter))).toMatchObject({ code: 'MODEL_UNAVAILABLE', retryable: true, billing: 'unknown' });
    expect(await errorOf(ask(adapter))).toMatchObject({ code: 'MODEL_UNAUTHORISED', retryable: false, billing: 'none' });
  });

  it('waits before the first word and between words', async () => {
    const time = held();
    await ask(createScriptedAdapter([{ text: 'one two three', delayMs: 500, paceMs: 20 }], time));
    expect(time.slept).toEqual([500, 20, 20]);
  });

  it('gives up when the request has waited long enough', async () => {
    const time = held();
    const failed = await errorOf(ask(createScriptedAdapter([{ text: 'late', delayMs: 500 }], time), request('x', { timeoutMs: 200 })));
    expect(failed).toMatchObject({ code: 'MODEL_TIMEOUT', billing: 'unknown', retryable: true });
    expect(time.slept).toEqual([200]);
  });

  it('is billed for the words that had come when it is aborted', async () => {
    const abort = new AbortController();
    const failed = await errorOf(
      ask(createScriptedAdapter([{ text: 'one two three four', paceMs: 60_000 }]), request(), grantOf(), abort.signal, () => abort.abort()),
    );
    expect(failed).toMatchObject({ code: 'MODEL_ABORTED', billing: { outputTokens: 1 } });
  });

  it('keeps a record of what it was asked and what came of it', async () => {
    const adapter = createScriptedAdapter(['fine', { error: { code: 'MODEL_REJECTED' } }]);
    const reply = await ask(adapter, request('first'));
    const failed = await errorOf(ask(adapter, request('second')));
    expect(adapter.calls.map(({ request: asked, outcome }) => [asked.messages[0]!.text, outcome])).toEqual([
      ['first', reply],
      ['second', failed],
    ]);
  });
});

describe('a script in a file', () => {
  it('says the same as one in code', () => {
    const file = `
- Paris.
- when: draft complete
  repeat: true
  json: { verdict: accept, reasons: [], confidence: 0.9 }
- calls: [{ name: search_files, input: { query: refund } }]
- error: { code: MODEL_RATE_LIMITED, retry_after_ms: 200 }
- { text: Slow and steady., delay_ms: 500, pace_ms: 20 }
`;
    expect(parseScript(parse(file), 'demo.yaml')).toEqual([
      'Paris.',
      { when: 'draft complete', repeat: true, json: { verdict: 'accept', reasons: [], confidence: 0.9 } },
      { calls: [{ name: 'search_files', input: { query: 'refund' } }] },
      { error: { code: 'MODEL_RATE_LIMITED', retryAfterMs: 200 } },
      { text: 'Slow and steady.', delayMs: 500, paceMs: 20 },
    ]);
  });

  it.each([
    [[{ txt: 'x' }], 'demo.yaml: script.0: unknown key "txt"'],
    [[{ text: 1 }], 'demo.yaml: script.0.text: expected text, found 1'],
    [[], 'demo.yaml: script: expected at least 1 entry, found an empty list'],
    [[7], 'demo.yaml: script.0: expected a text, or an object with text, json, calls or error, found 7'],
    [[{ calls: [{ name: '' }] }], 'demo.yaml: script.0.calls.0.name: expected text, found ""'],
  ])('refuses %j', (data, said) => {
    expect(() => parseScript(data, 'demo.yaml')).toThrow(said);
  });
});
