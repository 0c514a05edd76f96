/**
 * The convener: opens a run of peers and closes it, and has no say in between. It lives where the supervisor of other teams
 * does, since that is whom a client starts and cancels, and whom an account tells that the money is used up.
 *
 *   N1  Every run ends with exactly one of `run.completed` and `run.failed`, after the account was asked to close, also one that
 *       is cancelled before it is started.
 *   N2  The first peer that came to an answer is believed. Without one, the first failure counts, once every peer has concluded
 *       or the rest have been waited for.
 *   N3  Every peer is dismissed before the account is closed.
 *   N4  Every waiting state ends by its answer, by `run.cancel`, or by the run's deadline; while the money is used up, by a raise.
 */
import { assign, emit, setup } from 'xstate';
import type { ApprovalDecided, ApprovalRequest } from '../../protocols/approval.ts';
import type { BudgetClose, BudgetClosed, BudgetPaused, BudgetRaised } from '../../protocols/budget.ts';
import type { PayloadOf } from '../../protocols/catalogue.ts';
import { emitEach } from '../../protocols/chart.ts';
import { failure } from '../../protocols/failure.ts';
import { address, type Address, type RunId } from '../../protocols/ids.ts';
import type { RunCancel, RunCompleted, RunFailed, RunStart } from '../../protocols/lifecycle.ts';
import type { Received, Sent } from '../../protocols/message.ts';
import type { PeerConcluded, PeerConvene, PeerDismiss } from '../../protocols/peer.ts';
import { closing, closingActions, closingDelays, closingGuards, type Closing } from '../run-closing.ts';

export type ConvenerInput = {
  readonly run: RunId;
  readonly peers: readonly string[];
  readonly account: Address;
  readonly approver: Address;
  readonly deadlineMs: number;
  readonly askMs: number;
  /** How long the others are waited for once a peer has said that they came to nothing. */
  readonly patienceMs: number;
};

type Conclusion = PayloadOf<'peer.concluded'>;

export type ConvenerContext = ConvenerInput &
  Closing & {
    readonly goal: string;
    readonly client: Address;
    /** The peers that have concluded. */
    readonly concluded: readonly string[];
    readonly conclusion: Conclusion | undefined;
  };

export type ConvenerEvent =
  | Received<typeof RunStart>
  | Received<typeof RunCancel>
  | Received<typeof PeerConcluded>
  | Received<typeof ApprovalDecided>
  | Received<typeof BudgetPaused>
  | Received<typeof BudgetRaised>
  | Received<typeof BudgetClosed>;

type ToPeers = Sent<typeof PeerConvene> | Sent<typeof PeerDismiss> | Sent<typeof BudgetPaused> | Sent<typeof BudgetRaised>;

type Emitted = ToPeers | Sent<typeof ApprovalRequest> | Sent<typeof BudgetClose> | Sent<typeof RunCompleted> | Sent<typeof RunFailed>;

const APPROVAL = 'peers';

const peersOf = ({ run, peers }: ConvenerInput): Address[] => peers.map((name) => address(run, 'peer', name));

const convene = emitEach<{ context: ConvenerContext }, ToPeers>(({ context }) =>
  peersOf(context).map((to) => ({ type: 'peer.convene', to, goal: context.goal })),
);
const dismiss = emitEach<{ context: ConvenerContext }, ToPeers>(({ context }) =>
  peersOf(context).map((to) => ({ type: 'peer.dismiss', to, reason: context.failure?.code ?? 'the peers have come to an end' })),
);
/** Only the convener and whoever was refused hear of the money; the other peers would take those for silent. */
const passOn = emitEach<{ context: ConvenerContext; event: ConvenerEvent }, ToPeers>(({ context, event }) =>
  peersOf(context).flatMap((to): ToPeers[] => {
    if (event.type === 'budget.paused') return [{ type: event.type, to, account: event.account, failure: event.failure }];
    return event.type === 'budget.raised' ? [{ type: event.type, to, account: event.account, leftNanos: event.leftNanos }] : [];
  }),
);

const saidNow = ({ event }: { event: Received<typeof PeerConcluded> }) => event;

/** What a peer came to: an answer ends the run, and so does the last failure. */
const onConcluded = [
  { guard: { type: 'asks', params: saidNow }, target: '#convener.asking', actions: { type: 'believe', params: saidNow } },
  { guard: { type: 'succeeds', params: saidNow }, target: '#convener.closing', actions: { type: 'believe', params: saidNow } },
  { guard: { type: 'isLast', params: saidNow }, target: '#convener.closing', actions: [{ type: 'note', params: saidNow }, 'failAsNoted'] },
  { actions: { type: 'note', params: saidNow } },
] as const;

export const convenerMachine = setup({
  types: { context: {} as ConvenerContext, input: {} as ConvenerInput, events: {} as ConvenerEvent, emitted: {} as Emitted },
  delays: {
    deadline: ({ context }) => context.deadlineMs,
    patience: ({ context }) => context.patienceMs,
    ...closingDelays,
  },
  guards: {
    asks: (_, { question, answer }: Conclusion) => question !== undefined && answer !== undefined,
    succeeds: (_, { failure: why, answer }: Conclusion) => why === undefined && answer !== undefined,
    isLast: ({ context }, { from }: Received<typeof PeerConcluded>) => peersOf(context).every((peer) => peer === from || context.concluded.includes(peer)),
    hasNoted: ({ context }) => context.concluded.length > 0,
    isApproved: (_, { decision }: Received<typeof ApprovalDecided>) => decision === 'approve',
    ...closingGuards,
  },
  actions: {
    accept: assign((_, { goal, from }: Received<typeof RunStart>) => ({ goal, client: from })),
    believe: assign((_, conclusion: Received<typeof PeerConcluded>) => ({ conclusion })),
    note: assign(({ context }, conclusion: Received<typeof PeerConcluded>) => ({
      concluded: [...new Set([...context.concluded, conclusion.from])],
      conclusion: context.conclusion ?? conclusion,
    })),
    failAsNoted: assign(({ context }) => ({ failure: context.conclusion!.failure ?? failure('PEERS_UNDECIDED', 'the peers came to no answer') })),
    takeAsPerson: assign(({ context: { conclusion } }, { by }: Received<typeof ApprovalDecided>) => ({
      conclusion: {
        ...conclusion!,
        ended: { by: 'person' as const, rounds: conclusion!.ended?.rounds ?? 0, note: `${by} took it: ${conclusion!.ended?.note ?? ''}` },
      },
    })),
    failDenied: assign(({ context }, { by }: Received<typeof ApprovalDecided>) => ({
      failure: failure('PEERS_UNDECIDED', `${context.conclusion!.ended?.note ?? 'the peers left it to a person'}, and ${by} did not take it`),
    })),
    meetClient: assign((_, { from }: Received<typeof RunCancel>) => ({ client: from })),
    failCancelled: assign((_, { reason }: Received<typeof RunCancel>) => ({ failure: failure('RUN_CANCELLED', `cancelled: ${reason}`) })),
    failDeadline: assign(({ context }) => ({
      failure: failure('RUN_TIMEOUT', `the run did not end within ${context.deadlineMs} ms; raise limits.deadline_s`),
    })),
    ask: emit(({ context: { approver, askMs, conclusion } }) => ({
      type: 'approval.request' as const,
      to: approver,
      approval: APPROVAL,
      question: conclusion!.question!,
      details: { text: conclusion!.answer ?? '' },
      timeoutMs: askMs,
      otherwise: 'deny' as const,
    })),
    ...closingActions,
    announceCompletion: emit(({ context: { client, conclusion, spending } }) => ({
      type: 'run.completed' as const,
      to: client,
      answer: conclusion!.answer!,
      citations: conclusion!.citations,
      steps: conclusion!.peers,
      ...(conclusion!.ended && { ended: conclusion!.ended }),
      ...(spending && { spending }),
    })),
    announceFailure: emit(({ context: { client, failure: why, conclusion, spending } }) => ({
      type: 'run.failed' as const,
      to: client,
      failure: why!,
      ...(conclusion?.answer !== undefined && { answer: conclusion.answer }),
      citations: conclusion?.citations ?? [],
      steps: conclusion?.peers ?? [],
      ...(spending && { spending }),
    })),
  },
}).createMachine({
  id: 'convener',
  context: ({ input }) => ({
    ...input,
    goal: '',
    client: '' as Address,
    concluded: [],
    conclusion: undefined,
    failure: undefined,
    spending: undefined,
  }),
  initial: 'idle',
  states: {
    idle: {
      on: {
        'run.start': { target: 'convened', actions: [{ type: 'accept', params: ({ event }) => event }, convene] },
        // Who started the run may have died before it said so.
        'run.cancel': {
          target: 'closing',
          actions: [
            { type: 'meetClient', params: ({ event }) => event },
            { type: 'failCancelled', params: ({ event }) => event },
          ],
        },
      },
    },
    convened: {
      on: {
        'run.cancel': { target: 'closing', actions: { type: 'failCancelled', params: ({ event }) => event } },
        'budget.paused': { target: 'paused', actions: passOn },
        'peer.concluded': onConcluded,
      },
      after: {
        deadline: { target: 'closing', actions: 'failDeadline' },
      },
      initial: 'talking',
      states: {
        talking: { always: { guard: 'hasNoted', target: 'listening' } },
        /** A peer knows of no answer; the others are waited for a little. */
        listening: { after: { patience: { target: '#convener.closing', actions: 'failAsNoted' } } },
      },
    },
    /** The money is used up. What is under way goes on to its end; the run's deadline begins anew with the raise. */
    paused: {
      on: {
        'budget.raised': { target: 'convened', actions: passOn },
        'run.cancel': { target: 'closing', actions: { type: 'failCancelled', params: ({ event }) => event } },
        'peer.concluded': onConcluded,
      },
    },
    /** The rules of the peers leave it to a person. */
    asking: {
      entry: [dismiss, 'ask'],
      on: {
        'approval.decided': [
          { guard: { type: 'isApproved', params: ({ event }) => event }, target: 'closing', actions: { type: 'takeAsPerson', params: ({ event }) => event } },
          { target: 'closing', actions: { type: 'failDenied', params: ({ event }) => event } },
        ],
        'run.cancel': { target: 'closing', actions: { type: 'failCancelled', params: ({ event }) => event } },
      },
      after: { deadline: { target: 'closing', actions: 'failDeadline' } },
    },
    closing: { ...closing, entry: [dismiss, closing.entry] },
    completed: { type: 'final', entry: 'announceCompletion' },
    failed: { type: 'final', entry: 'announceFailure' },
  },
});
