/** When a call that failed is tried again. Pure; whether it may be is each chart's guard. */
import type { Failure } from '../protocols/failure.ts';

/** Doubles from half a second to half a minute; what the provider asks for wins, up to five minutes. */
export const backoffMs = (attempt: number, failure: Failure | undefined): number => {
  const asked = failure?.details['retryAfterMs'];
  return typeof asked === 'number' && asked >= 0 ? Math.min(asked, 300_000) : Math.min(500 * 2 ** (attempt - 1), 30_000);
};

/** The money is used up or frozen, and the account says that someone may change that: it is no failure yet. */
export const pauses = ({ code, details }: Failure): boolean => code.startsWith('BUDGET_') && details['pause'] === true;
