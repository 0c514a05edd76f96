/**
 * Who plays what: from a team to the charts that its addresses are hosted by. Pure: any process that has the team and the models
 * gives every address the same chart with the same input, which is what makes a replay the run itself.
 */
import type { AgentProfile } from '../protocols/agent.ts';
import { TroupeError } from '../protocols/failure.ts';
import { address, parseAddress, type Address, type RunId } from '../protocols/ids.ts';
import type { Definition } from '../runtime/fold.ts';
import type { SupervisorInput } from '../actors/supervisor/policy.ts';
import type { BudgetInput } from '../actors/budget/machine.ts';
import type { ReviewerInput } from '../actors/reviewer/machine.ts';
import type { WorkerInput } from '../actors/worker/machine.ts';
import { charts } from './charts.ts';
import type { Team, TeamAgent, Topology } from './team.ts';

/** The model of each agent, chosen once for a run. */
export type Models = Readonly<Record<string, string>>;

/** Grants that are still open when a run ends are waited for so long before they count as spent. */
const DRAIN_MS = 30_000;

export const supervisorOf = (run: RunId): Address => address(run, 'supervisor');
export const clientOf = (run: RunId): Address => address(run, 'client');
export const accountOf = (run: RunId): Address => address(run, 'budget');
export const approverOf = (run: RunId): Address => address(run, 'approver');

/** Who lives at an address of the run; `undefined`: nobody. */
export const castTeam = (run: RunId, team: Team, models: Models): ((at: Address) => Definition | undefined) => {
  const account = accountOf(run);
  const approver = approverOf(run);
  const profile = (agent: TeamAgent): AgentProfile => ({
    name: agent.name,
    role: agent.role,
    goal: agent.goal,
    backstory: agent.backstory,
    model: models[agent.name]!,
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
        return {
          chart: charts.budget,
          input: { name: run, limitNanos: team.budget.limitNanos, grantMs: team.budget.grantMs, drainMs: DRAIN_MS } satisfies BudgetInput,
        };
      case 'approver':
        return { chart: charts.approver, input: undefined };
      default:
        return undefined;
    }
  };
};

const supervisorInput = (run: RunId, team: Team, profile: (agent: TeamAgent) => AgentProfile): SupervisorInput => {
  const { topology, limits } = team;
  const lead = team.agents[topology.supervisor];
  if (!lead) throw new TroupeError('AGENT_UNKNOWN', `team ${team.name} has no agent "${topology.supervisor}" to supervise it`);
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
    account: accountOf(run),
    approver: approverOf(run),
  };
};

const workersOf = (topology: Topology): readonly string[] =>
  topology.kind === 'workflow' ? [...new Set(topology.steps.map(({ agent }) => agent))] : topology.workers;

/** As the supervisor's model is told of an agent. */
const describe = ({ role, goal, tools }: TeamAgent): string =>
  [role, goal, ...(tools.length > 0 ? [`tools: ${tools.join(', ')}`] : [])].filter(Boolean).join('; ');
