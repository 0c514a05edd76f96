/** The example of the strategies: each agent works as its strategy says, and would not come to its answer in another way. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { ToolRecord } from '../../src/protocols/tool.ts';
import { play } from '../support/example.ts';

const ROOT = join(import.meta.dirname, '../..');
const EXAMPLE = join(ROOT, 'examples/strategies/team.yaml');

const played = async (path: string) => {
  const { result, said } = await play(path);
  const completed = new Map(said.flatMap(({ message }) => (message.type === 'task.completed' ? [[message.data.step, message.data] as const] : [])));
  const records = said.flatMap(({ to, message }) => {
    const output = message.type === 'effect.completed' ? (message.data.output as ToolRecord | undefined) : undefined;
    return output && 'callId' in output ? [{ ...output, to }] : [];
  });
  return { result, completed, recordsOf: (agent: string) => records.filter(({ to }) => to.includes(`.${agent}.`)) };
};

test('each agent comes to its answer by its strategy', async () => {
  const { result, completed, recordsOf } = await played(EXAMPLE);
  expect(result.status).toBe('completed');
  expect(completed.get('reckon')).toMatchObject({ text: '$0.01 would be left.', reasoning: expect.stringContaining('Twice 0.02') as string, turns: 1 });
  expect(completed.get('look')).toMatchObject({ text: 'A veto refuses the call, a grant lets it be made.', turns: 3 });
  expect(recordsOf('planner').map(({ ok }) => ok)).toEqual([true, true]);
  expect(completed.get('doubt')).toMatchObject({ text: expect.stringContaining('goes back') as string, turns: 2 });
  expect(result.answer).not.toContain('Twice');
});

test('a tool call that fails is read, put right and made again', async () => {
  const { completed, recordsOf } = await played(EXAMPLE);
  expect(recordsOf('reader').map(({ ok, failure }) => [ok, failure?.code])).toEqual([
    [false, 'FILE_NOT_FOUND'],
    [true, undefined],
  ]);
  expect(completed.get('read')).toMatchObject({ text: 'It reserves what the call can cost at most.', turns: 3 });
});

test.each([
  ['cot', 'the script of scripted/reckoner has no answer left'],
  ['plan_execute', undefined],
  ['reflect', undefined],
])('without %s it is another answer, or none', async (strategy, failure) => {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-strategies-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'team.yaml');
  writeFileSync(path, readFileSync(EXAMPLE, 'utf8').replace(`strategy: ${strategy}`, 'strategy: react').replace('../../docs', join(ROOT, 'docs')));
  const { result, completed } = await played(path);
  if (failure) expect(result.failure?.message).toContain(failure);
  else expect(completed.get(strategy === 'reflect' ? 'doubt' : 'look')).toMatchObject({ turns: 1 });
});
