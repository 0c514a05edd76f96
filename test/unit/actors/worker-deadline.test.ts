/** The deadline that travels with a task: a worker stops by itself, whether or not its supervisor can still be heard. */
import { describe, expect, it } from 'vitest';
import type { AgentProfile } from '../../../src/protocols/agent.ts';
import type { Address } from '../../../src/protocols/ids.ts';
import type { Output } from '../../../src/runtime/fold.ts';
import { Instance } from '../../../src/runtime/instance.ts';
import { charts } from '../../../src/topology/charts.ts';

const worker = 'r-late.worker.reader.s1-1' as Address;
const lead = 'r-late.supervisor' as Address;
const account = 'r-late.budget' as Address;
const profile: AgentProfile = {
  name: 'reader',
  role: 'a reader',
  goal: '',
  backstory: '',
  model: 'p/m',
  tools: [],
  limits: { turns: 3, maxTokens: 500, attempts: 2, timeoutMs: 60_000 },
};
const AT = 1_000_000;

const assigned = (deadline: number | undefined): [Instance, Output[]] => {
  const [instance] = Instance.begin(worker, { chart: charts.worker, input: { profile }, account }, AT);
  const outputs = instance.apply({
    position: 1,
    at: AT,
    id: 'assign',
    from: lead,
    message: {
      type: 'task.assign',
      data: { step: 's1', attempt: 1, goal: 'why?', instructions: 'look', findings: [], ...(deadline !== undefined && { deadline }) },
    },
  });
  return [instance, outputs];
};

/** How long the worker gives itself for the whole task. */
const patienceOf = (outputs: readonly Output[]): { key: string; ms: number } => {
  const timers = outputs.flatMap((output) => (output.kind === 'arm' && output.timer.key.includes('taskTimeout') ? [output.timer] : []));
  expect(timers).toHaveLength(1);
  return { key: timers[0]!.key, ms: timers[0]!.due - AT };
};

describe('a task', () => {
  it.each([
    ['without a deadline has the time of its agent', undefined, 60_000],
    ['with a distant deadline has the time of its agent', AT + 600_000, 60_000],
    ['with a near deadline has until then', AT + 5_000, 5_000],
    ['whose deadline has passed has no time', AT - 1, 0],
  ])('%s', (_, deadline, ms) => {
    expect(patienceOf(assigned(deadline)[1]).ms).toBe(ms);
  });

  it('that meets its deadline fails and says whose it was', () => {
    const [instance, outputs] = assigned(AT + 5_000);
    const { key } = patienceOf(outputs);
    const said = instance.apply({ position: 2, at: AT + 5_000, id: 'fired', from: worker, message: { type: 'timer.fired', data: { timer: key } } });
    expect(said.find((output) => output.kind === 'send' && output.type === 'task.failed')).toMatchObject({
      to: lead,
      data: { failure: { code: 'TASK_TIMEOUT', message: expect.stringContaining("the run's deadline") as string } },
    });
    expect(instance.ended).toBe(true);
  });
});
