/** Agents in code: the keys of a team file's `agents`, with tools as functions and the forms of answers as zod schemas. */
import { z } from 'zod';
import type { Tool } from '../capabilities/tool/port.ts';
import type { AgentFile } from '../topology/schema.ts';

type Kind = AgentFile['kind'];
type Written<K extends Kind> = Omit<Extract<z.input<typeof AgentFile>, { kind: K }>, 'kind' | 'output' | 'tools'>;

type Formed<Output extends z.ZodType> = {
  /** The form of its answers. What JSON Schema cannot say of it is checked at the end of the run. */
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
};

export const worker = <Output extends z.ZodType = z.ZodType>(written: Written<'worker'> & Formed<Output> & Tooled): Agent<'worker', Output> =>
  agentOf('worker', written);

export const supervisor = <Output extends z.ZodType = z.ZodType>(written: Written<'supervisor'> & Formed<Output>): Agent<'supervisor', Output> =>
  agentOf('supervisor', written);

export const reviewer = (written: Written<'reviewer'> & Tooled): Agent<'reviewer'> => agentOf('reviewer', written);

const agentOf = <K extends Kind, Output extends z.ZodType>(kind: K, { output, repairs, tools, ...written }: Formed<Output> & Tooled): Agent<K, Output> => ({
  kind,
  file: {
    kind,
    ...written,
    ...(tools && { tools: tools.map((one) => (typeof one === 'string' ? one : one.name)) }),
    ...(output && { output: { schema: schemaOf(output), ...(repairs !== undefined && { repairs }) } }),
  } as z.input<typeof AgentFile>,
  tools: (tools ?? []).filter((one) => typeof one !== 'string'),
  output,
});

/** As the agent's model has to write it. */
const schemaOf = (output: z.ZodType): Record<string, unknown> => z.toJSONSchema(output, { target: 'draft-7', io: 'input' });
