/**
 * Revising a plan while it is carried out: what has not begun may be changed, what has been done is kept, and what became
 * obsolete is dropped or called back. Pure.
 */
import { failure } from '../../protocols/failure.ts';
import type { Parsed, Revision } from '../../protocols/formats.ts';
import { shapeAmong } from '../../protocols/formats.ts';
import type { ChatMessage, ModelReply, ModelRequest } from '../../protocols/model.ts';
import { findingLines, readReply, request, sectionsMessage, systemMessage } from '../conversation.ts';
import type { AgentProfile } from '../../protocols/agent.ts';
import type { Finding } from '../../protocols/task.ts';
import { allEnded, draftProblems, fromDraft, hasEnded, isActive, isFatal, openStep, type Plan, type Step } from './plan.ts';

/** One change of a plan, as people are told of it. */
export type Revised = {
  readonly revision: number;
  readonly reason: string;
  /** Steps that are new, or that are done otherwise than was planned. */
  readonly steps: readonly { readonly id: string; readonly agent: string; readonly task: string; readonly needs: readonly string[] }[];
  /** Steps that are not done any more. */
  readonly dropped: readonly string[];
};

type Planner = {
  readonly profile: AgentProfile;
  readonly goal: string;
  readonly agents: readonly { readonly name: string; readonly description: string }[];
  readonly maxSteps: number;
  /** Revisions that are allowed. */
  readonly replans?: number | undefined;
  readonly revisions: readonly Revised[];
  readonly steps: Plan;
  /** Steps that had ended when the plan was last looked at. */
  readonly considered: number;
};

/** Nobody has been given it: it may still be changed. */
const isOpen = ({ status, attempt }: Step): boolean => status === 'pending' && attempt === 0;

/** A step that a revision dropped is no news to its model. */
const endedIn = (plan: Plan): Step[] => plan.filter((step) => hasEnded(step) && !isObsolete(step));

/**
 * Something has ended since, a revision is left, and there is something to revise: a step that has not ended, or one that failed.
 * So there is one look at most for each step that ends, whether it changes the plan or not.
 */
export const mayRevise = ({ replans = 0, revisions, steps, considered }: Planner): boolean => {
  if (revisions.length >= replans) return false;
  const ended = endedIn(steps);
  const failed = ended.filter(({ status }) => status === 'failed');
  if (failed.some(isFatal)) return false;
  return ended.length > considered && (failed.length > 0 || !allEnded(steps));
};

export const countConsidered = (plan: Plan): number => endedIn(plan).length;

const REVISION_DUTY = (maxSteps: number): string =>
  'A step of your plan has ended. Say which steps are still to be done: keep what is right as it stands, change it, add to it, or leave it out. ' +
  'Do not repeat what has been done. `cancel` names steps under way whose results are not needed any more. ' +
  `Answer with JSON {"steps": [{"id", "agent", "task", "needs": [ids]}], "cancel": [ids], "reason"}; at most ${maxSteps} steps in all, with those that were begun.`;

export const revisionRequest = ({ profile, messages, agents }: Planner & { readonly messages: readonly ChatMessage[] }): ModelRequest => ({
  ...request(profile, messages, 'revision'),
  shape: shapeAmong(
    'revision',
    agents.map(({ name }) => name),
  ),
});

/** `findings`: of the steps that have ended. */
export const revisionPrompt = ({ profile, goal, agents, steps, maxSteps }: Planner, findings: readonly Finding[]): ChatMessage[] => [
  systemMessage(profile, [REVISION_DUTY(maxSteps)]),
  sectionsMessage([
    ['Question', goal],
    ['Agents', agents.map(({ name, description }) => `- ${name}: ${description}`).join('\n')],
    ['Plan', steps.map(planLine).join('\n')],
    ['Findings', findingLines(findings)],
  ]),
];

const planLine = ({ id, agent, status, task, needs }: Step): string =>
  `- ${id} (${agent}, ${status === 'pending' ? 'to do' : hasEnded({ status } as Step) ? status : 'under way'}${needs.length > 0 ? `, needs ${needs.join(', ')}` : ''}): ${task}`;

/** A revision that can be carried out, or everything that is wrong with it. */
export const readRevision = ({ agents, maxSteps, steps: plan }: Planner, reply: ModelReply): Parsed<Revision> => {
  const parsed = readReply('revision', reply);
  if (!parsed.ok) return parsed;
  const { steps, cancel } = parsed.value;
  const begun = plan.filter((step) => !isOpen(step));
  const kept = begun.filter(({ id, status }) => status !== 'skipped' && !cancel.includes(id));
  const names = agents.map(({ name }) => name);
  // To what follows, what was begun is a step without needs.
  const whole = { steps: [...kept.map(({ id, agent, task }) => ({ id, agent, task, needs: [] })), ...steps] };
  const problems = [
    ...steps.filter(({ id }) => begun.some((step) => step.id === id)).map(({ id }) => `step ${id} was begun already; give another one a name of its own`),
    ...cancel.filter((id) => !plan.some((step) => step.id === id && isActive(step))).map((id) => `"${id}" is no step under way`),
    ...(whole.steps.length === 0 ? ['nothing is left to answer from'] : []),
  ];
  const all = problems.length > 0 ? problems : draftProblems(whole, names, maxSteps);
  return all.length === 0 ? parsed : { ok: false, problem: all.join('; ') };
};

/** The plan as revised, and what is said of it; nothing is said where nothing changes. */
export const revise = (
  { steps: plan, revisions }: Pick<Planner, 'steps' | 'revisions'>,
  { steps, cancel, reason }: Revision,
): { plan: Plan; revised: Revised | undefined } => {
  const changed = fromDraft({ steps }).filter((step) => {
    const was = plan.find(({ id }) => id === step.id);
    return !was || was.agent !== step.agent || was.task !== step.task || was.needs.join() !== step.needs.join();
  });
  const dropped = plan.filter((step) => (isOpen(step) && !steps.some(({ id }) => id === step.id)) || (isActive(step) && cancel.includes(step.id)));
  if (changed.length === 0 && dropped.length === 0) return { plan, revised: undefined };
  const obsolete = failure('STEP_OBSOLETE', `the plan was revised${reason === '' ? '' : `: ${reason}`}`);
  const after = plan.map((step): Step => {
    if (dropped.includes(step)) return { ...step, status: 'skipped', failure: obsolete, due: undefined };
    const other = changed.find(({ id }) => id === step.id);
    return other ? openStep(other) : step;
  });
  const added = changed.filter(({ id }) => !plan.some((step) => step.id === id)).map(openStep);
  const told = changed.map(({ id, agent, task, needs }) => ({ id, agent, task, needs }));
  return { plan: [...after, ...added], revised: { revision: revisions.length + 1, reason, steps: told, dropped: dropped.map(({ id }) => id) } };
};

/** A revision has dropped it: nothing is missing without it. */
export const isObsolete = ({ failure: why }: Step): boolean => why?.code === 'STEP_OBSOLETE';
