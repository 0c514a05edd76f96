import { describe, expect, it } from 'vitest';
import { brokenCall, callsOf, CALLS_MAX, nextRequest, observed, opening, readReport } from '../../../src/actors/worker/policy.ts';
import type { AgentProfile } from '../../../src/protocols/agent.ts';
import { failure } from '../../../src/protocols/failure.ts';
import type { ModelReply } from '../../../src/protocols/model.ts';
import type { ToolRecord } from '../../../src/protocols/tool.ts';

const profile: AgentProfile = {
  name: 'reader',
  role: 'a reader',
  goal: 'to read',
  backstory: 'It reads.',
  model: 'p/m',
  tools: ['look'],
  limits: { turns: 3, maxTokens: 500, attempts: 2, timeoutMs: 60_000 },
};
const task = { step: 's1', attempt: 1, goal: 'why?', instructions: 'look it up', findings: [] };
const reply = (calls: number, more: Partial<ModelReply> = {}): ModelReply => ({
  text: '',
  toolCalls: Array.from({ length: calls }, (_, index) => ({ id: `c${index}`, name: 'look', input: { index } })),
  finish: 'tools',
  usage: { inputTokens: 1, outputTokens: 1, cachedInputTokens: 0, reasoningTokens: 0 },
  model: 'm',
  ...more,
});
const record = (callId: string): ToolRecord => ({ callId, tool: 'look', input: {}, ok: true, text: `found by ${callId}`, ms: 1, time: 1 });

describe('the opening of a task', () => {
  it('says who the worker is, what is asked, and nothing that is not there', () => {
    const [system, user] = opening(profile, task);
    for (const part of ['You are reader, a reader.', 'Your goal: to read', 'It reads.', 'Look things up']) expect(system!.text).toContain(part);
    expect(user!.text).toBe('# Question\nwhy?\n\n# Task\nlook it up');
  });

  it('says nothing of tools to who has none', () => {
    expect(opening({ ...profile, tools: [] }, task)[0]!.text).not.toContain('Look things up');
  });

  it('gives what other steps found, with its sources', () => {
    const findings = [{ step: 'a', agent: 'reader', text: 'so [1]', citations: [{ file: 'a.md', line: 3, quote: 'it "is" so' }] }];
    expect(opening(profile, { ...task, findings })[1]!.text).toContain('# Findings\n## a (reader)\nso [1]\nSources:\n[1] a.md:3 "it \\"is\\" so"');
  });

  it('gives what was said against the last attempt, and that attempt', () => {
    const feedback = { previous: 'It is so.', reasons: ['cite it', 'be brief'] };
    expect(opening(profile, { ...task, feedback })[1]!.text).toContain('# Feedback\n- cite it\n- be brief\n\nYour last answer was:\nIt is so.');
  });
});

describe('a request', () => {
  it.each([
    [1, ['look']],
    [2, ['look']],
    [3, []],
    [4, []],
  ])('of turn %i has the tools %j (W2)', (turn, tools) => {
    expect(nextRequest(profile, [], turn).tools).toEqual(tools);
  });

  it('asks for a report within the bounds of its profile', () => {
    expect(nextRequest(profile, [], 1)).toMatchObject({ model: 'p/m', format: 'report', maxTokens: 500, minTokens: 64, timeoutMs: 60_000 });
  });
});

describe('tool calls', () => {
  it('are made up to a bound, and the rest is refused in words', () => {
    const many = reply(CALLS_MAX + 2);
    const made = callsOf(many);
    expect(made.length).toBe(CALLS_MAX);
    const messages = observed(
      many,
      made.map(({ id }) => record(id)),
    );
    expect(messages.length).toBe(CALLS_MAX + 2);
    expect(messages.slice(CALLS_MAX)).toEqual(
      many.toolCalls.slice(CALLS_MAX).map(({ id }) => ({ role: 'tool', callId: id, ok: false, text: expect.stringContaining('not made') as string })),
    );
  });

  it('are answered in the order in which they were asked for, whichever ended first (W4)', () => {
    const messages = observed(reply(3), ['c2', 'c0', 'c1'].map(record));
    expect(messages.map((said) => (said.role === 'tool' ? [said.callId, said.text] : []))).toEqual(['c0', 'c1', 'c2'].map((id) => [id, `found by ${id}`]));
  });

  it('that broke are something to read (W4)', () => {
    const why = failure('TOOL_BROKEN', 'the disk is gone');
    expect(brokenCall({ id: 'c0', name: 'look', input: { page: 1 } }, why, 42)).toMatchObject({
      callId: 'c0',
      tool: 'look',
      input: { page: 1 },
      ok: false,
      text: 'the disk is gone',
      failure: why,
      time: 42,
    });
  });
});

describe('an answer', () => {
  it('that was cut off is not taken, though it may be JSON', () => {
    expect(readReport(profile, reply(0, { text: '{"text": "so"}', finish: 'length' }))).toMatchObject({ ok: false });
    expect(readReport(profile, reply(0, { text: '{"text": "so"}', finish: 'stop' }))).toMatchObject({ ok: true, value: { text: 'so', citations: [] } });
  });

  it('is none when it calls tools that it was not given', () => {
    expect(readReport(profile, reply(1, { text: '{"text": "so"}' }))).toMatchObject({ ok: false, problem: expect.stringContaining('called tools') as string });
  });
});
