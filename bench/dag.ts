/** A wide and deep plan: what the supervisor, the journal and the money add to the time that its longest way takes by itself. */
import { setTimeout as timer } from 'node:timers/promises';
import type { Bus } from '../src/bus/port.ts';
import type { ModelAdapter } from '../src/capabilities/model/port.ts';
import { Troupe } from '../src/topology/start.ts';
import { withHash, type Team } from '../src/topology/team.ts';
import { tell, timed } from './measure.ts';
import { benchTeam, nothing, reply } from './team.ts';

const LEVELS = 100;
const WIDTH = 10;
const STEP_MS = 50;

const idOf = (level: number, place: number): string => `s${level}-${place}`;

/** Each step needs two of the level before it, so that no part of the plan stands alone. */
const steps = Array.from({ length: LEVELS * WIDTH }, (_, index) => {
  const [level, place] = [Math.floor(index / WIDTH), index % WIDTH];
  const needs = level === 0 ? [] : [idOf(level - 1, place), idOf(level - 1, (place + 1) % WIDTH)];
  return { id: idOf(level, place), agent: 'worker', task: 'Do nothing.', needs, onFailure: 'fail' as const };
});

const dagTeam = (of: Team): Team => {
  if (of.topology.kind !== 'workflow') throw new Error('the team of the bench has a workflow');
  return withHash({ ...of, topology: { ...of.topology, concurrency: WIDTH, steps } });
};

const slowModel: ModelAdapter = {
  provider: 'instant',
  inputTokenBound: () => 1_000,
  async call(request, grant) {
    grant.use(Date.now());
    await timer(STEP_MS);
    return reply(request, 0);
  },
};

/** The longest way of the plan with nothing around it, and the call for the answer. */
const longestWay = async (): Promise<void> => {
  for (let level = 0; level <= LEVELS; level++) await Promise.all(Array.from({ length: WIDTH }, () => timer(STEP_MS)));
};

export const measureDag = async (name: string, bus: Bus): Promise<void> => {
  const troupe = await Troupe.open({ bus, models: [slowModel], tools: [nothing] });
  const team = dagTeam(benchTeam);
  const one = async (): Promise<void> => {
    const { status, failure } = await (await troupe.start(team)).result;
    if (status !== 'completed') throw new Error(failure?.message);
  };
  await one();
  const before = process.cpuUsage();
  const ms = await timed(one, 1, 0);
  const { user, system } = process.cpuUsage(before);
  const bare = await timed(longestWay, 1, 0);
  await troupe.close();
  tell(`${LEVELS * WIDTH} steps of ${STEP_MS} ms, ${WIDTH} at a time, on ${name}`, ms, 'ms', { what: 'their longest way alone', value: bare });
  tell('  processor time of that', (user + system) / 1_000, 'ms', { what: 'all its time', value: ms });
};
