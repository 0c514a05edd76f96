/**
 * What is asked of a tool and what it gives: the payloads of the effect `tool`.
 *
 * A tool that fails is an ordinary result with `ok: false`: the model reads `text` and corrects itself. An unknown tool, input
 * that does not fit and a time-out are such results too, so that no wrong call ends a task by itself.
 */
import { z } from 'zod';
import { Failure } from './failure.ts';
import { ToolCall } from './model.ts';

export const ToolRequest = z.object({
  call: ToolCall,
  /** Whose list of tools counts: the agent's name. */
  agent: z.string(),
  /** As a model request's. */
  payer: z.array(z.string()).optional(),
});
export type ToolRequest = z.infer<typeof ToolRequest>;

/** The record of one call: what went in, what came out, how long it took, when. */
export const ToolRecord = z.object({
  callId: z.string(),
  tool: z.string(),
  input: z.record(z.string(), z.unknown()),
  ok: z.boolean(),
  /** What the model reads: the output as text, or what went wrong and what to do instead. */
  text: z.string(),
  /** The typed output, where the tool gives one. */
  output: z.unknown().optional(),
  failure: Failure.optional(),
  ms: z.number().nonnegative(),
  time: z.number(),
});
export type ToolRecord = z.infer<typeof ToolRecord>;

/** A folder that tools may read. A file in it is known to agents and people as `<label>/<path below the folder>`. */
export type Folder = {
  /** The input's name in the team file. */
  readonly name: string;
  /** Absolute, with links resolved. */
  readonly path: string;
  /** How people write it: the path as given, so that `label/guide.md:12` can be opened from where the run was started. */
  readonly label: string;
};
