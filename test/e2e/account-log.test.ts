/** An account that many runs share, whose log those runs cut while they go on. */
import { expect, test } from 'vitest';
import { testBuses } from '../support/cli.ts';
import { documents } from '../support/documents.ts';

const team = `
name: pages
task: What happens when a payment fails?
inputs: { docs: { folder: docs } }
models: { default: [extractive/classic] }
agents:
  lead: { kind: supervisor, role: an editor }
  reader: { kind: worker, role: a reader, tools: [search_files, read_file] }
topology:
  kind: workflow
  supervisor: lead
  steps:
    - { id: look, agent: reader, task: What happens when a payment fails? }
    - { id: again, agent: reader, task: When is a suspended account opened again? }
budget: { account: acme, limit: 0.05 }
`;

test('runs that share an account cut its log when it has grown long, and its ledger holds', { timeout: 120_000 }, async () => {
  const bus = await testBuses.embedded();
  const desk = bus.desk({ ...documents, 'team.yaml': team });
  expect((await desk.run(['budget', 'open', 'acme', '5', '--cut-after', '100'])).exitCode).toBe(0);
  for (let round = 0; round < 3; round++) {
    const ended = await Promise.all(Array.from({ length: 4 }, () => desk.run(['run', 'team.yaml', '--quiet'])));
    for (const { exitCode, stderr } of ended) expect(exitCode, stderr).toBe(0);
  }
  const { stdout } = await desk.run(['budget', 'verify', 'acme', '--json']);
  const verified = JSON.parse(stdout) as { holds: boolean; lines: number; cut: number };
  expect(verified).toMatchObject({ holds: true });
  expect(verified.lines).toBeLessThan(100);
  expect(verified.cut).toBeGreaterThan(0);
  await bus.dispose();
});

test.for(['99', '90001', 'many'])('a log is not cut after %s entries', async (entries) => {
  const bus = await testBuses.embedded();
  const { exitCode, stderr } = await bus.desk({}).run(['budget', 'open', 'acme', '5', '--cut-after', entries]);
  expect({ exitCode, stderr }).toEqual({ exitCode: 2, stderr: expect.stringContaining('expected a whole number from 1') as string });
  await bus.dispose();
});
