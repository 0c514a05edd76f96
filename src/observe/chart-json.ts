/**
 * A chart as JSON that XState's `createMachine` takes back, which is what Stately's editor imports. Names are kept, functions are
 * not: of an action that has no name only what it does is told.
 */
import type { AnyStateMachine, AnyStateNode, AnyTransitionDefinition } from 'xstate';
import { performs } from '../protocols/chart.ts';

type Json = { readonly [key: string]: unknown };

export const chartJson = (machine: AnyStateMachine): Json => ({ id: machine.id, ...stateJson(machine.root) });

const stateJson = (node: AnyStateNode): Json => {
  const children = Object.values(node.states) as AnyStateNode[];
  const on: Record<string, Json[]> = {};
  const after: Record<string, Json[]> = {};
  const effects: Record<string, Record<string, Json[]>> = {};
  for (const transition of [...node.transitions.values()].flat() as AnyTransitionDefinition[]) {
    const { eventType } = transition;
    const [, kind, effect] = /^xstate\.(done|error)\.actor\.(.*)$/.exec(eventType) ?? [];
    const delay = /^xstate\.after\.(.*)$/.exec(eventType)?.[1]?.replace(`.${node.id}`, '');
    if (effect !== undefined && node.invoke.some(({ id }) => id === effect)) add((effects[effect] ??= {}), kind === 'done' ? 'onDone' : 'onError', transition);
    else if (delay !== undefined) add(after, delay, transition);
    else add(on, eventType, transition);
  }
  return {
    ...(node.type !== 'atomic' && node.type !== 'compound' && { type: node.type }),
    ...(node.type === 'compound' && { initial: node.initial.target[0]!.key }),
    ...(node.description !== undefined && { description: node.description }),
    ...filled('entry', named(node.entry)),
    ...filled('exit', named(node.exit)),
    ...filled(
      'invoke',
      node.invoke.map(({ id, src }) => ({ id, src: typeof src === 'string' ? src : 'effect', ...effects[id] })),
    ),
    ...filled('on', on),
    ...filled('after', after),
    ...filled('always', (node.always ?? []).map(transitionJson)),
    ...filled('states', Object.fromEntries(children.map((child) => [child.key, { id: child.id, ...stateJson(child) }]))),
  };
};

const add = (to: Record<string, Json[]>, key: string, transition: AnyTransitionDefinition): void => void (to[key] ??= []).push(transitionJson(transition));

const transitionJson = ({ target, guard, actions, reenter }: AnyTransitionDefinition): Json => ({
  ...(target && { target: target.map(({ id }) => `#${id}`) }),
  ...(reenter && { reenter }),
  ...(guard !== undefined && { guard: { type: typeof guard === 'string' ? guard : 'type' in guard ? guard.type : 'condition' } }),
  ...filled('actions', named(actions)),
});

const named = (actions: readonly unknown[]): Json[] =>
  actions.flatMap((action): Json[] => {
    if (typeof action === 'string') return [{ type: action }];
    if (typeof action === 'object') return [{ type: (action as { readonly type: string }).type }];
    const what = performs(action);
    if (what.kind === 'nothing') return [];
    return [{ type: what.kind === 'send' ? 'says' : `start ${what.effect}` }];
  });

const filled = (key: string, value: object): Json => (Object.keys(value).length === 0 ? {} : { [key]: value });
