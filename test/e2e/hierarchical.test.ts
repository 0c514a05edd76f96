/** Teams inside a team, from their file to their answer: who speaks with whom, what it costs whom, and what a bound that is reached comes to. */
import { expect, test } from 'vitest';
import { parseAddress } from '../../src/protocols/ids.ts';
import { play, teamFile, type Said } from '../support/example.ts';

/** `supervisor.research.study-1` and so on, without the run. */
const place = (at: Said['to']): string => at.slice(parseAddress(at).run.length + 1);
const talk = (said: readonly Said[], ...types: readonly string[]): string[] =>
  said.filter(({ message }) => types.includes(message.type)).map(({ from, to }) => `${place(from)} > ${place(to)}`);

const payers = (said: readonly Said[]): Record<string, string[]> => {
  const paid = said.flatMap(({ from, message }) => (message.type === 'budget.reserve' ? [{ from, payer: message.data.quote.payer?.join('/') ?? '' }] : []));
  return Object.fromEntries(
    [...Map.groupBy(paid, ({ payer }) => payer)].map(([payer, all]) => [payer, [...new Set(all.map(({ from }) => parseAddress(from).role))].toSorted()]),
  );
};

test('a step that is a team is done by its own supervisor and workers, who answer to it alone', async () => {
  const { result, said } = await play('examples/hierarchical/team.yaml');
  expect(result.status).toBe('completed');
  const given = talk(said, 'task.assign');
  expect(given[0]).toBe('supervisor > supervisor.research.study-1');
  expect(given.at(-1)).toBe('supervisor > worker.writer.article-1');
  const inside = given.slice(1, -1);
  expect(inside.length).toBeGreaterThan(1);
  for (const one of inside) expect(one).toMatch(/^supervisor\.research\.study-1 > worker\.searcher\.study-1-/);
  expect(talk(said, 'task.completed').filter((one) => one.endsWith(' > supervisor'))).toEqual([
    'supervisor.research.study-1 > supervisor',
    'worker.writer.article-1 > supervisor',
  ]);
});

test('what a team does is told with the run, and paid from the account of the team', async () => {
  const { result, said } = await play('examples/hierarchical/team.yaml');
  const steps = result.steps.map(({ step, status }) => [step, status]);
  expect(steps).toContainEqual(['study', 'completed']);
  expect(steps.filter(([step]) => step!.startsWith('study/')).length).toBeGreaterThan(1);
  expect(payers(said)).toEqual({ research: ['reviewer', 'supervisor', 'worker'], '': ['supervisor', 'worker'] });
});

test('both reviewers judge, their objections go back under their names, and after the last round the lead does it itself', async () => {
  const { result, said } = await play('examples/maker-checker/team.yaml');
  expect(result).toMatchObject({ status: 'completed', answer: 'same(a, b): compares hashes in constant time' });
  expect(talk(said, 'task.assign')).toEqual(['supervisor > worker.coder.code-1', 'supervisor > worker.coder.code-2', 'supervisor > worker.lead.code-3']);
  const feedback = said.flatMap(({ message }) => (message.type === 'task.assign' && message.data.feedback ? [message.data.feedback.reasons] : []));
  expect(feedback).toEqual([
    ['security: passwords are compared as they are: compare hashes'],
    ['security: the time that it takes tells how many letters are right'],
  ]);
  expect(talk(said, 'review.request').length).toBe(4);
  expect(payers(said)['supervisor']).toEqual(['worker']);
});

/** Three teams inside each other. The innermost one's work is never accepted. */
const nested = (rule: string, more = ''): string => `name: nested
task: Say it.
scripts:
  lead: [{ repeat: true, json: { text: I say it myself. } }]
  reader: [{ repeat: true, json: { text: He said it. } }]
  judge: [{ repeat: true, json: { verdict: reject, reasons: [not so], confidence: 1 } }]
agents:
  lead: { kind: supervisor, role: a lead, model: scripted/lead }
  reader: { kind: worker, role: a reader, model: scripted/reader }
  judge: { kind: reviewer, role: a judge, model: scripted/judge }
  outer:
    kind: team
    topology: { kind: workflow, supervisor: lead, on_rejected: hand_up, steps: [{ id: middle, agent: inner, task: Say it there. }] }
  inner:
    kind: team
    topology:
      { kind: workflow, supervisor: lead, reviewer: judge, review_rounds: 1, on_rejected: hand_up, steps: [{ id: deepest, agent: reader, task: Say it here. }] }
topology: { kind: workflow, supervisor: lead, on_rejected: ${rule}, steps: [{ id: all, agent: outer, task: Have it said. }] }
budget: { limit: 0.05 }
${more}`;

test('work that nobody accepts is handed up through every team to the one that has another rule', async () => {
  const { result, said } = await play(teamFile(nested('take_over')));
  expect(result).toMatchObject({ status: 'completed', answer: 'I say it myself.' });
  expect(talk(said, 'task.failed')).toEqual(['supervisor.inner.all-1-middle-1 > supervisor.outer.all-1', 'supervisor.outer.all-1 > supervisor']);
  expect(talk(said, 'task.assign').at(-1)).toBe('supervisor > worker.lead.all-2');
  expect(result.steps.map(({ step, agent }) => [step, agent])).toEqual([
    ['all', 'lead'],
    ['all/middle', 'inner'],
    ['all/middle/deepest', 'reader'],
  ]);
});

test('where the rule is to take the work with a note, the work itself has come all the way up', async () => {
  const { result } = await play(teamFile(nested('accept_with_note')));
  expect(result.answer).toMatch(/^He said it\.\n\(The review still objects: .*not so/);
});

test('teams that work for each other, and teams that are too deep, are mistakes with their place', async () => {
  const cycle = nested('fail').replace('agent: reader, task: Say it here.', 'agent: outer, task: Say it here.');
  await expect(play(teamFile(cycle))).rejects.toThrow('these teams work for each other: outer -> inner -> outer');
  await expect(play(teamFile(nested('fail', 'limits: { depth: 2 }\n')))).rejects.toThrow(
    'the team -> outer -> inner is 3 teams inside each other; at most 2 are allowed; raise limits.depth',
  );
  const tower = Array.from({ length: 8 }, (_, index) => `t${index}`);
  const storeys = tower.map(
    (name, index) =>
      `  ${name}: { kind: team, topology: { kind: workflow, supervisor: lead, steps: [{ id: s, agent: ${tower[index + 1] ?? 'reader'}, task: Go. }] } }`,
  );
  const high = nested('fail', 'limits: { depth: 8 }\n')
    .replace('agents:\n', `agents:\n${storeys.join('\n')}\n`)
    .replace('agent: outer', 'agent: t0');
  await expect(play(teamFile(high))).rejects.toThrow('is 9 teams inside each other; at most 8 are allowed; put the work of two teams into one');
  await expect(play(teamFile(nested('hand_up')))).rejects.toThrow('nobody is above this supervisor to hand work up to');
});
