/** The same agents and task under several topologies, through the command line. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testBuses, type TestBus } from '../support/cli.ts';

const ROOT = join(import.meta.dirname, '../..');
const TEAM = readFileSync(join(ROOT, 'examples/crew/team.yaml'), 'utf8');

let bus: TestBus;
beforeAll(async () => void (bus = await testBuses.embedded()));
afterAll(() => bus.dispose());

const ONE_STEP = 'topology:\n  kind: workflow\n  supervisor: manager\n  steps: [{ id: find, agent: researcher, task: Answer the question. }]\n';
const LEADERLESS = `
name: pair
task: What is so?
agents:
  anna: { kind: worker, role: a reader, model: extractive/classic }
  ben: { kind: worker, role: another reader, model: extractive/classic }
topology: { kind: peers, peers: [anna, ben], protocol: debate }
budget: { limit: 0.01 }
`;
const input = ['--input', `docs=${join(ROOT, 'docs')}`];

type Said = { runs: { topology: string; status: string; answer: string; spentNanos: string; durationMs: number; messages: number; modelCalls: number }[] };

test('each topology has its row, with what it really came to', { timeout: 90_000 }, async () => {
  const desk = bus.desk({ 'team.yaml': TEAM, 'one-step.yaml': ONE_STEP });
  const args = ['compare', 'team.yaml', 'What does a grant reserve?', '--topologies', 'workflow,centralised,router,peers,one-step.yaml', ...input];
  const ended = await desk.run([...args, '--json']);
  expect(ended.exitCode, ended.stderr).toBe(0);
  const { runs } = JSON.parse(ended.stdout) as Said;
  expect(runs.map(({ topology, status }) => [topology, status])).toEqual([
    ['workflow', 'completed'],
    ['centralised', 'completed'],
    ['router', 'completed'],
    ['peers', 'completed'],
    ['one-step.yaml', 'completed'],
  ]);
  for (const { answer, spentNanos, messages, modelCalls } of runs) {
    expect(answer).not.toBe('');
    expect(BigInt(spentNanos)).toBeGreaterThan(0n);
    expect(messages).toBeGreaterThan(2);
    expect(modelCalls).toBeGreaterThan(0);
  }
  // One step needs neither a plan nor an answer put together.
  expect(runs[4]!.modelCalls).toBeLessThan(runs[1]!.modelCalls);

  const shown = await desk.run([...args.slice(0, 4), 'one-step.yaml', ...input]);
  expect(shown.stdout).toMatch(/^topology +status +cost +time +messages +model calls +answer\none-step\.yaml +completed +\$0\.0\d+ +\d/);
});

test('a topology that cannot be used is told before anything is run', async () => {
  const desk = bus.desk({ 'team.yaml': TEAM, 'broken.yaml': ONE_STEP.replace('researcher', 'nobody') });
  for (const [topology, said] of [
    ['broken.yaml', 'topology broken.yaml: topology.steps[0].agent: unknown agent "nobody"'],
    ['star', 'topology star: expected centralised, workflow, router, peers or a file with a topology'],
  ] as const) {
    const ended = await desk.run(['compare', 'team.yaml', '--topologies', `workflow,${topology}`, ...input]);
    expect(ended.exitCode).toBe(2);
    expect(ended.stderr).toContain(said);
    expect((await desk.run(['runs'])).stdout).toBe('');
  }
  const leaderless = bus.desk({ 'team.yaml': LEADERLESS });
  for (const kind of ['centralised', 'workflow', 'router']) {
    const ended = await leaderless.run(['compare', 'team.yaml', '--topologies', `peers,${kind}`]);
    expect([ended.exitCode, ended.stderr]).toEqual([2, expect.stringContaining(`topology ${kind}: no agent of kind supervisor`) as string]);
  }
});
