/** A running team as XState's inspector sees it, over its own WebSocket client. */
import { join } from 'node:path';
import { createWebSocketReceiver, type StatelyInspectionEvent } from '@statelyai/inspect';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { openBus } from '../../../src/bus/open.ts';
import { Inspector } from '../../../src/observe/inspector.ts';
import { loadTeam } from '../../../src/topology/load.ts';
import { resolveTeam } from '../../../src/topology/resolve.ts';
import { standardModels, standardTools } from '../../../src/topology/standard.ts';
import { Troupe } from '../../../src/topology/start.ts';
import { eventually } from '../../support/eventually.ts';
import { catalogue, edited, teamFolder, workflow } from '../topology/team-folder.ts';

let folder: Awaited<ReturnType<typeof teamFolder>>;
beforeAll(async () => void (folder = await teamFolder()));
afterAll(() => folder.remove());

const open = async (): Promise<Inspector> => {
  const inspector = await Inspector.open({ port: 0 });
  onTestFinished(() => inspector.close());
  return inspector;
};

/** Runs a team of the folder to its end. */
const run = async (inspector: Inspector): Promise<string> => {
  await folder.write(edited(workflow, '[openai/gpt-4.1-mini]', '[extractive/classic]'));
  const { file, inputs } = await loadTeam(join(folder.path, 'team.yaml'), { cwd: folder.path, catalogue });
  const bus = await openBus('memory');
  const troupe = await Troupe.open({ bus, models: standardModels(), tools: standardTools(), observe: (seen) => inspector.see(seen) });
  try {
    const started = await troupe.start(resolveTeam(file, inputs));
    await started.result;
    return started.id;
  } finally {
    await troupe.close();
    await bus.close();
  }
};

const watch = (inspector: Inspector): StatelyInspectionEvent[] => {
  const events: StatelyInspectionEvent[] = [];
  createWebSocketReceiver({ server: `ws://127.0.0.1:${inspector.port}` }).subscribe((event) => void events.push(event));
  return events;
};

const states = (events: readonly StatelyInspectionEvent[], sessionId: string) =>
  events.flatMap((event) => (event.type === '@xstate.snapshot' && event.sessionId === sessionId ? [(event.snapshot as { value?: unknown }).value] : []));

test('who watches sees every actor with its chart, what it hears and from whom, and each state to its end', async () => {
  const inspector = await open();
  const events = watch(inspector);
  await inspector.watched;
  const id = await run(inspector);
  await eventually('the end is seen', () => states(events, `${id}.supervisor`).includes('completed'));

  const actors = new Map(events.flatMap((event) => (event.type === '@xstate.actor' ? [[event.sessionId, event] as const] : [])));
  const supervisor = actors.get(`${id}.supervisor`)!;
  expect(JSON.parse(supervisor.definition!)).toMatchObject({ id: 'supervisor', initial: 'idle', states: { closing: { entry: 'closeAccount' } } });
  const worker = [...actors.values()].find(({ sessionId }) => sessionId.startsWith(`${id}.worker.`))!;
  expect(worker).toMatchObject({ parentId: `${id}.supervisor`, name: expect.stringMatching(/^reader /) });
  expect(events.find((event) => event.type === '@xstate.event' && event.event.type === 'task.assign')).toMatchObject({
    sessionId: worker.sessionId,
    sourceId: `${id}.supervisor`,
  });
  expect(states(events, worker.sessionId).at(-1)).toBe('completed');
});

test('who comes after the end is shown everybody as they ended (N2)', async () => {
  const inspector = await open();
  const id = await run(inspector);
  const events = watch(inspector);
  await eventually('the supervisor is shown', () => events.some(({ sessionId }) => sessionId === `${id}.supervisor`));
  expect(events.find(({ sessionId }) => sessionId === `${id}.supervisor`)).toMatchObject({
    type: '@xstate.actor',
    snapshot: { status: 'done', value: 'completed' },
  });
});

test('a page from elsewhere, or under a name that is not of this machine, hears nothing (N1)', async () => {
  const inspector = await open();
  const refused = (options: object): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = new WebSocket(`ws://127.0.0.1:${inspector.port}`, options);
      socket.on('error', ({ message }) => resolve(message));
      socket.on('open', () => reject(new Error('it was let in')));
    });
  expect(await refused({ origin: 'https://example.com' })).toContain('401');
  expect(await refused({ headers: { host: 'example.com' } })).toContain('401');
  expect(await (await fetch(inspector.url)).text()).toContain('https://stately.ai/inspect');
});

test('a port that is taken is said before anything runs', async () => {
  const inspector = await open();
  await expect(Inspector.open({ port: inspector.port })).rejects.toMatchObject({ code: 'INSPECT_UNAVAILABLE' });
});
