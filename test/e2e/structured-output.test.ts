/** Answers with a form, through the command line: checked, put right as often as the file says, and failed with the reason. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testBuses, type TestBus } from '../support/cli.ts';

const EXAMPLE = readFileSync(join(import.meta.dirname, '../../examples/structured-output/team.yaml'), 'utf8');

let bus: TestBus;
beforeAll(async () => void (bus = await testBuses.embedded()));
afterAll(() => bus.dispose());

const runOf = async (team: string) => {
  const ended = await bus.desk({ 'team.yaml': team }).run(['run', 'team.yaml', '--json', '--quiet']);
  return { ...ended, said: JSON.parse(ended.stdout) as { status: string; output?: unknown; failure?: { code: string; message: string } } };
};

test('an answer that does not fit its schema is told why, and put right', async () => {
  const { exitCode, said } = await runOf(EXAMPLE);
  expect(exitCode).toBe(0);
  expect(said).toMatchObject({ status: 'completed', output: { order: 'A-17', euros: 40, wish: 'refund' } });
});

test('without a repair the step fails, with what is wrong', async () => {
  const { exitCode, said } = await runOf(EXAMPLE.replace('repairs: 1', 'repairs: 0'));
  expect(exitCode).toBe(1);
  expect(said.failure).toMatchObject({ code: 'MODEL_BAD_REPLY', message: expect.stringContaining('output.euros: expected a number, found "forty"') as string });
  expect(said.output).toBeUndefined();
});

test('two repairs are two, and one is one', async () => {
  const wrong = '{ json: { output: { order: A-17, euros: forty, wish: refund } } }';
  const twice = EXAMPLE.replace('  clerk:\n', `  clerk:\n    - ${wrong}\n`);
  expect((await runOf(twice.replace('repairs: 1', 'repairs: 2'))).said).toMatchObject({ status: 'completed', output: { euros: 40 } });
  expect((await runOf(twice)).said.failure?.code).toBe('MODEL_BAD_REPLY');
});

test('a supervisor answers in its form as well', async () => {
  const form = 'output: { schema: { type: object, properties: { open: { type: boolean } }, required: [open] } }';
  const team = EXAMPLE.replace('role: the head of the desk }', `role: the head of the desk, model: scripted/head, ${form} }`).replace(
    'scripts:\n',
    'scripts:\n  head: [{ json: { output: { open: true } } }]\n',
  );
  expect((await runOf(team)).said).toMatchObject({ status: 'completed', output: { open: true } });
});

test('a schema that would not hold is a mistake of the file, with its place', async () => {
  const desk = bus.desk({ 'team.yaml': EXAMPLE.replace('required: [order, euros, wish]', 'requierd: [order]') });
  const { exitCode, stderr } = await desk.run(['validate', 'team.yaml']);
  expect(exitCode).toBe(2);
  expect(stderr).toMatch(/team\.yaml:\d+:\d+ agents\.clerk\.output\.schema\.requierd: "requierd" is no keyword/);
});
