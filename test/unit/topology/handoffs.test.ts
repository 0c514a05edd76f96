/** Handing over in a team file: what is made of it, what is wrong with it, and whom it reaches. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SupervisorInput } from '../../../src/actors/supervisor/policy.ts';
import type { WorkerInput } from '../../../src/actors/worker/machine.ts';
import { address, type RunId } from '../../../src/protocols/ids.ts';
import { accountsOf, castTeam, supervisorOf } from '../../../src/topology/cast.ts';
import { loadTeam } from '../../../src/topology/load.ts';
import { formatProblem, TeamFileError } from '../../../src/topology/problem.ts';
import { resolveTeam } from '../../../src/topology/resolve.ts';
import { catalogue, edited, teamFolder } from './team-folder.ts';

const office = `name: office
task: Answer the letter.
models:
  default: [extractive/classic]
agents:
  lead: { kind: supervisor, role: a head }
  desk: { kind: worker, role: a clerk, handoffs: [billing] }
  billing: { kind: worker, role: a clerk, goal: to know what was paid, tools: [now], handoffs: { to: [desk, refunds], pass: { last: 6 }, max_handoffs: 2 } }
  refunds: { kind: worker, role: a clerk, budget: { slice: 0.02 } }
topology:
  kind: workflow
  supervisor: lead
  steps: [{ id: answer, agent: desk, task: Answer it. }]
budget:
  limit: 0.05
`;

let folder: Awaited<ReturnType<typeof teamFolder>>;
beforeAll(async () => void (folder = await teamFolder()));
afterAll(() => folder.remove());

const load = async (text: string) => {
  await folder.write(text);
  return loadTeam('team.yaml', { cwd: folder.path, catalogue });
};

const problemsOf = async (text: string): Promise<string> => {
  try {
    return (await load(text)).warnings.map(formatProblem).join('\n');
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(TeamFileError);
    return (thrown as TeamFileError).message;
  }
};

test('an agent that work can only be handed over to has something to do, and money of its own', async () => {
  expect(await problemsOf(office)).toBe('');
  const { file, inputs } = await load(office);
  const accounts = accountsOf('r-office' as RunId, resolveTeam(file, inputs));
  expect(accounts.map(({ id }) => id)).toEqual(['r-office', 'r-office/refunds']);
  expect(await problemsOf(edited(office, 'slice: 0.02', 'slice: 0.06'))).toContain('agents.refunds.budget.slice: a slice of $0.0600 is more than');
});

test('its model is told of the others, and its supervisor of the bounds', async () => {
  const { file, inputs } = await load(office);
  const run = 'r-office' as RunId;
  const team = resolveTeam(file, inputs);
  const cast = castTeam(run, team, Object.fromEntries(Object.keys(team.agents).map((name) => [name, 'extractive/classic'])));
  const { profile } = cast(address(run, 'worker', 'desk', 'answer-1'))!.input as WorkerInput;
  expect(profile.handoffs).toEqual({ to: [{ agent: 'billing', description: 'a clerk; to know what was paid; tools: now' }], pass: 'all' });
  const { handoffs } = cast(supervisorOf(run))!.input as SupervisorInput;
  expect(handoffs).toEqual({ desk: { to: ['billing'], max: 4 }, billing: { to: ['desk', 'refunds'], max: 2 } });
});

test.each([
  [
    'nobody who is there',
    ['handoffs: [billing]', 'handoffs: [biling]'],
    'team.yaml:7:51 agents.desk.handoffs[0]: unknown agent "biling"; known: desk, billing, refunds; did you mean "billing"?',
  ],
  [
    'who is no worker',
    ['to: [desk, refunds]', 'to: [lead, refunds]'],
    'team.yaml:8:103 agents.billing.handoffs.to[0]: expected an agent of kind worker, found "lead", a supervisor; of that kind: desk, billing, refunds',
  ],
  [
    'itself',
    ['to: [desk, refunds]', 'to: [billing, refunds]'],
    'team.yaml:8:103 agents.billing.handoffs.to[0]: billing cannot hand its work over to itself; remove it from the list',
  ],
  ['one twice', ['handoffs: [billing]', 'handoffs: [billing, billing]'], 'team.yaml:7:60 agents.desk.handoffs[1]: "billing" is in the list already'],
  ['nobody', ['handoffs: [billing]', 'handoffs: []'], 'team.yaml:7:50 agents.desk.handoffs: expected at least 1 entry, found an empty list'],
  [
    'a mistyped bound',
    ['max_handoffs: 2', 'max_handofs: 2'],
    'team.yaml:8:138 agents.billing.handoffs.max_handofs: unknown key "max_handofs"; known: to, pass, max_handoffs; did you mean "max_handoffs"?',
  ],
  ['a bound that is none', ['max_handoffs: 2', 'max_handoffs: 0'], 'team.yaml:8:152 agents.billing.handoffs.max_handoffs: expected at least 1, found 0'],
] as const)('a file that hands over to %s says so, with the place', async (_, [from, to], said) => {
  expect(await problemsOf(edited(office, from, to))).toBe(said);
});

test('peers have a protocol instead', async () => {
  const peers = office
    .replace(/topology:[\s\S]*?(?=budget:\n)/, 'topology: { kind: peers, peers: [desk, billing, refunds], protocol: refine }\n')
    .replace(/  lead: .*\n/, '');
  expect(await problemsOf(peers)).toContain('agents.desk.handoffs: peers do not hand their work over: they have a protocol');
});
