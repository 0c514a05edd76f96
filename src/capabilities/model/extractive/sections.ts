/**
 * What a request says, taken apart: the one place that knows the layout in which agents speak to models. A message without
 * sections is taken as one question.
 */
import type { Citation } from '../../../protocols/formats.ts';
import type { ChatMessage, ModelRequest } from '../../../protocols/model.ts';

export type Told = { readonly text: string; readonly citations: readonly Citation[] };

export type Brief = {
  readonly question: string;
  readonly task: string;
  readonly agents: readonly { readonly name: string; readonly description: string }[];
  readonly findings: readonly (Told & { readonly step: string; readonly agent: string })[];
  /** What peers take for the answer. */
  readonly positions: Brief['findings'];
  /** What peers write together, and what this one wrote that is in conflict with it. */
  readonly document: Told | undefined;
  readonly ownEdit: Told | undefined;
  /** Who the agent is, and what it is told to do. */
  readonly persona: string;
  /** The steps of a plan that is being carried out. */
  readonly plan: readonly { readonly id: string; readonly agent: string; readonly status: string; readonly task: string; readonly needs: readonly string[] }[];
  /** What was said against the last attempt. */
  readonly objections: readonly string[];
  readonly report: Told | undefined;
  readonly evidence: string | undefined;
  /** How often an answer was asked for again because it did not have the form. */
  readonly corrections: number;
  /** The most steps that a plan may have. */
  readonly maxSteps: number;
};

const TITLES = [
  'Question',
  'Task',
  'Agents',
  'Findings',
  'Feedback',
  'Report to check',
  'Evidence',
  'Correction',
  'Budget',
  'Positions',
  'Document',
  'Own edit',
  'Plan',
] as const;
type Title = (typeof TITLES)[number];

const STEPS_DEFAULT = 4;

export const briefOf = ({ messages }: ModelRequest): Brief => {
  const user = textOf(messages, 'user');
  const sections = sectionsOf(user);
  const body = (title: Title): string | undefined => sections.find((section) => section.title === title)?.body;
  const report = body('Report to check');
  return {
    question: asRead(body('Question') ?? (sections.length === 0 ? (user.at(-1) ?? '') : '')),
    task: asRead(body('Task') ?? ''),
    agents: agentsOf(body('Agents') ?? ''),
    findings: findingsOf(body('Findings') ?? ''),
    positions: findingsOf(body('Positions') ?? ''),
    document: body('Document') === undefined ? undefined : toldOf(body('Document')!),
    ownEdit: body('Own edit') === undefined ? undefined : toldOf(body('Own edit')!.replace(/^.*\n/, '')),
    persona: textOf(messages, 'system').join('\n'),
    plan: planIn(body('Plan') ?? ''),
    objections: objectionsOf(body('Feedback') ?? ''),
    report: report === undefined ? undefined : toldOf(report),
    evidence: body('Evidence'),
    corrections: sections.filter(({ title }) => title === 'Correction').length,
    maxSteps: Number(/at most (\d+) steps/.exec(textOf(messages, 'system').join('\n'))?.[1] ?? STEPS_DEFAULT),
  };
};

/** What is longer than anybody asks is read at its beginning and at its end. */
const BEGINNING_CHARS = 3_000;
const END_CHARS = 1_000;
const asRead = (text: string): string => (text.length <= BEGINNING_CHARS + END_CHARS ? text : `${text.slice(0, BEGINNING_CHARS)}\n${text.slice(-END_CHARS)}`);

const textOf = (messages: readonly ChatMessage[], role: 'system' | 'user'): string[] =>
  messages.filter((message) => message.role === role).map(({ text }) => text);

const sectionsOf = (texts: readonly string[]): { title: Title; body: string }[] => {
  const sections: { title: Title; lines: string[] }[] = [];
  for (const text of texts) {
    for (const line of text.split('\n')) {
      const title = TITLES.find((known) => line === `# ${known}`);
      if (title) sections.push({ title, lines: [] });
      else sections.at(-1)?.lines.push(line);
    }
  }
  return sections.map(({ title, lines }) => ({ title, body: lines.join('\n').trim() }));
};

const agentsOf = (body: string): Brief['agents'] =>
  [...body.matchAll(/^- ([A-Za-z][\w-]*):? *(.*)$/gm)].map(([, name, description]) => ({ name: name!, description: description! }));

/** A task may have lines of its own. */
const PLANNED = /^- ([\w-]+) \(([\w-]+), ([a-z ]+)(?:, needs ([\w, -]+))?\): (.*(?:\n(?!- [\w-]+ \().*)*)/gm;

const planIn = (body: string): Brief['plan'] =>
  [...body.matchAll(PLANNED)].map(([, id, agent, status, needs, task]) => ({
    id: id!,
    agent: agent!,
    status: status!,
    task: task!,
    needs: needs?.split(', ') ?? [],
  }));

const findingsOf = (body: string): Brief['findings'] => {
  const heads = [...body.matchAll(/^## ([\w-]+) \(([\w-]+)\)$/gm)];
  return heads.map((head, index) => {
    const text = body.slice(head.index + head[0].length, heads[index + 1]?.index);
    return { step: head[1]!, agent: head[2]!, ...toldOf(text) };
  });
};

/** Only the reasons: the answer that they were said of comes after them. */
const objectionsOf = (body: string): string[] => [...body.split('\nYour last answer was:')[0]!.matchAll(/^- (.+)$/gm)].map(([, reason]) => reason!);

const CITATION = /^\[\d+\] (.+):(\d+) (".*")$/;

const toldOf = (body: string): Told => {
  const at = body.lastIndexOf('\nSources:\n');
  if (at < 0) return { text: body.trim(), citations: [] };
  const citations = body
    .slice(at)
    .split('\n')
    .flatMap((line) => {
      const cited = CITATION.exec(line);
      return cited ? [{ file: cited[1]!, line: Number(cited[2]), quote: JSON.parse(cited[3]!) as string }] : [];
    });
  return { text: body.slice(0, at).trim(), citations };
};
