import { describe, expect, it } from 'vitest';
import { evidenceRequest, heldCitations, looksForEvidence, opening, question, type Work } from '../../../src/actors/reviewer/policy.ts';
import { readReply, request } from '../../../src/actors/conversation.ts';
import type { AgentProfile } from '../../../src/protocols/agent.ts';
import type { ModelReply } from '../../../src/protocols/model.ts';

const profile = (...tools: string[]): AgentProfile => ({
  name: 'checker',
  role: 'a reviewer',
  goal: '',
  backstory: '',
  model: 'p/m',
  tools,
  limits: { turns: 3, maxTokens: 500, attempts: 2, timeoutMs: 60_000 },
});
const citation = { file: 'a.md', line: 3, quote: 'it is so' };
const work = (...citations: Work['citations']): Work => ({
  step: 's1',
  attempt: 2,
  goal: 'why?',
  instructions: 'look it up',
  text: 'It is so [1].',
  citations,
});
const reply = (text: string, finish: ModelReply['finish'] = 'stop'): ModelReply => ({
  text,
  toolCalls: [],
  finish,
  usage: { inputTokens: 1, outputTokens: 1, cachedInputTokens: 0, reasoningTokens: 0 },
  model: 'm',
});
const evidence = { callId: 'evidence', tool: 'check_quotes', input: {}, ok: true, text: '[1] stands in a.md:3', ms: 1, time: 1 };

describe('evidence', () => {
  it('says of each citation where it stands, or that it does not', () => {
    const output = [
      { ...citation, result: 'ok' },
      { ...citation, result: 'moved', foundAt: 9 },
      { ...citation, result: 'missing' },
    ];
    expect(heldCitations(work(citation, citation, citation), { ...evidence, output })).toEqual([citation, { ...citation, line: 9 }, null]);
  });

  it('that says nothing of each citation changes none', () => {
    const ok = { ...citation, result: 'ok' };
    for (const broken of [
      { ...evidence },
      { ...evidence, output: [ok] },
      { ...evidence, ok: false, output: [ok, ok] },
      { ...evidence, output: 'all is well' },
    ]) {
      expect(heldCitations(work(citation, citation), broken)).toBeUndefined();
    }
  });

  it.each([
    ['there is something to compare and a tool for it', profile('check_quotes'), work(citation), true],
    ['there is no tool', profile('read_file'), work(citation), false],
    ['nothing is cited', profile('check_quotes'), work(), false],
  ])('is looked for when %s: %#', (_, who, what, looks) => {
    expect(looksForEvidence(who, what)).toBe(looks);
  });

  it('is asked for with the citations, on the name of the reviewer', () => {
    expect(evidenceRequest(profile(), work(citation))).toEqual({
      call: { id: 'evidence', name: 'check_quotes', input: { citations: [citation] } },
      agent: 'checker',
    });
  });

  it.each([
    ['what the tool found', work(citation), evidence, '# Evidence\n[1] stands in a.md:3'],
    ['that nothing is cited', work(), undefined, '# Evidence\nThe report cites nothing.'],
  ])('shows %s', (_, what, found, part) => {
    expect(opening(profile(), what, found).at(-1)!.text).toContain(part);
  });

  it('is not spoken of when nobody looked', () => {
    expect(opening(profile(), work(citation), undefined).at(-1)!.text).not.toContain('# Evidence');
  });
});

describe('a review', () => {
  it('shows the question, the task, and the report with its sources', () => {
    expect(opening(profile(), work(citation), evidence).at(-1)!.text).toContain(
      '# Question\nwhy?\n\n# Task\nlook it up\n\n# Report to check\nIt is so [1].\nSources:\n[1] a.md:3 "it is so"',
    );
  });

  it('asks its model for a verdict, without tools', () => {
    expect(request(profile('check_quotes'), [], 'verdict')).toMatchObject({ format: 'verdict', tools: [], maxTokens: 500, minTokens: 64 });
  });

  it.each([
    ['{"verdict": "accept", "confidence": 0.5}', 'stop', true],
    ['{"verdict": "accept", "confidence": 0.5}', 'length', false],
    ['{"verdict": "perhaps", "confidence": 0.5}', 'stop', false],
    ['{"verdict": "accept"}', 'stop', false],
    ['{"verdict": "accept", "confidence": 1.1}', 'stop', false],
    ['Good.', 'stop', false],
  ] as const)('takes %s (%s): %s', (text, finish, ok) => {
    expect(readReply('verdict', reply(text, finish)).ok).toBe(ok);
  });

  it('tells a person what the model says and how sure it is', () => {
    expect(question(work(), { verdict: 'accept', reasons: [], confidence: 0.333 })).toBe(
      'Step s1: the reviewer says "accept" with a confidence of 0.33. Is the work good enough?',
    );
  });
});
