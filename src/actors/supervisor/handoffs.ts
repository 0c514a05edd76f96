/** Who may hand a step over to whom, and how often. Pure. */
import { failure, type Failure } from '../../protocols/failure.ts';
import type { Step } from './plan.ts';

/** By agent. `max`: times that a step may have been handed over, its own being the last. */
export type Handoffs = Readonly<Record<string, { readonly to: readonly string[]; readonly max: number }>>;

/** Why `from`, who has the step, may not hand it over to `agent`; `undefined`: it may. */
export const handoffProblem = (handoffs: Handoffs, { id, handover }: Step, from: string, agent: string): Failure | undefined => {
  const { to, max } = Object.hasOwn(handoffs, from) ? handoffs[from]! : { to: [], max: 0 };
  if (!to.includes(agent)) return failure('STEP_HANDOFF_DENIED', `${from} may not hand step ${id} over to ${agent}; it may to: ${to.join(', ') || 'nobody'}`);
  const had = [...(handover?.by ?? []), from];
  if (had.length <= max) return undefined;
  const circle = had.includes(agent) ? ' in a circle' : '';
  return failure(
    'STEP_HANDOFFS_MAX',
    `step ${id} would be handed over${circle} once more, ${[...had, agent].join(' -> ')}; agents.${from}.handoffs.max_handoffs allows ${max}`,
    { details: { agents: had, max } },
  );
};
