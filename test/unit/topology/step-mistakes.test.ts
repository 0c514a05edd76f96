/** What people read when the steps of a workflow are wrong, and what becomes of steps that are right. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadTeam } from '../../../src/topology/load.ts';
import { formatProblem, TeamFileError } from '../../../src/topology/problem.ts';
import { resolveTeam } from '../../../src/topology/resolve.ts';
import { catalogue, edited, teamFolder, workflow } from './team-folder.ts';

let folder: Awaited<ReturnType<typeof teamFolder>>;
beforeAll(async () => void (folder = await teamFolder()));
afterAll(() => folder.remove());

/** The workflow with more written for its second step, which begins in line 28. */
const compare = (...more: readonly string[]): string =>
  edited(workflow, '      needs: [find]\n', `      needs: [find]\n${more.map((line) => `      ${line}\n`).join('')}`);

const problemsOf = async (text: string): Promise<string> => {
  await folder.write(text);
  try {
    const { warnings } = await loadTeam('team.yaml', { cwd: folder.path, catalogue });
    return warnings.map(formatProblem).join('\n');
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(TeamFileError);
    return (thrown as TeamFileError).message;
  }
};

test.each<readonly [string, string, string]>([
  [
    'a condition that cannot be read',
    compare('when: steps.find.status = "completed"'),
    'team.yaml:32:13 topology.steps[1].when: expected "and", "or", a comparison or the end at character 19, found =',
  ],
  [
    'a condition on an unknown step',
    compare('when: steps.fnid.status == "completed"'),
    'team.yaml:32:13 topology.steps[1].when: unknown step "fnid"; known: find; did you mean "find"?',
  ],
  [
    'a condition on a step that is not needed',
    workflow.replace('task: Find what is said about {topic}.', 'task: Find {topic}.\n      when: steps.compare.status == "completed"'),
    'team.yaml:28:13 topology.steps[0].when: step "compare" need not have ended when this is asked; add it to needs: [compare]',
  ],
  [
    'a condition on an unknown input',
    compare('when: inputs.topik == "x"'),
    'team.yaml:32:13 topology.steps[1].when: no input is called "topik"; known: topic; did you mean "topic"?',
  ],
  [
    'a condition on a status that there is not',
    compare('when: steps.find.status == "complete"'),
    'team.yaml:32:13 topology.steps[1].when: no status is "complete"; known: pending, running, completed, failed, skipped; did you mean "completed"?',
  ],
  [
    'a status that there is not, deep in a condition and on the other side',
    compare(`when: steps.find.status == "failed" or not ('done' != steps.find.status and steps.find.text == "complete")`),
    'team.yaml:32:13 topology.steps[1].when: no status is "done"; known: pending, running, completed, failed, skipped',
  ],
  [
    'an unknown step in needs, and nothing that only follows from it, but another mistake',
    edited(
      compare('map: { over: steps.find }', 'when: steps.find.status == "complete"').replace('Compare it.', '"Compare {item}."'),
      'needs: [find]',
      'needs: [fnid]',
    ),
    [
      'team.yaml:31:15 topology.steps[1].needs[0]: unknown step "fnid"; known: find; did you mean "find"?',
      'team.yaml:33:13 topology.steps[1].when: no status is "complete"; known: pending, running, completed, failed, skipped; did you mean "completed"?',
    ].join('\n'),
  ],
  [
    'a condition on a folder',
    compare('when: inputs.docs == "x"'),
    'team.yaml:32:13 topology.steps[1].when: input "docs" is a folder, and no text; known: topic',
  ],
  ['a condition on an unknown value', compare('when: state.notes == "x"'), 'team.yaml:32:13 topology.steps[1].when: the state has no "notes"; known: none'],
  [
    'more results than steps that are needed',
    compare('join: { first: 2 }'),
    'team.yaml:32:13 topology.steps[1].join: step "compare" waits for 2 results and needs 1 steps; name the steps under needs',
  ],
  [
    'items of a step that is not needed',
    edited(compare('map: { over: steps.find }').replace('Compare it.', '"Compare {item}."'), 'needs: [find]', 'needs: []'),
    'team.yaml:32:20 topology.steps[1].map.over: step "compare" is done for each item of step "find", which it does not need; add it to needs: [find]',
  ],
  [
    'items that the task does not name',
    compare('map: { over: steps.find }'),
    'team.yaml:30:13 topology.steps[1].task: the task has no {item} in it, so that it is the same for each item; write {item} where the item stands',
  ],
  ['a list from nowhere', compare('map: { over: find }'), 'team.yaml:32:20 topology.steps[1].map.over: expected steps.<id> or inputs.<name>, found "find"'],
  [
    'an item that is called as a step',
    edited(
      compare('map: { over: steps.find, as: it }').replace('Compare it.', '"Compare {it}."'),
      'budget:',
      '    - { id: compare-2, agent: reader, task: Go on. }\nbudget:',
    ),
    'team.yaml:28:11 topology.steps[1].id: an item of step "compare" is called "compare-2", as a step is; rename one of them',
  ],
  [
    'a rule without its default',
    compare('on_failure: default'),
    'team.yaml:32:19 topology.steps[1].on_failure: step "compare" has no default to go on with; write it beside on_failure, such as default: nothing was found',
  ],
  [
    'a default without its rule',
    compare('default: nothing'),
    'team.yaml:32:7 topology.steps[1].default: the default of step "compare" is never used: on_failure is fail; expected on_failure: default',
  ],
  [
    'a fallback that is no other',
    compare('fallback: reader'),
    'team.yaml:32:17 topology.steps[1].fallback: the fallback of step "compare" is who does it already; name another agent, or raise retry.attempts',
  ],
  [
    'an unknown fallback',
    compare('fallback: raeder'),
    'team.yaml:32:17 topology.steps[1].fallback: unknown agent "raeder"; known: reader; did you mean "reader"?',
  ],
  [
    'a way back to what is not needed',
    edited(workflow, '{topic}.\n    - id: compare', '{topic}.\n      goto: [{ to: compare }]\n    - id: compare'),
    'team.yaml:28:20 topology.steps[0].goto[0].to: step "find" cannot go back to "compare", which it does not need; a step that comes later has a `when` of its own',
  ],
  [
    'a way back to nowhere',
    compare('goto: [{ to: fnid }]'),
    'team.yaml:32:20 topology.steps[1].goto[0].to: unknown step "fnid"; known: compare, find; did you mean "find"?',
  ],
  ['a value that nobody has', compare('writes: notes'), 'team.yaml:32:15 topology.steps[1].writes: the state has no "notes"; known: none'],
])('%s', async (_, text, said) => {
  expect(await problemsOf(text)).toBe(said);
});

test('steps that are right are what a run has of them, and nothing else', async () => {
  const whole = edited(
    compare(
      'join: any',
      'when: contains(steps.find.text, inputs.topic)',
      'map: { over: steps.find, as: it, max: 3 }',
      'timeout_s: 1.5',
      'retry: { attempts: 2, backoff_s: 0.5 }',
      'on_failure: default',
      'default: nothing on {topic}',
      'goto: [{ to: find, when: steps.compare.attempts < 9, max_visits: 2 }]',
      'writes: notes',
      'reads: [notes]',
    ).replace('Compare it.', '"Compare {it} with {topic}, {{it}}."'),
    '  kind: workflow\n',
    '  kind: workflow\n  state: { notes: append }\n',
  );
  expect(await problemsOf(whole)).toBe('');
  const { file, inputs } = await loadTeam('team.yaml', { cwd: folder.path, catalogue });
  const { topology } = resolveTeam(file, inputs);
  expect('steps' in topology && topology.steps[1]).toEqual({
    id: 'compare',
    agent: 'reader',
    task: 'Compare {it} with budgets, {it}.',
    needs: ['find'],
    onFailure: 'default',
    default: 'nothing on budgets',
    join: 1,
    when: 'contains(steps.find.text, inputs.topic)',
    retry: { attempts: 2, backoffMs: 500 },
    timeoutMs: 1_500,
    map: { over: { step: 'find' }, around: ['Compare ', ' with budgets, {it}.'], max: 3, concurrency: 4 },
    goto: [{ to: 'find', when: 'steps.compare.attempts < 9', maxVisits: 2 }],
    writes: { key: 'notes', by: 'append' },
    reads: ['notes'],
  });
});
