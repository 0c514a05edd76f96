/**
 * Failures: what went wrong, as a value that can cross the wire.
 *
 * An expected outcome is a `Failure` (plain data, in a message). An exception is a `TroupeError`: a bug, broken
 * infrastructure, or bad input at the edge; it carries the same fields, so one becomes the other without loss.
 * Callers branch on `code`, never on text. Codes are `AREA_WHAT`; docs/errors.md lists every one.
 */
import { z } from 'zod';

export const Failure = z.object({
  code: z.string(),
  message: z.string(),
  /** Whether the same request may succeed when it is made again. */
  retryable: z.boolean().default(false),
  details: z.record(z.string(), z.unknown()).default({}),
});
export type Failure = z.infer<typeof Failure>;

export class TroupeError extends Error {
  readonly code: string;
  readonly retryable: boolean;
  readonly details: Record<string, unknown>;

  /** `message` says what failed, on which thing, expected against found, and the next step. */
  constructor(code: string, message: string, more: { retryable?: boolean; details?: Record<string, unknown>; cause?: unknown } = {}) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.name = 'TroupeError';
    this.code = code;
    this.retryable = more.retryable ?? false;
    this.details = more.details ?? {};
  }
}

export const failure = (code: string, message: string, more: Partial<Omit<Failure, 'code' | 'message'>> = {}): Failure => ({
  code,
  message,
  retryable: more.retryable ?? false,
  details: more.details ?? {},
});

/** Any thrown thing as a value. What is not ours is a bug or the platform's, and is called `INTERNAL_ERROR`. */
export const failureOf = (thrown: unknown): Failure => {
  if (thrown instanceof TroupeError) return failure(thrown.code, thrown.message, thrown);
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return failure('INTERNAL_ERROR', message);
};
