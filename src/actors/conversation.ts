/**
 * What every agent says to a model: who it is, then headed sections. One layout for all charts, so that a model meets the same
 * words whoever asks, and one place to change them.
 */
import type { AgentProfile } from '../protocols/agent.ts';
import { failure, type Failure } from '../protocols/failure.ts';
import { parseFormat, unfenced, type Citation, type formats, type Parsed, type Report } from '../protocols/formats.ts';
import type { ChatMessage, FormatName, ModelReply, ModelRequest } from '../protocols/model.ts';
import { answerShape, readOutput } from '../protocols/output.ts';
import type { Feedback, Finding } from '../protocols/task.ts';
import type { z } from 'zod';

export const systemMessage = (profile: AgentProfile, duties: readonly string[]): ChatMessage => ({
  role: 'system',
  text: [
    `You are ${profile.name}, ${profile.role}.`,
    ...(profile.goal ? [`Your goal: ${profile.goal}`] : []),
    ...(profile.backstory ? [profile.backstory] : []),
    ...(profile.history ? ['What was said before, the last at the end:', ...profile.history.map(({ role, text }) => `${role}: ${text}`)] : []),
    ...duties,
  ].join('\n'),
});

/** `[title, body]` pairs as one message; a section without a body is left out. */
export const sectionsMessage = (sections: readonly (readonly [title: string, body: string | undefined])[]): ChatMessage => ({
  role: 'user',
  text: sections
    .filter(([, body]) => body !== undefined && body !== '')
    .map(([title, body]) => `# ${title}\n${body}`)
    .join('\n\n'),
});

export const citationLines = (citations: readonly Citation[]): string =>
  citations.map(({ file, line, quote }, index) => `[${index + 1}] ${file}:${line} ${JSON.stringify(quote)}`).join('\n');

export const findingLines = (findings: readonly Finding[]): string =>
  findings
    .map(({ step, agent, text, citations }) =>
      [`## ${step} (${agent})`, text, ...(citations.length > 0 ? ['Sources:', citationLines(citations)] : [])].join('\n'),
    )
    .join('\n\n');

/** What was said against the last attempt, and that attempt. */
export const feedbackLines = ({ reasons, previous }: Feedback): string =>
  [...reasons.map((reason) => `- ${reason}`), '', 'Your last answer was:', previous].join('\n');

export const REPORT_DUTY =
  'Answer with JSON {"text", "citations": [{"file", "line", "quote"}]}: mark each statement of the text with [n], the number of its citation from 1; ' +
  'a quote stands word for word in that line of that file. Say plainly what you did not find, and invent nothing.';

const CITED = '"citations": [{"file", "line", "quote"}]';

/** How the agent is to answer: with a report, or in the form that is asked of it. */
export const answerDuty = ({ output, strategy }: AgentProfile): string => {
  const reasoning = strategy === 'cot' ? '"reasoning", ' : '';
  const first = strategy === 'cot' ? ['Think step by step and write that down as "reasoning", before the answer and apart from it.'] : [];
  if (!output) return [...first, strategy === 'cot' ? REPORT_DUTY.replace('{"text"', `{${reasoning}"text"`) : REPORT_DUTY].join(' ');
  const duty = `Answer with JSON {${reasoning}"output", ${CITED}}: "output" fits this JSON Schema: ${JSON.stringify(output.schema)}. Each quote stands word for word in that line of that file; without sources "citations" is empty. Invent nothing.`;
  return [...first, duty].join(' ');
};

/** Asks for the agent's answer. */
export const answerRequest = (
  profile: AgentProfile,
  messages: readonly ChatMessage[],
  more: Partial<Pick<ModelRequest, 'tools' | 'handoffs' | 'purpose'>> = {},
): ModelRequest => {
  const { output, strategy } = profile;
  const asked = request(profile, messages, output ? 'output' : 'report', more);
  return output || strategy === 'cot' ? { ...asked, shape: answerShape(output, strategy === 'cot') } : asked;
};

/** An agent's answer: a report; with the value of which `text` is the JSON, where its form is its own; with the reasoning apart. */
export type Answer = Report & { readonly output?: unknown; readonly reasoning?: string };

export const readAnswer = ({ output, strategy }: AgentProfile, reply: ModelReply): Parsed<Answer> => {
  const answer = output ? readFormed(output.schema, reply) : readReply('report', reply);
  if (!answer.ok || strategy !== 'cot') return answer;
  const { reasoning } = unfenced(reply.text) as { reasoning?: unknown };
  if (typeof reasoning !== 'string' || reasoning.trim() === '') return { ok: false, problem: 'reasoning: expected text, found nothing' };
  return { ok: true, value: { ...answer.value, reasoning } };
};

const readFormed = (schema: Readonly<Record<string, unknown>>, reply: ModelReply): Parsed<Answer> => {
  const parsed = readReply('output', reply);
  if (!parsed.ok) return parsed;
  const { output, citations } = parsed.value;
  if (output === undefined) return { ok: false, problem: 'output: expected a value, found nothing' };
  const formed = readOutput(schema, output);
  if (!formed.ok) return formed;
  if (reply.misfit !== undefined) return { ok: false, problem: reply.misfit };
  return { ok: true, value: { text: JSON.stringify(formed.value, null, 2), citations, output: formed.value } };
};

/** An answer in `format`, within the bounds of the profile. */
export const request = (
  { model, limits }: AgentProfile,
  messages: readonly ChatMessage[],
  format: FormatName,
  more: Partial<Pick<ModelRequest, 'tools' | 'handoffs' | 'purpose'>> = {},
): ModelRequest => ({
  model,
  messages: [...messages],
  tools: [],
  format,
  maxTokens: limits.maxTokens,
  minTokens: fewestTokens(limits.maxTokens),
  timeoutMs: limits.timeoutMs,
  ...more,
});

/** The reply as its format's value. One that was cut off is none, though it may parse. */
export const readReply = <F extends FormatName>(format: F, { finish, usage, text }: ModelReply): Parsed<z.infer<(typeof formats)[F]>> =>
  finish === 'length' ? { ok: false, problem: `the ${format} was cut off after ${usage.outputTokens} tokens` } : parseFormat(format, text);

/** The value of a reply that a guard has let through. */
export const accepted = <T>(parsed: Parsed<T>): T => {
  if (!parsed.ok) throw new Error(`a reply was taken that is not what was asked for: ${parsed.problem}`);
  return parsed.value;
};

/** What follows a reply that is not what was asked for, and asks again. */
export const correction = ({ text, finish }: ModelReply, problem: string): ChatMessage[] => [
  { role: 'assistant', text, toolCalls: [] },
  {
    role: 'user',
    text: `# Correction\nYour answer is not what was asked for: ${problem}. Answer again${finish === 'length' ? ', shorter' : ''}, with JSON only, in the form that you were told.`,
  },
];

/** For people: why the replies of an agent's model could not be used, and what helps. `grantedTokens`: the cap that the account had money for. */
export const badReply = ({ name, limits }: AgentProfile, grantedTokens: number | undefined, reply: ModelReply, problem: string): Failure => {
  const advice =
    reply.finish !== 'length'
      ? ''
      : (grantedTokens ?? limits.maxTokens) < limits.maxTokens
        ? SHORT_OF_MONEY
        : `; raise agents.${name}.limits.max_tokens, now ${limits.maxTokens}`;
  return failure('MODEL_BAD_REPLY', `${reply.model} did not give ${name} what was asked for: ${problem}${advice}`, {
    details: { agent: name, model: reply.model, problem, text: reply.text.slice(0, 500) },
  });
};
const SHORT_OF_MONEY = '; the budget had no money for a longer one: raise budget.limit';

/** No call is worth its money that may answer with fewer tokens. */
export const fewestTokens = (maxTokens: number): number => Math.min(64, maxTokens);
