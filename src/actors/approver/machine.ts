/**
 * The approver: holds what people must decide, any number of questions at once. A question stays open across restarts, like
 * all state; whoever answers first, from whatever terminal, decides.
 *
 *   A1  Every question is answered once: by the first person, or by its default when its deadline passes.
 *   A2  An answer to a question that is not open, or that comes after its deadline, changes nothing, and neither does asking the same one again.
 */
import { assign, setup } from 'xstate';
import type { ApprovalAnswer, ApprovalDecided, ApprovalRequest } from '../../protocols/approval.ts';
import { emitEach } from '../../protocols/chart.ts';
import type { Received, Sent } from '../../protocols/message.ts';
import { add, isOpenAt, overdue, untilDeadline, without, type Answered, type Questions } from './policy.ts';

export type ApproverContext = {
  readonly open: Questions;
  /** By this step. */
  readonly answered: readonly Answered[];
  /** The log's time of this step. */
  readonly now: number;
};

export type ApproverEvent = Received<typeof ApprovalRequest> | Received<typeof ApprovalAnswer>;

const tellAskers = emitEach<{ context: ApproverContext }, Sent<typeof ApprovalDecided>>(({ context }) =>
  context.answered.map(({ question, decision, by, note }) => ({
    type: 'approval.decided',
    to: question.from,
    approval: question.approval,
    decision,
    by,
    note,
  })),
);

export const approverMachine = setup({
  types: { context: {} as ApproverContext, events: {} as ApproverEvent, emitted: {} as Sent<typeof ApprovalDecided> },
  delays: {
    deadline: ({ context }) => untilDeadline(context.open, context.now),
  },
  guards: {
    isNew: ({ context }, { approval }: Received<typeof ApprovalRequest>) => !(approval in context.open),
    isOpen: ({ context }, { approval, at }: Received<typeof ApprovalAnswer>) => isOpenAt(context.open, approval, at),
    nothingOpen: ({ context }) => Object.keys(context.open).length === 0,
  },
  actions: {
    keep: assign(({ context }, { type: _, at, ...request }: Received<typeof ApprovalRequest>) => ({
      now: at,
      open: add(context.open, { ...request, deadline: at + request.timeoutMs }),
    })),
    answer: assign(({ context }, { approval, decision, by, note, at }: Received<typeof ApprovalAnswer>) => ({
      now: at,
      open: without(context.open, [approval]),
      answered: [{ question: context.open[approval]!, decision, by, note }],
    })),
    answerOverdue: assign(({ context, event }) => {
      const now = (event as { at?: number }).at ?? context.now;
      const answered = overdue(context.open, now);
      return {
        now,
        answered,
        open: without(
          context.open,
          answered.map(({ question }) => question.approval),
        ),
      };
    }),
  },
}).createMachine({
  id: 'approver',
  context: { open: {}, answered: [], now: 0 },
  initial: 'idle',
  on: {
    'approval.request': {
      guard: { type: 'isNew', params: ({ event }) => event },
      target: '.waiting',
      reenter: true,
      actions: { type: 'keep', params: ({ event }) => event },
    },
  },
  states: {
    idle: {},
    waiting: {
      on: {
        'approval.answer': {
          guard: { type: 'isOpen', params: ({ event }) => event },
          target: 'waiting',
          reenter: true,
          actions: [{ type: 'answer', params: ({ event }) => event }, tellAskers],
        },
      },
      always: { guard: 'nothingOpen', target: 'idle' },
      after: {
        deadline: { target: 'waiting', reenter: true, actions: ['answerOverdue', tellAskers] },
      },
    },
  },
});
