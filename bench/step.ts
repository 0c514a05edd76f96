/** What one step of a chart costs, without a bus: the fold of a worker's own log. */
import { createActor } from 'xstate';
import { workerMachine, type WorkerInput } from '../src/actors/worker/machine.ts';
import type { Decoded } from '../src/protocols/catalogue.ts';
import { address, type Address, type RunId } from '../src/protocols/ids.ts';
import { begin, step, type Definition, type FoldEntry, type State } from '../src/runtime/fold.ts';
import { charts } from '../src/topology/charts.ts';
import { hostedAgents } from '../src/topology/team.ts';
import { median, tell } from './measure.ts';
import { benchTeam, reply } from './team.ts';

const run = 'r-bench' as RunId;
const at = address(run, 'worker', 'worker', 'only-1');
const { name, role, goal, backstory, tools, limits } = hostedAgents(benchTeam).find((agent) => agent.name === 'worker')!;
const input: WorkerInput = { profile: { name, role, goal, backstory, tools, limits, model: 'instant/model' } };
const definition: Definition = { chart: charts.worker, input, account: address(run, 'budget') };

/** A worker's log of ten tool calls, as a host would have written it. */
const record = (): FoldEntry[] => {
  const entries: FoldEntry[] = [];
  let [state] = begin(definition, at, 0);
  const take = (message: Decoded): State => {
    const entry: FoldEntry = { position: entries.length + 1, at: entries.length, id: `e${entries.length}`, from: at, message };
    entries.push(entry);
    return ([state] = step(definition, at, state, entry))[0];
  };
  take({ type: 'task.assign', data: { step: 'only', attempt: 1, goal: 'x', instructions: 'y', findings: [] } });
  while (state.snapshot.status === 'active') {
    for (const { key, src, attempt, phase, input: asked } of Object.values(state.effects)) {
      const grant = `${key}#${attempt}`;
      if (src === 'tool')
        take({
          type: 'effect.completed',
          data: {
            effect: key,
            attempt,
            output: { callId: (asked as { call: { id: string } }).call.id, tool: 'nothing', input: {}, ok: true, text: 'nothing', ms: 0, time: 0 },
          },
        });
      else if (phase === 'asked') take({ type: 'budget.granted', data: { grant, amountNanos: '1', maxTokens: 100, deadline: 1e15, leftNanos: '1' } });
      else if (phase === 'granted') take({ type: 'effect.claimed', data: { effect: key, attempt, host: 'h' } });
      else take({ type: 'effect.completed', data: { effect: key, attempt, output: reply(asked as never, 10) } });
    }
  }
  return entries;
};

export const measureStep = (): void => {
  const entries = record();
  const fold = (): void => {
    let [state] = begin(definition, at, 0);
    for (const entry of entries) [state] = step(definition, at, state, entry);
  };
  /** The same chart in XState's own actor, with nothing that lasts: it starts no effect, so it is told of their ends. */
  const actor = (): void => {
    const running = createActor(workerMachine, { input, logger: () => {} }).start();
    for (let i = 0; i < entries.length; i++)
      running.send({ type: 'budget.granted', from: '' as Address, at: 0, grant: '', amountNanos: '1', maxTokens: 1, deadline: 1, leftNanos: '1' });
    running.stop();
  };
  const perStep = (work: () => void): number => {
    const samples: number[] = [];
    for (let round = -60; round < 60; round++) {
      const began = performance.now();
      for (let i = 0; i < 20; i++) work();
      if (round >= 0) samples.push(((performance.now() - began) * 1_000) / (20 * entries.length)); // before that the compiler is measured
    }
    return median(samples);
  };
  tell('one step of a worker', perStep(fold), 'µs', { what: 'an event that an XState actor ignores', value: perStep(actor) });
};
