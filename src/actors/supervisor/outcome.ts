/** How a run, or the work of a team inside it, is said to have ended. Pure. */
import type { AgentProfile } from '../../protocols/agent.ts';
import type { Failure } from '../../protocols/failure.ts';
import type { Citation } from '../../protocols/formats.ts';
import type { Address } from '../../protocols/ids.ts';
import type { RunCompleted, RunFailed, Spending, StepOutcome } from '../../protocols/lifecycle.ts';
import type { Sent } from '../../protocols/message.ts';
import type { TaskCompleted, TaskFailed } from '../../protocols/task.ts';
import type { Assignment } from './members.ts';
import type { Plan } from './plan.ts';

type Ended = {
  /** The supervisor's own. */
  readonly profile: Pick<AgentProfile, 'name'>;
  readonly client: Address;
  readonly assignment?: Assignment | undefined;
  readonly steps: Plan;
  readonly answer: string;
  readonly citations: readonly Citation[];
  /** The answer as a value, where it has a form. */
  readonly output?: unknown;
  readonly spending: Spending | undefined;
  readonly turn: number;
};

/** Each step of the plan; behind a team's, those of the team, as `<step of the team>/<step>`. `supervisor`: who took over what it did itself. */
export const outcomesOf = (plan: Plan, { name: supervisor }: Ended['profile']): StepOutcome[] =>
  plan.flatMap(({ id, agent, takenOver, handover, status, attempt: attempts, failure: why, output, steps = [] }) => [
    {
      step: id,
      agent: takenOver ? supervisor : agent,
      ...(handover && { handedOverBy: [...handover.by] }),
      status,
      attempts,
      ...(why && { failure: why }),
      ...(output !== undefined && { output }),
    },
    ...steps.map((inner) => ({ ...inner, step: `${id}/${inner.step}` })),
  ]);

/** To whoever gave the work: the client of a run, the supervisor above a team. */
export const completion = ({
  profile,
  client: to,
  assignment,
  answer,
  citations,
  output,
  steps: plan,
  spending,
  turn,
}: Ended): Sent<typeof RunCompleted> | Sent<typeof TaskCompleted> => {
  const said = { to, citations: [...citations], ...(output !== undefined && { output }), steps: outcomesOf(plan, profile) };
  if (!assignment) return { type: 'run.completed', ...said, answer, ...(spending && { spending }) };
  const { step, attempt } = assignment;
  return { type: 'task.completed', ...said, step, attempt, text: answer, turns: turn };
};

/** As `completion`, for what has failed; with what can be said all the same. */
export const collapse = (ended: Ended, failure: Failure): Sent<typeof RunFailed> | Sent<typeof TaskFailed> => {
  const { profile, client: to, assignment, answer, citations, steps: plan, spending } = ended;
  const said = { to, failure, steps: outcomesOf(plan, profile) };
  const cited = [...citations];
  if (!assignment) return { type: 'run.failed', ...said, ...(answer !== '' && { answer }), citations: cited, ...(spending && { spending }) };
  const { step, attempt } = assignment;
  return { type: 'task.failed', ...said, step, attempt, ...(answer !== '' && { partial: { text: answer, citations: cited } }) };
};

/** The steps that have no result, for a message that says what is missing. */
export const missingIn = (plan: Plan): string[] => plan.filter(({ status }) => status !== 'completed').map(({ id }) => id);
