import { describe, expect, it } from 'vitest';
import { accepted, badReply, correction, readReply } from '../../../src/actors/conversation.ts';
import type { AgentProfile } from '../../../src/protocols/agent.ts';
import type { ModelReply } from '../../../src/protocols/model.ts';

const profile: AgentProfile = {
  name: 'checker',
  role: 'a reviewer',
  goal: '',
  backstory: '',
  model: 'p/m',
  tools: [],
  limits: { turns: 1, maxTokens: 500, attempts: 2, timeoutMs: 60_000 },
};
const reply = (text: string, finish: ModelReply['finish'] = 'stop'): ModelReply => ({
  text,
  toolCalls: [],
  finish,
  usage: { inputTokens: 1, outputTokens: 500, cachedInputTokens: 0, reasoningTokens: 0 },
  model: 'm-1',
});
const cutOff = reply('{"text": "so"}', 'length');

describe('a reply that is not what was asked for', () => {
  it('is followed by what is wrong with it, in the same conversation', () => {
    expect(correction(reply('Good.'), 'not JSON')).toEqual([
      { role: 'assistant', text: 'Good.', toolCalls: [] },
      { role: 'user', text: expect.stringContaining('not what was asked for: not JSON. Answer again, with JSON only') as string },
    ]);
  });

  it('and was cut off is asked for shorter: that is what a model can do about it', () => {
    expect(correction(cutOff, 'cut off').at(-1)!.text).toContain('Answer again, shorter, with JSON only');
  });

  it('is told to people with the agent, the model, what is wrong and how it began', () => {
    const said = badReply(profile, 500, reply(`Good. ${'x'.repeat(900)}`), 'not JSON');
    expect(said).toMatchObject({
      code: 'MODEL_BAD_REPLY',
      retryable: false,
      message: 'm-1 did not give checker what was asked for: not JSON',
      details: { agent: 'checker', model: 'm-1', problem: 'not JSON', text: `Good. ${'x'.repeat(494)}` },
    });
  });

  it.each([
    ['the limit of its agent', 500, 'raise agents.checker.limits.max_tokens, now 500'],
    ['the limit of its agent, when no account said anything', undefined, 'raise agents.checker.limits.max_tokens, now 500'],
    ['what the account had money for', 90, 'raise budget.limit'],
  ])('and was cut off by %s says to people what to raise', (_, granted, advice) => {
    const { message } = badReply(profile, granted, cutOff, 'the report was cut off after 500 tokens');
    expect(message).toContain(`: the report was cut off after 500 tokens; `);
    expect(message).toContain(advice);
    expect(message).not.toContain('shorter');
  });
});

describe('reading a reply', () => {
  it('takes none that was cut off, though it may be JSON, and says after how many tokens', () => {
    expect(readReply('report', cutOff)).toEqual({ ok: false, problem: 'the report was cut off after 500 tokens' });
    expect(readReply('report', reply('{"text": "so"}'))).toMatchObject({ ok: true, value: { text: 'so' } });
  });

  it('has a value where a guard has let it through, and nowhere else', () => {
    expect(accepted(readReply('report', reply('{"text": "so"}')))).toEqual({ text: 'so', citations: [] });
    expect(() => accepted(readReply('report', cutOff))).toThrow('cut off');
  });
});
