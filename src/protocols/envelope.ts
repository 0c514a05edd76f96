/**
 * The envelope: what every entry on the bus carries around its payload.
 *
 * Decoding has two stages. The bus decodes the envelope, so that it can route, order and bury an entry without knowing what
 * it says; the addressee decodes `data` by the schema of `type` and `v` (catalogue.ts). What fails either stage goes to the
 * dead-letter log with the reason.
 */
import { z } from 'zod';
import { Address } from './ids.ts';

export const Envelope = z.object({
  /** Makes the append idempotent: within one log an id is taken once. */
  id: z.string().min(1).max(512),
  type: z.string().min(1).max(64),
  v: z.number().int().positive(),
  from: Address,
  /** The id of the entry that led to this one. */
  causation: z.string().max(512).optional(),
  /** The id of what it all began with, the run's first message as a rule. */
  correlation: z.string().max(512).optional(),
  /** W3C trace context. */
  traceparent: z.string().max(64).optional(),
  /** When it was made, milliseconds since 1970, by its maker's clock. For people: ordering and deadlines use the log's clock. */
  time: z.number(),
  data: z.record(z.string(), z.unknown()),
});
export type Envelope = z.infer<typeof Envelope>;
