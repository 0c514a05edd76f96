/** From a file and what a run is given to the team that runs. */
import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadTeam, type LoadOptions } from '../../../src/topology/load.ts';
import { resolveModel, resolveTeam } from '../../../src/topology/resolve.ts';
import { Team } from '../../../src/topology/team.ts';
import { catalogue, edited, teamFolder, workflow } from './team-folder.ts';

let folder: Awaited<ReturnType<typeof teamFolder>>;
beforeAll(async () => {
  folder = await teamFolder();
  await mkdir(join(folder.path, 'desk', 'papers'), { recursive: true });
  await symlink(join(folder.path, 'docs'), join(folder.path, 'desk', 'linked'));
});
afterAll(() => folder.remove());

const load = async (text: string, options: Partial<LoadOptions> = {}) => {
  await folder.write(text);
  return loadTeam(join(folder.path, 'team.yaml'), { cwd: folder.path, catalogue, ...options });
};
const teamOf = async (text: string, { task, ...options }: Partial<LoadOptions> & { task?: string } = {}) => {
  const { file, inputs } = await load(text, options);
  return resolveTeam(file, inputs, task);
};

test('inputs are filled into the texts, and defaults are written out', async () => {
  const team = await teamOf(workflow);
  expect(team.task).toBe('Compare what the documents say about budgets.');
  expect(team.topology).toEqual({
    kind: 'workflow',
    supervisor: 'lead',
    reviewers: ['checker'],
    merge: 'all',
    concurrency: 4,
    reviewRounds: 2,
    onRejected: 'accept_with_note',
    steps: [
      { id: 'find', agent: 'reader', task: 'Find what is said about budgets.', needs: [], onFailure: 'fail' },
      { id: 'compare', agent: 'reader', task: 'Compare it.', needs: ['find'], onFailure: 'fail' },
    ],
  });
  expect(team.agents['reader']).toEqual({
    kind: 'worker',
    name: 'reader',
    role: 'a researcher',
    goal: '',
    backstory: '',
    models: ['openai/gpt-4.1-mini'],
    tools: ['search_files', 'read_file'],
    limits: { turns: 8, maxTokens: 1_200, attempts: 3, timeoutMs: 120_000 },
  });
  expect(team.agents['checker']).toMatchObject({ kind: 'reviewer', askBelow: 0 });
  expect(team.budget).toEqual({
    limitNanos: '50000000',
    limits: [],
    onExhausted: 'pause',
    keptBackNanos: '0',
    cheaperFrom: 80,
    orphans: 'charge',
    thresholds: [50, 80, 95],
    grantMs: 180_000,
    waitMs: 60_000,
  });
  expect(team.limits).toEqual({ deadlineMs: 900_000, askMs: 300_000, depth: 4 });
});

test('what agents may spend while nobody answers is nothing unless the file says so', async () => {
  expect((await teamOf(workflow)).budget).not.toHaveProperty('openUpToNanos');
  expect((await teamOf(edited(workflow, 'limit: 0.05', 'limit: 0.05\n  open_up_to: 0.01'))).budget).toMatchObject({ openUpToNanos: '10000000' });
});

test('what the file says goes before the defaults', async () => {
  const text = edited(
    edited(workflow, '    tools: [search_files, read_file]', '    limits: { turns: 3, max_tokens: 50, attempts: 1, timeout_s: 7 }'),
    'kind: reviewer',
    'kind: reviewer\n    accept_from: 0.6',
  );
  const { agents } = await teamOf(text);
  expect(agents['reader']).toMatchObject({ tools: [], limits: { turns: 3, maxTokens: 50, attempts: 1, timeoutMs: 7_000 } });
  expect(agents['checker']).toMatchObject({ askBelow: 0.6 });
});

test('a given text goes before the file’s, and a given task is taken as it is', async () => {
  const team = await teamOf(workflow, { inputs: { topic: 'queues' }, task: 'What is {topic}?' });
  expect(team.task).toBe('What is {topic}?');
  expect(team.topology).toMatchObject({ steps: [{ task: 'Find what is said about queues.' }, {}] });
});

test('a text that looks like a placeholder is not filled in again', async () => {
  expect((await teamOf(workflow, { inputs: { topic: '{docs} and $& {topic}' } })).task).toBe('Compare what the documents say about {docs} and $& {topic}.');
});

test('doubled braces are the word in braces, and other braces are left alone', async () => {
  const text = edited(workflow, 'role: an editor', `role: an editor\n    backstory: 'Write {{topic}} as {"text": {topic}} {}'`);
  expect((await teamOf(text)).agents['lead']).toMatchObject({ backstory: 'Write {topic} as {"text": budgets} {}' });
});

test('the file’s folders begin at the file, and are called as seen from where the command runs', async () => {
  const { folders } = await teamOf(workflow, { cwd: join(folder.path, 'desk') });
  expect(folders).toEqual([{ name: 'docs', path: join(folder.path, 'docs'), label: '../docs' }]);
});

test('given folders begin where the command runs; links are resolved, labels stay as written', async () => {
  const cwd = join(folder.path, 'desk');
  expect((await teamOf(workflow, { cwd, inputs: { docs: './papers' } })).folders).toEqual([{ name: 'docs', path: join(cwd, 'papers'), label: 'papers' }]);
  expect((await teamOf(workflow, { cwd, inputs: { docs: 'linked' } })).folders).toEqual([{ name: 'docs', path: join(folder.path, 'docs'), label: 'linked' }]);
  expect((await teamOf(workflow, { cwd, inputs: { docs: cwd } })).folders).toEqual([{ name: 'docs', path: cwd, label: cwd }]);
});

test('a given folder makes up for one of the file that is not there', async () => {
  const text = edited(workflow, 'folder: docs', 'folder: nowhere');
  expect((await teamOf(text, { inputs: { docs: 'docs' } })).folders).toHaveLength(1);
});

test('what is given wrongly is said without blaming the file', async () => {
  await expect(load(workflow, { inputs: { dosc: 'docs' } })).rejects.toMatchObject({
    code: 'INPUT_UNKNOWN',
    message: 'team compare has no input "dosc"; known: docs, topic; did you mean "docs"?',
  });
  await expect(load(workflow, { inputs: { docs: 'notes.md' } })).rejects.toMatchObject({
    code: 'INPUT_INVALID',
    message: `input docs: expected a folder, found a file at ${folder.path}/notes.md`,
  });
  await expect(load(workflow, { budget: 'much' })).rejects.toMatchObject({ code: 'BUDGET_INVALID' });
  await expect(loadTeam('no.yaml', { cwd: folder.path, catalogue })).rejects.toMatchObject({ code: 'TEAM_FILE_MISSING' });
});

test('a given budget goes before the file’s and is checked like it', async () => {
  expect((await teamOf(workflow, { budget: '$2' })).budget.limitNanos).toBe('2000000000');
  await expect(load(workflow, { budget: '0.0001' })).rejects.toMatchObject({ code: 'BUDGET_TOO_SMALL' });
});

test('a run needs a task from somewhere', async () => {
  const text = edited(workflow, 'task: Compare what the documents say about {topic}.\n', '');
  await expect(teamOf(text)).rejects.toMatchObject({ code: 'TASK_MISSING' });
  expect((await teamOf(text, { task: 'Compare.' })).task).toBe('Compare.');
});

test('the file’s prices are read to the last digit', async () => {
  const text = edited(
    workflow,
    'agents:',
    'prices:\n  openai/gpt-4.1-mini: { input: "0.000000001", output: 0.6, cached_input: "$0.15", per_call: 1 }\nagents:',
  );
  expect((await teamOf(text)).prices).toEqual({
    'openai/gpt-4.1-mini': { inputNanosPerMtok: '1', outputNanosPerMtok: '600000000', cachedInputNanosPerMtok: '150000000', perCallNanos: '1000000000' },
  });
});

test('an anchor and a merge key share settings', async () => {
  const text = edited(edited(workflow, '  lead:\n', '  lead: &lead\n'), '  checker:\n', '  second:\n    <<: *lead\n    role: another editor\n  checker:\n');
  expect((await teamOf(text)).agents['second']).toMatchObject({ kind: 'supervisor', role: 'another editor' });
});

test('a team survives being stored, and its hash is its own', async () => {
  const team = await teamOf(workflow);
  expect(Team.parse(JSON.parse(JSON.stringify(team)))).toEqual(team);
  expect((await teamOf(`# a remark\n${workflow}`)).hash).toBe(team.hash);
  const lead = '  lead:\n    kind: supervisor\n    role: an editor\n';
  expect((await teamOf(edited(edited(workflow, lead, ''), 'topology:', `${lead}topology:`))).hash).toBe(team.hash);
  expect((await teamOf(edited(workflow, '0.05', '0.06'))).hash).not.toBe(team.hash);
});

test('the first model whose provider is ready is taken', () => {
  const candidates = ['openai/gpt-4.1-mini', 'extractive/classic'];
  expect(resolveModel(candidates, () => true)).toBe('openai/gpt-4.1-mini');
  expect(resolveModel(candidates, (provider) => provider === 'extractive')).toBe('extractive/classic');
  expect(resolveModel(candidates, () => false)).toBeUndefined();
});

test('a cheaper model is a name or a model itself, as the other one is', async () => {
  const team = await teamOf(edited(workflow, 'role: a researcher', 'role: a researcher\n    cheaper_model: extractive/classic'));
  expect(team.agents['reader']).toMatchObject({ models: ['openai/gpt-4.1-mini'], cheaperModels: ['extractive/classic'] });
  const named = edited(workflow, '[openai/gpt-4.1-mini]', '[openai/gpt-4.1-mini]\n  small: [extractive/classic]');
  expect((await teamOf(edited(named, 'role: a researcher', 'role: a researcher\n    cheaper_model: small'))).agents['reader']).toMatchObject({
    cheaperModels: ['extractive/classic'],
  });
});

test.each([
  ['0.0000005', '500'],
  ['5e-7', '500'],
  ['1.25e-7', '125'],
  ['0.000000001', '1'],
])('a limit of %s is read to the last nano-dollar', async (limit, nanos) => {
  const free = edited(edited(workflow, 'openai/gpt-4.1-mini', 'extractive/classic'), 'limit: 0.05', `limit: ${limit}`);
  expect((await teamOf(free)).budget.limitNanos).toBe(nanos);
});
