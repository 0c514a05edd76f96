/** What `troupe init` writes: a team without a warning, and a test of it that passes as its user would run it. */
import { execFile } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { TOPOLOGY_NAMES } from '../../src/cli/init.ts';
import { startCli } from '../support/cli.ts';
import { createFolder } from '../support/folder.ts';

const ROOT = join(import.meta.dirname, '../..');

test.each(TOPOLOGY_NAMES)('a %s team passes its own test, offline', { timeout: 60_000 }, async (topology) => {
  const folder = createFolder('init', {});
  onTestFinished(folder.remove);
  const made = await startCli(folder.path, ['init', 'desk', '--topology', topology]).ended;
  expect(made.exitCode, made.stderr).toBe(0);
  expect(made.stdout).toContain('troupe run desk/team.yaml');
  const valid = await startCli(folder.path, ['validate', 'desk/team.yaml']).ended;
  expect([valid.exitCode, valid.stderr]).toEqual([0, '']);

  // As an installed package has it.
  mkdirSync(join(folder.path, 'node_modules/.bin'), { recursive: true });
  symlinkSync(join(ROOT, 'bin/troupe.cjs'), join(folder.path, 'node_modules/.bin/troupe'));
  const [node, ...args] = made.stdout.trimEnd().split('\n').at(-1)!.split(' ');
  expect(node).toBe('node');
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    cwd: folder.path,
    env: { PATH: process.env['PATH'], HOME: folder.path },
  }).catch((failed: { stdout: string }) => failed);
  expect(stdout).toMatch(/^. pass 1\n. fail 0$/m);
});

test('nothing is overwritten', async () => {
  const folder = createFolder('init', { 'team.yaml': 'mine' });
  onTestFinished(folder.remove);
  const refused = await startCli(folder.path, ['init']).ended;
  expect(refused.exitCode).toBe(2);
  expect(refused.stderr).toContain('team.yaml is there already; name another folder (INIT_EXISTS)');
});

test('an unknown topology is wrong usage', async () => {
  const folder = createFolder('init', {});
  onTestFinished(folder.remove);
  const refused = await startCli(folder.path, ['init', '--topology', 'star']).ended;
  expect(refused.exitCode).toBe(2);
  expect(refused.stderr).toContain(`unknown topology "star"; known: ${TOPOLOGY_NAMES.join(', ')}`);
});
