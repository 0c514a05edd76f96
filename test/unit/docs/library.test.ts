/** The snippets of docs/library.md and the README, type-checked as they stand and then run, in their order and on one bus. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { blocksOf, readPage, ROOT } from './pages.ts';

const run = promisify(execFile);
const blocks = [...blocksOf(readPage('docs/library.md')), ...blocksOf(readPage('README.md'))];
const snippets = blocks.filter(({ info }) => info[0] === 'ts').map(({ at, code }, index) => ({ at, file: `snippet-${index + 1}.ts`, code }));

let folder = '';

beforeAll(() => {
  // Below the repository, so that the packages are found as they are for the sources.
  mkdirSync(join(ROOT, '.cache'), { recursive: true });
  folder = mkdtempSync(join(ROOT, '.cache/docs-'));
  for (const { info, code } of blocks) if (info[1] === 'team') writeFileSync(join(folder, info[2]!), code);
  for (const { file, code } of snippets) writeFileSync(join(folder, file), code.replaceAll(`from 'troupe'`, `from '../../src/index.ts'`));
  for (const open of ['examples', 'docs']) symlinkSync(join(ROOT, open), join(folder, open));
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ extends: '../../tsconfig.json', include: ['*.ts'] }));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('the page has snippets, and all of them are checked', () => {
  expect(snippets.length).toBeGreaterThanOrEqual(3);
});

test('the quick start of the README has fewer than 25 lines', () => {
  const [quickStart] = blocksOf(readPage('README.md')).filter(({ info }) => info[0] === 'ts');
  expect(quickStart!.code.trimEnd().split('\n').length).toBeLessThan(25);
});

test('the snippets have the types that they say', { timeout: 60_000 }, async () => {
  const { stdout } = await run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', folder]).catch((failed: { stdout: string }) => failed);
  expect(stdout).toBe('');
});

const OUTPUT: Readonly<Record<string, RegExp>> = {
  'snippet-1.ts': /^completed true\n$/,
  'snippet-2.ts': /^completed \S[\s\S]*\n\d+ sources, \d+ nano-dollars\n$/,
  'snippet-3.ts': /^brief: was completed, is completed\n$/,
  'snippet-4.ts': /^It is \d{4}-\d\d-\d\dT[\d:.]+Z\.\n$/,
  'snippet-5.ts': /^completed -4 true\n$/,
};

test('the snippets run', { timeout: 60_000 }, async () => {
  const env = { PATH: process.env['PATH'], HOME: folder, TROUPE_BUS: `embedded:${join(folder, 'bus.db')}` };
  for (const { at, file } of snippets) {
    const { stdout } = await run(process.execPath, [file], { cwd: folder, env });
    expect(stdout, at).toMatch(OUTPUT[file]!);
  }
});
