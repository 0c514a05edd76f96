/**
 * The worker: does one task by ReAct. It thinks (one model call), acts (the tool calls of that answer, all at once), reads what
 * came back, and thinks again until it answers or hands the task over. Its strategy may put a turn before that, for a plan, or
 * one behind it, for a second look at the answer.
 *
 *   W1  Every task ends with exactly one of `task.completed`, `task.failed` and `task.handed_over`.
 *   W2  At most `turns` model calls; the last is made without tools. At most `attempts` tries at one of them.
 *   W3  A cancelled task never reports completion.
 *   W4  A call that fails is something to read, not the end of the task.
 *   W5  Every waiting state ends by its answer, by cancellation, or by the task's time-out; while the money is used up, by a raise.
 */
import { assign, emit, setup, type DoneActorEvent, type ErrorActorEvent } from 'xstate';
import type { AgentProfile } from '../../protocols/agent.ts';
import type { BudgetGranted, BudgetRaised } from '../../protocols/budget.ts';
import { effect, startEach } from '../../protocols/chart.ts';
import { failure, type Failure } from '../../protocols/failure.ts';
import type { Address } from '../../protocols/ids.ts';
import type { Received, Sent } from '../../protocols/message.ts';
import type { ModelReply, ModelRequest } from '../../protocols/model.ts';
import type { PayloadOf } from '../../protocols/catalogue.ts';
import type { TaskAssign, TaskCancel, TaskCompleted, TaskFailed, TaskHandedOver } from '../../protocols/task.ts';
import type { ToolRecord, ToolRequest } from '../../protocols/tool.ts';
import { accepted, type Answer } from '../conversation.ts';
import { callActions, callDelays, callGuards, modelCall, notCalled, onReply, paidBy, repairsOf, type Calling } from '../model-call.ts';
import { handoverIn, passedOn } from './handoff.ts';
import {
  brokenCall,
  callEffect,
  callsOf,
  CARRY_OUT,
  makesPlan,
  nextRequest,
  observed,
  opening,
  readReport,
  REFLECT,
  reflects,
  said,
  type Task,
} from './policy.ts';

export type WorkerInput = { readonly profile: AgentProfile };

export type WorkerContext = Calling & {
  readonly task: Task;
  readonly replyTo: Address;
  /** For the whole task. */
  readonly patienceMs: number;
  /** The answer whose tool calls are being made. */
  readonly reply: ModelReply | undefined;
  readonly records: readonly ToolRecord[];
  readonly report: Answer | undefined;
  /** Whether it has been asked to look at its answer again. */
  readonly reflected: boolean;
  /** Whom it has handed the task over to, and what goes along. */
  readonly handedOver: Pick<PayloadOf<'task.handed_over'>, 'agent' | 'reason' | 'messages' | 'omitted'> | undefined;
};

type ToolDone = DoneActorEvent<ToolRecord, `tool.${number}`> | (ErrorActorEvent<Failure, `tool.${number}`> & { readonly at?: number });

export type WorkerEvent = Received<typeof TaskAssign> | Received<typeof TaskCancel> | Received<typeof BudgetGranted> | Received<typeof BudgetRaised> | ToolDone;

type Emitted = Sent<typeof TaskCompleted> | Sent<typeof TaskFailed> | Sent<typeof TaskHandedOver>;

/** Whether another call may follow the one that is being answered. */
const hasTurns = ({ turn, profile }: WorkerContext): boolean => turn + 1 < profile.limits.turns;

const NO_TASK: Task = { step: 'none', attempt: 1, goal: '', instructions: '', findings: [] };

const callTools = startEach<{ context: WorkerContext }, ToolRequest>('tool', ({ context }) =>
  callsOf(context.reply!).map((call, index) => ({ id: callEffect(index), input: { call, agent: context.profile.name, ...paidBy(context.payer) } })),
);

/** What became of a tool call, also when its effect broke. */
const recordOf = ({ context, event }: { context: WorkerContext; event: ToolDone }): ToolRecord => {
  if ('output' in event) return event.output;
  const call = callsOf(context.reply!).find((_, index) => callEffect(index) === event.actorId)!;
  return brokenCall(call, event.error, event.at ?? 0);
};

/** A tool call has ended; after the last one of the answer the worker thinks again. */
const callEnded = [
  { guard: 'isLast', target: 'thinking', actions: [{ type: 'observe', params: recordOf }, 'read'] },
  { actions: { type: 'observe', params: recordOf } },
] as const;

export const workerMachine = setup({
  types: { context: {} as WorkerContext, input: {} as WorkerInput, events: {} as WorkerEvent, emitted: {} as Emitted },
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
      taskTimeout: ({ context }) => context.patienceMs,
    },
    guards: {
      handsOver: ({ context }, reply: ModelReply) => handoverIn(context.profile, reply) !== undefined,
      wantsTools: ({ context }, reply: ModelReply) => reply.toolCalls.length > 0 && hasTurns(context),
      isPlan: ({ context }, reply: ModelReply) => makesPlan(context.profile, context.turn + 1) && reply.toolCalls.length === 0 && reply.text.trim() !== '',
      mustReflect: ({ context }, reply: ModelReply) => reflects(context.profile, context.turn, context.reflected) && readReport(context.profile, reply).ok,
      isReport: ({ context }, reply: ModelReply) => readReport(context.profile, reply).ok,
      canRepair: ({ context }, reply: ModelReply) => reply.toolCalls.length === 0 && context.repairs < repairsOf(context.profile) && hasTurns(context),
      isLast: ({ context }) => context.records.length + 1 >= callsOf(context.reply!).length,
    },
    actions: {
      accept: assign(({ context }, { from, type: _, at, ...task }: Received<typeof TaskAssign>) => ({
        task,
        patienceMs: Math.max(0, Math.min(context.profile.limits.timeoutMs, (task.deadline ?? Number.POSITIVE_INFINITY) - at)),
        replyTo: from,
        payer: task.payer ?? [],
        messages: opening(context.profile, task),
      })),
      hear: assign(({ context }, reply: ModelReply) => ({
        turn: context.turn + 1,
        attempt: 1,
        reply,
        records: [],
        messages: [...context.messages, said(reply)],
      })),
      observe: assign(({ context }, record: ToolRecord) => ({ records: [...context.records, record] })),
      read: assign(({ context }) => ({ messages: [...context.messages, ...observed(context.reply!, context.records)], reply: undefined, records: [] })),
      keepReport: assign(({ context }, reply: ModelReply) => ({ report: accepted(readReport(context.profile, reply)) })),
      handOver: assign(({ context: { profile, task, messages, turn } }, reply: ModelReply) => ({
        turn: turn + 1,
        handedOver: { ...handoverIn(profile, reply)!, ...passedOn(profile, task.handover, messages.slice(opening(profile, task).length), reply) },
      })),
      askToCarryOut: assign(({ context }) => ({ messages: [...context.messages, CARRY_OUT] })),
      askToReflect: assign(({ context }) => ({ messages: [...context.messages, REFLECT], reflected: true })),
      /** The run's deadline began anew with the raise. */
      beginAnew: assign(({ context }) => ({ patienceMs: context.profile.limits.timeoutMs })),
      failTimeout: assign(({ context: { profile, task, patienceMs } }) => ({
        failure: failure(
          'TASK_TIMEOUT',
          patienceMs < profile.limits.timeoutMs
            ? `the run's deadline came while ${profile.name} worked on step ${task.step}; raise limits.deadline_s`
            : `${profile.name} took longer than ${profile.limits.timeoutMs} ms for step ${task.step}; raise limits.timeout_s`,
        ),
      })),
      failCancelled: assign((_, { reason }: Received<typeof TaskCancel>) => ({ failure: failure('TASK_CANCELLED', `cancelled: ${reason}`) })),
      reportCompletion: emit(({ context: { task, replyTo, report, turn } }) => ({
        type: 'task.completed' as const,
        to: replyTo,
        step: task.step,
        attempt: task.attempt,
        text: report!.text,
        citations: report!.citations,
        ...(report!.output !== undefined && { output: report!.output }),
        ...(report!.reasoning !== undefined && { reasoning: report!.reasoning }),
        turns: turn,
      })),
      reportHandover: emit(({ context: { task, replyTo, handedOver, turn } }) => ({
        type: 'task.handed_over' as const,
        to: replyTo,
        step: task.step,
        attempt: task.attempt,
        ...handedOver!,
        turns: turn,
      })),
      reportFailure: emit(({ context: { task, replyTo, failure: why } }) => ({
        type: 'task.failed' as const,
        to: replyTo,
        step: task.step,
        attempt: task.attempt,
        failure: why!,
      })),
    },
  })
  .createMachine({
    id: 'worker',
    context: ({ input }) => ({
      ...notCalled,
      profile: input.profile,
      task: NO_TASK,
      replyTo: '' as Address,
      patienceMs: 0,
      reply: undefined,
      records: [],
      report: undefined,
      reflected: false,
      handedOver: undefined,
    }),
    initial: 'idle',
    states: {
      idle: {
        on: {
          'task.assign': { target: 'working', actions: { type: 'accept', params: ({ event }) => event } },
          'task.cancel': { target: 'dismissed' },
        },
      },
      working: {
        on: {
          'task.cancel': { target: 'failed', actions: { type: 'failCancelled', params: ({ event }) => event } },
        },
        after: {
          taskTimeout: { target: 'failed', actions: 'failTimeout' },
        },
        initial: 'thinking',
        states: {
          thinking: modelCall({
            at: '#worker.working.thinking',
            id: 'model',
            request: ({ profile, messages, turn, granted }: WorkerContext) => nextRequest(profile, messages, turn + 1, granted?.leftNanos),
            read: ({ profile }: WorkerContext, reply) => readReport(profile, reply),
            replies: [
              onReply('handsOver', '#worker.handedOver', 'handOver'),
              onReply('wantsTools', '#worker.working.acting', 'hear'),
              { ...onReply('isPlan', '#worker.working.thinking', 'hear', 'askToCarryOut'), reenter: true },
              { ...onReply('mustReflect', '#worker.working.thinking', 'hear', 'askToReflect'), reenter: true },
              onReply('isReport', '#worker.completed', 'hear', 'keepReport'),
            ],
            paused: '#worker.paused',
            failed: '#worker.failed',
          }),
          acting: {
            entry: callTools,
            on: { 'xstate.done.actor.*': callEnded, 'xstate.error.actor.*': callEnded },
          },
        },
      },
      /** The money is used up: everything that was paid is kept, and no time runs. */
      paused: {
        on: {
          'budget.raised': { target: 'working.thinking', actions: ['spendAgain', 'beginAnew'] },
          'task.cancel': { target: 'failed', actions: { type: 'failCancelled', params: ({ event }) => event } },
        },
      },
      completed: { type: 'final', entry: 'reportCompletion' },
      handedOver: { type: 'final', entry: 'reportHandover' },
      failed: { type: 'final', entry: 'reportFailure' },
      /** Cancelled before there was a task: nobody to answer. */
      dismissed: { type: 'final' },
    },
  });
