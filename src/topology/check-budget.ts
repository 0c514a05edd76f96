/**
 * The limits of a team file: money that must reach for a call, slices that must be there beside what is kept back, seconds and
 * tokens that a call must fit into, and permissions that must outlast their call. Pure, over the least that a call can cost.
 */
import { fewestTokens } from '../actors/conversation.ts';
import { formatDollars } from '../protocols/money.ts';
import type { Catalogue } from './catalogue.ts';
import { cheapest, cheapestBelow, cheapestOf, tooLittle } from './cheapest-call.ts';
import { reachedFrom } from './handoffs.ts';
import type { Hosted } from './hosted.ts';
import { lookUp } from './look-up.ts';
import { orElse, type Issue, type Path } from './problem.ts';
import { dollars, type AgentFile, type PersonFile, type TeamFile, type TopologyFile } from './schema.ts';
import { handoffsOf, places, uses, usesIn } from './uses.ts';

const sliceOf = (agent: AgentFile | undefined): bigint | undefined => (agent?.budget?.slice === undefined ? undefined : dollars(agent.budget.slice));

/** Only an answer that closes a run may use what is kept back, so it counts where there is one. */
const keptBack = ({ budget }: Pick<TeamFile, 'budget'>): bigint => (budget.on_exhausted === 'answer' ? dollars(budget.keep_back) : 0n);

export const budgetIssues = (file: TeamFile, hosted: Hosted, catalogue: Catalogue): Issue[] => [
  ...orElse([...keepBackIssues(hosted, catalogue), ...sliceIssues(file)], () => poolIssues(file, hosted, catalogue)),
  ...Object.keys(file.agents).flatMap((name) => agentBudgetIssues(file, name, hosted, catalogue)),
  ...countIssues(file, hosted),
  ...openIssues(file),
  ...sharedIssues(file),
];

/** What a shared account does by rules of its own, with the values that a team file has where it says nothing. */
const RULES_OF_ACCOUNT = {
  on_exhausted: 'pause',
  keep_back: '0',
  orphans: 'charge',
  wait_timeout_s: 60,
  thresholds: [50, 80, 95],
  grant_timeout_s: 180,
} as const;

const sharedIssues = ({ budget }: TeamFile): Issue[] => {
  const { account } = budget;
  if (account === undefined) return [];
  return (Object.keys(RULES_OF_ACCOUNT) as (keyof typeof RULES_OF_ACCOUNT)[]).flatMap((key): Issue[] => {
    if (JSON.stringify(budget[key]) === JSON.stringify(RULES_OF_ACCOUNT[key])) return [];
    const message = `account ${account} is shared and has a rule of its own for this`;
    return [{ code: 'BUDGET_UNUSED', severity: 'warning', path: ['budget', key], message, hint: 'remove it, or the account' }];
  });
};

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
export const grantIssues = ({ agents, budget: { grant_timeout_s: grantS } }: Hosted): Issue[] =>
  Object.entries(agents)
    .filter(([, { limits }]) => limits.timeout_s >= grantS)
    .map(([name, { limits }]) => ({
      code: 'GRANT_TOO_SHORT',
      severity: 'warning',
      path: ['agents', name, 'limits', 'timeout_s'],
      message: `a call may take ${limits.timeout_s} s, but a permission to spend holds ${grantS} s`,
      hint: `raise budget.grant_timeout_s above ${limits.timeout_s}`,
    }));
