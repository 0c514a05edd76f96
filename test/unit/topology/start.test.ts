/** What whoever starts a run in this process may rely on. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, onTestFinished, test } from 'vitest';
import { openEmbeddedBus } from '../../../src/bus/embedded/bus.ts';
import type { Bus } from '../../../src/bus/port.ts';
import { standardModels, standardTools } from '../../../src/topology/standard.ts';
import { Troupe } from '../../../src/topology/start.ts';
import { loadTeam } from '../../../src/topology/load.ts';
import { listRuns } from '../../../src/topology/remote.ts';
import { removeRun } from '../../../src/topology/remove-run.ts';
import { resolveTeam } from '../../../src/topology/resolve.ts';
import { openSharedAccount } from '../../../src/topology/shared-account.ts';
import { eventually } from '../../support/eventually.ts';
import { catalogue, edited, teamFolder, workflow } from './team-folder.ts';

test('a run is on the disk before a call is made for it, and its end before anybody is told of it', async () => {
  const folder = await teamFolder();
  onTestFinished(() => folder.remove());
  await folder.write(edited(workflow, '[openai/gpt-4.1-mini]', '[extractive/classic]'));
  const { file, inputs } = await loadTeam(join(folder.path, 'team.yaml'), { cwd: folder.path, catalogue });

  const path = join(folder.path, 'bus.db');
  const bus = openEmbeddedBus({ path });
  const disk = new DatabaseSync(path, { readOnly: true });
  const found = (sql: string): number => (disk.prepare(`SELECT count(*) AS rows FROM ${sql}`).get() as { rows: number }).rows;
  const model = standardModels().find(({ provider }) => provider === 'extractive')!;
  const seen: number[][] = [];
  const watched = {
    ...model,
    call: (...said: Parameters<(typeof model)['call']>) => {
      seen.push([
        found("kv WHERE key LIKE 'run.%'"),
        found("kv WHERE key LIKE 'lease.%'"),
        found("entry WHERE json_extract(envelope, '$.type') = 'effect.claimed'"),
      ]);
      return model.call(...said);
    },
  };
  const troupe = await Troupe.open({ bus, models: [watched], tools: standardTools() });
  onTestFinished(async () => {
    await troupe.close();
    await bus.close();
    disk.close();
  });

  const run = await troupe.start(resolveTeam(file, inputs));
  expect(await run.result).toMatchObject({ status: 'completed' });
  expect(found("entry WHERE json_extract(envelope, '$.type') = 'run.completed'"), 'the end').toBe(1);
  expect(seen.length).toBeGreaterThan(0);
  expect(seen.every(([runs, leases, claims]) => runs === 1 && leases === 1 && claims! > 0)).toBe(true);
});

/** A team whose runs share an account of so many dollars, and a bus that has the account. */
const sharing = async (accountNanos: string) => {
  const folder = await teamFolder();
  onTestFinished(() => folder.remove());
  await folder.write(edited(edited(workflow, '[openai/gpt-4.1-mini]', '[extractive/classic]'), 'limit: 0.05', 'limit: 0.05\n  account: acme'));
  const { file, inputs } = await loadTeam(join(folder.path, 'team.yaml'), { cwd: folder.path, catalogue });
  const bus = openEmbeddedBus({ path: ':memory:' });
  const limits = [{ measure: 'money' as const, amount: accountNanos, window: 'total' as const }];
  const open = () => openSharedAccount(bus, { account: { id: 'acme', limits }, onExhausted: 'pause', orphans: 'charge', grantMs: 180_000, waitMs: 60_000 });
  return { team: resolveTeam(file, inputs), bus, open };
};

const hosting = async (bus: Bus): Promise<Troupe> => {
  const troupe = await Troupe.open({ bus, models: standardModels(), tools: standardTools() });
  onTestFinished(async () => {
    await troupe.close();
    await bus.close();
  });
  return troupe;
};

test('an account that runs share is followed once, however many of them begin at the same moment', async () => {
  const { team, bus, open } = await sharing('1000000000');
  await open();
  const followed: string[] = [];
  const follow: Bus['follow'] = (pattern, ...rest) => (followed.push(pattern), bus.follow(pattern, ...rest));
  const troupe = await hosting({ ...bus, follow });
  const runs = await Promise.all(Array.from({ length: 5 }, () => troupe.start(team)));
  expect((await Promise.all(runs.map(({ result }) => result))).map(({ status }) => status)).toEqual(Array(5).fill('completed'));
  expect(followed.filter((pattern) => pattern.startsWith('acct-acme'))).toHaveLength(1);
});

test('a run that its account refuses is not on the bus, and the next one begins when the account is there', async () => {
  const { team, bus, open } = await sharing('1000000000');
  const troupe = await hosting(bus);
  await expect(troupe.start(team)).rejects.toMatchObject({ code: 'ACCOUNT_UNKNOWN' });
  await open();
  const slice = { ...team.agents['lead']!, budget: { sliceNanos: '2000000000', limits: [] } };
  await expect(troupe.start({ ...team, agents: { ...team.agents, lead: slice } })).rejects.toMatchObject({ code: 'BUDGET_NOT_COVERED' });
  expect((await bus.keys('')).filter((key) => key.startsWith('run.') || key.startsWith('lease.'))).toEqual([]);
  const { result } = await troupe.start(team);
  expect(await result).toMatchObject({ status: 'completed' });
  expect(await listRuns(bus)).toHaveLength(1);
});

test('whoever serves a shared account next says nothing to runs that were removed, and again to those that are there', async () => {
  const { team, bus, open } = await sharing('1000000000');
  await open();
  const logsOf = async (run: string): Promise<number> => {
    let entries = 0;
    for await (const _ of bus.read(`${run}.>`)) entries += 1;
    return entries;
  };
  const said: string[] = [];
  const append: Bus['append'] = (log, envelope, options) => {
    if (envelope.from.startsWith('acct-acme')) said.push(log.slice(0, log.indexOf('.')));
    return bus.append(log, envelope, options);
  };
  const first = await Troupe.open({ bus, models: standardModels(), tools: standardTools() });
  const [removed, kept] = [await first.start(team), await first.start(team)];
  await Promise.all([removed.result, kept.result]);
  await first.close();
  await removeRun(bus, { id: removed.id, status: 'completed' });
  expect(await logsOf(removed.id)).toBe(0);
  const before = await logsOf(kept.id);

  const next = await hosting({ ...bus, append });
  const run = await next.start(team);
  expect(await run.result).toMatchObject({ status: 'completed' });
  await eventually('the other one is told again', () => said.includes(kept.id));
  expect(said).not.toContain(removed.id);
  expect([await logsOf(removed.id), await logsOf(kept.id)], 'what is said again is known').toEqual([0, before]);
});
