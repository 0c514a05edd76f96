/** docs/cli.md against the command line itself. */
import { expect, test } from 'vitest';
import { EXIT } from '../../../src/cli/exit.ts';
import { startCli } from '../../support/cli.ts';
import { namesIn, readPage, ROOT, rowsOf } from './pages.ts';

const page = readPage('docs/cli.md');
const rows = rowsOf(page);

const help = async (...command: string[]): Promise<string> => (await startCli(ROOT, [...command, '--help']).ended).stdout;
const optionsIn = (text: string): string[] =>
  [...text.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, option]) => option!).filter((option) => option !== '--help');

test('every command has a section', async () => {
  const commands = [...(await help()).matchAll(/^ {2}(\w+) \[/gm)].map(([, name]) => name!).filter((name) => name !== 'help');
  const sections = [...page.text.matchAll(/^## troupe (\w+)$/gm)].map(([, name]) => name!);
  expect(sections.sort()).toEqual(commands.sort());
});

test('the options of run are those of the table', async () => {
  const listed = rows
    .flatMap(([first]) => namesIn(first!))
    .filter((name) => name.startsWith('--'))
    .map((name) => name.split(' ')[0]!);
  expect(listed.sort()).toEqual(optionsIn(await help('run')).sort());
});

test('every option of every command stands on the page', async () => {
  const commands = [...page.text.matchAll(/^## troupe (\w+)$/gm)].map(([, name]) => name!);
  for (const command of commands)
    for (const option of optionsIn(await help(command))) expect(page.text, `troupe ${command} ${option}`).toContain(`\`${option}`);
});

test('the exit codes of the table are those of the command', () => {
  const listed = rows.map(([code]) => Number(code)).filter((code) => Number.isInteger(code));
  expect(listed).toEqual([...Object.values(EXIT), 130, 143]);
});
