/** Conversations over several runs, through the command line and on both buses. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { testBuses, type Desk, type TestBus } from '../support/cli.ts';

const TEAM = join(import.meta.dirname, '../../examples/session/team.yaml');

describe.each(['embedded', 'nats'] as const)('on %s', (kind) => {
  let bus: TestBus;
  beforeAll(async () => void (bus = await testBuses[kind]()));
  afterAll(() => bus?.dispose());

  const ask = async (desk: Desk, question: string, ...more: string[]): Promise<string> => {
    const ended = await desk.run(['run', TEAM, question, '--quiet', ...more]);
    expect(ended.exitCode, ended.stderr).toBe(0);
    return ended.stdout.trim();
  };

  test('a run knows what was said before in its session, and in no other', async () => {
    const desk = bus.desk({});
    expect(await ask(desk, 'My name is Ada.', '--session', 'ada')).toBe('Good day, Ada.');
    expect(await ask(desk, 'What is my name?', '--session', 'ada')).toBe('Your name is Ada.');
    expect(await ask(desk, 'What is my name?', '--session', 'bob')).toBe('You have not told me.');
    expect(await ask(desk, 'What is my name?')).toBe('You have not told me.');

    const shown = JSON.parse((await desk.run(['session', 'show', 'ada', '--json'])).stdout) as { turns: { task: string; answer: string }[] };
    expect(shown.turns).toMatchObject([
      { task: 'My name is Ada.', answer: 'Good day, Ada.' },
      { task: 'What is my name?', answer: 'Your name is Ada.' },
    ]);
    expect((await desk.run(['session', 'show'])).stdout).toContain('ada\nbob');

    expect((await desk.run(['session', 'rm', 'ada'])).exitCode).toBe(0);
    for (const command of ['rm', 'show']) {
      const again = await desk.run(['session', command, 'ada']);
      expect([again.exitCode, again.stderr]).toEqual([2, expect.stringMatching(/no session ada .*SESSION_UNKNOWN/) as string]);
    }
    expect(await ask(desk, 'What is my name?', '--session', 'ada')).toBe('You have not told me.');
  });

  test('a run that is resumed adds nothing a second time', async () => {
    const desk = bus.desk({});
    const ended = await desk.run(['run', TEAM, 'My name is Ada.', '--session', 'once', '--json', '--quiet']);
    const { run } = JSON.parse(ended.stdout) as { run: string };
    expect((await desk.run(['run', '--resume', run, '--quiet'])).exitCode).toBe(0);
    const shown = JSON.parse((await desk.run(['session', 'show', 'once', '--json'])).stdout) as { turns: unknown[] };
    expect(shown.turns.length).toBe(1);
  });

  test('a session needs a name, and a run that is waited for', async () => {
    const desk = bus.desk({});
    const unnamed = await desk.run(['run', TEAM, '--session', 'a b']);
    expect([unnamed.exitCode, unnamed.stderr]).toEqual([2, expect.stringContaining('SESSION_INVALID') as string]);
    expect((await desk.run(['run', TEAM, '--session', 'ada', '--detach'])).exitCode).toBe(2);
  });
});
