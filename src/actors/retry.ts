/** When a call that failed is tried again. Pure; whether it may be is each chart's guard. */
import type { AgentProfile } from '../protocols/agent.ts';
import { failure, type Failure } from '../protocols/failure.ts';

/** Doubles from half a second to half a minute; what the provider asks for wins, up to five minutes. */
export const backoffMs = (attempt: number, failure: Failure | undefined): number => {
  const asked = failure?.details['retryAfterMs'];
  return typeof asked === 'number' && asked >= 0 ? Math.min(asked, 300_000) : Math.min(500 * 2 ** (attempt - 1), 30_000);
};

/** The money is used up or frozen, and the account says that someone may change that: it is no failure yet. */
export const pauses = ({ code, details }: Failure): boolean => code.startsWith('BUDGET_') && details['pause'] === true;

/** The account answers or vetoes long before this; when it does not, nobody hosts it: no answer is no permission. */
export const unansweredMs = ({ limits }: Pick<AgentProfile, 'limits'>): number => Math.ceil((limits.timeoutMs * 3) / 4);

export const unanswered = (profile: Pick<AgentProfile, 'limits'>): Failure =>
  failure('BUDGET_UNANSWERED', `the account did not answer within ${unansweredMs(profile)} ms: nothing hosts it`, { retryable: true });
