/**
 * The budget: keeps the accounts of a run, or of many, and is the only one who may say that money is spent.
 *
 * It folds its own log like every actor, so any number of hosts may serve it: they read the same requests in the same order,
 * decide the same and say the same under the same ids. What it decides is policy.ts's and how a grant ends is endings.ts's, with their
 * invariants; how one message changes the books is messages.ts's.
 *
 *   B1  Every new `budget.reserve` is answered by exactly one of granted and vetoed, at the end of its wait at the latest.
 *   B2  `budget.close` is answered once nothing below the account is held any more, or when `drainMs` have passed; nothing is
 *       granted there afterwards.
 *   B3  Settlements and releases are taken in every state: money that was spent is booked, however late.
 */
import { assign, setup } from 'xstate';
import type {
  BudgetClose,
  BudgetExtend,
  BudgetFreeze,
  BudgetOpen,
  BudgetOrphaned,
  BudgetRaise,
  BudgetRelease,
  BudgetReserve,
  BudgetSettle,
} from '../../protocols/budget.ts';
import { emitEach } from '../../protocols/chart.ts';
import type { BudgetCheckpoint } from '../../protocols/checkpoint.ts';
import type { Received } from '../../protocols/message.ts';
import { openDesk, type BudgetInput, type Desk, type Outgoing } from './desk.ts';
import * as messages from './messages.ts';

export type { BudgetInput } from './desk.ts';

export type BudgetContext = {
  readonly desk: Desk;
  /** The log's time of the last message. */
  readonly now: number;
  /** The deadline that the timer is armed for. */
  readonly watched: number | undefined;
};

export type BudgetEvent =
  | Received<typeof BudgetReserve>
  | Received<typeof BudgetSettle>
  | Received<typeof BudgetRelease>
  | Received<typeof BudgetExtend>
  | Received<typeof BudgetOrphaned>
  | Received<typeof BudgetOpen>
  | Received<typeof BudgetClose>
  | Received<typeof BudgetRaise>
  | Received<typeof BudgetFreeze>
  | Received<typeof BudgetCheckpoint>;

const sayIt = emitEach<{ context: BudgetContext }, Outgoing>(({ context }) => context.desk.outbox);

export const budgetMachine = setup({
  types: { context: {} as BudgetContext, input: {} as BudgetInput, events: {} as BudgetEvent, emitted: {} as Outgoing },
  delays: {
    deadline: ({ context: { desk: books, now } }) => Math.max(0, (books.due ?? now) - now),
  },
  guards: {
    hasDeadlines: ({ context }) => context.desk.due !== undefined,
    hasNoDeadlines: ({ context }) => context.desk.due === undefined,
    hasEarlierDeadline: ({ context: { desk: books, watched } }) => books.due !== undefined && watched !== undefined && books.due < watched,
  },
  actions: {
    reserve: assign(({ context }, said: Received<typeof BudgetReserve>) => ({ desk: messages.reserve(context.desk, said), now: said.at })),
    settle: assign(({ context }, said: Received<typeof BudgetSettle>) => ({ desk: messages.settle(context.desk, said), now: said.at })),
    release: assign(({ context }, said: Received<typeof BudgetRelease>) => ({ desk: messages.release(context.desk, said), now: said.at })),
    extend: assign(({ context }, said: Received<typeof BudgetExtend>) => ({ desk: messages.extend(context.desk, said), now: said.at })),
    orphan: assign(({ context }, said: Received<typeof BudgetOrphaned>) => ({ desk: messages.orphan(context.desk, said), now: said.at })),
    open: assign(({ context }, said: Received<typeof BudgetOpen>) => ({ desk: messages.openBranch(context.desk, said), now: said.at })),
    close: assign(({ context }, said: Received<typeof BudgetClose>) => ({ desk: messages.closeAccount(context.desk, said), now: said.at })),
    raise: assign(({ context }, said: Received<typeof BudgetRaise>) => ({ desk: messages.raise(context.desk, said), now: said.at })),
    freeze: assign(({ context }, said: Received<typeof BudgetFreeze>) => ({ desk: messages.freeze(context.desk, said), now: said.at })),
    goOnFrom: assign(({ context }, said: Received<typeof BudgetCheckpoint>) => ({ desk: messages.goOnFrom(context.desk, said), now: said.at })),
    watch: assign({ watched: ({ context }) => context.desk.due }),
    lookAtDeadlines: assign(({ context, event }) => {
      const now = (event as { at?: number }).at ?? context.now;
      return { desk: messages.tick(context.desk, now), now };
    }),
  },
}).createMachine({
  id: 'budget',
  context: ({ input }) => ({ desk: openDesk(input), now: 0, watched: undefined }),
  initial: 'quiet',
  on: {
    'budget.settle': { actions: [{ type: 'settle', params: ({ event }) => event }, sayIt] },
    'budget.release': { actions: [{ type: 'release', params: ({ event }) => event }, sayIt] },
    'budget.extend': { actions: [{ type: 'extend', params: ({ event }) => event }, sayIt] },
    'budget.orphaned': { actions: [{ type: 'orphan', params: ({ event }) => event }, sayIt] },
    'budget.open': { actions: [{ type: 'open', params: ({ event }) => event }, sayIt] },
    'budget.raise': { actions: [{ type: 'raise', params: ({ event }) => event }, sayIt] },
    'budget.freeze': { actions: [{ type: 'freeze', params: ({ event }) => event }, sayIt] },
    'budget.reserve': { actions: [{ type: 'reserve', params: ({ event }) => event }, sayIt] },
    'budget.close': { actions: [{ type: 'close', params: ({ event }) => event }, sayIt] },
    /** The same timer for who was watching and for who begins here. */
    'budget.checkpoint': { target: '.quiet', actions: [{ type: 'goOnFrom', params: ({ event }) => event }, sayIt] },
  },
  states: {
    quiet: { always: { guard: 'hasDeadlines', target: 'watching' } },
    /**
     * The first deadline is watched for, or one before it of what has ended meanwhile: a timer that finds nothing costs less than
     * one that is set and cleared for every grant.
     */
    watching: {
      entry: 'watch',
      always: [
        { guard: 'hasNoDeadlines', target: 'quiet' },
        { guard: 'hasEarlierDeadline', target: 'watching', reenter: true },
      ],
      after: { deadline: { target: 'quiet', actions: ['lookAtDeadlines', sayIt] } },
    },
  },
});
