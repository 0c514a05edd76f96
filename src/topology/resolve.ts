/** From a checked file and its inputs to the team that runs. Pure. */
import type { LimitSpec, Measure } from '../protocols/account.ts';
import { TroupeError } from '../protocols/failure.ts';
import { GOAL_CHARS_MAX } from '../protocols/lifecycle.ts';
import type { Rates } from '../protocols/money.ts';
import type { PeerRules } from '../protocols/peer.ts';
import type { Inputs } from './input.ts';
import { resolveHandoffs } from './handoffs.ts';
import { fill } from './placeholder.ts';
import { dollars, isExternal, type AgentFile, type PeersFile, type PersonFile, type SupervisedFile, type TeamFile } from './schema.ts';
import { resolveStep } from './step.ts';
import { withHash, type HostedAgent, type Supervised, type Team, type TeamAgent, type Topology } from './team.ts';

type Fill = (text: string) => string;

/** The team for one run. `task` is taken as it is; without it the file's counts. Throws TASK_MISSING when neither is there, TASK_INVALID. */
export const resolveTeam = (file: TeamFile, { folders, texts }: Inputs, task?: string): Team => {
  const values = new Map([...folders.map(({ name, label }) => [name, label] as const), ...texts]);
  const filled: Fill = (text) => fill(text, values);
  if (task === undefined && file.task === undefined)
    throw new TroupeError('TASK_MISSING', `team ${file.name} has no task: give one on the command line, or write \`task:\` into its file`);
  return withHash({
    name: file.name,
    description: file.description,
    task: checkedTask(file.name, task ?? filled(file.task!)),
    folders: [...folders],
    texts: Object.fromEntries(texts),
    ...(Object.keys(file.scripts).length > 0 && { scripts: file.scripts }),
    prices: {
      ...Object.fromEntries(scriptedModels(file).map((model) => [model, FREE])),
      ...Object.fromEntries(Object.entries(file.prices).map(([model, prices]) => [model, ratesOf(prices)])),
    },
    rateLimits: Object.fromEntries(
      Object.entries(file.rate_limits).map(([model, { max_parallel: maxParallel, rpm, tpm }]) => [model, defined({ maxParallel, rpm, tpm })]),
    ),
    agents: Object.fromEntries(Object.entries(file.agents).map(([name, agent]) => [name, resolveAgent(file, name, agent, filled)])),
    topology: file.topology.kind === 'peers' ? resolvePeers(file.topology) : resolveSupervised(file.topology, filled),
    budget: resolveBudget(file.budget),
    limits: { deadlineMs: file.limits.deadline_s * 1_000, askMs: file.limits.answer_timeout_s * 1_000, depth: file.limits.depth },
  });
};

/** The task as it is. Throws TASK_INVALID for one that says nothing or too much. */
export const checkedTask = (team: string, task: string): string => {
  if (task.trim() === '') throw new TroupeError('TASK_INVALID', `the task of team ${team}: expected text, found ${task === '' ? 'none' : 'only white space'}`);
  if (task.length > GOAL_CHARS_MAX)
    throw new TroupeError(
      'TASK_INVALID',
      `the task of team ${team}: expected at most ${GOAL_CHARS_MAX} characters, found ${task.length}; put long texts into a folder`,
    );
  return task;
};

/** The models that a name stands for, or the model itself. Empty if there is no such name. */
export const candidatesOf = ({ models }: Pick<TeamFile, 'models'>, model: string): readonly string[] =>
  model.includes('/') ? [model] : Object.hasOwn(models, model) ? models[model]! : [];

/** The first candidate whose provider is ready to be called; `undefined` if none is. */
export const resolveModel = (candidates: readonly string[], ready: (provider: string) => boolean): string | undefined =>
  candidates.find((model) => ready(providerOf(model)));

export const providerOf = (model: string): string => model.slice(0, model.indexOf('/'));

/** The models that the file itself has the answers of. */
export const scriptedModels = ({ scripts }: Pick<TeamFile, 'scripts'>): string[] => Object.keys(scripts).map((name) => `scripted/${name}`);

/** A script costs nothing unless the file says otherwise. */
export const FREE: Rates = { inputNanosPerMtok: '0', outputNanosPerMtok: '0' };

export const ratesOf = ({ input, output, cached_input: cached, per_call: perCall }: TeamFile['prices'][string]): Rates => ({
  inputNanosPerMtok: dollars(input).toString(),
  outputNanosPerMtok: dollars(output).toString(),
  ...(cached !== undefined && { cachedInputNanosPerMtok: dollars(cached).toString() }),
  ...(perCall !== undefined && { perCallNanos: dollars(perCall).toString() }),
});

/** Without what is not set: a team is compared by its text. */
const defined = (limits: Record<string, number | undefined>): Record<string, number> =>
  Object.fromEntries(Object.entries(limits).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));

const resolveAgent = (file: TeamFile, name: string, agent: AgentFile, filled: Fill): TeamAgent => {
  if (agent.kind === 'team') {
    const { role, topology, budget } = agent;
    const members = membersOf(topology).flatMap((member) => (Object.hasOwn(file.agents, member) ? [file.agents[member]!.role ?? member] : []));
    return {
      kind: agent.kind,
      name,
      role: filled(role ?? `a team: ${members.join(', ')}`),
      topology: resolveSupervised(topology, filled),
      ...(budget && { budget: resolveAgentBudget(budget) }),
    };
  }
  const { max_tokens: maxTokens, attempts, timeout_s: timeoutS } = agent.limits;
  const timeoutMs = timeoutS * 1_000;
  const persona = { name, role: filled(agent.role), goal: filled(agent.goal), backstory: filled(agent.backstory) };
  const handoffs = agent.kind === 'worker' && agent.handoffs ? { handoffs: resolveHandoffs(agent.handoffs) } : {};
  if (isExternal(agent)) return { kind: 'external', as: agent.kind, ...persona, ...handoffs, limits: { timeoutMs } };
  const shared = {
    ...persona,
    models: [...candidatesOf(file, agent.model)],
    ...(agent.cheaper_model !== undefined && { cheaperModels: [...candidatesOf(file, agent.cheaper_model)] }),
    ...(agent.budget && { budget: resolveAgentBudget(agent.budget) }),
  };
  // Only a worker's chart counts turns.
  const limits = { turns: 1, maxTokens, attempts, timeoutMs };
  switch (agent.kind) {
    case 'supervisor':
      return { kind: agent.kind, ...shared, tools: [], ...outputOf(agent), limits };
    case 'worker':
      return {
        kind: agent.kind,
        ...shared,
        tools: agent.tools,
        ...outputOf(agent),
        ...(agent.strategy !== 'react' && { strategy: agent.strategy }),
        ...handoffs,
        limits: { ...limits, turns: agent.limits.turns },
      };
    case 'reviewer':
      return { kind: agent.kind, ...shared, tools: agent.tools, limits, askBelow: agent.accept_from };
  }
};

const outputOf = ({ output }: Pick<Extract<AgentFile, { kind: 'worker' | 'supervisor' }>, 'output'>): Pick<HostedAgent, 'output'> => (output ? { output } : {});

type Counted = Pick<TeamFile['budget'], 'tokens' | 'calls' | 'tool_calls' | 'call_s'>;

const countedLimits = ({ tokens, calls, tool_calls: toolCalls, call_s: callS }: Counted): LimitSpec[] => {
  const amounts: readonly (readonly [Measure, number | undefined])[] = [
    ['tokens', tokens],
    ['calls', calls],
    ['tool_calls', toolCalls],
    ['seconds', callS === undefined ? undefined : callS * 1_000],
  ];
  return amounts.flatMap(([measure, amount]) => (amount === undefined ? [] : [{ measure, amount: Math.round(amount).toString(), window: 'total' as const }]));
};

const resolveBudget = (budget: TeamFile['budget']): Team['budget'] => ({
  limitNanos: dollars(budget.limit).toString(),
  ...(budget.account !== undefined && { account: budget.account }),
  limits: countedLimits(budget),
  onExhausted: budget.on_exhausted,
  keptBackNanos: dollars(budget.keep_back).toString(),
  cheaperFrom: budget.cheaper_from,
  orphans: budget.orphans,
  thresholds: [...budget.thresholds].sort((a, b) => a - b),
  grantMs: budget.grant_timeout_s * 1_000,
  waitMs: budget.wait_timeout_s * 1_000,
  ...(budget.open_up_to !== undefined && { openUpToNanos: dollars(budget.open_up_to).toString() }),
});

const resolveAgentBudget = ({ slice, limit, ...counted }: NonNullable<PersonFile['budget']>): NonNullable<HostedAgent['budget']> => ({
  ...(slice !== undefined && { sliceNanos: dollars(slice).toString() }),
  limits: [
    ...(limit === undefined ? [] : [{ measure: 'money' as const, amount: dollars(limit).toString(), window: 'total' as const }]),
    ...countedLimits(counted),
  ],
});

/** The agents that steps may be given to. */
const membersOf = (topology: SupervisedFile): readonly string[] => {
  switch (topology.kind) {
    case 'centralised':
      return topology.workers;
    case 'workflow':
      return [...new Set(topology.steps.map(({ agent }) => agent))];
    case 'router':
      return topology.routes.map(({ agent }) => agent);
  }
};

export const reviewersOf = ({ reviewer, reviewers }: Pick<SupervisedFile, 'reviewer' | 'reviewers'>): readonly string[] =>
  reviewers ?? (reviewer === undefined ? [] : [reviewer]);

const resolvePeers = ({ kind, peers, reply_timeout_s: replyS, ...talk }: PeersFile): Topology => ({
  kind,
  peers,
  patienceMs: replyS * 1_000,
  rules: rulesOf(talk),
});

const rulesOf = ({ protocol, rounds, vote, weights, quorum, on_tie: onTie, fanout }: Omit<PeersFile, 'kind' | 'peers' | 'reply_timeout_s'>): PeerRules => {
  switch (protocol) {
    case 'contract_net':
      return { protocol };
    case 'debate':
      return { protocol, rounds, vote, weights, quorum, onTie };
    case 'refine':
      return { protocol, rounds };
    case 'gossip':
      return { protocol, rounds, fanout };
  }
};

const resolveSupervised = (topology: SupervisedFile, filled: Fill): Supervised => {
  const { supervisor, merge, concurrency, review_rounds: reviewRounds, on_rejected: onRejected } = topology;
  const shared = { supervisor, reviewers: [...reviewersOf(topology)], merge, concurrency, reviewRounds, onRejected };
  switch (topology.kind) {
    case 'centralised':
      return {
        kind: topology.kind,
        ...shared,
        workers: topology.workers,
        maxSteps: topology.max_steps,
        ...(topology.replan && { replans: topology.replan.max }),
      };
    case 'workflow':
      return {
        kind: topology.kind,
        ...shared,
        steps: topology.steps.map((step) => resolveStep(step, filled, topology.state)),
      };
    case 'router': {
      const { routes, confidence_from: confidenceFrom, fallback, on_unknown: onUnknown = fallback === undefined ? 'fail' : 'fallback' } = topology;
      const filledRoutes = routes.map(({ agent, when }) => ({ agent, when: filled(when) }));
      return { kind: topology.kind, ...shared, routes: filledRoutes, confidenceFrom, onUnknown, ...(fallback !== undefined && { fallback }) };
    }
  }
};
