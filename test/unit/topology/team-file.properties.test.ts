/** Any team that can be written down is read back as it was, and any mistyped key is found where it stands. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isMap, isScalar, LineCounter, parseDocument, stringify, visit } from 'yaml';
import { checkTeam } from '../../../src/topology/check.ts';
import { parseTeam } from '../../../src/topology/parse.ts';
import { TeamFileError } from '../../../src/topology/problem.ts';
import { catalogue } from './team-folder.ts';

const name = fc.stringMatching(/^[A-Za-z][A-Za-z0-9_-]{0,20}$/);
const names = (from: number, to: number) => fc.uniqueArray(name, { minLength: from, maxLength: to });
/** Text of any kind, braces apart: those are placeholders. */
const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }).map((any) => any.replace(/[{}]/g, '_'));
const seconds = fc.integer({ min: 1, max: 86_400 });
const sometimes = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const dollars = fc.oneof(
  fc.integer({ min: 1, max: 1_000_000 }),
  fc.integer({ min: 1, max: 99_999 }).map((cents) => cents / 100),
  fc.integer({ min: 1, max: 999_999_999 }).map((nanos) => `0.${String(nanos).padStart(9, '0')}`),
);
const amount = (max: number) => fc.integer({ min: 1, max });

const persona = { role: text, goal: sometimes(text), backstory: sometimes(text), model: sometimes(fc.constantFrom('default', 'extractive/classic')) };
const callLimits = { max_tokens: sometimes(fc.integer({ min: 16, max: 200_000 })), attempts: sometimes(amount(10)), timeout_s: sometimes(seconds) };
const tools = sometimes(fc.subarray(['list_files', 'search_files', 'read_file', 'now']));

const supervisor = fc.record({ kind: fc.constant('supervisor'), ...persona, limits: sometimes(fc.record(callLimits)) });
const worker = fc.record({ kind: fc.constant('worker'), ...persona, tools, limits: sometimes(fc.record({ turns: sometimes(amount(64)), ...callLimits })) });
const reviewer = fc.record({
  kind: fc.constant('reviewer'),
  ...persona,
  tools: sometimes(fc.constant(['check_quotes'])),
  accept_from: sometimes(fc.double({ min: 0, max: 1, noNaN: true })),
  limits: sometimes(fc.record(callLimits)),
});

type Cast = { readonly lead: string; readonly workers: readonly string[]; readonly checker: string | undefined };

const carryingOut = ({ lead, checker }: Cast) => ({
  supervisor: fc.constant(lead),
  reviewer: fc.constant(checker),
  concurrency: sometimes(amount(64)),
  review_rounds: sometimes(amount(10)),
  on_rejected: sometimes(fc.constantFrom('accept_with_note', 'fail', 'ask')),
});

const centralised = (cast: Cast) =>
  fc.record({ kind: fc.constant('centralised'), ...carryingOut(cast), workers: fc.constant(cast.workers), max_steps: sometimes(amount(64)) });

/** Steps need earlier ones only, so that they end; the first ones give each worker something to do. */
const workflow = (cast: Cast) =>
  names(cast.workers.length, cast.workers.length + 4).chain((ids) =>
    fc.record({
      kind: fc.constant('workflow'),
      ...carryingOut(cast),
      steps: fc.tuple(
        ...ids.map((id, index) =>
          fc.record({
            id: fc.constant(id),
            agent: index < cast.workers.length ? fc.constant(cast.workers[index]!) : fc.constantFrom(...cast.workers),
            task: text,
            needs: sometimes(fc.subarray(ids.slice(0, index))),
            on_failure: sometimes(fc.constantFrom('fail', 'skip', 'continue')),
          }),
        ),
      ),
    }),
  );

const team = names(2, 6).chain(([lead, first, ...others]) => {
  const [checker, ...more] = others;
  const cast: Cast = { lead: lead!, workers: [first!, ...more], checker };
  return fc.record({
    name,
    description: sometimes(text),
    task: sometimes(text),
    inputs: fc.record({ docs: fc.record({ folder: text, description: sometimes(text) }) }),
    models: fc.record({ default: fc.constantFrom(['extractive/classic'], ['openai/gpt-4.1-mini', 'extractive/classic']) }),
    prices: sometimes(
      fc.dictionary(
        fc.constantFrom('openai/one', 'openai/two'),
        fc.record({ input: dollars, output: dollars, cached_input: sometimes(dollars), per_call: sometimes(dollars) }),
      ),
    ),
    agents: fc.tuple(supervisor, reviewer, ...cast.workers.map(() => worker)).map(([one, judge, ...crew]) => ({
      [cast.lead]: one,
      ...(checker !== undefined && { [checker]: judge }),
      ...Object.fromEntries(cast.workers.map((who, index) => [who, crew[index]])),
    })),
    topology: fc.oneof(centralised(cast), workflow(cast)),
    budget: fc.record({ limit: dollars, grant_timeout_s: sometimes(seconds) }),
    limits: sometimes(fc.record({ deadline_s: sometimes(seconds), answer_timeout_s: sometimes(seconds) })),
  });
});

test('a team that is written down again is the same team', () => {
  fc.assert(
    fc.property(team, (written) => {
      const { file } = parseTeam(stringify(written), 'team.yaml');
      expect(parseTeam(stringify(file), 'team.yaml').file).toEqual(file);
      expect(file).toMatchObject(JSON.parse(JSON.stringify(written)) as object);
    }),
    { numRuns: 300 },
  );
});

test('a generated team has no errors', () => {
  fc.assert(
    fc.property(team, (written) => {
      const { file } = parseTeam(stringify(written), 'team.yaml');
      expect(checkTeam(file, catalogue).filter(({ severity }) => severity !== 'warning')).toEqual([]);
    }),
    { numRuns: 300 },
  );
});

/** The keys that the schema gives, with their places; the keys of these maps are names that people give. */
const NAMED = ['inputs', 'models', 'prices', 'agents'];

const keysOf = (yaml: string): { key: string; offset: number; line: number }[] => {
  const lines = new LineCounter();
  const keys: { key: string; offset: number; line: number }[] = [];
  visit(parseDocument(yaml, { lineCounter: lines }), {
    Pair: (_, { key }, ancestors) => {
      if (!isScalar(key)) throw new Error('a key that is no text');
      const above = ancestors.filter((one) => 'key' in one && isScalar(one.key)) as { key: { value: string } }[];
      const isName = isMap(ancestors.at(-1)) && above.length === 1 && NAMED.includes(above[0]!.key.value);
      if (!isName) keys.push({ key: String(key.value), offset: key.range![0], line: lines.linePos(key.range![0]).line });
    },
  });
  return keys;
};

const slips: readonly ((key: string, at: number) => string)[] = [
  (key, at) => key.slice(0, at) + key.slice(at + 1),
  (key, at) => key.slice(0, at) + key.charAt(at) + key.slice(at),
  (key, at) => `${key.slice(0, at)}q${key.slice(at + 1)}`,
];

test('a mistyped key is found on its line, and its right form is suggested', () => {
  fc.assert(
    fc.property(team, fc.nat(), fc.nat(), fc.constantFrom(...slips), (written, which, where, slip) => {
      const yaml = stringify(written);
      const keys = keysOf(yaml);
      const { key, offset, line } = keys[which % keys.length]!;
      const typo = slip(key, where % key.length);
      const broken = yaml.slice(0, offset) + typo + yaml.slice(offset + key.length);
      let problems: TeamFileError['problems'] = [];
      try {
        parseTeam(broken, 'team.yaml');
      } catch (thrown) {
        if (!(thrown instanceof TeamFileError)) throw thrown;
        problems = thrown.problems;
      }
      const found = problems.find(({ code }) => code === 'KEY_UNKNOWN');
      expect(found).toMatchObject({ line, message: `unknown key "${typo}"` });
      expect(found!.hint).toContain(`did you mean "${key}"?`);
      expect(problems).toHaveLength(1);
    }),
    { numRuns: 500 },
  );
});
