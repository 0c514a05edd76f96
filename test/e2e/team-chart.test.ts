/** Pictures of teams and runs as a process makes them, and a run that somebody watches in an inspector. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createWebSocketReceiver, type StatelyInspectionEvent } from '@statelyai/inspect';
import { afterAll, describe, expect, it } from 'vitest';
import { BRIEF, startCli } from '../support/cli.ts';
import { documents } from '../support/documents.ts';
import { eventually } from '../support/eventually.ts';
import { createFolder } from '../support/folder.ts';
import { faultsOf } from '../support/svg-overlaps.ts';

const RECORDING = join(import.meta.dirname, '../fixtures/recordings/paused-and-raised.jsonl');
const BUDGET = join(import.meta.dirname, '../../examples/budget/team.yaml');
const DEBATE = join(import.meta.dirname, '../../examples/debate/team.yaml');
const folder = createFolder('team-charts', { ...documents, 'run.jsonl': readFileSync(RECORDING, 'utf8') });
afterAll(() => folder.remove());

const chart = (...args: readonly string[]) => startCli(folder.path, ['chart', ...args]).ended;
/** The lines of a Mermaid diagram that name what is searched. */
const lines = (mermaid: string, searched: RegExp): string[] => mermaid.split('\n').filter((line) => searched.test(line));

describe.concurrent('troupe chart of a team', () => {
  it('draws a file, with everybody and what each may use', async () => {
    const { exitCode, stdout } = await chart(BUDGET, '--format', 'svg');
    expect(exitCode).toBe(0);
    expect(faultsOf(stdout)).toEqual([]);
    for (const words of ['searcher', 'a fact checker', 'check_quotes', '$0.0030 of its own', 'at most $0.0200, 20 calls']) expect(stdout).toContain(words);
  });

  it('draws a plan from the file, and says where there is none', async () => {
    const { stdout } = await chart(BUDGET, '--as', 'plan', '--format', 'json');
    expect((JSON.parse(stdout) as { boxes: { title: string }[] }).boxes.map(({ title }) => title)).toEqual(['work', 'lost']);
    expect(await chart(BRIEF, '--as', 'plan')).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('(PLAN_UNKNOWN)') as string });
    expect(await chart(DEBATE, '--as', 'plan')).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('its peers talk with each other') as string });
  });

  it('draws a run as of an entry: who is where, what was sent, and how far the plan is', async () => {
    const early = await chart('run.jsonl', '--at', '61', '--format', 'mermaid');
    expect(lines(early.stdout, /searcher\["/)).toEqual([expect.stringContaining('paused')]);
    expect(lines(early.stdout, /review\.request/)).toEqual([expect.not.stringContaining('×')]);
    const late = await chart(BRIEF, '--run', 'run.jsonl', '--format', 'mermaid');
    expect(lines(late.stdout, /review\.request/)).toEqual([expect.stringContaining('×1')]);
    expect(lines((await chart('run.jsonl', '--as', 'plan', '--at', '61')).stdout, /lease/)).toContainEqual(expect.stringContaining('running'));
    expect(lines((await chart('run.jsonl', '--as', 'plan')).stdout, /lease/)).toContainEqual(expect.stringContaining('completed'));
  });

  it('draws the conversation, with what each call cost', async () => {
    const { exitCode, stdout } = await chart('run.jsonl', '--as', 'sequence');
    expect(exitCode).toBe(0);
    expect(lines(stdout, /budget\.vetoed lease<br\/>BUDGET_EXHAUSTED/)).toHaveLength(1);
    expect(lines(stdout, /Note right of \w+: extractive\/classic/)).toHaveLength(5);
    expect(faultsOf((await chart('run.jsonl', '--as', 'sequence', '--format', 'svg', '--theme', 'dark')).stdout)).toEqual([]);
  });

  it('refuses what does not fit together', async () => {
    const refused = async (...args: readonly string[]): Promise<string> => {
      const { exitCode, stderr } = await chart(...args);
      expect(exitCode).toBe(2);
      return stderr;
    };
    expect(await refused('run.jsonl', '--as', 'sequence', '--format', 'dot')).toContain('a conversation is no graph');
    expect(await refused(BUDGET, '--run', 'run.jsonl')).toContain('is a run of team brief, and not of thrifty');
    expect(await refused(BUDGET, '--as', 'sequence')).toContain('of which run?');
    expect(await refused('worker', '--as', 'plan')).toContain('expected a team file or a run');
  });
});

it('troupe run --inspect begins when somebody watches, who then sees the run to its end', async () => {
  const command = startCli(folder.path, [
    'run',
    BRIEF,
    '--bus',
    'memory',
    '--input',
    'docs=docs',
    '--inspect',
    '0',
    '--json',
    'When is a suspended account opened?',
  ]);
  const port = (): string | undefined => /open http:\/\/127\.0\.0\.1:(\d+)/.exec(command.stderr)?.[1];
  await eventually('it says where to watch', () => port() !== undefined);
  const events: StatelyInspectionEvent[] = [];
  createWebSocketReceiver({ server: `ws://127.0.0.1:${port()!}` }).subscribe((event) => void events.push(event));
  const { exitCode, stdout, stderr } = await command.ended;
  expect(exitCode, stderr).toBe(0);
  const { run } = JSON.parse(stdout) as { run: string };
  const values = events.flatMap((event) =>
    event.type === '@xstate.snapshot' && event.sessionId === `${run}.supervisor` ? [(event.snapshot as { value?: unknown }).value] : [],
  );
  expect(values.at(-1)).toBe('completed');
  expect(new Set(events.map(({ sessionId }) => sessionId.split('.')[1]))).toEqual(new Set(['supervisor', 'budget', 'worker', 'reviewer']));
});
