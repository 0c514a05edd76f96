/**
 * The supervisor: answers a question with a team. It has a plan, from the team file or from its model; it runs the ready steps
 * at once up to a limit, has results reviewed, sends back what was not accepted, and puts one answer together. A step may be a
 * team, whose supervisor is this chart again: it is given a task instead of a run.
 *
 *   S1  Every run ends with exactly one of `run.completed` and `run.failed`, after the account was asked to close, also one that
 *       is cancelled before it is started; every task of a team with exactly one of `task.completed` and `task.failed`.
 *   S2  A model's plan is validated before a step of it runs; it may be put right once.
 *   S3  The rules of the plan are plan.ts's (P1 to P4).
 *   S4  The answer cites nothing but sources that its steps brought.
 *   S5  Every waiting state ends by its answer, by `run.cancel` or `task.cancel`, or by the deadline of the run or the task; while
 *       the money is used up, by a raise.
 *   S6  No team stands deeper in others than the file allows, whatever a plan says.
 */
import { assign, emit, setup } from 'xstate';
import type { ApprovalDecided } from '../../protocols/approval.ts';
import type { BudgetClose, BudgetClosed, BudgetGranted, BudgetPaused, BudgetRaised } from '../../protocols/budget.ts';
import { effect, emitEach } from '../../protocols/chart.ts';
import { failure, type Failure } from '../../protocols/failure.ts';
import type { Citation, Route } from '../../protocols/formats.ts';
import type { Address } from '../../protocols/ids.ts';
import type { RunCancel, RunCompleted, RunFailed, RunStart } from '../../protocols/lifecycle.ts';
import type { Received, Sent } from '../../protocols/message.ts';
import type { ModelReply, ModelRequest } from '../../protocols/model.ts';
import type { ReviewFailed, ReviewVerdict } from '../../protocols/review.ts';
import type { TaskAssign, TaskCancel, TaskCompleted, TaskFailed, TaskHandedOver } from '../../protocols/task.ts';
import { accepted, answerRequest, readAnswer } from '../conversation.ts';
import { callActions, callDelays, callGuards, modelCall, notCalled, onFailure, onReply, repairsOf, toModel, type Calling } from '../model-call.ts';
import { closing, closingActions, closingDelays, closingGuards, type Closing } from '../run-closing.ts';
import { isTooDeep, payerOf, type Assignment } from './members.ts';
import { collapse, completion } from './outcome.ts';
import { allEnded, beginTimesAnew, completed, fromDraft, nextDue, nothingDone, openPlan, runFailure, type Plan } from './plan.ts';
import * as policy from './policy.ts';
import { mayRevise, readRevision, revisionRequest, type Revised } from './revision.ts';
import { candidate, chosen, insteadOf, readRoute, routed, routePrompt, routeQuestion, routeRequest, unrouted } from './routing.ts';
import { keepKnownSources, readPlan, recall, soleAnswer, type Outgoing, type SupervisorInput } from './policy.ts';

export type { SupervisorInput } from './policy.ts';

/** Its own calls: to plan, then to put the answer together. */
export type SupervisorContext = SupervisorInput &
  Calling &
  Closing & {
    readonly goal: string;
    /** Whoever gave it the work. */
    readonly client: Address;
    /** What a team was given to do; `undefined`: it leads the run. */
    readonly assignment: Assignment | undefined;
    /** For all of it. */
    readonly patienceMs: number;
    /** When it gives up. */
    readonly endsAt: number;
    /** The log's time of what was last heard of the plan. */
    readonly now: number;
    /** What the timer of the plan is armed for. */
    readonly watched: number | undefined;
    readonly steps: Plan;
    /** Steps that had ended when the plan was last looked at. */
    readonly considered: number;
    readonly revisions: readonly Revised[];
    /** The money of its team was used up while it made a call of its own. */
    readonly teamPaused: boolean;
    /** What a router's model chose. */
    readonly route: Route | undefined;
    /** What this step of the chart gives to say. */
    readonly outbox: readonly Outgoing[];
    readonly answer: string;
    readonly citations: readonly Citation[];
    /** The answer as a value, where it has a form. */
    readonly output: unknown;
  };

export type SupervisorEvent =
  | Received<typeof RunStart>
  | Received<typeof RunCancel>
  | Received<typeof TaskAssign>
  | Received<typeof TaskCancel>
  | Received<typeof TaskCompleted>
  | Received<typeof TaskFailed>
  | Received<typeof TaskHandedOver>
  | Received<typeof ReviewVerdict>
  | Received<typeof ReviewFailed>
  | Received<typeof ApprovalDecided>
  | Received<typeof BudgetGranted>
  | Received<typeof BudgetPaused>
  | Received<typeof BudgetRaised>
  | Received<typeof BudgetClosed>;

type Emitted = Outgoing | Sent<typeof BudgetClose> | Sent<typeof RunCompleted> | Sent<typeof RunFailed> | Sent<typeof TaskCompleted> | Sent<typeof TaskFailed>;

type Replied = { readonly event: { readonly output: ModelReply } };

const sendOutbox = emitEach<{ context: SupervisorContext }, Outgoing>(({ context }) => context.outbox);

const answerOf = ({ profile }: SupervisorContext, reply: ModelReply) => readAnswer(profile, reply);

export const supervisorMachine = setup({
  types: { context: {} as SupervisorContext, input: {} as SupervisorInput, events: {} as SupervisorEvent, emitted: {} as Emitted },
  actors: {
    model: effect<ModelReply, ModelRequest>(),
  },
  delays: { ...callDelays, ...closingDelays },
  guards: { ...callGuards, ...closingGuards },
  actions: { ...callActions, ...closingActions },
})
  .extend({
    delays: {
      deadline: ({ context }) => context.patienceMs,
      due: ({ context: { steps, now } }) => Math.max(0, (nextDue(steps) ?? now) - now),
    },
    guards: {
      hasPlan: ({ context }) => context.plan !== undefined,
      tooDeep: ({ context }, task: Received<typeof TaskAssign>) => isTooDeep(context, task),
      leadsTheRun: ({ context }) => context.assignment === undefined,
      isRouter: ({ context }) => context.routing !== undefined,
      isRouted: ({ context }, reply: ModelReply) => {
        const route = readRoute(context, reply);
        return route.ok && chosen(context.routing!, route.value) !== undefined;
      },
      hasCandidate: ({ context }, reply: ModelReply) => {
        const route = readRoute(context, reply);
        return route.ok && candidate(context.routing!, route.value) !== undefined;
      },
      isRoute: ({ context }, reply: ModelReply) => readRoute(context, reply).ok,
      hasOther: ({ context: { routing, route } }) => insteadOf(routing!, route!) !== undefined,
      isApproved: (_, { decision }: Received<typeof ApprovalDecided>) => decision === 'approve',
      mayRevise: ({ context }) => mayRevise(context),
      revisionFits: ({ context }, reply: ModelReply) => readRevision(context, reply).ok,
      teamPaused: ({ context }) => context.teamPaused,
      planFits: ({ context }, reply: ModelReply) => readPlan(context, reply).ok,
      isAnswer: ({ context }, reply: ModelReply) => answerOf(context, reply).ok,
      canRepair: ({ context }) => context.repairs < repairsOf(context.profile),
      answersPartly: ({ context }) => context.answersPartly && runFailure(context.steps)?.code === 'BUDGET_EXHAUSTED' && completed(context.steps).length > 0,
      mayClose: ({ context }, error: Failure) => context.answersPartly && error.code === 'BUDGET_EXHAUSTED',
      cannotGoOn: ({ context }) => runFailure(context.steps) !== undefined,
      soleStepDone: ({ context }) => context.profile.output === undefined && soleAnswer(context.steps) !== undefined,
      // Whoever reads a value counts on there being one: a form is filled in all the same, and its model is told why nothing was done.
      nothingDone: ({ context }) => context.profile.output === undefined && nothingDone(context.steps),
      allEnded: ({ context }) => allEnded(context.steps),
      hasDue: ({ context }) => nextDue(context.steps) !== undefined,
      hasNoDue: ({ context }) => nextDue(context.steps) === undefined,
      hasEarlierDue: ({ context: { steps, watched } }) => nextDue(steps)! < watched!,
    },
    actions: {
      accept: assign(({ context: { deadlineMs } }, { goal, from, at }: Received<typeof RunStart>) => ({
        goal,
        client: from,
        patienceMs: deadlineMs,
        endsAt: at + deadlineMs,
      })),
      acceptTask: assign(({ context }, { from, type: _, at, ...assignment }: Received<typeof TaskAssign>) => {
        const patienceMs = Math.max(0, Math.min(context.deadlineMs, (assignment.deadline ?? Number.POSITIVE_INFINITY) - at));
        return { assignment, goal: assignment.instructions, client: from, patienceMs, endsAt: at + patienceMs, payer: payerOf({ ...context, assignment }) };
      }),
      beginAnew: assign(({ context }, { at }: Received<typeof BudgetRaised>) => ({
        teamPaused: false,
        patienceMs: context.deadlineMs,
        endsAt: at + context.deadlineMs,
        steps: beginTimesAnew(context.steps, at),
      })),
      usePlan: assign(({ context }) => ({ steps: openPlan(context.plan!) })),
      prepareToRoute: assign(({ context }) => ({ messages: routePrompt(context) })),
      takeRoute: assign(({ context }, reply: ModelReply) => ({ route: accepted(readRoute(context, reply)) })),
      adoptRoute: assign(({ context }) => ({ steps: openPlan(routed(context, chosen(context.routing!, context.route!)!)) })),
      adoptCandidate: assign(({ context }) => ({ steps: openPlan(routed(context, candidate(context.routing!, context.route!)!)) })),
      adoptOther: assign(({ context }) => ({ steps: openPlan(routed(context, insteadOf(context.routing!, context.route!)!)) })),
      failUnrouted: assign(({ context }) => ({ failure: unrouted(context, context.route!) })),
      failDenied: assign(({ context }, said: Received<typeof ApprovalDecided>) => ({ failure: unrouted(context, context.route!, said) })),
      askForRoute: emit(({ context: { approver, askMs, routing, route, goal, team } }) => ({
        type: 'approval.request' as const,
        to: approver,
        approval: team ? `route-${team.key}` : 'route',
        question: routeQuestion(routing!, route!),
        details: { task: goal },
        timeoutMs: askMs,
        otherwise: 'deny' as const,
      })),
      prepareToRevise: assign(({ context }) => ({ ...policy.revising(context), attempt: 1, repairs: 0 })),
      adoptRevision: assign(({ context }, reply: ModelReply) => {
        const { plan, outbox, revisions } = policy.revised(context, accepted(readRevision(context, reply)));
        return { steps: plan, outbox, revisions };
      }),
      // The plan as it stands can still be carried out.
      forgetRevision: assign({ failure: undefined }),
      noteTeamPaused: assign({ teamPaused: true }),
      noteTeamRaised: assign({ teamPaused: false }),
      prepareToPlan: assign(({ context }) => ({ messages: policy.planning(context) })),
      adoptPlan: assign(({ context }, reply: ModelReply) => ({ steps: openPlan(fromDraft(accepted(readPlan(context, reply)))) })),
      dispatch: assign(({ context, event }) => progress(context, event, policy.dispatch)),
      passTime: assign(({ context, event }) => progress(context, event, policy.timePassed)),
      watch: assign(({ context }) => ({ watched: nextDue(context.steps) })),
      completeTask: assign(({ context }, done: Received<typeof TaskCompleted>) => progress(context, done, policy.taskCompleted)),
      failTask: assign(({ context }, said: Received<typeof TaskFailed>) => progress(context, said, policy.taskFailed)),
      passTask: assign(({ context }, said: Received<typeof TaskHandedOver>) => progress(context, said, policy.taskHandedOver)),
      takeVerdict: assign(({ context }, said: Received<typeof ReviewVerdict>) => progress(context, said, policy.reviewed)),
      missVerdict: assign(({ context }, said: Received<typeof ReviewFailed>) => progress(context, said, policy.reviewFailed)),
      takeDecision: assign(({ context }, said: Received<typeof ApprovalDecided>) => progress(context, said, policy.decided)),
      prepareToSynthesise: assign(({ context }) => ({ messages: policy.synthesis(context, context.steps), attempt: 1, repairs: 0 })),
      takeSoleAnswer: assign(({ context }) => {
        const { text, citations, output } = soleAnswer(context.steps)!;
        return { answer: text, citations, output };
      }),
      takeIdleAnswer: assign(({ context }) => ({ answer: policy.idleAnswer(context.steps) })),
      takeAnswer: assign(({ context }, reply: ModelReply) => {
        const { text, citations, output } = keepKnownSources(accepted(answerOf(context, reply)), context.steps);
        return { answer: text, citations, output };
      }),
      // The answer that was made from what is kept back is the whole one.
      forgiveIfWhole: assign(({ context }) => (completed(context.steps).length === context.steps.length ? { failure: undefined } : {})),
      failPlan: assign(({ context }) => policy.planFailed(context.steps)),
      meetClient: assign((_, { from }: Received<typeof RunCancel>) => ({ client: from })),
      failCancelled: assign((_, { type, reason }: Received<typeof RunCancel> | Received<typeof TaskCancel>) => ({
        failure: failure(type === 'run.cancel' ? 'RUN_CANCELLED' : 'TASK_CANCELLED', `cancelled: ${reason}`),
      })),
      failTooDeep: assign(({ context: { maxDepth, team } }) => ({
        failure: failure('TEAM_TOO_DEEP', `team ${team?.name} would be the ${maxDepth + 1}th inside each other; limits.depth allows ${maxDepth}`),
      })),
      failDeadline: assign(({ context }) => policy.deadlinePassed(context, context.steps)),
      passOnPause: assign(({ context }, said: Received<typeof BudgetPaused>) => ({ outbox: policy.passOn(context, context.steps, said) })),
      passOnRaise: assign(({ context }, said: Received<typeof BudgetRaised>) => ({ outbox: policy.passOn(context, context.steps, said) })),
      recallAll: assign(({ context }) => ({ outbox: recall(context, context.steps, context.failure?.message ?? 'the run is ending') })),
      announceCompletion: emit(({ context }) => completion(context)),
      announceFailure: emit(({ context }) => collapse(context, context.failure!)),
    },
  })
  .createMachine({
    id: 'supervisor',
    context: ({ input }) => ({
      ...notCalled,
      ...input,
      goal: '',
      client: '' as Address,
      assignment: undefined,
      patienceMs: 0,
      endsAt: 0,
      now: 0,
      watched: undefined,
      steps: [],
      considered: 0,
      revisions: [],
      teamPaused: false,
      route: undefined,
      outbox: [],
      answer: '',
      citations: [],
      output: undefined,
      spending: undefined,
    }),
    initial: 'idle',
    states: {
      idle: {
        on: {
          'run.start': [
            { guard: 'hasPlan', target: 'working.executing', actions: [{ type: 'accept', params: ({ event }) => event }, 'usePlan'] },
            { guard: 'isRouter', target: 'working.routing', actions: [{ type: 'accept', params: ({ event }) => event }, 'prepareToRoute'] },
            { target: 'working.planning', actions: [{ type: 'accept', params: ({ event }) => event }, 'prepareToPlan'] },
          ],
          'task.assign': [
            {
              guard: { type: 'tooDeep', params: ({ event }) => event },
              target: 'failed',
              actions: [{ type: 'acceptTask', params: ({ event }) => event }, 'failTooDeep'],
            },
            { guard: 'hasPlan', target: 'working.executing', actions: [{ type: 'acceptTask', params: ({ event }) => event }, 'usePlan'] },
            { guard: 'isRouter', target: 'working.routing', actions: [{ type: 'acceptTask', params: ({ event }) => event }, 'prepareToRoute'] },
            { target: 'working.planning', actions: [{ type: 'acceptTask', params: ({ event }) => event }, 'prepareToPlan'] },
          ],
          'task.cancel': 'dismissed',
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
      working: {
        on: {
          'run.cancel': { target: 'stopping', actions: { type: 'failCancelled', params: ({ event }) => event } },
          'task.cancel': { target: 'stopping', actions: { type: 'failCancelled', params: ({ event }) => event } },
        },
        after: {
          deadline: { target: 'stopping', actions: 'failDeadline' },
        },
        initial: 'executing',
        states: {
          /** Where it was when the money ran out. */
          before: { type: 'history' },
          planning: modelCall({
            at: '#supervisor.working.planning',
            id: 'plan',
            request: (context: SupervisorContext) => policy.planRequest(context),
            read: readPlan,
            replies: [onReply('planFits', '#supervisor.working.executing', 'adoptPlan')],
            paused: '#supervisor.paused',
            failed: '#supervisor.stopping',
          }),
          /** A router: its model says whom the task is for. */
          routing: modelCall({
            at: '#supervisor.working.routing',
            id: 'route',
            request: (context: SupervisorContext) => routeRequest(context),
            read: readRoute,
            replies: [
              {
                ...onReply('isRouted', '#supervisor.working.executing', 'takeRoute'),
                actions: [{ type: 'takeRoute', params: ({ event }: Replied) => event.output }, 'adoptRoute'],
              },
              onReply('hasCandidate', '#supervisor.working.choosing', 'takeRoute'),
              {
                ...onReply('isRoute', '#supervisor.stopping', 'takeRoute'),
                actions: [{ type: 'takeRoute', params: ({ event }: Replied) => event.output }, 'failUnrouted'],
              },
            ],
            paused: '#supervisor.paused',
            failed: '#supervisor.stopping',
          }),
          /** A person says whether it is for whom it fits best; the fallback does it without a yes. */
          choosing: {
            entry: 'askForRoute',
            on: {
              'approval.decided': [
                { guard: { type: 'isApproved', params: ({ event }) => event }, target: 'executing', actions: 'adoptCandidate' },
                { guard: 'hasOther', target: 'executing', actions: 'adoptOther' },
                { target: '#supervisor.stopping', actions: { type: 'failDenied', params: ({ event }) => event } },
              ],
            },
          },
          /** Its model looks at the plan after a result: what has not begun waits, what is under way goes on. */
          revising: {
            ...modelCall({
              at: '#supervisor.working.revising',
              id: 'revision',
              request: (context: SupervisorContext) => revisionRequest(context),
              read: readRevision,
              replies: [
                {
                  ...onReply('revisionFits', '#supervisor.working.executing', 'adoptRevision'),
                  actions: [{ type: 'adoptRevision', params: ({ event }: Replied) => event.output }, sendOutbox],
                },
              ],
              paused: '#supervisor.paused',
              failed: '#supervisor.working.unrevised',
            }),
            on: {
              'task.completed': { actions: [{ type: 'completeTask', params: ({ event }) => event }, sendOutbox] },
              'task.failed': { actions: [{ type: 'failTask', params: ({ event }) => event }, sendOutbox] },
              'task.handed_over': { actions: [{ type: 'passTask', params: ({ event }) => event }, sendOutbox] },
              'review.verdict': { actions: [{ type: 'takeVerdict', params: ({ event }) => event }, sendOutbox] },
              'review.failed': { actions: [{ type: 'missVerdict', params: ({ event }) => event }, sendOutbox] },
              'approval.decided': { actions: [{ type: 'takeDecision', params: ({ event }) => event }, sendOutbox] },
              'budget.paused': { actions: ['noteTeamPaused', { type: 'passOnPause', params: ({ event }) => event }, sendOutbox] },
              'budget.raised': { actions: ['noteTeamRaised', { type: 'passOnRaise', params: ({ event }) => event }, sendOutbox] },
            },
          },
          unrevised: { entry: 'forgetRevision', always: 'executing' },
          executing: {
            entry: ['dispatch', sendOutbox],
            on: {
              'task.completed': { actions: [{ type: 'completeTask', params: ({ event }) => event }, sendOutbox] },
              'task.failed': { actions: [{ type: 'failTask', params: ({ event }) => event }, sendOutbox] },
              'task.handed_over': { actions: [{ type: 'passTask', params: ({ event }) => event }, sendOutbox] },
              'review.verdict': { actions: [{ type: 'takeVerdict', params: ({ event }) => event }, sendOutbox] },
              'review.failed': { actions: [{ type: 'missVerdict', params: ({ event }) => event }, sendOutbox] },
              'approval.decided': { actions: [{ type: 'takeDecision', params: ({ event }) => event }, sendOutbox] },
              // Of its team. A call of its own is not broken off for it: it may be paid already, and is told itself.
              'budget.paused': { target: '#supervisor.paused', actions: [{ type: 'passOnPause', params: ({ event }) => event }, sendOutbox] },
            },
            always: [
              { guard: 'teamPaused', target: '#supervisor.paused' },
              { guard: 'answersPartly', target: '#supervisor.answering', actions: ['failPlan', 'recallAll', sendOutbox, 'prepareToSynthesise', 'save'] },
              { guard: 'mayRevise', target: 'revising', actions: 'prepareToRevise' },
              { guard: 'cannotGoOn', target: '#supervisor.stopping', actions: 'failPlan' },
              { guard: 'nothingDone', target: '#supervisor.ending', actions: 'takeIdleAnswer' },
              { guard: 'soleStepDone', target: '#supervisor.ending', actions: 'takeSoleAnswer' },
              { guard: 'allEnded', target: 'synthesising', actions: 'prepareToSynthesise' },
            ],
            initial: 'quiet',
            states: {
              quiet: { always: { guard: 'hasDue', target: 'watching' } },
              /** The first time by which something has to be done about a step is watched for, or one before it of what has ended. */
              watching: {
                entry: 'watch',
                always: [
                  { guard: 'hasNoDue', target: 'quiet' },
                  { guard: 'hasEarlierDue', target: 'watching', reenter: true },
                ],
                after: { due: { target: 'quiet', actions: ['passTime', sendOutbox] } },
              },
            },
          },
          synthesising: modelCall({
            at: '#supervisor.working.synthesising',
            id: 'answer',
            request: ({ profile, messages }: SupervisorContext) => answerRequest(profile, messages),
            read: answerOf,
            replies: [onReply('isAnswer', '#supervisor.ending', 'takeAnswer')],
            failures: [onFailure('mayClose', '#supervisor.answering', 'fail')],
            paused: '#supervisor.paused',
            failed: '#supervisor.stopping',
          }),
        },
      },
      /** The money is used up. What is under way goes on to its end; the run's deadline begins anew with the raise. */
      paused: {
        on: {
          'budget.raised': {
            target: 'working.before',
            actions: ['spendAgain', { type: 'beginAnew', params: ({ event }) => event }, { type: 'passOnRaise', params: ({ event }) => event }, sendOutbox],
          },
          'budget.paused': { actions: [{ type: 'passOnPause', params: ({ event }) => event }, sendOutbox] },
          'run.cancel': { target: 'stopping', actions: { type: 'failCancelled', params: ({ event }) => event } },
          'task.cancel': { target: 'stopping', actions: { type: 'failCancelled', params: ({ event }) => event } },
          'task.completed': { actions: [{ type: 'completeTask', params: ({ event }) => event }, sendOutbox] },
          'task.failed': { actions: [{ type: 'failTask', params: ({ event }) => event }, sendOutbox] },
          'task.handed_over': { actions: [{ type: 'passTask', params: ({ event }) => event }, sendOutbox] },
          'review.verdict': { actions: [{ type: 'takeVerdict', params: ({ event }) => event }, sendOutbox] },
          'review.failed': { actions: [{ type: 'missVerdict', params: ({ event }) => event }, sendOutbox] },
          'approval.decided': { actions: [{ type: 'takeDecision', params: ({ event }) => event }, sendOutbox] },
        },
      },
      /** The money is used up but for what was kept back: one call for what can be said. */
      answering: {
        on: {
          'run.cancel': { target: 'stopping', actions: { type: 'failCancelled', params: ({ event }) => event } },
          'task.cancel': { target: 'stopping', actions: { type: 'failCancelled', params: ({ event }) => event } },
        },
        after: {
          deadline: 'stopping',
        },
        invoke: {
          id: 'closing',
          src: 'model',
          input: ({ context }) => toModel(context, answerRequest(context.profile, context.messages, { purpose: 'closing' })),
          onDone: [
            {
              guard: { type: 'isAnswer', params: ({ event }) => event.output },
              target: 'ending',
              actions: [{ type: 'takeAnswer', params: ({ event }) => event.output }, 'forgiveIfWhole'],
            },
            { target: 'ending' },
          ],
          onError: 'ending',
        },
        initial: 'reserving',
        states: { reserving: { on: { 'budget.granted': 'calling' }, after: { unanswered: '#supervisor.ending' } }, calling: {} },
      },
      stopping: {
        entry: ['recallAll', sendOutbox],
        always: 'ending',
      },
      /** The money of a team is its run's to account for. */
      ending: {
        always: [{ guard: 'leadsTheRun', target: 'closing' }, { guard: 'hasFailed', target: 'failed' }, { target: 'completed' }],
      },
      closing,
      completed: { type: 'final', entry: 'announceCompletion' },
      failed: { type: 'final', entry: 'announceFailure' },
      /** Cancelled before there was a task: nobody to answer. */
      dismissed: { type: 'final' },
    },
  });

/** What the policy makes of something that happened at a time. */
const progress = <Said extends { readonly at?: number }>(
  context: SupervisorContext,
  said: Said,
  follow: (team: policy.Team, plan: Plan, said: Said) => policy.Progress,
) => {
  const now = said.at ?? context.now;
  const { plan, outbox } = policy.unlessRevised({ ...context, now }, (team) => follow(team, context.steps, said));
  return { now, steps: plan, outbox };
};
