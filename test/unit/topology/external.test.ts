/** Agents that a process which is not Troupe plays. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openBus } from '../../../src/bus/open.ts';
import { newRunId } from '../../../src/protocols/ids.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { Presence } from '../../../src/runtime/presence.ts';
import { accountsOf, castTeam } from '../../../src/topology/cast.ts';
import { loadTeam } from '../../../src/topology/load.ts';
import { formatProblem } from '../../../src/topology/problem.ts';
import { resolveTeam } from '../../../src/topology/resolve.ts';
import { BUDGET_PART, Service } from '../../../src/topology/service.ts';
import { Troupe } from '../../../src/topology/start.ts';
import { submitRun } from '../../../src/topology/submit.ts';
import type { Team } from '../../../src/topology/team.ts';
import { Workshop } from '../../../src/topology/workshop.ts';
import { standardModels } from '../../../src/topology/standard.ts';
import { catalogue, edited, teamFolder, workflow } from './team-folder.ts';

let folder: Awaited<ReturnType<typeof teamFolder>>;
beforeAll(async () => void (folder = await teamFolder()));
afterAll(() => folder.remove());

const EXTRACTIVE = edited(workflow, '[openai/gpt-4.1-mini]', '[extractive/classic]');
const EXTERNAL = edited(
  EXTRACTIVE,
  '    role: a researcher\n    tools: [search_files, read_file]',
  '    external: true\n    role: a researcher\n    limits: { timeout_s: 7 }',
);

const load = async (text: string) => {
  await folder.write(text);
  return loadTeam(join(folder.path, 'team.yaml'), { cwd: folder.path, catalogue });
};
const teamOf = async (text: string): Promise<Team> => {
  const { file, inputs } = await load(text);
  return resolveTeam(file, inputs);
};
const chooseModels = (team: Team) => new Workshop({ models: standardModels(), tools: [], clock: systemClock }).chooseModels(team);

test('an external agent needs no model and no tools, and has a time-out for its process', async () => {
  const text = edited(EXTERNAL, '    role: an editor', '    role: an editor\n    model: extractive/classic').replace(
    '  default: [extractive/classic]',
    '  unused: [extractive/classic]',
  );
  const withoutDefault = edited(text, '    role: a fact checker', '    role: a fact checker\n    model: extractive/classic');
  const team = await teamOf(withoutDefault);
  expect(team.agents['reader']).toEqual({
    kind: 'external',
    as: 'worker',
    name: 'reader',
    role: 'a researcher',
    goal: '',
    backstory: '',
    limits: { timeoutMs: 7_000 },
  });
  expect(Object.keys(chooseModels(team)).sort()).toEqual(['checker', 'lead']);
});

test('what is written for an external agent and not given to its process is a warning at its place', async () => {
  const { warnings } = await load(
    edited(EXTERNAL, '    external: true', '    external: true\n    model: nobody/knows\n    tools: [no_such_tool]\n    budget: { slice: 99 }'),
  );
  expect(warnings.map(formatProblem)).toEqual(
    [
      [15, 'model'],
      [16, 'tools'],
      [17, 'budget'],
    ].map(
      ([line, key]) =>
        `team.yaml:${line}:5 warning: agents.reader.${key}: the process that plays an external agent is not given its ${key}; remove it, or remove external: true`,
    ),
  );
});

test('nobody of Troupe lives at the address of an external agent, and it has no account', async () => {
  const text = edited(EXTERNAL, '    external: true', '    external: true\n    budget: { slice: 0.01 }');
  const team = await teamOf(text);
  const run = newRunId(0, () => 0.5);
  const definitionOf = castTeam(run, team, chooseModels(team));
  expect(definitionOf(`${run}.worker.reader.find-1` as never)).toBeUndefined();
  expect(definitionOf(`${run}.reviewer.checker.find-1` as never)).toBeDefined();
  expect(accountsOf(run, team).map(({ id }) => id)).toEqual([run]);
});

test('a process that would host the whole run refuses a team with an external agent before anything is written', async () => {
  const bus = await openBus('memory');
  const troupe = await Troupe.open({ bus, models: standardModels(), tools: [] });
  await expect(troupe.start(await teamOf(EXTERNAL))).rejects.toMatchObject({ code: 'AGENT_EXTERNAL', message: expect.stringContaining('--detach') as string });
  expect(await bus.keys('run.')).toEqual([]);
  await troupe.close();
  await bus.close();
});

test('a process of Troupe refuses to play an external agent', async () => {
  const bus = await openBus('memory');
  const options = { bus, team: await teamOf(EXTERNAL), models: standardModels(), tools: [], concurrency: 1 };
  await expect(Service.open({ ...options, plays: ['checker', 'reader'] })).rejects.toMatchObject({ code: 'AGENT_EXTERNAL' });
  expect(await bus.keys('host.')).toEqual([]);
  await bus.close();
});

test('an external agent is missing from a run until its process is on record', async () => {
  const bus = await openBus('memory');
  const team = await teamOf(EXTERNAL);
  expect((await submitRun(bus, team, chooseModels, 0)).missing).toEqual(['lead', 'reader', 'checker', BUDGET_PART]);
  const about = { serves: { team: team.name, hash: '', agents: ['reader'], concurrency: 1, models: {} } };
  const presence = await Presence.open({ bus, clock: systemClock, id: 'foreign', about });
  expect((await submitRun(bus, team, chooseModels, 0)).missing).toEqual(['lead', 'checker', BUDGET_PART]);
  await presence.close();
  await bus.close();
});
