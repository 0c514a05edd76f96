/** What people are told to do when a limit is reached: which one it is, and where it is raised. */
import { expect, test } from 'vitest';
import { DEFAULT_BUS } from '../../../src/bus/open.ts';
import { howToRaise, liftCommand } from '../../../src/cli/exhausted.ts';
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
  expect(howToRaise('r-1', veto(account, measure), DEFAULT_BUS)).toBe(said);
});

test('a window that is used up begins anew', () => {
  expect(howToRaise('r-1', veto('acme', 'calls', 'day'), DEFAULT_BUS)).toBe(
    'acme is shared and its limit of calls is used up: start it again in the next day, or use another account',
  );
});

test.each([
  ['r-1', 'troupe budget freeze r-1 --thaw --why "looked at"'],
  ['r-1/w', 'troupe budget freeze r-1 --thaw --account r-1/w --why "looked at"'],
  ['acme', 'troupe budget freeze acme --thaw --why "looked at"'],
  ['acme/r-1', 'troupe budget freeze r-1 --thaw --why "looked at"'],
  ['acme/r-1/w', 'troupe budget freeze r-1 --thaw --account acme/r-1/w --why "looked at"'],
])('account %s that is frozen is thawed by its own name', (account, said) => {
  expect(liftCommand('r-1', failure('BUDGET_FROZEN', 'frozen', { details: { account } }), DEFAULT_BUS)).toBe(said);
});

test.each([
  ['r-1', '1', undefined, 'troupe budget raise r-1 0.05 --why "worth it"'],
  ['r-1', '1000000', '3150296801', 'troupe budget raise r-1 3.16 --why "worth it"'],
  ['acme', '100000000', undefined, 'troupe budget raise acme 0.10 --why "worth it"'],
  ['acme/r-1/w', '50000000', '1', 'troupe budget raise r-1 0.06 --account acme/r-1/w --why "worth it"'],
])('account %s that was asked for %s nano-dollars and is over its limit by %s is raised by as much at least', (account, asked, over, said) => {
  const { details } = veto(account, 'money');
  expect(liftCommand('r-1', failure('BUDGET_EXHAUSTED', 'budget', { details: { ...details, asked, over } }), DEFAULT_BUS)).toBe(said);
});

test('a command names its bus', () => {
  const { details } = veto('r-1', 'money');
  expect(liftCommand('r-1', failure('BUDGET_EXHAUSTED', 'budget', { details }), 'nats://127.0.0.1:4222')).toBe(
    'troupe budget raise r-1 0.05 --why "worth it" --bus nats://127.0.0.1:4222',
  );
});
