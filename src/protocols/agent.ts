/** An agent as its chart knows it: who it is for a model, and its bounds. Resolved from the team file, so nothing here is optional by accident. */
import { z } from 'zod';
import { Name } from './ids.ts';
import { Nanos } from './money.ts';
import { ChatMessage } from './model.ts';
import { OutputForm } from './output.ts';

/** How an agent comes to its answer: by calling tools, with its reasoning written out, by a plan of its own, or by looking at its answer again. */
export const Strategy = z.enum(['react', 'cot', 'plan_execute', 'reflect']);
export type Strategy = z.infer<typeof Strategy>;

/**
 * What of a conversation goes along when it is handed over: all of it, what was said without calls of tools and their results, or
 * the last messages, a message with calls being one with their results.
 */
export const Pass = z.union([
  z.enum(['all', 'without_tools']),
  z.strictObject({ last: z.number().int().min(1).max(1_000).describe('So many of the last messages.') }),
]);
export type Pass = z.infer<typeof Pass>;

export const AgentProfile = z.object({
  name: Name,
  role: z.string(),
  goal: z.string(),
  backstory: z.string(),
  /** `provider/name`. */
  model: z.string(),
  /** The model of its calls once no more than so much is left for it. */
  cheaper: z.object({ model: z.string(), fromLeftNanos: Nanos }).optional(),
  tools: z.array(z.string()),
  /** The form of its answers; without one they are reports. */
  output: OutputForm.optional(),
  /** What was said before, in the session that the run belongs to. */
  history: z.array(ChatMessage).optional(),
  /** Without one, `react`. */
  strategy: Strategy.optional(),
  /** Whom it may hand its work over to. */
  handoffs: z.object({ to: z.array(z.object({ agent: Name, description: z.string() })), pass: Pass }).optional(),
  limits: z.object({
    /** Model calls for one task, repairs and retries included. */
    turns: z.number().int().positive(),
    /** Of one answer. */
    maxTokens: z.number().int().positive(),
    /** Tries at one model call that fails in a way that may pass. */
    attempts: z.number().int().positive(),
    /** For one task, from its assignment. */
    timeoutMs: z.number().int().positive(),
  }),
});
export type AgentProfile = z.infer<typeof AgentProfile>;
