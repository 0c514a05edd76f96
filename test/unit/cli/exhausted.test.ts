/** What people are told to do when a limit is reached: which one it is, and where it is raised. */
import { expect, test } from 'vitest';
import { howToRaise } from '../../../src/cli/exhausted.ts';
import { failure } from '../../../src/protocols/failure.ts';

const veto = (account: string, measure: string, window = 'total') =>
  failure('BUDGET_EXHAUSTED', 'budget', { details: { account, measure, window, limit: '1', spent: '1', held: '0', needed: '1', asked: '1' } });

test.each([
  ['r-1/w', 'calls', 'agents.w.budget.calls is used up: raise it in the team file and start the run again'],
  ['acme/r-1/desk/w', 'seconds', 'agents.w.budget.call_s is used up: raise it in the team file and start the run again'],
  ['r-1/w', 'money', 'agents.w.budget.limit or slice is used up: raise it in the team file and start the run again'],
  ['r-1/supervisor', 'tokens', 'budget.tokens of the supervisor is used up: raise it in the team file and start the run again'],
  ['r-1', 'tool_calls', 'budget.tool_calls is used up: raise it in the team file and start the run again'],
  ['r-1', 'money', 'start it again with a higher --budget, or with on_exhausted: pause in its file, so that it waits for more money'],
  ['acme', 'money', 'acme is shared and is used up: raise it with troupe budget raise acme 0.05 --why "worth it"'],
])('of account %s, with no %s left, the limit is named with its place', (account, measure, said) => {
  expect(howToRaise('r-1', veto(account, measure))).toBe(said);
});

test('a window that is used up begins anew', () => {
  expect(howToRaise('r-1', veto('acme', 'calls', 'day'))).toBe(
    'acme is shared and its limit of calls is used up: start it again in the next day, or use another account',
  );
});
