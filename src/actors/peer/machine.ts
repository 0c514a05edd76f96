/**
 * The peer: talks with other peers directly, under the protocol of its team (contract-net.ts, debate.ts, refine.ts, gossip.ts).
 * The protocol reads off the minutes what comes next; this chart carries it out.
 *
 *   T1  A peer that comes to an end says so once, to the convener; one that is dismissed says nothing more.
 *   T2  Whoever is waited for is waited for `patienceMs`, or as long as the protocol says, and then no longer.
 *   T3  A call or a piece of work that fails is a phase that it passes, not the end of the talk.
 *   T4  What was said before the peer was convened, again, or late, is in the minutes once.
 *   T5  While the money is used up nobody is given up for silent.
 */
import { assign, setup } from 'xstate';
import type { BudgetGranted, BudgetPaused, BudgetRaised } from '../../protocols/budget.ts';
import { effect, emitEach } from '../../protocols/chart.ts';
import type { Received } from '../../protocols/message.ts';
import type { ModelReply, ModelRequest } from '../../protocols/model.ts';
import type {
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
  PeerConvene,
  PeerDismiss,
  PeerPassed,
} from '../../protocols/peer.ts';
import type { TaskCompleted, TaskFailed } from '../../protocols/task.ts';
import { accepted, request } from '../conversation.ts';
import { callActions, callDelays, callGuards, modelCall, notCalled, onReply, REPAIRS_MAX, type Calling } from '../model-call.ts';
import * as policy from './policy.ts';
import type { Outgoing, Pending } from './policy.ts';
import { heard, speakerAt, STATEMENTS, type Minute, type PeerInput, type Statement, type Table } from './table.ts';

export type { PeerInput } from './table.ts';

export type PeerContext = Table &
  Calling & {
    /** What it is at; `undefined`: it has not been convened. */
    readonly move: Pending | undefined;
    /** What this step of the chart gives to say. */
    readonly outbox: readonly Outgoing[];
    /** The money is used up. */
    readonly isHeld: boolean;
  };

type Heard =
  | Received<typeof PeerPassed>
  | Received<typeof ContractCall>
  | Received<typeof ContractBid>
  | Received<typeof ContractAward>
  | Received<typeof ContractReject>
  | Received<typeof ContractDelivered>
  | Received<typeof DebatePosition>
  | Received<typeof DebateCritique>
  | Received<typeof DebateVote>
  | Received<typeof DocumentEdit>
  | Received<typeof DocumentAccept>
  | Received<typeof GossipFacts>;

export type PeerEvent =
  | Heard
  | Received<typeof PeerConvene>
  | Received<typeof PeerDismiss>
  | Received<typeof TaskCompleted>
  | Received<typeof TaskFailed>
  | Received<typeof BudgetGranted>
  | Received<typeof BudgetPaused>
  | Received<typeof BudgetRaised>;

const sendOutbox = emitEach<{ context: PeerContext }, Outgoing>(({ context }) => context.outbox);

type Kind<K extends Pending['kind']> = Extract<Pending, { kind: K }>;
const moveOf = <K extends Pending['kind']>({ move }: PeerContext, kind: K): Kind<K> => {
  if (move?.kind !== kind) throw new Error(`expected a peer that is to ${kind}, found one that is to ${move?.kind ?? 'be convened'}`);
  return move as Kind<K>;
};

const minuteOf = (table: Table, { from, at: _, ...statement }: Heard): Minute | undefined => {
  const by = speakerAt(table, from);
  return by === undefined ? undefined : { ...(statement as Statement), by };
};

const withHeard = (table: Table, said: Heard): Table => {
  const minute = minuteOf(table, said);
  return minute === undefined ? table : { ...table, ...heard(table, minute) };
};

const hear = { type: 'hear', params: ({ event }: { event: Heard }) => event } as const;

/** The same for every statement. */
const onStatements = <const T>(transition: T) => Object.fromEntries(STATEMENTS.map((type) => [type, transition])) as Record<(typeof STATEMENTS)[number], T>;

/** The wait for somebody else: time runs only while there is money (T5). */
const patiently = <const T>(over: T) =>
  ({
    initial: 'counting',
    states: {
      counting: { always: { guard: 'isHeld', target: 'held' }, after: { patience: over } },
      held: { always: { guard: 'goesOnSpending', target: 'counting' } },
    },
  }) as const;

export const peerMachine = setup({
  types: { context: {} as PeerContext, input: {} as PeerInput, events: {} as PeerEvent, emitted: {} as Outgoing },
  actors: {
    model: effect<ModelReply, ModelRequest>(),
  },
  delays: callDelays,
  guards: callGuards,
  actions: callActions,
})
  .extend({
    delays: {
      patience: ({ context }) => (context.move?.kind === 'wait' ? context.move.ms : context.patienceMs),
    },
    guards: {
      isAnswer: ({ context }, reply: ModelReply) => policy.answered(context, moveOf(context, 'ask').phase, reply).ok,
      canRepair: ({ context }) => context.repairs < REPAIRS_MAX,
      asks: ({ context }) => context.move?.kind === 'ask',
      works: ({ context }) => context.move?.kind === 'work',
      waits: ({ context }) => context.move?.kind === 'wait',
      isHeld: ({ context }) => context.isHeld,
      goesOnSpending: ({ context }) => !context.isHeld,
      isItsTask: ({ context }, { step }: Received<typeof TaskCompleted> | Received<typeof TaskFailed>) =>
        context.move?.kind === 'work' && context.move.task.step === step,
      goesOn: ({ context }, said: Heard) => policy.goesOn(withHeard(context, said), moveOf(context, 'wait')),
    },
    actions: {
      convene: assign((_, { goal }: Received<typeof PeerConvene>) => ({ goal })),
      hear: assign(({ context }, said: Heard) => {
        const { minutes, silent } = withHeard(context, said);
        return { minutes, silent };
      }),
      takeTurn: assign(({ context }) => {
        const { table, outbox, move } = policy.takeTurn(context);
        const asked = move.kind === 'ask' ? { messages: move.messages, turn: 0, attempt: 1, repairs: 0 } : {};
        return { minutes: table.minutes, closed: table.closed, move, outbox, ...asked };
      }),
      speak: assign(({ context }, reply: ModelReply) => ({
        ...said(policy.say(context, accepted(policy.answered(context, moveOf(context, 'ask').phase, reply)))),
      })),
      deliver: assign(({ context }, { text, citations }: Received<typeof TaskCompleted>) => ({
        ...said(policy.say(context, policy.worked(context, moveOf(context, 'work').phase, { text, citations }))),
      })),
      passCall: assign(({ context }) => said(policy.pass(context, moveOf(context, 'ask').phase, context.failure!))),
      passTask: assign(({ context }, { failure: why }: Received<typeof TaskFailed>) => said(policy.pass(context, moveOf(context, 'work').phase, why))),
      passLate: assign(({ context }) => {
        const { phase, task } = moveOf(context, 'work');
        return said(policy.pass(context, phase, policy.tooSlow(context, task.step)));
      }),
      recallWork: assign(({ context }) => ({
        outbox: [
          { type: 'task.cancel' as const, to: policy.workerOf(context, moveOf(context, 'work').task.step), reason: 'nobody waits for it any more' },
          ...context.outbox,
        ],
      })),
      sayNothing: assign(() => ({ outbox: [] })),
      giveUp: assign(({ context }) => policy.giveUp(context, moveOf(context, 'wait'))),
      hold: assign(() => ({ isHeld: true })),
      goOn: assign(() => ({ isHeld: false })),
    },
  })
  .createMachine({
    id: 'peer',
    context: ({ input }) => ({ ...notCalled, ...input, goal: '', minutes: [], closed: [], silent: [], move: undefined, outbox: [], isHeld: false }),
    initial: 'idle',
    states: {
      idle: {
        on: {
          'peer.convene': { target: 'talking', actions: { type: 'convene', params: ({ event }) => event } },
          'peer.dismiss': 'dismissed',
          ...onStatements({ actions: hear }),
        },
      },
      talking: {
        on: {
          'peer.dismiss': 'dismissed',
          'budget.paused': { actions: 'hold' },
          'budget.raised': { actions: 'goOn' },
          ...onStatements({ actions: hear }),
        },
        initial: 'turning',
        states: {
          turning: {
            entry: ['takeTurn', sendOutbox],
            always: [
              { guard: 'asks', target: 'asking' },
              { guard: 'works', target: 'working' },
              { guard: 'waits', target: 'waiting' },
              { target: '#peer.concluded' },
            ],
          },
          asking: modelCall({
            at: '#peer.talking.asking',
            id: 'model',
            request: (context: PeerContext) => request(context.profile, context.messages, moveOf(context, 'ask').format),
            read: (context, reply) => policy.answered(context, moveOf(context, 'ask').phase, reply),
            replies: [onReply('isAnswer', '#peer.talking.saying', 'speak')],
            paused: '#peer.paused',
            failed: '#peer.talking.passing',
          }),
          /** The worker that it is does the work. */
          working: {
            on: {
              'task.completed': {
                guard: { type: 'isItsTask', params: ({ event }) => event },
                target: 'saying',
                actions: { type: 'deliver', params: ({ event }) => event },
              },
              'task.failed': {
                guard: { type: 'isItsTask', params: ({ event }) => event },
                target: 'saying',
                actions: { type: 'passTask', params: ({ event }) => event },
              },
              'peer.dismiss': { target: '#peer.dismissed', actions: ['sayNothing', 'recallWork', sendOutbox] },
            },
            ...patiently({ target: '#peer.talking.saying', actions: ['passLate', 'recallWork'] }),
          },
          waiting: {
            on: onStatements([{ guard: { type: 'goesOn', params: hear.params }, target: 'turning', actions: hear }, { actions: hear }]),
            ...patiently({ target: '#peer.talking.turning', actions: 'giveUp' }),
          },
          passing: { entry: 'passCall', always: 'saying' },
          saying: { entry: sendOutbox, always: 'turning' },
        },
      },
      /** Its own call has to wait for money. */
      paused: {
        on: {
          'budget.raised': { target: 'talking.asking', actions: ['goOn', 'spendAgain'] },
          'peer.dismiss': 'dismissed',
          ...onStatements({ actions: hear }),
        },
      },
      concluded: { type: 'final' },
      dismissed: { type: 'final' },
    },
  });

const said = ({ table, outbox }: ReturnType<typeof policy.say>) => ({ minutes: table.minutes, silent: table.silent, outbox });
