/**
 * A plan: a DAG of steps and the rules by which it is carried out. Pure: every function gives new steps. What follows of itself
 * from how steps have ended is settle.ts's.
 *
 *   P1  A step runs once as many of its needs as its join asks for have ended in a way that lets it run, and its condition holds.
 *   P2  A failed attempt is followed by its retries, then by its fallback's. A step that failed for good ends the run, or its
 *       dependants, or neither, by its own rule; no step is left waiting.
 *   P3  Revisions and retries are counted for each step alone.
 *   P4  What is said about an attempt counts only while that attempt is the present one.
 */
import type { Failure } from '../../protocols/failure.ts';
import type { Citation, PlanDraft } from '../../protocols/formats.ts';
import type { StepOutcome } from '../../protocols/lifecycle.ts';
import type { Handover } from '../../protocols/task.ts';
import type { FanOut } from './fan-out.ts';
import type { Writes, Writing } from './graph-state.ts';
import type { Review } from './reviews.ts';

/** What a step's failure means: the run fails too, the dependants are skipped, they run without its result, or with its `default`. */
export type OnFailure = 'fail' | 'skip' | 'continue' | 'default';

/** `mapping`: its items are at work. */
export type StepStatus = 'pending' | 'running' | 'reviewing' | 'asking' | 'mapping' | 'completed' | 'failed' | 'skipped';

/** Where a plan goes back to when the step is completed and the condition holds: that step and all that needs it begin anew. */
export type Goto = { readonly to: string; readonly when?: string | undefined; readonly maxVisits: number };

export type PlannedStep = {
  readonly id: string;
  readonly agent: string;
  readonly task: string;
  readonly needs: readonly string[];
  readonly onFailure: OnFailure;
  /** Stands for the result of a failed step whose rule it is. */
  readonly default?: string | undefined;
  /** So many of `needs` have to bring a result. Without it: all, but for those that it may do without. */
  readonly join?: number | undefined;
  /** The step is skipped unless this holds when its needs have ended (condition.ts). */
  readonly when?: string | undefined;
  /** Tries of one agent, the first included. The wait before the next doubles each time. */
  readonly retry?: { readonly attempts: number; readonly backoffMs: number } | undefined;
  /** The longest that one attempt may take before it counts as failed. */
  readonly timeoutMs?: number | undefined;
  /** Who does it when the retries are used up, with as many of its own. */
  readonly fallback?: string | undefined;
  /** It is done once for each item of a list. */
  readonly map?: FanOut | undefined;
  /** The first whose condition holds is taken. */
  readonly goto?: readonly Goto[] | undefined;
  readonly writes?: Writes | undefined;
  /** Values of the graph's state that it is handed beside the results of its needs. */
  readonly reads?: readonly string[] | undefined;
};

export type Step = PlannedStep & {
  readonly status: StepStatus;
  /** Assignments so far. */
  readonly attempt: number;
  /** It was assigned since it was last to begin: nothing but its attempts decides any more whether it runs. */
  readonly begun: boolean;
  /** Times that it was to begin: one more for each time that the plan went back. */
  readonly visits: number;
  /** Who had it before its fallback took it; `undefined`: no fallback has. */
  readonly fellBackFrom?: string | undefined;
  /** Attempts of the present agent that failed. */
  readonly tries: number;
  /** Revisions that reviews asked of the present agent. */
  readonly revisions: number;
  /** While it runs, when the attempt counts as failed; while it is pending, when it may be tried again. */
  readonly due?: number | undefined;
  /** The step whose item it is. */
  readonly of?: string | undefined;
  readonly text: string;
  readonly citations: readonly Citation[];
  /** The result as a value, of an agent whose answers have a form; `text` is its JSON. */
  readonly output?: unknown;
  /** Of the agents that had it before the present one. */
  readonly handover?: Handover | undefined;
  /** What was said against its text, by the last review or by the step that went back to it. */
  readonly objections: readonly string[];
  /** Of the present attempt, in the order in which they came. */
  readonly reviews: readonly Review[];
  /** The supervisor does it itself: what it makes of it counts without a review. */
  readonly takenOver: boolean;
  /** Of a step that a team did: how the team's own steps ended. */
  readonly steps?: readonly StepOutcome[] | undefined;
  readonly written: readonly Writing[];
  /** What follows from its completion has been done. */
  readonly followed: boolean;
  /** Why it failed or was skipped, or what its result is without. */
  readonly failure?: Failure | undefined;
};

export type Plan = readonly Step[];

export const openStep = (step: PlannedStep): Step => ({
  ...step,
  status: 'pending',
  attempt: 0,
  begun: false,
  visits: 1,
  tries: 0,
  revisions: 0,
  text: '',
  citations: [],
  objections: [],
  reviews: [],
  takenOver: false,
  written: [],
  followed: false,
});

export const openPlan = (planned: readonly PlannedStep[]): Plan => planned.map(openStep);

/** Steps that a model wrote: one that fails does not take the others with it. */
export const fromDraft = (draft: PlanDraft): readonly PlannedStep[] => draft.steps.map((step) => ({ ...step, onFailure: 'continue' }));

/** What is wrong with a plan that a model wrote, in words that it can put right. */
export const draftProblems = (draft: PlanDraft, agents: readonly string[], maxSteps: number): string[] => {
  const problems: string[] = [];
  const ids = new Set(draft.steps.map(({ id }) => id));
  if (draft.steps.length > maxSteps) problems.push(`${draft.steps.length} steps; at most ${maxSteps} are allowed`);
  if (ids.size < draft.steps.length) problems.push('two steps have the same id');
  for (const { id, agent, needs } of draft.steps) {
    if (!agents.includes(agent)) problems.push(`step ${id}: no agent is called "${agent}"; there are ${agents.join(', ')}`);
    for (const need of needs) if (!ids.has(need)) problems.push(`step ${id} needs "${need}", which is no step`);
  }
  const cycle = findCycle(draft.steps);
  if (cycle) problems.push(`the steps ${cycle.join(' -> ')} wait for each other`);
  return problems;
};

/** The ids of steps that wait for each other, the first repeated at the end. */
export const findCycle = (steps: readonly { readonly id: string; readonly needs: readonly string[] }[]): string[] | undefined => {
  const byId = new Map(steps.map((step) => [step.id, step]));
  const done = new Set<string>();
  const visit = (id: string, path: readonly string[]): string[] | undefined => {
    if (path.includes(id)) return [...path.slice(path.indexOf(id)), id];
    if (done.has(id)) return undefined;
    for (const need of byId.get(id)?.needs ?? []) {
      const cycle = visit(need, [...path, id]);
      if (cycle) return cycle;
    }
    done.add(id);
    return undefined;
  };
  for (const { id } of steps) {
    const cycle = visit(id, []);
    if (cycle) return cycle;
  }
  return undefined;
};

const ACTIVE: ReadonlySet<StepStatus> = new Set<StepStatus>(['running', 'reviewing', 'asking']);
const ENDED: ReadonlySet<StepStatus> = new Set<StepStatus>(['completed', 'failed', 'skipped']);

/** Somebody is at work on it. */
export const isActive = (step: Step): boolean => ACTIVE.has(step.status);
export const hasEnded = ({ status }: Step): boolean => ENDED.has(status);
/** There is something to go on with. */
export const hasResult = ({ status, onFailure }: Step): boolean => status === 'completed' || (status === 'failed' && onFailure === 'default');
/** What needs it may run, with its result or without. */
export const letsRun = (step: Step): boolean => hasResult(step) || (step.status === 'failed' && step.onFailure === 'continue');

export const allEnded = (plan: Plan): boolean => plan.every(hasEnded);
export const completed = (plan: Plan): readonly Step[] => plan.filter(({ status }) => status === 'completed');

/** A plan's steps by their ids. */
export type StepIndex = { get(id: string): Step | undefined; values(): Iterable<Step> };

/** Where the steps of a plan stand, once it was asked for: every entry of a long run asks for some of many, and changes one. */
const places = new WeakMap<Plan, ReadonlyMap<string, number>>();
const placesOf = (plan: Plan): ReadonlyMap<string, number> => {
  const known = places.get(plan) ?? new Map(plan.map(({ id }, place) => [id, place]));
  places.set(plan, known);
  return known;
};

export const indexOf = (plan: Plan): StepIndex => {
  const placed = placesOf(plan);
  return { get: (id) => plan[placed.get(id) ?? -1], values: () => plan };
};

export const find = (plan: Plan, id: string): Step | undefined => indexOf(plan).get(id);

/** P4: the step if `attempt` is its present one and it is in `status`. */
export const present = (plan: Plan, id: string, attempt: number, status: StepStatus): Step | undefined => {
  const step = find(plan, id);
  return step?.attempt === attempt && step.status === status ? step : undefined;
};

export const change = (plan: Plan, id: string, to: Partial<Omit<Step, 'id'>>): Plan => {
  const placed = placesOf(plan);
  const place = placed.get(id);
  if (place === undefined) return plan;
  const changed = plan.with(place, { ...plan[place]!, ...to });
  places.set(changed, placed);
  return changed;
};

/** Whether a pending step runs, waits, or never runs because of the step that is given (P1). */
export const prospectOf = ({ begun, of, needs, join }: Step, steps: StepIndex): 'runs' | 'waits' | Step => {
  if (begun || of !== undefined) return 'runs';
  let results = 0;
  let lost: Step | undefined;
  let lostCount = 0;
  let waits = false;
  for (const id of needs) {
    const need = steps.get(id)!;
    if (!hasEnded(need)) waits = true;
    else if (hasResult(need)) results++;
    else if (join !== undefined || !letsRun(need)) {
      lost ??= need;
      lostCount++;
    }
  }
  if (join === undefined) return lost ?? (waits ? 'waits' : 'runs');
  return results >= join ? 'runs' : needs.length - lostCount < join ? lost! : 'waits';
};

/** Steps of a settled plan that may be assigned now, as many as there is room for, in the plan's order. */
export const ready = (plan: Plan, concurrency: number, steps: StepIndex = indexOf(plan)): readonly Step[] => {
  const rooms = new Map<string, number>();
  let room = concurrency;
  const take = ({ of }: Step): void => {
    room--;
    if (of !== undefined) rooms.set(of, (rooms.get(of) ?? steps.get(of)!.map!.concurrency) - 1);
  };
  for (const step of plan) if (isActive(step)) take(step);
  return plan.filter((step) => {
    if (room <= 0 || step.status !== 'pending' || step.due !== undefined || (step.of !== undefined && rooms.get(step.of) === 0)) return false;
    if (prospectOf(step, steps) !== 'runs') return false;
    take(step);
    return true;
  });
};

// --- attempts --------------------------------------------------------------------------------------------------------------

/** The longest wait before another try. */
const BACKOFF_MS_MAX = 3_600_000;

/** The step has its result. */
export const complete = (plan: Plan, id: string, result: Partial<Pick<Step, 'text' | 'citations' | 'output' | 'objections'>>): Plan =>
  change(plan, id, { ...result, status: 'completed', due: undefined, failure: undefined });

/** P2: what follows a failed attempt: another one, or what follows the last. */
export const failAttempt = (plan: Plan, id: string, why: Failure, now: number): Plan => {
  const { tries, retry } = find(plan, id)!;
  if (!retry || tries + 1 >= retry.attempts || FATAL.has(why.code)) return giveUp(plan, id, why);
  const waitMs = Math.min(retry.backoffMs * 2 ** tries, BACKOFF_MS_MAX);
  return change(plan, id, { status: 'pending', tries: tries + 1, due: waitMs > 0 ? now + waitMs : undefined, failure: why });
};

/** Whom the plan gives it to, whoever has it now. */
export const ownAgentOf = ({ fellBackFrom, handover, agent }: Step): string => fellBackFrom ?? handover?.by[0] ?? agent;

/** P2: nothing more is to be had of its agent: the fallback takes it, or it has failed. Where money is missing, a fallback has none either. */
export const giveUp = (plan: Plan, id: string, why: Failure): Plan => {
  const step = find(plan, id)!;
  if (step.fallback !== undefined && step.fellBackFrom === undefined && !why.code.startsWith('BUDGET_')) {
    const anew = {
      status: 'pending',
      tries: 0,
      revisions: 0,
      text: '',
      citations: [],
      output: undefined,
      objections: [],
      takenOver: false,
      handover: undefined,
      due: undefined,
    } as const;
    return change(plan, id, { ...anew, agent: step.fallback, fellBackFrom: ownAgentOf(step), failure: why });
  }
  const instead = step.onFailure === 'default' ? { text: step.default ?? '', citations: [], output: undefined } : {};
  return change(plan, id, { status: 'failed', failure: why, due: undefined, ...instead });
};

/** When something has to be done about a step although nobody says anything. */
export const nextDue = (plan: Plan): number | undefined =>
  plan.reduce<number | undefined>((first, { due }) => (due === undefined || (first !== undefined && first <= due) ? first : due), undefined);

/** The time that attempts have begins anew. */
export const beginTimesAnew = (plan: Plan, now: number): Plan =>
  nextDue(plan) === undefined
    ? plan
    : plan.map((step) => (step.status === 'running' && step.timeoutMs !== undefined ? { ...step, due: now + step.timeoutMs } : step));

// --- how it ends -----------------------------------------------------------------------------------------------------------

/** No step had anything to do: each was skipped, or was for the items of an empty list. */
export const nothingDone = (plan: Plan): boolean =>
  plan.length > 0 && plan.every(({ status, failure: why }) => status === 'skipped' || (status === 'completed' && why?.code === 'STEP_ITEMS_NONE'));

/** Failures that meet every step alike: going on would only fail more slowly. */
const FATAL = new Set(['STEP_HANDED_UP', 'BUDGET_EXHAUSTED', 'BUDGET_CLOSED', 'BUDGET_NONE', 'MODEL_UNAUTHORISED', 'MODEL_UNKNOWN', 'PRICE_UNKNOWN']);

/** Every other step would meet the same. */
export const isFatal = ({ failure: why }: Step): boolean => FATAL.has(why?.code ?? '');

/** Why the run cannot go on, if it cannot. */
export const runFailure = (plan: Plan): Failure | undefined => {
  for (const step of plan) {
    if (step.status === 'failed' && (step.onFailure === 'fail' || isFatal(step))) return withStep(step);
  }
  if (!allEnded(plan) || plan.some(hasResult)) return undefined;
  const first = plan.find(({ status }) => status === 'failed');
  return first && withStep(first);
};

const withStep = ({ id, agent, failure: why }: Step): Failure => ({ ...why!, details: { ...why!.details, step: id, agent } });
