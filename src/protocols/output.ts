/**
 * Answers that have a form of their own: what a team asks of an agent's answer, as JSON Schema (draft-07 and what zod writes).
 * The schema is data that is stored with the run, so every host checks the same answer in the same way.
 */
import { z } from 'zod';
import type { Parsed } from './formats.ts';
import { matchLinearly, patternProblem } from './linear-pattern.ts';
import { mismatches } from './mismatch.ts';

export const JsonSchema = z.record(z.string(), z.unknown());
export type JsonSchema = z.infer<typeof JsonSchema>;

/** What an agent's answer has to be, and how often it may be put right. */
export const OutputForm = z.object({ schema: JsonSchema, repairs: z.number().int().nonnegative() });
export type OutputForm = z.infer<typeof OutputForm>;

const FORMS_MAX = 256;
const forms = new Map<string, z.ZodObject<{ output: z.ZodType }>>();

/** Under the name that the value has in the answer, so that what is wrong is said with its place there. */
const formOf = (schema: JsonSchema) => {
  const key = JSON.stringify(schema);
  const known = forms.get(key);
  if (known) return known;
  const output = z.fromJSONSchema(schema, { defaultTarget: 'draft-7' });
  const made = z.object({ output: matchLinearly(output) });
  if (forms.size >= FORMS_MAX) forms.delete(forms.keys().next().value!);
  forms.set(key, made);
  return made;
};

/** The value if it fits, or what is wrong with it in words that a model can act on. */
export const readOutput = (schema: JsonSchema, value: unknown): Parsed<unknown> => {
  const parsed = formOf(schema).safeParse({ output: value });
  return parsed.success ? { ok: true, value: parsed.data.output } : { ok: false, problem: mismatches(parsed.error, { output: value }, 'answer') };
};

/** Keywords that are checked, and those that only say something. */
const KEYWORDS = new Set(
  (
    'type enum const anyOf oneOf allOf properties required additionalProperties propertyNames minProperties maxProperties ' +
    'items prefixItems additionalItems minItems maxItems uniqueItems minLength maxLength pattern format minimum maximum exclusiveMinimum ' +
    'exclusiveMaximum multipleOf $ref $defs definitions $schema $id $comment title description default examples'
  ).split(' '),
);
/** Keywords whose values are maps of schemas, lists of them, and schemas. */
const MAPS = ['properties', '$defs', 'definitions'];
const LISTS = ['anyOf', 'oneOf', 'allOf', 'prefixItems'];
const INNER = ['items', 'additionalProperties', 'additionalItems'];
/** Names of properties are checked out of reach of `matchLinearly`, so that nothing which may have a pattern is allowed of them. */
const OF_NAMES = ['type', 'enum', 'const', 'minLength', 'maxLength', 'title', 'description', '$comment'];

type Place = { readonly path: readonly (string | number)[]; readonly problem: string };

/** Why a schema cannot be used, each reason with its place. A keyword that nobody checks is one: what it asks for would not hold. */
export const schemaProblems = (schema: JsonSchema): Place[] => {
  const strange = keywordProblems(schema, []);
  if (strange.length > 0) return strange;
  try {
    formOf(schema);
    return [];
  } catch (thrown) {
    return [{ path: [], problem: (thrown as Error).message }];
  }
};

const keywordProblems = (schema: unknown, path: readonly (string | number)[]): Place[] => {
  if (Array.isArray(schema)) return schema.flatMap((inner, index) => keywordProblems(inner, [...path, index]));
  if (schema === null || typeof schema !== 'object') return [];
  return Object.entries(schema).flatMap(([key, value]): Place[] => {
    const at = [...path, key];
    if (!KEYWORDS.has(key)) return [{ path: at, problem: `"${key}" is no keyword that answers are checked by` }];
    if (key === 'pattern') return placed(at, patternProblem(value));
    if (key === 'propertyNames') return Object.keys((value ?? {}) as object).flatMap((word) => placed([...at, word], nameProblem(word)));
    if (MAPS.includes(key)) return Object.entries((value ?? {}) as object).flatMap(([name, inner]) => keywordProblems(inner, [...at, name]));
    return LISTS.includes(key) || INNER.includes(key) ? keywordProblems(value, at) : [];
  });
};

const placed = (path: Place['path'], problem: string | undefined): Place[] => (problem === undefined ? [] : [{ path, problem }]);

const nameProblem = (word: string): string | undefined =>
  OF_NAMES.includes(word) ? undefined : `"${word}" is no keyword that names of properties are checked by; those are ${OF_NAMES.slice(0, 5).join(', ')}`;

const CITATIONS = {
  type: 'array',
  items: {
    type: 'object',
    properties: { file: { type: 'string' }, line: { type: 'integer' }, quote: { type: 'string' } },
    required: ['file', 'line', 'quote'],
    additionalProperties: false,
  },
};

/** The whole answer as JSON Schema: the reasoning first if it is asked for, so that it is written before what follows from it. */
export const answerShape = (output: OutputForm | undefined, reasons: boolean): JsonSchema => {
  const { definitions, $defs, $schema: _, ...schema } = output?.schema ?? {};
  const answer = output ? { output: schema } : { text: { type: 'string' } };
  const properties = { ...(reasons && { reasoning: { type: 'string' } }), ...answer, citations: CITATIONS };
  return {
    type: 'object',
    properties,
    required: Object.keys(properties),
    additionalProperties: false,
    ...(definitions !== undefined && { definitions }),
    ...($defs !== undefined && { $defs }),
  };
};
