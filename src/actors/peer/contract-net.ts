/**
 * Contract net: the manager calls for proposals, the peers bid, the best bid is awarded the work, and the next best after it
 * when it fails or falls silent. The manager is the first peer; whoever comes after it in the list takes its place when nothing
 * is heard of a manager for long enough.
 */
import { failure, type Failure } from '../../protocols/failure.ts';
import type { ChatMessage } from '../../protocols/model.ts';
import { readReply, sectionsMessage, systemMessage } from '../conversation.ts';
import {
  causeOf,
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
  type Say,
  type Statement,
  type Table,
} from './table.ts';

type Phase = { readonly duty: 'bid' | 'contract' | 'manage'; readonly manager: string };
const phaseOf = ({ duty, manager }: Phase): string => `${duty} ${manager}`;
const readPhase = (phase: string): Phase => {
  const [duty, manager] = phase.split(' ') as [Phase['duty'], string];
  return { duty, manager };
};

const BID_DUTY =
  'You may be given this work. Offer to do it with JSON {"price", "confidence", "approach"}: the dollars that it would cost you, how sure you are ' +
  'from 0 to 1 to do it well with what you know and can look up, and in a sentence how. Confidence 0 leaves it to others.';

/** A bid of nothing is still compared. */
const LEAST_PRICE = 1e-6;
const worth = ({ confidence, price }: Minute<'contract.bid'>): number => confidence / Math.max(price, LEAST_PRICE);

/** The best confidence for the price first; between equals the first by name. */
export const ranked = (bids: readonly Minute<'contract.bid'>[]): Minute<'contract.bid'>[] =>
  bids.filter(({ confidence }) => confidence > 0).toSorted((a, b) => worth(b) - worth(a) || (a.by < b.by ? -1 : 1));

const hasCalled = (table: Table, name: string): boolean => said(table, 'contract.call').some(({ by }) => by === name);

/** A manager that nobody is left for passes its own part, so that the others do not wait for a sign of it. */
const hasGivenUp = (table: Table, manager: string): boolean => passed(table, phaseOf({ duty: 'manage', manager }), manager) !== undefined;

/** Whoever called is owed a bid, and whoever awarded is owed the work; the work is done once for all of them. */
const contractorsMove = (table: Table): Move | undefined => {
  const me = meOf(table);
  const delivered = said(table, 'contract.delivered').filter(({ by }) => by === me);
  for (const { by: manager } of said(table, 'contract.call')) {
    if (hasGivenUp(table, manager)) continue;
    const phase = phaseOf({ duty: 'bid', manager });
    const answered = said(table, 'contract.bid').some((bid) => bid.by === me && bid.manager === manager) || passed(table, phase, me);
    if (!answered) return { kind: 'ask', phase, format: 'bid', messages: bidding(table) };
  }
  for (const { by: manager } of said(table, 'contract.award').filter(({ winner }) => winner === me)) {
    const phase = phaseOf({ duty: 'contract', manager });
    if (delivered.some((work) => work.manager === manager) || passed(table, phase, me) || hasGivenUp(table, manager)) continue;
    const [done] = delivered;
    if (done) return sayTo(table, manager, { type: 'contract.delivered', manager, text: done.text, citations: done.citations });
    return { kind: 'work', phase, task: { step: 'contract', instructions: table.goal, findings: [] } };
  }
  return undefined;
};

const bidding = (table: Table): ChatMessage[] => {
  const { tools } = table.profile;
  return [
    systemMessage(table.profile, [...(tools.length > 0 ? [`Your tools: ${tools.join(', ')}.`] : []), BID_DUTY]),
    sectionsMessage([['Question', table.goal]]),
  ];
};

const sayTo = (table: Table, name: string, statement: Statement): Say => ({ kind: 'say', to: name === meOf(table) ? [] : [name], statement });

const managersMove = (table: Table): Move => {
  const me = meOf(table);
  const bids = said(table, 'contract.bid').filter(({ manager }) => manager === me);
  const bidOf = (name: string) => bids.some(({ by }) => by === name);
  const waiting = gather(table, phaseOf({ duty: 'bid', manager: me }), table.peers, bidOf);
  if (waiting) return waiting;
  const order = ranked(bids);
  const done = said(table, 'contract.delivered').find(({ manager }) => manager === me);
  if (done) return concluded(table, done, order.length);
  for (const { by: winner } of order) {
    if (passed(table, phaseOf({ duty: 'contract', manager: me }), winner)) continue;
    const phase = `award ${winner}`;
    if (table.closed.includes(phase)) continue;
    const awarded = said(table, 'contract.award').some((award) => award.by === me && award.winner === winner);
    if (!awarded) return sayTo(table, winner, { type: 'contract.award', winner });
    const told = said(table, 'contract.reject').some((rejection) => rejection.by === me && rejection.winner === winner);
    const others = othersOf(table).filter((name) => name !== winner);
    if (!told) return { kind: 'say', to: others, statement: { type: 'contract.reject', winner } };
    return { kind: 'wait', phase, for: [winner], ms: table.patienceMs };
  }
  const why =
    order.length === 0
      ? failure('PEERS_NO_BID', 'none of the peers offered to do the work')
      : failure('PEERS_SILENT', `none of the ${count(order.length, 'bidder')} delivered the work`);
  if (hasGivenUp(table, me)) return noConclusion(table, why);
  return sayToAll(table, { type: 'peer.passed', phase: phaseOf({ duty: 'manage', manager: me }), failure: causeOf(table, why) });
};

const concluded = (table: Table, { by, text, citations }: Minute<'contract.delivered'>, bids: number): Move => {
  const awards = said(table, 'contract.award').filter((award) => award.by === meOf(table)).length;
  return {
    kind: 'conclude',
    conclusion: { answer: text, citations, ended: { by: 'award', rounds: awards, note: `${by} had the best of ${count(bids, 'bid')}, at award ${awards}` } },
  };
};

/** What the last manager gave up for; `undefined`: one of them may still come to an end, or there was none. */
const givenUpFor = (table: Table): Failure | undefined => {
  if (said(table, 'contract.call').some(({ by }) => !hasGivenUp(table, by))) return undefined;
  return said(table, 'peer.passed').findLast(({ phase, by }) => phase === phaseOf({ duty: 'manage', manager: by }))?.failure;
};

/**
 * The first calls at once. The others wait for a sign of a manager, each longer than the one before it, and then call themselves,
 * unless there was a manager and it came to nothing: another one would ask the same peers again.
 */
const deputysMove = (table: Table): Move => {
  const why = givenUpFor(table);
  if (why) return { kind: 'conclude', conclusion: { citations: [], failure: why } };
  const place = table.peers.indexOf(meOf(table));
  const signs = table.minutes.filter(
    ({ type, by }) => by !== meOf(table) && (type === 'contract.call' || type === 'contract.award' || type === 'contract.reject'),
  );
  const phase = `sign ${signs.length}`;
  if (place === 0 || table.closed.includes(phase)) return sayToAll(table, { type: 'contract.call', goal: table.goal });
  return { kind: 'wait', phase, for: table.peers.slice(0, place), ms: 2 * place * table.patienceMs };
};

export const contractNet: Protocol<'contract_net'> = {
  next: (table) => contractorsMove(table) ?? (hasCalled(table, meOf(table)) ? managersMove(table) : deputysMove(table)),
  answered: (table, phase, reply) => {
    const { manager } = readPhase(phase);
    const bid = readReply('bid', reply);
    return bid.ok ? { ok: true, value: sayTo(table, manager, { type: 'contract.bid', manager, ...bid.value }) } : bid;
  },
  worked: (table, phase, { text, citations }) => {
    const { manager } = readPhase(phase);
    return sayTo(table, manager, { type: 'contract.delivered', manager, text, citations });
  },
};
