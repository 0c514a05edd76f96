/** Agents in code: the keys of a team file's `agents`, with tools as functions and the forms of answers as zod schemas. */
import { z } from 'zod';
import type { Tool } from '../capabilities/tool/port.ts';
import { patternProblem } from '../protocols/linear-pattern.ts';
import type { AgentFile } from '../topology/schema.ts';

type Kind = AgentFile['kind'];
type Written<K extends Kind> = Omit<Extract<z.input<typeof AgentFile>, { kind: K }>, 'kind' | 'output' | 'tools'>;

type Formed<Output extends z.ZodType> = {
  /** The form of its answers. What JSON Schema cannot say of it is checked where its model is called: an answer that fails is put right like any other. */
  readonly output?: Output;
  /** How often an answer that does not fit may be put right. Default: once. */
  readonly repairs?: number;
};

// Any input: what a tool takes is between it and its own schema.
// oxlint-disable-next-line typescript/no-explicit-any
type AnyTool = Tool<any, any>;

/** Tools by their names, for those that come with Troupe, or as they are. */
type Tooled = { readonly tools?: readonly (string | AnyTool)[] };

/** An agent and what of it is no data: it carries the type of its answers. */
export type Agent<K extends Kind = Kind, Output extends z.ZodType = z.ZodType> = {
  readonly kind: K;
  /** As it would stand in a file. */
  readonly file: z.input<typeof AgentFile>;
  readonly tools: readonly AnyTool[];
  readonly output: Output | undefined;
  /** What of its form no model can be asked for in JSON, each with its place in the form as JSON Schema. */
  readonly unsaid: readonly Unsaid[];
};

export type Unsaid = { readonly path: readonly (string | number)[]; readonly problem: string };

export const worker = <Output extends z.ZodType = z.ZodType>(written: Written<'worker'> & Formed<Output> & Tooled): Agent<'worker', Output> =>
  agentOf('worker', written);

export const supervisor = <Output extends z.ZodType = z.ZodType>(written: Written<'supervisor'> & Formed<Output>): Agent<'supervisor', Output> =>
  agentOf('supervisor', written);

export const reviewer = (written: Written<'reviewer'> & Tooled): Agent<'reviewer'> => agentOf('reviewer', written);

const agentOf = <K extends Kind, Output extends z.ZodType>(kind: K, { output, repairs, tools, ...written }: Formed<Output> & Tooled): Agent<K, Output> => {
  const form = output && asJson(output);
  return {
    kind,
    file: {
      kind,
      ...written,
      ...(tools && { tools: tools.map((one) => (typeof one === 'string' ? one : one.name)) }),
      ...(form && { output: { schema: form.schema, ...(repairs !== undefined && { repairs }) } }),
    } as z.input<typeof AgentFile>,
    tools: (tools ?? []).filter((one) => typeof one !== 'string'),
    output,
    unsaid: form?.unsaid ?? [],
  };
};

/** Kinds of values that JSON has no word for. */
const BEYOND_JSON = new Set(['bigint', 'custom', 'date', 'function', 'map', 'nan', 'promise', 'set', 'symbol', 'undefined', 'void']);

/** A form as the agent's model has to write it, and what is lost on the way. */
const asJson = (output: z.ZodType): { readonly schema: Record<string, unknown>; readonly unsaid: readonly Unsaid[] } => {
  const unsaid: Unsaid[] = [];
  const schema = z.toJSONSchema(output, {
    target: 'draft-7',
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema: { _zod: zod }, jsonSchema, path }) => {
      const { type } = zod.def;
      if (BEYOND_JSON.has(type)) unsaid.push({ path: [...path], problem: `JSON Schema cannot say ${JSON.stringify(type)}` });
      // Formats have patterns of their own, and some are beyond those that answers are matched by: the format is checked all the same.
      if (jsonSchema.format !== undefined && jsonSchema.pattern !== undefined && patternProblem(jsonSchema.pattern)) delete jsonSchema.pattern;
    },
  });
  return { schema, unsaid };
};
