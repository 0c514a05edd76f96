/** How accounts are written down: in a team file, in a run's record, and in the message that opens one. */
import { z } from 'zod';

/** What is counted: nano-dollars, tokens in and out, model calls, tool calls, milliseconds of calls. */
export const Measure = z.enum(['money', 'tokens', 'calls', 'tool_calls', 'seconds']);
export type Measure = z.infer<typeof Measure>;

/** `total` is the account's life; the others begin anew by the log's clock, in UTC. */
export const Window = z.enum(['total', 'hour', 'day', 'month']);
export type Window = z.infer<typeof Window>;

/** `amount` in the measure's own unit, a decimal string: nano-dollars, tokens, calls, milliseconds. */
export const LimitSpec = z.object({ measure: Measure, amount: z.string().regex(/^\d{1,30}$/), window: Window.default('total') });
export type LimitSpec = z.infer<typeof LimitSpec>;

export const AccountSpec = z.object({
  /** `acme`, `acme/r-1`, `acme/r-1/searcher`. */
  id: z.string().min(1).max(256),
  /** The account above; none: it is the root. */
  parent: z.string().optional(),
  limits: z.array(LimitSpec).default([]),
  /** Nano-dollars that are moved here from the parent; without it the account takes from the parent's pool. */
  sliceNanos: z
    .string()
    .regex(/^\d{1,30}$/)
    .optional(),
});
export type AccountSpec = z.infer<typeof AccountSpec>;

/** So much of each measure, in its own unit. */
export type Amounts = Readonly<Record<Measure, bigint>>;
