/** What a supervisor says: to agents, to reviewers, to people and to its model. Pure. */
import type { AgentProfile } from '../../protocols/agent.ts';
import type { ApprovalRequest } from '../../protocols/approval.ts';
import type { PayloadOf } from '../../protocols/catalogue.ts';
import { failure, type Failure } from '../../protocols/failure.ts';
import type { Citation, Parsed, PlanDraft } from '../../protocols/formats.ts';
import { address, type Address, type RunId } from '../../protocols/ids.ts';
import type { Sent } from '../../protocols/message.ts';
import type { ChatMessage, ModelReply } from '../../protocols/model.ts';
import type { ReviewRequest } from '../../protocols/review.ts';
import type { Finding, TaskAssign, TaskCancel } from '../../protocols/task.ts';
import { answerDuty, findingLines, readReply, sectionsMessage, systemMessage, type Answer } from '../conversation.ts';
import { stateOf, unwritable } from './graph-state.ts';
import {
  change,
  complete,
  completed,
  draftProblems,
  failAttempt,
  find,
  giveUp,
  hasEnded,
  hasResult,
  indexOf,
  isActive,
  present,
  ready,
  type Plan,
  type PlannedStep,
  type Step,
} from './plan.ts';
import { partsOf, settle, type Inputs } from './settle.ts';

/** What happens to work that the last permitted review did not accept. */
export type OnRejected = 'accept_with_note' | 'fail' | 'ask';

export type SupervisorInput = {
  readonly run: RunId;
  readonly profile: AgentProfile;
  /** Whom steps may be given to. */
  readonly agents: readonly { readonly name: string; readonly description: string }[];
  readonly reviewer: string | undefined;
  /** From the team file; `undefined`: the supervisor's model makes the plan. */
  readonly plan: readonly PlannedStep[] | undefined;
  /** Texts of the run, for what the plan asks of them. */
  readonly inputs: Inputs;
  readonly maxSteps: number;
  readonly concurrency: number;
  /** Revisions that a review may ask for, for each step. */
  readonly reviewRounds: number;
  readonly onRejected: OnRejected;
  readonly deadlineMs: number;
  readonly askMs: number;
  readonly account: Address;
  readonly approver: Address;
  /** When the money is used up, what was found is put into a closing answer. */
  readonly answersPartly: boolean;
};

export type Outgoing = Sent<typeof TaskAssign> | Sent<typeof TaskCancel> | Sent<typeof ReviewRequest> | Sent<typeof ApprovalRequest>;

/** A plan after something happened, and what is to be said because of it. */
export type Progress = { readonly plan: Plan; readonly outbox: readonly Outgoing[] };

/** `now`: the log's time. */
type Team = SupervisorInput & { readonly goal: string; readonly endsAt: number; readonly now: number };

const workerOf = (team: Team, step: Step): Address => address(team.run, 'worker', step.agent, `${step.id}-${step.attempt}`);
const reviewerOf = (team: Team, step: Step): Address => address(team.run, 'reviewer', team.reviewer, `${step.id}-${step.attempt}`);

// --- carrying the plan out -------------------------------------------------------------------------------------------------

/** Assigns whatever may run now, and calls back who is at work on what begins anew. */
export const dispatch = (team: Team, before: Plan): Progress => {
  let plan = settle(before, team.inputs);
  const outbox: Outgoing[] = [];
  if (plan !== before) {
    const steps = indexOf(plan);
    outbox.push(
      ...recall(
        team,
        before.filter((step) => isActive(step) && steps.get(step.id)?.status !== step.status),
        'the plan went back',
      ),
    );
  }
  for (const step of ready(plan, team.concurrency)) {
    const said = assignStep(team, plan, step);
    plan = said.plan;
    outbox.push(...said.outbox);
  }
  return { plan, outbox };
};

const assignStep = (team: Team, before: Plan, step: Step): Progress => {
  const attempt = step.attempt + 1;
  const plan = change(before, step.id, { status: 'running', attempt, begun: true, due: step.timeoutMs === undefined ? undefined : team.now + step.timeoutMs });
  const assigned = find(plan, step.id)!;
  const feedback = step.objections.length > 0 ? { feedback: { previous: step.text, reasons: [...step.objections] } } : {};
  return {
    plan,
    outbox: [
      {
        type: 'task.assign',
        to: workerOf(team, assigned),
        step: step.id,
        attempt,
        goal: team.goal,
        instructions: step.task,
        findings: [...findingsOf(before, step.needs), ...(step.reads ?? []).map((key) => stateFinding(before, step, key))],
        deadline: team.endsAt,
        ...feedback,
      },
    ],
  };
};

/** What the steps of these ids brought. Of those that have not ended there is nothing to say. */
const findingsOf = (plan: Plan, ids: readonly string[]): Finding[] => {
  if (ids.length === 0) return [];
  const steps = indexOf(plan);
  return ids.flatMap((id) => partsOf(steps.get(id)!, steps).filter(hasEnded).map(findingOf));
};

const stateFinding = (plan: Plan, { agent }: Step, key: string): Finding => ({ step: key, agent, text: stateOf(plan, key) || 'Nothing yet.', citations: [] });

const findingOf = (step: Step): Finding => {
  const { id, agent, status, text, citations, failure: why } = step;
  if (hasResult(step)) return { step: id, agent, text, citations: [...citations] };
  return { step: id, agent, text: `This step ${status === 'skipped' ? 'was skipped' : 'failed'}: ${why?.message ?? status}`, citations: [] };
};

const thenDispatch = (team: Team, plan: Plan, said: readonly Outgoing[] = []): Progress => {
  const next = dispatch(team, plan);
  return { plan: next.plan, outbox: [...said, ...next.outbox] };
};

export const taskCompleted = (team: Team, plan: Plan, done: PayloadOf<'task.completed'>): Progress => {
  const step = present(plan, done.step, done.attempt, 'running');
  if (!step) return { plan, outbox: [] };
  const { text, citations } = done;
  const output = done.output === undefined ? {} : { output: done.output };
  const misfit = unwritable(step, text);
  if (misfit) return thenDispatch(team, failAttempt(plan, step.id, misfit, team.now));
  if (team.reviewer === undefined) return thenDispatch(team, complete(plan, step.id, { text, citations, ...output }));
  const request: Outgoing = {
    type: 'review.request',
    to: reviewerOf(team, step),
    step: step.id,
    attempt: step.attempt,
    goal: team.goal,
    instructions: step.task,
    text,
    citations: [...citations],
  };
  return { plan: change(plan, step.id, { status: 'reviewing', text, citations, ...output, due: undefined }), outbox: [request] };
};

export const taskFailed = (team: Team, plan: Plan, { step: id, attempt, failure: why }: PayloadOf<'task.failed'>): Progress => {
  const step = present(plan, id, attempt, 'running');
  return step ? thenDispatch(team, failAttempt(plan, id, why, team.now)) : { plan, outbox: [] };
};

/** What was to be done by now: attempts that took too long have failed, and those that waited are made. */
export const timePassed = (team: Team, before: Plan): Progress => {
  let plan = before;
  const late: Step[] = [];
  for (const step of before) {
    if (step.due === undefined || step.due > team.now) continue;
    if (step.status === 'running') {
      late.push(step);
      plan = failAttempt(plan, step.id, tooSlow(step), team.now);
    } else plan = change(plan, step.id, { due: undefined });
  }
  return thenDispatch(team, plan, recall(team, late, 'the step took too long'));
};

const tooSlow = ({ id, agent, timeoutMs }: Step): Failure =>
  failure('STEP_TIMEOUT', `${agent} took longer than ${timeoutMs} ms for step ${id}; raise its timeout_s`, { retryable: true });

export const reviewed = (team: Team, before: Plan, said: PayloadOf<'review.verdict'>): Progress => {
  const step = present(before, said.step, said.attempt, 'reviewing');
  if (!step) return { plan: before, outbox: [] };
  // Whatever is made of the work: no source counts that does not hold its quote.
  const { held } = said;
  const plan = held
    ? change(
        before,
        step.id,
        keepSources({ text: step.text, citations: [...step.citations], output: step.output }, (_, index) => held[index]),
      )
    : before;
  if (said.verdict === 'accept') return thenDispatch(team, complete(plan, step.id, { objections: [] }));
  const objections = said.reasons.length > 0 ? said.reasons : [`the review says "${said.verdict}"`];
  const revises = step.revisions < team.reviewRounds;
  const objected = change(plan, step.id, { objections, revisions: step.revisions + (revises ? 1 : 0) });
  if (revises) return assignStep(team, objected, find(objected, step.id)!);
  return rejected(team, objected, find(objected, step.id)!);
};

/** A review that could not be made decides nothing: the work is treated as work that was not accepted. */
export const reviewFailed = (team: Team, plan: Plan, { step: id, attempt, failure: why }: PayloadOf<'review.failed'>): Progress => {
  const step = present(plan, id, attempt, 'reviewing');
  if (!step) return { plan, outbox: [] };
  if (why.code.startsWith('BUDGET_') || why.code === 'MODEL_UNAUTHORISED') return thenDispatch(team, giveUp(plan, id, why));
  const objected = change(plan, id, { objections: [`not reviewed: ${why.message}`] });
  return rejected(team, objected, find(objected, id)!);
};

const rejected = (team: Team, plan: Plan, step: Step): Progress => {
  switch (team.onRejected) {
    case 'accept_with_note':
      return thenDispatch(team, complete(plan, step.id, { text: `${step.text}\n(The review still objects: ${step.objections.join('; ')})` }));
    case 'fail':
      return thenDispatch(team, giveUp(plan, step.id, rejection(step)));
    case 'ask':
      return { plan: change(plan, step.id, { status: 'asking' }), outbox: [question(team, step)] };
  }
};

const rejection = (step: Step): Failure =>
  failure('STEP_REJECTED', `step ${step.id} was not accepted after ${step.attempt} attempts: ${step.objections.join('; ')}`, {
    details: { objections: step.objections },
  });

const approvalOf = (step: Pick<Step, 'id' | 'attempt'>): string => `step-${step.id}-${step.attempt}`;

const question = (team: Team, step: Step): Outgoing => ({
  type: 'approval.request',
  to: team.approver,
  approval: approvalOf(step),
  question: `Step ${step.id} was not accepted after ${step.attempt} attempts. Take the work as it is?`,
  details: { text: step.text, objections: step.objections },
  timeoutMs: team.askMs,
  otherwise: 'deny',
});

export const decided = (team: Team, plan: Plan, { approval, decision }: PayloadOf<'approval.decided'>): Progress => {
  const step = plan.find((one) => one.status === 'asking' && approvalOf(one) === approval);
  if (!step) return { plan, outbox: [] };
  return thenDispatch(team, decision === 'approve' ? complete(plan, step.id, {}) : giveUp(plan, step.id, rejection(step)));
};

/** Tells everybody who is at work to stop. */
export const recall = (team: Team, steps: readonly Step[], reason: string): Outgoing[] =>
  steps.filter(isActive).flatMap((step): Outgoing[] => {
    if (step.status === 'asking') return [];
    return [{ type: 'task.cancel', to: step.status === 'reviewing' ? reviewerOf(team, step) : workerOf(team, step), reason }];
  });

// --- the supervisor's own model calls --------------------------------------------------------------------------------------

const PLAN_DUTY = (maxSteps: number) =>
  'Break the question into the fewest steps that answer it. Steps that do not need each other run at the same time. ' +
  `Answer with JSON {"steps": [{"id", "agent", "task", "needs": [ids]}]}, at most ${maxSteps} steps; an id is a short word; an agent is one of those listed.`;

export const planning = (team: Team): ChatMessage[] => [
  systemMessage(team.profile, [PLAN_DUTY(team.maxSteps)]),
  sectionsMessage([
    ['Question', team.goal],
    ['Agents', team.agents.map(({ name, description }) => `- ${name}: ${description}`).join('\n')],
  ]),
];

export const synthesis = (team: Team, plan: Plan): ChatMessage[] => [
  systemMessage(team.profile, ['Put the findings of your team together into one answer to the question.', answerDuty(team.profile)]),
  sectionsMessage([
    ['Question', team.goal],
    ['Findings', findingLines(plan.filter(({ map }) => map === undefined).map(findingOf))],
  ]),
];

/** A plan that can be carried out, or everything that is wrong with it. */
export const readPlan = (team: SupervisorInput, reply: ModelReply): Parsed<PlanDraft> => {
  const parsed = readReply('plan', reply);
  if (!parsed.ok) return parsed;
  const problems = draftProblems(
    parsed.value,
    team.agents.map(({ name }) => name),
    team.maxSteps,
  );
  return problems.length === 0 ? parsed : { ok: false, problem: problems.join('; ') };
};

/** When one step was all there was to do, its result is the answer. */
export const soleAnswer = (plan: Plan): Answer | undefined => {
  const [step, ...others] = plan;
  return step?.status === 'completed' && others.length === 0 ? { text: step.text, citations: [...step.citations], output: step.output } : undefined;
};

const sameSource = (one: Citation, other: Citation): boolean => one.file === other.file && one.line === other.line && one.quote === other.quote;

/** In code `[1]` is no mark of a source. */
const CODE = /(```[\s\S]*?```|`[^`\n]*`)/;

/**
 * The answer with no source but those that the steps brought, which are the ones that were checked. What is dropped loses its
 * mark in the text; the others are numbered anew, in the order of their first mark.
 */
export const keepKnownSources = (answer: Answer, plan: Plan): Answer => {
  const known = completed(plan).flatMap(({ citations }) => citations);
  return keepSources(answer, (citation) => (known.some((one) => sameSource(one, citation)) ? citation : null));
};

/** The report with its sources as `held` has them, and without those that it has not. The JSON of a value has no marks. */
const keepSources = (answer: Answer, held: (citation: Citation, index: number) => Citation | null | undefined): Answer => {
  const kept: Citation[] = [];
  const numberOf = (index: number): number | undefined => {
    const given = answer.citations[index];
    const citation = given && held(given, index);
    if (!citation) return undefined;
    const at = kept.findIndex((one) => sameSource(one, citation));
    return at >= 0 ? at + 1 : kept.push(citation);
  };
  const marked = (prose: string): string =>
    prose.replace(/\s?\[([1-9]\d{0,2}(?:, ?[1-9]\d{0,2})*)\]/g, (mark, list: string) => {
      const marks = list.split(',').map(Number);
      if (marks.length > 1 && !marks.every((one) => one <= answer.citations.length)) return mark; // numbers that are no sources
      const numbers = marks.map((one) => numberOf(one - 1)).filter((one) => one !== undefined);
      return numbers.length === 0 ? '' : mark.replace(list, [...new Set(numbers)].join(', '));
    });
  const { output } = answer;
  const text = (output === undefined ? answer.text.split(CODE) : []).map((part, index) => (index % 2 === 0 ? marked(part) : part)).join('');
  answer.citations.forEach((_, index) => numberOf(index));
  return output === undefined ? { text, citations: kept } : { text: answer.text, citations: kept, output };
};
