/** An agent as its chart knows it: who it is for a model, and its bounds. Resolved from the team file, so nothing here is optional by accident. */
import { z } from 'zod';
import { Name } from './ids.ts';
import { Nanos } from './money.ts';

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
