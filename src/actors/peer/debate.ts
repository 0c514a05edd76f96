/**
 * Debate: each peer takes a position, objects to those of the others, and takes it again with the objections to it in mind, so
 * many rounds; a round in which nobody objects is the last. Then all of them vote.
 */
import type { ChatMessage } from '../../protocols/model.ts';
import type { Report } from '../../protocols/formats.ts';
import { failure } from '../../protocols/failure.ts';
import { findingLines, readReply, sectionsMessage, systemMessage } from '../conversation.ts';
import {
  count,
  gather,
  meOf,
  noConclusion,
  othersOf,
  passed,
  said,
  sayToAll,
  type Minute,
  type Move,
  type Protocol,
  type RulesOf,
  type Table,
} from './table.ts';

type Rules = RulesOf<'debate'>;
type Position = Minute<'debate.position'>;

const positionIn = (round: number): string => `position-${round}`;
const critiqueIn = (round: number): string => `critique-${round}`;
const VOTE = 'vote';
const roundOf = (phase: string): number => Number(phase.slice(phase.lastIndexOf('-') + 1));

const CRITIQUE_DUTY =
  'Say what is wrong in the positions of the others: what their sources do not carry, what contradicts yours, what is missing. ' +
  'Answer with JSON {"objections": [{"agent", "text"}]}, none where you have nothing against a position; an agent is one of those whose positions you see.';
const BALLOT_DUTY =
  'Vote for the position that answers the question best, whoever took it. Answer with JSON {"choice", "reason"}; the choice is one of the agents whose positions you see.';

const next = (table: Table, rules: Rules): Move => {
  for (let round = 1; round <= rules.rounds; round++) {
    const taken = positionMove(table, round);
    if (taken) return taken;
    if (round === rules.rounds) break;
    const objected = critiqueMove(table, round);
    if (objected) return objected;
    if (objectionsIn(table, round).length === 0) break;
  }
  return latest(table).length === 0 ? noConclusion(table, failure('PEERS_SILENT', 'none of the peers took a position')) : voteMove(table, rules);
};

const positionMove = (table: Table, round: number): Move | undefined => {
  const phase = positionIn(round);
  const me = meOf(table);
  const took = (name: string) => said(table, 'debate.position').some((minute) => minute.round === round && minute.by === name);
  if (took(me) || passed(table, phase, me)) return gather(table, phase, othersOf(table), took);
  const before = latest(table).find(({ by }) => by === me);
  if (!before) return { kind: 'work', phase, task: { step: phase, instructions: table.goal, findings: [] } };
  const reasons = objectionsIn(table, round - 1).flatMap(({ by, agent, text }) => (agent === me ? [`${by}: ${text}`] : []));
  const { text, citations } = before;
  if (reasons.length === 0) return sayToAll(table, { type: 'debate.position', round, text, citations });
  return { kind: 'work', phase, task: { step: phase, instructions: table.goal, findings: [], feedback: { previous: text, reasons } } };
};

const critiqueMove = (table: Table, round: number): Move | undefined => {
  const phase = critiqueIn(round);
  const me = meOf(table);
  const spoke = (name: string) => said(table, 'debate.critique').some((minute) => minute.round === round && minute.by === name);
  if (spoke(me) || passed(table, phase, me)) return gather(table, phase, othersOf(table), spoke);
  const others = latest(table).filter(({ by }) => by !== me);
  if (others.length === 0) return sayToAll(table, { type: 'debate.critique', round, objections: [] });
  return { kind: 'ask', phase, format: 'critique', messages: over(table, CRITIQUE_DUTY, others) };
};

const over = (table: Table, duty: string, positions: readonly Position[]): ChatMessage[] => [
  systemMessage(table.profile, [duty]),
  sectionsMessage([
    ['Question', table.goal],
    ['Positions', findingLines(positions.map(({ by, text, citations }) => ({ step: 'position', agent: by, text, citations })))],
  ]),
];

/** Each peer's last one, in the order of the table. */
const latest = (table: Table): Position[] =>
  table.peers.flatMap((name) => {
    const own = said(table, 'debate.position').filter(({ by }) => by === name);
    return own.length === 0 ? [] : [own.reduce((last, one) => (one.round >= last.round ? one : last))];
  });

const objectionsIn = (table: Table, round: number) =>
  said(table, 'debate.critique')
    .filter((minute) => minute.round === round)
    .flatMap(({ by, objections }) => objections.map((objection) => ({ by, ...objection })));

const voteMove = (table: Table, rules: Rules): Move => {
  const me = meOf(table);
  const candidates = latest(table);
  const votes = said(table, 'debate.vote');
  const voted = (name: string) => votes.some(({ by }) => by === name);
  if (!voted(me) && !passed(table, VOTE, me)) return { kind: 'ask', phase: VOTE, format: 'ballot', messages: over(table, BALLOT_DUTY, candidates) };
  return gather(table, VOTE, othersOf(table), voted) ?? counted(table, rules);
};

export type Tally = {
  /** The weight behind each that was voted for, the most first; equals by name. */
  readonly shares: readonly { readonly name: string; readonly weight: number }[];
  readonly cast: number;
  readonly all: number;
  readonly outcome: 'agreed' | 'elected' | 'tied' | 'undecided' | 'no quorum';
};

export const tally = (rules: Rules, peers: readonly string[], votes: readonly { readonly by: string; readonly choice: string }[]): Tally => {
  const weightOf = (name: string): number => (rules.vote === 'weighted' ? (rules.weights[name] ?? 1) : 1);
  const shares = [...Map.groupBy(votes, ({ choice }) => choice)]
    .map(([name, for_]) => ({ name, weight: for_.reduce((sum, { by }) => sum + weightOf(by), 0) }))
    .toSorted((a, b) => b.weight - a.weight || (a.name < b.name ? -1 : 1));
  const cast = shares.reduce((sum, { weight }) => sum + weight, 0);
  const all = peers.reduce((sum, name) => sum + weightOf(name), 0);
  return { shares, cast, all, outcome: outcomeOf(rules, shares, cast, all) };
};

const outcomeOf = ({ vote, quorum }: Rules, shares: Tally['shares'], cast: number, all: number): Tally['outcome'] => {
  const [first, second] = shares;
  if (!first || cast < quorum * all) return 'no quorum';
  if (!second) return 'agreed';
  if (vote === 'unanimous') return 'undecided';
  if (first.weight * 2 > cast) return 'elected';
  return first.weight === second.weight ? 'tied' : 'undecided';
};

const counted = (table: Table, rules: Rules): Move => {
  const candidates = latest(table);
  const votes = said(table, 'debate.vote').filter(({ choice }) => candidates.some(({ by }) => by === choice));
  const { shares, cast, all, outcome } = tally(rules, table.peers, votes);
  const leader = candidates.find(({ by }) => by === shares[0]?.name) ?? candidates[0]!;
  const answer: Report = { text: leader.text, citations: leader.citations };
  const rounds = Math.max(...candidates.map(({ round }) => round));
  const figures = `${shares.map(({ name, weight }) => `${name} ${weight}`).join(', ') || 'no votes'} of ${all}`;
  const conclude = (by: 'agreement' | 'vote', note: string, question?: string): Move => ({
    kind: 'conclude',
    conclusion: { answer: answer.text, citations: answer.citations, ended: { by, rounds, note }, ...(question !== undefined && { question }) },
  });
  switch (outcome) {
    case 'agreed':
      return cast === all ? conclude('agreement', `all of them for ${leader.by}`) : conclude('vote', figures);
    case 'elected':
      return conclude('vote', figures);
    case 'tied':
      if (rules.onTie === 'first') return conclude('vote', `${figures}; a tie, and ${leader.by} is the first of them by name`);
      return conclude('vote', `${figures}; a tie`, `The vote is tied (${figures}). Take the position of ${leader.by}?`);
    case 'undecided':
      return noConclusion(
        table,
        failure(
          'PEERS_UNDECIDED',
          `${count(rounds, 'round')} of debate, and the vote is not ${rules.vote === 'unanimous' ? 'unanimous' : 'a majority'}: ${figures}`,
        ),
        answer,
      );
    case 'no quorum':
      return noConclusion(table, failure('PEERS_UNDECIDED', `${cast} of ${all} votes were given, and the quorum is ${rules.quorum * all}`), answer);
  }
};

/** What names nobody whose position was seen is not what was asked for. */
const stranger = (names: readonly string[], known: readonly string[]): string | undefined => {
  const unknown = names.find((name) => !known.includes(name));
  return unknown === undefined ? undefined : `unknown agent "${unknown}"; the positions are of ${known.join(', ')}`;
};

export const debate: Protocol<'debate'> = {
  next,
  answered: (table, phase, reply) => {
    const names = latest(table).map(({ by }) => by);
    if (phase === VOTE) {
      const ballot = readReply('ballot', reply);
      if (!ballot.ok) return ballot;
      const problem = stranger([ballot.value.choice], names);
      return problem === undefined ? { ok: true, value: sayToAll(table, { type: 'debate.vote', ...ballot.value }) } : { ok: false, problem };
    }
    const critique = readReply('critique', reply);
    if (!critique.ok) return critique;
    const { objections } = critique.value;
    const problem = stranger(
      objections.map(({ agent }) => agent),
      names,
    );
    return problem === undefined
      ? { ok: true, value: sayToAll(table, { type: 'debate.critique', round: roundOf(phase), objections }) }
      : { ok: false, problem };
  },
  worked: (table, phase, { text, citations }) => sayToAll(table, { type: 'debate.position', round: roundOf(phase), text, citations }),
};
