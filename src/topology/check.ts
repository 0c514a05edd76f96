/**
 * What the parts of a team file mean to each other: names that must be there, kinds that must fit, plans that must end, money
 * that must reach. Pure, over the file's shape and what this installation knows; nothing is called and nothing is spent.
 *
 * An error keeps the team from running. A warning is something that was probably meant otherwise.
 */
import { EVIDENCE_TOOL } from '../actors/reviewer/policy.ts';
import { findCycle } from '../actors/supervisor/plan.ts';
import { formatDollars, type Rates } from '../protocols/money.ts';
import { placeholders } from './placeholder.ts';
import type { Issue, Path } from './problem.ts';
import { candidatesOf, providerOf, ratesOf } from './resolve.ts';
import { dollars, type AgentFile, type StepFile, type TeamFile } from './schema.ts';
import { knownHint } from './suggest.ts';

/** What is installed and known, as far as a file may name it. */
export type Catalogue = {
  readonly tools: readonly { readonly name: string; readonly needsFolder: boolean }[];
  /** The parts of model references before the slash. */
  readonly providers: readonly string[];
  /** Of the price table; `undefined` if it has none for this model. */
  readonly price: (model: string) => Rates | undefined;
  /** The least that one call with at most `maxTokens` tokens of output can be granted for, nano-dollars. */
  readonly cheapestCall: (model: string, rates: Rates, maxTokens: number) => bigint;
};

export const checkTeam = (file: TeamFile, catalogue: Catalogue): Issue[] => [
  ...orElse(roleIssues(file), () => unusedAgentIssues(file)),
  ...stepIssues(file),
  ...toolIssues(file, catalogue),
  ...modelIssues(file, catalogue),
  ...budgetIssues(file, catalogue),
  ...grantIssues(file),
  ...orElse(placeholderIssues(file), () => unusedInputIssues(file, catalogue)),
];

/** What follows from other mistakes is looked for when there are none: who mistypes a name has not left its bearer out. */
const orElse = (issues: Issue[], others: () => Issue[]): Issue[] => (issues.length > 0 ? issues : others());

// --- agents ----------------------------------------------------------------------------------------------------------------

type Use = { readonly path: Path; readonly name: string; readonly kind: AgentFile['kind'] };

/** Each place where the topology names an agent, and the kind it has to be of. */
const uses = ({ topology }: TeamFile): Use[] => [
  { path: ['topology', 'supervisor'], name: topology.supervisor, kind: 'supervisor' },
  ...(topology.reviewer === undefined ? [] : [{ path: ['topology', 'reviewer'], name: topology.reviewer, kind: 'reviewer' as const }]),
  ...workerUses(topology),
];

const workerUses = (topology: TeamFile['topology']): Use[] => {
  switch (topology.kind) {
    case 'centralised':
      return topology.workers.map((name, index) => ({ path: ['topology', 'workers', index], name, kind: 'worker' }));
    case 'workflow':
      return topology.steps.map(({ agent }, index) => ({ path: ['topology', 'steps', index, 'agent'], name: agent, kind: 'worker' }));
  }
};

const roleIssues = (file: TeamFile): Issue[] => [
  ...uses(file).flatMap(({ path, name, kind }): Issue[] => {
    const agent = lookUp(file.agents, name);
    if (!agent) return [{ code: 'AGENT_UNKNOWN', path, message: `unknown agent "${name}"`, hint: knownHint(name, ofKind(file, kind)) }];
    if (agent.kind === kind) return [];
    return [
      {
        code: 'AGENT_KIND',
        path,
        message: `expected an agent of kind ${kind}, found "${name}", a ${agent.kind}`,
        hint: `of that kind: ${ofKind(file, kind).join(', ') || 'none'}`,
      },
    ];
  }),
  ...(file.topology.kind === 'centralised' ? duplicateIssues(file.topology.workers, ['topology', 'workers']) : []),
];

const ofKind = ({ agents }: TeamFile, kind: AgentFile['kind']): string[] => Object.keys(agents).filter((name) => agents[name]!.kind === kind);

const unusedAgentIssues = (file: TeamFile): Issue[] => {
  const used = new Set(uses(file).map(({ name }) => name));
  return Object.keys(file.agents)
    .filter((name) => !used.has(name))
    .map((name) => ({
      code: 'AGENT_UNUSED',
      severity: 'warning',
      path: ['agents', name],
      onKey: true,
      message: 'nobody gives this agent anything to do',
      hint: 'name it under topology, or remove it',
    }));
};

// --- steps -----------------------------------------------------------------------------------------------------------------

const stepIssues = ({ topology }: TeamFile): Issue[] => {
  if (topology.kind !== 'workflow') return [];
  const { steps } = topology;
  const ids = steps.map(({ id }) => id);
  const duplicates = steps.flatMap(({ id }, index): Issue[] =>
    ids.indexOf(id) < index
      ? [
          {
            code: 'STEP_DUPLICATE',
            path: ['topology', 'steps', index, 'id'],
            message: `two steps are called "${id}"; step ${ids.indexOf(id) + 1} is one already`,
          },
        ]
      : [],
  );
  return orElse(duplicates, () => [...steps.flatMap((step, index) => needIssues(step, ids, ['topology', 'steps', index, 'needs'])), ...cycleIssues(steps)]);
};

const needIssues = ({ id, needs }: StepFile, ids: readonly string[], path: Path): Issue[] => [
  ...needs.flatMap((need, index): Issue[] => {
    if (need === id) return [{ code: 'STEP_NEEDS_ITSELF', path: [...path, index], message: `step "${id}" needs itself` }];
    return ids.includes(need)
      ? []
      : [
          {
            code: 'STEP_UNKNOWN',
            path: [...path, index],
            message: `unknown step "${need}"`,
            hint: knownHint(
              need,
              ids.filter((known) => known !== id),
            ),
          },
        ];
  }),
  ...duplicateIssues(needs, path),
];

/** Every cycle, once: the need that closes a cycle is taken away before the next is looked for. */
const cycleIssues = (steps: readonly StepFile[]): Issue[] => {
  const issues: Issue[] = [];
  let left = steps.map(({ id, needs }) => ({ id, needs: needs.filter((need) => need !== id) }));
  for (let cycle = findCycle(left); cycle; cycle = findCycle(left)) {
    const [first, second] = cycle as [string, string];
    const index = steps.findIndex(({ id }) => id === first);
    issues.push({
      code: 'STEP_CYCLE',
      path: ['topology', 'steps', index, 'needs', steps[index]!.needs.indexOf(second)],
      message: `these steps wait for each other: ${cycle.join(' -> ')}`,
      hint: 'remove one of the needs',
    });
    left = left.map(({ id, needs }) => ({ id, needs: id === first ? needs.filter((need) => need !== second) : needs }));
  }
  return issues;
};

const duplicateIssues = (names: readonly string[], path: Path): Issue[] =>
  names.flatMap((name, index): Issue[] =>
    names.indexOf(name) < index ? [{ code: 'VALUE_DUPLICATE', path: [...path, index], message: `"${name}" is in the list already` }] : [],
  );

// --- tools -----------------------------------------------------------------------------------------------------------------

const toolsOf = (agent: AgentFile): readonly string[] => (agent.kind === 'supervisor' ? [] : agent.tools);

const toolIssues = (file: TeamFile, { tools: known }: Catalogue): Issue[] => {
  const hasFolder = Object.values(file.inputs).some(({ folder }) => folder !== undefined);
  return Object.entries(file.agents).flatMap(([agentName, agent]) => [
    ...toolsOf(agent).flatMap((name, index): Issue[] => {
      const path = ['agents', agentName, 'tools', index];
      const tool = known.find((one) => one.name === name);
      if (!tool)
        return [
          {
            code: 'TOOL_UNKNOWN',
            path,
            message: `unknown tool "${name}"`,
            hint: knownHint(
              name,
              known.map((one) => one.name),
            ),
          },
        ];
      if (agent.kind === 'reviewer' && name !== EVIDENCE_TOOL) {
        return [
          { code: 'TOOL_UNUSED', severity: 'warning', path, message: `a reviewer never calls ${name}`, hint: `the one tool of a reviewer is ${EVIDENCE_TOOL}` },
        ];
      }
      if (!tool.needsFolder || hasFolder) return [];
      return [
        {
          code: 'TOOL_NEEDS_FOLDER',
          path,
          message: `${name} reads folders, and no input is one`,
          hint: 'add one, such as inputs: { docs: { folder: ./docs } }',
        },
      ];
    }),
    ...duplicateIssues(toolsOf(agent), ['agents', agentName, 'tools']),
  ]);
};

// --- models and money ------------------------------------------------------------------------------------------------------

type ModelUse = { readonly path: Path; readonly model: string };

/** Each place where the file names a model, and not another place. */
const modelUses = (file: TeamFile): ModelUse[] => [
  ...Object.entries(file.models).flatMap(([alias, candidates]) => candidates.map((model, index) => ({ path: ['models', alias, index], model }))),
  ...Object.entries(file.agents).flatMap(([name, { model }]) => (model.includes('/') ? [{ path: ['agents', name, 'model'], model }] : [])),
];

const modelIssues = (file: TeamFile, { providers, price }: Catalogue): Issue[] => {
  const known = [...Object.keys(file.models), ...providers.map((provider) => `${provider}/*`)];
  const unknownNames = Object.entries(file.agents)
    .filter(([, { model }]) => candidatesOf(file, model).length === 0)
    .map(([name, { model }]): Issue => ({
      code: 'MODEL_UNKNOWN',
      path: ['agents', name, 'model'],
      message: `unknown model "${model}"`,
      hint: knownHint(model, known),
    }));
  const seen = new Set<string>();
  const badModels = modelUses(file).flatMap(({ path, model }): Issue[] => {
    if (!providers.includes(providerOf(model))) {
      return [
        { code: 'MODEL_UNKNOWN', path, message: `unknown provider "${providerOf(model)}" of model "${model}"`, hint: knownHint(providerOf(model), providers) },
      ];
    }
    if (lookUp(file.prices, model) || price(model) || seen.has(model)) return [];
    seen.add(model);
    return [
      {
        code: 'PRICE_UNKNOWN',
        path,
        message: `no price is known for ${model}`,
        hint: `write it under prices: { ${model}: { input: , output: } }, in dollars per million tokens`,
      },
    ];
  });
  return [...unknownNames, ...badModels];
};

const budgetIssues = (file: TeamFile, { price, cheapestCall }: Catalogue): Issue[] => {
  const calls = uses(file).flatMap(({ name }) => {
    const agent = lookUp(file.agents, name);
    return candidatesOf(file, agent?.model ?? '').flatMap((model) => {
      const own = lookUp(file.prices, model);
      const rates = own ? ratesOf(own) : price(model);
      return rates ? [{ name, model, nanos: cheapestCall(model, rates, agent!.limits.max_tokens) }] : [];
    });
  });
  const limit = dollars(file.budget.limit);
  const cheapest = calls.toSorted((a, b) => (a.nanos < b.nanos ? -1 : 1))[0];
  if (!cheapest || limit >= cheapest.nanos) return [];
  const message = `${formatDollars(limit)} is too little for any call: the cheapest, one of ${cheapest.name} to ${cheapest.model}, needs at least ${formatDollars(cheapest.nanos)}`;
  return [{ code: 'BUDGET_TOO_SMALL', path: ['budget', 'limit'], message, hint: 'raise it, or name a cheaper model' }];
};

/** A permission begins before its call; one that ends first counts as money spent while the call is still going on. */
const grantIssues = ({ agents, budget: { grant_timeout_s: grantS } }: TeamFile): Issue[] =>
  Object.entries(agents)
    .filter(([, { limits }]) => limits.timeout_s >= grantS)
    .map(([name, { limits }]) => ({
      code: 'GRANT_TOO_SHORT',
      severity: 'warning',
      path: ['agents', name, 'limits', 'timeout_s'],
      message: `a call may take ${limits.timeout_s} s, but a permission to spend holds ${grantS} s`,
      hint: `raise budget.grant_timeout_s above ${limits.timeout_s}`,
    }));

// --- inputs ----------------------------------------------------------------------------------------------------------------

/** Every text that inputs are filled into. */
const texts = ({ task, agents, topology }: TeamFile): { readonly path: Path; readonly text: string }[] => [
  ...(task === undefined ? [] : [{ path: ['task'], text: task }]),
  ...Object.entries(agents).flatMap(([name, agent]) =>
    (['role', 'goal', 'backstory'] as const).map((key) => ({ path: ['agents', name, key], text: agent[key] })),
  ),
  ...(topology.kind === 'workflow' ? topology.steps.map(({ task: text }, index) => ({ path: ['topology', 'steps', index, 'task'], text })) : []),
];

const placeholderIssues = (file: TeamFile): Issue[] =>
  texts(file).flatMap(({ path, text }) =>
    [...new Set(placeholders(text))]
      .filter((name) => !Object.hasOwn(file.inputs, name))
      .map((name) => ({
        code: 'INPUT_UNKNOWN',
        path,
        message: `no input is called "${name}" (write {{${name}}} for the word in braces)`,
        hint: knownHint(name, Object.keys(file.inputs)),
      })),
  );

const unusedInputIssues = (file: TeamFile, { tools }: Catalogue): Issue[] => {
  const filled = new Set(texts(file).flatMap(({ text }) => placeholders(text)));
  const folderIsRead = Object.values(file.agents).some((agent) => toolsOf(agent).some((name) => tools.find((tool) => tool.name === name)?.needsFolder));
  return Object.entries(file.inputs)
    .filter(([name, { folder }]) => !filled.has(name) && !(folder !== undefined && folderIsRead))
    .map(([name, { folder }]) => ({
      code: 'INPUT_UNUSED',
      severity: 'warning',
      path: ['inputs', name],
      onKey: true,
      message: folder === undefined ? `no text has {${name}} in it` : 'no agent has a tool that reads folders',
      hint: 'use it, or remove it',
    }));
};

const lookUp = <T>(record: Readonly<Record<string, T>>, name: string): T | undefined => (Object.hasOwn(record, name) ? record[name] : undefined);
