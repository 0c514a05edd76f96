/**
 * Peers: agents that talk with each other directly, under a protocol that is sure to end. A convener opens and closes their run
 * and has no say in it.
 *
 *   contract_net   contract.call, then from each contract.bid; contract.award to the best and contract.reject to the others;
 *                  contract.delivered
 *   debate         debate.position, debate.critique, revised positions, then debate.vote
 *   refine         document.edit and document.accept, round by round
 *   gossip         gossip.facts, round by round
 *
 * Nothing said here must be answered: whoever waits for a peer waits for so long and then goes on without it. A peer that has
 * nothing to say to a phase says `peer.passed`, so that nobody waits. Every peer that comes to an end says `peer.concluded`.
 */
import { z } from 'zod';
import { Failure } from './failure.ts';
import { Ballot, Bid, Citation, Critique } from './formats.ts';
import { Name } from './ids.ts';
import { Ended, StepOutcome } from './lifecycle.ts';
import { message } from './message.ts';

const rounds = z.number().int().positive();

/** How peers come to an end. */
export const PeerRules = z.discriminatedUnion('protocol', [
  z.object({ protocol: z.literal('contract_net') }),
  z.object({
    protocol: z.literal('debate'),
    rounds,
    vote: z.enum(['majority', 'unanimous', 'weighted']),
    /** Of each peer that does not weigh 1. */
    weights: z.record(z.string(), z.number()),
    /** The share of all votes, by weight, that must be given. */
    quorum: z.number(),
    onTie: z.enum(['first', 'ask']),
  }),
  z.object({ protocol: z.literal('refine'), rounds }),
  /** `fanout`: how many peers each one tells in a round. */
  z.object({ protocol: z.literal('gossip'), rounds, fanout: z.number().int().positive() }),
]);
export type PeerRules = z.infer<typeof PeerRules>;
export type PeerProtocol = PeerRules['protocol'];

const round = z.number().int().positive();
const report = { text: z.string(), citations: z.array(Citation) };

export const PeerConvene = message('peer.convene', { goal: z.string() });
export const PeerDismiss = message('peer.dismiss', { reason: z.string() });

/** What the peers came to, as this one knows it: `ended` says how, or `failure` why they did not; both with what there is. */
export const PeerConcluded = message('peer.concluded', {
  answer: z.string().optional(),
  citations: z.array(Citation).default([]),
  ended: Ended.optional(),
  failure: Failure.optional(),
  /** The rules leave it to a person: whether the answer is taken. */
  question: z.string().optional(),
  peers: z.array(StepOutcome),
});

/** Nothing comes from this peer for the phase. */
export const PeerPassed = message('peer.passed', { phase: z.string(), failure: Failure });

export const ContractCall = message('contract.call', { goal: z.string() });
export const ContractBid = message('contract.bid', { manager: Name, ...Bid.shape });
export const ContractAward = message('contract.award', { winner: Name });
/** The contract went to somebody else; it may still come back. */
export const ContractReject = message('contract.reject', { winner: Name });
export const ContractDelivered = message('contract.delivered', { manager: Name, ...report });

export const DebatePosition = message('debate.position', { round, ...report });
export const DebateCritique = message('debate.critique', { round, ...Critique.shape });
export const DebateVote = message('debate.vote', { ...Ballot.shape });

/** A version of the document is called after its round and its author, the empty one `0`. `base`: the version that was edited. */
export const DocumentEdit = message('document.edit', { round, base: z.string(), ...report });
export const DocumentAccept = message('document.accept', { round, version: z.string() });

export const Fact = z.object({ text: z.string().min(1), citations: z.array(Citation), by: z.array(Name).min(1) });
export type Fact = z.infer<typeof Fact>;
export const GossipFacts = message('gossip.facts', { round, facts: z.array(Fact) });
