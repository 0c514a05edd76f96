/** Links between the pages lead somewhere. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { pages, ROOT } from './pages.ts';

const links = pages().flatMap(({ file, text }) => [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, to]) => ({ file, to: to! })));
const own = links.filter(({ to }) => !/^[a-z]+:/.test(to));

test('the README leads to every page', () => {
  const linked = own.filter(({ file }) => file === 'README.md').map(({ to }) => to);
  expect(
    pages()
      .map(({ file }) => file)
      .filter((file) => file.startsWith('docs/') && !linked.includes(file)),
  ).toEqual([]);
});

test('every link within the repository leads to a file', () => {
  expect(own.filter(({ file, to }) => !existsSync(join(ROOT, dirname(file), to.replace(/#.*$/, '')))).map(({ file, to }) => `${file}: ${to}`)).toEqual([]);
});
