/** `troupe agent`: plays agents of a team in every run of it, beside any number of processes that play the same or the others. */
import { TroupeError } from '../protocols/failure.ts';
import { BUDGET_PART } from '../topology/service.ts';
import { externalAgents, hostedAgents, type Team } from '../topology/team.ts';
import { serve, type ServeOptions } from './serve.ts';
import { teamToPlay } from './team-of.ts';

export type AgentOptions = ServeOptions & { readonly agent?: readonly string[]; readonly concurrency: number; readonly budgetServer: boolean };

export const agent = async (file: string, options: AgentOptions): Promise<number> => {
  const team = await teamToPlay(file, options);
  const agents = options.agent ?? hostedAgents(team).map(({ name }) => name);
  checkAgents(team, agents);
  return serve(team, [...new Set(agents), ...(options.budgetServer ? [BUDGET_PART] : [])], options.concurrency, options);
};

/** Error: USAGE. */
export const checkAgents = (team: Team, agents: readonly string[]): void => {
  const hosted = hostedAgents(team).map(({ name }) => name);
  const unknown = agents.find((name) => !hosted.includes(name));
  if (unknown === undefined) return;
  const why = externalAgents(team).includes(unknown) ? 'is external: a program of its own plays it, and not troupe' : 'is not one of its agents';
  throw new TroupeError('USAGE', `team ${team.name}: "${unknown}" ${why}; there are ${hosted.join(', ')}`);
};
