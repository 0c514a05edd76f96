/**
 * What the parts of a team file mean to each other: names that must be there, kinds that must fit, plans that must end, money
 * that must reach. Pure, over the file's shape and what this installation knows; nothing is called and nothing is spent.
 *
 * An error keeps the team from running. A warning is something that was probably meant otherwise.
 */
import { fewestTokens } from '../actors/conversation.ts';
import { roundsToAll } from '../actors/peer/gossip.ts';
import { EVIDENCE_TOOL } from '../actors/reviewer/policy.ts';
import { formatDollars, type Rates } from '../protocols/money.ts';
import { schemaProblems } from '../protocols/output.ts';
import { cyclesIn, inputsAskedBy, planIssues } from './check-steps.ts';
import { pathToAgents, reachedFrom, resolveHandoffs } from './handoffs.ts';
import { placeholders } from './placeholder.ts';
import type { Issue, Path } from './problem.ts';
import { candidatesOf, FREE, providerOf, ratesOf, scriptedModels } from './resolve.ts';
import { DEPTH_MAX, dollars, isExternal, type AgentFile, type PersonFile, type SupervisedFile, type TeamFile, type TopologyFile } from './schema.ts';
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
  const hosted = hostedIn(file);
  return [
    ...orElse([...roleIssues(file), ...teamCycleIssues(file)], () => [
      ...unusedAgentIssues(file),
      ...depthIssues(file),
      ...handUpIssues(file),
      ...peerIssues(file),
    ]),
    ...externalIssues(file),
    ...stepIssues(file),
    ...toolIssues(hosted, catalogue),
    ...outputIssues(hosted),
    ...orElse(modelIssues(hosted, catalogue), () => cheaperIssues(hosted, catalogue)),
    ...budgetIssues(withoutExternals(file), hosted, catalogue),
    ...grantIssues(hosted),
    ...orElse(placeholderIssues(file), () => unusedInputIssues(hosted, file, catalogue)),
  ];
};

/** The file with those that have money here: an external agent has none. */
const withoutExternals = (file: TeamFile): TeamFile => ({
  ...file,
  agents: Object.fromEntries(Object.entries(file.agents).filter(([, agent]) => !isExternal(agent))),
});

/** A file as far as Troupe plays its agents. */
type Hosted = Omit<TeamFile, 'agents'> & { readonly agents: Readonly<Record<string, PersonFile>> };

/** The file with the agents that Troupe plays: neither an external one nor a team has a model and tools here. */
const hostedIn = (file: TeamFile): Hosted => ({
  ...file,
  agents: Object.fromEntries(Object.entries(file.agents).filter((entry): entry is [string, PersonFile] => entry[1].kind !== 'team' && !isExternal(entry[1]))),
});

/** What follows from other mistakes is looked for when there are none: who mistypes a name has not left its bearer out. */
const orElse = (issues: Issue[], others: () => Issue[]): Issue[] => (issues.length > 0 ? issues : others());

// --- agents ----------------------------------------------------------------------------------------------------------------

/** A topology of the file: its own, or that of a team inside it. */
type Place = { readonly path: Path; readonly topology: TopologyFile; readonly team: string | undefined };

const places = ({ topology, agents }: TeamFile): Place[] => [
  { path: ['topology'], topology, team: undefined },
  ...Object.entries(agents).flatMap(([name, agent]): Place[] =>
    agent.kind === 'team' ? [{ path: ['agents', name, 'topology'], topology: agent.topology, team: name }] : [],
  ),
];

type Use = { readonly path: Path; readonly name: string; readonly kinds: readonly AgentFile['kind'][] };

/** Each place where a topology or another agent names an agent, and the kinds it may be of. */
const uses = (file: TeamFile): Use[] => [...places(file).flatMap(usesIn), ...handoffUses(file)];

const usesIn = ({ path, topology }: Pick<Place, 'path' | 'topology'>): Use[] => [
  ...(topology.kind === 'peers' ? [] : leadUses(path, topology)),
  ...memberUses(path, topology),
];

/** Whom an agent may hand its work over to. */
const handoffsOf = ({ agents }: Pick<TeamFile, 'agents'>, name: string): readonly string[] => {
  const agent = lookUp(agents, name);
  return agent?.kind === 'worker' && agent.handoffs ? resolveHandoffs(agent.handoffs).to : [];
};

const pathOfHandoffs = ({ agents }: Pick<TeamFile, 'agents'>, name: string): Path => {
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

const memberUses = (path: Path, topology: TopologyFile): Use[] => {
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

const roleIssues = (file: TeamFile): Issue[] => [
  ...uses(file).flatMap(({ path, name, kinds }): Issue[] => {
    const agent = lookUp(file.agents, name);
    if (!agent) return [{ code: 'AGENT_UNKNOWN', path, message: `unknown agent "${name}"`, hint: knownHint(name, ofKind(file, kinds)) }];
    if (kinds.includes(agent.kind)) return [];
    return [
      {
        code: 'AGENT_KIND',
        path,
        message: `expected an agent of kind ${kinds.join(' or ')}, found "${name}", a ${agent.kind}`,
        hint: `of that kind: ${ofKind(file, kinds).join(', ') || 'none'}`,
      },
    ];
  }),
  ...places(file).flatMap(listIssues),
  ...handoffIssues(file),
  ...misnamedIssues(file),
];

/** A list of agents that has the agent itself in it, or one twice; and one that nobody reads. */
const handoffIssues = (file: TeamFile): Issue[] =>
  Object.keys(file.agents).flatMap((name): Issue[] => {
    const to = handoffsOf(file, name);
    const path = pathOfHandoffs(file, name);
    const itself = to.indexOf(name);
    return [
      ...duplicateIssues(to, path),
      ...(itself < 0
        ? []
        : [
            {
              code: 'HANDOFF_TO_ITSELF' as const,
              path: [...path, itself],
              message: `${name} cannot hand its work over to itself`,
              hint: 'remove it from the list',
            },
          ]),
      ...(to.length > 0 && file.topology.kind === 'peers'
        ? [
            {
              code: 'HANDOFF_UNUSED' as const,
              severity: 'warning' as const,
              path: ['agents', name, 'handoffs'],
              onKey: true,
              message: 'peers do not hand their work over: they have a protocol',
              hint: 'remove it, or choose another topology',
            },
          ]
        : []),
    ];
  });

/** Lists of agents in a topology. */
const listIssues = ({ path, topology }: Place): Issue[] =>
  topology.kind === 'peers' ? duplicateIssues(topology.peers, [...path, 'peers']) : leadListIssues(path, topology);

const leadListIssues = (path: Path, topology: SupervisedFile): Issue[] => [
  ...routeIssues(path, topology),
  ...(topology.kind === 'centralised' ? duplicateIssues(topology.workers, [...path, 'workers']) : []),
  ...duplicateIssues(topology.reviewers ?? [], [...path, 'reviewers']),
  ...(topology.reviewer !== undefined && topology.reviewers !== undefined
    ? [
        {
          code: 'VALUE_INVALID' as const,
          path: [...path, 'reviewer'],
          onKey: true,
          message: 'expected reviewer or reviewers, not both',
          hint: 'put it into the list',
        },
      ]
    : []),
];

/** Two routes to one agent would be one choice told twice; a fallback has to be there where it is asked for. */
const routeIssues = (path: Path, topology: SupervisedFile): Issue[] => {
  if (topology.kind !== 'router') return [];
  const { routes, on_unknown: onUnknown, fallback } = topology;
  const names = routes.map(({ agent }) => agent);
  return [
    ...names.flatMap((name, index): Issue[] =>
      names.indexOf(name) < index
        ? [
            {
              code: 'VALUE_DUPLICATE',
              path: [...path, 'routes', index, 'agent'],
              message: `"${name}" has a route already`,
              hint: 'say all that is for it in one `when`',
            },
          ]
        : [],
    ),
    ...(onUnknown === 'fallback' && fallback === undefined
      ? [
          {
            code: 'KEY_MISSING' as const,
            path: [...path, 'on_unknown'],
            message: 'no fallback is named for what is for nobody',
            hint: 'add fallback: with an agent, or write on_unknown: fail',
          },
        ]
      : []),
    ...(onUnknown === 'ask' && fallback === undefined
      ? [
          {
            code: 'KEY_MISSING' as const,
            path: [...path, 'on_unknown'],
            message: 'no fallback is named that a person could be asked about, where the task is for nobody',
            hint: 'add fallback: with an agent, or write on_unknown: fail',
          },
        ]
      : []),
    ...(onUnknown === 'fail' && fallback !== undefined
      ? [
          {
            code: 'VALUE_INVALID' as const,
            severity: 'warning' as const,
            path: [...path, 'fallback'],
            onKey: true,
            message: 'the fallback is never asked with on_unknown: fail',
            hint: 'remove one of them',
          },
        ]
      : []),
  ];
};

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

const ofKind = ({ agents }: TeamFile, kinds: readonly AgentFile['kind'][]): string[] =>
  Object.keys(agents).filter((name) => kinds.includes(agents[name]!.kind));

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

/** The teams that a topology gives steps to. */
const teamsBelow = (file: TeamFile, topology: TopologyFile): Use[] => memberUses([], topology).filter(({ name }) => lookUp(file.agents, name)?.kind === 'team');

/** No team may work for itself, by whatever way: every cycle once. */
const teamCycleIssues = (file: TeamFile): Issue[] => {
  const inside = places(file).filter(({ team }) => team !== undefined);
  return cyclesIn(inside.map(({ team, topology }) => ({ id: team!, needs: teamsBelow(file, topology).map(({ name }) => name) }))).map((cycle): Issue => {
    const { path, topology } = inside.find(({ team }) => team === cycle[0])!;
    return {
      code: 'TEAM_CYCLE',
      path: memberUses(path, topology).find(({ name }) => name === cycle[1])!.path,
      message: `these teams work for each other: ${cycle.join(' -> ')}`,
      hint: 'no team may have a part in itself',
    };
  });
};

/** How many teams stand inside each other below the file's own topology. */
const depthIssues = (file: TeamFile): Issue[] => {
  const { depth } = file.limits;
  const tooDeep = ({ path, topology }: Pick<Place, 'path' | 'topology'>, teams: readonly string[]): Issue[] =>
    memberUses(path, topology).flatMap(({ path: at, name }): Issue[] => {
      const agent = lookUp(file.agents, name);
      if (agent?.kind !== 'team') return [];
      const inside = [...teams, name];
      if (inside.length >= depth) {
        const message = `${['the team', ...inside].join(' -> ')} is ${inside.length + 1} teams inside each other; at most ${depth} are allowed`;
        const flatter = 'put the work of two teams into one';
        const hint = depth < DEPTH_MAX ? `raise limits.depth, ${DEPTH_MAX} at most, or ${flatter}` : flatter;
        return [{ code: 'TEAM_TOO_DEEP', path: at, message, hint }];
      }
      return tooDeep({ path: ['agents', name, 'topology'], topology: agent.topology }, inside);
    });
  const issues = tooDeep({ path: ['topology'], topology: file.topology }, []);
  return issues.filter((issue, index) => issues.findIndex(({ path }) => path.join() === issue.path.join()) === index);
};

/** Nobody stands above the supervisor of the whole team. */
const handUpIssues = ({ topology }: TeamFile): Issue[] =>
  topology.kind !== 'peers' && topology.on_rejected === 'hand_up'
    ? [
        {
          code: 'VALUE_INVALID',
          path: ['topology', 'on_rejected'],
          message: 'nobody is above this supervisor to hand work up to',
          hint: 'expected accept_with_note | fail | ask | take_over here; hand_up is for teams inside the team',
        },
      ]
    : [];

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

const stepIssues = (file: TeamFile): Issue[] =>
  places(file).flatMap(({ path, topology }) =>
    topology.kind === 'workflow' ? planIssues({ steps: topology.steps, state: topology.state, inputs: file.inputs }, [...path, 'steps']) : [],
  );

const duplicateIssues = (names: readonly string[], path: Path): Issue[] =>
  names.flatMap((name, index): Issue[] =>
    names.indexOf(name) < index ? [{ code: 'VALUE_DUPLICATE', path: [...path, index], message: `"${name}" is in the list already` }] : [],
  );

// --- peers -----------------------------------------------------------------------------------------------------------------

const peerIssues = ({ topology, agents }: TeamFile): Issue[] => {
  if (topology.kind !== 'peers') return [];
  const { peers, protocol, rounds, fanout, vote, weights } = topology;
  const external = peers.flatMap((name, index): Issue[] => {
    const agent = lookUp(agents, name);
    if (!agent || !isExternal(agent)) return [];
    return [
      {
        code: 'AGENT_KIND',
        path: ['topology', 'peers', index],
        message: `"${name}" is external, and a peer is played by Troupe`,
        hint: 'remove it, or external: true',
      },
    ];
  });
  const strangers = Object.keys(weights)
    .filter((name) => !peers.includes(name))
    .map((name): Issue => ({
      code: 'AGENT_UNKNOWN',
      path: ['topology', 'weights', name],
      onKey: true,
      message: `"${name}" is none of the peers`,
      hint: knownHint(name, peers),
    }));
  const isWeighted = protocol === 'debate' && vote === 'weighted';
  const unused: Issue[] =
    Object.keys(weights).length > 0 && !isWeighted
      ? [
          {
            code: 'PEERS_UNUSED',
            severity: 'warning',
            path: ['topology', 'weights'],
            onKey: true,
            message: 'weights count only in a debate with vote: weighted',
            hint: 'write both, or remove them',
          },
        ]
      : [];
  const needed = roundsToAll(peers.length, fanout);
  const few: Issue[] =
    protocol === 'gossip' && rounds < needed
      ? [
          {
            code: 'PEERS_TOO_FEW_ROUNDS',
            severity: 'warning',
            path: ['topology', 'rounds'],
            message: `a fact reaches ${peers.length} peers in ${needed} rounds with fanout ${fanout}, and there are ${rounds}`,
            hint: 'raise rounds or fanout',
          },
        ]
      : [];
  return [...external, ...strangers, ...unused, ...few];
};

// --- tools -----------------------------------------------------------------------------------------------------------------

const toolsOf = (agent: PersonFile): readonly string[] => (agent.kind === 'supervisor' ? [] : agent.tools);

const toolIssues = (file: Hosted, { tools: known }: Catalogue): Issue[] => {
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
const outputIssues = ({ agents }: Hosted): Issue[] =>
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
const modelUses = (file: Hosted): ModelUse[] => [
  ...Object.entries(file.models).flatMap(([alias, candidates]) => candidates.map((model, index) => ({ path: ['models', alias, index], model }))),
  ...modelKeys(file).filter(({ model }) => model.includes('/')),
];

/** Each place where an agent names a model, by what stands there. */
const modelKeys = ({ agents }: Hosted): ModelUse[] =>
  Object.entries(agents).flatMap(([name, { model, cheaper_model: cheaper }]) => [
    { path: ['agents', name, 'model'], model },
    ...(cheaper === undefined ? [] : [{ path: ['agents', name, 'cheaper_model'], model: cheaper }]),
  ]);

const modelIssues = (file: Hosted, { providers: installed, models, price }: Catalogue): Issue[] => {
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

const ratesFor = (file: Hosted, model: string, { price }: Catalogue): Rates | undefined => {
  const own = lookUp(file.prices, model);
  if (own) return ratesOf(own);
  return scriptedModels(file).includes(model) ? FREE : price(model);
};

/** A cheaper model has to cost less than one, at least, of the models that it stands in for. */
const cheaperIssues = (file: Hosted, catalogue: Catalogue): Issue[] =>
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
const cheapestOf = (file: Hosted, name: string, catalogue: Catalogue): Call[] => {
  const agent = lookUp(file.agents, name);
  if (!agent) return [];
  const calls = candidatesOf(file, agent.model).flatMap((model): Call[] => {
    const rates = ratesFor(file, model, catalogue);
    return rates ? [{ agent: name, model, nanos: catalogue.cheapestCall(model, rates, agent.limits.max_tokens) }] : [];
  });
  return cheapest(calls);
};

/** Of a team, the cheapest of its members' calls. */
const cheapestBelow = (file: TeamFile, hosted: Hosted, name: string, catalogue: Catalogue): Call[] => {
  const agent = lookUp(file.agents, name);
  if (agent?.kind !== 'team') return cheapestOf(hosted, name, catalogue);
  return cheapest(usesIn({ path: [], topology: agent.topology }).flatMap((use) => cheapestOf(hosted, use.name, catalogue)));
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
const keptBack = ({ budget }: Pick<TeamFile, 'budget'>): bigint => (budget.on_exhausted === 'answer' ? dollars(budget.keep_back) : 0n);

const budgetIssues = (file: TeamFile, hosted: Hosted, catalogue: Catalogue): Issue[] => [
  ...orElse([...keepBackIssues(hosted, catalogue), ...sliceIssues(file)], () => poolIssues(file, hosted, catalogue)),
  ...Object.keys(file.agents).flatMap((name) => agentBudgetIssues(file, name, hosted, catalogue)),
  ...countIssues(file, hosted),
  ...openIssues(file),
];

/** What is set aside for silence must be there, and nothing is where more than money is limited. */
const openIssues = ({ budget }: TeamFile): Issue[] => {
  const { open_up_to: openUpTo, limit } = budget;
  if (openUpTo === undefined) return [];
  const path = ['budget', 'open_up_to'];
  if (dollars(openUpTo) >= dollars(limit)) {
    const message = `${formatDollars(dollars(openUpTo))} leaves nothing of the limit, ${formatDollars(dollars(limit))}, to ask for`;
    return [{ code: 'BUDGET_NOT_COVERED', path, message, hint: 'set less aside for each agent' }];
  }
  const counted = (['tokens', 'calls', 'tool_calls', 'call_s'] as const).find((key) => budget[key] !== undefined);
  if (counted === undefined) return [];
  const message = `nothing is set aside beside budget.${counted}: while nobody answers, only money could be counted`;
  return [{ code: 'BUDGET_UNUSED', severity: 'warning', path, message, hint: 'remove one of the two' }];
};

/** What agents without a slice share: the limit without the slices and without what is kept back. */
const poolIssues = (file: TeamFile, hosted: Hosted, catalogue: Catalogue): Issue[] => {
  const limit = dollars(file.budget.limit);
  const slices = holdersIn(file, file.topology).reduce((sum, name) => sum + (sliceOf(lookUp(file.agents, name)) ?? 0n), 0n);
  const pool = limit - slices - keptBack(file);
  const calls = cheapest(
    holdersIn(file, file.topology)
      .filter((name) => sliceOf(lookUp(file.agents, name)) === undefined)
      .flatMap((name) => cheapestBelow(file, hosted, name, catalogue)),
  );
  if (pool === limit) return tooLittle(['budget', 'limit'], limit, 'any call: the cheapest', calls, 'raise it, or name a cheaper model');
  return tooLittle(
    ['budget', 'limit'],
    pool,
    'any call of the agents without a slice: it is what slices and keep_back leave of the limit, and the cheapest',
    calls,
    'raise it, or make a slice smaller',
  );
};

const keepBackIssues = (file: Hosted, catalogue: Catalogue): Issue[] => {
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
  if (file.topology.kind === 'peers') {
    if (kept === 0n) return [];
    return [{ code: 'BUDGET_UNUSED', severity: 'warning', path, message: 'nobody makes a closing answer among peers', hint: 'remove it' }];
  }
  return tooLittle(path, kept, 'a closing answer: the cheapest', cheapestOf(file, file.topology.supervisor, catalogue), 'keep more back');
};

/** Where an account takes its money from: the run's, or that of a team with money of its own. */
type Purse = { readonly nanos: bigint; readonly of: string; readonly holders: readonly string[] };

/** The accounts that slices are moved from, each with whom they are moved to: members of the team, and of the teams in it that have no slice. */
const purses = (file: TeamFile): Purse[] => [
  { nanos: dollars(file.budget.limit) - keptBack(file), of: 'the limit', holders: holdersIn(file, file.topology) },
  ...places(file).flatMap(({ team, topology }): Purse[] => {
    const budget = team === undefined ? undefined : lookUp(file.agents, team)?.budget;
    const own = budget?.slice ?? budget?.limit;
    return own === undefined ? [] : [{ nanos: dollars(own), of: `what team ${team} has`, holders: holdersIn(file, topology) }];
  }),
];

/** Agents that a topology pays for, with those of the teams below it that have no slice. */
const holdersIn = (file: TeamFile, topology: TopologyFile, above: readonly string[] = []): string[] => {
  const named = usesIn({ path: [], topology }).map(({ name }) => name);
  return reachedFrom(named, (name) => handoffsOf(file, name)).flatMap((name) => {
    const agent = lookUp(file.agents, name);
    const isOpen = agent?.kind === 'team' && agent.budget?.slice === undefined && !above.includes(name);
    return isOpen ? holdersIn(file, agent.topology, [...above, name]) : [name];
  });
};

/** Slices are moved away when the run begins: all of them must be there, beside what is kept back. */
const sliceIssues = (file: TeamFile): Issue[] =>
  purses(file).flatMap(({ nanos, of, holders }) => {
    let moved = 0n;
    return holders.flatMap((name): Issue[] => {
      const slice = sliceOf(lookUp(file.agents, name));
      if (slice === undefined) return [];
      const left = nanos - moved;
      moved += slice;
      if (slice <= left) return [];
      const message = `a slice of ${formatDollars(slice)} is more than the ${formatDollars(left > 0n ? left : 0n)} that ${of === 'the limit' ? 'keep_back and ' : ''}the slices before it leave of ${of}, ${formatDollars(of === 'the limit' ? nanos + keptBack(file) : nanos)}`;
      const hint = of === 'the limit' ? 'raise budget.limit, or make a slice smaller' : 'give the team more, or make a slice smaller';
      return [{ code: 'BUDGET_NOT_COVERED', path: ['agents', name, 'budget', 'slice'], message, hint }];
    });
  });

const agentBudgetIssues = (file: TeamFile, name: string, hosted: Hosted, catalogue: Catalogue): Issue[] => {
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
    return tooLittle(path, nanos, 'any call: the cheapest', cheapestBelow(file, hosted, name, catalogue), 'raise it, or name a cheaper model');
  });
};

/** A call is granted only if all the seconds that it may take, and the shortest answer that is worth it, fit into the limits. */
const countIssues = (file: TeamFile, hosted: Hosted): Issue[] => {
  const used = new Set(uses(file).map(({ name }) => name));
  const people = (names: Iterable<string>): PersonFile[] => [...names].flatMap((name) => lookUp(hosted.agents, name) ?? []);
  const membersOf = (name: string, agent: AgentFile): Iterable<string> =>
    agent.kind === 'team' ? new Set(usesIn({ path: [], topology: agent.topology }).map((use) => use.name)) : [name];
  return [
    ...countIssuesAt(['budget'], file.budget, people(used)),
    ...Object.entries(file.agents).flatMap(([name, agent]) =>
      agent.budget ? countIssuesAt(['agents', name, 'budget'], agent.budget, people(membersOf(name, agent))) : [],
    ),
  ];
};

const countIssuesAt = (path: Path, { call_s: seconds, tokens }: Pick<TeamFile['budget'], 'call_s' | 'tokens'>, agents: readonly PersonFile[]): Issue[] => {
  if (agents.length === 0) return [];
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
const grantIssues = ({ agents, budget: { grant_timeout_s: grantS } }: Hosted): Issue[] =>
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

const texts = (file: TeamFile): Text[] => [
  ...(file.task === undefined ? [] : [{ path: ['task'], text: file.task }]),
  ...Object.entries(file.agents).flatMap(([name, agent]) => {
    const told = agent.kind === 'team' ? { role: agent.role ?? '' } : { role: agent.role, goal: agent.goal, backstory: agent.backstory };
    return Object.entries(told).map(([key, text]) => ({ path: ['agents', name, key], text }));
  }),
  ...places(file).flatMap(({ path, topology }) =>
    topology.kind === 'workflow' ? topology.steps.flatMap((step, index) => stepTexts(step, [...path, 'steps', index])) : [],
  ),
  ...places(file).flatMap(({ path, topology }) =>
    topology.kind === 'router' ? topology.routes.map(({ when: text }, index) => ({ path: [...path, 'routes', index, 'when'], text })) : [],
  ),
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

const unusedInputIssues = (hosted: Hosted, file: TeamFile, { tools }: Catalogue): Issue[] => {
  const asked = places(file).flatMap(({ topology }) => (topology.kind === 'workflow' ? inputsAskedBy(topology.steps) : []));
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
