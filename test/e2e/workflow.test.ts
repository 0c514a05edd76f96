/** Workflows through the command line: lists, recovery, branches and loops. Each script answers only what its step should be handed. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { testBuses, type TestBus } from '../support/cli.ts';

const example = (name: string): string => readFileSync(join(import.meta.dirname, `../../examples/workflow-${name}/team.yaml`), 'utf8');

describe.concurrent.each(['embedded', 'nats'] as const)('on the %s bus', (name) => {
  let bus: TestBus;
  beforeAll(async () => void (bus = await testBuses[name]()));
  afterAll(() => bus.dispose());

  const runOf = async (team: string, ...more: readonly string[]) => {
    const { exitCode, stdout, stderr } = await bus.desk({ 'team.yaml': team }).run(['run', 'team.yaml', '--json', ...more]);
    return { exitCode, stderr, said: JSON.parse(stdout) as { status: string; answer?: string; failure?: { code: string; message: string } } };
  };

  test('a step is done for each item of a list, and the results come in its order', async () => {
    const { said, stderr } = await runOf(example('map'));
    expect(said).toMatchObject({ status: 'completed', answer: 'The north gate and the east gate are open.' });
    for (const item of ['visit-1', 'visit-2', 'visit-3']) expect(stderr).toContain(`guide ${item}-1`);
  });

  test('a step that fails is tried again, then given to its fallback; another goes on with its default', async () => {
    const { said, stderr } = await runOf(example('recovery'));
    expect(said).toMatchObject({ status: 'completed', answer: 'The wind allows it; ask for the tide at the pier.' });
    for (const attempt of ['station wind-1', 'station wind-2', 'almanac wind-3', 'gauge tide-1']) expect(stderr).toContain(attempt);
  });

  test('without a fallback the run fails with what the last attempt said', async () => {
    const { exitCode, said } = await runOf(example('recovery').replace('      fallback: almanac\n', ''));
    expect(exitCode).toBe(1);
    expect(said.failure).toMatchObject({ code: 'MODEL_REJECTED', message: expect.stringContaining('the station is still closed') as string });
  });

  test('a result chooses the branch, and what joins goes on with the one that was taken', async () => {
    const urgent = await runOf(example('branch'));
    expect(urgent.said).toMatchObject({ status: 'completed', answer: 'We are sorry. A plumber comes at noon.' });
    expect(urgent.stderr).not.toContain('clerk file');
    const other = await runOf(example('branch'), '--input', 'letter=A word of thanks');
    expect(other.said).toMatchObject({ status: 'completed', answer: 'Thank you for your letter.' });
    expect(other.stderr).not.toContain('plumber help');
  });

  test('a plan goes back until its condition does not hold, and the state keeps what was said', async () => {
    const { said, stderr } = await runOf(example('loop'));
    expect(said).toMatchObject({ status: 'completed', answer: 'It burns above the sea.' });
    for (const attempt of ['poet draft-2', 'critic critique-2', 'keeper minutes-1']) expect(stderr).toContain(attempt);
    expect(stderr).not.toContain('poet draft-3');
  });
});
