/** docs/errors.md against the sources, both ways: no code without its line, and no line for a code that is gone. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { namesIn, readPage, ROOT, rowsOf } from './pages.ts';

const CODE = /'([A-Z]+(?:_[A-Z]+)*)'/g;

/** Where a code is given to a failure or an error. */
const GIVEN =
  /\b(?:failure|TroupeError|[mM]odelError|lost|none|super|problemAt)\(\s*(?:\d+, )?'([A-Z]+(?:_[A-Z]+)*)'|\bcode(?:: | = )'([A-Z]+(?:_[A-Z]+)*)'|\bcode = [^;\n]*\? '([A-Z]+(?:_[A-Z]+)*)' : '([A-Z]+(?:_[A-Z]+)*)'/g;

/** Types that list codes. */
const LISTED = /type (?:ProblemCode|ModelErrorCode) =([\s\S]*?);/g;

const codesIn = (source: string): string[] => [
  ...[...source.matchAll(GIVEN)].flatMap(([, ...groups]) => groups.filter((code) => code !== undefined)),
  ...[...source.matchAll(LISTED)].flatMap(([, list]) => [...list!.matchAll(CODE)].map(([, code]) => code!)),
];

const inSources = new Set(globSync('src/**/*.ts', { cwd: ROOT }).flatMap((file) => codesIn(readFileSync(join(ROOT, file), 'utf8'))));
const onPage = rowsOf(readPage('docs/errors.md')).map(([code]) => namesIn(code!)[0]!);

test('codes are found wherever the sources give one', () => {
  for (const code of ['USAGE', 'TEAM_FILE_INVALID', 'YAML_SIZE', 'MODEL_UNAVAILABLE', 'FOLDER_IS_FILE', 'EFFECT_STOPPED', 'MESSAGE_UNKNOWN', 'BUS_CONFLICT']) {
    expect(inSources).toContain(code);
  }
});

test('every code of the sources is on the page', () => {
  expect([...inSources].filter((code) => !onPage.includes(code))).toEqual([]);
});

test('every code on the page is in the sources, and stands there once', () => {
  expect(onPage.filter((code) => !inSources.has(code))).toEqual([]);
  expect(onPage.filter((code, index) => onPage.indexOf(code) < index)).toEqual([]);
});

test('every code on the page has a meaning and something to do', () => {
  for (const [code, meaning, next] of rowsOf(readPage('docs/errors.md')))
    expect(
      [code, meaning, next].every((cell) => cell !== undefined && cell !== ''),
      code,
    ).toBe(true);
});
