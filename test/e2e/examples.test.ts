/** Every example: its file is right, it runs without a key and without a network to an end with sources that hold, and a page names it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadTeam } from '../../src/topology/load.ts';
import type { RunResult } from '../../src/topology/run-result.ts';
import { standardCatalogue } from '../../src/topology/standard.ts';
import { startCli, testBuses } from '../support/cli.ts';
import { play } from '../support/example.ts';

const ROOT = join(import.meta.dirname, '../..');
const EXAMPLES = readdirSync(join(ROOT, 'examples'));
const fileOf = (example: string): string => join(ROOT, 'examples', example, 'team.yaml');

type End = Pick<RunResult, 'status' | 'answer' | 'citations'>;

/** The commands of its README: a server, one process for the team, one for the program that plays an agent, and the run. */
const runWithItsWorker = async (example: string): Promise<End> => {
  const bus = await testBuses.nats();
  const desk = bus.desk({});
  const [, address] = desk.busArgs;
  const parts = [desk.start(['agent', fileOf(example), '--budget-server'])];
  try {
    await parts[0]!.lines(1);
    parts.push(startCli(desk.folder.path, [address!], { bin: join(ROOT, 'examples', example, 'worker.mjs') }));
    const { stdout, stderr } = await desk.run(['run', fileOf(example), '--detach']);
    const followed = await desk.run(['tail', stdout.trim(), '--json', '--quiet']);
    expect(followed.exitCode, `${stderr}${followed.stderr}`).toBe(0);
    return JSON.parse(followed.stdout.trimEnd().split('\n').at(-1)!) as End;
  } finally {
    for (const one of parts) one.kill('SIGKILL');
    await Promise.all(parts.map(({ ended }) => ended));
    await bus.dispose();
  }
};

const isExternal = async (example: string): Promise<boolean> => {
  const { file } = await loadTeam(fileOf(example), { cwd: ROOT, catalogue: standardCatalogue() });
  return Object.values(file.agents).some((agent) => 'external' in agent && agent.external);
};

const stands = ({ file, line, quote }: RunResult['citations'][number]): boolean =>
  readFileSync(join(ROOT, file), 'utf8').split('\n')[line - 1]?.includes(quote) ?? false;

describe.each(EXAMPLES)('the example %s', (example) => {
  test('has no mistakes, and nothing to be warned of', async () => {
    const { warnings } = await loadTeam(fileOf(example), { cwd: ROOT, catalogue: standardCatalogue() });
    expect(warnings).toEqual([]);
  });

  test('runs offline to an answer whose sources stand where they are said to stand', { timeout: 60_000 }, async () => {
    const { status, answer, citations } = (await isExternal(example)) ? await runWithItsWorker(example) : (await play(fileOf(example))).result;
    expect(status).toBe('completed');
    expect(answer?.trim()).toBeTruthy();
    for (const citation of citations) expect(citation).toSatisfy(stands);
  });

  test('says in its file what it shows, and how to run it', () => {
    const text = readFileSync(fileOf(example), 'utf8');
    expect(text).toMatch(/^# yaml-language-server: \$schema=\.\.\/\.\.\/schema\/team\.schema\.json\n#\n# \S/);
    expect(text).toMatch(new RegExp(`examples/${example}/team\\.yaml|README\\.md`));
  });

  test('is named by the page that helps to choose a pattern', () => {
    expect(readFileSync(join(ROOT, 'docs/patterns.md'), 'utf8')).toContain(`(../examples/${example}/team.yaml)`);
  });
});
