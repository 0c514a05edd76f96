/** A plan that is changed while it is carried out: what is kept, what is dropped or called back, who is told, and how often. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAddress } from '../../src/protocols/ids.ts';
import { testBuses, type TestBus } from '../support/cli.ts';
import { play, teamFile, type Said } from '../support/example.ts';

const EXAMPLE = join(import.meta.dirname, '../../examples/replan/team.yaml');

const assigned = (said: readonly Said[]): string[] => said.flatMap(({ message }) => (message.type === 'task.assign' ? [message.data.step] : []));
const revisions = (said: readonly Said[]) => said.flatMap(({ message }) => (message.type === 'plan.revised' ? [message.data] : []));

test('what was done is kept, what is obsolete is never begun, and the change is a message to the client', async () => {
  const { result, said } = await play(EXAMPLE);
  expect(result).toMatchObject({ status: 'completed', answer: 'The Albatross had sunk; a diver brought the cargo up, and it is at the market.' });
  expect(assigned(said)).toEqual(['scout', 'dive', 'sell']);
  expect(revisions(said)).toEqual([
    {
      revision: 1,
      reason: 'the Albatross has sunk',
      steps: [
        { step: 'dive', agent: 'diver', task: 'Bring the cargo up.', needs: ['scout'] },
        { step: 'sell', agent: 'porter', task: 'Take the cargo to the market.', needs: ['dive'] },
      ],
      dropped: ['unload'],
    },
  ]);
  expect(said.filter(({ message }) => message.type === 'plan.revised').map(({ to }) => parseAddress(to).role)).toEqual(['client']);
  expect(Object.fromEntries(result.steps.map(({ step, status, failure }) => [step, failure?.code ?? status]))).toEqual({
    scout: 'completed',
    unload: 'STEP_OBSOLETE',
    sell: 'completed',
    dive: 'completed',
  });
});

type Planned = { id: string; agent: string; task: string; needs?: string[] };
const step = (id: string, ...needs: string[]): Planned => ({ id, agent: 'hand', task: `do ${id}`, needs });

/** `lead`: the plan, then each revision of it. */
const team = (max: number, lead: readonly object[], hand: readonly object[] = [{ repeat: true, json: { text: 'done' } }]): string => `name: crew
task: Do it.
scripts:
  lead: ${JSON.stringify([...lead.map((json) => ({ json })), { repeat: true, when: 'Put the findings', json: { text: 'It is done.' } }])}
  hand: ${JSON.stringify(hand)}
agents:
  lead: { kind: supervisor, role: a lead, model: scripted/lead }
  hand: { kind: worker, role: a hand, model: scripted/hand }
topology: { kind: centralised, supervisor: lead, workers: [hand], max_steps: 8, replan: { max: ${max} } }
budget: { limit: 0.05 }
`;

test('a plan is changed no more often than the file allows, and then carried out as it stands', async () => {
  const plan = { steps: [step('one'), step('two', 'one')] };
  const more = ['three', 'four', 'five'].map((id, index) => ({
    steps: [step(id, ['one', 'three', 'four'][index]!), step('two', id)],
    reason: `${id} is missing`,
  }));
  const { result, said } = await play(teamFile(team(2, [plan, ...more])));
  expect(result).toMatchObject({ status: 'completed', answer: 'It is done.' });
  expect(revisions(said).map(({ revision, reason }) => `${revision} ${reason}`)).toEqual(['1 three is missing', '2 four is missing']);
  expect(assigned(said)).toEqual(['one', 'three', 'four', 'two']);
});

/** Times that the lead was asked what is to become of its plan. */
const looks = (said: readonly Said[]): number =>
  said.filter(({ to, message }) => message.type === 'effect.claimed' && parseAddress(to).role === 'supervisor' && message.data.effect.includes('revision'))
    .length;

test('a look that changes nothing is no change, and there is one for each step that ended, whatever the look before it dropped', async () => {
  const plan = { steps: [step('one'), step('two', 'one'), step('three', 'two'), step('four', 'three')] };
  const same = [plan.steps.slice(1), plan.steps.slice(2), plan.steps.slice(3)].map((steps) => ({ steps }));
  const unchanged = await play(teamFile(team(1, [plan, ...same])));
  expect([assigned(unchanged.said), revisions(unchanged.said), looks(unchanged.said)]).toEqual([['one', 'two', 'three', 'four'], [], 3]);
  const dropping = await play(teamFile(team(16, [plan, { steps: [step('two', 'one'), step('three', 'two')] }, { steps: [step('three', 'two')] }])));
  expect([assigned(dropping.said), revisions(dropping.said).length, looks(dropping.said)]).toEqual([['one', 'two', 'three'], 1, 2]);
});

test('a step under way that became useless is called back, and nobody waits for it', async () => {
  const slow = { when: 'do slow', delay_ms: 100_000, json: { text: 'too late' } };
  const quick = { when: 'do quick', json: { text: 'the question is settled' } };
  const { result, said } = await play(
    teamFile(team(1, [{ steps: [step('slow'), step('quick')] }, { steps: [], cancel: ['slow'], reason: 'settled' }], [slow, quick])),
  );
  expect(result).toMatchObject({ status: 'completed', answer: 'It is done.' });
  const recalled = said.flatMap(({ to, message }) => (message.type === 'task.cancel' ? [`${parseAddress(to).key}: ${message.data.reason}`] : []));
  expect(recalled).toEqual(['slow-1: the plan was revised']);
  expect(result.steps.find(({ step: id }) => id === 'slow')).toMatchObject({ status: 'skipped', failure: { code: 'STEP_OBSOLETE' } });
});

test('after a failure there may be another way', async () => {
  const closed = { when: 'do gate', error: { code: 'MODEL_REJECTED', message: 'the gate is closed' } };
  const hand = [closed, { repeat: true, json: { text: 'done' } }];
  const { result, said } = await play(teamFile(team(1, [{ steps: [step('gate')] }, { steps: [step('door')], reason: 'the gate is closed' }], hand)));
  expect(result).toMatchObject({ status: 'completed', answer: 'It is done.' });
  expect(assigned(said)).toEqual(['gate', 'door']);
});

test('a revision that cannot be carried out is put right once; else the plan goes on as it stands', async () => {
  const plan = { steps: [step('one'), step('two', 'one')] };
  const again = { steps: [step('one')], reason: 'once more' };
  const righted = await play(teamFile(team(1, [plan, again, { steps: [], reason: 'it is enough' }])));
  expect(revisions(righted.said)).toMatchObject([{ reason: 'it is enough', dropped: ['two'] }]);
  const stubborn = await play(teamFile(team(1, [plan, again, again])));
  expect(stubborn.result.status).toBe('completed');
  expect([assigned(stubborn.said), revisions(stubborn.said)]).toEqual([['one', 'two'], []]);
});

test('offline, what one agent does not find is looked for by another', async () => {
  const file = teamFile(`name: finders
task: Who is the harbour master of Marsk?
models: { default: [extractive/classic] }
agents:
  lead: { kind: supervisor, role: a lead }
  scout: { kind: worker, role: a researcher who can find facts }
  writer: { kind: worker, role: a writer who can summarise }
topology: { kind: centralised, supervisor: lead, workers: [scout, writer], replan: { max: 2 } }
budget: { limit: 0.05 }
`);
  const { result, said } = await play(file);
  expect(result.status).toBe('completed');
  const [find, again, close] = assigned(said);
  expect(again).toBe(`${find}-again`);
  expect(revisions(said)).toMatchObject([
    {
      reason: `nothing came of ${find}`,
      steps: [
        { step: again, agent: 'writer' },
        { step: close, needs: [again] },
      ],
      dropped: [],
    },
  ]);
});

describe.each(['embedded', 'nats'] as const)('on the %s bus', (name) => {
  let bus: TestBus;
  beforeAll(async () => void (bus = await testBuses[name]()));
  afterAll(() => bus?.dispose());

  test('the change is shown once, beside the supervisor', async () => {
    const { exitCode, stdout, stderr } = await bus.desk({}).run(['run', EXAMPLE]);
    expect([exitCode, stdout.trim()]).toEqual([0, 'The Albatross had sunk; a diver brought the cargo up, and it is at the market.']);
    expect(stderr.split('\n').filter((line) => line.includes('revision'))).toEqual([
      expect.stringMatching(/^supervisor +executing, revision 1 of the plan \(the Albatross has sunk\): to do: dive, sell; dropped: unload$/),
    ]);
    expect(stderr).not.toContain('unload-1');
  });
});
