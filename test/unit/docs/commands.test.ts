/**
 * The commands on the pages, run: a block under `<!-- runs: exit 3, prints BUDGET_EXHAUSTED -->` ends with that code, and its
 * output has that text. In such a block, what follows `$` is a command and every other line is output for people.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createFolder } from '../../support/folder.ts';
import { startCli } from '../../support/cli.ts';
import { blocksOf, pages, ROOT } from './pages.ts';

const MARK = /^runs: exit (\d+)(?:, prints (.+))?$/;

const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> };

/** The arguments of `troupe` that a line comes to; `npm start --` stands for the script of that name. */
const argsOf = (line: string): string[] => {
  const plain = line.replace(/^npm start --/, scripts['start']!).replace(/^(?:npx troupe|node (?:--\S+ )*bin\/troupe\.cjs)\s/, '');
  return [...plain.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare!);
};

const runnable = pages()
  .flatMap(blocksOf)
  .flatMap(({ at, code, mark }) => {
    const said = MARK.exec(mark ?? '');
    if (!said) return [];
    const lines = code.split('\n').filter((line) => line.startsWith('$ '));
    return lines.map((line) => ({ at, line: line.slice(2), exitCode: Number(said[1]), prints: said[2] ?? '' }));
  });

test('the pages have commands to run', () => {
  expect(runnable.length).toBeGreaterThanOrEqual(4);
});

test.each(runnable)('$at: $line', async ({ line, exitCode, prints }) => {
  const folder = createFolder('bus', {});
  onTestFinished(folder.remove);
  const ended = await startCli(ROOT, argsOf(line), { env: { TROUPE_BUS: `embedded:${join(folder.path, 'bus.db')}` } }).ended;
  expect(ended.exitCode, ended.stderr).toBe(exitCode);
  expect(ended.stdout + ended.stderr).toContain(prints);
});
