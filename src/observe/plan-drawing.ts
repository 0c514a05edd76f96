/** The drawing of a plan: its steps, what each waits for, and in a run how far each is and what it cost. */
import type { Plan, PlannedStep, StepStatus } from '../actors/supervisor/plan.ts';
import { formatDollars } from '../protocols/money.ts';
import { phrase, type Accent, type Arrow, type Box, type Drawing, type Line } from './picture/drawing.ts';
import { clip } from './picture/text.ts';
import { stepOf, type Story } from './story.ts';

const TASK_CHARS = 150;

/** A plan that nobody has begun. */
export const planDrawing = (team: string, steps: readonly PlannedStep[]): Drawing => ({
  title: `plan of ${team}`,
  notes: [{ phrases: [phrase(steps.length === 1 ? '1 step' : `${steps.length} steps`, 'muted')] }],
  ...arranged(
    steps,
    (step) => stepBox(step, [], []),
    () => [],
  ),
});

/** The plan as the story left it; `undefined`: there is none yet. */
export const planOfRun = (run: string, team: string, story: Story): Drawing | undefined => {
  const steps = planIn(story);
  if (!steps || steps.length === 0) return undefined;
  const begun = new Set(steps.filter(({ status }) => status !== 'pending' && status !== 'skipped').map(({ id }) => id));
  return {
    title: `plan of ${team}, ${run}`,
    notes: [
      {
        sign: 'money',
        phrases: [phrase(formatDollars(story.spentBy(() => true)), 'name'), phrase(`spent after ${story.entries} entries;`, 'muted'), phrase(countsOf(steps))],
      },
    ],
    ...arranged(
      steps,
      (step) => {
        const spent = story.spentBy((address) => stepOf(address) === step.id);
        return stepBox(step, statusLines(step, spent), ACCENTS[step.status]);
      },
      (step) => (begun.has(step.id) ? ['taken'] : []),
    ),
  };
};

const planIn = ({ figures }: Story): Plan | undefined => {
  for (const { chart, snapshot } of figures.values()) if (chart === 'supervisor') return (snapshot.context as { readonly steps: Plan }).steps;
  return undefined;
};

const ACCENTS: Readonly<Record<StepStatus, readonly Accent[]>> = {
  pending: [],
  running: ['active'],
  reviewing: ['active'],
  asking: ['active'],
  completed: ['done'],
  failed: ['failure'],
  skipped: ['skipped'],
};

const ON_FAILURE: Readonly<Record<PlannedStep['onFailure'], string | undefined>> = {
  fail: undefined,
  skip: 'if it fails, what needs it is skipped',
  continue: 'if it fails, what needs it runs without it',
};

const stepBox = ({ id, agent, task, onFailure }: PlannedStep, more: readonly Line[], accents: readonly Accent[]): Box => {
  const rule = ON_FAILURE[onFailure];
  return {
    id,
    kind: 'step',
    title: id,
    lines: [
      { phrases: [phrase(agent, 'guard'), phrase(clip(task, TASK_CHARS))] },
      ...(rule === undefined ? [] : [{ phrases: [phrase(rule, 'muted')] }]),
      ...more,
    ],
    children: [],
    accents,
  };
};

const statusLines = ({ status, attempt, failure }: Plan[number], spent: bigint): Line[] => [
  {
    ...(spent > 0n && { sign: 'money' as const }),
    phrases: [...(spent > 0n ? [phrase(formatDollars(spent))] : []), phrase(status, 'name'), ...(attempt > 1 ? [phrase(`attempt ${attempt}`, 'muted')] : [])],
  },
  ...(failure ? [{ sign: 'failed', phrases: [phrase(clip(failure.message, TASK_CHARS), 'muted')] } satisfies Line] : []),
];

const countsOf = (steps: Plan): string => {
  const counts = new Map<StepStatus, number>();
  for (const { status } of steps) counts.set(status, (counts.get(status) ?? 0) + 1);
  return [...counts].map(([status, count]) => `${count} ${status}`).join(', ');
};

/** So many steps that wait for the same, and are waited for by the same, stand together. */
const TOGETHER_MIN = 3;

const arranged = <Step extends PlannedStep>(
  steps: readonly Step[],
  boxOf: (step: Step) => Box,
  accentsOf: (step: Step) => readonly Accent[],
): Pick<Drawing, 'boxes' | 'arrows'> => {
  const waiting = new Map<string, string[]>();
  for (const { id, needs } of steps) for (const need of needs) waiting.set(need, [...(waiting.get(need) ?? []), id]);
  const alike = Map.groupBy(steps, ({ id, needs }) => JSON.stringify([needs.toSorted(), (waiting.get(id) ?? []).toSorted()]));
  const standsIn = new Map<string, string>();
  const boxes = [...alike.values()].flatMap((together): Box[] => {
    if (together.length < TOGETHER_MIN) return together.map(boxOf);
    const id = `(with ${together[0]!.id})`;
    for (const step of together) standsIn.set(step.id, id);
    return [{ id, kind: 'group', title: `${together.length} steps side by side`, lines: [], children: together.map(boxOf), accents: [] }];
  });
  const arrows = new Map<string, Arrow>();
  for (const step of steps) {
    for (const need of step.needs) {
      const [from, to] = [standsIn.get(need) ?? need, standsIn.get(step.id) ?? step.id];
      const id = `${from} to ${to}`;
      const before = arrows.get(id)?.accents ?? [];
      arrows.set(id, { id, from, to, lines: [], accents: before.length > 0 ? before : accentsOf(step) });
    }
  }
  return { boxes, arrows: [...arrows.values()] };
};
