/** Runs that agent processes host, each its part: starting one, waiting for its end, and who there is to host it. */
import type { Bus } from '../bus/port.ts';
import { decode, versionOf, type MessageName, type PayloadOf } from '../protocols/catalogue.ts';
import type { Address, RunId } from '../protocols/ids.ts';
import { newRunId } from '../protocols/ids.ts';
import { livingHosts, type HostRecord } from '../runtime/presence.ts';
import { accountOf, accountsOf, cheaperOf, clientOf, supervisorOf, type Models } from './cast.ts';
import { chartVersions } from './charts.ts';
import { checkedTask } from './resolve.ts';
import type { RunRecord } from './run-record.ts';
import { resultOf, type RunResult } from './run-result.ts';
import { BUDGET_PART, openKey } from './service.ts';
import { hostedAgents, playedAgents, type Team } from './team.ts';

export type Submitted = {
  readonly run: RunId;
  readonly models: Models;
  /** Parts of the team that no process on the bus plays: the run waits for them. */
  readonly missing: readonly string[];
};

/**
 * Writes a run down and says its first message: whoever plays its parts takes it from there, now or later. `chooseModels` is
 * asked for the agents that nobody plays yet. Errors: TASK_INVALID, MODEL_NOT_READY, BUS_*.
 */
export const submitRun = async (bus: Bus, team: Team, chooseModels: (team: Team) => Models, now: number): Promise<Submitted> => {
  const goal = checkedTask(team.name, team.task);
  const hosts = await livingHosts(bus, now);
  const models = modelsFor(team, hosts, chooseModels);
  const run = newRunId(now, Math.random);
  const record: RunRecord = { team, models, startedAt: now, hosting: 'apart', charts: chartVersions };
  await Promise.all([bus.put(`run.${run}`, JSON.stringify(record), { expect: 0 }), bus.put(openKey(run), team.name, { expect: 0 })]);
  if (team.budget.account !== undefined) await say(bus, run, accountOf(run, team), 'open', 'budget.open', { accounts: accountsOf(run, team) }, now);
  await say(bus, run, supervisorOf(run), 'start', 'run.start', { goal }, now);
  return { run, models, missing: missingParts(team, hosts) };
};

export const missingParts = (team: Team, hosts: readonly HostRecord[]): readonly string[] => {
  const playing = hosts.filter((host) => host.serves?.team === team.name && host.serves.run === undefined && !host.draining);
  const played = new Set(playing.flatMap(({ serves }) => serves!.agents));
  return [...playedAgents(team), BUDGET_PART].filter((part) => !played.has(part));
};

const modelsFor = (team: Team, hosts: readonly HostRecord[], chooseModels: (team: Team) => Models): Models => {
  const called: Record<string, string> = {};
  for (const { serves } of hosts) {
    if (serves?.team !== team.name) continue;
    for (const [name, model] of Object.entries(serves.models)) if (mayCall(team, name, model)) called[name] ??= model;
  }
  const unplayed = Object.entries(team.agents).filter(([name]) => !Object.hasOwn(called, name));
  return unplayed.length === 0 ? called : { ...chooseModels({ ...team, agents: Object.fromEntries(unplayed) }), ...called };
};

/** Whether the team lets an agent call it: those that play the part may have been started with another file. */
const mayCall = (team: Team, name: string, model: string): boolean =>
  hostedAgents(team).some(
    (agent) => (agent.name === name && agent.models.includes(model)) || (cheaperOf(agent.name) === name && agent.cheaperModels?.includes(model)),
  );

const say = async <T extends MessageName>(bus: Bus, run: RunId, to: Address, id: string, type: T, data: PayloadOf<T>, time: number): Promise<void> => {
  await bus.append(to, { id: `${run}/${id}`, type, v: versionOf(type), from: clientOf(run), correlation: run, time, data });
};

/** Resolves with the end of a run, wherever it is hosted; one that has ended gives its result again. */
export const awaitEnd = (bus: Bus, run: RunId, startedAt: number): { readonly result: Promise<RunResult>; stop(): void } => {
  const { promise: result, resolve } = Promise.withResolvers<RunResult>();
  const following = bus.follow(clientOf(run), 0, ({ envelope, at }) => {
    const decoded = decode(envelope);
    const ended = decoded.ok && resultOf(run, { message: decoded.message, at }, startedAt);
    if (!ended) return;
    following.stop();
    resolve(ended);
  });
  return { result, stop: () => following.stop() };
};
