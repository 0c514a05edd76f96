/** Agents as processes of their own on NATS: how many runs, how soon a task begins, what a process costs. */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { openNatsBus } from '../src/bus/nats/bus.ts';
import type { Bus } from '../src/bus/port.ts';
import { NODE_OPTION } from '../src/cli/node-options.ts';
import type { RunId } from '../src/protocols/ids.ts';
import { BUDGET_PART } from '../src/topology/service.ts';
import { awaitEnd, submitRun } from '../src/topology/submit.ts';
import { startNatsServer } from '../test/support/nats-server.ts';
import { heading, tell } from './measure.ts';
import { benchTeam } from './team.ts';

const ALL = [...Object.keys(benchTeam.agents), BUDGET_PART];
const MODELS = { lead: 'instant/model', worker: 'instant/model' };
const RUNS = 200;
const OPEN_RUNS = 1_000;

type Agent = { readonly child: ChildProcess; rss(): number };

const startAgent = async (url: string, { held = false, plays = ALL }: { held?: boolean; plays?: readonly string[] } = {}): Promise<Agent> => {
  const child = spawn(process.execPath, [NODE_OPTION, 'bench/agent-process.js', url, JSON.stringify(benchTeam), '2000', ...plays], {
    env: { ...process.env, ...(held && { HELD: '1' }) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise((resolve, reject) => {
    child.stdout.once('data', resolve);
    child.once('exit', (code) => reject(new Error(`an agent process ended with ${code}`)));
  });
  return { child, rss: () => Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1] ?? 0) / 1_024 };
};

const stop = ({ child }: Agent): Promise<void> =>
  new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGTERM');
  });

const submit = async (bus: Bus): Promise<{ readonly run: RunId; readonly end: Promise<unknown> }> => {
  const { run } = await submitRun(bus, benchTeam, () => MODELS, Date.now());
  return { run, end: awaitEnd(bus, run, Date.now()).result };
};

/** From the entry that assigns a task to the first thing that its worker says, by the clock of the bus. */
const startsOf = async (bus: Bus, runs: readonly RunId[]): Promise<number[]> => {
  const taken: number[] = [];
  for (const run of runs) {
    let assigned: number | undefined;
    for await (const { log, at, envelope } of bus.read(`${run}.>`)) {
      if (envelope.type === 'task.assign') assigned = at;
      if (assigned !== undefined && envelope.type === 'budget.reserve' && envelope.from.includes('.worker.') && log.endsWith('.budget')) {
        taken.push(at - assigned);
        break;
      }
    }
  }
  return taken.toSorted((a, b) => a - b);
};

const percentile = (sorted: readonly number[], share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;

export const measureProcesses = async (): Promise<void> => {
  heading('agents as processes of their own, NATS, one server on this machine');
  let one = 0;
  for (const count of [1, 2, 4]) {
    const server = await startNatsServer();
    const bus = await openNatsBus({ servers: server.url });
    const agents = await Promise.all(Array.from({ length: count }, () => startAgent(server.url)));
    await Promise.all(Array.from({ length: 20 }, async () => (await submit(bus)).end));
    const before = await bus.head();
    const began = performance.now();
    const submitted = await Promise.all(Array.from({ length: RUNS }, () => submit(bus)));
    await Promise.all(submitted.map(({ end }) => end));
    const seconds = (performance.now() - began) / 1_000;
    let entries = 0;
    for await (const _ of bus.read('>', before)) entries++;
    one ||= RUNS / seconds;
    tell(`${RUNS} runs at once, ${count} agent process${count > 1 ? 'es' : ''}`, RUNS / seconds, 'runs/s', { what: 'one process', value: one });
    console.log(`${''.padEnd(52)} ${Math.round(entries / seconds)} messages/s`);
    if (count === 2) {
      const alone: RunId[] = [];
      for (let i = 0; i < 100; i++) {
        const { run, end } = await submit(bus);
        await end;
        alone.push(run);
      }
      const starts = await startsOf(bus, alone);
      console.log(`${'from an assignment to its start, one run at a time'.padEnd(52)} p50 ${percentile(starts, 0.5)} ms, p99 ${percentile(starts, 0.99)} ms`);
    }
    await Promise.all(agents.map(stop));
    await bus.close();
    await server.dispose();
  }
  const server = await startNatsServer();
  const bus = await openNatsBus({ servers: server.url });
  const idle = await startAgent(server.url, { plays: ['worker'] });
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  console.log(`${'an idle agent process'.padEnd(52)} ${Math.round(idle.rss())} MB`);
  await stop(idle);
  const held = await startAgent(server.url, { held: true });
  let seen = 0;
  const { promise: all, resolve } = Promise.withResolvers<void>();
  bus.follow('>', 0, ({ envelope }) => {
    if (envelope.type === 'effect.claimed' && ++seen === OPEN_RUNS) resolve();
  });
  await Promise.all(Array.from({ length: OPEN_RUNS }, () => submit(bus)));
  await all;
  console.log(`${`a process with ${OPEN_RUNS} open runs, a call under way in each`.padEnd(52)} ${Math.round(held.rss())} MB`);
  held.child.kill('SIGKILL');
  await bus.close();
  await server.dispose();
};
