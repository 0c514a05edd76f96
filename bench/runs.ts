/** Whole runs: journal, reservation, claim and settlement included. */
import type { Bus } from '../src/bus/port.ts';
import { Troupe } from '../src/topology/start.ts';
import { tell, timed } from './measure.ts';
import { bareLoop, benchTeam, instantModel, nothing } from './team.ts';

export const measureReact = async (name: string, bus: Bus): Promise<void> => {
  const troupe = await Troupe.open({ bus, models: [instantModel(10)], tools: [nothing], manyRuns: true });
  const one = async (): Promise<void> => {
    const run = await troupe.start(benchTeam);
    const { status, failure } = await run.result;
    if (status !== 'completed') throw new Error(failure?.message);
  };
  const ms = await timed(one, 25, 10);
  const loop = await timed(() => bareLoop(10), 50, 20);
  await troupe.close();
  tell(`a ReAct run of ten tool calls on ${name}`, ms, 'ms', { what: 'the same loop with nothing around it', value: loop });
};

const RUNS = 1_000;

export const measureMany = async (name: string, bus: Bus): Promise<void> => {
  const troupe = await Troupe.open({ bus, models: [instantModel(2)], tools: [nothing], manyRuns: true, snapshotEvery: 0 });
  const all = async (count: number): Promise<void> => {
    const runs = await Promise.all(Array.from({ length: count }, () => troupe.start(benchTeam)));
    const results = await Promise.all(runs.map(({ result }) => result));
    const failed = results.find(({ status }) => status !== 'completed');
    if (failed) throw new Error(failed.failure?.message);
  };
  await all(50);
  let peak = 0;
  const watch = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 5);
  const began = performance.now();
  await all(RUNS);
  const ms = performance.now() - began;
  peak = Math.max(peak, process.memoryUsage.rss());
  clearInterval(watch);
  await troupe.close();
  const loops = await timed(() => Promise.all(Array.from({ length: RUNS }, () => bareLoop(2))), 5, 2);
  tell(`${RUNS} three-call runs at once on ${name}`, (RUNS * 1_000) / ms, 'runs/s', {
    what: 'the same loops with nothing around them',
    value: (RUNS * 1_000) / loops,
  });
  console.log(`${''.padEnd(52)} ${Math.round(peak / 1e6)} MB at the peak, this process in all`);
};
