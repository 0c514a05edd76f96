/**
 * Gossip: each peer finds facts, and then, round by round, tells some others all that it knows. Facts with the same content are
 * one, with the sources and the finders of all. It ends when nothing new has come for as many rounds as a fact takes to reach
 * everybody, or when the rounds are used up.
 */
import { failure } from '../../protocols/failure.ts';
import type { AgentProfile } from '../../protocols/agent.ts';
import type { Citation, Report } from '../../protocols/formats.ts';
import type { Fact } from '../../protocols/peer.ts';
import { count, gather, meOf, noConclusion, othersOf, passed, said, type Move, type Protocol, type RulesOf, type Say, type Table } from './table.ts';

type Rules = RulesOf<'gossip'>;

const FIND = 'facts';
const tellIn = (round: number): string => `gossip-${round}`;

const next = (table: Table, rules: Rules): Move => {
  const me = meOf(table);
  const reach = roundsToAll(table.peers.length, rules.fanout);
  for (let round = 1; round <= rules.rounds; round++) {
    if (!hasTold(table, me, round)) {
      if (round > 1 || passed(table, FIND, me)) return tell(table, rules, round, known(table, round - 1));
      return {
        kind: 'work',
        phase: FIND,
        task: { step: FIND, instructions: table.goal, findings: [] },
      };
    }
    const tellers = othersOf(table).filter((name) => listeners(table.peers, name, round, rules.fanout).includes(me));
    const waiting = gather(table, tellIn(round), tellers, (name) => hasTold(table, name, round));
    if (waiting) return waiting;
    const isOld = round > reach && known(table, round).length === known(table, round - reach).length;
    if (isOld) return concluded(table, round, 'agreement');
  }
  return concluded(table, rules.rounds, 'rounds');
};

const hasTold = (table: Table, name: string, round: number): boolean =>
  said(table, 'gossip.facts').some((minute) => minute.by === name && minute.round === round);

const tell = (table: Table, { fanout }: Rules, round: number, facts: Fact[]): Say => ({
  kind: 'say',
  to: listeners(table.peers, meOf(table), round, fanout),
  statement: { type: 'gossip.facts', round, facts },
});

/** Rounds in which a fact reaches everybody, if nobody is silent: who knows it are `fanout + 1` times as many after each. */
export const roundsToAll = (peers: number, fanout: number): number => {
  let rounds = 1;
  for (let reached = fanout + 1; reached < peers; reached *= fanout + 1) rounds++;
  return rounds;
};

/** Whom a peer tells in a round: further away in the list with each round, so that what each one knows doubles, or better. */
export const listeners = (peers: readonly string[], name: string, round: number, fanout: number): string[] => {
  const step = (fanout + 1) ** ((round - 1) % roundsToAll(peers.length, fanout));
  const place = peers.indexOf(name);
  const reached = Array.from({ length: fanout }, (_, index) => peers[(place + (index + 1) * step) % peers.length]!);
  return [...new Set(reached)].filter((other) => other !== name);
};

/** What was found or heard up to a round, each fact once. */
const known = (table: Table, through: number): Fact[] =>
  merged(
    said(table, 'gossip.facts')
      .filter(({ round }) => round <= through)
      .flatMap(({ facts }) => facts),
  );

/** Facts with the same content as one: upper case, punctuation and white space make no difference. */
export const merged = (facts: readonly Fact[]): Fact[] =>
  [...Map.groupBy(facts, ({ text }) => contentOf(text)).values()].map((alike) => ({
    text: alike[0]!.text,
    citations: unique(alike.flatMap(({ citations }) => citations)),
    by: [...new Set(alike.flatMap(({ by }) => by))].toSorted(),
  }));

const contentOf = (text: string): string =>
  text
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}]+/gu, ' ')
    .trim();

const unique = (citations: readonly Citation[]): Citation[] => [...new Map(citations.map((one) => [`${one.file}:${one.line} ${one.quote}`, one])).values()];

/** A sentence ends before the next one, with the marks of its sources behind its full stop. */
const SENTENCE = /(?<=[.!?](?:\s*\[\d{1,3}\])*)\s+(?=\p{Lu})/u;

/** The facts of a report: its sentences, with the sources that they mark. Of whoever looks things up, what has no source is none. */
export const factsIn = ({ text, citations }: Report, { name, tools }: Pick<AgentProfile, 'name' | 'tools'>): Fact[] =>
  merged(
    text
      .split('\n')
      .flatMap((line) => line.split(SENTENCE))
      .flatMap((sentence): Fact[] => {
        const marks = [...sentence.matchAll(/\[(\d{1,3})\]/g)].map(([, digits]) => Number(digits));
        const sources = marks.flatMap((mark) => citations[mark - 1] ?? []);
        const bare = sentence
          .replaceAll(/\s*\[\d{1,3}\]/g, '')
          .replace(/^\s*[-*+]\s+/, '')
          .trim();
        return contentOf(bare) === '' || (tools.length > 0 && sources.length === 0) ? [] : [{ text: bare, citations: sources, by: [name] }];
      }),
  );

const concluded = (table: Table, rounds: number, by: 'agreement' | 'rounds'): Move => {
  const facts = known(table, rounds);
  if (facts.length === 0) return noConclusion(table, failure('PEERS_SILENT', 'none of the peers found a fact'));
  const citations = unique(facts.flatMap((fact) => fact.citations));
  const lines = facts.map((fact) => {
    const marks = fact.citations.map(
      (one) => `[${citations.findIndex((other) => other.file === one.file && other.line === one.line && other.quote === one.quote) + 1}]`,
    );
    return `- ${fact.text}${marks.length > 0 ? ` ${marks.join('')}` : ''} (${fact.by.join(', ')})`;
  });
  const finders = new Set(facts.flatMap((fact) => fact.by)).size;
  const share = finders < table.peers.length ? ` from ${finders} of ${table.peers.length} peers` : '';
  const note = `${count(facts.length, 'fact')}${share}; ${by === 'agreement' ? 'nothing new was told' : 'the rounds were used up'}`;
  return { kind: 'conclude', conclusion: { answer: lines.join('\n'), citations, ended: { by, rounds, note } } };
};

export const gossip: Protocol<'gossip'> = {
  next,
  answered: (_, phase) => ({ ok: false, problem: `nothing was asked in ${phase}` }),
  worked: (table, _, report, rules) => tell(table, rules, 1, factsIn(report, table.profile)),
};
