/** docs/cli.md against the command line itself. */
import { expect, test } from 'vitest';
import { EXIT } from '../../../src/cli/exit.ts';
import { SIGNALS } from '../../../src/cli/signals.ts';
import { startCli } from '../../support/cli.ts';
import { namesIn, readPage, ROOT, rowsOf } from './pages.ts';

const page = readPage('docs/cli.md');
const rows = rowsOf(page);

const said = new Map<string, string>();
const help = async (...command: string[]): Promise<string> => {
  const name = command.join(' ');
  const text = said.get(name) ?? (await startCli(ROOT, [...command, '--help']).ended).stdout;
  said.set(name, text);
  return text;
};
const optionsIn = (text: string): string[] =>
  [...text.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, option]) => option!).filter((option) => option !== '--help');

const commandsIn = (text: string): string[] =>
  [...(text.split('\nCommands:\n')[1] ?? '').matchAll(/^ {2}([a-z][a-z-]*)/gm)].map(([, name]) => name!).filter((name) => name !== 'help');

test('every command has a section', async () => {
  const commands = commandsIn(await help());
  const sections = [...page.text.matchAll(/^## troupe ([\w-]+)$/gm)].map(([, name]) => name!);
  expect(sections.sort()).toEqual(commands.sort());
});

test('the options of run are those of the table', async () => {
  const listed = rows
    .flatMap(([first]) => namesIn(first!))
    .filter((name) => name.startsWith('--'))
    .map((name) => name.split(' ')[0]!);
  expect(listed.sort()).toEqual(optionsIn(await help('run')).sort());
});

test('every option of every command stands on the page', { timeout: 120_000 }, async () => {
  const commands = [...page.text.matchAll(/^## troupe ([\w-]+)$/gm)].map(([, name]) => name!);
  for (const command of commands) {
    const text = await help(command);
    const parts = commandsIn(text).map((part) => [command, part]);
    for (const words of [[command], ...parts]) {
      if (words.length > 1) expect(page.text).toContain(`\`troupe ${words.join(' ')} `);
      for (const option of optionsIn(await help(...words))) expect(page.text, `troupe ${words.join(' ')} ${option}`).toContain(`\`${option}`);
    }
  }
});

test('the exit codes of the table are those of the command', () => {
  const listed = rows.map(([code]) => Number(code)).filter((code) => Number.isInteger(code));
  expect(listed).toEqual([...Object.values(EXIT), ...Object.values(SIGNALS)]);
});
