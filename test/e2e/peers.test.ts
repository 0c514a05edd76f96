/** Teams of peers as the command line runs them, offline: each protocol comes to an end, and says which. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunResult } from '../../src/topology/run-result.ts';
import { testBuses, type Desk, type TestBus } from '../support/cli.ts';
import { documents, stands } from '../support/documents.ts';

const example = (name: string): string => join(import.meta.dirname, `../../examples/${name}/team.yaml`);
const QUESTION = 'What happens when a payment fails?';
const EXAMPLES = [
  ['contract-net', ['award']],
  ['debate', ['vote', 'agreement']],
  ['refinement', ['agreement']],
  ['gossip', ['agreement']],
] as const;

type Printed = Pick<RunResult, 'status' | 'answer' | 'citations' | 'ended'>;

describe.concurrent.each(['embedded', 'nats'] as const)('on the %s bus', (name) => {
  let bus: TestBus;
  let desk: Desk;
  beforeAll(async () => {
    bus = await testBuses[name]();
    desk = bus.desk(documents);
  });
  afterAll(() => bus.dispose());

  test.each(EXAMPLES)('%s comes to an answer with sources that stand where they are said to stand, and says how', async (file, endings) => {
    const { exitCode, stdout, stderr } = await desk.run(['run', example(file), '--input', 'docs=docs', '--json', '--quiet', QUESTION]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    const { status, answer, citations, ended } = JSON.parse(stdout) as Printed;
    expect(status).toBe('completed');
    expect(answer).toContain('retries it three times within ten days');
    expect(citations.length).toBeGreaterThan(0);
    for (const citation of citations) expect(citation).toSatisfy(stands);
    expect(endings).toContain(ended?.by);
  });
});

test.each(EXAMPLES)('%s has no mistakes as it stands', async (file) => {
  const bus = await testBuses.embedded();
  try {
    const { exitCode, stdout, stderr } = await bus.desk({}).run(['validate', example(file)]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toContain('valid; team');
  } finally {
    await bus.dispose();
  }
});

test('people see who talks, the convener by its own name, and how the peers came to their end', async () => {
  const bus = await testBuses.embedded();
  try {
    const { exitCode, stdout, stderr } = await bus.desk(documents).run(['run', example('contract-net'), '--input', 'docs=docs', QUESTION]);
    expect(exitCode).toBe(0);
    expect(stdout).toContain('retries it three times');
    expect(stderr).toMatch(/^convener +completed$/m);
    expect(stderr).toMatch(/^cashier +(?:asking|waiting)/m);
    expect(stderr).toMatch(/^ended by award after 1 round: \w+ had the best of 3 bids/m);
    expect(stderr).not.toContain('supervisor');
  } finally {
    await bus.dispose();
  }
});
