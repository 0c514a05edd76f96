/**
 * One call of a model, as every chart makes it: the state that makes it, and what that state needs of a chart's context, guards,
 * actions and delays. A chart says what to ask, how to read the reply, and where to go with it.
 *
 *   C1  The account's silence is no permission: the wait for a grant ends.
 *   C2  A failure that may pass is tried again, `attempts` times in all, each time later.
 *   C3  A reply without its form is followed by what is wrong with it, while the chart's guard `canRepair` lets it.
 *   C4  Near the end of the money calls go to the profile's cheaper model, and to its own again after a raise.
 *   C5  Who could not be paid, and may be later, leaves for the chart's pause; what was said is kept.
 */
import { assign, type ActionFunction, type ParameterizedObject } from 'xstate';
import type { AgentProfile } from '../protocols/agent.ts';
import type { BudgetGranted } from '../protocols/budget.ts';
import type { PayloadOf } from '../protocols/catalogue.ts';
import type { Failure } from '../protocols/failure.ts';
import type { Parsed } from '../protocols/formats.ts';
import type { Received } from '../protocols/message.ts';
import type { ChatMessage, ModelReply, ModelRequest } from '../protocols/model.ts';
import { badReply, correction } from './conversation.ts';
import { backoffMs, pauses, unanswered, unansweredMs } from './retry.ts';

/** What a chart that calls a model keeps of it. */
export type Calling = {
  readonly profile: AgentProfile;
  readonly messages: readonly ChatMessage[];
  /** Replies that have become part of the conversation. */
  readonly turn: number;
  /** Tries at the present call, from 1. */
  readonly attempt: number;
  /** Replies that were asked for again because of their form. */
  readonly repairs: number;
  /** Why the last try failed. */
  readonly trouble: Failure | undefined;
  /** What the account said when it last granted a call. */
  readonly granted: { readonly leftNanos: string; readonly maxTokens: number } | undefined;
  /** Whether calls go to the cheaper model. */
  readonly saves: boolean;
  /** Why the chart's own work failed. */
  readonly failure: Failure | undefined;
  /** Accounts below the run's that pay, the outermost first. */
  readonly payer: readonly string[];
};

export const notCalled = {
  messages: [],
  turn: 0,
  attempt: 1,
  repairs: 0,
  trouble: undefined,
  granted: undefined,
  saves: false,
  failure: undefined,
  payer: [],
} satisfies Omit<Calling, 'profile'>;

/** Replies that do not have the form may be asked for again so often. */
export const REPAIRS_MAX = 1;

/** The same for an agent's answers, whose form may say how often. */
export const repairsOf = ({ output }: AgentProfile): number => output?.repairs ?? REPAIRS_MAX;

/** XState ties an action to the context and the events of one machine; these fit any that keeps `Calling`. */
// oxlint-disable-next-line typescript/no-explicit-any
type Any = any;
type Change<Params extends ParameterizedObject['params'] | undefined> = ActionFunction<Any, Any, Any, Params, never, never, never, never, never>;

const change = <Params extends ParameterizedObject['params'] | undefined = undefined>(
  to: (calling: Calling, params: Params) => Partial<Calling>,
): Change<Params> => assign<Calling, Any, Params, Any, never>(({ context }, params) => to(context, params));

export const callDelays = {
  backoff: ({ context: { attempt, trouble } }: { context: Calling }) => backoffMs(attempt, trouble),
  unanswered: ({ context: { profile } }: { context: Calling }) => unansweredMs(profile),
};

export const callGuards = {
  pauses: (_: unknown, error: Failure) => pauses(error),
  nearsEnd: ({ context }: { context: Calling }, grant: Received<typeof BudgetGranted>) => canSave(context) && nearsEnd(context.profile, grant),
  saves: ({ context }: { context: Calling }, { code, details }: Failure) => canSave(context) && code === 'BUDGET_EXHAUSTED' && details['measure'] === 'money',
  canRetry: ({ context: { attempt, profile } }: { context: Calling }, error: Failure) => error.retryable && attempt < profile.limits.attempts,
};

export const callActions = {
  rememberGrant: change((_, { leftNanos, maxTokens }: Received<typeof BudgetGranted>) => ({ granted: { leftNanos, maxTokens } })),
  save: change(({ profile }) => ({ saves: profile.cheaper !== undefined })),
  spendAgain: change(() => ({ saves: false })),
  rememberTrouble: change((_, trouble: Failure) => ({ trouble })),
  countAttempt: change(({ attempt }) => ({ attempt: attempt + 1 })),
  askForForm: change(({ messages, turn, repairs }, { reply, problem }: Misfit) => ({
    messages: [...messages, ...correction(reply, problem)],
    turn: turn + 1,
    repairs: repairs + 1,
    attempt: 1,
  })),
  fail: change((_, failure: Failure) => ({ failure })),
  failForm: change(({ profile, granted }, { reply, problem }: Misfit) => ({ failure: badReply(profile, granted?.maxTokens, reply, problem) })),
  failUnanswered: change(({ profile }) => ({ failure: unanswered(profile) })),
};

const canSave = ({ profile, saves }: Calling): boolean => profile.cheaper !== undefined && !saves;

/** Whether no more was left, before the call that is granted, than the cheaper model is for. */
const nearsEnd = ({ cheaper }: AgentProfile, { leftNanos, amountNanos }: PayloadOf<'budget.granted'>): boolean =>
  BigInt(leftNanos) + BigInt(amountNanos) <= BigInt(cheaper!.fromLeftNanos);

/** The request, to the model that the money is for (C4), and from the accounts that pay for it. */
export const toModel = ({ profile: { cheaper }, saves, payer }: Calling, request: ModelRequest): ModelRequest => ({
  ...request,
  ...(cheaper && (saves ? { model: cheaper.model } : { hasCheaper: true })),
  ...paidBy(payer),
});

/** Nothing is said of accounts where the run's own pays. */
export const paidBy = (payer: readonly string[]): { payer?: string[] } => (payer.length > 0 ? { payer: [...payer] } : {});

/** A reply that is not what was asked for, and why. */
type Misfit = { readonly reply: ModelReply; readonly problem: string };

const grantOf = ({ event }: { event: Received<typeof BudgetGranted> }) => event;
const replyOf = ({ event }: { event: { output: ModelReply } }) => event.output;
const errorOf = ({ event }: { event: { error: unknown } }) => event.error as Failure;

/** A way on from a call: the first whose guard holds is taken. Its guard and its actions are given the reply. */
export const onReply = <Guard extends string, Action extends string>(guard: Guard, target: string, ...actions: readonly Action[]) => ({
  guard: { type: guard, params: replyOf },
  target,
  actions: actions.map((type) => ({ type, params: replyOf })),
});

/** A way on from a call that failed for good. Its guard and its actions are given the failure. */
export const onFailure = <Guard extends string, Action extends string>(guard: Guard, target: string, ...actions: readonly Action[]) => ({
  guard: { type: guard, params: errorOf },
  target,
  actions: actions.map((type) => ({ type, params: errorOf })),
});

type Story<Context, Id extends string, Reply, Fallen> = {
  /** The state itself, as a target. */
  readonly at: `#${string}`;
  /** The name of the effect. */
  readonly id: Id;
  readonly request: (context: Context) => ModelRequest;
  /** Says what is wrong with a reply that `replies` do not take. */
  readonly read: (context: Context, reply: ModelReply) => Parsed<unknown>;
  readonly replies: readonly Reply[];
  readonly failures?: readonly Fallen[];
  readonly paused: string;
  readonly failed: string;
};

/** The state that makes the call: it asks for the money, calls, and waits before it tries again. */
export const modelCall = <Context extends Calling, const Id extends string, Reply, Fallen = never>({
  at,
  id,
  request,
  read,
  replies,
  failures = [],
  paused,
  failed,
}: Story<Context, Id, Reply, Fallen>) => {
  const misfitOf = ({ context, event: { output } }: { context: Context; event: { output: ModelReply } }): Misfit => {
    const parsed = read(context, output);
    return { reply: output, problem: parsed.ok ? 'nothing is wrong with it' : parsed.problem };
  };
  return {
    invoke: {
      id,
      src: 'model',
      input: ({ context }: { context: Context }) => toModel(context, request(context)),
      onDone: [
        ...replies,
        { guard: { type: 'canRepair', params: replyOf }, target: at, reenter: true, actions: { type: 'askForForm', params: misfitOf } },
        { target: failed, actions: { type: 'failForm', params: misfitOf } },
      ],
      onError: [
        { guard: { type: 'saves', params: errorOf }, target: at, reenter: true, actions: 'save' },
        { guard: { type: 'pauses', params: errorOf }, target: paused },
        { guard: { type: 'canRetry', params: errorOf }, target: '.waiting', actions: { type: 'rememberTrouble', params: errorOf } },
        ...failures,
        { target: failed, actions: { type: 'fail', params: errorOf } },
      ],
    },
    initial: 'reserving',
    states: {
      reserving: {
        on: {
          'budget.granted': [
            { guard: { type: 'nearsEnd', params: grantOf }, target: at, reenter: true, actions: [{ type: 'rememberGrant', params: grantOf }, 'save'] },
            { target: 'calling', actions: { type: 'rememberGrant', params: grantOf } },
          ],
        },
        after: { unanswered: { target: failed, actions: 'failUnanswered' } },
      },
      calling: {},
      waiting: { after: { backoff: { target: at, reenter: true, actions: 'countAttempt' } } },
    },
  } as const;
};
