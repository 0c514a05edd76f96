/**
 * What the picture of every team is made of, whatever its topology: who sits where, what an agent may use and spend and what it is
 * at, and what two say to each other, with how often they did. team-supervised.ts and team-peers.ts put topologies together from it.
 */
import type { LimitSpec, Measure } from '../protocols/account.ts';
import type { MessageName } from '../protocols/catalogue.ts';
import { parseAddress, type Address } from '../protocols/ids.ts';
import { formatDollars } from '../protocols/money.ts';
import type { HostedAgent, Team, TeamAgent } from '../topology/team.ts';
import { phrase, type Accent, type Arrow, type Box, type Line } from './picture/drawing.ts';
import { stateInWords, type Figure, type Story } from './story.ts';

/** Whoever started the run and answers its questions. */
export const CLIENT = '(client)';
export const APPROVER = '(approver)';
export const BUDGET = '(budget)';
export const CONVENER = '(convener)';

/** What is drawn: a team, and what became of it. `within`: before the ids of the boxes, the teams that they stand in. */
export type Scene = { readonly team: Team; readonly story: Story | undefined; readonly within: string };

/** Somebody, or several who are alike to the others, as messages are sent to them. */
export type Seat = { readonly box: string; readonly title: string; readonly names: readonly string[] };

/** What two may send each other, and on what rule. */
export type Channel = {
  readonly from: Seat;
  readonly to: Seat;
  readonly rule?: Line;
  readonly says: readonly MessageName[];
  readonly hears: readonly MessageName[];
};

/** Those who stand in a topology. */
export type Parts = {
  /** How they come to an answer. */
  readonly how: string;
  /** Whom the client, or the supervisor above, speaks to. */
  readonly head: Seat;
  readonly all: readonly string[];
  /** Who may need a person's decision. */
  readonly asking: readonly Seat[];
  readonly boxes: readonly Box[];
  readonly arrows: readonly Arrow[];
};

export const alone = (box: string, title = box, names: readonly string[] = [box]): Seat => ({ box, title, names });

/** An agent at its place. */
export const seatOf = ({ within }: Scene, name: string): Seat => alone(`${within}${name}`, name, [name]);

/** One stands alone, several in a group. */
export const seatTogether = (scene: Scene, title: string, names: readonly string[], lines: readonly Line[] = []): readonly [Seat, readonly Box[]] => {
  const boxes = names.map((name) => agentBox(scene, seatOf(scene, name)));
  if (names.length === 1) return [seatOf(scene, names[0]!), boxes];
  const id = `${scene.within}(${title})`;
  return [{ box: id, title, names }, names.length === 0 ? [] : [{ id, kind: 'group', title: `${names.length} ${title}`, lines, children: boxes, accents: [] }]];
};

export const party = ({ box, title }: Seat, lines: readonly Line[], accents: readonly Accent[] = []): Box => ({
  id: box,
  kind: 'party',
  title,
  lines,
  children: [],
  accents,
});

/** An agent of the team, by the name of its seat. */
export const agentBox = (scene: Scene, seat: Seat, more: readonly Line[] = []): Box =>
  party(seat, [...agentLines(scene.team.agents[seat.title]!), ...more, ...doingLines(scene, seat)], accentsOf(scene, seat));

const agentLines = (agent: TeamAgent): Line[] => {
  if (agent.kind === 'external')
    return [{ phrases: [phrase(agent.as, 'guard'), phrase(agent.role)] }, { phrases: [phrase('played by a program of its own', 'muted')] }];
  const about: Line = { phrases: [phrase(agent.kind, 'guard'), phrase(agent.role)] };
  if (agent.kind === 'team') return [about, ...moneyLines(agent.budget)];
  const { models, tools, budget } = agent;
  return [
    about,
    { sign: 'model', phrases: [phrase(models[0]!), ...models.slice(1).flatMap((model) => [phrase('or', 'muted'), phrase(model, 'muted')])] },
    ...(tools.length === 0 ? [] : [{ sign: 'tool', phrases: [phrase(tools.join(', '))] } satisfies Line]),
    ...moneyLines(budget),
  ];
};

/** What of the run's money is for somebody, or how much of it at most. */
export const moneyLines = (budget: HostedAgent['budget']): Line[] => {
  if (!budget) return [];
  const { sliceNanos, limits } = budget;
  const words = [...(sliceNanos === undefined ? [] : [`${formatDollars(BigInt(sliceNanos))} of its own`]), ...limits.map(limitInWords)];
  return [{ sign: 'money', phrases: [phrase(words.join(', '))] }];
};

const UNITS: Readonly<Record<Exclude<Measure, 'money'>, string>> = { tokens: 'tokens', calls: 'calls', tool_calls: 'tool calls', seconds: 's of calls' };

export const limitInWords = ({ measure, amount }: LimitSpec): string => {
  if (measure === 'money') return `at most ${formatDollars(BigInt(amount))}`;
  const count = measure === 'seconds' ? BigInt(amount) / 1_000n : BigInt(amount);
  return `${count.toLocaleString('en')} ${UNITS[measure]}`;
};

const figuresOf = (scene: Scene, { names }: Seat): Figure[] =>
  scene.story ? [...scene.story.figures.values()].filter(({ address }) => names.includes(nameOf(scene, address))) : [];

/** What a seat's actors are at: those that go on by their state, those that have ended by number. */
export const doingLines = (scene: Scene, seat: Seat): Line[] => {
  const figures = figuresOf(scene, seat);
  if (!scene.story || figures.length === 0) return [];
  const ended = figures.filter((figure) => figure.ended).length;
  const states = Map.groupBy(
    figures.filter((figure) => !figure.ended),
    ({ snapshot }) => stateInWords(snapshot.value),
  );
  const busy = [...states].map(([state, those]) => (those.length > 1 ? `${those.length} ${state}` : state));
  const addresses = new Set(figures.map(({ address }) => address));
  return [
    { phrases: [phrase([...busy, ...(ended > 0 ? [`${ended} ended`] : [])].join('; '), 'name')] },
    { sign: 'money', phrases: [phrase(formatDollars(scene.story.spentBy((address) => addresses.has(address)))), phrase('spent', 'muted')] },
  ];
};

export const accentsOf = (scene: Scene, seat: Seat): Accent[] => {
  const figures = figuresOf(scene, seat);
  if (figures.some(({ ended }) => !ended)) return ['active'];
  return figures.length > 0 ? ['taken'] : [];
};

/** Whose name stands at the seat of an actor: of an agent its own, of a supervisor inside the run's the team's. */
const nameOf = ({ team: { topology } }: Scene, address: Address): string => {
  const { role, agent } = parseAddress(address);
  switch (role) {
    case 'client':
      return CLIENT;
    case 'approver':
      return APPROVER;
    case 'budget':
      return BUDGET;
    case 'supervisor':
      return agent ?? (topology.kind === 'peers' ? CONVENER : topology.supervisor);
    default:
      return agent ?? role;
  }
};

/** What was said by some to some, with what each said about it. */
export const saidBetween = (scene: Scene, sender: Seat, hearer: Seat, type: MessageName): readonly Readonly<Record<string, unknown>>[] =>
  (scene.story?.happenings ?? []).flatMap((one) =>
    one.kind === 'said' && one.type === type && sender.names.includes(nameOf(scene, one.from)) && hearer.names.includes(nameOf(scene, one.to))
      ? [one.data]
      : [],
  );

type Spoken = { readonly line: Line; readonly wasSaid: boolean };

/** `lead: task.assign ×2, .cancel`. */
export const spoken = (scene: Scene, title: string, sender: Seat, hearer: Seat, types: readonly MessageName[]): Spoken => {
  const area = types[0]!.split('.')[0]!;
  const times = types.map((type) => saidBetween(scene, sender, hearer, type).length);
  const names = types.map((type, at) => `${at > 0 && type.startsWith(`${area}.`) ? type.slice(area.length) : type}${timesInWords(times[at]!)}`);
  return { line: { phrases: [phrase(`${title}:`, 'muted'), phrase(names.join(', '), 'name')] }, wasSaid: times.some((count) => count > 0) };
};

export const timesInWords = (count: number): string => (count > 0 ? ` ×${count}` : '');

export const talk = (scene: Scene, { from, to, rule, says, hears }: Channel): Arrow => {
  const told = [spoken(scene, from.title, from, to, says), ...(hears.length === 0 ? [] : [spoken(scene, to.title, to, from, hears)])];
  return {
    id: `${from.box} to ${to.box}`,
    from: from.box,
    to: to.box,
    lines: [...(rule ? [rule] : []), ...told.map(({ line }) => line)],
    accents: told.some(({ wasSaid }) => wasSaid) ? ['taken'] : [],
    ...(hears.length > 0 && { both: true }),
  };
};
