/**
 * The worker: does one task by ReAct. It thinks (one model call), acts (the tool calls of that answer, all at once), reads what
 * came back, and thinks again until it answers.
 *
 *   W1  Every task ends with exactly one of `task.completed` and `task.failed`.
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
import type { Report } from '../../protocols/formats.ts';
import type { Address } from '../../protocols/ids.ts';
import type { Received, Sent } from '../../protocols/message.ts';
import type { ChatMessage, ModelReply, ModelRequest } from '../../protocols/model.ts';
import type { TaskAssign, TaskCancel, TaskCompleted, TaskFailed } from '../../protocols/task.ts';
import type { ToolRecord, ToolRequest } from '../../protocols/tool.ts';
import { backoffMs, pauses, unanswered, unansweredMs } from '../retry.ts';
import { brokenCall, callEffect, callsOf, observed, opening, parseReport, repairMessage, REPAIRS_MAX, request, said, type Task } from './policy.ts';

export type WorkerInput = { readonly profile: AgentProfile };

export type WorkerContext = {
  readonly profile: AgentProfile;
  readonly task: Task;
  readonly replyTo: Address;
  readonly messages: readonly ChatMessage[];
  /** Model calls that were answered. */
  readonly turn: number;
  /** Tries at the present model call, from 1. */
  readonly attempt: number;
  readonly repairs: number;
  /** The answer whose tool calls are being made. */
  readonly reply: ModelReply | undefined;
  readonly records: readonly ToolRecord[];
  readonly report: Report | undefined;
  readonly failure: Failure | undefined;
  /** What the account had left at the last grant. */
  readonly leftNanos: string | undefined;
};

type ToolDone = DoneActorEvent<ToolRecord, `tool.${number}`> | (ErrorActorEvent<Failure, `tool.${number}`> & { readonly at?: number });

export type WorkerEvent = Received<typeof TaskAssign> | Received<typeof TaskCancel> | Received<typeof BudgetGranted> | Received<typeof BudgetRaised> | ToolDone;

type Emitted = Sent<typeof TaskCompleted> | Sent<typeof TaskFailed>;

const NO_TASK: Task = { step: 'none', attempt: 1, goal: '', instructions: '', findings: [] };

const callTools = startEach<{ context: WorkerContext }, ToolRequest>('tool', ({ context }) =>
  callsOf(context.reply!).map((call, index) => ({ id: callEffect(index), input: { call, agent: context.profile.name } })),
);

export const workerMachine = setup({
  types: { context: {} as WorkerContext, input: {} as WorkerInput, events: {} as WorkerEvent, emitted: {} as Emitted },
  actors: {
    model: effect<ModelReply, ModelRequest>(),
    tool: effect<ToolRecord, ToolRequest>(),
  },
  delays: {
    backoff: ({ context }) => backoffMs(context.attempt, context.failure),
    unanswered: ({ context }) => unansweredMs(context.profile),
    taskTimeout: ({ context }) => context.profile.limits.timeoutMs,
  },
  guards: {
    wantsTools: ({ context }, reply: ModelReply) => reply.toolCalls.length > 0 && context.turn + 1 < context.profile.limits.turns,
    hasForm: (_, reply: ModelReply) => reply.toolCalls.length === 0 && parseReport(reply).ok,
    canRepair: ({ context }, reply: ModelReply) =>
      reply.toolCalls.length === 0 && context.repairs < REPAIRS_MAX && context.turn + 1 < context.profile.limits.turns,
    pauses: (_, error: Failure) => pauses(error),
    canRetry: ({ context }, error: Failure) => error.retryable && context.attempt < context.profile.limits.attempts,
    allObserved: ({ context }) => context.records.length >= callsOf(context.reply!).length,
  },
  actions: {
    accept: assign(({ context }, { from, type: _, at: __, ...task }: Received<typeof TaskAssign>) => ({
      task,
      replyTo: from,
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
    observeBroken: assign(({ context }, { actorId, error, at }: { actorId: string; error: Failure; at: number }) => {
      const index = callsOf(context.reply!).findIndex((_, position) => callEffect(position) === actorId);
      return { records: [...context.records, brokenCall(callsOf(context.reply!)[index]!, error, at)] };
    }),
    read: assign(({ context }) => ({ messages: [...context.messages, ...observed(context.reply!, context.records)], reply: undefined, records: [] })),
    keepReport: assign((_, reply: ModelReply) => {
      const parsed = parseReport(reply);
      return { report: parsed.ok ? parsed.value : undefined };
    }),
    askForForm: assign(({ context }, reply: ModelReply) => {
      const parsed = parseReport(reply);
      return { repairs: context.repairs + 1, messages: [...context.messages, repairMessage(parsed.ok ? 'no answer' : parsed.problem)] };
    }),
    rememberLeft: assign((_, { leftNanos }: Received<typeof BudgetGranted>) => ({ leftNanos })),
    countAttempt: assign(({ context }) => ({ attempt: context.attempt + 1 })),
    fail: assign((_, why: Failure) => ({ failure: why })),
    failForm: assign((_, reply: ModelReply) => {
      const parsed = parseReport(reply);
      const problem = reply.toolCalls.length > 0 ? 'it called tools when none were left to call' : parsed.ok ? 'nothing' : parsed.problem;
      return {
        failure: failure('MODEL_BAD_REPLY', `${reply.model} gave no answer of the form that was asked for: ${problem}`, {
          details: { text: reply.text.slice(0, 500) },
        }),
      };
    }),
    failUnanswered: assign(({ context }) => ({ failure: unanswered(context.profile) })),
    failTimeout: assign(({ context }) => ({
      failure: failure(
        'TASK_TIMEOUT',
        `${context.profile.name} took longer than ${context.profile.limits.timeoutMs} ms for step ${context.task.step}; raise limits.timeout_s`,
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
}).createMachine({
  id: 'worker',
  context: ({ input }) => ({
    profile: input.profile,
    task: NO_TASK,
    replyTo: '' as Address,
    messages: [],
    turn: 0,
    attempt: 1,
    repairs: 0,
    reply: undefined,
    records: [],
    report: undefined,
    failure: undefined,
    leftNanos: undefined,
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
        thinking: {
          invoke: {
            id: 'model',
            src: 'model',
            input: ({ context }) => request(context.profile, context.messages, context.turn + 1, context.leftNanos),
            onDone: [
              {
                guard: { type: 'wantsTools', params: ({ event }) => event.output },
                target: 'acting',
                actions: { type: 'hear', params: ({ event }) => event.output },
              },
              {
                guard: { type: 'hasForm', params: ({ event }) => event.output },
                target: '#worker.completed',
                actions: [
                  { type: 'hear', params: ({ event }) => event.output },
                  { type: 'keepReport', params: ({ event }) => event.output },
                ],
              },
              {
                guard: { type: 'canRepair', params: ({ event }) => event.output },
                target: 'thinking',
                reenter: true,
                actions: [
                  { type: 'hear', params: ({ event }) => event.output },
                  { type: 'askForForm', params: ({ event }) => event.output },
                ],
              },
              { target: '#worker.failed', actions: { type: 'failForm', params: ({ event }) => event.output } },
            ],
            onError: [
              { guard: { type: 'pauses', params: ({ event }) => event.error as Failure }, target: '#worker.paused' },
              {
                guard: { type: 'canRetry', params: ({ event }) => event.error as Failure },
                target: 'waiting',
                actions: { type: 'fail', params: ({ event }) => event.error as Failure },
              },
              { target: '#worker.failed', actions: { type: 'fail', params: ({ event }) => event.error as Failure } },
            ],
          },
          initial: 'reserving',
          states: {
            reserving: {
              on: { 'budget.granted': { target: 'calling', actions: { type: 'rememberLeft', params: ({ event }) => event } } },
              after: { unanswered: { target: '#worker.failed', actions: 'failUnanswered' } },
            },
            calling: {},
          },
        },
        waiting: {
          after: {
            backoff: { target: 'thinking', actions: 'countAttempt' },
          },
        },
        acting: {
          entry: callTools,
          on: {
            'xstate.done.actor.*': { actions: { type: 'observe', params: ({ event }) => (event as DoneActorEvent<ToolRecord>).output } },
            'xstate.error.actor.*': {
              actions: { type: 'observeBroken', params: ({ event }) => ({ actorId: event.actorId, error: event.error, at: event.at ?? 0 }) },
            },
          },
          always: { guard: 'allObserved', target: 'thinking', actions: 'read' },
        },
      },
    },
    /** The money is used up: everything that was paid is kept, and no time runs. */
    paused: {
      on: {
        'budget.raised': 'working.thinking',
        'task.cancel': { target: 'failed', actions: { type: 'failCancelled', params: ({ event }) => event } },
      },
    },
    completed: { type: 'final', entry: 'reportCompletion' },
    failed: { type: 'final', entry: 'reportFailure' },
    /** Cancelled before there was a task: nobody to answer. */
    dismissed: { type: 'final' },
  },
});
