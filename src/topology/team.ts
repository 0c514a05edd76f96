/**
 * A team as a run has it: every name resolved, every default filled in, every text complete. Plain data that is stored with the
 * run, so that any process can go on with it where the file is not at hand or has changed since.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Turn } from '../capabilities/model/scripted/script.ts';
import { LimitSpec } from '../protocols/account.ts';
import { AgentProfile } from '../protocols/agent.ts';
import { Name } from '../protocols/ids.ts';
import { ChatMessage } from '../protocols/model.ts';
import { Nanos, Rates } from '../protocols/money.ts';
import { TeamHandoffs } from './handoffs.ts';
import { TeamStep } from './step.ts';
import { PeerRules } from '../protocols/peer.ts';

const AgentBudget = z.object({ sliceNanos: Nanos.optional(), limits: z.array(LimitSpec) });

const Profile = AgentProfile.omit({ model: true, cheaper: true, history: true, handoffs: true }).extend({
  budget: AgentBudget.optional(),
  /** `provider/name`; the first whose provider is ready is used. */
  models: z.array(z.string()).min(1),
  /** The same for the calls near the end of the money. */
  cheaperModels: z.array(z.string()).min(1).optional(),
});

const carryingOut = {
  supervisor: Name,
  reviewers: z.array(Name),
  /** How many of the reviewers must accept. */
  merge: z.enum(['all', 'majority', 'any']),
  concurrency: z.number().int().positive(),
  reviewRounds: z.number().int().nonnegative(),
  onRejected: z.enum(['accept_with_note', 'fail', 'ask', 'take_over', 'hand_up']),
};

/** Of a team, and of a team inside it: a supervisor and a plan. */
export const Supervised = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('centralised'),
    ...carryingOut,
    workers: z.array(Name),
    maxSteps: z.number().int().positive(),
    replans: z.number().int().nonnegative().optional(),
  }),
  z.object({ kind: z.literal('workflow'), ...carryingOut, steps: z.array(TeamStep) }),
  z.object({
    kind: z.literal('router'),
    ...carryingOut,
    routes: z.array(z.object({ agent: Name, when: z.string() })),
    confidenceFrom: z.number(),
    onUnknown: z.enum(['fallback', 'fail', 'ask']),
    fallback: Name.optional(),
  }),
]);
export type Supervised = z.infer<typeof Supervised>;

/** Agents that talk with each other directly. */
const Peers = z.object({ kind: z.literal('peers'), peers: z.array(Name).min(2), rules: PeerRules, patienceMs: z.number().int().positive() });

export const Topology = z.discriminatedUnion('kind', [...Supervised.options, Peers]);
export type Topology = z.infer<typeof Topology>;

export const TeamAgent = z.discriminatedUnion('kind', [
  Profile.extend({ kind: z.literal('supervisor') }),
  Profile.extend({ kind: z.literal('worker'), handoffs: TeamHandoffs.optional() }),
  Profile.extend({
    kind: z.literal('reviewer'),
    /** Confidence below which a person decides; 0: never. */
    askBelow: z.number(),
  }),
  /** Played by a process that is not Troupe: it has no model, no tools and no money here. */
  Profile.pick({ name: true, role: true, goal: true, backstory: true }).extend({
    kind: z.literal('external'),
    as: z.enum(['worker', 'reviewer']),
    handoffs: TeamHandoffs.optional(),
    /** For its process to obey. */
    limits: z.object({ timeoutMs: z.number().int().positive() }),
  }),
  /** Nobody: a supervisor and workers of its own stand for it. */
  z.object({ kind: z.literal('team'), name: Name, role: z.string(), topology: Supervised, budget: AgentBudget.optional() }),
]);
export type TeamAgent = z.infer<typeof TeamAgent>;
/** An agent that Troupe plays. */
export type HostedAgent = Exclude<TeamAgent, { kind: 'external' | 'team' }>;

export const Team = z.object({
  name: Name,
  description: z.string(),
  task: z.string(),
  /** `path` is absolute, with links resolved; `label` is how people write it. */
  folders: z.array(z.object({ name: Name, path: z.string(), label: z.string() })),
  texts: z.record(z.string(), z.string()),
  /** Of the models scripted/<name>, by that name. */
  scripts: z.record(z.string(), z.custom<readonly (string | Turn)[]>(Array.isArray)).optional(),
  /** Of the file; they go before the price table's. */
  prices: z.record(z.string(), Rates),
  /** By model, or `provider/*`. */
  rateLimits: z.record(z.string(), z.object({ maxParallel: z.number().optional(), rpm: z.number().optional(), tpm: z.number().optional() })),
  agents: z.record(z.string(), TeamAgent),
  topology: Topology,
  budget: z.object({
    limitNanos: Nanos,
    /** A shared account above the run's. */
    account: Name.optional(),
    /** Beside the money. */
    limits: z.array(LimitSpec),
    onExhausted: z.enum(['pause', 'answer', 'fail']),
    keptBackNanos: Nanos,
    /** The share, in percent, from which cheaper models are called. */
    cheaperFrom: z.number().int().optional(),
    orphans: z.enum(['charge', 'release', 'ask']),
    thresholds: z.array(z.number()),
    grantMs: z.number().int().positive(),
    waitMs: z.number().int().positive(),
    /** What each actor may hold for calls while nobody answers for the budget. */
    openUpToNanos: Nanos.optional(),
  }),
  limits: z.object({
    deadlineMs: z.number().int().positive(),
    askMs: z.number().int().positive(),
    /** Teams inside each other, the whole team being the first. */
    depth: z.number().int().positive(),
  }),
  /** The conversation that the run belongs to, and what was said in it before. */
  session: z.object({ name: Name, history: z.array(ChatMessage) }).optional(),
  /** Of all the rest: two teams with one hash are the same team. */
  hash: z.string(),
});
export type Team = z.infer<typeof Team>;

export const hostedAgents = ({ agents }: Pick<Team, 'agents'>): HostedAgent[] =>
  Object.values(agents).filter((agent) => agent.kind !== 'external' && agent.kind !== 'team');
/** The agents that a process has to play, Troupe's or not. */
export const playedAgents = ({ agents }: Pick<Team, 'agents'>): string[] => Object.keys(agents).filter((name) => agents[name]!.kind !== 'team');
/** Whose process plays what belongs to the whole run: its supervisor, or the convener of its peers. */
export const leadOf = (topology: Topology): string => (topology.kind === 'peers' ? topology.peers[0]! : topology.supervisor);
/** Of the whole team, or of the team inside it that is called so; `undefined`: nobody supervises it. */
export const topologyOf = ({ agents, topology }: Pick<Team, 'agents' | 'topology'>, within: string | undefined): Supervised | undefined => {
  if (within === undefined) return topology.kind === 'peers' ? undefined : topology;
  const agent = Object.hasOwn(agents, within) ? agents[within] : undefined;
  return agent?.kind === 'team' ? agent.topology : undefined;
};
export const externalAgents = ({ agents }: Pick<Team, 'agents'>): string[] => Object.keys(agents).filter((name) => agents[name]!.kind === 'external');

/** Object keys in order, so that equal values have equal texts. */
const canonicalJson = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );

export const withHash = (team: Omit<Team, 'hash'>): Team => ({ ...team, hash: createHash('sha256').update(canonicalJson(team)).digest('hex') });
