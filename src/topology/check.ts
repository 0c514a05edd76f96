/**
 * What the parts of a team file mean to each other: names that must be there, kinds that must fit, plans that must end, money
 * that must reach. Pure, over the file's shape and what this installation knows; nothing is called and nothing is spent.
 *
 * An error keeps the team from running. A warning is something that was probably meant otherwise.
 */
import { fewestTokens } from '../actors/conversation.ts';
import { EVIDENCE_TOOL } from '../actors/reviewer/policy.ts';
import { schemaProblems } from '../protocols/output.ts';
import { formatDollars, type Rates } from '../protocols/money.ts';
import { inputsAskedBy, planIssues } from './check-steps.ts';
import { placeholders } from './placeholder.ts';
import type { Issue, Path } from './problem.ts';
import { candidatesOf, FREE, providerOf, ratesOf, scriptedModels } from './resolve.ts';
import { dollars, isExternal, type AgentFile, type TeamFile } from './schema.ts';
import type { StepFile } from './step.ts';
import { knownHint } from './suggest.ts';

/** What is installed and known, as far as a file may name it. */
export type Catalogue = {
  readonly tools: readonly { readonly name: string; readonly needsFolder: boolean }[];
  /** The parts of model references before the slash. */
  readonly providers: readonly string[];
  /** The models of a provider, as `provider/name`; `undefined` if nobody knows them all. */
  readonly models?: (provider: string) => readonly string[] | undefined;
  /** Of the price table; `undefined` if it has none for this model. */
  readonly price: (model: string) => Rates | undefined;
  /** The least that one call with at most `maxTokens` tokens of output can be granted for, nano-dollars. */
  readonly cheapestCall: (model: string, rates: Rates, maxTokens: number) => bigint;
};

export const checkTeam = (file: TeamFile, catalogue: Catalogue): Issue[] => {
  const hosted = withoutExternals(file);
  return [
    ...orElse(roleIssues(file), () => unusedAgentIssues(file)),
    ...externalIssues(file),
    ...stepIssues(file),
    ...toolIssues(hosted, catalogue),
    ...outputIssues(hosted),
    ...orElse(modelIssues(hosted, catalogue), () => cheaperIssues(hosted, catalogue)),
    ...budgetIssues(hosted, catalogue),
    ...grantIssues(hosted),
    ...orElse(placeholderIssues(file), () => unusedInputIssues(hosted, file, catalogue)),
  ];
};

/** The file with the agents that Troupe plays: an external one has no model, no tools and no money here. */
const withoutExternals = (file: TeamFile): TeamFile => ({
  ...file,
  agents: Object.fromEntries(Object.entries(file.agents).filter(([, agent]) => !isExternal(agent))),
});

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
      return topology.steps.flatMap(({ agent, fallback }, index) => [
        { path: ['topology', 'steps', index, 'agent'], name: agent, kind: 'worker' as const },
        ...(fallback === undefined ? [] : [{ path: ['topology', 'steps', index, 'fallback'], name: fallback, kind: 'worker' as const }]),
      ]);
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
  ...misnamedIssues(file),
];

/** The supervisor's account is called `supervisor`, whatever the agent is. */
const misnamedIssues = ({ agents }: TeamFile): Issue[] => {
  const agent = lookUp(agents, 'supervisor');
  if (!agent || agent.kind === 'supervisor') return [];
  return [
    {
      code: 'NAME_INVALID',
      path: ['agents', 'supervisor'],
      onKey: true,
      message: `a ${agent.kind} cannot be called "supervisor"`,
      hint: 'give it a name of its own',
    },
  ];
};

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

/** What is written for an agent that has no use for it. */
const externalIssues = (file: TeamFile): Issue[] =>
  Object.entries(file.agents).flatMap(([name, agent]): Issue[] => {
    if (!isExternal(agent)) return [];
    const unused = { model: agent.model !== 'default', cheaper_model: agent.cheaper_model !== undefined, tools: agent.tools.length > 0, budget: agent.budget };
    return Object.entries(unused)
      .filter(([, isWritten]) => isWritten)
      .map(([key]) => ({
        code: 'EXTERNAL_UNUSED',
        severity: 'warning',
        path: ['agents', name, key],
        onKey: true,
        message: `the process that plays an external agent is not given its ${key}`,
        hint: 'remove it, or remove external: true',
      }));
  });

// --- steps -----------------------------------------------------------------------------------------------------------------

const stepIssues = ({ topology, inputs }: TeamFile): Issue[] =>
  topology.kind === 'workflow' ? planIssues({ steps: topology.steps, state: topology.state, inputs }, ['topology', 'steps']) : [];

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

/** A schema that answers cannot be checked by. */
const outputIssues = ({ agents }: TeamFile): Issue[] =>
  Object.entries(agents).flatMap(([name, agent]) =>
    agent.kind === 'reviewer' || !agent.output
      ? []
      : schemaProblems(agent.output.schema).map(({ path, problem }): Issue => ({
          code: 'OUTPUT_SCHEMA_INVALID',
          path: ['agents', name, 'output', 'schema', ...path],
          message: problem,
          hint: 'docs/team-file.md says what a schema may have',
        })),
  );

// --- models and money ------------------------------------------------------------------------------------------------------

type ModelUse = { readonly path: Path; readonly model: string };

/** Each place where the file names a model, and not another place. */
const modelUses = (file: TeamFile): ModelUse[] => [
  ...Object.entries(file.models).flatMap(([alias, candidates]) => candidates.map((model, index) => ({ path: ['models', alias, index], model }))),
  ...modelKeys(file).filter(({ model }) => model.includes('/')),
];

/** Each place where an agent names a model, by what stands there. */
const modelKeys = ({ agents }: TeamFile): ModelUse[] =>
  Object.entries(agents).flatMap(([name, { model, cheaper_model: cheaper }]) => [
    { path: ['agents', name, 'model'], model },
    ...(cheaper === undefined ? [] : [{ path: ['agents', name, 'cheaper_model'], model: cheaper }]),
  ]);

const modelIssues = (file: TeamFile, { providers: installed, models, price }: Catalogue): Issue[] => {
  const scripted = scriptedModels(file);
  const providers = scripted.length > 0 ? [...new Set([...installed, 'scripted'])] : installed;
  const known = [...Object.keys(file.models), ...providers.map((provider) => `${provider}/*`)];
  const unknownNames = modelKeys(file)
    .filter(({ model }) => candidatesOf(file, model).length === 0)
    .map(({ path, model }): Issue => ({
      code: 'MODEL_UNKNOWN',
      path,
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
    if (scripted.includes(model)) return [];
    const served = providerOf(model) === 'scripted' && scripted.length > 0 ? scripted : models?.(providerOf(model));
    if (served && !served.includes(model)) return [{ code: 'MODEL_UNKNOWN', path, message: `unknown model "${model}"`, hint: knownHint(model, served) }];
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

type Call = { readonly agent: string; readonly model: string; readonly nanos: bigint };

const ratesFor = (file: TeamFile, model: string, { price }: Catalogue): Rates | undefined => {
  const own = lookUp(file.prices, model);
  if (own) return ratesOf(own);
  return scriptedModels(file).includes(model) ? FREE : price(model);
};

/** A cheaper model has to cost less than one, at least, of the models that it stands in for. */
const cheaperIssues = (file: TeamFile, catalogue: Catalogue): Issue[] =>
  Object.entries(file.agents).flatMap(([name, agent]): Issue[] => {
    if (agent.cheaper_model === undefined) return [];
    const ratesOfAll = (model: string) => candidatesOf(file, model).flatMap((one) => ratesFor(file, one, catalogue) ?? []);
    const own = ratesOfAll(agent.model);
    if (own.length === 0 || ratesOfAll(agent.cheaper_model).every((rates) => own.some((dearer) => costsLess(rates, dearer)))) return [];
    return [
      {
        code: 'MODEL_NOT_CHEAPER',
        severity: 'warning',
        path: ['agents', name, 'cheaper_model'],
        message: `"${agent.cheaper_model}" does not cost less than "${agent.model}"`,
        hint: '`troupe prices` says what models cost',
      },
    ];
  });

const costsLess = (one: Rates, other: Rates): boolean => {
  const pairs = [
    [one.inputNanosPerMtok, other.inputNanosPerMtok],
    [one.outputNanosPerMtok, other.outputNanosPerMtok],
    [one.perCallNanos ?? '0', other.perCallNanos ?? '0'],
  ].map(([a, b]) => [BigInt(a!), BigInt(b!)] as const);
  return pairs.every(([a, b]) => a <= b) && pairs.some(([a, b]) => a < b);
};

/** The least that a call of an agent can be granted for, by the cheapest of its models; none if no price is known. */
const cheapestOf = (file: TeamFile, name: string, catalogue: Catalogue): Call[] => {
  const agent = lookUp(file.agents, name);
  if (!agent) return [];
  const calls = candidatesOf(file, agent.model).flatMap((model): Call[] => {
    const rates = ratesFor(file, model, catalogue);
    return rates ? [{ agent: name, model, nanos: catalogue.cheapestCall(model, rates, agent.limits.max_tokens) }] : [];
  });
  return cheapest(calls);
};

const cheapest = (calls: readonly Call[]): Call[] => calls.toSorted((a, b) => (a.nanos < b.nanos ? -1 : 1)).slice(0, 1);

/** What has to be paid from `nanos` and cannot be. */
const tooLittle = (path: Path, nanos: bigint, what: string, calls: readonly Call[], hint: string): Issue[] =>
  calls
    .filter((call) => nanos < call.nanos)
    .map(({ agent, model, nanos: needed }) => ({
      code: 'BUDGET_TOO_SMALL',
      path,
      message: `${formatDollars(nanos)} is too little for ${what}, one of ${agent} to ${model}, needs at least ${formatDollars(needed)}`,
      hint,
    }));

const sliceOf = (agent: AgentFile | undefined): bigint | undefined => (agent?.budget?.slice === undefined ? undefined : dollars(agent.budget.slice));

/** Only an answer that closes a run may use what is kept back, so it counts where there is one. */
const keptBack = ({ budget }: TeamFile): bigint => (budget.on_exhausted === 'answer' ? dollars(budget.keep_back) : 0n);

const budgetIssues = (file: TeamFile, catalogue: Catalogue): Issue[] => [
  ...orElse([...keepBackIssues(file, catalogue), ...sliceIssues(file)], () => poolIssues(file, catalogue)),
  ...Object.keys(file.agents).flatMap((name) => agentBudgetIssues(file, name, catalogue)),
  ...countIssues(file),
];

/** What agents without a slice share: the limit without the slices and without what is kept back. */
const poolIssues = (file: TeamFile, catalogue: Catalogue): Issue[] => {
  const limit = dollars(file.budget.limit);
  const slices = Object.values(file.agents).reduce((sum, agent) => sum + (sliceOf(agent) ?? 0n), 0n);
  const pool = limit - slices - keptBack(file);
  const sharing = uses(file).filter(({ name }) => sliceOf(lookUp(file.agents, name)) === undefined);
  const calls = cheapest(sharing.flatMap(({ name }) => cheapestOf(file, name, catalogue)));
  if (pool === limit) return tooLittle(['budget', 'limit'], limit, 'any call: the cheapest', calls, 'raise it, or name a cheaper model');
  return tooLittle(
    ['budget', 'limit'],
    pool,
    'any call of the agents without a slice: it is what slices and keep_back leave of the limit, and the cheapest',
    calls,
    'raise it, or make a slice smaller',
  );
};

const keepBackIssues = (file: TeamFile, catalogue: Catalogue): Issue[] => {
  const { keep_back: written, limit, on_exhausted: onExhausted } = file.budget;
  const kept = dollars(written);
  const path = ['budget', 'keep_back'];
  if (onExhausted !== 'answer') {
    if (kept === 0n) return [];
    return [
      {
        code: 'BUDGET_UNUSED',
        severity: 'warning',
        path,
        message: `nothing is kept back with on_exhausted: ${onExhausted}`,
        hint: 'write on_exhausted: answer, or remove it',
      },
    ];
  }
  if (kept >= dollars(limit))
    return [
      {
        code: 'BUDGET_NOT_COVERED',
        path,
        message: `${formatDollars(kept)} leaves nothing of the limit, ${formatDollars(dollars(limit))}, to work with`,
        hint: 'keep less back',
      },
    ];
  return tooLittle(path, kept, 'a closing answer: the cheapest', cheapestOf(file, file.topology.supervisor, catalogue), 'keep more back');
};

/** Slices are moved away when the run begins: all of them must be there, beside what is kept back. */
const sliceIssues = (file: TeamFile): Issue[] => {
  const limit = dollars(file.budget.limit);
  let moved = keptBack(file);
  return Object.entries(file.agents).flatMap(([name, agent]): Issue[] => {
    const slice = sliceOf(agent);
    if (slice === undefined) return [];
    const left = limit - moved;
    moved += slice;
    if (slice <= left) return [];
    const message = `a slice of ${formatDollars(slice)} is more than the ${formatDollars(left > 0n ? left : 0n)} that keep_back and the slices before it leave of the limit, ${formatDollars(limit)}`;
    return [{ code: 'BUDGET_NOT_COVERED', path: ['agents', name, 'budget', 'slice'], message, hint: 'raise budget.limit, or make a slice smaller' }];
  });
};

const agentBudgetIssues = (file: TeamFile, name: string, catalogue: Catalogue): Issue[] => {
  const { budget } = file.agents[name]!;
  return (['slice', 'limit'] as const).flatMap((key): Issue[] => {
    const amount = budget?.[key];
    if (amount === undefined) return [];
    const path = ['agents', name, 'budget', key];
    const nanos = dollars(amount);
    if (key === 'limit' && nanos > dollars(file.budget.limit)) {
      return [
        {
          code: 'BUDGET_UNUSED',
          severity: 'warning',
          path,
          message: `${formatDollars(nanos)} can never be reached: the run has ${formatDollars(dollars(file.budget.limit))}`,
          hint: 'lower it, or remove it',
        },
      ];
    }
    return tooLittle(path, nanos, 'any call: the cheapest', cheapestOf(file, name, catalogue), 'raise it, or name a cheaper model');
  });
};

/** A call is granted only if all the seconds that it may take, and the shortest answer that is worth it, fit into the limits. */
const countIssues = (file: TeamFile): Issue[] => {
  const used = [...new Set(uses(file).map(({ name }) => name))].flatMap((name) => (lookUp(file.agents, name) ? [file.agents[name]!] : []));
  if (used.length === 0) return [];
  return [
    ...countIssuesAt(['budget'], file.budget, used),
    ...Object.entries(file.agents).flatMap(([name, agent]) => (agent.budget ? countIssuesAt(['agents', name, 'budget'], agent.budget, [agent]) : [])),
  ];
};

const countIssuesAt = (path: Path, { call_s: seconds, tokens }: Pick<TeamFile['budget'], 'call_s' | 'tokens'>, agents: readonly AgentFile[]): Issue[] => {
  const shortest = Math.min(...agents.map(({ limits }) => limits.timeout_s));
  const fewest = Math.min(...agents.map(({ limits }) => fewestTokens(limits.max_tokens)));
  return [
    ...(seconds !== undefined && seconds < shortest
      ? [
          {
            code: 'BUDGET_TOO_SMALL' as const,
            path: [...path, 'call_s'],
            message: `${seconds} s is too little for any call: each may take ${shortest} s at least`,
            hint: 'raise it, or lower limits.timeout_s',
          },
        ]
      : []),
    ...(tokens !== undefined && tokens < fewest
      ? [
          {
            code: 'BUDGET_TOO_SMALL' as const,
            path: [...path, 'tokens'],
            message: `${tokens} tokens are too few for any call: the shortest answer alone has ${fewest}`,
            hint: 'raise it',
          },
        ]
      : []),
  ];
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
type Text = { readonly path: Path; readonly text: string; /** Names that stand for something else here. */ readonly knows?: string };

const texts = ({ task, agents, topology }: TeamFile): Text[] => [
  ...(task === undefined ? [] : [{ path: ['task'], text: task }]),
  ...Object.entries(agents).flatMap(([name, agent]) =>
    (['role', 'goal', 'backstory'] as const).map((key) => ({ path: ['agents', name, key], text: agent[key] })),
  ),
  ...(topology.kind === 'workflow' ? topology.steps.flatMap((step, index) => stepTexts(step, ['topology', 'steps', index])) : []),
];

const stepTexts = ({ task, default: instead, map }: StepFile, path: Path): Text[] => [
  { path: [...path, 'task'], text: task, ...(map && { knows: map.as }) },
  ...(instead === undefined ? [] : [{ path: [...path, 'default'], text: instead }]),
];

const placeholderIssues = (file: TeamFile): Issue[] =>
  texts(file).flatMap(({ path, text, knows }) =>
    [...new Set(placeholders(text))]
      .filter((name) => name !== knows && !Object.hasOwn(file.inputs, name))
      .map((name) => ({
        code: 'INPUT_UNKNOWN',
        path,
        message: `no input is called "${name}" (write {{${name}}} for the word in braces)`,
        hint: knownHint(name, Object.keys(file.inputs)),
      })),
  );

const unusedInputIssues = (hosted: TeamFile, file: TeamFile, { tools }: Catalogue): Issue[] => {
  const asked = file.topology.kind === 'workflow' ? inputsAskedBy(file.topology.steps) : [];
  const filled = new Set([...texts(file).flatMap(({ text }) => placeholders(text)), ...asked]);
  const folderIsRead = Object.values(hosted.agents).some((agent) => toolsOf(agent).some((name) => tools.find((tool) => tool.name === name)?.needsFolder));
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
