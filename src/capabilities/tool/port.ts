/**
 * The tool port: something that an agent may do, described to models by a schema and run with input that fits it.
 */
import type { z } from 'zod';
import type { Folder } from '../../protocols/tool.ts';

export type ToolContext = {
  readonly signal: AbortSignal;
  /** The folders that the team file opens, in its order. */
  readonly folders: readonly Folder[];
};

export interface Tool<Input extends z.ZodObject = z.ZodObject, Output = unknown> {
  readonly name: string;
  /** For the model: what it does, when to use it, what comes back. */
  readonly description: string;
  readonly input: Input;
  readonly timeoutMs: number;
  /** It changes nothing, so calling it once more is harmless. Default: it may change something. */
  readonly readOnly?: boolean;
  /** It has nothing to read without an input that is a folder. */
  readonly needsFolder?: boolean;
  /** Throws a `TroupeError` whose message tells the model what to do instead. */
  run(input: z.infer<Input>, context: ToolContext): Promise<Output>;
  /** The output as the model reads it. */
  render(output: Output): string;
}
