/**
 * A plan: a DAG of steps and the rules by which it is carried out. Pure: every function gives new steps.
 *
 *   P1  A step runs once all that it needs has ended in a way that lets it run.
 *   P2  A failed step ends the run, or its dependants, or neither, by its own rule; no step is left waiting.
 *   P3  Revisions are counted for each step alone.
 *   P4  What is said about an attempt counts only while that attempt is the present one.
 */
import { failure, type Failure } from '../../protocols/failure.ts';
import type { Citation, PlanDraft } from '../../protocols/formats.ts';

/** What a step's failure means for the run: it fails too, the dependants are skipped, or they run without the result. */
export type OnFailure = 'fail' | 'skip' | 'continue';

export type StepStatus = 'pending' | 'running' | 'reviewing' | 'asking' | 'completed' | 'failed' | 'skipped';

export type Step = {
  readonly id: string;
  readonly agent: string;
  readonly task: string;
  readonly needs: readonly string[];
  readonly onFailure: OnFailure;
  readonly status: StepStatus;
  /** Assignments so far. */
  readonly attempt: number;
  readonly text: string;
  readonly citations: readonly Citation[];
  /** What the last review had against it. */
  readonly objections: readonly string[];
  readonly failure?: Failure;
};

export type Plan = readonly Step[];

export type PlannedStep = {
  readonly id: string;
  readonly agent: string;
  readonly task: string;
  readonly needs: readonly string[];
  readonly onFailure: OnFailure;
};

export const openPlan = (planned: readonly PlannedStep[]): Plan =>
  planned.map((step) => ({ ...step, status: 'pending', attempt: 0, text: '', citations: [], objections: [] }));

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

export const isActive = (step: Step): boolean => ACTIVE.has(step.status);
export const allEnded = (plan: Plan): boolean => plan.every(({ status }) => ENDED.has(status));
export const completed = (plan: Plan): readonly Step[] => plan.filter(({ status }) => status === 'completed');
export const find = (plan: Plan, id: string): Step | undefined => plan.find((step) => step.id === id);

/** P4: the step if `attempt` is its present one and it is in `status`. */
export const present = (plan: Plan, id: string, attempt: number, status: StepStatus): Step | undefined => {
  const step = find(plan, id);
  return step?.attempt === attempt && step.status === status ? step : undefined;
};

export const change = (plan: Plan, id: string, to: Partial<Step>): Plan => plan.map((step) => (step.id === id ? { ...step, ...to } : step));

/** Steps that may run now, as many as there is room for, in the plan's order (P1). */
export const ready = (plan: Plan, concurrency: number): readonly Step[] => {
  const room = concurrency - plan.filter(isActive).length;
  return plan.filter((step) => step.status === 'pending' && step.needs.every((need) => letsRun(plan, need))).slice(0, Math.max(0, room));
};

const letsRun = (plan: Plan, need: string): boolean => {
  const step = find(plan, need)!;
  return step.status === 'completed' || (step.status === 'failed' && step.onFailure === 'continue');
};

/** P2: skips whatever can never run, and what needs that. */
export const skipBlocked = (plan: Plan): Plan => {
  const blocked = plan.find((step) => step.status === 'pending' && step.needs.some((need) => blocks(plan, need)));
  if (!blocked) return plan;
  const cause = blocked.needs.find((need) => blocks(plan, need))!;
  return skipBlocked(
    change(plan, blocked.id, {
      status: 'skipped',
      failure: failure('STEP_SKIPPED', `step ${blocked.id} needs ${cause}, which ${find(plan, cause)!.status === 'failed' ? 'failed' : 'was skipped'}`),
    }),
  );
};

const blocks = (plan: Plan, need: string): boolean => {
  const step = find(plan, need)!;
  return step.status === 'skipped' || (step.status === 'failed' && step.onFailure !== 'continue');
};

/** Failures that meet every step alike: going on would only fail more slowly. */
const FATAL = new Set(['BUDGET_EXHAUSTED', 'BUDGET_CLOSED', 'BUDGET_NONE', 'MODEL_UNAUTHORISED', 'MODEL_UNKNOWN', 'PRICE_UNKNOWN']);

/** Why the run cannot go on, if it cannot. */
export const runFailure = (plan: Plan): Failure | undefined => {
  for (const step of plan) {
    if (step.status === 'failed' && (step.onFailure === 'fail' || FATAL.has(step.failure?.code ?? ''))) return withStep(step);
  }
  if (!allEnded(plan) || completed(plan).length > 0) return undefined;
  const first = plan.find(({ status }) => status === 'failed');
  return first && withStep(first);
};

const withStep = ({ id, agent, failure: why }: Step): Failure => ({ ...why!, details: { ...why!.details, step: id, agent } });
