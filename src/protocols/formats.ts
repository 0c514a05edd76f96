/**
 * The formats in which a model answers when prose will not do. A request names one (model.ts), an adapter turns it into its
 * provider's structured output, and the chart that asked parses the text with the same schema.
 */
import { z } from 'zod';
import { mismatches } from './mismatch.ts';
import { Name } from './ids.ts';
import type { FormatName } from './model.ts';

/** A place in a document. `quote` stands there word for word; `line` is where it begins, from 1. */
export const Citation = z.object({
  file: z.string().min(1).max(1_024),
  line: z.number().int().positive(),
  quote: z.string().min(1).max(2_000),
});
export type Citation = z.infer<typeof Citation>;

/** What an agent found: the text marks a source as [1], the number of the citation from 1. */
export const Report = z.object({
  text: z.string().min(1),
  citations: z.array(Citation).max(200).default([]),
});
export type Report = z.infer<typeof Report>;

/** An answer with a form of its own (output.ts). */
export const Output = z.object({
  output: z.unknown(),
  citations: z.array(Citation).max(200).default([]),
});

export const Verdict = z.object({
  verdict: z.enum(['accept', 'revise', 'reject']),
  reasons: z.array(z.string()).default([]),
  /** From 0, a guess, to 1, certain. */
  confidence: z.number().min(0).max(1),
});
export type Verdict = z.infer<typeof Verdict>;

/** One step of a plan that a model writes. `needs` names steps whose results it is given. */
export const PlannedStep = z.object({
  id: Name,
  agent: Name,
  task: z.string().min(1).max(8_000),
  needs: z.array(Name).default([]),
});
export type PlannedStep = z.infer<typeof PlannedStep>;

export const PlanDraft = z.object({ steps: z.array(PlannedStep).min(1).max(64) });
export type PlanDraft = z.infer<typeof PlanDraft>;

/** What is still to be done of a plan of which something has ended. */
export const Revision = z.object({
  steps: z.array(PlannedStep).max(64),
  /** Steps under way whose results are not needed any more. */
  cancel: z.array(Name).max(64).default([]),
  reason: z.string().max(2_000).default(''),
});
export type Revision = z.infer<typeof Revision>;

/** Whom a task is for; null: nobody of those who may be named. */
export const Route = z.object({
  agent: Name.nullable(),
  confidence: z.number().min(0).max(1),
  reason: z.string().max(2_000).default(''),
});
export type Route = z.infer<typeof Route>;

/** What an agent offers to do a contract for. */
export const Bid = z.object({
  /** What the work is expected to cost, in dollars. Nothing is granted by it. */
  price: z.number().min(0).max(1_000_000),
  /** From 0, it cannot, to 1, it is certain to do it well. */
  confidence: z.number().min(0).max(1),
  approach: z.string().max(2_000).default(''),
});
export type Bid = z.infer<typeof Bid>;

/** What speaks against the positions of others. */
export const Critique = z.object({ objections: z.array(z.object({ agent: Name, text: z.string().min(1).max(2_000) })).max(64) });
export type Critique = z.infer<typeof Critique>;

export const Ballot = z.object({ choice: Name, reason: z.string().max(2_000).default('') });
export type Ballot = z.infer<typeof Ballot>;

/** Either the document is right as it stands, or `text` is the whole of it, made better. */
export const Edit = z.object({
  accept: z.boolean(),
  text: z.string().default(''),
  citations: z.array(Citation).max(200).default([]),
});
export type Edit = z.infer<typeof Edit>;

export const formats = {
  plan: PlanDraft,
  revision: Revision,
  route: Route,
  report: Report,
  output: Output,
  verdict: Verdict,
  bid: Bid,
  critique: Critique,
  ballot: Ballot,
  edit: Edit,
} as const satisfies Record<FormatName, z.ZodType>;

/** The format's JSON Schema where every `agent` is one of `names`: a model that keeps to it cannot name another. */
export const shapeAmong = (format: 'plan' | 'revision' | 'route', names: readonly string[]): Record<string, unknown> =>
  among(z.toJSONSchema(formats[format], { io: 'output' }), [...names]) as Record<string, unknown>;

const among = (schema: unknown, names: readonly string[], isAgent = false): unknown => {
  if (Array.isArray(schema)) return schema.map((one) => among(one, names, isAgent));
  if (schema === null || typeof schema !== 'object') return schema;
  const { pattern, ...bare } = schema as Record<string, unknown>;
  if (isAgent && bare['type'] === 'string') return { ...bare, enum: names };
  const inner = Object.entries(bare).map(([key, value]) => {
    if (key !== 'properties') return [key, among(value, names, isAgent && key === 'anyOf')];
    return [key, Object.fromEntries(Object.entries(value as object).map(([name, property]) => [name, among(property, names, name === 'agent')]))];
  });
  return { ...Object.fromEntries(inner), ...(pattern !== undefined && { pattern }) };
};

export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string };

/** JSON as a value, also within the code fence that many models add. Throws what `JSON.parse` throws. */
export const unfenced = (text: string): unknown => JSON.parse(/^\s*```(?:json)?\s*([\s\S]*?)\s*```\s*$/.exec(text)?.[1] ?? text);

/** The answer's text as the format's value. */
export const parseFormat = <F extends FormatName>(format: F, text: string): Parsed<z.infer<(typeof formats)[F]>> => {
  let json: unknown;
  try {
    json = unfenced(text);
  } catch (thrown) {
    return { ok: false, problem: `not JSON: ${(thrown as Error).message}` };
  }
  const parsed = formats[format].safeParse(json);
  if (parsed.success) return { ok: true, value: parsed.data as z.infer<(typeof formats)[F]> };
  return { ok: false, problem: mismatches(parsed.error, json, 'answer') };
};
