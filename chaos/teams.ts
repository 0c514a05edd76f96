/**
 * The kinds of runs that chaos is let loose on, and what their model says. All are the same team to its processes: a run carries
 * its own plan, budget and account in its record. An answer follows from what is asked alone, and from every part of it, so a
 * run that lost, doubled or mixed up anything ends with another answer than one that nobody disturbed.
 */
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadTeam } from '../src/topology/load.ts';
import { resolveTeam } from '../src/topology/resolve.ts';
import { standardCatalogue } from '../src/topology/standard.ts';
import type { Team } from '../src/topology/team.ts';
import type { Answer, ChatRequest } from '../test/support/model-server.ts';
import { formatOf } from '../test/support/research-desk.ts';

export const ACCOUNT = 'company';
/** Nano-dollars: more than all runs can spend. */
export const ACCOUNT_NANOS = 1_000_000_000_000n;

/** `tight` runs out of money, and waits for more as often as it needs. */
export const kinds = ['reviewed', 'planned', 'tight', 'shared'] as const;
export type Kind = (typeof kinds)[number];

const STEPS = ['first', 'second', 'third'] as const;

const workflow = (more: string): string => `
  kind: workflow
  supervisor: lead
  concurrency: 2
  ${more}
  steps:
${STEPS.map((id, index) => `    - { id: ${id}, agent: reader, task: read the ${id} page, needs: [${index === 2 ? 'first, second' : ''}] }`).join('\n')}`;

const topologies: Readonly<Record<Kind, string>> = {
  reviewed: workflow('reviewer: checker'),
  planned: `
  kind: centralised
  supervisor: lead
  reviewer: checker
  workers: [reader]
  concurrency: 3`,
  tight: workflow(''),
  shared: workflow('reviewer: checker'),
};

const budgets: Readonly<Record<Kind, string>> = {
  reviewed: 'limit: 1, tool_calls: 1000',
  planned: 'limit: 1',
  tight: 'limit: 0.0015, on_exhausted: pause, wait_timeout_s: 2',
  shared: `limit: 1, account: ${ACCOUNT}`,
};

/** What a tight run is given whenever it pauses. */
export const RAISE_NANOS = 1_500_000n;

/** No bound on time is ever reached: what comes of that is another answer, and not a wrong one. */
const fileOf = (kind: Kind): string => `name: chaos
task: What is in the pages?
inputs: { docs: { folder: docs } }
models: { default: [openai/gpt-4.1-mini] }
agents:
  lead: { kind: supervisor, role: an editor, limits: { max_tokens: 300, attempts: 10, timeout_s: 1200 } }
  reader: { kind: worker, role: a reader, tools: [list_files], limits: { max_tokens: 150, attempts: 10, timeout_s: 1200 } }
  checker: { kind: reviewer, role: a checker, limits: { max_tokens: 100, attempts: 10, timeout_s: 1200 } }
topology:${topologies[kind]}
budget: { ${budgets[kind]}, grant_timeout_s: 30 }
limits: { deadline_s: 3600 }
`;

/** The file that agent processes are started with: it names the account that all of them serve. */
export const SERVED: Kind = 'shared';
export const teamPath = (folder: string, kind: Kind): string => join(folder, `${kind}.yaml`);

export const writeTeams = async (folder: string): Promise<void> => {
  await Promise.all(kinds.map((kind) => writeFile(teamPath(folder, kind), fileOf(kind))));
};

export type Question = { readonly kind: Kind; readonly text: string };

/** Of each kind so many. */
export const questions = (each: number): readonly Question[] =>
  Array.from({ length: each }, (_, number) => kinds.map((kind): Question => ({ kind, text: `What do the ${kind} pages say of subject ${number}?` }))).flat();

export const teamFor = async (folder: string, { kind, text }: Question): Promise<Team> => {
  const { file, inputs } = await loadTeam(teamPath(folder, kind), { cwd: folder, catalogue: standardCatalogue() });
  return resolveTeam(file, inputs, text);
};

// --- the model ---------------------------------------------------------------------------------------------------------------

const digest = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 12);

const report = (text: string): Answer => ({ json: { text, citations: [] } });

const plan = {
  steps: [
    { id: 'left', agent: 'reader', task: 'read the left page', needs: [] },
    { id: 'right', agent: 'reader', task: 'read the right page', needs: [] },
    { id: 'both', agent: 'reader', task: 'compare both pages', needs: ['left', 'right'] },
  ],
};

/** Each worker looks into the folder once; work on the first page has to be revised. */
export const answerOf = (request: ChatRequest): Answer => {
  const asked = request.messages.find(({ role }) => role === 'user')!.content!;
  const format = formatOf(request);
  if (format === 'plan') return { json: plan };
  const page = /# Task\n.*? (\w+) pages?/.exec(asked)?.[1];
  if (format === 'verdict') {
    const revises = (page === 'first' || page === 'left') && !asked.includes('revised');
    return { json: { verdict: revises ? 'revise' : 'accept', reasons: revises ? ['say that it is revised'] : [], confidence: 0.9 } };
  }
  const found = request.messages.filter(({ role }) => role === 'tool').map(({ content }) => content ?? '');
  if (page === undefined) return report(`${asked.match(/page is read/g)?.length ?? 0} pages are read ${digest(asked)}`);
  if ((request.tools?.length ?? 0) > 0 && found.length === 0) return { calls: [{ name: 'list_files', arguments: {} }] };
  return report(`${asked.includes('# Feedback') ? 'revised: ' : ''}the ${page} page is read ${digest(`${asked}${found.join('')}`)}`);
};
