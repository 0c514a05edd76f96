/**
 * What is said to a model and what it answers: the payloads of the effect `model`. They are the same for every adapter.
 */
import { z } from 'zod';
import { Usage } from './money.ts';

export const ToolCall = z.object({ id: z.string(), name: z.string(), input: z.record(z.string(), z.unknown()) });
export type ToolCall = z.infer<typeof ToolCall>;

export const ChatMessage = z.discriminatedUnion('role', [
  z.object({ role: z.literal('system'), text: z.string() }),
  z.object({ role: z.literal('user'), text: z.string() }),
  z.object({ role: z.literal('assistant'), text: z.string(), toolCalls: z.array(ToolCall).default([]) }),
  /** The result of one call; it follows the assistant's message that asked for it. */
  z.object({ role: z.literal('tool'), callId: z.string(), text: z.string(), ok: z.boolean() }),
]);
export type ChatMessage = z.infer<typeof ChatMessage>;

/** The shape that the answer's text must have: a name from the catalogue of formats (formats.ts), so that a request stays small. */
export const FormatName = z.enum(['plan', 'revision', 'route', 'report', 'output', 'verdict', 'bid', 'critique', 'ballot', 'edit']);
export type FormatName = z.infer<typeof FormatName>;

export const ModelRequest = z.object({
  /** `provider/name`, or an alias from the team file. */
  model: z.string(),
  messages: z.array(ChatMessage),
  /** Names of the tools that may be called. */
  tools: z.array(z.string()).default([]),
  /** Calls by which whoever asks may hand its work over, as tools that nobody runs: it reads them itself. */
  handoffs: z.array(z.object({ name: z.string(), description: z.string(), parameters: z.record(z.string(), z.unknown()) })).optional(),
  format: FormatName.optional(),
  /** JSON Schema of the whole answer, where it says more than the format. */
  shape: z.record(z.string(), z.unknown()).optional(),
  /** The most the answer may hold; a grant may lower it. */
  maxTokens: z.number().int().positive(),
  /** The fewest tokens with which an answer is still worth paying for; below it the budget vetoes instead of lowering. */
  minTokens: z.number().int().positive().default(16),
  temperature: z.number().min(0).max(2).optional(),
  timeoutMs: z.number().int().positive().default(120_000),
  /** A closing answer may use the money that is kept back for it. */
  purpose: z.enum(['work', 'closing']).optional(),
  /** Whoever asks has a cheaper model for this call: for want of money it asks again, and does not pause. */
  hasCheaper: z.boolean().optional(),
  /** Accounts below the run's that pay, the outermost first: of the teams that the call is made for. */
  payer: z.array(z.string()).optional(),
});
export type ModelRequest = z.infer<typeof ModelRequest>;

export const FinishReason = z.enum(['stop', 'length', 'tools', 'filtered', 'aborted']);
export type FinishReason = z.infer<typeof FinishReason>;

export const ModelReply = z.object({
  text: z.string(),
  toolCalls: z.array(ToolCall).default([]),
  finish: FinishReason,
  usage: Usage,
  /** The model that answered, as its provider names it. */
  model: z.string(),
  /** The provider's own id of the answer. */
  id: z.string().optional(),
  /** What is wrong with the value of an answer that its schema cannot say: found where the call was made, by code that no fold may run. */
  misfit: z.string().optional(),
});
export type ModelReply = z.infer<typeof ModelReply>;
