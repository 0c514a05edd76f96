/**
 * The tool port: something that an agent may do, described to models by a schema and run with input that fits it.
 */
import type { z } from 'zod';

export type ToolContext = {
  readonly signal: AbortSignal;
  /** The folders that the team file opens, in its order. */
  readonly folders: readonly Folder[];
};

/** A folder that tools may read. A file in it is known to agents and people as `<label>/<path below the folder>`. */
export type Folder = {
  /** The input's name in the team file. */
  readonly name: string;
  /** Absolute, with links resolved. */
  readonly path: string;
  /** How people write it: the path as given, so that `label/guide.md:12` can be opened from where the run was started. */
  readonly label: string;
};

export interface Tool<Input extends z.ZodObject = z.ZodObject, Output = unknown> {
  readonly name: string;
  /** For the model: what it does, when to use it, what comes back. */
  readonly description: string;
  readonly input: Input;
  readonly timeoutMs: number;
  /** Throws a `TroupeError` whose message tells the model what to do instead. */
  run(input: z.infer<Input>, context: ToolContext): Promise<Output>;
  /** The output as the model reads it. */
  render(output: Output): string;
}
