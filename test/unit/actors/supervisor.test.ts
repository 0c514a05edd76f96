import { describe, expect, it } from 'vitest';
import { change, openPlan, type Plan, type Step } from '../../../src/actors/supervisor/plan.ts';
import {
  decided,
  dispatch,
  keepKnownSources,
  readPlan,
  planning,
  recall,
  reviewed,
  reviewFailed,
  soleAnswer,
  synthesis,
  taskCompleted,
  taskFailed,
  type OnRejected,
  type SupervisorInput,
} from '../../../src/actors/supervisor/policy.ts';
import { readReply, request } from '../../../src/actors/conversation.ts';
import { failure } from '../../../src/protocols/failure.ts';
import type { Citation } from '../../../src/protocols/formats.ts';
import type { Address, RunId } from '../../../src/protocols/ids.ts';
import type { ModelReply } from '../../../src/protocols/model.ts';

const team = (change: Partial<SupervisorInput> = {}): SupervisorInput & { goal: string; endsAt: number; now: number } => ({
  goal: 'why?',
  endsAt: 9_000,
  now: 1_000,
  run: 'r-plan' as RunId,
  profile: {
    name: 'lead',
    role: 'a lead',
    goal: 'to lead',
    backstory: '',
    model: 'p/m',
    tools: [],
    limits: { turns: 3, maxTokens: 500, attempts: 2, timeoutMs: 60_000 },
  },
  agents: [
    { name: 'reader', description: 'reads pages' },
    { name: 'writer', description: 'writes' },
  ],
  teams: [],
  maxDepth: 4,
  reviewers: ['checker'],
  merge: 'all',
  plan: undefined,
  inputs: {},
  maxSteps: 3,
  concurrency: 2,
  reviewRounds: 1,
  onRejected: 'accept_with_note',
  deadlineMs: 1,
  askMs: 5_000,
  account: 'r-plan.budget' as Address,
  approver: 'r-plan.approver' as Address,
  answersPartly: false,
  ...change,
});

const source = (line: number): Citation => ({ file: 'a.md', line, quote: `line ${line}` });
const single = (to: Partial<Step> = {}): Plan => change(openPlan([{ id: 'a', agent: 'reader', task: 'look', needs: [], onFailure: 'continue' }]), 'a', to);
const done = { step: 'a', attempt: 1, text: 'found [1]', citations: [source(1)], turns: 2 };
const CHECKER = 'r-plan.reviewer.checker.a-1' as Address;
const verdict = (said: 'accept' | 'revise' | 'reject', reasons: string[] = ['cite it'], attempt = 1) => ({
  from: CHECKER,
  step: 'a',
  attempt,
  verdict: said,
  reasons,
  confidence: 1,
});
const reply = (text: string, finish: ModelReply['finish'] = 'stop'): ModelReply => ({
  text,
  toolCalls: [],
  finish,
  usage: { inputTokens: 1, outputTokens: 1, cachedInputTokens: 0, reasoningTokens: 0 },
  model: 'm',
});

describe('dispatch', () => {
  it('assigns what may run, to a worker of its own for each attempt', () => {
    const { plan, outbox } = dispatch(team(), single());
    expect(plan[0]).toMatchObject({ status: 'running', attempt: 1 });
    expect(outbox).toEqual([
      { type: 'task.assign', to: 'r-plan.worker.reader.a-1', step: 'a', attempt: 1, goal: 'why?', instructions: 'look', findings: [], deadline: 9_000 },
    ]);
  });

  it('gives a step what it needs: results, and what is known of a failure', () => {
    let plan = openPlan([
      { id: 'a', agent: 'reader', task: 'look', needs: [], onFailure: 'continue' },
      { id: 'b', agent: 'writer', task: 'look too', needs: [], onFailure: 'continue' },
      { id: 'c', agent: 'writer', task: 'write', needs: ['a', 'b'], onFailure: 'continue' },
    ]);
    plan = change(change(plan, 'a', { status: 'completed', text: 'found [1]', citations: [source(1)] }), 'b', {
      status: 'failed',
      failure: failure('TASK_TIMEOUT', 'too slow'),
    });
    expect(dispatch(team(), plan).outbox).toMatchObject([
      {
        step: 'c',
        findings: [
          { step: 'a', agent: 'reader', text: 'found [1]', citations: [source(1)] },
          { step: 'b', agent: 'writer', text: 'This step failed: too slow', citations: [] },
        ],
      },
    ]);
  });
});

describe('a completed task', () => {
  const running = single({ status: 'running', attempt: 1 });

  it('goes to the reviewer, for whom it is an instance of its own', () => {
    const { plan, outbox } = taskCompleted(team(), running, done);
    expect(plan[0]).toMatchObject({ status: 'reviewing', text: 'found [1]' });
    expect(outbox).toMatchObject([
      { type: 'review.request', to: 'r-plan.reviewer.checker.a-1', step: 'a', attempt: 1, text: 'found [1]', citations: [source(1)] },
    ]);
  });

  it('is done where nobody reviews', () => {
    const { plan, outbox } = taskCompleted(team({ reviewers: [] }), running, done);
    expect([plan[0]!.status, outbox]).toEqual(['completed', []]);
  });

  it('has the value of its own attempt, and none where that has none', () => {
    const again = single({ status: 'running', attempt: 2, takenOver: true, text: '{"n": 1}', output: { n: 1 } });
    const { plan } = taskCompleted(team(), again, { ...done, attempt: 2 });
    expect(plan[0]).toMatchObject({ status: 'completed', text: 'found [1]' });
    expect(plan[0]!.output).toBeUndefined();
  });

  it('of an attempt that is not the present one changes nothing (P4)', () => {
    expect(taskCompleted(team(), running, { ...done, attempt: 2 })).toEqual({ plan: running, outbox: [] });
    expect(taskFailed(team(), running, { step: 'a', attempt: 2, failure: failure('X', 'x') })).toEqual({ plan: running, outbox: [] });
  });
});

describe('a review', () => {
  it('leaves no source that does not hold its quote, and moves one that stands elsewhere (S4)', () => {
    const plan = single({ status: 'reviewing', attempt: 1, text: 'One [1]. Two [2]. Three [7].', citations: [source(1), source(2)] });
    const { plan: after } = reviewed(team(), plan, { ...verdict('accept'), held: [null, { ...source(2), line: 5 }] });
    expect(after[0]).toMatchObject({ status: 'completed', text: 'One. Two [1]. Three.', citations: [{ ...source(2), line: 5 }] });
  });

  const reviewing = (attempt = 1) => single({ status: 'reviewing', attempt, revisions: attempt - 1, text: 'found [1]', citations: [source(1)] });

  it('that accepts completes the step', () => {
    expect(reviewed(team(), reviewing(), verdict('accept', ['nice'])).plan[0]).toMatchObject({ status: 'completed', text: 'found [1]', objections: [] });
  });

  it.each(['revise', 'reject'] as const)('that says %s has the step done again with what was said, while there are rounds left', (said) => {
    const { plan, outbox } = reviewed(team(), reviewing(), verdict(said));
    expect(plan[0]).toMatchObject({ status: 'running', attempt: 2 });
    expect(outbox).toMatchObject([
      { type: 'task.assign', to: 'r-plan.worker.reader.a-2', attempt: 2, feedback: { previous: 'found [1]', reasons: ['cite it'] } },
    ]);
  });

  it('without reasons still says something to whoever does it again', () => {
    expect(reviewed(team(), reviewing(), verdict('revise', [])).outbox).toMatchObject([{ feedback: { reasons: ['the review says "revise"'] } }]);
  });

  it.each<[OnRejected, Partial<Step>]>([
    ['accept_with_note', { status: 'completed', text: 'found [1]\n(The review still objects: cite it)' }],
    ['fail', { status: 'failed' }],
    ['ask', { status: 'asking' }],
  ])('that still does not accept, with no round left: %s', (onRejected, expected) => {
    const { plan, outbox } = reviewed(team({ onRejected }), reviewing(2), verdict('revise', undefined, 2));
    expect(plan[0]).toMatchObject(expected);
    expect(outbox.map(({ type }) => type)).toEqual(onRejected === 'ask' ? ['approval.request'] : []);
    if (onRejected === 'fail') expect(plan[0]!.failure).toMatchObject({ code: 'STEP_REJECTED', details: { objections: ['cite it'] } });
    if (onRejected === 'ask') expect(outbox[0]).toMatchObject({ to: 'r-plan.approver', approval: 'step-a-2', timeoutMs: 5_000, otherwise: 'deny' });
  });

  it('with no rounds at all is the last word at once', () => {
    expect(reviewed(team({ reviewRounds: 0 }), reviewing(), verdict('revise')).plan[0]!.status).toBe('completed');
  });

  it('that could not be made counts as one that did not accept', () => {
    const missed = { from: CHECKER, step: 'a', attempt: 1, failure: failure('REVIEW_TIMEOUT', 'too slow') };
    expect(reviewFailed(team(), reviewing(), missed).plan[0]).toMatchObject({
      status: 'completed',
      text: 'found [1]\n(The review still objects: not reviewed: too slow)',
    });
    expect(reviewFailed(team({ onRejected: 'fail' }), reviewing(), missed).plan[0]!.status).toBe('failed');
  });

  it.each(['BUDGET_EXHAUSTED', 'BUDGET_CLOSED', 'MODEL_UNAUTHORISED'])(
    'that could not be made for %s fails the step: every other call would meet the same',
    (code) => {
      const { plan } = reviewFailed(team(), reviewing(), { from: CHECKER, step: 'a', attempt: 1, failure: failure(code, 'no') });
      expect(plan[0]).toMatchObject({ status: 'failed', failure: { code } });
    },
  );
});

describe('a person', () => {
  const asking = single({ status: 'asking', attempt: 2, text: 'found', objections: ['cite it'] });
  const said = (approval: string, decision: 'approve' | 'deny') => ({ approval, decision, by: 'ann', note: '' });

  it.each([
    ['approve', 'completed'],
    ['deny', 'failed'],
  ] as const)('who says %s has the step %s', (decision, status) => {
    expect(decided(team(), asking, said('step-a-2', decision)).plan[0]!.status).toBe(status);
  });

  it('who answers another question changes nothing', () => {
    for (const approval of ['step-a-1', 'step-b-2', 'review-a-2'])
      expect(decided(team(), asking, said(approval, 'approve'))).toEqual({ plan: asking, outbox: [] });
  });
});

describe('recall', () => {
  it.each([
    ['running', ['r-plan.worker.reader.a-1']],
    ['reviewing', ['r-plan.reviewer.checker.a-1']],
    ['asking', []],
    ['completed', []],
    ['pending', []],
  ] as const)('calls back from a step that is %s', (status, addressees) => {
    expect(recall(team(), single({ status, attempt: 1 }), 'enough').map(({ to }) => to)).toEqual(addressees);
  });
});

describe("a model's plan", () => {
  const steps = (...all: object[]): ModelReply => reply(JSON.stringify({ steps: all }));

  it.each([
    ['that was cut off', reply('{"steps": [', 'length'), 'the plan was cut off'],
    ['that is prose', reply('First, look.'), 'not JSON'],
    ['of another form', reply('{"plan": []}'), 'steps: '],
    ['for an agent that does not exist', steps({ id: 'a', agent: 'ghost', task: 'look' }), 'no agent is called "ghost"; there are reader, writer'],
    ['of too many steps', steps(...['a', 'b', 'c', 'd'].map((id) => ({ id, agent: 'reader', task: 'look' }))), '4 steps; at most 3 are allowed'],
    ['that goes in a circle', steps({ id: 'a', agent: 'reader', task: 'look', needs: ['a'] }), 'a -> a'],
  ])('%s is sent back with the reason', (_, said, problem) => {
    const parsed = readPlan(team(), said);
    expect(parsed.ok).toBe(false);
    if (!parsed.ok) expect(parsed.problem).toContain(problem);
  });

  it('that fits is taken', () => {
    expect(readPlan(team(), steps({ id: 'a', agent: 'reader', task: 'look' })).ok).toBe(true);
  });

  it('is asked for with the agents that there are, and how many steps it may have', () => {
    const text = planning(team())
      .map((one) => one.text)
      .join('\n');
    for (const part of ['You are lead, a lead.', '# Question\nwhy?', '- reader: reads pages', '- writer: writes', 'at most 3 steps'])
      expect(text).toContain(part);
  });
});

describe('an answer', () => {
  it('that was cut off is not taken, though it may be JSON', () => {
    expect(readReply('report', reply('{"text": "so"}', 'length'))).toMatchObject({ ok: false });
    expect(readReply('report', reply('{"text": "so"}'))).toMatchObject({ ok: true });
  });

  it('is put together from what each step brought, failures included', () => {
    const plan = [
      ...single({ status: 'completed', text: 'found [1]', citations: [source(1)] }),
      ...single({ id: 'b', status: 'failed', failure: failure('X', 'too slow') }),
    ];
    const text = synthesis(team(), plan).at(-1)!.text;
    for (const part of ['# Question\nwhy?', '# Findings', '## a (reader)', 'found [1]', '[1] a.md:1 "line 1"', '## b (reader)', 'This step failed: too slow'])
      expect(text).toContain(part);
  });

  it('is the result of the step when there was but one, and it is completed', () => {
    const completed = single({ status: 'completed', text: 'found [1]', citations: [source(1)] });
    expect(soleAnswer(completed)).toEqual({ text: 'found [1]', citations: [source(1)] });
    expect(soleAnswer(single({ status: 'failed' }))).toBeUndefined();
    expect(soleAnswer([...completed, ...completed])).toBeUndefined();
    expect(soleAnswer([])).toBeUndefined();
  });

  it('is asked for with the smallest cap that is worth the call', () => {
    expect(request(team().profile, [], 'report')).toMatchObject({ model: 'p/m', format: 'report', tools: [], maxTokens: 500, minTokens: 64 });
    expect(request({ ...team().profile, limits: { ...team().profile.limits, maxTokens: 10 } }, [], 'plan').minTokens).toBe(10);
  });
});

describe('keepKnownSources', () => {
  const plan = [
    ...single({ status: 'completed', citations: [source(1), source(2), source(3)] }),
    ...single({ id: 'b', status: 'failed', citations: [source(8)] }),
  ];
  const invented = source(9);

  it.each<[string, string, Citation[], string, Citation[]]>([
    ['an answer whose sources are all known', 'So [1] and so [2].', [source(1), source(2)], 'So [1] and so [2].', [source(1), source(2)]],
    ['a source that nobody brought, with its mark', 'So [1] and so [2].', [invented, source(2)], 'So and so [1].', [source(2)]],
    ['a source of a step that failed', 'So [1].', [source(8)], 'So.', []],
    [
      'sources in the order of their first mark',
      'So [3], so [1], so [3].',
      [source(1), source(2), source(3)],
      'So [1], so [2], so [1].',
      [source(3), source(1), source(2)],
    ],
    ['the same source once', 'So [1] and [2].', [source(1), source(1)], 'So [1] and [1].', [source(1)]],
    ['a mark of nothing', 'So [7].', [source(1)], 'So.', [source(1)]],
    ['a source that is not marked', 'So.', [source(1)], 'So.', [source(1)]],
    ['marks in one pair of brackets', 'So [3, 1].', [source(1), invented, source(3)], 'So [1, 2].', [source(3), source(1)]],
    ['marks in one pair of brackets, one of nobody', 'So [1, 2,3].', [source(1), invented, source(3)], 'So [1, 2].', [source(1), source(3)]],
    ['marks in one pair of brackets, all of nobody', 'So [1, 2].', [invented, invented], 'So.', []],
    ['numbers in brackets that are no sources', 'From [1, 100].', [source(1)], 'From [1, 100].', [source(1)]],
    ['brackets that are no mark', 'a[i] [0] [x] [1234]', [source(1)], 'a[i] [0] [x] [1234]', [source(1)]],
    ['code', 'So [1]: `list[1]`\n```\nother[2]\n```', [invented, source(2)], 'So: `list[1]`\n```\nother[2]\n```', [source(2)]],
  ])('treats %s', (_, text, citations, keptText, kept) => {
    expect(keepKnownSources({ text, citations }, plan)).toEqual({ text: keptText, citations: kept });
  });

  it('takes a source for another one when any of its parts differs', () => {
    for (const changed of [{ file: 'b.md' }, { line: 2 }, { quote: 'line one' }]) {
      expect(keepKnownSources({ text: 'So [1].', citations: [{ ...source(1), ...changed }] }, plan).citations).toEqual([]);
    }
  });
});
