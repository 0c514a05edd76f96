/** `troupe doctor` as a process: what is there and what is missing, and never what a key is. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BRIEF, startCli, testBuses, type Desk, type TestBus } from '../support/cli.ts';

const KEY = 'sk-doctor-0123456789abcdef';

describe.each(['embedded', 'nats'] as const)('on the %s bus', (name) => {
  let bus: TestBus;
  let desk: Desk;
  beforeAll(async () => {
    bus = await testBuses[name]();
    desk = bus.desk({});
  });
  afterAll(() => bus.dispose());

  test('all that a run needs is listed, with what stands behind the bus', async () => {
    const { exitCode, stdout, stderr } = await desk.run(['doctor']);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toMatch(/^troupe \d+\.\d+\.\d+$/m);
    expect(stdout).toMatch(/^ok +node +v\d+\.\d+\.\d+ /m);
    expect(stdout).toMatch(/^ok +bus +.+, a write takes \d+\.\d ms$/m);
    expect(stdout).toMatch(name === 'nats' ? /^ok +nats-server +\d+\.\d+\.\d+/m : /^ok +sqlite +\d+\.\d+/m);
    expect(stdout).toMatch(/^missing +model openai +no key for openai\/\*: set OPENAI_API_KEY/m);
    expect(stdout).toMatch(/^ok +model extractive +can be called$/m);
    expect(stdout).toMatch(/^ok +prices +\d+ of \d{4}-\d{2}-\d{2}, hash [0-9a-f]{12}$/m);
  });

  test('a key is said to be there, and not shown', async () => {
    const { exitCode, stdout, stderr } = await desk.run(['doctor'], { env: { OPENAI_API_KEY: KEY } });
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^ok +model openai +can be called$/m);
    expect(stdout + stderr).not.toContain(KEY);
  });

  test.each([
    ['OPENAI_BASE_URL', 'localhost'],
    ['OPENAI_COMPAT', 'foo'],
  ])('%s=%s is said to be wrong, and keeps no team file from being checked', async (name, value) => {
    const { exitCode, stdout, stderr } = await desk.run(['doctor'], { env: { OPENAI_API_KEY: KEY, [name]: value } });
    expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: '' });
    expect(stdout).toMatch(new RegExp(`^wrong +model openai +${name}: `, 'm'));
    expect(stdout).toMatch(/^ok +model extractive +can be called$/m);
    const { stdout: valid } = await startCli(desk.folder.path, ['validate', BRIEF], { env: { [name]: value } }).ended;
    expect(valid).toContain('valid; team brief');
  });

  test('it leaves nothing on the bus', async () => {
    await desk.run(['doctor']);
    const opened = await desk.openBus();
    expect(await opened.keys('doctor.')).toEqual([]);
    await opened.close();
  });
});

test('a bus that does not answer is missing, and its password is not shown', async () => {
  const bus = await testBuses.embedded();
  try {
    const { exitCode, stdout, stderr } = await bus.desk({}).run(['doctor', '--bus', 'nats://troupe:hunter2-hunter2@127.0.0.1:1']);
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/^missing +bus +no NATS server answers at nats:\/\/\[redacted\]@127\.0\.0\.1:1 /m);
    expect(stdout + stderr).not.toContain('hunter2');
  } finally {
    await bus.dispose();
  }
});
