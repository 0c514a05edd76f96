/**
 * What every agent says to a model: who it is, then headed sections. One layout for all charts, so that a model meets the same
 * words whoever asks, and one place to change them.
 */
import type { AgentProfile } from '../protocols/agent.ts';
import type { Citation } from '../protocols/formats.ts';
import type { ChatMessage } from '../protocols/model.ts';
import type { Finding } from '../protocols/task.ts';

export const systemMessage = (profile: AgentProfile, duties: readonly string[]): ChatMessage => ({
  role: 'system',
  text: [
    `You are ${profile.name}, ${profile.role}.`,
    ...(profile.goal ? [`Your goal: ${profile.goal}`] : []),
    ...(profile.backstory ? [profile.backstory] : []),
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

export const REPORT_DUTY =
  'Answer with JSON {"text", "citations": [{"file", "line", "quote"}]}: mark each statement of the text with [n], the number of its citation from 1; ' +
  'a quote stands word for word in that line of that file. Say plainly what you did not find, and invent nothing.';

/** No call is worth its money that may answer with fewer tokens. */
export const fewestTokens = (maxTokens: number): number => Math.min(64, maxTokens);
