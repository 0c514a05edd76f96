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
import type { BudgetInput } from '../actors/budget/desk.ts';
import type { ReviewerInput } from '../actors/reviewer/machine.ts';
import type { WorkerInput } from '../actors/worker/machine.ts';
import { charts } from './charts.ts';
import { hostedAgents, type HostedAgent, type Team, type TeamAgent, type Topology } from './team.ts';

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
    limits: agent.limits,
  });

  return (at) => {
    const { run: of, role, agent: name } = parseAddress(at);
    if (of !== run) return undefined;
    const agent = name === undefined || !Object.hasOwn(team.agents, name) ? undefined : team.agents[name];
    switch (role) {
      case 'supervisor':
        return { chart: charts.supervisor, input: supervisorInput(run, team, profile), account };
      case 'worker':
        return agent?.kind === 'worker' ? { chart: charts.worker, input: { profile: profile(agent) } satisfies WorkerInput, account } : undefined;
      case 'reviewer':
        if (agent?.kind !== 'reviewer') return undefined;
        return {
          chart: charts.reviewer,
          input: { profile: profile(agent), approver, askBelow: agent.askBelow, askMs: team.limits.askMs } satisfies ReviewerInput,
          account,
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

/** Near the end is where no more is left than `cheaperFrom` leaves of what the agent may spend. */
const cheaperFor = ({ budget }: Team, { budget: own }: HostedAgent, model: string | undefined): Pick<AgentProfile, 'cheaper'> => {
  if (model === undefined) return {};
  const limit = own?.sliceNanos ?? own?.limits.find(({ measure }) => measure === 'money')?.amount ?? budget.limitNanos;
  return { cheaper: { model, fromLeftNanos: ((BigInt(limit) * BigInt(100 - (budget.cheaperFrom ?? 100))) / 100n).toString() } };
};

const supervisorInput = (run: RunId, team: Team, profile: (agent: HostedAgent) => AgentProfile): SupervisorInput => {
  const { topology, limits } = team;
  const lead = team.agents[topology.supervisor];
  if (lead?.kind !== 'supervisor') throw new TroupeError('AGENT_UNKNOWN', `team ${team.name} has no agent "${topology.supervisor}" to supervise it`);
  return {
    run,
    profile: profile(lead),
    agents: workersOf(topology).map((name) => ({ name, description: describe(team.agents[name]!) })),
    reviewer: topology.reviewer,
    plan: topology.kind === 'workflow' ? topology.steps : undefined,
    maxSteps: topology.kind === 'workflow' ? topology.steps.length : topology.maxSteps,
    concurrency: topology.concurrency,
    reviewRounds: topology.reviewRounds,
    onRejected: topology.onRejected,
    deadlineMs: limits.deadlineMs,
    askMs: limits.askMs,
    account: accountOf(run, team),
    approver: approverOf(run),
    answersPartly: team.budget.onExhausted === 'answer',
  };
};

/** The id of the run's account in its tree. */
export const runAccount = (run: RunId, { budget }: Pick<Team, 'budget'>): string => (budget.account === undefined ? run : `${budget.account}/${run}`);

/** The run's account, and below it one for each agent that has something of its own. */
export const accountsOf = (run: RunId, team: Pick<Team, 'budget' | 'agents' | 'topology'>): AccountSpec[] => {
  const { budget, topology } = team;
  const id = runAccount(run, team);
  return [
    {
      id,
      ...(budget.account !== undefined && { parent: budget.account }),
      limits: [{ measure: 'money', amount: budget.limitNanos, window: 'total' }, ...budget.limits],
    },
    ...hostedAgents(team).flatMap(({ name, budget: own }): AccountSpec[] =>
      own
        ? [
            {
              id: `${id}/${name === topology.supervisor ? 'supervisor' : name}`,
              parent: id,
              limits: own.limits,
              ...(own.sliceNanos !== undefined && { sliceNanos: own.sliceNanos }),
            },
          ]
        : [],
    ),
  ];
};

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

const workersOf = (topology: Topology): readonly string[] =>
  topology.kind === 'workflow' ? [...new Set(topology.steps.map(({ agent }) => agent))] : topology.workers;

/** As the supervisor's model is told of an agent. */
const describe = (agent: TeamAgent): string =>
  [agent.role, agent.goal, ...(agent.kind !== 'external' && agent.tools.length > 0 ? [`tools: ${agent.tools.join(', ')}`] : [])].filter(Boolean).join('; ');
