/**
 * The budget: one account, and the only one who may say that money is spent.
 *
 * It folds its own log like every actor, so any number of hosts may serve it: they read the same requests in the same order,
 * decide the same and say the same under the same ids. The decisions are in policy.ts, with their invariants.
 *
 *   B1  Every new `budget.reserve` is answered by exactly one of granted and vetoed.
 *   B2  `budget.close` is answered once nothing is held any more, or when `drainMs` have passed; nothing is granted after it.
 *   B3  Settlements and releases are taken in every state: money that was spent is booked, however late.
 */
import { assign, emit, setup } from 'xstate';
import type { BudgetClose, BudgetClosed, BudgetGranted, BudgetRelease, BudgetReserve, BudgetSettle, BudgetVetoed } from '../../protocols/budget.ts';
import type { Address } from '../../protocols/ids.ts';
import type { Received, Sent } from '../../protocols/message.ts';
import { closed, exhausted, expire, hold, left, offer, openAccount, release, settle, type Account } from './policy.ts';

export type BudgetInput = {
  /** For people: what the account is called in a veto. */
  readonly name: string;
  readonly limitNanos: string;
  /** From a grant to its deadline. */
  readonly grantMs: number;
  /** The longest wait for open grants when closing. */
  readonly drainMs: number;
};

export type BudgetContext = {
  readonly account: Account;
  readonly grantMs: number;
  readonly drainMs: number;
  /** Who waits for the account to be closed. */
  readonly closer: Address | undefined;
};

export type BudgetEvent = Received<typeof BudgetReserve> | Received<typeof BudgetSettle> | Received<typeof BudgetRelease> | Received<typeof BudgetClose>;

type Emitted = Sent<typeof BudgetGranted> | Sent<typeof BudgetVetoed> | Sent<typeof BudgetClosed>;
type Request = Received<typeof BudgetReserve>;

const figures = ({ limit, spent, held }: Account) => ({ limitNanos: limit.toString(), spentNanos: spent.toString(), heldNanos: held.toString() });

export const budgetMachine = setup({
  types: { context: {} as BudgetContext, input: {} as BudgetInput, events: {} as BudgetEvent, emitted: {} as Emitted },
  delays: {
    grantMs: ({ context }) => context.grantMs,
    drainMs: ({ context }) => context.drainMs,
  },
  guards: {
    decidedBefore: ({ context }, request: Request) => context.account.grants[request.grant] !== undefined,
    fits: ({ context }, request: Request) => offer(context.account, request.quote) !== undefined,
    nothingHeld: ({ context }) => context.account.held === 0n,
    someHeld: ({ context }) => context.account.held > 0n,
  },
  actions: {
    hold: assign(({ context }, request: Request) => ({
      account: hold(context.account, request.grant, offer(context.account, request.quote)!, request.at + context.grantMs),
    })),
    settle: assign(({ context }, bill: Received<typeof BudgetSettle>) => ({ account: settle(context.account, bill.grant, BigInt(bill.spentNanos)) })),
    release: assign(({ context }, { grant }: Received<typeof BudgetRelease>) => ({ account: release(context.account, grant) })),
    expire: assign(({ context, event }) => ({ account: expire(context.account, (event as { at?: number }).at ?? 0) })),
    rememberCloser: assign((_, { from }: Received<typeof BudgetClose>) => ({ closer: from })),
    grant: emit(({ context }, { grant, from }: Request) => {
      const { nanos, maxTokens, deadline } = context.account.grants[grant]!;
      return {
        type: 'budget.granted' as const,
        to: from,
        grant,
        amountNanos: nanos.toString(),
        maxTokens,
        deadline,
        leftNanos: left(context.account).toString(),
      };
    }),
    veto: emit(({ context }, { grant, from, quote }: Request) => ({
      type: 'budget.vetoed' as const,
      to: from,
      grant,
      failure: exhausted(context.account, quote),
    })),
    refuse: emit(({ context }, { grant, from }: Request) => ({ type: 'budget.vetoed' as const, to: from, grant, failure: closed(context.account) })),
    answerCloser: emit(({ context }) => ({ type: 'budget.closed' as const, to: context.closer!, ...figures(context.account) })),
  },
}).createMachine({
  id: 'budget',
  context: ({ input }) => ({
    account: openAccount(input.name, BigInt(input.limitNanos)),
    grantMs: input.grantMs,
    drainMs: input.drainMs,
    closer: undefined,
  }),
  on: {
    'budget.settle': { actions: { type: 'settle', params: ({ event }) => event } },
    'budget.release': { actions: { type: 'release', params: ({ event }) => event } },
  },
  initial: 'open',
  states: {
    open: {
      on: {
        'budget.close': { target: 'draining', actions: { type: 'rememberCloser', params: ({ event }) => event } },
      },
      initial: 'quiet',
      states: {
        quiet: {
          on: {
            'budget.reserve': [
              { guard: { type: 'decidedBefore', params: ({ event }) => event } },
              {
                guard: { type: 'fits', params: ({ event }) => event },
                target: 'watching',
                actions: [
                  { type: 'hold', params: ({ event }) => event },
                  { type: 'grant', params: ({ event }) => event },
                ],
              },
              { actions: { type: 'veto', params: ({ event }) => event } },
            ],
          },
        },
        /** Grants are out, or were: their deadlines are looked at from time to time. */
        watching: {
          on: {
            'budget.reserve': [
              { guard: { type: 'decidedBefore', params: ({ event }) => event } },
              {
                guard: { type: 'fits', params: ({ event }) => event },
                actions: [
                  { type: 'hold', params: ({ event }) => event },
                  { type: 'grant', params: ({ event }) => event },
                ],
              },
              { actions: { type: 'veto', params: ({ event }) => event } },
            ],
          },
          after: {
            grantMs: [{ guard: 'someHeld', target: 'watching', reenter: true, actions: 'expire' }, { target: 'quiet' }],
          },
        },
      },
    },
    draining: {
      on: {
        'budget.reserve': { actions: { type: 'refuse', params: ({ event }) => event } },
      },
      always: { guard: 'nothingHeld', target: 'closed' },
      after: { drainMs: 'closed' },
    },
    closed: {
      entry: 'answerCloser',
      on: {
        'budget.reserve': { actions: { type: 'refuse', params: ({ event }) => event } },
        'budget.close': { target: 'closed', reenter: true, actions: { type: 'rememberCloser', params: ({ event }) => event } },
      },
    },
  },
});
