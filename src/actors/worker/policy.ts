/** How a worker goes on: pure decisions over its conversation. */
import type { AgentProfile } from '../../protocols/agent.ts';
import type { Failure } from '../../protocols/failure.ts';
import type { Parsed, Report } from '../../protocols/formats.ts';
import type { ChatMessage, ModelReply, ModelRequest, ToolCall } from '../../protocols/model.ts';
import { formatDollars } from '../../protocols/money.ts';
import type { PayloadOf } from '../../protocols/catalogue.ts';
import type { ToolRecord } from '../../protocols/tool.ts';
import { findingLines, readReply, REPORT_DUTY, request, sectionsMessage, systemMessage } from '../conversation.ts';

export type Task = PayloadOf<'task.assign'>;

/** Tool calls of one answer that are made; the rest is refused in words. */
export const CALLS_MAX = 8;

export const opening = (profile: AgentProfile, task: Task): ChatMessage[] => [
  systemMessage(profile, [
    ...(profile.tools.length > 0 ? ['Look things up with your tools before you answer; call several at once where that helps.'] : []),
    REPORT_DUTY,
  ]),
  sectionsMessage([
    ['Question', task.goal],
    ['Task', task.instructions],
    ['Findings', findingLines(task.findings)],
    ['Feedback', task.feedback && [...task.feedback.reasons.map((reason) => `- ${reason}`), '', 'Your last answer was:', task.feedback.previous].join('\n')],
  ]),
];

/**
 * The last turn is made without tools, so that it can only be an answer. What is left of the budget comes last, so that what
 * comes before it is the same from turn to turn: providers charge less for what they have seen.
 */
export const nextRequest = (profile: AgentProfile, messages: readonly ChatMessage[], turn: number, leftNanos?: string): ModelRequest => {
  const left: ChatMessage[] = leftNanos === undefined ? [] : [{ role: 'user', text: `# Budget\n${formatDollars(BigInt(leftNanos))} is left for the team.` }];
  return request(profile, [...messages, ...left], 'report', { tools: turn < profile.limits.turns ? [...profile.tools] : [] });
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
export const readReport = (reply: ModelReply): Parsed<Report> =>
  reply.toolCalls.length > 0 ? { ok: false, problem: 'it called tools when no turn was left to read their results' } : readReply('report', reply);
