/** A run that was written down, and whose starter died before it said that the run starts, can be cancelled all the same. */
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { get } from '../../../src/actors/budget/by-id.ts';
import { openBus } from '../../../src/bus/open.ts';
import type { Bus } from '../../../src/bus/port.ts';
import type { RunId } from '../../../src/protocols/ids.ts';
import { clientOf, supervisorOf } from '../../../src/topology/cast.ts';
import { loadTeam } from '../../../src/topology/load.ts';
import { booksOf, cancelRun, listRuns } from '../../../src/topology/remote.ts';
import { resolveTeam } from '../../../src/topology/resolve.ts';
import { BUDGET_PART, Service } from '../../../src/topology/service.ts';
import { openSharedAccount } from '../../../src/topology/shared-account.ts';
import { standardModels, standardTools } from '../../../src/topology/standard.ts';
import { awaitEnd, submitRun } from '../../../src/topology/submit.ts';
import type { Team } from '../../../src/topology/team.ts';
import { catalogue, edited, teamFolder, workflow } from './team-folder.ts';

const OFFLINE = edited(workflow, '[openai/gpt-4.1-mini]', '[extractive/classic]');

const teamOf = async (text: string): Promise<Team> => {
  const folder = await teamFolder();
  onTestFinished(folder.remove);
  await folder.write(text);
  const { file, inputs } = await loadTeam(join(folder.path, 'team.yaml'), { cwd: folder.path, catalogue });
  return resolveTeam(file, inputs);
};

const models = { lead: 'extractive/classic', reader: 'extractive/classic', checker: 'extractive/classic' };
const submit = async (bus: Bus, team: Team): Promise<RunId> => (await submitRun(bus, team, () => models, Date.now())).run;

/** Submits a run and dies when it would say a message of this type. */
const dieBefore = async (type: string, bus: Bus, team: Team): Promise<RunId> => {
  const append: Bus['append'] = (log, said, options) => (said.type === type ? Promise.reject(new Error('killed')) : bus.append(log, said, options));
  await expect(submit({ ...bus, append }, team)).rejects.toThrow('killed');
  const [run] = await listRuns(bus);
  expect(run).toMatchObject({ status: 'running' });
  return run!.id;
};

const playAll = async (bus: Bus, team: Team): Promise<void> => {
  const plays = ['lead', 'reader', 'checker', BUDGET_PART];
  const service = await Service.open({ bus, team, plays, concurrency: 8, models: standardModels(), tools: standardTools() });
  onTestFinished(() => service.close());
};

test('it ends as cancelled, and nothing of it is begun, also when it is started after that', async () => {
  const bus = await openBus('memory');
  onTestFinished(bus.close);
  const team = await teamOf(OFFLINE);
  const run = await dieBefore('run.start', bus, team);
  await cancelRun(bus, run, 'not wanted');
  await bus.append(supervisorOf(run), { id: `${run}/start`, type: 'run.start', v: 1, from: clientOf(run), time: Date.now(), data: { goal: 'why?' } });
  await playAll(bus, team);
  expect(await awaitEnd(bus, run, Date.now()).result).toMatchObject({
    status: 'failed',
    failure: { code: 'RUN_CANCELLED', message: 'cancelled: not wanted' },
    spending: { spentNanos: '0' },
  });
  const types: string[] = [];
  for await (const { envelope } of bus.read(`${run}.>`)) types.push(envelope.type);
  expect(types.toSorted()).toEqual(['budget.close', 'budget.closed', 'run.cancel', 'run.failed', 'run.start']);
});

test.each(['budget.open', 'run.start'])('its end leaves the account that it shares with others open when its starter died before %s', async (type) => {
  const bus = await openBus('memory');
  onTestFinished(bus.close);
  const limits = [{ measure: 'money' as const, amount: '1000000000', window: 'total' as const }];
  await openSharedAccount(bus, { account: { id: 'acme', limits }, onExhausted: 'fail', orphans: 'charge', grantMs: 60_000, waitMs: 60_000 });
  const team = await teamOf(edited(OFFLINE, 'limit: 0.05', 'limit: 0.05\n  account: acme'));
  const run = await dieBefore(type, bus, team);
  await cancelRun(bus, run, 'not wanted');
  await playAll(bus, team);
  expect((await awaitEnd(bus, run, Date.now()).result).failure?.code).toBe('RUN_CANCELLED');
  const { tree } = (await booksOf(bus, 'acme')).desk.book;
  expect(get(tree, 'acme')!.closed).toBe(false);
  expect(get(tree, `acme/${run}`)?.closed).toBe(type === 'budget.open' ? undefined : true);
});
