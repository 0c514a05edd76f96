/**
 * Whom Troupe plays, of the agents of a team file. An external agent is played by a process of its own, and a team by its
 * members: neither has a model and tools here, and an external one has no money either. Pure.
 */
import { isExternal, type PersonFile, type TeamFile } from './schema.ts';

/** The file with those that have money here: an external agent has none. */
export const withoutExternals = (file: TeamFile): TeamFile => ({
  ...file,
  agents: Object.fromEntries(Object.entries(file.agents).filter(([, agent]) => !isExternal(agent))),
});

/** A file as far as Troupe plays its agents. */
export type Hosted = Omit<TeamFile, 'agents'> & { readonly agents: Readonly<Record<string, PersonFile>> };

/** The file with the agents that Troupe plays: neither an external one nor a team has a model and tools here. */
export const hostedIn = (file: TeamFile): Hosted => ({
  ...file,
  agents: Object.fromEntries(Object.entries(file.agents).filter((entry): entry is [string, PersonFile] => entry[1].kind !== 'team' && !isExternal(entry[1]))),
});

export const toolsOf = (agent: PersonFile): readonly string[] => (agent.kind === 'supervisor' ? [] : agent.tools);
