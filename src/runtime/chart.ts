/**
 * A chart that a host can run: a state machine of XState whose every action can be written down as data.
 *
 * XState's exported `transition` builds a whole actor on each call; one inert scope for all machines gives the same result in
 * a third of the time. The scope collects the actions and executes none of them.
 */
import {
  createActor,
  createMachine,
  type AnyActorScope,
  type AnyEventObject,
  type AnyMachineSnapshot,
  type AnyStateMachine,
  type AnyStateNode,
  type AnyTransitionDefinition,
} from 'xstate';
import { DURABLE } from '../protocols/chart.ts';
import { TroupeError } from '../protocols/failure.ts';

/** An action as a transition returns it. What `params` holds depends on `type`; fold.ts reads it. */
export type ChartAction = { readonly type: string; readonly params: unknown };

type Transitioned = readonly [AnyMachineSnapshot, readonly ChartAction[]];

export type Chart = {
  readonly name: string;
  /** Of the machine and of what its context means. A stored snapshot of another version is not used. */
  readonly version: number;
  readonly machine: AnyStateMachine;
  /** The events that the machine listens to anywhere. */
  readonly hears: ReadonlySet<string>;
  initial(input: unknown): Transitioned;
  transition(snapshot: AnyMachineSnapshot, event: AnyEventObject): Transitioned;
  /** A snapshot as JSON can hold it, and back. */
  persist(snapshot: AnyMachineSnapshot): unknown;
  restore(persisted: unknown): AnyMachineSnapshot;
};

/** Checks a machine and makes it runnable. Error: CHART_NOT_DURABLE; it lists everything that a host could not perform. */
export const defineChart = (name: string, version: number, machine: AnyStateMachine): Chart => {
  const problems = [...notDurable(machine)];
  if (problems.length > 0) {
    throw new TroupeError('CHART_NOT_DURABLE', `chart ${name} cannot be hosted:\n  ${problems.join('\n  ')}`, { details: { problems } });
  }
  return {
    name,
    version,
    machine,
    hears: new Set(machine.events as string[]),
    initial: (input) => collect(() => machine.getInitialSnapshot(inert, input)),
    transition: (snapshot, event) => collect(() => machine.transition(snapshot, event, inert)),
    persist: (snapshot) => machine.getPersistedSnapshot(snapshot),
    restore: (persisted) => createActor(machine, { snapshot: persisted, input: undefined } as never).getSnapshot() as AnyMachineSnapshot,
  };
};

let collected: ChartAction[] = [];
const nothing = () => {};
/** The parent of all effects, never started. */
const nobody = createActor(createMachine({}));
const inert = {
  self: nobody,
  id: '',
  sessionId: '',
  system: nobody.system,
  logger: nothing,
  defer: nothing,
  stopChild: nothing,
  emit: nothing,
  actionExecutor: (action: ChartAction) => void collected.push(action),
} as unknown as AnyActorScope;

/** Tells of every transition that any chart takes from now on, in order. Gives the way to stop. */
export const watchTransitions = (see: (transition: AnyTransitionDefinition) => void): (() => void) => {
  const subscription = nobody.system.inspect((event) => {
    if (event.type !== '@xstate.microstep') return;
    const { _transitions: transitions } = event;
    for (const transition of transitions) see(transition);
  });
  return () => subscription.unsubscribe();
};

const collect = (run: () => AnyMachineSnapshot): Transitioned => {
  collected = [];
  const snapshot = run();
  return [snapshot, collected];
};

const PERFORMABLE = new Set(['xstate.assign', 'xstate.raise', 'xstate.cancel', 'xstate.emit', 'xstate.spawnChild', 'xstate.stopChild']);

/** An action in a machine's definition: a name, a name with params, or one of XState's own with its kind as `type`. */
type ActionDefinition = string | ({ readonly type?: string; readonly [DURABLE]?: unknown } & ((...args: never[]) => unknown)) | { readonly type: string };

/** Everything in the machine that a host could not perform, in words. */
function* notDurable(machine: AnyStateMachine): Generator<string> {
  const { actions, actors } = machine.implementations as unknown as { actions: Record<string, ActionDefinition>; actors: Record<string, object> };
  const judge = (action: ActionDefinition, where: string): string | undefined => {
    const named = typeof action === 'string' ? action : typeof action === 'object' ? action.type : undefined;
    if (named !== undefined) {
      const implementation = actions[named];
      return implementation === undefined ? `${where}: action '${named}' has no implementation` : judgeBuiltIn(implementation, `${where}: action '${named}'`);
    }
    return judgeBuiltIn(action, `${where}: an inline action`);
  };
  for (const node of nodesOf(machine.root as AnyStateNode)) {
    for (const [where, list] of actionsOf(node)) {
      for (const action of list) {
        const problem = judge(action as ActionDefinition, where);
        if (problem) yield problem;
      }
    }
    for (const { src, id } of node.invoke) {
      const where = `${node.id} invokes ${id}`;
      if (typeof src !== 'string' || !(src in actors)) yield `${where}: give the effect a name in setup({ actors })`;
      if (!hasWayOut(node, id)) yield `${where}: nothing happens when the effect fails; add onError`;
    }
  }
  for (const [name, logic] of Object.entries(actors)) {
    if (!(DURABLE in logic)) yield `actor '${name}': make the slot with effect(); a host runs what stands behind it`;
  }
}

const judgeBuiltIn = (action: ActionDefinition, what: string): string | undefined => {
  const kind = typeof action === 'function' ? action.type : undefined;
  if (kind === undefined) return `${what} is a plain function; use assign, emit, raise, or an effect`;
  if (kind === 'xstate.enqueueActions') {
    return DURABLE in (action as object) ? undefined : `${what} uses enqueueActions; use emitEach or startEach`;
  }
  return PERFORMABLE.has(kind) ? undefined : `${what} is '${kind}', which a host cannot perform`;
};

export function* nodesOf(node: AnyStateNode): Generator<AnyStateNode> {
  yield node;
  for (const child of Object.values(node.states) as AnyStateNode[]) yield* nodesOf(child);
}

function* actionsOf(node: AnyStateNode): Generator<[string, readonly unknown[]]> {
  yield [`${node.id} entry`, node.entry];
  yield [`${node.id} exit`, node.exit];
  yield [`${node.id} initial`, node.initial?.actions ?? []];
  for (const transition of [...[...node.transitions.values()].flat(), ...(node.always ?? [])]) {
    yield [`${node.id} on '${transition.eventType}'`, transition.actions];
  }
}

const hasWayOut = (node: AnyStateNode, effect: string): boolean => {
  for (let at: AnyStateNode | undefined = node; at; at = at.parent as AnyStateNode | undefined) {
    for (const event of [`xstate.error.actor.${effect}`, 'xstate.error.actor.*', '*']) {
      if (at.transitions.has(event)) return true;
    }
  }
  return false;
};
