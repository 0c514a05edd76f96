/** A tool from a function: its input is parsed by a zod schema before it runs, its output by another one if there is one. */
import type { z } from 'zod';
import type { Tool, ToolContext } from '../capabilities/tool/port.ts';
import { TroupeError } from '../protocols/failure.ts';
import { mismatches } from '../protocols/mismatch.ts';

type ToolSpec<Input extends z.ZodObject, Output extends z.ZodType> = {
  /** As models call it: letters, digits, `-` and `_`. */
  readonly name: string;
  /** For the model: what it does, when to use it, what comes back. */
  readonly description: string;
  readonly input: Input;
  /** What it gives; a result that does not fit is a failed call, which the model reads. */
  readonly output?: Output;
  /** Default: ten seconds. */
  readonly timeoutMs?: number;
  /** It changes nothing, so that it may be called once more after a crash. Default: it may change something. */
  readonly readOnly?: boolean;
  readonly run: (input: z.output<Input>, context: ToolContext) => z.input<Output> | Promise<z.input<Output>>;
};

/** What it throws is read by the model as a failed call. Error of a call whose result does not fit: TOOL_BAD_OUTPUT. */
export const tool = <Input extends z.ZodObject, Output extends z.ZodType = z.ZodUnknown>({
  name,
  description,
  input,
  output,
  timeoutMs = 10_000,
  readOnly = false,
  run,
}: ToolSpec<Input, Output>): Tool<Input, z.output<Output>> => ({
  name,
  description,
  input,
  timeoutMs,
  readOnly,
  async run(given, context) {
    const result: unknown = await run(given, context);
    if (!output) return result as z.output<Output>;
    const parsed = output.safeParse(result);
    if (!parsed.success) throw new TroupeError('TOOL_BAD_OUTPUT', `${name} gave what it should not: ${mismatches(parsed.error, result, 'its output')}`);
    return parsed.data;
  },
  render: (result) => (typeof result === 'string' ? result : (JSON.stringify(result) ?? 'done')),
});
