/**
 * The tools of a team behind one door. Whatever happens behind it comes back as a record: a wrong name, input that does not
 * fit, a time-out and a thrown error are results with `ok: false`, in words that a model can act on.
 *
 *   T1  An agent runs the tools that it was given, and no other.
 *   T2  `run` never throws.
 *   T3  What a record holds is bounded.
 */
import { z } from 'zod';
import { failure, failureOf, TroupeError, type Failure } from '../../protocols/failure.ts';
import { mismatches } from '../../protocols/mismatch.ts';
import type { ToolRecord, ToolRequest } from '../../protocols/tool.ts';
import type { ToolSpec } from '../model/port.ts';
import type { Tool } from './port.ts';
import type { Folder } from '../../protocols/tool.ts';

export const TEXT_CHARS_MAX = 20_000;

export type ToolboxOptions = {
  readonly tools: readonly Tool[];
  readonly folders: readonly Folder[];
  /** The names of the tools that each agent may run. */
  readonly allowed: Readonly<Record<string, readonly string[]>>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
};

export interface Toolbox {
  /** The tools as a model is told of them. Errors: TOOL_UNKNOWN. */
  specs(names: readonly string[]): ToolSpec[];
  run(request: ToolRequest, signal: AbortSignal): Promise<ToolRecord>;
  /** Whether the call changes nothing in the world. */
  isReadOnly(request: ToolRequest): boolean;
}

export const createToolbox = ({ tools, folders, allowed, now }: ToolboxOptions): Toolbox => {
  const byName = new Map(tools.map((tool) => [tool.name, tool]));
  const specs = new Map<string, ToolSpec>();

  const find = (name: string, among: readonly string[]): Tool => {
    const tool = byName.get(name);
    if (!tool) throw new TroupeError('TOOL_UNKNOWN', `there is no tool "${name}"; there are: ${among.join(', ') || 'none'}`);
    return tool;
  };

  const perform = async ({ call, agent }: ToolRequest, signal: AbortSignal): Promise<{ text: string; output: unknown }> => {
    const permitted = allowed[agent] ?? [];
    const tool = find(call.name, permitted);
    if (!permitted.includes(tool.name))
      throw new TroupeError('TOOL_NOT_ALLOWED', `${agent} may not use ${tool.name}; it may use: ${permitted.join(', ') || 'no tool'}`);
    const input = tool.input.safeParse(call.input);
    if (!input.success)
      throw new TroupeError(
        'TOOL_BAD_INPUT',
        `${tool.name} does not take this input: ${mismatches(input.error, call.input, 'input')}; put it right and call again`,
      );
    const output = await withinTime(tool, (limited) => tool.run(input.data, { folders, signal: limited }), signal);
    return { text: bounded(tool.render(output)), output };
  };

  return {
    isReadOnly: ({ call }) => byName.get(call.name)?.readOnly ?? false,
    specs: (names) =>
      names.map((name) => {
        const spec = specs.get(name) ?? specOf(find(name, [...byName.keys()]));
        specs.set(name, spec);
        return spec;
      }),
    async run(request, signal) {
      const { call } = request;
      const time = now();
      const record = { callId: call.id, tool: call.name, input: call.input, time };
      try {
        const { text, output } = await perform(request, signal);
        return { ...record, ok: true, text, ...(isSmall(output) && { output }), ms: Math.max(0, now() - time) };
      } catch (thrown) {
        const why = failureFrom(thrown, call.name);
        return { ...record, ok: false, text: bounded(why.message), failure: why, ms: Math.max(0, now() - time) };
      }
    },
  };
};

const specOf = ({ name, description, input }: Tool): ToolSpec => {
  const { $schema: _, ...parameters } = z.toJSONSchema(input, { io: 'input' });
  return { name, description, parameters };
};

/** Ends when the tool does, or its time does, or the caller aborts. A tool that goes on afterwards goes on unheard. */
const withinTime = async <T>({ name, timeoutMs }: Tool, run: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> => {
  const limited = new AbortController();
  const { promise: stopped, reject } = Promise.withResolvers<never>();
  const stop = (why: TroupeError): void => {
    limited.abort();
    reject(why);
  };
  const abort = (): void => stop(new TroupeError('TOOL_ABORTED', `${name} was stopped`));
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort, { once: true });
  const late = setTimeout(
    () => stop(new TroupeError('TOOL_TIMEOUT', `${name} did not answer within ${timeoutMs} ms; ask for less`, { retryable: true })),
    timeoutMs,
  );
  try {
    return await Promise.race([stopped, ...(signal.aborted ? [] : [run(limited.signal)])]);
  } finally {
    clearTimeout(late);
    signal.removeEventListener('abort', abort);
  }
};

const failureFrom = (thrown: unknown, tool: string): Failure =>
  thrown instanceof TroupeError ? failureOf(thrown) : failure('TOOL_FAILED', `${tool} failed: ${thrown instanceof Error ? thrown.message : String(thrown)}`);

const bounded = (text: string): string =>
  text.length <= TEXT_CHARS_MAX
    ? text
    : `${text.slice(0, TEXT_CHARS_MAX)}\n… cut: ${text.length - TEXT_CHARS_MAX} more characters; ask for less at a time to see the rest`;

const isSmall = (output: unknown): boolean => (JSON.stringify(output)?.length ?? 0) <= 2 * TEXT_CHARS_MAX;
