/** A crew is led by a plan or by a manager: its agents are the same. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testBuses, type TestBus } from '../support/cli.ts';

const ROOT = join(import.meta.dirname, '../..');
const CREW = readFileSync(join(ROOT, 'examples/crew/team.yaml'), 'utf8');

let bus: TestBus;
beforeAll(async () => void (bus = await testBuses.embedded()));
afterAll(() => bus.dispose());

test.each([
  ['sequential', CREW],
  [
    'led by a manager',
    CREW.replace(/^topology:[\s\S]*?\n\n(?=budget:)/m, 'topology: { kind: centralised, supervisor: manager, workers: [researcher, writer] }\n\n'),
  ],
])('%s, it answers on its topic with sources', async (_, team) => {
  const desk = bus.desk({ 'team.yaml': team });
  const ended = await desk.run(['run', 'team.yaml', '--json', '--quiet', '--input', `docs=${join(ROOT, 'docs')}`, '--input', 'topic=grants']);
  expect(ended.exitCode, ended.stderr).toBe(0);
  const { status, citations } = JSON.parse(ended.stdout) as { status: string; citations: unknown[] };
  expect(status).toBe('completed');
  expect(citations.length).toBeGreaterThan(0);
});
