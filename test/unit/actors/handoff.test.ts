import { describe, expect, it } from 'vitest';
import { handoffProblem } from '../../../src/actors/supervisor/handoffs.ts';
import { change, find, openPlan, type Plan, type Step } from '../../../src/actors/supervisor/plan.ts';
import { recall, reviewed, taskCompleted, taskFailed, taskHandedOver, type Team } from '../../../src/actors/supervisor/policy.ts';
import { settle } from '../../../src/actors/supervisor/settle.ts';
import { outcomesOf } from '../../../src/actors/supervisor/outcome.ts';
import { HANDED_TOKENS_MAX, handoffCalls, handoverIn, passedOn } from '../../../src/actors/worker/handoff.ts';
import { nextRequest, opening } from '../../../src/actors/worker/policy.ts';
import { tokensIn } from '../../../src/actors/window.ts';
import type { AgentProfile, Pass } from '../../../src/protocols/agent.ts';
import { Name } from '../../../src/protocols/ids.ts';
import { failure } from '../../../src/protocols/failure.ts';
import type { Address, RunId } from '../../../src/protocols/ids.ts';
import type { ChatMessage, ModelReply } from '../../../src/protocols/model.ts';
import type { Handover } from '../../../src/protocols/task.ts';

const profileWith = (pass: Pass = 'all', more: Partial<AgentProfile> = {}): AgentProfile => ({
  name: 'desk',
  role: 'a clerk',
  goal: '',
  backstory: '',
  model: 'p/m',
  tools: ['look'],
  handoffs: { to: ['billing', 'refunds'].map((agent) => ({ agent, description: `knows ${agent}` })), pass },
  limits: { turns: 2, maxTokens: 500, attempts: 2, timeoutMs: 60_000 },
  ...more,
});
const task = { step: 's1', attempt: 1, goal: 'why?', instructions: 'look it up', findings: [] };

const reply = (text: string, ...calls: readonly (readonly [name: string, input: Record<string, unknown>])[]): ModelReply => ({
  text,
  toolCalls: calls.map(([name, input], index) => ({ id: `c${index}`, name, input })),
  finish: 'tools',
  usage: { inputTokens: 1, outputTokens: 1, cachedInputTokens: 0, reasoningTokens: 0 },
  model: 'm',
});
const toBilling = reply('It is about money.', ['hand_over_to_billing', { reason: ' a refund ' }]);

const looked = (id: string, text = 'found'): ChatMessage[] => [
  { role: 'assistant', text: '', toolCalls: [{ id, name: 'look', input: {} }] },
  { role: 'tool', callId: id, text, ok: true },
];
const said = (text: string): ChatMessage => ({ role: 'assistant', text, toolCalls: [] });
const asked = (text: string): ChatMessage => ({ role: 'user', text });

describe('a worker with handoffs', () => {
  it('is told of each by a call of its own, in every turn', () => {
    const calls = handoffCalls(profileWith());
    expect(calls.map(({ name }) => name)).toEqual(['hand_over_to_billing', 'hand_over_to_refunds']);
    expect(calls[0]!.description).toContain('knows billing');
    for (const turn of [1, 2]) expect(nextRequest(profileWith(), [], turn).handoffs).toEqual(calls);
    const { handoffs: _, ...without } = profileWith();
    expect(nextRequest(without, [], 1)).not.toHaveProperty('handoffs');
  });

  it('has calls whose names providers take, however long the name of the agent', () => {
    const longest = 'a'.repeat(48);
    expect(Name.safeParse(longest).success).toBe(true);
    const [call] = handoffCalls(profileWith('all', { handoffs: { to: [{ agent: longest, description: '' }], pass: 'all' } }));
    expect(call!.name).toMatch(/^[a-zA-Z0-9_-]{1,64}$/);
  });

  it('hands over with a reason, and to nobody who is not among them', () => {
    expect(handoverIn(profileWith(), toBilling)).toEqual({ agent: 'billing', reason: 'a refund' });
    expect(handoverIn(profileWith(), reply('', ['hand_over_to_refunds', {}], ['hand_over_to_billing', {}]))).toEqual({ agent: 'refunds', reason: '' });
    expect(handoverIn(profileWith(), reply('', ['hand_over_to_ghost', {}]))).toBeUndefined();
  });
});

describe('what goes along', () => {
  const since = [...looked('a'), said('So far.'), asked('Go on.'), ...looked('b')];

  it('is all of it, and of the handing over nothing but what was said beside it', () => {
    expect(passedOn(profileWith(), undefined, since, toBilling)).toEqual({ messages: [...since, said('It is about money.')] });
    expect(passedOn(profileWith(), undefined, [], reply('', ['hand_over_to_billing', {}]))).toEqual({ messages: [] });
  });

  it('has a result for calls that were not made because of it', () => {
    const both = reply('', ['look', { at: 'x' }], ['hand_over_to_billing', {}]);
    expect(passedOn(profileWith(), undefined, [], both).messages).toEqual([
      { role: 'assistant', text: '', toolCalls: [{ id: 'c0', name: 'look', input: { at: 'x' } }] },
      { role: 'tool', callId: 'c0', ok: false, text: 'not made: desk handed the work over' },
    ]);
  });

  it('is what was said without tools, where that is asked for', () => {
    expect(passedOn(profileWith('without_tools'), undefined, since, toBilling)).toEqual({
      messages: [said('So far.'), asked('Go on.'), said('It is about money.')],
    });
  });

  it('is the last messages, where that is asked for, and parts no call from its result', () => {
    expect(passedOn(profileWith({ last: 2 }), undefined, since, toBilling)).toEqual({ messages: [...looked('b'), said('It is about money.')], omitted: 4 });
  });

  it('is what came with the task too, with who handed it over and why', () => {
    const handover: Handover = { by: ['front'], reason: 'not mine', messages: looked('z'), omitted: 3 };
    const { messages, omitted } = passedOn(profileWith(), handover, [said('Mine neither.')], toBilling);
    expect(messages.slice(0, 2)).toEqual(looked('z'));
    expect(messages[2]).toMatchObject({ role: 'user', text: expect.stringContaining('front has handed this work over to you: not mine') as string });
    expect(messages.slice(3)).toEqual([said('Mine neither.'), said('It is about money.')]);
    expect(omitted).toBe(3);
  });

  it('has a bound, and says what stayed behind', () => {
    const long = Array.from({ length: 40 }, (_, index) => looked(`l${index}`, 'x'.repeat(20_000))).flat();
    const { messages, omitted } = passedOn(profileWith(), undefined, long, toBilling);
    expect(tokensIn(messages)).toBeLessThanOrEqual(HANDED_TOKENS_MAX);
    expect(messages.length + omitted!).toBe(long.length + 1);
    expect(messages[0]!.role).toBe('assistant');
    const [, , ...heard] = opening(profileWith(), { ...task, handover: { by: ['desk'], reason: '', messages, omitted } });
    expect(heard.at(-1)!.text).toContain(`without its first ${omitted} messages`);
  });
});

describe('who takes a conversation up', () => {
  const rolesOf = (messages: readonly ChatMessage[]): string => messages.map(({ role }) => role[0]).join('');
  const handed = (messages: ChatMessage[]): ChatMessage[] => opening(profileWith(), { ...task, handover: { by: ['front'], reason: 'not mine', messages } });

  it('has the task first, then what was said, and is asked to go on', () => {
    const messages = handed([...looked('a'), said('So far.')]);
    expect(messages[1]!.text).toContain('# Question\nwhy?\n\n# Task\nlook it up');
    expect(messages.slice(2, 5)).toEqual([...looked('a'), said('So far.')]);
    expect(messages.at(-1)).toMatchObject({
      role: 'user',
      text: expect.stringContaining('# Handed over\nfront has handed this work over to you: not mine') as string,
    });
  });

  it.each([
    ['nothing', [], 'su'],
    ['words', [said('So.')], 'suau'],
    ['what begins with a question', [asked('Well?'), said('So.')], 'suau'],
    ['two answers on end', [said('So.'), said('And so.')], 'suau'],
    ['a look-up', looked('a'), 'suatu'],
  ])('is never spoken to twice on end after %s', (_, messages, roles) => {
    expect(rolesOf(handed(messages))).toBe(roles);
  });

  it('keeps every word when what one side said is put into one message', () => {
    const [, first] = handed([asked('Well?')]);
    for (const part of ['# Task\nlook it up', 'Well?', '# Handed over']) expect(first!.text).toContain(part);
  });
});

describe('a step that is handed over', () => {
  const step = (by: readonly string[] = []): Step => ({
    ...openPlan([{ id: 's', agent: 'desk', task: 't', needs: [], onFailure: 'fail' }])[0]!,
    ...(by.length > 0 && { handover: { by: [...by], reason: '', messages: [] } }),
  });
  const rules = { desk: { to: ['billing'], max: 2 }, billing: { to: ['desk'], max: 2 } };

  it('goes only where the file says', () => {
    expect(handoffProblem(rules, step(), 'desk', 'billing')).toBeUndefined();
    expect(handoffProblem(rules, step(), 'desk', 'refunds')).toMatchObject({
      code: 'STEP_HANDOFF_DENIED',
      message: expect.stringContaining('it may to: billing') as string,
    });
    expect(handoffProblem(rules, step(), 'constructor', 'billing')).toMatchObject({ code: 'STEP_HANDOFF_DENIED' });
  });

  it('goes so often and no more, and the failure names the way and the bound', () => {
    expect(handoffProblem(rules, step(['desk']), 'billing', 'desk')).toBeUndefined();
    expect(handoffProblem(rules, step(['desk', 'billing']), 'desk', 'billing')).toMatchObject({
      code: 'STEP_HANDOFFS_MAX',
      message: 'step s would be handed over in a circle once more, desk -> billing -> desk -> billing; agents.desk.handoffs.max_handoffs allows 2',
    });
  });

  it('tells with its outcome who had it before', () => {
    const [outcome] = outcomesOf([{ ...step(['desk']), agent: 'billing', status: 'completed' }], { name: 'lead' });
    expect(outcome).toMatchObject({ agent: 'billing', handedOverBy: ['desk'] });
  });

  it('begins with its first agent when the plan goes back', () => {
    const goto = [{ to: 'again', maxVisits: 2 }];
    const plan: Plan = openPlan([
      { id: 'again', agent: 'desk', task: 't', needs: [], onFailure: 'fail' },
      { id: 'judge', agent: 'critic', task: 't', needs: ['again'], onFailure: 'fail', goto },
    ]);
    const handover = { by: ['desk'], reason: '', messages: [said('So.')] };
    const ended = change(change(plan, 'again', { agent: 'billing', handover, status: 'completed' }), 'judge', { status: 'completed' });
    expect(find(settle(ended, {}), 'again')).toMatchObject({ status: 'pending', agent: 'desk', handover: undefined });
  });
});

describe('a supervisor whose step is handed over', () => {
  const team: Team = {
    goal: 'why?',
    endsAt: 9_000,
    now: 1_000,
    run: 'r-plan' as RunId,
    profile: profileWith(),
    agents: [],
    teams: [],
    maxDepth: 4,
    reviewers: ['checker'],
    merge: 'all',
    handoffs: { desk: { to: ['billing'], max: 1 } },
    plan: undefined,
    inputs: {},
    maxSteps: 3,
    concurrency: 1,
    reviewRounds: 1,
    onRejected: 'take_over',
    deadlineMs: 1,
    askMs: 5_000,
    account: 'r-plan.budget' as Address,
    approver: 'r-plan.approver' as Address,
    answersPartly: false,
  };
  const running = change(openPlan([{ id: 'a', agent: 'desk', task: 'look', needs: [], onFailure: 'fail', retry: { attempts: 2, backoffMs: 0 } }]), 'a', {
    status: 'running',
    attempt: 1,
  });
  const along = { reason: 'a refund', messages: [said('So far.')] };
  const handOver = { step: 'a', attempt: 1, agent: 'billing', ...along, turns: 1 };
  const { plan: handed, outbox } = taskHandedOver(team, running, handOver);
  const done = { step: 'a', attempt: 2, text: 'It is so.', citations: [], turns: 1 };
  const handover = { by: ['desk'], ...along };

  it('assigns it to the next agent with the conversation, as an attempt of its own', () => {
    expect(outbox).toMatchObject([{ type: 'task.assign', to: 'r-plan.worker.billing.a-2', step: 'a', attempt: 2, instructions: 'look', handover }]);
    expect(recall(team, handed, 'enough')).toEqual([{ type: 'task.cancel', to: 'r-plan.worker.billing.a-2', reason: 'enough' }]);
  });

  it('passes over what the first agent says afterwards', () => {
    expect(taskHandedOver(team, handed, handOver)).toEqual({ plan: handed, outbox: [] });
    expect(taskCompleted(team, handed, { ...done, attempt: 1 })).toEqual({ plan: handed, outbox: [] });
  });

  it('has what failed tried again by whoever has it, with the conversation', () => {
    const { outbox: again } = taskFailed(team, handed, { step: 'a', attempt: 2, failure: failure('TASK_TIMEOUT', 'too slow') });
    expect(again).toMatchObject([{ type: 'task.assign', to: 'r-plan.worker.billing.a-3', handover }]);
  });

  it('has a revision made by whoever answered, and the conversation go no further than that', () => {
    const from = 'r-plan.reviewer.checker.a-2' as Address;
    const verdict = { from, step: 'a', attempt: 2, verdict: 'revise' as const, reasons: ['cite it'], confidence: 1 };
    const { plan, outbox: revision } = reviewed(team, taskCompleted(team, handed, done).plan, verdict);
    expect(revision).toMatchObject([{ to: 'r-plan.worker.billing.a-3', handover, feedback: { previous: 'It is so.', reasons: ['cite it'] } }]);
    const { outbox: taken } = reviewed(team, taskCompleted(team, plan, { ...done, attempt: 3 }).plan, { ...verdict, attempt: 3 });
    expect(taken).toMatchObject([{ to: 'r-plan.worker.desk.a-4', feedback: { previous: 'It is so.' } }]);
    expect(taken[0]).not.toHaveProperty('handover');
  });

  it('does not try again what was handed over too often', () => {
    const rules = { ...team, handoffs: { ...team.handoffs, billing: { to: ['desk'], max: 1 } } };
    const { plan, outbox: nothing } = taskHandedOver(rules, handed, { ...handOver, attempt: 2, agent: 'desk' });
    expect(nothing).toEqual([]);
    expect(plan[0]).toMatchObject({ status: 'failed', failure: { code: 'STEP_HANDOFFS_MAX' } });
  });
});
