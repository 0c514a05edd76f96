/**
 * What follows of itself from how the steps of a plan have ended. Pure, and done until nothing follows any more.
 *
 *   - What can never run, or whose condition does not hold, is skipped.
 *   - A step that is done for each item of a list gets its items, which are steps like others, and ends when they have.
 *   - What a completed step writes goes into the graph's state, and the plan goes back where the step says so, so often at most.
 */
import { failure, type Failure } from '../../protocols/failure.ts';
import { evaluate, readCondition, type Value } from './condition.ts';
import { itemsOf } from './fan-out.ts';
import { nextOrder, stateOf } from './graph-state.ts';
import { hasEnded, hasResult, indexOf, openStep, ownAgentOf, prospectOf, type Goto, type Plan, type Step, type StepIndex } from './plan.ts';

/** Texts that the run was given, by name: conditions and lists ask for them. */
export type Inputs = Readonly<Record<string, string>>;

/** The steps by id, while they change: those of the plan, until the first of them does. */
class Draft implements StepIndex {
  #steps: StepIndex;
  #changed: Map<string, Step> | undefined;

  constructor(plan: Plan) {
    this.#steps = indexOf(plan);
  }

  get(id: string): Step | undefined {
    return this.#steps.get(id);
  }

  values(): Iterable<Step> {
    return this.#steps.values();
  }

  set(step: Step): void {
    this.#own().set(step.id, step);
  }

  delete(id: string): void {
    this.#own().delete(id);
  }

  #own(): Map<string, Step> {
    this.#changed ??= new Map(Array.from(this.#steps.values(), (step) => [step.id, step]));
    this.#steps = this.#changed;
    return this.#changed;
  }
}

export const settle = (plan: Plan, inputs: Inputs): Plan => {
  const draft = new Draft(plan);
  let changed = false;
  while (settleAll(draft, inputs)) changed = true;
  return changed ? inOrder(draft) : plan;
};

const settleAll = (draft: Draft, inputs: Inputs): boolean => {
  let changed = false;
  for (const { id } of draft.values()) {
    const step = draft.get(id); // as it is now: what comes before it may have changed it, or ended it
    if (step) changed = settleStep(step, draft, inputs) || changed;
  }
  return changed;
};

const settleStep = (step: Step, draft: Draft, inputs: Inputs): boolean => {
  switch (step.status) {
    case 'pending':
      return judge(step, draft, inputs);
    case 'mapping':
      return gather(step, draft);
    case 'completed':
      return follow(step, draft, inputs);
    default:
      return false;
  }
};

/** Items stand behind the step that they are of. */
const inOrder = (draft: Draft): Plan => {
  const items = Map.groupBy(draft.values(), ({ of }) => of);
  return (items.get(undefined) ?? []).flatMap((step) => [step, ...(items.get(step.id) ?? [])]);
};

const put = (draft: Draft, step: Step, to: Partial<Step>): true => {
  draft.set({ ...step, ...to });
  return true;
};

// --- what does not run -----------------------------------------------------------------------------------------------------

const judge = (step: Step, draft: Draft, inputs: Inputs): boolean => {
  const prospect = prospectOf(step, draft);
  if (prospect === 'waits') return false;
  const skip = (why: string): true => put(draft, step, { status: 'skipped', failure: failure('STEP_SKIPPED', why) });
  if (prospect !== 'runs') return skip(`step ${step.id} needs ${prospect.id}, which ${prospect.status === 'failed' ? 'failed' : 'was skipped'}`);
  if (step.begun || step.of !== undefined) return false;
  if (!holds(step.when, draft, inputs)) return skip(`step ${step.id} runs only when ${step.when}`);
  return step.map !== undefined && openItems(step, draft, inputs);
};

const holds = (when: string | undefined, steps: StepIndex, inputs: Inputs): boolean => {
  if (when === undefined) return true;
  const read = readCondition(when);
  if (!read.ok) throw new Error(`the condition ${when} was never checked: ${read.problem}`);
  return evaluate(read.condition, (path) => valueOf(path, steps, inputs)) === true;
};

const valueOf = ([root, name, field]: readonly string[], steps: StepIndex, inputs: Inputs): Value => {
  if (root === 'inputs') return Object.hasOwn(inputs, name!) ? inputs[name!]! : '';
  if (root === 'state') return stateOf([...steps.values()], name!);
  const step = steps.get(name!)!;
  switch (field) {
    case 'status':
      return step.status === 'reviewing' || step.status === 'asking' || step.status === 'mapping' ? 'running' : step.status;
    case 'attempts':
      return step.attempt;
    default:
      return step.text;
  }
};

// --- once for each item ----------------------------------------------------------------------------------------------------

const openItems = (step: Step, draft: Draft, inputs: Inputs): true => {
  const { over, around, max } = step.map!;
  const found = 'step' in over ? resultsOf(draft.get(over.step)!, draft) : itemsOf(inputs[over.input] ?? '');
  const { map: _map, when: _when, join: _join, goto: _goto, writes: _writes, ...planned } = step;
  const needs = step.needs.filter((need) => !('step' in over) || need !== over.step);
  found.slice(0, max).forEach((item, index) => {
    const id = itemId(step, index);
    // Attempts are counted on, so that each has an agent of its own, also after the plan went back.
    draft.set({ ...openStep({ ...planned, id, needs, task: around.join(item) }), of: step.id, attempt: step.attempt });
  });
  return put(draft, step, { status: 'mapping', begun: true, failure: leftOut(step, found.length) });
};

/** What becomes of a list that is not as long as was thought. */
const leftOut = ({ id, map }: Step, found: number): Failure | undefined => {
  const { over, max } = map!;
  const list = 'step' in over ? `the result of step ${over.step}` : `inputs.${over.input}`;
  if (found === 0) return failure('STEP_ITEMS_NONE', `step ${id} found no item in ${list}, and did nothing`);
  return found > max ? failure('STEP_ITEMS_MAX', `step ${id} took ${max} items and left out ${found - max}; raise map.max`) : undefined;
};

/** What is made of a result that is a list: of one that was made for items, what each of them brought. */
const resultsOf = (step: Step, draft: Draft): readonly string[] =>
  step.map
    ? itemsIn(step, draft)
        .filter(hasResult)
        .map(({ text }) => text)
    : itemsOf(step.text);

const itemId = ({ id }: Step, index: number): string => `${id}-${index + 1}`;

const itemsIn = (step: Step, steps: StepIndex): readonly Step[] => {
  const items: Step[] = [];
  for (let item = steps.get(itemId(step, 0)); item?.of === step.id; item = steps.get(itemId(step, items.length))) items.push(item);
  return items;
};

const gather = (step: Step, draft: Draft): boolean => {
  const items = itemsIn(step, draft);
  if (!items.every(hasEnded)) return false;
  const done = items.filter(hasResult);
  const gathered = { text: done.map(({ text }) => text).join('\n'), attempt: Math.max(step.attempt, ...items.map(({ attempt }) => attempt)) };
  const missing = missingIn(step, items);
  const enough = !missing || (step.onFailure === 'continue' && done.length > 0);
  return put(draft, step, { ...gathered, status: enough ? 'completed' : 'failed', failure: missing ?? step.failure });
};

const missingIn = (step: Step, items: readonly Step[]): Failure | undefined => {
  const lost = items.filter((item) => !hasResult(item));
  if (lost.length === 0) return undefined;
  const reasons = lost.map(({ id, failure: why }) => `${id}: ${why?.message}`);
  const said = `${lost.length} of the ${items.length} items of step ${step.id} failed: ${reasons.slice(0, 3).join('; ')}`;
  return failure('STEP_ITEMS_FAILED', step.failure ? `${said}; and ${step.failure.message}` : said);
};

// --- what a completed step does to others ----------------------------------------------------------------------------------

const follow = (step: Step, draft: Draft, inputs: Inputs): boolean => {
  if (step.followed || (!step.writes && !step.goto)) return false;
  const written = step.writes ? [...step.written, { order: nextOrder([...draft.values()]), text: step.text }] : step.written;
  put(draft, step, { written, followed: true });
  const way = step.goto?.find(({ when }) => holds(when, draft, inputs));
  if (!way) return true;
  const { visits } = draft.get(way.to)!;
  if (visits >= way.maxVisits) {
    const reached = failure('STEP_VISITS_MAX', `step ${step.id} would go back to ${way.to}, which was visited ${visits} times; raise max_visits`);
    return put(draft, draft.get(step.id)!, { failure: reached });
  }
  goBack(step, way, draft);
  return true;
};

/** The target and all that needs it begin anew. The target is told why, with what it said before. */
const goBack = (from: Step, { to, when }: Goto, draft: Draft): void => {
  const again = new Set([to]);
  for (let size = 0; size !== again.size;) {
    size = again.size;
    for (const { id, needs } of draft.values()) if (needs.some((need) => again.has(need))) again.add(id);
  }
  for (const id of again) {
    const step = draft.get(id);
    if (!step) continue; // an item, gone with the step that it was of
    const items = itemsIn(step, draft);
    for (const item of items) draft.delete(item.id);
    const attempt = Math.max(step.attempt, ...items.map((item) => item.attempt));
    const told =
      id === to ? { objections: [from.id === to ? `it is done again while ${when ?? 'there are visits left'}` : from.text] } : { text: '', objections: [] };
    const anew = { status: 'pending', begun: false, followed: false, tries: 0, revisions: 0, due: undefined, failure: undefined, citations: [] } as const;
    const whose = { agent: ownAgentOf(step), fellBackFrom: undefined, handover: undefined };
    put(draft, step, { ...anew, ...told, ...whose, attempt, visits: step.visits + 1 });
  }
};

/** The items of a step that is done for each of them; the step itself where there are none. */
export const partsOf = (step: Step, steps: StepIndex): readonly Step[] => {
  const items = step.map ? itemsIn(step, steps) : [];
  return items.length > 0 ? items : [step];
};
