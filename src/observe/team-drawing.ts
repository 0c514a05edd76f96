/**
 * The drawing of a team: who is in it, what each may use and spend, and who may send what to whom. With a story, what was sent and
 * who is at work. A new kind of topology is one more case of `partsOf`, which says who stands there and what they say to each other.
 */
import type { LimitSpec, Measure } from '../protocols/account.ts';
import type { MessageName } from '../protocols/catalogue.ts';
import { parseAddress, type Address } from '../protocols/ids.ts';
import { formatDollars } from '../protocols/money.ts';
import type { HostedAgent, Team, TeamAgent, Topology } from '../topology/team.ts';
import { phrase, type Accent, type Arrow, type Box, type Drawing, type Line } from './picture/drawing.ts';
import { stateInWords, type Figure, type Story } from './story.ts';

/** Whoever started the run and answers its questions. */
const CLIENT = '(client)';
const APPROVER = '(approver)';
const BUDGET = '(budget)';
const WHOLE = '(team)';

/** Somebody, or several who are alike to the others, as messages are sent to them. */
type Seat = { readonly box: string; readonly title: string; readonly names: readonly string[] };

/** What two may send each other. */
type Channel = {
  readonly from: Seat;
  readonly to: Seat;
  readonly says: readonly MessageName[];
  readonly hears: readonly MessageName[];
};

/** What is drawn: a team, and what became of it. */
type Scene = { readonly team: Team; readonly story: Story | undefined };

/** Those who stand in a topology. */
type Parts = {
  /** How they come to an answer. */
  readonly how: string;
  /** Whom the client speaks to. */
  readonly head: Seat;
  readonly all: readonly string[];
  /** Who may need a person's decision. */
  readonly asking: readonly Seat[];
  readonly boxes: readonly Box[];
  readonly channels: readonly Channel[];
};

export const teamDrawing = (team: Team, story?: Story): Drawing => {
  const parts = partsOf({ team, story }, team.topology);
  const { asking } = parts;
  const client = alone(CLIENT, 'you');
  const budget = alone(BUDGET, 'budget');
  const approver = alone(APPROVER, 'approver');
  const channels: Channel[] = [
    { from: client, to: parts.head, says: ['run.start', 'run.cancel'], hears: ['run.completed', 'run.failed'] },
    ...parts.channels,
    {
      from: { box: WHOLE, title: 'all', names: parts.all },
      to: budget,
      says: ['budget.reserve', 'budget.settle', 'budget.release', 'budget.orphaned', 'budget.close'],
      hears: ['budget.granted', 'budget.vetoed', 'budget.paused', 'budget.raised', 'budget.revoked', 'budget.closed'],
    },
    { from: client, to: budget, says: ['budget.raise', 'budget.freeze'], hears: ['budget.paused', 'budget.threshold'] },
    ...asking.map((who): Channel => ({ from: who, to: approver, says: ['approval.request'], hears: ['approval.decided'] })),
    ...(asking.length > 0 ? [{ from: client, to: approver, says: ['approval.answer'], hears: [] } satisfies Channel] : []),
  ];
  return {
    title: `team ${team.name}`,
    notes: [
      ...(team.description === '' ? [] : [{ phrases: [phrase(team.description)] }]),
      { phrases: [phrase(team.topology.kind, 'name'), phrase(parts.how, 'muted')] },
      ...(story ? [spendingLine(story)] : []),
    ],
    boxes: [
      party(client, [{ phrases: [phrase('whoever starts the run')] }], []),
      { id: WHOLE, kind: 'frame', title: team.name, lines: [], children: parts.boxes, accents: [] },
      party(budget, accountLines(team), []),
      ...(asking.length > 0 ? [party(approver, [{ phrases: [phrase('holds what a person must decide')] }], [])] : []),
    ],
    arrows: channels.map((channel) => arrowOf(channel, parts.head, story)),
  };
};

const alone = (name: string, title = name): Seat => ({ box: name, title, names: [name] });

const partsOf = (scene: Scene, topology: Topology): Parts => {
  const { supervisor, concurrency } = topology;
  switch (topology.kind) {
    case 'centralised':
      return supervised(
        scene,
        topology,
        topology.workers,
        `${supervisor} makes a plan of at most ${topology.maxSteps} steps and carries it out, ${concurrency} at once`,
      );
    case 'workflow':
      return supervised(
        scene,
        topology,
        [...new Set(topology.steps.map(({ agent }) => agent))],
        `${supervisor} carries out the ${topology.steps.length} steps of the file, ${concurrency} at once`,
      );
  }
};

type Supervision = { readonly supervisor: string; readonly reviewer?: string | undefined; readonly onRejected: string };

/** One gives work to the others, and has it judged. */
const supervised = (scene: Scene, { supervisor, reviewer, onRejected }: Supervision, members: readonly string[], how: string): Parts => {
  const reviewers = reviewer === undefined ? [] : [reviewer];
  const head = alone(supervisor);
  const [workers, workerBoxes] = seat('workers', scene, members);
  const [judges, judgeBoxes] = seat('reviewers', scene, reviewers);
  const asks = (name: string): boolean => {
    const agent = scene.team.agents[name];
    return agent?.kind === 'reviewer' && agent.askBelow > 0;
  };
  return {
    how,
    head,
    all: [supervisor, ...members, ...reviewers],
    asking: [...(onRejected === 'ask' ? [head] : []), ...(reviewers.some(asks) ? [judges] : [])],
    boxes: [agentBox(scene, supervisor), ...workerBoxes, ...judgeBoxes],
    channels: [
      { from: head, to: workers, says: ['task.assign', 'task.cancel'], hears: ['task.completed', 'task.failed'] },
      ...(reviewers.length === 0
        ? []
        : [{ from: head, to: judges, says: ['review.request', 'task.cancel'], hears: ['review.verdict', 'review.failed'] } satisfies Channel]),
    ],
  };
};

/** One stands alone, several in a group. */
const seat = (title: string, scene: Scene, names: readonly string[]): [Seat, Box[]] => {
  const boxes = names.map((name) => agentBox(scene, name));
  if (boxes.length < 2) return [{ box: names[0] ?? '', title: names[0] ?? '', names }, boxes];
  const id = `(${title})`;
  return [{ box: id, title, names }, [{ id, kind: 'group', title: `${names.length} ${title}`, lines: [], children: boxes, accents: [] }]];
};

const party = ({ box, title }: Seat, lines: readonly Line[], accents: readonly Accent[]): Box => ({
  id: box,
  kind: 'party',
  title,
  lines,
  children: [],
  accents,
});

const agentBox = ({ team, story }: Scene, name: string): Box => {
  const agent = team.agents[name]!;
  const figures = story ? [...story.figures.values()].filter(({ address, name: played }) => seatOf(address, played) === name) : [];
  return party(alone(name), [...agentLines(agent), ...(story && figures.length > 0 ? doingLines(figures, story) : [])], accentsOf(figures));
};

const agentLines = (agent: TeamAgent): Line[] => {
  if (agent.kind === 'external')
    return [{ phrases: [phrase(agent.as, 'guard'), phrase(agent.role)] }, { phrases: [phrase('played by a program of its own', 'muted')] }];
  const { kind, role, models, tools, budget } = agent;
  return [
    { phrases: [phrase(kind, 'guard'), phrase(role)] },
    { sign: 'model', phrases: [phrase(models[0]!), ...models.slice(1).flatMap((model) => [phrase('or', 'muted'), phrase(model, 'muted')])] },
    ...(tools.length === 0 ? [] : [{ sign: 'tool', phrases: [phrase(tools.join(', '))] } satisfies Line]),
    ...(budget ? [{ sign: 'money', phrases: [phrase(ownMoney(budget))] } satisfies Line] : []),
  ];
};

const ownMoney = ({ sliceNanos, limits }: NonNullable<HostedAgent['budget']>): string =>
  [...(sliceNanos === undefined ? [] : [`${formatDollars(BigInt(sliceNanos))} of its own`]), ...limits.map(limitInWords)].join(', ');

const UNITS: Readonly<Record<Exclude<Measure, 'money'>, string>> = { tokens: 'tokens', calls: 'calls', tool_calls: 'tool calls', seconds: 's of calls' };

const limitInWords = ({ measure, amount }: LimitSpec): string => {
  if (measure === 'money') return `at most ${formatDollars(BigInt(amount))}`;
  const count = measure === 'seconds' ? BigInt(amount) / 1_000n : BigInt(amount);
  return `${count.toLocaleString('en')} ${UNITS[measure]}`;
};

const accountLines = ({ budget }: Team): Line[] => [
  { sign: 'money', phrases: [phrase(formatDollars(BigInt(budget.limitNanos)), 'name'), phrase('for a run')] },
  ...(budget.limits.length === 0 ? [] : [{ phrases: [phrase(budget.limits.map(limitInWords).join(', '))] }]),
  ...(budget.account === undefined ? [] : [{ phrases: [phrase('from the account', 'muted'), phrase(budget.account)] }]),
  { phrases: [phrase('when it is used up:', 'muted'), phrase(budget.onExhausted)] },
  ...(budget.keptBackNanos === '0'
    ? []
    : [{ phrases: [phrase(formatDollars(BigInt(budget.keptBackNanos))), phrase('kept back for the closing answer', 'muted')] }]),
];

/** What an agent's actors are at: those that go on by their state, those that have ended by number. */
const doingLines = (figures: readonly Figure[], story: Story): Line[] => {
  const ended = figures.filter((figure) => figure.ended).length;
  const busy = figures.filter((figure) => !figure.ended).map(({ snapshot }) => stateInWords(snapshot.value));
  const addresses = new Set(figures.map(({ address }) => address));
  return [
    { phrases: [phrase([...busy, ...(ended > 0 ? [`${ended} ended`] : [])].join('; '), 'name')] },
    { sign: 'money', phrases: [phrase(formatDollars(story.spentBy((address) => addresses.has(address)))), phrase('spent', 'muted')] },
  ];
};

const accentsOf = (figures: readonly Figure[]): Accent[] => {
  if (figures.some(({ ended }) => !ended)) return ['active'];
  return figures.length > 0 ? ['taken'] : [];
};

const spendingLine = (story: Story): Line => ({
  sign: 'money',
  phrases: [phrase(formatDollars(story.spentBy(() => true)), 'name'), phrase(`spent after ${story.entries} entries`, 'muted')],
});

/** Whose name stands on the box of an actor. */
const seatOf = (address: Address, played: string | undefined): string => {
  const { role, agent } = parseAddress(address);
  switch (role) {
    case 'client':
      return CLIENT;
    case 'approver':
      return APPROVER;
    case 'budget':
      return BUDGET;
    default:
      return agent ?? played ?? role;
  }
};

/** `head`: whose name whoever has none of its own is drawn under. */
const arrowOf = ({ from, to, says, hears }: Channel, head: Seat, story: Story | undefined): Arrow => {
  const [lead] = head.names;
  const count = (sender: Seat, hearer: Seat, type: string): number =>
    (story?.happenings ?? []).filter(
      (one) => one.kind === 'said' && one.type === type && sender.names.includes(seatOf(one.from, lead)) && hearer.names.includes(seatOf(one.to, lead)),
    ).length;
  const spoken = (sender: Seat, hearer: Seat, types: readonly string[]) => types.map((type) => ({ type, times: count(sender, hearer, type) }));
  const there = spoken(from, to, says);
  const back = spoken(to, from, hears);
  return {
    id: `${from.box} to ${to.box}`,
    from: from.box,
    to: to.box,
    lines: [saidLine(from, there), ...(hears.length === 0 ? [] : [saidLine(to, back)])],
    accents: [...there, ...back].some(({ times }) => times > 0) ? ['taken'] : [],
    ...(hears.length > 0 && { both: true }),
  };
};

const saidLine = ({ title }: Seat, messages: readonly { readonly type: string; readonly times: number }[]): Line => {
  const area = messages[0]!.type.split('.')[0]!;
  const names = messages.map(({ type, times }) => `${type.startsWith(`${area}.`) ? type.slice(area.length) : type}${times > 0 ? ` ×${times}` : ''}`);
  return { phrases: [phrase(`${title}:`, 'muted'), phrase(`${area}${names.join(', ')}`, 'name')] };
};
