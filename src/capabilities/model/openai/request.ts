/** A request as the chat-completions protocol has it. Pure. */
import type { ChatCompletionCreateParamsStreaming, ChatCompletionMessageParam } from 'openai/resources/chat/completions';
import { z } from 'zod';
import { formats } from '../../../protocols/formats.ts';
import type { ChatMessage, FormatName, ModelRequest } from '../../../protocols/model.ts';
import type { ToolSpec } from '../port.ts';
import type { Compat } from './compat.ts';

/** One answer is asked for, and one is reserved for: `n` is never sent. */
type Body = Omit<ChatCompletionCreateParamsStreaming, 'n'>;

/** `cap` is the most tokens that the answer may have. */
export const bodyOf = (request: ModelRequest, tools: readonly ToolSpec[], cap: number, compat: ReadonlySet<Compat>): Body => ({
  model: request.model.slice(request.model.indexOf('/') + 1),
  messages: request.messages.map(messageOf),
  stream: true,
  ...(compat.has('no-stream-options') ? {} : { stream_options: { include_usage: true } }),
  ...(compat.has('max-tokens') ? { max_tokens: cap } : { max_completion_tokens: cap }),
  ...(tools.length > 0 && {
    tools: tools.map(({ name, description, parameters }) => ({ type: 'function' as const, function: { name, description, parameters: { ...parameters } } })),
  }),
  ...(request.format && !compat.has('no-format') && { response_format: formatOf(request, request.format, compat) }),
  ...(request.temperature !== undefined && { temperature: request.temperature }),
});

export const messageOf = (message: ChatMessage): ChatCompletionMessageParam => {
  switch (message.role) {
    case 'system':
    case 'user':
      return { role: message.role, content: message.text };
    case 'tool':
      return { role: 'tool', tool_call_id: message.callId, content: message.ok ? message.text : `${FAILED}${message.text}` };
    case 'assistant': {
      if (message.toolCalls.length === 0) return { role: 'assistant', content: message.text };
      const calls = message.toolCalls.map(({ id, name, input }) => ({ id, type: 'function' as const, function: { name, arguments: JSON.stringify(input) } }));
      return { role: 'assistant', content: message.text === '' ? null : message.text, tool_calls: calls };
    }
  }
};

/** The protocol has no field for it, and a model should not take an error for a result. */
const FAILED = 'The call failed: ';

const formatOf = ({ shape }: ModelRequest, format: FormatName, compat: ReadonlySet<Compat>): NonNullable<Body['response_format']> => {
  if (compat.has('json-object')) return { type: 'json_object' };
  const strict = shape === undefined || isStrict(shape);
  return { type: 'json_schema', json_schema: { name: format, strict, schema: shape ? (strict ? kept(shape) : shape) : strictSchema(format) } };
};

/** Whether strict mode takes a schema: every property of every map in it is required, and there are no references and no open maps. */
const isStrict = (schema: unknown): boolean => {
  if (Array.isArray(schema)) return schema.every(isStrict);
  if (schema === null || typeof schema !== 'object') return true;
  const { type, properties, required, additionalProperties, ...others } = schema as Record<string, unknown>;
  if (Object.keys(others).some((key) => OPEN.has(key))) return false;
  if (type !== undefined && typeof type !== 'string') return false;
  if (type === undefined && Object.keys(others).every((key) => !['anyOf', 'enum', 'const'].includes(key))) return false;
  if (type === 'array' && others['items'] === undefined) return false;
  if (type === 'object') {
    const names = Object.keys(properties ?? {});
    if (additionalProperties !== false || names.some((name) => !(required as readonly string[] | undefined)?.includes(name))) return false;
    if (!Object.values(properties ?? {}).every(isStrict)) return false;
  }
  return ['items', 'anyOf'].every((key) => others[key] === undefined || isStrict(others[key]));
};
const OPEN = new Set(['$ref', '$defs', 'definitions', 'allOf', 'oneOf', 'not', 'patternProperties', 'prefixItems']);

const schemas = new Map<FormatName, Record<string, unknown>>();

/**
 * The format's schema as strict structured output takes it: every property is required and no other is allowed. Bounds and
 * patterns are left out, since strict mode knows few of them; the answer is parsed with the full schema in any case.
 */
export const strictSchema = (format: FormatName): Record<string, unknown> => {
  const known = schemas.get(format);
  if (known) return known;
  const made = kept(z.toJSONSchema(formats[format], { io: 'output' }));
  schemas.set(format, made);
  return made;
};

const KEYWORDS: readonly string[] = ['type', 'properties', 'required', 'additionalProperties', 'items', 'enum', 'const', 'anyOf', 'description'];

const kept = (schema: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(schema)
      .filter(([key]) => KEYWORDS.includes(key))
      .map(([key, value]) => [key, keptValue(key, value)]),
  );

const keptValue = (key: string, value: unknown): unknown => {
  if (key === 'properties')
    return Object.fromEntries(Object.entries(value as Record<string, Record<string, unknown>>).map(([name, inner]) => [name, kept(inner)]));
  if (key === 'items') return kept(value as Record<string, unknown>);
  if (key === 'anyOf') return (value as Record<string, unknown>[]).map(kept);
  return value;
};
