/** The published JSON Schema: it is what the code says, editors can read it, and it agrees with the loader about shapes. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Ajv } from 'ajv';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { teamJsonSchema } from '../../../src/topology/json-schema.ts';
import { loadTeam } from '../../../src/topology/load.ts';
import { shapeTeam } from '../../../src/topology/shape.ts';
import { catalogue, edited, workflow } from './team-folder.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const published = JSON.parse(readFileSync(`${root}/schema/team.schema.json`, 'utf8')) as Record<string, unknown>;
const examples = readdirSync(`${root}/examples`, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('team.yaml'));
const validate = new Ajv({ strict: true, strictRequired: false, allErrors: true }).compile(published);

test('the published schema is the one that the code makes', () => {
  expect(published, 'run node scripts/team-schema.ts').toEqual(teamJsonSchema());
});

test('it is a valid draft-07 schema', () => {
  expect(published['$schema']).toBe('http://json-schema.org/draft-07/schema#');
  expect(new Ajv().validateSchema(published)).toBe(true);
});

test('every key of it is described', () => {
  const undescribed: string[] = [];
  const visit = (node: unknown, path: string): void => {
    if (node === null || typeof node !== 'object') return;
    for (const [key, value] of Object.entries((node as { properties?: Record<string, { description?: string }> }).properties ?? {})) {
      if (value.description === undefined) undescribed.push(`${path}.${key}`);
    }
    for (const [key, value] of Object.entries(node)) visit(value, `${path}.${key}`);
  };
  visit(published, 'team');
  expect(undescribed).toEqual([]);
});

test('there are examples', () => {
  expect(examples).toContain('brief/team.yaml');
});

describe.each(examples)('examples/%s', (example) => {
  const text = readFileSync(`${root}/examples/${example}`, 'utf8');

  test('it names the schema, and fits it', () => {
    const depth = example.split('/').length;
    expect(text.split('\n')[0]).toBe(`# yaml-language-server: $schema=${'../'.repeat(depth)}schema/team.schema.json`);
    validate(parse(text, { merge: true }));
    expect(validate.errors).toBe(null);
  });

  test('it loads without a warning', async () => {
    const readsFolder = 'docs' in ((parse(text) as { inputs?: object }).inputs ?? {});
    const { warnings } = await loadTeam(`examples/${example}`, { cwd: root, catalogue, inputs: readsFolder ? { docs: 'src' } : {} });
    expect(warnings).toEqual([]);
  });
});

test.each([
  ['a team', workflow, true],
  ['an unknown key', edited(workflow, 'budget:', 'bugdet:'), false],
  ['a missing key', edited(workflow, '    role: a researcher\n', ''), false],
  ['an unknown kind', edited(workflow, 'kind: worker', 'kind: wroker'), false],
  ['a negative budget', edited(workflow, '0.05', '-1'), false],
  ['a budget in words', edited(workflow, '0.05', 'five'), false],
  ['a budget as text', edited(workflow, '0.05', '"0.05"'), true],
  ['a name with a space', edited(workflow, 'name: compare', 'name: compare all'), false],
  ['an input that is both', edited(workflow, '{ text: budgets }', '{ text: budgets, folder: docs }'), false],
  ['an input that is neither', edited(workflow, '{ text: budgets }', '{}'), false],
])('editors and the loader agree about %s', (_, text, fits) => {
  const value: unknown = parse(text);
  expect([validate(value), shapeTeam(value).ok]).toEqual([fits, fits]);
});
