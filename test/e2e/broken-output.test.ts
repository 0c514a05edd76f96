/** Output that cannot be written to: a full disk behind stdout or stderr. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { BRIEF } from '../support/cli.ts';
import { createFolder } from '../support/folder.ts';

const BIN = join(import.meta.dirname, '../../bin/troupe.cjs');

/** Runs a command with one of its streams on a device that is full; gives what the other one said. */
const withFull = async (full: 'stdout' | 'stderr', ...args: readonly string[]) => {
  const folder = createFolder('full', { 'docs/page.md': 'A refund is paid within 14 days.\n' });
  onTestFinished(folder.remove);
  const device = openSync('/dev/full', 'w');
  onTestFinished(() => closeSync(device));
  const child = spawn(process.execPath, [BIN, ...args], {
    cwd: folder.path,
    env: { PATH: process.env['PATH'], HOME: folder.path },
    stdio: ['ignore', full === 'stdout' ? device : 'pipe', full === 'stderr' ? device : 'pipe'],
  });
  let said = '';
  (child.stdout ?? child.stderr)!.setEncoding('utf8').on('data', (text: string) => (said += text));
  const [exitCode] = (await once(child, 'close')) as [number | null];
  return { exitCode, said };
};

const run = ['run', BRIEF, '--input', 'docs=docs', 'When is a refund paid?'];

test.each([
  ['a list', ['prices']],
  ['JSON', ['runs', '--json']],
  ['help', ['--help']],
  ['the answer of a run', [...run, '--quiet']],
])('%s that cannot be written is said in one line, with exit code 1', async (_, args) => {
  const { exitCode, said } = await withFull('stdout', ...args);
  expect(said).toMatch(/^troupe: stdout cannot be written to: ENOSPC.*; make room there or send it elsewhere .*\(OUTPUT_UNWRITABLE\)\n$/);
  expect(exitCode).toBe(1);
});

test.each([
  ['progress', run],
  ['a log', [...run, '--log', '-']],
])('%s that cannot be written to stderr is lost, and the run goes on to its answer', async (_, args) => {
  const { exitCode, said } = await withFull('stderr', ...args);
  expect(said).toContain('14 days');
  expect(exitCode).toBe(0);
});
