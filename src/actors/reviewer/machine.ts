/**
 * The reviewer: gives a verdict on one attempt at a task. It has the quotes compared with their sources, mechanically, then a
 * model judges with that evidence before it. When its confidence is below the threshold, a person decides.
 *
 *   V1  Every request ends with exactly one of `review.verdict` and `review.failed`.
 *   V2  One model call, one more to put its form right, `attempts` tries at each.
 *   V3  A verdict below `askBelow` is a person's, never the model's.
 *   V4  Every waiting state ends by its answer, by cancellation, or by the review's time-out; while a person decides, by the
 *       approver's deadline.
 */
import { assign, emit, setup } from 'xstate';
import type { AgentProfile } from '../../protocols/agent.ts';
import type { ApprovalDecided, ApprovalRequest } from '../../protocols/approval.ts';
import type { BudgetGranted, BudgetRaised } from '../../protocols/budget.ts';
import { effect } from '../../protocols/chart.ts';
import { failure, type Failure } from '../../protocols/failure.ts';
import type { Citation, Verdict } from '../../protocols/formats.ts';
import type { Address } from '../../protocols/ids.ts';
import type { Received, Sent } from '../../protocols/message.ts';
import type { ChatMessage, ModelReply, ModelRequest } from '../../protocols/model.ts';
import type { ReviewFailed, ReviewRequest, ReviewVerdict } from '../../protocols/review.ts';
import type { TaskCancel } from '../../protocols/task.ts';
import type { ToolRecord, ToolRequest } from '../../protocols/tool.ts';
import { backoffMs, pauses, unanswered, unansweredMs } from '../retry.ts';
import { evidenceRequest, heldCitations, looksForEvidence, opening, parseVerdict, question, repair, request, type Work } from './policy.ts';

export type ReviewerInput = {
  readonly profile: AgentProfile;
  readonly approver: Address;
  /** Confidence below which a person decides; 0: never. */
  readonly askBelow: number;
  /** How long a person may take. */
  readonly askMs: number;
};

export type ReviewerContext = ReviewerInput & {
  readonly work: Work;
  readonly replyTo: Address;
  readonly messages: readonly ChatMessage[];
  readonly attempt: number;
  readonly repaired: boolean;
  readonly verdict: Verdict | undefined;
  /** The citations as the comparison with their sources found them. */
  readonly held: readonly (Citation | null)[] | undefined;
  readonly failure: Failure | undefined;
};

export type ReviewerEvent =
  | Received<typeof ReviewRequest>
  | Received<typeof TaskCancel>
  | Received<typeof BudgetGranted>
  | Received<typeof BudgetRaised>
  | Received<typeof ApprovalDecided>;

type Emitted = Sent<typeof ReviewVerdict> | Sent<typeof ReviewFailed> | Sent<typeof ApprovalRequest>;

const NO_WORK: Work = { step: 'none', attempt: 1, goal: '', instructions: '', text: '', citations: [] };

/** Waiting for a person is the approver's to end; this only outlasts it. */
const ASK_MARGIN_MS = 60_000;

export const reviewerMachine = setup({
  types: { context: {} as ReviewerContext, input: {} as ReviewerInput, events: {} as ReviewerEvent, emitted: {} as Emitted },
  actors: {
    model: effect<ModelReply, ModelRequest>(),
    tool: effect<ToolRecord, ToolRequest>(),
  },
  delays: {
    backoff: ({ context }) => backoffMs(context.attempt, context.failure),
    unanswered: ({ context }) => unansweredMs(context.profile),
    reviewTimeout: ({ context }) => context.profile.limits.timeoutMs,
    askTimeout: ({ context }) => context.askMs + ASK_MARGIN_MS,
  },
  guards: {
    noEvidence: ({ context }) => !looksForEvidence(context.profile, context.work),
    confident: ({ context }, reply: ModelReply) => {
      const parsed = parseVerdict(reply);
      return parsed.ok && parsed.value.confidence >= context.askBelow;
    },
    unsure: (_, reply: ModelReply) => parseVerdict(reply).ok,
    canRepair: ({ context }) => !context.repaired,
    pauses: (_, error: Failure) => pauses(error),
    canRetry: ({ context }, error: Failure) => error.retryable && context.attempt < context.profile.limits.attempts,
  },
  actions: {
    accept: assign((_, { from, type: __, at: ___, ...work }: Received<typeof ReviewRequest>) => ({ work, replyTo: from })),
    open: assign(({ context }) => ({ messages: opening(context.profile, context.work, undefined) })),
    openWithEvidence: assign(({ context }, record: ToolRecord) => ({
      messages: opening(context.profile, context.work, record),
      held: heldCitations(context.work, record),
    })),
    keepVerdict: assign((_, reply: ModelReply) => {
      const parsed = parseVerdict(reply);
      return { verdict: parsed.ok ? parsed.value : undefined };
    }),
    keepDecision: assign(({ context }, { decision, by, note }: Received<typeof ApprovalDecided>) => ({
      verdict: {
        verdict: decision === 'approve' ? ('accept' as const) : ('revise' as const),
        reasons: [...(note ? [note] : []), ...(decision === 'deny' ? context.verdict!.reasons : []), `decided by ${by}`],
        confidence: 1,
      },
    })),
    askForForm: assign(({ context }, reply: ModelReply) => {
      const parsed = parseVerdict(reply);
      return { repaired: true, attempt: 1, messages: [...context.messages, ...repair(reply, parsed.ok ? 'no verdict' : parsed.problem)] };
    }),
    countAttempt: assign(({ context }) => ({ attempt: context.attempt + 1 })),
    fail: assign((_, why: Failure) => ({ failure: why })),
    failForm: assign((_, reply: ModelReply) => {
      const parsed = parseVerdict(reply);
      return { failure: failure('MODEL_BAD_REPLY', `${reply.model} gave no verdict of the form that was asked for: ${parsed.ok ? '' : parsed.problem}`) };
    }),
    failUnanswered: assign(({ context }) => ({ failure: unanswered(context.profile) })),
    failTimeout: assign(({ context }) => ({
      failure: failure('REVIEW_TIMEOUT', `${context.profile.name} gave no verdict on step ${context.work.step} in time; raise limits.timeout_s`),
    })),
    failCancelled: assign((_, { reason }: Received<typeof TaskCancel>) => ({ failure: failure('TASK_CANCELLED', `cancelled: ${reason}`) })),
    ask: emit(({ context: { work, verdict, approver, askMs } }) => ({
      type: 'approval.request' as const,
      to: approver,
      approval: `review-${work.step}-${work.attempt}`,
      question: question(work, verdict!),
      details: { text: work.text, reasons: verdict!.reasons },
      timeoutMs: askMs,
      otherwise: 'deny' as const,
    })),
    giveVerdict: emit(({ context: { work, replyTo, verdict, held } }) => ({
      type: 'review.verdict' as const,
      to: replyTo,
      step: work.step,
      attempt: work.attempt,
      ...verdict!,
      ...(held && { held: [...held] }),
    })),
    giveFailure: emit(({ context: { work, replyTo, failure: why } }) => ({
      type: 'review.failed' as const,
      to: replyTo,
      step: work.step,
      attempt: work.attempt,
      failure: why!,
    })),
  },
}).createMachine({
  id: 'reviewer',
  context: ({ input }) => ({
    ...input,
    work: NO_WORK,
    replyTo: '' as Address,
    messages: [],
    attempt: 1,
    repaired: false,
    verdict: undefined,
    held: undefined,
    failure: undefined,
  }),
  initial: 'idle',
  states: {
    idle: {
      on: {
        'review.request': { target: 'working', actions: { type: 'accept', params: ({ event }) => event } },
        'task.cancel': 'dismissed',
      },
    },
    working: {
      on: {
        'task.cancel': { target: 'failed', actions: { type: 'failCancelled', params: ({ event }) => event } },
      },
      after: {
        reviewTimeout: { target: 'failed', actions: 'failTimeout' },
      },
      initial: 'gathering',
      states: {
        gathering: {
          always: { guard: 'noEvidence', target: 'judging', actions: 'open' },
          invoke: {
            id: 'evidence',
            src: 'tool',
            input: ({ context }) => evidenceRequest(context.profile, context.work),
            onDone: { target: 'judging', actions: { type: 'openWithEvidence', params: ({ event }) => event.output } },
            onError: { target: '#reviewer.failed', actions: { type: 'fail', params: ({ event }) => event.error as Failure } },
          },
        },
        judging: {
          invoke: {
            id: 'model',
            src: 'model',
            input: ({ context }) => request(context.profile, context.messages),
            onDone: [
              {
                guard: { type: 'confident', params: ({ event }) => event.output },
                target: '#reviewer.decided',
                actions: { type: 'keepVerdict', params: ({ event }) => event.output },
              },
              {
                guard: { type: 'unsure', params: ({ event }) => event.output },
                target: '#reviewer.asking',
                actions: { type: 'keepVerdict', params: ({ event }) => event.output },
              },
              { guard: 'canRepair', target: 'judging', reenter: true, actions: { type: 'askForForm', params: ({ event }) => event.output } },
              { target: '#reviewer.failed', actions: { type: 'failForm', params: ({ event }) => event.output } },
            ],
            onError: [
              { guard: { type: 'pauses', params: ({ event }) => event.error as Failure }, target: '#reviewer.paused' },
              {
                guard: { type: 'canRetry', params: ({ event }) => event.error as Failure },
                target: 'waiting',
                actions: { type: 'fail', params: ({ event }) => event.error as Failure },
              },
              { target: '#reviewer.failed', actions: { type: 'fail', params: ({ event }) => event.error as Failure } },
            ],
          },
          initial: 'reserving',
          states: {
            reserving: { on: { 'budget.granted': 'calling' }, after: { unanswered: { target: '#reviewer.failed', actions: 'failUnanswered' } } },
            calling: {},
          },
        },
        waiting: {
          after: {
            backoff: { target: 'judging', actions: 'countAttempt' },
          },
        },
      },
    },
    /** The money is used up: no time runs. */
    paused: {
      on: {
        'budget.raised': 'working.judging',
        'task.cancel': { target: 'failed', actions: { type: 'failCancelled', params: ({ event }) => event } },
      },
    },
    asking: {
      entry: 'ask',
      on: {
        'approval.decided': { target: 'decided', actions: { type: 'keepDecision', params: ({ event }) => event } },
        'task.cancel': { target: 'failed', actions: { type: 'failCancelled', params: ({ event }) => event } },
      },
      after: {
        askTimeout: { target: 'failed', actions: 'failTimeout' },
      },
    },
    decided: { type: 'final', entry: 'giveVerdict' },
    failed: { type: 'final', entry: 'giveFailure' },
    /** Cancelled before there was work: nobody to answer. */
    dismissed: { type: 'final' },
  },
});
