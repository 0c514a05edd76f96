/**
 * Every message there is. Adding a field that may be absent keeps a message's version; anything else is a new version beside
 * the old one. The published contract (docs/protocol) is generated from this list, and `decode` knows nothing else.
 */
import type { z } from 'zod';
import { ApprovalAnswer, ApprovalDecided, ApprovalRequest } from './approval.ts';
import {
  BudgetClose,
  BudgetClosed,
  BudgetExtend,
  BudgetFreeze,
  BudgetGranted,
  BudgetOpen,
  BudgetOpened,
  BudgetOrphaned,
  BudgetPaused,
  BudgetRaise,
  BudgetRaised,
  BudgetRelease,
  BudgetReserve,
  BudgetRevoked,
  BudgetSettle,
  BudgetThreshold,
  BudgetVetoed,
} from './budget.ts';
import { BudgetCheckpoint } from './checkpoint.ts';
import type { Envelope } from './envelope.ts';
import {
  EffectClaimed,
  EffectCompleted,
  EffectDrawn,
  EffectFailed,
  EffectLost,
  PlanRevised,
  RunCancel,
  RunCompleted,
  RunFailed,
  RunStart,
  TimerFired,
} from './lifecycle.ts';
import type { MessageType } from './message.ts';
import { mismatches } from './mismatch.ts';
import {
  ContractAward,
  ContractBid,
  ContractCall,
  ContractDelivered,
  ContractReject,
  DebateCritique,
  DebatePosition,
  DebateVote,
  DocumentAccept,
  DocumentEdit,
  GossipFacts,
  PeerConcluded,
  PeerConvene,
  PeerDismiss,
  PeerPassed,
} from './peer.ts';
import { ReviewFailed, ReviewRequest, ReviewVerdict } from './review.ts';
import { TaskAssign, TaskCancel, TaskCompleted, TaskFailed, TaskHandedOver } from './task.ts';

export const catalogue = [
  RunStart,
  RunCancel,
  RunCompleted,
  RunFailed,
  PlanRevised,
  TaskAssign,
  TaskCancel,
  TaskCompleted,
  TaskFailed,
  TaskHandedOver,
  ReviewRequest,
  ReviewVerdict,
  ReviewFailed,
  PeerConvene,
  PeerDismiss,
  PeerConcluded,
  PeerPassed,
  ContractCall,
  ContractBid,
  ContractAward,
  ContractReject,
  ContractDelivered,
  DebatePosition,
  DebateCritique,
  DebateVote,
  DocumentEdit,
  DocumentAccept,
  GossipFacts,
  BudgetReserve,
  BudgetSettle,
  BudgetRelease,
  BudgetExtend,
  BudgetOrphaned,
  BudgetOpen,
  BudgetOpened,
  BudgetClose,
  BudgetGranted,
  BudgetVetoed,
  BudgetClosed,
  BudgetRaise,
  BudgetRaised,
  BudgetFreeze,
  BudgetRevoked,
  BudgetPaused,
  BudgetThreshold,
  BudgetCheckpoint,
  ApprovalRequest,
  ApprovalAnswer,
  ApprovalDecided,
  EffectClaimed,
  EffectLost,
  EffectDrawn,
  EffectCompleted,
  EffectFailed,
  TimerFired,
] as const;

export type AnyMessage = (typeof catalogue)[number];
export type MessageName = AnyMessage['type'];
type Named<T extends MessageName> = Extract<AnyMessage, { type: T }>;
export type PayloadOf<T extends MessageName> = z.infer<Named<T>['data']>;

/** A decoded message: what it says, apart from who said it. */
export type Decoded = { [T in MessageName]: { readonly type: T; readonly data: PayloadOf<T> } }[MessageName];

const byName = new Map<string, MessageType>(catalogue.map((entry) => [`${entry.type}@${entry.v}`, entry as MessageType]));
const names = new Set<string>(catalogue.map((entry) => entry.type));

export const versionOf = (type: MessageName): number => catalogue.find((entry) => entry.type === type)!.v;

export type DecodeResult =
  | { readonly ok: true; readonly message: Decoded }
  | { readonly ok: false; readonly code: 'MESSAGE_UNKNOWN' | 'MESSAGE_INVALID'; readonly reason: string };

/** The second stage of decoding: the payload by its schema. */
export const decode = (envelope: Pick<Envelope, 'type' | 'v' | 'data'>): DecodeResult => {
  const entry = byName.get(`${envelope.type}@${envelope.v}`);
  if (!entry) {
    const reason = names.has(envelope.type) ? `${envelope.type} has no version ${envelope.v}` : `no message is called ${envelope.type}`;
    return { ok: false, code: 'MESSAGE_UNKNOWN', reason };
  }
  const parsed = entry.data.safeParse(envelope.data);
  if (parsed.success) return { ok: true, message: { type: entry.type, data: parsed.data } as Decoded };
  return { ok: false, code: 'MESSAGE_INVALID', reason: mismatches(parsed.error, envelope.data, entry.type) };
};
