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
import type { ModelReply, ModelRequest } from '../../protocols/model.ts';
import type { ReviewFailed, ReviewRequest, ReviewVerdict } from '../../protocols/review.ts';
import type { TaskCancel } from '../../protocols/task.ts';
import type { ToolRecord, ToolRequest } from '../../protocols/tool.ts';
import { accepted, readReply, request } from '../conversation.ts';
import { callActions, callDelays, callGuards, modelCall, notCalled, onReply, paidBy, REPAIRS_MAX, type Calling } from '../model-call.ts';
import { evidenceRequest, heldCitations, looksForEvidence, opening, question, type Work } from './policy.ts';

export type ReviewerInput = {
  readonly profile: AgentProfile;
  readonly approver: Address;
  /** Confidence below which a person decides; 0: never. */
  readonly askBelow: number;
  /** How long a person may take. */
  readonly askMs: number;
  /** The name of the question that a person is asked, among all of the run. */
  readonly approval: string;
};

export type ReviewerContext = ReviewerInput &
  Calling & {
    readonly work: Work;
    readonly replyTo: Address;
    readonly verdict: Verdict | undefined;
    /** The citations as the comparison with their sources found them. */
    readonly held: readonly (Citation | null)[] | undefined;
  };

export type ReviewerEvent =
  | Received<typeof ReviewRequest>
  | Received<typeof TaskCancel>
  | Received<typeof BudgetGranted>
  | Received<typeof BudgetRaised>
  | Received<typeof ApprovalDecided>;

type Emitted = Sent<typeof ReviewVerdict> | Sent<typeof ReviewFailed> | Sent<typeof ApprovalRequest>;

const NO_WORK: Work = { step: 'none', attempt: 1, goal: '', instructions: '', text: '', citations: [] };

const verdictOf = (reply: ModelReply) => readReply('verdict', reply);

/** Waiting for a person is the approver's to end; this only outlasts it. */
const ASK_MARGIN_MS = 60_000;

export const reviewerMachine = setup({
  types: { context: {} as ReviewerContext, input: {} as ReviewerInput, events: {} as ReviewerEvent, emitted: {} as Emitted },
  actors: {
    model: effect<ModelReply, ModelRequest>(),
    tool: effect<ToolRecord, ToolRequest>(),
  },
  delays: callDelays,
  guards: callGuards,
  actions: callActions,
})
  .extend({
    delays: {
      reviewTimeout: ({ context }) => context.profile.limits.timeoutMs,
      askTimeout: ({ context }) => context.askMs + ASK_MARGIN_MS,
    },
    guards: {
      noEvidence: ({ context }) => !looksForEvidence(context.profile, context.work),
      isSure: ({ context }, reply: ModelReply) => {
        const verdict = verdictOf(reply);
        return verdict.ok && verdict.value.confidence >= context.askBelow;
      },
      isVerdict: (_, reply: ModelReply) => verdictOf(reply).ok,
      canRepair: ({ context }) => context.repairs < REPAIRS_MAX,
    },
    actions: {
      accept: assign((_, { from, type: __, at: ___, ...work }: Received<typeof ReviewRequest>) => ({ work, replyTo: from, payer: work.payer ?? [] })),
      open: assign(({ context }) => ({ messages: opening(context.profile, context.work, undefined) })),
      openWithEvidence: assign(({ context }, record: ToolRecord) => ({
        messages: opening(context.profile, context.work, record),
        held: heldCitations(context.work, record),
      })),
      keepVerdict: assign((_, reply: ModelReply) => ({ verdict: accepted(verdictOf(reply)) })),
      keepDecision: assign(({ context }, { decision, by, note }: Received<typeof ApprovalDecided>) => ({
        verdict: {
          verdict: decision === 'approve' ? ('accept' as const) : ('revise' as const),
          reasons: [...(note ? [note] : []), ...(decision === 'deny' ? context.verdict!.reasons : []), `decided by ${by}`],
          confidence: 1,
        },
      })),
      failTimeout: assign(({ context }) => ({
        failure: failure('REVIEW_TIMEOUT', `${context.profile.name} gave no verdict on step ${context.work.step} in time; raise limits.timeout_s`),
      })),
      failCancelled: assign((_, { reason }: Received<typeof TaskCancel>) => ({ failure: failure('TASK_CANCELLED', `cancelled: ${reason}`) })),
      ask: emit(({ context: { work, verdict, approver, askMs, approval } }) => ({
        type: 'approval.request' as const,
        to: approver,
        approval,
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
  })
  .createMachine({
    id: 'reviewer',
    context: ({ input }) => ({
      ...notCalled,
      ...input,
      work: NO_WORK,
      replyTo: '' as Address,
      verdict: undefined,
      held: undefined,
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
              input: ({ context }) => ({ ...evidenceRequest(context.profile, context.work), ...paidBy(context.payer) }),
              onDone: { target: 'judging', actions: { type: 'openWithEvidence', params: ({ event }) => event.output } },
              onError: { target: '#reviewer.failed', actions: { type: 'fail', params: ({ event }) => event.error as Failure } },
            },
          },
          judging: modelCall({
            at: '#reviewer.working.judging',
            id: 'model',
            request: ({ profile, messages }: ReviewerContext) => request(profile, messages, 'verdict'),
            read: (_, reply) => verdictOf(reply),
            replies: [onReply('isSure', '#reviewer.decided', 'keepVerdict'), onReply('isVerdict', '#reviewer.asking', 'keepVerdict')],
            paused: '#reviewer.paused',
            failed: '#reviewer.failed',
          }),
        },
      },
      /** The money is used up: no time runs. */
      paused: {
        on: {
          'budget.raised': { target: 'working.judging', actions: 'spendAgain' },
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
