/** How a worker comes to its answer: what its model is asked, turn by turn, and what of it becomes the answer. */
import { expect, test } from 'vitest';
import type { ScriptedAdapter } from '../../../src/capabilities/model/scripted/adapter.ts';
import type { Turn } from '../../../src/capabilities/model/scripted/script.ts';
import { createScriptedAdapter, supervisor, team, worker, type Observed } from '../../../src/index.ts';

type Strategy = NonNullable<Parameters<typeof worker>[0]['strategy']>;

const workBy = async (strategy: Strategy, script: readonly (string | Turn)[]) => {
  const model: ScriptedAdapter = createScriptedAdapter(script);
  const heard: Observed['entry']['message'][] = [];
  const made = team({
    name: 'one',
    models: { default: ['scripted/any'] },
    prices: { 'scripted/any': { input: 0, output: 0 } },
    agents: { lead: supervisor({ role: 'r' }), one: worker({ role: 'r', strategy, limits: { turns: 4 } }) },
    topology: { kind: 'workflow', supervisor: 'lead', steps: [{ id: 'work', agent: 'one', task: 'Do it.' }] },
    budget: { limit: 0.01 },
  });
  const ended = await made.run('What?', { bus: 'memory', models: [model], observe: ({ entry }) => void heard.push(entry.message) });
  const completed = heard.flatMap((message) => (message.type === 'task.completed' ? [message.data] : []));
  return { ended, completed: completed[0], asked: model.calls.map(({ request }) => request) };
};

const report = (text: string): Turn => ({ json: { text, citations: [] } });

test('cot keeps the reasoning apart from the answer', async () => {
  const { ended, completed, asked } = await workBy('cot', [report('Six.'), { json: { reasoning: 'Twice three.', text: 'Six.', citations: [] } }]);
  expect(ended).toMatchObject({ status: 'completed', answer: 'Six.' });
  expect(completed).toMatchObject({ text: 'Six.', reasoning: 'Twice three.' });
  expect(asked.length, 'an answer without reasoning is asked for again').toBe(2);
  expect(Object.keys(asked[0]!.shape!['properties'] as object)[0]).toBe('reasoning');
});

test('plan_execute writes a plan before it begins, and keeps it in sight', async () => {
  const { ended, asked } = await workBy('plan_execute', ['1. Count. 2. Answer.', report('Six.')]);
  expect(ended).toMatchObject({ status: 'completed', answer: 'Six.' });
  expect([asked[0]!.format, asked[0]!.tools]).toEqual([undefined, []]);
  expect(asked[1]!.messages.map(({ text }) => text)).toContain('1. Count. 2. Answer.');
  expect(asked[1]!.format).toBe('report');
});

test('reflect looks at its answer once more, and the second one counts', async () => {
  const { ended, completed, asked } = await workBy('reflect', [report('Five.'), report('Six.')]);
  expect(ended).toMatchObject({ status: 'completed', answer: 'Six.' });
  expect(completed?.turns).toBe(2);
  expect(asked[1]!.messages.at(-2)?.text).toContain('# Reflection');
});
