/**
 * Answers that have a form of their own: what a team asks of an agent's answer, as JSON Schema (draft-07 and what zod writes).
 * The schema is data that is stored with the run, so every host checks the same answer in the same way.
 */
import { z } from 'zod';
import type { Parsed } from './formats.ts';
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
  const made = z.object({ output: z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0], { defaultTarget: 'draft-7' }) });
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
    'type enum const anyOf oneOf allOf properties required additionalProperties patternProperties propertyNames minProperties maxProperties ' +
    'items prefixItems additionalItems minItems maxItems uniqueItems contains minLength maxLength pattern format minimum maximum exclusiveMinimum ' +
    'exclusiveMaximum multipleOf $ref $defs definitions $schema $id $comment title description default examples'
  ).split(' '),
);
/** Keywords whose values are maps of schemas, lists of them, and schemas. */
const MAPS = ['properties', 'patternProperties', '$defs', 'definitions'];
const LISTS = ['anyOf', 'oneOf', 'allOf', 'prefixItems'];
const INNER = ['items', 'additionalProperties', 'additionalItems', 'contains', 'propertyNames'];

type Place = { readonly path: readonly (string | number)[]; readonly problem: string };

/** Why a schema cannot be used, each reason with its place. A keyword that nobody checks is one: what it asks for would not hold. */
export const schemaProblems = (schema: JsonSchema): Place[] => {
  const unknown = unknownKeywords(schema, []);
  if (unknown.length > 0) return unknown;
  try {
    formOf(schema);
    return [];
  } catch (thrown) {
    return [{ path: [], problem: (thrown as Error).message }];
  }
};

const unknownKeywords = (schema: unknown, path: readonly (string | number)[]): Place[] => {
  if (Array.isArray(schema)) return schema.flatMap((inner, index) => unknownKeywords(inner, [...path, index]));
  if (schema === null || typeof schema !== 'object') return [];
  return Object.entries(schema).flatMap(([key, value]): Place[] => {
    const at = [...path, key];
    if (!KEYWORDS.has(key)) return [{ path: at, problem: `"${key}" is no keyword that answers are checked by` }];
    if (MAPS.includes(key)) return Object.entries((value ?? {}) as object).flatMap(([name, inner]) => unknownKeywords(inner, [...at, name]));
    return LISTS.includes(key) || INNER.includes(key) ? unknownKeywords(value, at) : [];
  });
};

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
