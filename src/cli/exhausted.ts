/** What to do about a budget that grants nothing: which limit tripped, under its name in the team file, and how to raise it; or what to thaw. */
import type { Measure } from '../protocols/account.ts';
import { VetoDetails } from '../protocols/budget.ts';
import type { Failure } from '../protocols/failure.ts';
import { showPath } from '../topology/problem.ts';
import { raiseCommand, thawCommand } from './next-command.ts';

const MONEY_ENDED = 'start it again with a higher --budget, or with on_exhausted: pause in its file, so that it waits for more money';

const KEYS: Readonly<Record<Measure, string>> = { money: 'limit', tokens: 'tokens', calls: 'calls', tool_calls: 'tool_calls', seconds: 'call_s' };

/** The next step after a run that ended with BUDGET_EXHAUSTED, in one line. */
export const howToRaise = (run: string, { details }: Failure, bus: string): string => {
  const veto = VetoDetails.safeParse(details);
  if (!veto.success) return MONEY_ENDED;
  const { account, measure, window } = veto.data;
  const parts = account.split('/');
  const holder = parts.includes(run) ? parts.slice(parts.indexOf(run) + 1).at(-1) : undefined;
  if (!parts.includes(run)) return ofShared(account, measure, window, raiseCommand(run, account, missingNanos(veto.data), bus));
  if (holder === undefined && measure === 'money') return MONEY_ENDED;
  const own = measure === 'money' ? 'limit or slice' : KEYS[measure];
  const limit =
    holder === undefined ? `budget.${own}` : holder === 'supervisor' ? `budget.${own} of the supervisor` : `${showPath(['agents', holder])}.budget.${own}`;
  return `${limit} is used up: raise it in the team file and start the run again`;
};

const ofShared = (account: string, measure: Measure, window: VetoDetails['window'], raise: string): string => {
  const wait = window === 'total' ? '' : `start it again in the next ${window}, or `;
  return measure === 'money'
    ? `${account} is shared and is used up: ${wait}raise it with ${raise}`
    : `${account} is shared and its limit of ${KEYS[measure]} is used up: ${wait}use another account`;
};

/** So much more is enough for all that was asked, whatever else the money is set aside for. */
const missingNanos = ({ asked, over = '0' }: VetoDetails): bigint => BigInt(asked) + BigInt(over);

/** The command after which a run that is paused goes on. */
export const liftCommand = (run: string, { code, details }: Failure, bus: string): string => {
  const account = typeof details['account'] === 'string' ? details['account'] : run;
  if (code !== 'BUDGET_EXHAUSTED') return thawCommand(run, account, bus);
  const veto = VetoDetails.safeParse(details);
  return raiseCommand(run, account, veto.success ? missingNanos(veto.data) : 0n, bus);
};
