/** A team of any kind and size, from the schema of the team file; where that allows fewer agents, as a run would have it. */
import { resolveTeam } from '../../src/topology/resolve.ts';
import { TeamFile, type TopologyFile } from '../../src/topology/schema.ts';
import type { Team } from '../../src/topology/team.ts';

/** `handing over`: a workflow whose workers do. `nested`: teams in a team, one of them with a team of its own. */
export const TEAM_KINDS = ['centralised', 'workflow', 'router', 'contract_net', 'debate', 'refine', 'gossip', 'handing over', 'nested'] as const;
export type TeamKind = (typeof TEAM_KINDS)[number];

type Agents = Readonly<Record<string, unknown>>;
type Written = { readonly agents: Agents; readonly topology: unknown };

/** As many as a protocol and a router are allowed in a file. */
const PEERS_MAX = 16;
const ROUTES_MAX = 64;
/** Of a team inside the team, its supervisor and its reviewer among them. */
const TEAM_SIZE = 9;

/** Some have money of their own, some ask a person, some are no program of ours. */
export const generatedTeam = (kind: TeamKind, agents: number): Team => {
  const file = TeamFile.parse({
    name: `generated-${agents}`,
    description: `A team of ${agents}.`,
    models: { default: ['openai/gpt-4.1-mini', 'extractive/classic'] },
    ...written(kind, agents),
    budget: { limit: 0.05, tokens: 100_000 },
  });
  return atFullSize(resolveTeam(file, { folders: [], texts: new Map() }, 'What is it about?'));
};

const written = (kind: TeamKind, count: number): Written => {
  switch (kind) {
    case 'centralised':
      return led(count, (workers) => ({ kind, workers, replan: { max: 3 } }));
    case 'workflow':
      return led(count, (workers) => ({ kind, steps: stepsOf(workers) }));
    case 'router':
      return led(count, (workers) => ({
        kind,
        routes: workers
          .slice(0, ROUTES_MAX)
          .map((agent, at) => ({ agent, when: 'questions about what this agent knows and nobody else does '.repeat(1 + (at % 3)) })),
        fallback: workers[1] ?? workers[0]!,
        ...(workers.length > 1 ? {} : { on_unknown: 'ask' }),
      }));
    case 'contract_net':
    case 'debate':
    case 'refine':
    case 'gossip': {
      const workers = named('peer', count);
      return {
        agents: everyWorker(workers),
        topology: { kind: 'peers', protocol: kind, peers: workers.slice(0, PEERS_MAX), on_tie: 'ask', vote: 'weighted', weights: { 'peer-1': 2.5 } },
      };
    }
    case 'handing over': {
      const team = led(count, (workers) => ({ kind: 'workflow', steps: stepsOf(workers) }));
      const workers = named('worker', count - 2);
      const passing = workers.slice(0, 6).map((name, at) => [name, { ...worker(at), handoffs: { to: nextTo(workers, at), pass: { last: 3 } } }] as const);
      return { ...team, agents: { ...team.agents, ...(workers.length > 1 && Object.fromEntries(passing)) } };
    }
    case 'nested':
      return nested('', count, true);
  }
};

const nextTo = (workers: readonly string[], at: number): string[] =>
  [...new Set([workers[(at + 1) % workers.length]!, workers[Math.max(0, at - 1)]!])].filter((name) => name !== workers[at]);

const named = (name: string, count: number): string[] => Array.from({ length: count }, (_, at) => `${name}-${at}`);

const worker = (at: number): Agents => ({
  kind: 'worker',
  role: 'a researcher who reads before writing',
  tools: ['list_files', 'search_files', 'read_file'].slice(at % 3),
  ...(at % 5 === 0 && { budget: { limit: 0.02, calls: 20 } }),
  ...(at % 7 === 6 && { external: true, tools: [], budget: undefined }),
});
const everyWorker = (names: readonly string[]): Agents => Object.fromEntries(names.map((name, at) => [name, worker(at)]));

/** One supervises, up to three review, the others work. */
const led = (count: number, topology: (workers: readonly string[]) => Agents): Written => {
  const reviewers = named('checker', count > 6 ? 3 : 1);
  const workers = named('worker', count - 1 - reviewers.length);
  return {
    agents: {
      lead: { kind: 'supervisor', role: 'the editor of a research desk' },
      ...Object.fromEntries(
        reviewers.map((name) => [name, { kind: 'reviewer', role: 'a fact checker', tools: ['check_quotes'], accept_from: 0.7, budget: { slice: 0.003 } }]),
      ),
      ...everyWorker(workers),
    },
    topology: { supervisor: 'lead', reviewers, merge: 'majority', on_rejected: 'ask', ...topology(workers) },
  };
};

const stepsOf = (workers: readonly string[]) =>
  workers.map((agent, at) => ({ id: `step-${at}`, agent, task: 'Look it up.', needs: at === 0 ? [] : [`step-${at - 1}`] }));

/** A supervisor over one worker, and over teams until so many agents have a place. */
const nested = (within: string, count: number, deeper: boolean): Written => {
  const lead = `${within}lead`;
  const teams = Math.ceil(Math.max(0, count - 2) / TEAM_SIZE);
  const all: Record<string, unknown> = { [lead]: { kind: 'supervisor', role: 'the head of what stands below' } };
  const members: string[] = [];
  let left = count - 1;
  for (let at = 0; at < teams; at++) {
    const name = `${within}team-${at}`;
    const size = Math.min(TEAM_SIZE, left);
    left -= size;
    const inner = deeper && at === 0 && size > 4 ? nested(`${name}-`, size, false) : crew(`${name}-`, size);
    Object.assign(all, inner.agents, {
      [name]: { kind: 'team', role: 'a part of the work that is a project of its own', topology: inner.topology, budget: { limit: 0.01 } },
    });
    members.push(name);
  }
  const workers = named(`${within}worker`, left);
  Object.assign(all, everyWorker(workers));
  return { agents: all, topology: { kind: 'centralised', supervisor: lead, workers: [...members, ...workers] } };
};

const crew = (within: string, size: number): Written => {
  const workers = named(`${within}worker`, Math.max(1, size - 2));
  const reviewer = `${within}checker`;
  return {
    agents: {
      [`${within}head`]: { kind: 'supervisor', role: 'the head of a crew' },
      ...(size > 2 && { [reviewer]: { kind: 'reviewer', role: 'a fact checker' } }),
      ...everyWorker(workers),
    },
    topology: {
      kind: 'centralised',
      supervisor: `${within}head`,
      workers,
      ...(size > 2 && { reviewer }),
      on_rejected: 'hand_up',
    } satisfies Partial<TopologyFile>,
  };
};

const atFullSize = (team: Team): Team => {
  const { topology } = team;
  const workers = Object.keys(team.agents).filter((name) => /^(?:peer|worker)-/.test(name));
  if (topology.kind === 'peers') return { ...team, topology: { ...topology, peers: workers } };
  if (topology.kind !== 'router') return team;
  const more = workers.slice(ROUTES_MAX).map((agent) => ({ agent, when: 'what is left' }));
  return { ...team, topology: { ...topology, routes: [...topology.routes, ...more] } };
};
