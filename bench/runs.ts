/** Whole runs: journal, reservation, claim and settlement included. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Bus } from '../src/bus/port.ts';
import { NODE_OPTION } from '../src/cli/node-options.ts';
import { Troupe } from '../src/topology/start.ts';
import { tell, timed } from './measure.ts';
import { bareLoop, benchTeam, instantModel, nothing } from './team.ts';

/** Runs after which V8 has compiled what matters: what a process that goes on takes. */
const WARM_RUNS = 1_000;

export const measureReact = async (name: string, bus: Bus): Promise<void> => {
  const troupe = await Troupe.open({ bus, models: [instantModel(10)], tools: [nothing], manyRuns: true });
  const one = async (): Promise<void> => {
    const run = await troupe.start(benchTeam);
    const { status, failure } = await run.result;
    if (status !== 'completed') throw new Error(failure?.message);
  };
  const loop = await timed(() => bareLoop(10), 50, 20);
  const baseline = { what: 'the same loop with nothing around it', value: loop };
  tell(`a ReAct run of ten tool calls on ${name}`, await timed(one, 101, 10), 'ms', baseline);
  tell('  after a thousand of them', await timed(one, 501, WARM_RUNS - 111), 'ms', baseline);
  await troupe.close();
};

const RUNS = 1_000;

export const measureMany = async (name: string, address: string): Promise<void> => {
  const child = join(import.meta.dirname, 'many-runs.js');
  const { stdout } = await promisify(execFile)(process.execPath, [NODE_OPTION, child, address, JSON.stringify(benchTeam), String(RUNS)]);
  const { ms, peakBytes, idleBytes } = JSON.parse(stdout) as { ms: number; peakBytes: number; idleBytes: number };
  const loops = await timed(() => Promise.all(Array.from({ length: RUNS }, () => bareLoop(2))), 5, 2);
  tell(`${RUNS} three-call runs at once on ${name}`, (RUNS * 1_000) / ms, 'runs/s', {
    what: 'the same loops with nothing around them',
    value: (RUNS * 1_000) / loops,
  });
  tell('  memory of that process at its peak', peakBytes / 1e6, 'MB', { what: 'when it had begun', value: idleBytes / 1e6 });
};
