/** A request as the chat-completions protocol has it, and an upper bound of the tokens that it is. Pure. */
import type { ChatCompletionCreateParamsStreaming, ChatCompletionMessageParam } from 'openai/resources/chat/completions';
import { z } from 'zod';
import { formats } from '../../../protocols/formats.ts';
import type { ChatMessage, FormatName, ModelRequest } from '../../../protocols/model.ts';
import type { ToolSpec } from '../port.ts';
import type { Compat } from './compat.ts';

type Body = ChatCompletionCreateParamsStreaming;

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
  ...(request.format && !compat.has('no-format') && { response_format: formatOf(request.format, compat) }),
  ...(request.temperature !== undefined && { temperature: request.temperature }),
});

const messageOf = (message: ChatMessage): ChatCompletionMessageParam => {
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

const formatOf = (format: FormatName, compat: ReadonlySet<Compat>): NonNullable<Body['response_format']> =>
  compat.has('json-object') ? { type: 'json_object' } : { type: 'json_schema', json_schema: { name: format, strict: true, schema: strictSchema(format) } };

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

/** For what frames a conversation, and the system text that some servers put before it. */
const BASE = 64;
const PER_MESSAGE = 16;
const PER_CALL = 16;
/** For the instructions on how tools are called that servers add once there are any. */
const TOOLS_BASE = 256;
const PER_TOOL = 32;
const FORMAT_BASE = 64;

/**
 * Byte-level tokenizers make at least one byte of each token, so the UTF-8 length of all text is never below the number of its
 * tokens. It is three to four times that for English: a reservation is held for the length of a call only.
 */
export const inputTokenBound = ({ messages, format }: ModelRequest, tools: readonly ToolSpec[]): number => {
  let bound = BASE;
  for (const message of messages) bound += PER_MESSAGE + boundOfMessage(message);
  if (tools.length > 0) bound += TOOLS_BASE;
  for (const tool of tools) bound += PER_TOOL + bytesOf(JSON.stringify(tool));
  if (format) bound += FORMAT_BASE + bytesOf(JSON.stringify(strictSchema(format)));
  return bound;
};

const boundOfMessage = (message: ChatMessage): number => {
  if (message.role === 'tool') return bytesOf(message.callId) + FAILED.length + bytesOf(message.text);
  const calls = message.role === 'assistant' ? message.toolCalls : [];
  // As the server may count them: the arguments are a JSON text within JSON, so each quote in them takes two bytes.
  return (
    bytesOf(message.text) +
    calls.reduce((sum, { id, name, input }) => sum + PER_CALL + bytesOf(id) + bytesOf(JSON.stringify({ name, arguments: JSON.stringify(input) })), 0)
  );
};

export const bytesOf = (text: string): number => Buffer.byteLength(text);
