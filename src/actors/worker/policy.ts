/** How a worker goes on: pure decisions over its conversation. */
import type { AgentProfile } from '../../protocols/agent.ts';
import type { Failure } from '../../protocols/failure.ts';
import type { Parsed } from '../../protocols/formats.ts';
import type { ChatMessage, ModelReply, ModelRequest, ToolCall } from '../../protocols/model.ts';
import { formatDollars } from '../../protocols/money.ts';
import type { PayloadOf } from '../../protocols/catalogue.ts';
import type { ToolRecord } from '../../protocols/tool.ts';
import { HAND_OVER_DUTY, handoffCalls, inTurns, takenUp } from './handoff.ts';
import { answerDuty, answerRequest, feedbackLines, findingLines, readAnswer, request, sectionsMessage, systemMessage, type Answer } from '../conversation.ts';

export type Task = PayloadOf<'task.assign'>;

/** Tool calls of one answer that are made; the rest is refused in words. */
export const CALLS_MAX = 8;

/** The task, and after it the conversation if another agent had the task before. */
export const opening = (profile: AgentProfile, task: Task): ChatMessage[] => {
  const begun = [
    systemMessage(profile, [
      ...(profile.tools.length > 0 ? ['Look things up with your tools before you answer; call several at once where that helps.'] : []),
      ...(profile.handoffs ? [HAND_OVER_DUTY] : []),
      answerDuty(profile),
    ]),
    sectionsMessage([
      ['Question', task.goal],
      ['Task', task.instructions],
      ['Findings', findingLines(task.findings)],
      ['Feedback', task.feedback && feedbackLines(task.feedback)],
    ]),
  ];
  const duty = makesPlan(profile, 1) ? [PLAN_DUTY] : [];
  return task.handover ? inTurns([...begun, ...takenUp(task.handover), ...duty]) : [...begun, ...duty];
};

/**
 * The last turn is made without tools, so that it can only be an answer, or the work for somebody else. What is left of the budget comes last, so that what
 * comes before it is the same from turn to turn: providers charge less for what they have seen.
 */
export const nextRequest = (profile: AgentProfile, messages: readonly ChatMessage[], turn: number, leftNanos?: string): ModelRequest => {
  const left: ChatMessage[] = leftNanos === undefined ? [] : [{ role: 'user', text: `# Budget\n${formatDollars(BigInt(leftNanos))} is left for the team.` }];
  const said = [...messages, ...left];
  if (makesPlan(profile, turn)) return plainRequest(profile, said);
  return answerRequest(profile, said, {
    tools: turn < profile.limits.turns ? [...profile.tools] : [],
    ...(profile.handoffs && { handoffs: handoffCalls(profile) }),
  });
};

const plainRequest = (profile: AgentProfile, messages: readonly ChatMessage[]): ModelRequest => {
  const { format: _, ...plain } = request(profile, messages, 'report');
  return plain;
};

/** Whether this turn is for a plan of its own, and not yet for the task. */
export const makesPlan = ({ strategy, limits }: AgentProfile, turn: number): boolean => strategy === 'plan_execute' && turn === 1 && limits.turns > 1;

const PLAN_DUTY: ChatMessage = {
  role: 'user',
  text: '# Plan\nBefore you begin: write down, as a short numbered list and nothing else, the steps by which you will do this task.',
};

export const CARRY_OUT: ChatMessage = {
  role: 'user',
  text: '# Plan\nCarry your plan out, step by step. Depart from it where what you find says so. Then give the answer in the form that you were told.',
};

/** Whether an answer is looked at again before it counts: once, while a turn is left for it. */
export const reflects = ({ strategy, limits }: AgentProfile, turn: number, reflected: boolean): boolean =>
  strategy === 'reflect' && !reflected && turn + 1 < limits.turns;

export const REFLECT: ChatMessage = {
  role: 'user',
  text: '# Reflection\nRead your answer as somebody who wants to find it wrong: what is missing, not shown by a source, or not what was asked? Then give the whole answer again, made better, in the form that you were told.',
};

export const said = (reply: ModelReply): ChatMessage => ({ role: 'assistant', text: reply.text, toolCalls: reply.toolCalls });

export const callsOf = (reply: ModelReply): readonly ToolCall[] => reply.toolCalls.slice(0, CALLS_MAX);

/** The effect that stands for a call: its place among the calls of the turn. */
export const callEffect = (index: number): string => `tool.${index}`;

/** Every call has its answer, in the order of the calls: providers refuse a conversation in which one is missing. */
export const observed = (reply: ModelReply, records: readonly ToolRecord[]): ChatMessage[] =>
  reply.toolCalls.map(({ id }) => {
    const record = records.find(({ callId }) => callId === id);
    return { role: 'tool', callId: id, ok: record?.ok ?? false, text: record?.text ?? `not made: at most ${CALLS_MAX} calls at once; ask again` };
  });

/** A call whose effect itself failed, as the tool would have recorded it. */
export const brokenCall = (call: ToolCall, failure: Failure, at: number): ToolRecord => ({
  callId: call.id,
  tool: call.name,
  input: call.input,
  ok: false,
  text: failure.message,
  failure,
  ms: 0,
  time: at,
});

/** The answer of a reply. One that calls tools where it could not is none. */
export const readReport = (profile: AgentProfile, reply: ModelReply): Parsed<Answer> =>
  reply.toolCalls.length > 0 ? { ok: false, problem: 'it called tools when no turn was left to read their results' } : readAnswer(profile, reply);
