/** docs/team-file.md: its teams can be run, and its tables have every key of the schema and no other. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { teamJsonSchema } from '../../../src/topology/json-schema.ts';
import { loadTeam } from '../../../src/topology/load.ts';
import { resolveTeam } from '../../../src/topology/resolve.ts';
import { standardCatalogue } from '../../../src/topology/standard.ts';
import { blocksOf, namesIn, pages, readPage, rowsOf } from './pages.ts';

const page = readPage('docs/team-file.md');

/** Teams with a file name are a program's, which has its own tools (library.test.ts). */
const teams = pages()
  .flatMap(blocksOf)
  .filter(({ info }) => info[0] === 'yaml' && info[1] === 'team' && info[2] === undefined);

test('the page has teams to copy', () => {
  expect(teams.length).toBeGreaterThanOrEqual(2);
});

test.each(teams.map(({ at, code }) => [at, code]))('the team at %s can be run as it stands', async (_, code) => {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-docs-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'team.yaml'), code);
  const { file, inputs, warnings } = await loadTeam('team.yaml', { cwd: folder, catalogue: standardCatalogue() });
  expect(warnings).toEqual([]);
  expect(resolveTeam(file, inputs).task).not.toContain('{');
});

type Schema = {
  readonly properties?: Record<string, Schema>;
  readonly additionalProperties?: Schema | false;
  readonly items?: Schema;
  readonly oneOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
};

/** Each key of the schema by the last word of its path: `limits.deadline_s`, `needs`. Names that people choose are left out. */
const keysOf = (schema: Schema): string[] => [
  ...Object.entries(schema.properties ?? {}).flatMap(([key, inner]) => [key, ...keysOf(inner)]),
  ...(schema.additionalProperties ? keysOf(schema.additionalProperties) : []),
  ...(schema.items ? keysOf(schema.items) : []),
  ...[...(schema.oneOf ?? []), ...(schema.anyOf ?? [])].flatMap(keysOf),
];

const lastKey = (path: string): string => path.split('.').at(-1)!.replace('[]', '');

const known = new Set(keysOf(teamJsonSchema()));
const listed = rowsOf(page).map(([key]) => lastKey(namesIn(key!)[0]!));

test('every key of the schema stands in a table', () => {
  expect([...known].filter((key) => !listed.includes(key))).toEqual([]);
});

test('every key in a table is one of the schema', () => {
  expect(listed.filter((key) => !known.has(key) && !/^<.*>$/.test(key))).toEqual([]);
});

/** `steps[].map.max` as the keys of the file: topology.steps.map.max. Names that people choose are left out. */
const keyPath = (path: string): string => `.${path.replaceAll('[]', '').replaceAll(/\.?<[^>]*>/g, '')}`;

test('the defaults in the tables are those of the schema', () => {
  const defaults = new Map<string, Set<string>>();
  const collect = (schema: Schema & { default?: unknown }, path = ''): void => {
    if (typeof schema.default === 'string' || typeof schema.default === 'number')
      defaults.set(path, (defaults.get(path) ?? new Set()).add(`${schema.default}`));
    for (const [name, inner] of Object.entries(schema.properties ?? {})) collect(inner, `${path}.${name}`);
    for (const inner of [schema.additionalProperties || undefined, schema.items, ...(schema.oneOf ?? []), ...(schema.anyOf ?? [])])
      if (inner) collect(inner, path);
  };
  collect(teamJsonSchema());
  const rows = rowsOf(page).map((cells) => ({ key: namesIn(cells[0]!)[0]!, said: cells.at(-1)! }));
  for (const [path, values] of defaults) {
    const saying = rows.filter(({ key }) => path.endsWith(keyPath(key)));
    expect(saying, path).not.toEqual([]);
    for (const { key, said } of saying) for (const value of values) expect(said === 'empty' ? '' : said.replaceAll('`', ''), key).toContain(value);
  }
});
