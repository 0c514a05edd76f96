import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Tool } from '../../../../src/capabilities/tool/port.ts';
import { createToolbox, TEXT_CHARS_MAX } from '../../../../src/capabilities/tool/toolbox.ts';
import { TroupeError } from '../../../../src/protocols/failure.ts';
import { ToolRecord } from '../../../../src/protocols/tool.ts';

const tool = (name: string, run: Tool['run'], more: Partial<Tool> = {}): Tool => ({
  name,
  description: `does ${name}`,
  input: z.object({ count: z.number().int().default(1).describe('how often') }),
  timeoutMs: 10_000,
  run,
  render: String,
  ...more,
});

const echo = tool('echo', async (input) => `count ${(input as { count: number }).count}`);
const never = tool('never', () => new Promise(() => undefined), { timeoutMs: 5 });
const broken = tool('broken', () => {
  throw new TypeError('no such thing');
});
const refusing = tool('refusing', async () => {
  throw new TroupeError('FILE_NOT_FOUND', 'there is no file "x"; list_files shows what there is');
});
const long = tool('long', async () => 'x'.repeat(TEXT_CHARS_MAX * 3));

const box = createToolbox({
  tools: [echo, never, broken, refusing, long],
  folders: [],
  allowed: { reader: ['echo', 'never', 'broken', 'refusing', 'long', 'gone'], writer: [] },
  now: () => 42,
});

const run = async (name: string, input: Record<string, unknown> = {}, agent = 'reader', signal = new AbortController().signal) => {
  const record = await box.run({ call: { id: 'c1', name, input }, agent }, signal);
  expect(ToolRecord.parse(record)).toEqual(record);
  return record;
};

describe('the toolbox', () => {
  it('tells a model what a tool takes, as JSON Schema', () => {
    expect(box.specs(['echo'])).toEqual([
      {
        name: 'echo',
        description: 'does echo',
        parameters: {
          type: 'object',
          properties: { count: { default: 1, description: 'how often', type: 'integer', maximum: Number.MAX_SAFE_INTEGER, minimum: Number.MIN_SAFE_INTEGER } },
        },
      },
    ]);
    expect(() => box.specs(['ecco'])).toThrow(/there is no tool "ecco"; there are: echo, never/);
  });

  it('records what went in and what came out', async () => {
    expect(await run('echo')).toEqual({ callId: 'c1', tool: 'echo', input: {}, ok: true, text: 'count 1', output: 'count 1', ms: 0, time: 42 });
  });

  it('runs only what the agent was given (T1)', async () => {
    expect(await run('echo', {}, 'writer')).toMatchObject({ ok: false, failure: { code: 'TOOL_NOT_ALLOWED' } });
    expect(await run('echo', {}, 'stranger')).toMatchObject({ ok: false, failure: { code: 'TOOL_NOT_ALLOWED' } });
  });

  it('answers an unknown tool and wrong input in words (T2)', async () => {
    expect(await run('gone')).toMatchObject({ ok: false, failure: { code: 'TOOL_UNKNOWN' } });
    const wrong = await run('echo', { count: 'many' });
    expect(wrong).toMatchObject({ ok: false, failure: { code: 'TOOL_BAD_INPUT' } });
    expect(wrong.text).toMatch(/^echo does not take this input: count: .*number.*; put it right and call again$/);
  });

  it('gives what a tool threw as a result (T2)', async () => {
    expect(await run('refusing')).toMatchObject({
      ok: false,
      text: 'there is no file "x"; list_files shows what there is',
      failure: { code: 'FILE_NOT_FOUND' },
    });
    expect(await run('broken')).toMatchObject({ ok: false, text: 'broken failed: no such thing', failure: { code: 'TOOL_FAILED' } });
  });

  it('stops waiting for a tool that takes too long, or is not wanted any more (T2)', async () => {
    expect(await run('never')).toMatchObject({ ok: false, failure: { code: 'TOOL_TIMEOUT', retryable: true } });
    expect(await run('echo', {}, 'reader', AbortSignal.abort())).toMatchObject({ ok: false, failure: { code: 'TOOL_ABORTED' } });
    const stop = new AbortController();
    const stopped = run('never', {}, 'reader', stop.signal);
    stop.abort();
    expect(await stopped).toMatchObject({ ok: false, failure: { code: 'TOOL_ABORTED' } });
  });

  it('cuts a long text, says so, and leaves the output out of the record (T3)', async () => {
    const record = await run('long');
    expect(record.text.length).toBeLessThan(TEXT_CHARS_MAX + 200);
    expect(record.text).toMatch(/cut: 40000 more characters/);
    expect(record.output).toBeUndefined();
  });
});
