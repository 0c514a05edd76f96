/** What the steps of a workflow mean to each other: names that must be there, plans that must end, conditions that can be read. Pure. */
import { namesIn, readCondition, STATUSES, strangeStatusesIn } from '../actors/supervisor/condition.ts';
import { findCycle } from '../actors/supervisor/plan.ts';
import { placeholders } from './placeholder.ts';
import type { Issue, Path } from './problem.ts';
import type { TeamFile } from './schema.ts';
import { overOf, type StepFile } from './step.ts';
import { knownHint } from './suggest.ts';

type Plan = { readonly steps: readonly StepFile[]; readonly state: Readonly<Record<string, string>>; readonly inputs: TeamFile['inputs'] };

/** Mistakes in the steps of a workflow, which stand at `path`. */
export const planIssues = (plan: Plan, path: Path): Issue[] => {
  const { steps } = plan;
  const places = new Map<string, number>();
  const duplicates = steps.flatMap(({ id }, index): Issue[] => {
    const first = places.get(id) ?? index;
    places.set(id, first);
    return first < index
      ? [{ code: 'STEP_DUPLICATE', path: [...path, index, 'id'], message: `two steps are called "${id}"; step ${first + 1} is one already` }]
      : [];
  });
  if (duplicates.length > 0) return duplicates;
  const meant = steps.map((step) => asMeant(step, places));
  const byId = new Map(meant.map((step) => [step.id, step]));
  const between = meant.flatMap((step, index) => [
    ...joinIssues(step, [...path, index]),
    ...mapIssues(step, plan, [...path, index]),
    ...failureIssues(step, [...path, index]),
    ...(step.when === undefined ? [] : conditionIssues(step.when, aboveOf(step, byId), plan, [...path, index, 'when'])),
    ...(step.goto ? gotoIssues(step, new Set([step.id, ...aboveOf(step, byId)]), plan, [...path, index]) : []),
    ...stateIssues(step, plan, [...path, index]),
  ]);
  return [...steps.flatMap((step, index) => needIssues(step, places, [...path, index, 'needs'])), ...cycleIssues(steps, path), ...between];
};

/** Whoever mistypes a need may have meant any step: what would follow from its absence is no mistake of its own. */
const asMeant = (step: StepFile, known: ReadonlyMap<string, number>): StepFile =>
  step.needs.every((need) => known.has(need)) ? step : { ...step, needs: [...known.keys()].filter((id) => id !== step.id) };

const needIssues = ({ id, needs }: StepFile, known: ReadonlyMap<string, number>, path: Path): Issue[] => [
  ...needs.flatMap((need, index): Issue[] => {
    if (need === id) return [{ code: 'STEP_NEEDS_ITSELF', path: [...path, index], message: `step "${id}" needs itself` }];
    if (known.has(need)) return [];
    const others = [...known.keys()].filter((other) => other !== id);
    return [{ code: 'STEP_UNKNOWN', path: [...path, index], message: `unknown step "${need}"`, hint: knownHint(need, others) }];
  }),
  ...needs.flatMap((need, index): Issue[] =>
    needs.indexOf(need) < index ? [{ code: 'VALUE_DUPLICATE', path: [...path, index], message: `"${need}" is in the list already` }] : [],
  ),
];

const cycleIssues = (steps: readonly StepFile[], path: Path): Issue[] =>
  cyclesIn(steps.map(({ id, needs }) => ({ id, needs: needs.filter((need) => need !== id) }))).map((cycle) => {
    const index = steps.findIndex(({ id }) => id === cycle[0]);
    return {
      code: 'STEP_CYCLE',
      path: [...path, index, 'needs', steps[index]!.needs.indexOf(cycle[1]!)],
      message: `these steps wait for each other: ${cycle.join(' -> ')}`,
      hint: 'remove one of the needs',
    };
  });

type Needing = { readonly id: string; readonly needs: readonly string[] };

/** Every cycle, once: the need that closes a cycle is taken away before the next is looked for. */
export const cyclesIn = (all: readonly Needing[]): string[][] => {
  const cycles: string[][] = [];
  let left = all;
  for (let cycle = findCycle(left); cycle; cycle = findCycle(left)) {
    const [first, second] = cycle;
    cycles.push(cycle);
    left = left.map(({ id, needs }) => ({ id, needs: id === first ? needs.filter((need) => need !== second) : needs }));
  }
  return cycles;
};

/** All that a step needs, by whatever way. */
const aboveOf = ({ needs }: StepFile, steps: ReadonlyMap<string, StepFile>): ReadonlySet<string> => {
  const above = new Set(needs);
  for (const id of above) for (const need of steps.get(id)!.needs) above.add(need);
  return above;
};

const invalid = (path: Path, message: string, hint: string, onKey = false): Issue => ({ code: 'STEP_INVALID', path, message, hint, onKey });

const joinIssues = ({ id, needs, join }: StepFile, path: Path): Issue[] => {
  const wanted = join === 'all' ? 0 : join === 'any' ? 1 : join.first;
  if (wanted <= needs.length) return [];
  return [invalid([...path, 'join'], `step "${id}" waits for ${wanted} results and needs ${needs.length} steps`, 'name the steps under needs')];
};

const mapIssues = ({ id, task, needs, map }: StepFile, { steps, inputs }: Plan, path: Path): Issue[] => {
  if (!map) return [];
  const over = overOf(map.over);
  const clash = steps.findIndex((step) => step.id.startsWith(`${id}-`) && /^\d+$/.test(step.id.slice(id.length + 1)));
  return [
    ...('step' in over
      ? needs.includes(over.step)
        ? []
        : [
            invalid(
              [...path, 'map', 'over'],
              `step "${id}" is done for each item of step "${over.step}", which it does not need`,
              `add it to needs: [${over.step}]`,
            ),
          ]
      : inputIssues(over.input, inputs, [...path, 'map', 'over'])),
    ...(placeholders(task).includes(map.as)
      ? []
      : [invalid([...path, 'task'], `the task has no {${map.as}} in it, so that it is the same for each item`, `write {${map.as}} where the item stands`)]),
    ...(id.length > ITEM_ID_CHARS
      ? [invalid([...path, 'id'], `the items of a step are numbered behind its name, which has ${id.length} characters`, `expected ${ITEM_ID_CHARS} at most`)]
      : []),
    ...(clash < 0 ? [] : [invalid([...path, 'id'], `an item of step "${id}" is called "${steps[clash]!.id}", as a step is`, 'rename one of them')]),
  ];
};
/** So much of a name is left when an item's number stands behind it. */
const ITEM_ID_CHARS = 44;

const inputIssues = (name: string, inputs: Plan['inputs'], path: Path): Issue[] => {
  const texts = Object.keys(inputs).filter((input) => inputs[input]!.folder === undefined);
  if (texts.includes(name)) return [];
  const message = Object.hasOwn(inputs, name) ? `input "${name}" is a folder, and no text` : `no input is called "${name}"`;
  return [{ code: 'INPUT_UNKNOWN', path, message, hint: knownHint(name, texts) }];
};

const failureIssues = (step: StepFile, path: Path): Issue[] => [
  ...(step.on_failure === 'default' && step.default === undefined
    ? [invalid([...path, 'on_failure'], `step "${step.id}" has no default to go on with`, 'write it beside on_failure, such as default: nothing was found')]
    : []),
  ...(step.on_failure !== 'default' && step.default !== undefined
    ? [invalid([...path, 'default'], `the default of step "${step.id}" is never used: on_failure is ${step.on_failure}`, 'expected on_failure: default', true)]
    : []),
  ...(step.fallback === step.agent
    ? [invalid([...path, 'fallback'], `the fallback of step "${step.id}" is who does it already`, 'name another agent, or raise retry.attempts')]
    : []),
];

const conditionIssues = (when: string, ended: ReadonlySet<string>, { steps, state, inputs }: Plan, path: Path): Issue[] => {
  const read = readCondition(when);
  if (!read.ok) return [{ code: 'CONDITION_INVALID', path, message: read.problem }];
  const names = namesIn(read.condition).flatMap(([root, name]): Issue[] => {
    if (root === 'inputs') return inputIssues(name!, inputs, path);
    if (root === 'state') return keyIssues(name!, state, path);
    if (ended.has(name!)) return [];
    if (!steps.some(({ id }) => id === name)) return [{ code: 'STEP_UNKNOWN', path, message: `unknown step "${name}"`, hint: knownHint(name!, [...ended]) }];
    return [{ code: 'CONDITION_INVALID', path, message: `step "${name}" need not have ended when this is asked`, hint: `add it to needs: [${name}]` }];
  });
  const statuses = strangeStatusesIn(read.condition).map((value): Issue => ({
    code: 'CONDITION_INVALID',
    path,
    message: `no status is ${JSON.stringify(value)}`,
    hint: knownHint(String(value), STATUSES),
  }));
  return [...names, ...statuses];
};

const gotoIssues = ({ id, goto = [] }: StepFile, reachable: ReadonlySet<string>, plan: Plan, path: Path): Issue[] =>
  goto.flatMap(({ to, when }, index): Issue[] => [
    ...(reachable.has(to)
      ? []
      : [
          plan.steps.some((step) => step.id === to)
            ? invalid(
                [...path, 'goto', index, 'to'],
                `step "${id}" cannot go back to "${to}", which it does not need`,
                'a step that comes later has a `when` of its own',
              )
            : { code: 'STEP_UNKNOWN' as const, path: [...path, 'goto', index, 'to'], message: `unknown step "${to}"`, hint: knownHint(to, [...reachable]) },
        ]),
    ...(when === undefined ? [] : conditionIssues(when, reachable, plan, [...path, 'goto', index, 'when'])),
  ]);

const stateIssues = ({ writes, reads = [] }: StepFile, { state }: Plan, path: Path): Issue[] => [
  ...(writes === undefined ? [] : keyIssues(writes, state, [...path, 'writes'])),
  ...reads.flatMap((key, index) => keyIssues(key, state, [...path, 'reads', index])),
];

const keyIssues = (key: string, state: Plan['state'], path: Path): Issue[] =>
  Object.hasOwn(state, key) ? [] : [{ code: 'STATE_UNKNOWN', path, message: `the state has no "${key}"`, hint: knownHint(key, Object.keys(state)) }];

/** Inputs that steps ask for otherwise than in their tasks. */
export const inputsAskedBy = (steps: readonly StepFile[]): readonly string[] =>
  steps.flatMap(({ map, when, goto = [] }) => {
    const over = map && overOf(map.over);
    const conditions = [when, ...goto.map((way) => way.when)].flatMap((one) => {
      const read = one === undefined ? undefined : readCondition(one);
      return read?.ok ? namesIn(read.condition) : [];
    });
    return [...(over && 'input' in over ? [over.input] : []), ...conditions.flatMap(([root, name]) => (root === 'inputs' ? [name!] : []))];
  });
