/**
 * Who plays what: from a team to the charts that its addresses are hosted by. Pure: any process that has the team and the models
 * gives every address the same chart with the same input, which is what makes a replay the run itself.
 */
import type { AccountSpec } from '../protocols/account.ts';
import type { AgentProfile } from '../protocols/agent.ts';
import { TroupeError } from '../protocols/failure.ts';
import { address, parseAddress, type Address, type RunId } from '../protocols/ids.ts';
import type { Definition } from '../runtime/fold.ts';
import type { SupervisorInput } from '../actors/supervisor/policy.ts';
import type { ConvenerInput } from '../actors/convener/machine.ts';
import type { PeerInput } from '../actors/peer/machine.ts';
import type { BudgetInput } from '../actors/budget/desk.ts';
import type { ReviewerInput } from '../actors/reviewer/machine.ts';
import type { WorkerInput } from '../actors/worker/machine.ts';
import { charts } from './charts.ts';
import { reachedFrom } from './handoffs.ts';
import { topologyOf, type HostedAgent, type Supervised, type Team, type TeamAgent, type Topology } from './team.ts';

/** The model of each agent by its name, and its cheaper one by `cheaperOf` that: chosen once for a run. */
export type Models = Readonly<Record<string, string>>;

/** No agent is called so. */
export const cheaperOf = (agent: string): string => `${agent}/cheaper`;

/** Grants that are still open when a run ends are waited for so long before they count as spent. */
const DRAIN_MS = 30_000;

export const supervisorOf = (run: RunId): Address => address(run, 'supervisor');
export const clientOf = (run: RunId): Address => address(run, 'client');
/** Where a shared account lives: it is hosted by every process that hosts a run of it. */
const SHARED = 'acct-';
export const sharedUnit = (account: string): string => `${SHARED}${account}`;
export const sharedAccount = (account: string): Address => address(sharedUnit(account) as RunId, 'budget');

/** Who grants the run's money: the run's own account, or the shared one above it. */
export const accountOf = (run: RunId, { budget }: Pick<Team, 'budget'>): Address =>
  budget.account === undefined ? address(run, 'budget') : sharedAccount(budget.account);
export const approverOf = (run: RunId): Address => address(run, 'approver');

/** The share of an agent's time that a call waits for an answer before it is paid from the advance: an account that is there has answered. */
const SILENCE = 1 / 2;

/** What an actor with such limits may hold for calls while nobody answers. */
const advanceFor = ({ budget, limits: { deadlineMs } }: Team, { limits }: Pick<AgentProfile, 'limits'>): Pick<Definition, 'advance'> =>
  budget.openUpToNanos === undefined
    ? {}
    : { advance: { amountNanos: budget.openUpToNanos, lifeMs: deadlineMs, silenceMs: Math.ceil(limits.timeoutMs * SILENCE) } };

/** Who lives at an address of the run; `undefined`: nobody. */
export const castTeam = (run: RunId, team: Team, models: Models): ((at: Address) => Definition | undefined) => {
  const account = accountOf(run, team);
  const approver = approverOf(run);
  const profile = (agent: HostedAgent): AgentProfile => ({
    name: agent.name,
    role: agent.role,
    goal: agent.goal,
    backstory: agent.backstory,
    model: models[agent.name]!,
    ...cheaperFor(team, agent, models[cheaperOf(agent.name)]),
    tools: agent.tools,
    ...(team.session && team.session.history.length > 0 && { history: team.session.history }),
    ...(agent.output && { output: agent.output }),
    ...(agent.strategy && { strategy: agent.strategy }),
    ...handingOver(team, agent),
    limits: agent.limits,
  });

  return (at) => {
    const { run: of, role, agent: name, key = '' } = parseAddress(at);
    if (of !== run) return undefined;
    const agent = name === undefined || !Object.hasOwn(team.agents, name) ? undefined : team.agents[name];
    switch (role) {
      case 'supervisor':
        if (name === undefined && team.topology.kind === 'peers') return convened(run, team, team.topology);
        return supervised(run, team, profile, name === undefined ? undefined : { name, key });
      case 'peer':
        return agent?.kind === 'worker' && team.topology.kind === 'peers' ? peerIn(run, team, team.topology, profile(agent)) : undefined;
      case 'worker':
        // A supervisor that does a step itself is a worker by its own name.
        if (agent?.kind !== 'worker' && agent?.kind !== 'supervisor') return undefined;
        return { chart: charts.worker, input: { profile: profile(agent) } satisfies WorkerInput, account, ...advanceFor(team, agent) };
      case 'reviewer':
        if (agent?.kind !== 'reviewer') return undefined;
        return {
          chart: charts.reviewer,
          input: {
            profile: profile(agent),
            approver,
            askBelow: agent.askBelow,
            askMs: team.limits.askMs,
            approval: `review-${key}-${agent.name}`,
          } satisfies ReviewerInput,
          account,
          ...advanceFor(team, agent),
        };
      case 'budget':
        return team.budget.account !== undefined ? undefined : { chart: charts.budget, input: budgetInput(run, team) };
      case 'approver':
        return { chart: charts.approver, input: undefined };
      default:
        return undefined;
    }
  };
};

/** Whose model is called from an address. */
export const callerAt = (team: Team, at: Address): string | undefined => {
  const { role, agent } = parseAddress(at);
  return role === 'supervisor' ? topologyOf(team, agent)?.supervisor : agent;
};

/** Whom an agent may hand its work over to, and how. */
const handoffsOf = (agent: TeamAgent | undefined) => (agent?.kind === 'worker' || agent?.kind === 'external' ? agent.handoffs : undefined);

/** The same, as its model is told of them. */
const handingOver = ({ agents }: Team, agent: HostedAgent): Pick<AgentProfile, 'handoffs'> => {
  const handoffs = handoffsOf(agent);
  if (!handoffs) return {};
  const { to, pass } = handoffs;
  return { handoffs: { to: to.map((name) => ({ agent: name, description: describe(agents[name]!) })), pass } };
};

/** What a supervisor holds the handing over by. */
const handoffsIn = ({ agents }: Team): SupervisorInput['handoffs'] =>
  Object.fromEntries(
    Object.values(agents).flatMap((agent) => {
      const handoffs = handoffsOf(agent);
      return handoffs ? [[agent.name, { to: handoffs.to, max: handoffs.max }]] : [];
    }),
  );

/**
 * Near the end is where no more is left than `cheaperFrom` leaves of what the agent may spend: of its own money, of the least
 * that a team has which it works for, or of the run's.
 */
const cheaperFor = (team: Team, agent: HostedAgent, model: string | undefined): Pick<AgentProfile, 'cheaper'> => {
  if (model === undefined) return {};
  const { budget } = team;
  const limits = moneyOf(agent.budget) ?? leastOf(teamsOf(team, agent.name).flatMap((above) => moneyOf(above.budget) ?? [])) ?? BigInt(budget.limitNanos);
  return { cheaper: { model, fromLeftNanos: ((limits * BigInt(100 - (budget.cheaperFrom ?? 100))) / 100n).toString() } };
};

const moneyOf = (own: HostedAgent['budget']): bigint | undefined => {
  const amount = own?.sliceNanos ?? own?.limits.find(({ measure }) => measure === 'money')?.amount;
  return amount === undefined ? undefined : BigInt(amount);
};

const leastOf = (amounts: readonly bigint[]): bigint | undefined =>
  amounts.reduce<bigint | undefined>((least, one) => (least === undefined || one < least ? one : least), undefined);

type TeamWithin = Extract<TeamAgent, { kind: 'team' }>;

/** The teams inside the run's in which the agent has a part. */
const teamsOf = (team: Team, name: string): TeamWithin[] =>
  Object.values(team.agents).filter((agent): agent is TeamWithin => agent.kind === 'team' && partsIn(team, agent.topology).includes(name));

/** Everybody whom a topology names, and whom its work may be handed over to, once each. */
const partsIn = ({ agents }: Pick<Team, 'agents'>, topology: Topology): readonly string[] => {
  if (topology.kind === 'peers') return topology.peers;
  return reachedFrom([topology.supervisor, ...topology.reviewers, ...membersOf(topology)], (name) =>
    Object.hasOwn(agents, name) ? (handoffsOf(agents[name])?.to ?? []) : [],
  );
};

type ProfileOf = (agent: HostedAgent) => AgentProfile;

type Peers = Extract<Topology, { kind: 'peers' }>;

/** Whoever opens and closes a run of peers. */
const convened = (run: RunId, team: Team, { peers, patienceMs }: Peers): Definition => {
  const account = accountOf(run, team);
  const { deadlineMs, askMs } = team.limits;
  const input: ConvenerInput = { run, peers, account, approver: approverOf(run), deadlineMs, askMs, patienceMs };
  return { chart: charts.convener, input };
};

const peerIn = (run: RunId, team: Team, { peers, rules, patienceMs }: Peers, profile: AgentProfile): Definition => {
  const input: PeerInput = { run, profile, peers, rules, patienceMs, convener: supervisorOf(run) };
  return { chart: charts.peer, input, account: accountOf(run, team), ...advanceFor(team, profile) };
};

/** The supervisor of the run, or of the team `within` it. */
const supervised = (run: RunId, team: Team, profile: ProfileOf, within: SupervisorInput['team']): Definition | undefined => {
  const { limits, agents } = team;
  const topology = topologyOf(team, within?.name);
  if (!topology) return undefined;
  const lead = agents[topology.supervisor];
  if (lead?.kind !== 'supervisor') throw new TroupeError('AGENT_UNKNOWN', `team ${team.name} has no agent "${topology.supervisor}" to supervise it`);
  const members = membersOf(topology);
  const account = accountOf(run, team);
  const input: SupervisorInput = {
    run,
    team: within,
    profile: profile(lead),
    agents: members.map((name) => ({ name, description: describe(agents[name]!) })),
    teams: members.filter((name) => agents[name]!.kind === 'team'),
    maxDepth: limits.depth,
    reviewers: topology.reviewers,
    merge: topology.merge,
    handoffs: handoffsIn(team),
    ...whoPlans(topology),
    inputs: team.texts,
    concurrency: topology.concurrency,
    reviewRounds: topology.reviewRounds,
    onRejected: topology.onRejected,
    deadlineMs: limits.deadlineMs,
    askMs: limits.askMs,
    account,
    approver: approverOf(run),
    // What is kept back is for the answer of the run.
    answersPartly: within === undefined && team.budget.onExhausted === 'answer',
  };
  return { chart: charts.supervisor, input, account, ...advanceFor(team, lead) };
};

/** Where the plan comes from: the file, the supervisor's model, or a router's choice. */
const whoPlans = (topology: Supervised): Pick<SupervisorInput, 'plan' | 'maxSteps' | 'replans' | 'routing'> => {
  switch (topology.kind) {
    case 'centralised':
      return { plan: undefined, maxSteps: topology.maxSteps, replans: topology.replans };
    case 'workflow':
      return { plan: topology.steps, maxSteps: topology.steps.length };
    case 'router': {
      const { routes, confidenceFrom, fallback, onUnknown } = topology;
      return { plan: undefined, maxSteps: 1, routing: { routes, confidenceFrom, fallback, onUnknown } };
    }
  }
};

/** The id of the run's account in its tree. */
export const runAccount = (run: RunId, { budget }: Pick<Team, 'budget'>): string => (budget.account === undefined ? run : `${budget.account}/${run}`);

/** The run's account, and below it one for each team inside it, and for each agent that has something of its own. */
export const accountsOf = (run: RunId, team: Pick<Team, 'budget' | 'agents' | 'topology'>): AccountSpec[] => {
  const { budget, topology } = team;
  const id = runAccount(run, team);
  return [
    {
      id,
      ...(budget.account !== undefined && { parent: budget.account }),
      limits: [{ measure: 'money', amount: budget.limitNanos, window: 'total' }, ...budget.limits],
    },
    ...accountsBelow(id, team, topology, []),
  ];
};

/** Of those whom the topology names. An agent with money of its own has it in each team that it works in. */
const accountsBelow = (parent: string, team: Pick<Team, 'agents'>, topology: Topology, above: readonly string[]): AccountSpec[] =>
  partsIn(team, topology).flatMap((name): AccountSpec[] => {
    const agent = Object.hasOwn(team.agents, name) ? team.agents[name]! : undefined;
    if (!agent || agent.kind === 'external' || above.includes(name)) return [];
    const { budget: own } = agent;
    if (agent.kind !== 'team' && !own) return [];
    const id = `${parent}/${topology.kind !== 'peers' && name === topology.supervisor ? 'supervisor' : name}`;
    const account = { id, parent, limits: own?.limits ?? [], ...(own?.sliceNanos !== undefined && { sliceNanos: own.sliceNanos }) };
    return agent.kind === 'team' ? [account, ...accountsBelow(id, team, agent.topology, [...above, name])] : [account];
  });

const budgetInput = (run: RunId, team: Team): BudgetInput => {
  const { grantMs, waitMs, orphans, onExhausted, keptBackNanos, thresholds } = team.budget;
  return {
    accounts: accountsOf(run, team),
    grantMs,
    waitMs,
    drainMs: DRAIN_MS,
    orphans,
    onExhausted: onExhausted === 'pause' ? 'pause' : 'fail',
    keptBackNanos: onExhausted === 'answer' ? keptBackNanos : '0',
    thresholds,
  };
};

/** Whom steps are given to. */
const membersOf = (topology: Supervised): readonly string[] => {
  switch (topology.kind) {
    case 'centralised':
      return topology.workers;
    case 'workflow':
      return [...new Set(topology.steps.flatMap(({ agent, fallback }) => [agent, ...(fallback === undefined ? [] : [fallback])]))];
    case 'router':
      return [...new Set([...topology.routes.map(({ agent }) => agent), ...(topology.fallback === undefined ? [] : [topology.fallback])])];
  }
};

/** As the supervisor's model is told of an agent. */
const describe = (agent: TeamAgent): string => {
  if (agent.kind === 'team') return agent.role;
  return [agent.role, agent.goal, ...(agent.kind !== 'external' && agent.tools.length > 0 ? [`tools: ${agent.tools.join(', ')}`] : [])]
    .filter(Boolean)
    .join('; ');
};
