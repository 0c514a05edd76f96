/** `troupe chart` of an actor, as a process: every format, to a file or to stdout, alone and in a run. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { startCli } from '../support/cli.ts';
import { createFolder } from '../support/folder.ts';
import { faultsOf } from '../support/svg-overlaps.ts';

const recording = join(import.meta.dirname, '../fixtures/recordings/brief.jsonl');
const folder = createFolder('charts', { 'run.jsonl': readFileSync(recording, 'utf8') });
afterAll(() => folder.remove());

const chart = (...args: readonly string[]) => startCli(folder.path, ['chart', ...args]).ended;
const written = (file: string): Buffer => readFileSync(join(folder.path, file));

describe.concurrent('troupe chart', () => {
  it('writes the format that the name of the file says', async () => {
    const kinds = [
      ['a.svg', /^<svg [^]*<\/svg>\n$/],
      ['a.mmd', /^stateDiagram-v2\n/],
      ['a.dot', /^digraph "worker" \{\n[^]*\}\n$/],
      ['a.json', /^\{\n {2}"id": "worker",\n/],
    ] as const;
    for (const [file, looks] of kinds) {
      expect(await chart('worker', '-o', file)).toEqual({ exitCode: 0, stdout: '', stderr: '' });
      expect(written(file).toString()).toMatch(looks);
    }
    expect(await chart('worker', '-o', 'a.png', '--theme', 'dark')).toMatchObject({ exitCode: 0 });
    expect(written('a.png').subarray(0, 8)).toEqual(Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]));
  });

  it('prints what is text', async () => {
    const { exitCode, stdout } = await chart('reviewer', '--format', 'svg', '--theme', 'dark');
    expect(exitCode).toBe(0);
    expect(faultsOf(stdout)).toEqual([]);
  });

  it('draws where an actor of a run is, and how it came there', async () => {
    const { exitCode, stdout } = await chart('worker', '--run', 'run.jsonl', '--format', 'json');
    expect(exitCode).toBe(0);
    const said = JSON.parse(stdout) as { actors: Record<string, unknown>; entered: string[] };
    expect(Object.values(said.actors)).toEqual(['completed']);
    expect(said.entered).toContain('worker.working.thinking.calling');
    const { stdout: svg } = await chart('worker', '--run', 'run.jsonl', '--format', 'svg');
    expect(svg).toContain(' in r-');
    expect(faultsOf(svg)).toEqual([]);
  });

  it('says which actors a run has, where it has none of that name', async () => {
    expect(await chart('worker.nobody', '--run', 'run.jsonl')).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(/has no worker\.nobody; it has .*worker\.\S+.*\(CHART_UNKNOWN\)/) as string,
    });
  });
});
