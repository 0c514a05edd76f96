/**
 * The drawing of a plan: its steps, what each waits for, where it goes back to, and in a run how far each is and what it cost. The
 * items of a step that is done for each of a list stand in it, and so do the steps of a team that does one.
 */
import type { Plan, PlannedStep, Step, StepStatus } from '../actors/supervisor/plan.ts';
import { isObsolete } from '../actors/supervisor/revision.ts';
import { address, keyWithin, type Address, type RunId } from '../protocols/ids.ts';
import { formatDollars } from '../protocols/money.ts';
import { phrase, type Accent, type Arrow, type Box, type Drawing, type Line, type Phrase } from './picture/drawing.ts';
import { clip } from './picture/text.ts';
import { isFor, type Story } from './story.ts';

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
export const planOfRun = (run: RunId, team: string, story: Story): Drawing | undefined => {
  const plan = planAt(story, address(run, 'supervisor'));
  if (!plan || plan.length === 0) return undefined;
  const steps = plan.filter(({ of }) => of === undefined);
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
      (step) => walkedBox({ run, story, key: '' }, step, plan),
      (step) => (begun.has(step.id) ? ['taken'] : []),
      (to) => steps.some(({ id, visits }) => id === to && visits > 1),
    ),
  };
};

/** Whose plan it is: of the supervisor with that key, the run's has none. */
type Walk = { readonly run: RunId; readonly story: Story; readonly key: string };

const planAt = ({ figures }: Story, supervisor: Address): Plan | undefined =>
  (figures.get(supervisor)?.snapshot.context as { readonly steps: Plan } | undefined)?.steps;

/** A step of a run, with the items or the team's steps that it was divided into. */
const walkedBox = (walk: Walk, step: Step, plan: Plan): Box => {
  const { story, key } = walk;
  const ofStep = (id: string): string => (key === '' ? id : `${key}-${id}`);
  // Of two steps that are called alike, `part` and `part-1`, the longer name is meant.
  const longer = plan.filter(({ id, of }) => of === undefined && id.startsWith(`${step.id}-`)).map(({ id }) => ofStep(id));
  const spent = story.spentBy((at) => isFor(at, ofStep(step.id)) && !longer.some((other) => isFor(at, other)));
  const box = stepBox(step, statusLines(step, spent), ACCENTS[step.status]);
  const items = plan.filter(({ of }) => of === step.id);
  const children = items.length > 0 ? items.map((item) => walkedBox(walk, item, plan)) : stepsOfTeam(walk, step);
  return children.length === 0
    ? box
    : { ...box, kind: 'group', children: children.map((child) => ({ ...child, id: `${box.id}/${child.id}`, kind: 'step', children: [] })) };
};

const stepsOfTeam = ({ run, story, key }: Walk, step: Step): Box[] => {
  const within = keyWithin(key, step.id, step.attempt);
  const plan = planAt(story, address(run, 'supervisor', step.agent, within)) ?? [];
  return plan.map((inner) => walkedBox({ run, story, key: within }, inner, plan));
};

const ACCENTS: Readonly<Record<StepStatus, readonly Accent[]>> = {
  pending: [],
  running: ['active'],
  reviewing: ['active'],
  asking: ['active'],
  mapping: ['active'],
  completed: ['done'],
  failed: ['failure'],
  skipped: ['skipped'],
};

const stepBox = (step: PlannedStep, more: readonly Line[], accents: readonly Accent[]): Box => ({
  id: step.id,
  kind: 'step',
  title: step.id,
  lines: [{ phrases: [phrase(step.agent, 'guard'), phrase(clip(step.task, TASK_CHARS))] }, ...ruleLines(step), ...more],
  children: [],
  accents,
});

/** By what rules a step is carried out, where they are not the usual ones. */
const ruleLines = ({ id, needs, join, when, map, retry, timeoutMs, fallback, onFailure, default: instead, goto, writes, reads }: PlannedStep): Line[] => [
  ...(join === undefined ? [] : [muted(join === 1 ? `any one of ${needs.length} results will do` : `${join} of ${needs.length} results will do`)]),
  ...(when === undefined ? [] : [{ sign: 'always', phrases: [phrase(`[${clip(when, TASK_CHARS)}]`, 'guard')] } satisfies Line]),
  ...(map ? [{ sign: 'again', phrases: mapPhrases(map) } satisfies Line] : []),
  ...(reads ? [muted(`reads ${reads.join(', ')}`)] : []),
  ...(writes ? [muted(`writes ${writes.key} (${writes.by})`)] : []),
  ...(timeoutMs === undefined ? [] : [{ sign: 'clock', phrases: [phrase(`an attempt takes ${timeoutMs / 1_000} s at most`, 'muted')] } satisfies Line]),
  ...(retry ? [muted(`${retry.attempts} attempts, the second after ${retry.backoffMs / 1_000} s`)] : []),
  ...(fallback === undefined ? [] : [{ phrases: [phrase('if it fails,', 'muted'), phrase(fallback, 'guard'), phrase('does it', 'muted')] }]),
  ...failureLines(onFailure, instead),
  ...(goto ?? []).filter(({ to }) => to === id).map((way): Line => ({ sign: 'again', phrases: gotoPhrases(way) })),
];

const muted = (text: string): Line => ({ phrases: [phrase(text, 'muted')] });

const mapPhrases = ({ over, max, concurrency }: NonNullable<PlannedStep['map']>): Phrase[] => [
  phrase(`for each item of ${'step' in over ? over.step : over.input},`),
  phrase(`${max} at most, ${concurrency} at once`, 'muted'),
];

const failureLines = (onFailure: PlannedStep['onFailure'], instead = ''): Line[] => {
  switch (onFailure) {
    case 'fail':
      return [];
    case 'skip':
      return [muted('if it fails, what needs it is skipped')];
    case 'continue':
      return [muted('if it fails, what needs it runs without it')];
    case 'default':
      return [muted(`if it fails, its result is "${clip(instead, TASK_CHARS)}"`)];
  }
};

const gotoPhrases = ({ when, maxVisits }: NonNullable<PlannedStep['goto']>[number]): Phrase[] => [
  ...(when === undefined ? [] : [phrase(`[${clip(when, TASK_CHARS)}]`, 'guard')]),
  phrase(`again, ${maxVisits} times in all at most`, 'muted'),
];

const statusOf = (step: Step): string => (isObsolete(step) ? 'obsolete' : step.status);

const statusLines = (step: Step, spent: bigint): Line[] => {
  const { attempt, visits, failure } = step;
  const again = [...(attempt > 1 ? [`attempt ${attempt}`] : []), ...(visits > 1 ? [`visit ${visits}`] : [])];
  return [
    {
      ...(spent > 0n && { sign: 'money' as const }),
      phrases: [
        ...(spent > 0n ? [phrase(formatDollars(spent))] : []),
        phrase(statusOf(step), 'name'),
        ...(again.length > 0 ? [phrase(again.join(', '), 'muted')] : []),
      ],
    },
    ...(failure ? [{ ...(step.status === 'failed' && { sign: 'failed' as const }), phrases: [phrase(clip(failure.message, TASK_CHARS), 'muted')] }] : []),
  ];
};

const countsOf = (steps: Plan): string => [...Map.groupBy(steps, statusOf)].map(([status, those]) => `${those.length} ${status}`).join(', ');

/** So many steps that wait for the same, and are waited for by the same, stand together. */
const TOGETHER_MIN = 3;

const arranged = <S extends PlannedStep>(
  steps: readonly S[],
  boxOf: (step: S) => Box,
  accentsOf: (step: S) => readonly Accent[],
  wentBack: (to: string) => boolean = () => false,
): Pick<Drawing, 'boxes' | 'arrows'> => {
  const waiting = new Map<string, string[]>();
  for (const { id, needs } of steps) for (const need of needs) waiting.set(need, [...(waiting.get(need) ?? []), id]);
  const ways = steps.flatMap((step) => (step.goto ?? []).filter(({ to }) => to !== step.id).map((way) => ({ step, way })));
  const turning = new Set(ways.flatMap(({ step, way }) => [step.id, way.to]));
  const drawn = new Map(steps.map((step) => [step.id, boxOf(step)]));
  // Whoever holds others, or is gone back to, stands by itself.
  const isAlone = (id: string): boolean => turning.has(id) || drawn.get(id)!.children.length > 0;
  const alike = Map.groupBy(steps, ({ id, needs }) => (isAlone(id) ? id : JSON.stringify([needs.toSorted(), (waiting.get(id) ?? []).toSorted()])));
  const standsIn = new Map<string, string>();
  const boxes = [...alike.values()].flatMap((together): Box[] => {
    const those = together.map(({ id }) => drawn.get(id)!);
    if (together.length < TOGETHER_MIN) return those;
    const id = `(with ${together[0]!.id})`;
    for (const step of together) standsIn.set(step.id, id);
    return [{ id, kind: 'group', title: `${together.length} steps side by side`, lines: [], children: those, accents: [] }];
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
  const back = Map.groupBy(ways, ({ step, way }) => `${step.id} back to ${way.to}`);
  return {
    boxes,
    arrows: [
      ...arrows.values(),
      ...[...back].map(([id, those]): Arrow => {
        const { step, way } = those[0]!;
        return {
          id,
          from: step.id,
          to: way.to,
          lines: those.map((one): Line => ({ sign: 'again', phrases: gotoPhrases(one.way) })),
          accents: wentBack(way.to) ? ['taken'] : [],
        };
      }),
    ],
  };
};
