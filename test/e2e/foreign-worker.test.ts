/**
 * A worker that is not Troupe takes part in real runs: the example's worker.mjs as a process on a real server, beside agents and
 * a budget server of Troupe.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openNatsBus } from '../../src/bus/nats/bus.ts';
import type { Bus, Entry } from '../../src/bus/port.ts';
import type { RunId } from '../../src/protocols/ids.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { listHosts } from '../../src/runtime/presence.ts';
import { loadTeam } from '../../src/topology/load.ts';
import { resolveTeam } from '../../src/topology/resolve.ts';
import { BUDGET_PART, Service } from '../../src/topology/service.ts';
import { standardCatalogue, standardModels, standardTools } from '../../src/topology/standard.ts';
import { awaitEnd, submitRun, type Submitted } from '../../src/topology/submit.ts';
import { withHash, type Team } from '../../src/topology/team.ts';
import { Workshop } from '../../src/topology/workshop.ts';
import { eventually } from '../support/eventually.ts';
import { faultyLinkTo } from '../support/faulty-link.ts';
import { startNatsServer, type NatsServer } from '../support/nats-server.ts';

const FOLDER = join(import.meta.dirname, '../../examples/foreign-worker');
const WORKER = join(FOLDER, 'worker.mjs');
const FIGURES = '33 words in 3 sentences';

let server: NatsServer;
let bus: Bus;
let team: Team;
/** In the order in which they were opened. */
let closers: (() => Promise<void>)[] = [];

beforeEach(async () => {
  server = await startNatsServer();
  closers = [server.dispose];
  bus = await openNatsBus({ servers: server.url });
  closers.push(bus.close);
  const { file, inputs } = await loadTeam(join(FOLDER, 'team.yaml'), { cwd: FOLDER, catalogue: standardCatalogue() });
  const resolved = resolveTeam(file, inputs);
  // Whoever runs the tests may have a key.
  const agents = Object.fromEntries(
    Object.entries(resolved.agents).map(([name, agent]) => [name, agent.kind === 'external' ? agent : { ...agent, models: ['extractive/classic'] }]),
  );
  team = withHash({ ...resolved, agents });
});
afterEach(async () => {
  for (const close of closers.toReversed()) await close();
});

/** A process of Troupe that plays these parts. */
const play = async (plays: readonly string[]): Promise<void> => {
  const own = await openNatsBus({ servers: server.url });
  const service = await Service.open({ bus: own, team, plays, concurrency: 16, models: standardModels(), tools: standardTools() });
  closers.push(async () => {
    await service.close();
    await own.close();
  });
};

type Foreign = { readonly child: ChildProcess; readonly said: () => string };

const startForeign = async (url = server.url, until = 'plays counter'): Promise<Foreign> => {
  const child = spawn(process.execPath, [WORKER, url], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  closers.push(() => end({ child, said: () => said }, 'SIGKILL'));
  await eventually(`the foreign worker says: ${until}`, () => said.includes(until) || child.exitCode !== null);
  return { child, said: () => said };
};

const end = async ({ child }: Foreign, signal: NodeJS.Signals): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
};

const submit = (of = team): Promise<Submitted> => {
  const workshop = new Workshop({ models: standardModels(), tools: standardTools(), clock: systemClock });
  return submitRun(bus, of, (unplayed) => workshop.chooseModels(unplayed), Date.now());
};

const entriesOf = async (run: RunId): Promise<Entry[]> => {
  const entries: Entry[] = [];
  for await (const entry of bus.read(`${run}.>`)) entries.push(entry);
  return entries;
};

/** What the counter said in a run: each entry as it lies on the server. */
const answersIn = async (run: RunId): Promise<{ type: string; step: unknown }[]> =>
  (await entriesOf(run))
    .filter(({ envelope }) => envelope.from.startsWith(`${run}.worker.counter.`))
    .map(({ envelope: { type, data } }) => ({ type, step: data['step'] }));

const ends = (run: RunId) => awaitEnd(bus, run, Date.now()).result;

/** Its record as others see it. */
const recordOfCounter = async () =>
  (await listHosts(bus, Date.now())).find(({ record }) => record.serves?.team === 'column' && record.serves.agents.includes('counter'));

test('a run ends with what the foreign worker said, and the worker is on record until it is told to stop', { timeout: 60_000 }, async () => {
  await play([BUDGET_PART]);
  await play(['lead', 'editor']);
  expect((await submit()).missing).toEqual(['counter']);
  const foreign = await startForeign();
  const { revision } = (await recordOfCounter())!;

  const { run, missing } = await submit();
  expect(missing).toEqual([]);
  const result = await ends(run);
  expect(result).toMatchObject({ status: 'completed', answer: expect.stringContaining(FIGURES) as string });
  expect(await answersIn(run)).toEqual([{ type: 'task.completed', step: 'figures' }]);

  await eventually('its record is renewed', async () => (await recordOfCounter())!.revision > revision);
  await end(foreign, 'SIGTERM');
  expect(foreign.child.exitCode).toBe(0);
  expect(await recordOfCounter()).toBeUndefined();
});

test('a worker that is not there yet finds what was assigned before, and those that come later answer nothing again', { timeout: 60_000 }, async () => {
  await play(['lead', BUDGET_PART]);
  const { run } = await submit();
  await eventually('the task is assigned', async () => (await entriesOf(run)).some(({ envelope }) => envelope.type === 'task.assign'));
  const first = await startForeign();
  await eventually('it is answered', async () => (await answersIn(run)).length > 0);
  await end(first, 'SIGKILL');
  const second = await startForeign();
  await play(['editor']);
  expect(await ends(run)).toMatchObject({ status: 'completed', answer: expect.stringContaining(FIGURES) as string });
  expect(second.said()).not.toContain('took');
  expect(await answersIn(run)).toEqual([{ type: 'task.completed', step: 'figures' }]);
});

test('a worker that is there before any process of Troupe waits for the streams, and says so once', { timeout: 60_000 }, async () => {
  const untouched = await startNatsServer();
  closers.push(untouched.dispose);
  const early = await startForeign(untouched.url, 'waits for a process of Troupe');
  const first = await openNatsBus({ servers: untouched.url });
  closers.push(first.close);
  await eventually('it plays its part', () => early.said().includes('plays counter') || early.child.exitCode !== null);
  expect(early.said()).toMatch(/^waits for a process of Troupe[^\n]*\nplays counter of column as counter-\S+\n$/);
  await eventually('it is on record', async () => (await listHosts(first, Date.now())).some(({ record }) => record.serves?.agents.includes('counter')));
});

test('a worker that is killed in mid-task and another one give one result', { timeout: 60_000 }, async () => {
  await play(['lead', 'editor', BUDGET_PART]);
  const link = await faultyLinkTo(server.port);
  closers.push(link.close);
  // It hears of the task and of nothing else: it asks for the run's record, and is killed while it waits.
  link.deafenAfter('task.assign');
  const killed = await startForeign(link.url);
  const { run } = await submit();
  await eventually('it took the task', () => killed.said().includes(`took ${run}.worker.counter.figures-1`));
  await end(killed, 'SIGKILL');
  expect(await answersIn(run)).toEqual([]);
  await startForeign();
  expect(await ends(run)).toMatchObject({ status: 'completed', answer: expect.stringContaining(FIGURES) as string });
  expect(await answersIn(run)).toEqual([{ type: 'task.completed', step: 'figures' }]);
});

test('two workers answer each of many tasks once, and one of them is killed meanwhile', { timeout: 120_000 }, async () => {
  if (team.topology.kind !== 'workflow') throw new Error('the example is a workflow');
  const ids = Array.from({ length: 24 }, (_, index) => `count-${index}`);
  const steps = ids.map((id, index) => ({ id, agent: 'counter', task: 'One two.', needs: index < 8 ? [] : [ids[index - 8]!], onFailure: 'fail' as const }));
  const many = withHash({ ...team, topology: { ...team.topology, concurrency: 8, steps } });
  await play(['lead', 'editor', BUDGET_PART]);
  const [killed] = await Promise.all([startForeign(), startForeign()]);
  const runs = await Promise.all([submit(many), submit(many)]);
  await eventually('it took a task', () => killed.said().includes('took'));
  await end(killed, 'SIGKILL');
  await startForeign();
  for (const { run } of runs) {
    expect(await ends(run)).toMatchObject({ status: 'completed' });
    const answers = await answersIn(run);
    expect(answers).toHaveLength(ids.length);
    expect(new Set(answers.map(({ step }) => step))).toEqual(new Set(ids));
    expect(new Set(answers.map(({ type }) => type))).toEqual(new Set(['task.completed']));
  }
});

test('a task that is cancelled before it is answered is answered as cancelled', { timeout: 60_000 }, async () => {
  await play(['lead', BUDGET_PART]);
  const { run } = await submit();
  const log = `${run}.worker.counter.figures-1`;
  const logged = async () => (await entriesOf(run)).find((entry) => entry.log === log);
  await eventually('the task is assigned', async () => (await logged()) !== undefined);
  const { envelope } = (await logged())!;
  await bus.append(log, { ...envelope, id: `${run}/cancel`, type: 'task.cancel', data: { reason: 'no longer wanted' } });
  await startForeign();
  await eventually('it is answered', async () => (await answersIn(run)).length > 0);
  expect(await answersIn(run)).toEqual([{ type: 'task.failed', step: 'figures' }]);
  expect(await ends(run)).toMatchObject({ status: 'failed', failure: { message: expect.stringContaining('no longer wanted') as string } });
});

test('the worker is plain JavaScript of fewer than 150 lines that imports a NATS client and nothing else', () => {
  const source = readFileSync(WORKER, 'utf8');
  expect(source.trimEnd().split('\n').length).toBeLessThan(150);
  const imports = [...source.matchAll(/\bfrom\s+['"]([^'"]+)['"]|\b(?:import|require)\s*\(?\s*['"]([^'"]+)['"]/g)].map(([, from, bare]) => from ?? bare);
  expect(imports).toEqual(['nats']);
  expect(source).not.toMatch(/\bimport\s*\(|\brequire\b/);
});
