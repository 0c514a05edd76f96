/**
 * Who names whom in a team file: every topology in it, every place where one of them or another agent names an agent, and the
 * kinds that may stand there. Nothing is judged here; the checks read it. Pure.
 */
import { pathToAgents, resolveHandoffs } from './handoffs.ts';
import { lookUp } from './look-up.ts';
import type { Path } from './problem.ts';
import type { AgentFile, SupervisedFile, TeamFile, TopologyFile } from './schema.ts';

/** A topology of the file: its own, or that of a team inside it. */
export type Place = { readonly path: Path; readonly topology: TopologyFile; readonly team: string | undefined };

export const places = ({ topology, agents }: TeamFile): Place[] => [
  { path: ['topology'], topology, team: undefined },
  ...Object.entries(agents).flatMap(([name, agent]): Place[] =>
    agent.kind === 'team' ? [{ path: ['agents', name, 'topology'], topology: agent.topology, team: name }] : [],
  ),
];

export type Use = { readonly path: Path; readonly name: string; readonly kinds: readonly AgentFile['kind'][] };

/** Each place where a topology or another agent names an agent, and the kinds it may be of. */
export const uses = (file: TeamFile): Use[] => [...places(file).flatMap(usesIn), ...handoffUses(file)];

export const usesIn = ({ path, topology }: Pick<Place, 'path' | 'topology'>): Use[] => [
  ...(topology.kind === 'peers' ? [] : leadUses(path, topology)),
  ...memberUses(path, topology),
];

/** Whom an agent may hand its work over to. */
export const handoffsOf = ({ agents }: Pick<TeamFile, 'agents'>, name: string): readonly string[] => {
  const agent = lookUp(agents, name);
  return agent?.kind === 'worker' && agent.handoffs ? resolveHandoffs(agent.handoffs).to : [];
};

export const pathOfHandoffs = ({ agents }: Pick<TeamFile, 'agents'>, name: string): Path => {
  const agent = agents[name];
  return ['agents', name, 'handoffs', ...(agent?.kind === 'worker' && agent.handoffs ? pathToAgents(agent.handoffs) : [])];
};

const handoffUses = (file: TeamFile): Use[] =>
  Object.keys(file.agents).flatMap((name) =>
    handoffsOf(file, name).map((to, index) => ({ path: [...pathOfHandoffs(file, name), index], name: to, kinds: ['worker'] as const })),
  );

const leadUses = (path: Path, topology: SupervisedFile): Use[] => [
  { path: [...path, 'supervisor'], name: topology.supervisor, kinds: ['supervisor'] },
  ...(topology.reviewer === undefined ? [] : [{ path: [...path, 'reviewer'], name: topology.reviewer, kinds: ['reviewer'] as const }]),
  ...(topology.reviewers ?? []).map((name, index) => ({ path: [...path, 'reviewers', index], name, kinds: ['reviewer'] as const })),
];

export const memberUses = (path: Path, topology: TopologyFile): Use[] => {
  const kinds = ['worker', 'team'] as const;
  switch (topology.kind) {
    case 'centralised':
      return topology.workers.map((name, index) => ({ path: [...path, 'workers', index], name, kinds }));
    case 'workflow':
      return topology.steps.flatMap(({ agent, fallback }, index) => [
        { path: [...path, 'steps', index, 'agent'], name: agent, kinds },
        ...(fallback === undefined ? [] : [{ path: [...path, 'steps', index, 'fallback'], name: fallback, kinds }]),
      ]);
    case 'router':
      return [
        ...topology.routes.map(({ agent }, index) => ({ path: [...path, 'routes', index, 'agent'], name: agent, kinds })),
        ...(topology.fallback === undefined ? [] : [{ path: [...path, 'fallback'], name: topology.fallback, kinds }]),
      ];
    case 'peers':
      return topology.peers.map((name, index) => ({ path: [...path, 'peers', index], name, kinds: ['worker'] }));
  }
};
