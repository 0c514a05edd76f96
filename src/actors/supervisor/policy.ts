/** What a supervisor says: to agents, to reviewers, to people and to its model. Pure. */
import type { AgentProfile } from '../../protocols/agent.ts';
import type { ApprovalRequest } from '../../protocols/approval.ts';
import type { PlanRevised } from '../../protocols/lifecycle.ts';
import type { BudgetPaused, BudgetRaised } from '../../protocols/budget.ts';
import type { PayloadOf } from '../../protocols/catalogue.ts';
import { failure, type Failure } from '../../protocols/failure.ts';
import { shapeAmong } from '../../protocols/formats.ts';
import type { Citation, Parsed, PlanDraft, Revision } from '../../protocols/formats.ts';
import { parseAddress, type Address } from '../../protocols/ids.ts';
import type { Received, Sent } from '../../protocols/message.ts';
import type { ChatMessage, ModelReply, ModelRequest } from '../../protocols/model.ts';
import type { ReviewRequest } from '../../protocols/review.ts';
import type { Finding, TaskAssign, TaskCancel } from '../../protocols/task.ts';
import { answerDuty, feedbackLines, findingLines, readReply, request, sectionsMessage, systemMessage, type Answer } from '../conversation.ts';
import { paidBy } from '../model-call.ts';
import { stateOf, unwritable } from './graph-state.ts';
import { handoffProblem, type Handoffs } from './handoffs.ts';
import { assigneeOf, depthBelow, isTeams, keyOf, payerOf, reviewerAt, type Assignment, type Place } from './members.ts';
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
  runFailure,
  type Plan,
  type PlannedStep,
  type Step,
  type StepIndex,
} from './plan.ts';
import { missingIn } from './outcome.ts';
import { accepts, asksForMore, heldByAll, objectionsOf, type Merge, type Review } from './reviews.ts';
import { countConsidered, isObsolete, mayRevise, revise, revisionPrompt, type Revised } from './revision.ts';
import type { Routing } from './routing.ts';
import { partsOf, settle, type Inputs } from './settle.ts';

/** What happens to work that the last permitted review did not accept. */
export type OnRejected = 'accept_with_note' | 'fail' | 'ask' | 'take_over' | 'hand_up';

export type SupervisorInput = Omit<Place, 'assignment'> & {
  readonly profile: AgentProfile;
  /** Whom steps may be given to. */
  readonly agents: readonly { readonly name: string; readonly description: string }[];
  readonly reviewers: readonly string[];
  readonly merge: Merge;
  readonly handoffs?: Handoffs | undefined;
  /** From the team file; `undefined`: the supervisor's model makes the plan. */
  readonly plan: readonly PlannedStep[] | undefined;
  /** Of a router: the plan is one step, for whom its model chooses. */
  readonly routing?: Routing | undefined;
  /** Times that its model may change its plan while it is carried out. */
  readonly replans?: number | undefined;
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

export type Outgoing =
  | Sent<typeof TaskAssign>
  | Sent<typeof TaskCancel>
  | Sent<typeof ReviewRequest>
  | Sent<typeof ApprovalRequest>
  | Sent<typeof BudgetPaused>
  | Sent<typeof BudgetRaised>
  | Sent<typeof PlanRevised>;

/** A plan after something happened, and what is to be said because of it. */
export type Progress = { readonly plan: Plan; readonly outbox: readonly Outgoing[] };

/** `assignment`: of a team inside the run's. `now`: the log's time. */
export type Team = SupervisorInput & { readonly goal: string; readonly assignment?: Assignment | undefined; readonly endsAt: number; readonly now: number };

// --- carrying the plan out -------------------------------------------------------------------------------------------------

/** Assigns whatever may run now, and calls back who is at work on what begins anew. */
export const dispatch = (team: Team, before: Plan): Progress => {
  let plan = settle(before, team.inputs);
  const outbox: Outgoing[] = [];
  const steps = indexOf(plan);
  if (plan !== before) {
    outbox.push(
      ...recall(
        team,
        before.filter((step) => isActive(step) && steps.get(step.id)?.status !== step.status),
        'the plan went back',
      ),
    );
  }
  for (const step of ready(plan, team.concurrency, steps)) {
    const said = assignStep(team, plan, step, steps);
    plan = said.plan;
    outbox.push(...said.outbox);
  }
  return { plan, outbox };
};

/** `steps`: as they stood when it was decided; those that have ended are as they were. */
const assignStep = (team: Team, before: Plan, step: Step, steps: StepIndex = indexOf(before)): Progress => {
  const attempt = step.attempt + 1;
  const plan = change(before, step.id, { status: 'running', attempt, begun: true, due: step.timeoutMs === undefined ? undefined : team.now + step.timeoutMs });
  const assigned = find(plan, step.id)!;
  const feedback = step.objections.length > 0 ? { previous: step.text, reasons: [...step.objections] } : team.assignment?.feedback;
  return {
    plan,
    outbox: [
      {
        type: 'task.assign',
        to: assigneeOf(team, assigned),
        step: step.id,
        attempt,
        goal: team.goal,
        instructions: step.task,
        findings: [...(team.assignment?.findings ?? []), ...findingsOf(step.needs, steps), ...(step.reads ?? []).map((key) => stateFinding(before, step, key))],
        deadline: team.endsAt,
        ...(feedback && { feedback }),
        ...(step.handover && !assigned.takenOver && { handover: step.handover }),
        ...paidBy(payerOf(team, assigned.takenOver)),
        ...(isTeams(team, assigned) && { depth: depthBelow(team) }),
      },
    ],
  };
};

/** What the steps of these ids brought. Of those that have not ended there is nothing to say. */
const findingsOf = (ids: readonly string[], steps: StepIndex): Finding[] => ids.flatMap((id) => partsOf(steps.get(id)!, steps).filter(hasEnded).map(findingOf));

const stateFinding = (plan: Plan, { agent }: Step, key: string): Finding => ({ step: key, agent, text: stateOf(plan, key) || 'Nothing yet.', citations: [] });

const findingOf = (step: Step): Finding => {
  const { id, agent, status, text, citations, failure: why } = step;
  if (hasResult(step)) return { step: id, agent, text: text === '' && why ? `This step brought nothing: ${why.message}` : text, citations: [...citations] };
  const ended = status === 'failed' ? 'failed' : status === 'skipped' ? 'was skipped' : 'was not done';
  const missing = `This step ${ended}: ${why?.message ?? status}`;
  return { step: id, agent, text: text === '' ? missing : `${missing}\nWhat was done: ${text}`, citations: [...citations] };
};

const thenDispatch = (team: Team, plan: Plan, said: readonly Outgoing[] = []): Progress => {
  const next = dispatch(team, plan);
  return { plan: next.plan, outbox: [...said, ...next.outbox] };
};

export const taskCompleted = (team: Team, plan: Plan, done: PayloadOf<'task.completed'>): Progress => {
  const step = present(plan, done.step, done.attempt, 'running');
  if (!step) return { plan, outbox: [] };
  const { text, citations, output, steps } = done;
  const misfit = unwritable(step, text);
  if (misfit) return thenDispatch(team, failAttempt(plan, step.id, misfit, team.now));
  // Without a value there is none: that of an attempt before it, which was not accepted, is not its.
  const work = { text, citations, output, ...(steps && { steps }) };
  if (team.reviewers.length === 0 || step.takenOver) return thenDispatch(team, complete(plan, step.id, work));
  const requests = team.reviewers.map((reviewer): Outgoing => ({
    type: 'review.request',
    to: reviewerAt(team, step, reviewer),
    step: step.id,
    attempt: step.attempt,
    goal: team.goal,
    instructions: step.task,
    text,
    citations: [...citations],
    ...paidBy(payerOf(team)),
  }));
  return { plan: change(plan, step.id, { ...work, status: 'reviewing', reviews: [], due: undefined }), outbox: requests };
};

export const taskFailed = (team: Team, before: Plan, { step: id, attempt, failure: why, partial, steps }: PayloadOf<'task.failed'>): Progress => {
  if (!present(before, id, attempt, 'running')) return { plan: before, outbox: [] };
  const plan = change(before, id, { ...partial, ...(steps && { steps }) });
  if (why.code === 'STEP_HANDED_UP') return rejected(team, change(plan, id, { objections: [why.message] }), id);
  return thenDispatch(team, failAttempt(plan, id, why, team.now));
};

/** The step is assigned again: to the next agent, with the conversation. */
export const taskHandedOver = (team: Team, plan: Plan, { step: id, attempt, agent, reason, messages, omitted }: PayloadOf<'task.handed_over'>): Progress => {
  const step = present(plan, id, attempt, 'running');
  if (!step) return { plan, outbox: [] };
  const from = step.takenOver ? team.profile.name : step.agent;
  const problem = handoffProblem(team.handoffs ?? {}, step, from, agent);
  if (problem) return thenDispatch(team, giveUp(plan, id, problem));
  const handover = { by: [...(step.handover?.by ?? []), from], reason, messages, ...(omitted !== undefined && { omitted }) };
  const handed = change(plan, id, { agent, handover });
  return assignStep(team, handed, find(handed, id)!);
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

// --- reviews ---------------------------------------------------------------------------------------------------------------

type By = { readonly from: Address };

export const reviewed = (team: Team, plan: Plan, { step, attempt, from, verdict, reasons, held }: PayloadOf<'review.verdict'> & By): Progress =>
  heard(team, plan, present(plan, step, attempt, 'reviewing'), { reviewer: parseAddress(from).agent!, verdict, reasons, held });

/** A review that could not be made decides nothing: the work is treated as work that was not accepted. */
export const reviewFailed = (team: Team, plan: Plan, { step: id, attempt, failure: why, from }: PayloadOf<'review.failed'> & By): Progress => {
  const step = present(plan, id, attempt, 'reviewing');
  const review: Review = { reviewer: parseAddress(from).agent!, verdict: 'none', reasons: [`not reviewed: ${why.message}`] };
  if (step && (why.code.startsWith('BUDGET_') || why.code === 'MODEL_UNAUTHORISED')) {
    const others = recall(team, [{ ...step, reviews: [...step.reviews, review] }], 'the step has failed');
    return thenDispatch(team, giveUp(plan, id, why), others);
  }
  return heard(team, plan, step, review);
};

/** A reviewer has spoken. Once all have, it is decided what becomes of the work. */
const heard = (team: Team, plan: Plan, step: Step | undefined, review: Review): Progress => {
  const { reviewer } = review;
  if (!step || !team.reviewers.includes(reviewer) || step.reviews.some((one) => one.reviewer === reviewer)) return { plan, outbox: [] };
  const reviews = [...step.reviews, review];
  const said = change(plan, step.id, { reviews });
  return reviews.length < team.reviewers.length ? { plan: said, outbox: [] } : judged(team, said, find(said, step.id)!);
};

const judged = (team: Team, before: Plan, { id, reviews, revisions, text, citations, output }: Step): Progress => {
  // Whatever is made of the work: no source counts that does not hold its quote.
  const held = heldByAll(reviews);
  const plan = held
    ? change(
        before,
        id,
        keepSources({ text, citations: [...citations], output }, (_, index) => held[index]),
      )
    : before;
  if (accepts(team.merge, reviews)) return thenDispatch(team, complete(plan, id, { objections: [] }));
  const revises = revisions < team.reviewRounds && asksForMore(reviews);
  const objected = change(plan, id, { objections: objectionsOf(reviews), revisions: revisions + (revises ? 1 : 0) });
  return revises ? assignStep(team, objected, find(objected, id)!) : rejected(team, objected, id);
};

/** The last permitted review did not accept it. */
const rejected = (team: Team, plan: Plan, id: string): Progress => {
  const step = find(plan, id)!;
  switch (team.onRejected) {
    case 'accept_with_note':
      return thenDispatch(team, complete(plan, id, { text: `${step.text}\n(The review still objects: ${step.objections.join('; ')})` }));
    case 'fail':
      return thenDispatch(team, giveUp(plan, id, rejection(step)));
    case 'ask':
      return { plan: change(plan, id, { status: 'asking' }), outbox: [question(team, step)] };
    case 'take_over':
      return assignStep(team, change(plan, id, { takenOver: true }), { ...step, takenOver: true });
    case 'hand_up':
      return thenDispatch(team, change(plan, id, { status: 'failed', failure: { ...rejection(step), code: 'STEP_HANDED_UP' } }));
  }
};

const rejection = (step: Step): Failure =>
  failure('STEP_REJECTED', `step ${step.id} was not accepted after ${step.attempt} attempts: ${step.objections.join('; ')}`, {
    details: { objections: step.objections },
  });

const approvalOf = (team: Team, step: Pick<Step, 'id' | 'attempt'>): string => `step-${keyOf(team, step)}`;

const question = (team: Team, step: Step): Outgoing => ({
  type: 'approval.request',
  to: team.approver,
  approval: approvalOf(team, step),
  question: `Step ${step.id} was not accepted after ${step.attempt} attempts. Take the work as it is?`,
  details: { text: step.text, objections: step.objections },
  timeoutMs: team.askMs,
  otherwise: 'deny',
});

export const decided = (team: Team, plan: Plan, { approval, decision }: PayloadOf<'approval.decided'>): Progress => {
  const step = plan.find((one) => one.status === 'asking' && approvalOf(team, one) === approval);
  if (!step) return { plan, outbox: [] };
  return thenDispatch(team, decision === 'approve' ? complete(plan, step.id, {}) : giveUp(plan, step.id, rejection(step)));
};

// --- revising the plan -----------------------------------------------------------------------------------------------------

type Revising = Team & { readonly client: Address; readonly steps: Plan; readonly revisions: readonly Revised[]; readonly considered: number };

/** What follows from something that was said of the plan, with nothing new begun where the plan is to be looked at first. */
export const unlessRevised = (team: Revising, follow: (team: Revising) => Progress): Progress => {
  if ((team.replans ?? 0) <= team.revisions.length) return follow(team);
  const held = follow({ ...team, concurrency: 0 });
  return mayRevise({ ...team, steps: held.plan }) ? held : follow(team);
};

export const revising = (team: Revising): { messages: ChatMessage[]; considered: number } => ({
  messages: revisionPrompt(team, team.steps.filter((step) => hasEnded(step) && !isObsolete(step)).map(findingOf)),
  considered: countConsidered(team.steps),
});

/** The revised plan, and who is called back and told because of it. */
export const revised = (team: Revising, by: Revision): Progress & { readonly revisions: readonly Revised[] } => {
  const { plan, revised: told } = revise(team, by);
  if (!told) return { plan, outbox: [], revisions: team.revisions };
  const obsolete = team.steps.filter((step) => isActive(step) && told.dropped.includes(step.id));
  const { revision, reason, steps, dropped } = told;
  const said = steps.map(({ id: step, agent, task, needs }) => ({ step, agent, task, needs: [...needs] }));
  return {
    plan,
    outbox: [
      { type: 'plan.revised', to: team.client, revision, reason, steps: said, dropped: [...dropped] },
      ...recall(team, obsolete, 'the plan was revised'),
    ],
    revisions: [...team.revisions, told],
  };
};

/** Why the plan cannot be carried out; with the work itself where it is handed up. */
export const planFailed = (plan: Plan): { failure: Failure | undefined; answer?: string; citations?: readonly Citation[] } => {
  const why = runFailure(plan);
  const handedUp = why?.code === 'STEP_HANDED_UP' ? plan.find(({ status, failure: own }) => status === 'failed' && own?.code === why.code) : undefined;
  return { failure: why, ...(handedUp && { answer: handedUp.text, citations: handedUp.citations }) };
};

/** The bound that was reached, what is missing because of it, and what was found until then. */
export const deadlinePassed = (team: Team & { readonly patienceMs: number }, plan: Plan): { failure: Failure; answer: string; citations: Citation[] } => {
  const missing = missingIn(plan);
  const left = missing.length === 0 ? '' : `; without a result: ${missing.join(', ')}`;
  const said = team.team
    ? failure('TASK_TIMEOUT', `team ${team.team.name} did not end within ${team.patienceMs} ms${left}; raise the step's timeout_s or limits.deadline_s`, {
        details: { missing },
      })
    : failure('RUN_TIMEOUT', `the run did not end within ${team.patienceMs} ms${left}; raise limits.deadline_s`, { details: { missing } });
  return { failure: said, ...gathered(plan) };
};

/** What the steps brought, one after the other, where nobody can put it together any more. */
const gathered = (plan: Plan): { answer: string; citations: Citation[] } => {
  const citations: Citation[] = [];
  const texts = completed(plan).map(({ id, text, citations: own }) => {
    const marked = text.replaceAll(/\[(\d+)\]/g, (mark, number: string) => (own[Number(number) - 1] ? `[${citations.length + Number(number)}]` : mark));
    citations.push(...own);
    return `${id}: ${marked}`;
  });
  return { answer: texts.join('\n\n'), citations };
};

/** Tells everybody who is at work to stop. */
export const recall = (team: Team, steps: readonly Step[], reason: string): Outgoing[] =>
  steps.filter(isActive).flatMap((step) => atWorkOn(team, step).map((to): Outgoing => ({ type: 'task.cancel', to, reason })));

/** Whoever is at work on a step: who makes the attempt, or the reviewers who have not spoken. */
const atWorkOn = (team: Team, step: Step): Address[] => {
  if (step.status === 'asking') return [];
  if (step.status === 'running') return [assigneeOf(team, step)];
  return team.reviewers.filter((name) => !step.reviews.some(({ reviewer }) => reviewer === name)).map((name) => reviewerAt(team, step, name));
};

type OfMoney = Received<typeof BudgetPaused> | Received<typeof BudgetRaised>;

/** What the account tells the run's supervisor only: it goes on to the teams at work, and from them to theirs. */
export const passOn = (team: Team, plan: Plan, { from: _, at: __, ...said }: OfMoney): Outgoing[] =>
  plan.filter((step) => step.status === 'running' && isTeams(team, step)).map((step) => ({ ...said, to: assigneeOf(team, step) }));

// --- the supervisor's own model calls --------------------------------------------------------------------------------------

const PLAN_DUTY = (maxSteps: number) =>
  'Break the question into the fewest steps that answer it. Steps that do not need each other run at the same time. ' +
  `Answer with JSON {"steps": [{"id", "agent", "task", "needs": [ids]}]}, at most ${maxSteps} steps; an id is a short word; an agent is one of those listed.`;

export const planning = (team: Team): ChatMessage[] => [
  systemMessage(team.profile, [PLAN_DUTY(team.maxSteps)]),
  sectionsMessage([
    ['Question', team.goal],
    ['Findings', findingLines(team.assignment?.findings ?? [])],
    ['Feedback', team.assignment?.feedback && feedbackLines(team.assignment.feedback)],
    ['Agents', team.agents.map(({ name, description }) => `- ${name}: ${description}`).join('\n')],
  ]),
];

export const synthesis = (team: Team, plan: Plan): ChatMessage[] => {
  const parts = plan.filter(({ of }) => of === undefined).flatMap((step) => partsOf(step, indexOf(plan)));
  const findings = parts.filter((step) => !isObsolete(step)).map(findingOf);
  return [
    systemMessage(team.profile, ['Put the findings of your team together into one answer to the question.', answerDuty(team.profile)]),
    sectionsMessage([
      ['Question', team.goal],
      ['Findings', findingLines([...(team.assignment?.findings ?? []), ...findings])],
    ]),
  ];
};

/** No agent can be named but those that there are. */
export const planRequest = ({ profile, messages, agents }: Pick<Team, 'profile' | 'agents'> & { readonly messages: readonly ChatMessage[] }): ModelRequest => ({
  ...request(profile, messages, 'plan'),
  shape: shapeAmong(
    'plan',
    agents.map(({ name }) => name),
  ),
});

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

/** Nothing is found, and nobody is asked, where no step had anything to do: why is the answer. */
export const idleAnswer = (plan: Plan): string => {
  const reasons = plan.slice(0, REASONS_MAX).flatMap(({ failure: why }) => (why ? [why.message] : []));
  const more = plan.length - REASONS_MAX;
  return `Nothing was to be done: ${reasons.join('; ')}${more > 0 ? `; and so on for ${more} more` : ''}.`;
};

const REASONS_MAX = 5;

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
