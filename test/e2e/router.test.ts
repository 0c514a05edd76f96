/** A router, from its file to its answer: whom a task goes to, and what becomes of one that is for nobody, or for nobody surely. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAddress } from '../../src/protocols/ids.ts';
import { runIdIn, testBuses, type TestBus } from '../support/cli.ts';
import { play, teamFile, type Said } from '../support/example.ts';

const callsOf = (said: readonly Said[], role: string): number =>
  said.filter(({ from, message }) => message.type === 'budget.reserve' && parseAddress(from).role === role).length;

test.each([
  ['What happens to the lease of a run when its host is lost?', 'engineer'],
  ['What does the price of a cached token come to?', 'cashier'],
  ['Good morning!', 'greeter'],
])('offline, "%s" is for the %s alone, whose answer is the answer', async (task, agent) => {
  const { result, said } = await play('examples/router/team.yaml', task);
  expect(result.status).toBe('completed');
  expect(result.steps).toMatchObject([{ step: 'answer', agent, status: 'completed' }]);
  const given = said.flatMap(({ to, message }) => (message.type === 'task.assign' ? [{ to: parseAddress(to).agent, task: message.data.instructions }] : []));
  expect(given).toEqual([{ to: agent, task }]);
  const answers = said.flatMap(({ message }) => (message.type === 'task.completed' ? [message.data.text] : []));
  expect(answers).toEqual([result.answer]);
  expect(callsOf(said, 'supervisor')).toBe(1); // to choose; none to put an answer together
});

/** `desk`: what the router's model says, in turn. */
const routed = (rules: string, ...desk: readonly object[]): string => `name: desk
task: Where is my money?
scripts:
  desk: ${JSON.stringify(desk.map((json) => ({ repeat: desk.length === 1, json })))}
  cashier: [{ repeat: true, json: { text: It is in the bank. } }]
  greeter: [{ repeat: true, json: { text: Good day. } }]
agents:
  desk: { kind: supervisor, role: a front desk, model: scripted/desk }
  cashier: { kind: worker, role: a cashier, model: scripted/cashier }
  greeter: { kind: worker, role: a clerk, model: scripted/greeter }
topology:
  kind: router
  supervisor: desk
  routes: [{ agent: cashier, when: it is about money }, { agent: greeter, when: it is a greeting }]
${rules}
budget: { limit: 0.05 }
`;

const unsure = { agent: 'cashier', confidence: 0.4, reason: 'it may be about money' };
const unknown = { agent: null, confidence: 0.9, reason: 'it is about ships' };

test('what is for nobody, or for nobody surely, goes to the fallback', async () => {
  for (const choice of [unsure, unknown]) {
    const { result } = await play(teamFile(routed('  fallback: greeter', choice)));
    expect(result).toMatchObject({ status: 'completed', answer: 'Good day.' });
  }
});

test('without a fallback the run fails, and says for whom it was best', async () => {
  const failed = async (choice: object) => (await play(teamFile(routed('', choice)))).result.failure;
  expect(await failed(unsure)).toMatchObject({
    code: 'ROUTE_UNKNOWN',
    message: 'desk found nobody for the task: it is best for cashier, but below confidence_from 0.6 (confidence 0.40: it may be about money)',
  });
  expect(await failed(unknown)).toMatchObject({ message: 'desk found nobody for the task: it is for none of cashier, greeter (it is about ships)' });
});

test('the confidence from which a choice counts is the file’s to say', async () => {
  const { result } = await play(teamFile(routed('  confidence_from: 0.4', unsure)));
  expect(result.answer).toBe('It is in the bank.');
});

test('an agent that has no route is never chosen: the model is told who there is, and asked again', async () => {
  const { result, said } = await play(teamFile(routed('', { agent: 'president', confidence: 1 }, { agent: 'cashier', confidence: 1 })));
  expect(result).toMatchObject({ status: 'completed', answer: 'It is in the bank.' });
  expect(callsOf(said, 'supervisor')).toBe(2);
  const stubborn = await play(teamFile(routed('  fallback: greeter', { agent: 'president', confidence: 1 })));
  expect(stubborn.result.failure).toMatchObject({
    code: 'MODEL_BAD_REPLY',
    message: expect.stringContaining('no agent is called "president"; there are cashier, greeter') as string,
  });
});

test('a router may be a team inside another, whose step fails when it finds nobody', async () => {
  const nested = (choice: object): string =>
    routed('', choice)
      .replace('topology:', '  all: { kind: team, topology: INNER }\ntopology:')
      .replace(
        /topology:\n {2}kind: router[^]*?\nbudget/,
        'topology: { kind: workflow, supervisor: desk, steps: [{ id: ask, agent: all, task: Ask them. }] }\nbudget',
      )
      .replace(
        'INNER',
        '{ kind: router, supervisor: desk, routes: [{ agent: cashier, when: it is about money }, { agent: greeter, when: it is a greeting }] }',
      );
  expect((await play(teamFile(nested({ agent: 'cashier', confidence: 1 })))).result).toMatchObject({
    status: 'completed',
    answer: 'It is in the bank.',
    steps: [
      { step: 'ask', agent: 'all' },
      { step: 'ask/answer', agent: 'cashier' },
    ],
  });
  expect((await play(teamFile(nested(unknown)))).result.failure).toMatchObject({ code: 'ROUTE_UNKNOWN' });
});

describe.each(['embedded', 'nats'] as const)('a choice that is not sure, on the %s bus', (name) => {
  let bus: TestBus;
  beforeAll(async () => void (bus = await testBuses[name]()));
  afterAll(() => bus?.dispose());

  const asked = async (choice: object, question: string) => {
    const desk = bus.desk({ 'team.yaml': routed('  on_unknown: ask\n  fallback: greeter', choice) });
    const { exitCode, stderr } = await desk.run(['run', 'team.yaml']);
    expect([exitCode, stderr]).toEqual([4, expect.stringContaining(question) as string]);
    expect(stderr).not.toContain('answer-1');
    return { desk, run: runIdIn(stderr)!, stderr };
  };
  const askedOfCashier = () => asked(unsure, 'Give it to cashier? (confidence 0.40: it may be about money) If not, greeter does it.');

  test('asks a person, and goes on with a yes', async () => {
    const { desk, run, stderr } = await askedOfCashier();
    expect(stderr).toContain('the task is for nobody surely, best for cashier');
    expect((await desk.run(['approve', run])).stdout).toContain('Where is my money?');
    expect((await desk.run(['approve', run, 'route'])).exitCode).toBe(0);
    const ended = await desk.run(['resume', run]);
    expect([ended.exitCode, ended.stdout.trim()]).toEqual([0, 'It is in the bank.']);
  });

  test('goes to the fallback with a no', async () => {
    const { desk, run } = await askedOfCashier();
    expect((await desk.run(['approve', run, 'route', '--deny'])).exitCode).toBe(0);
    const ended = await desk.run(['resume', run]);
    expect([ended.exitCode, ended.stdout.trim()]).toEqual([0, 'Good day.']);
  });

  test('of nobody is a question about the fallback, and fails with a no that says whose it was', async () => {
    const { desk, run } = await asked(unknown, 'Give it to greeter? (confidence 0.90: it is about ships) If not, nobody does it.');
    expect((await desk.run(['approve', run, 'route', '--deny', '--note', 'ask the harbour'])).exitCode).toBe(0);
    const ended = await desk.run(['resume', run]);
    expect(ended.exitCode).toBe(1);
    expect(ended.stderr).toMatch(/asked whether greeter is to do it, \S+ said no: ask the harbour \(ROUTE_UNKNOWN\)/);
  });
});
