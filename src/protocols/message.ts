/**
 * A message type: its name, its version and the schema of its payload.
 *
 * On the wire the payload travels in an envelope; a chart receives `{ type, from, ...payload }` and answers by emitting
 * `{ type, to, ...payload }`. So no payload may have a field called `type`, `from`, `to` or `at`.
 */
import { z } from 'zod';
import type { Address } from './ids.ts';

export type MessageType<T extends string = string, S extends z.ZodRawShape = z.ZodRawShape> = {
  readonly type: T;
  readonly v: number;
  readonly data: z.ZodObject<S>;
};

export const message = <const T extends string, S extends z.ZodRawShape>(type: T, data: S, v = 1): MessageType<T, S> => ({
  type,
  v,
  data: z.object(data),
});

/** What a chart receives. `from` is the sender, `at` the log's time of the entry in milliseconds. */
export type Received<M extends MessageType> =
  M extends MessageType<infer T, infer S> ? { readonly type: T; readonly from: Address; readonly at: number } & z.infer<z.ZodObject<S>> : never;

/** What a chart emits: complete, because within one process it is not parsed again. */
export type Sent<M extends MessageType> =
  M extends MessageType<infer T, infer S> ? { readonly type: T; readonly to: Address } & z.infer<z.ZodObject<S>> : never;
