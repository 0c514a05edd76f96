/**
 * The drawing of an actor's chart, from the machine that runs.
 *
 *   - The way in is a dot; where it ends is a box of its own.
 *   - A transition that leads nowhere else is a line in its box: what a state does with a message while it lasts.
 *   - All ways from one state to another are one arrow; events that lead to the same with the same actions are one line of it.
 *   - States that are the same inside, as those of one model call, are drawn in full once: where the actor is, or the first.
 *   - In a large chart a failure that leads out of more than one box is a line in its box as well, with where it leads.
 *   - What is not the way to success is marked as such, by the words of the chart: an error, a cancellation, what `fails`.
 */
import type { AnyStateMachine, AnyStateNode, AnyTransitionDefinition, StateValue } from 'xstate';
import { performs } from '../protocols/chart.ts';
import type { Trail } from './trail.ts';
import { phrase, type Accent, type Arrow, type Box, type BoxKind, type Drawing, type Line, type Phrase, type Sign } from './picture/drawing.ts';

export type ActorDrawn = {
  readonly machine: AnyStateMachine;
  /** What it says to others, by name: a chart's messages are made while it runs. */
  readonly says: readonly string[];
  /** What became of it in a run. */
  readonly trail?: Trail;
  readonly run?: string;
};

export const actorDrawing = ({ machine, says, trail, run }: ActorDrawn): Drawing => {
  const { root } = machine;
  const view: View = { machine, trail, folded: foldedOf(root, trail), aside: isLarge(root) };
  const frame = boxOf(root, view);
  return {
    title: run === undefined ? machine.id : `${machine.id} in ${run}`,
    notes: [
      { sign: 'message', phrases: [phrase('hears', 'name'), phrase(together(heardBy(machine)).join(', ') || 'nothing')] },
      { sign: 'says', phrases: [phrase('says', 'name'), phrase(together(says).join(', ') || 'nothing')] },
      ...(trail ? whereabouts(trail) : []),
    ],
    boxes: root.transitions.size > 0 || root.type === 'parallel' ? [frame] : frame.children,
    arrows: arrowsOf(view),
  };
};

const NAMED_MAX = 6;
const whereabouts = ({ actors }: Trail): Line[] => {
  const lines = [...actors].map(([address, { value }]): Line => ({ phrases: [phrase(partOf(address), 'name'), phrase(placeIn(value), 'muted')] }));
  return lines.length <= NAMED_MAX ? lines : [...lines.slice(0, NAMED_MAX), { phrases: [phrase(`and ${lines.length - NAMED_MAX} more`, 'muted')] }];
};

/** `working.thinking.calling`; of regions that are active at once, each. */
const placeIn = (value: StateValue): string =>
  typeof value === 'string'
    ? value
    : Object.entries(value)
        .map(([state, within]) => (within === undefined ? state : `${state}.${placeIn(within)}`))
        .join(', ');

/** An address without its run. */
const partOf = (address: string): string => address.slice(address.indexOf('.') + 1);

/** The messages that the machine listens to anywhere. */
export const heardBy = (machine: AnyStateMachine): string[] => (machine.events as string[]).filter((event) => !event.startsWith('xstate.')).sort();

type View = {
  readonly machine: AnyStateMachine;
  readonly trail: Trail | undefined;
  /** States whose inside is not drawn, and the one where it is. */
  readonly folded: ReadonlyMap<AnyStateNode, AnyStateNode>;
  /** Whether failures that lead far are written, not drawn. */
  readonly aside: boolean;
};

const LARGE = 32;
const isLarge = (root: AnyStateNode): boolean => {
  const ways = (node: AnyStateNode): number =>
    transitionsOf(node).filter((transition) => !staysIn(node, transition)).length + statesOf(node).reduce((sum, child) => sum + ways(child), 0);
  return ways(root) > LARGE;
};

/** Whether a way out is written in the box that it leaves. What was taken is always drawn. */
const isAside = ({ aside, trail }: View, transition: AnyTransitionDefinition, target: AnyStateNode): boolean => {
  if (!aside || trail?.taken.has(transition) || !isFailure(transition)) return false;
  const around = ancestors(target);
  return ancestors(transition.source).filter((one) => !around.includes(one)).length > 0;
};

const boxOf = (node: AnyStateNode, view: View): Box => {
  const { machine, trail } = view;
  const twin = view.folded.get(node);
  const inside = twin ? [] : [...marksOf(node), ...statesOf(node).map((child) => boxOf(child, view))];
  const accents: Accent[] = [];
  if (node.type === 'final' && isFailureWord(node.key)) accents.push('failure');
  if (trail?.active.has(node.id)) accents.push('active');
  else if (trail?.entered.has(node.id)) accents.push('taken');
  return {
    id: node.id,
    kind: kindOf(node),
    title: node.type === 'history' ? '' : node === machine.root ? machine.id : node.key,
    lines: [...(node.type === 'history' ? [] : linesOf(node, view)), ...(twin ? [{ phrases: [phrase(`inside as ${twin.key}`, 'muted')] }] : [])],
    children: inside,
    accents,
  };
};

const statesOf = (node: AnyStateNode): AnyStateNode[] => Object.values(node.states) as AnyStateNode[];

const kindOf = (node: AnyStateNode): BoxKind => {
  if (!node.parent) return 'frame';
  if (node.type === 'final' || node.type === 'history') return node.type;
  return node.parent.type === 'parallel' ? 'region' : 'state';
};

const initialId = ({ id }: AnyStateNode): string => `${id}.(initial)`;
const withinId = ({ id }: AnyStateNode): string => `${id}.(within)`;
const mark = (id: string, kind: 'initial' | 'within'): Box => ({ id, kind, title: '', lines: [], children: [], accents: [] });

const marksOf = (node: AnyStateNode): Box[] => [
  ...(node.type === 'compound' ? [mark(initialId(node), 'initial')] : []),
  ...(leadsInside(node) ? [mark(withinId(node), 'within')] : []),
];

/** Whether a transition leads from the state to one that stands in it. */
const leadsInside = (node: AnyStateNode): boolean =>
  transitionsOf(node).some((transition) => !staysIn(node, transition) && transition.target!.some((target) => contains(node, target as AnyStateNode)));

/** What a state does on its own, and what it does without being left. */
const linesOf = (node: AnyStateNode, view: View): Line[] => {
  const { machine } = view;
  const always = (sign: Sign, word: string, actions: readonly unknown[]): Line[] => {
    const said = actionPhrases(actions, machine);
    return said.length === 0 ? [] : [{ sign, phrases: [phrase(word, 'muted'), ...said] }];
  };
  const written = transitionsOf(node).filter(
    (transition) => staysIn(node, transition) || transition.target!.every((target) => isAside(view, transition, target as AnyStateNode)),
  );
  return [
    ...always('entry', 'entry', node.entry),
    ...node.invoke.map(({ src, id }): Line => {
      const effect = typeof src === 'string' ? src : 'effect';
      return { sign: 'effect', phrases: [phrase('effect', 'muted'), phrase(id, 'name'), ...(effect === id ? [] : [phrase(`(${effect})`, 'muted')])] };
    }),
    ...always('exit', 'exit', node.exit),
    ...reasons(written, machine, 'with targets'),
  ];
};

/** Without a target, or to itself again. */
const staysIn = (node: AnyStateNode, { target }: AnyTransitionDefinition): boolean => target === undefined || (target.length === 1 && target[0] === node);

const transitionsOf = (node: AnyStateNode): AnyTransitionDefinition[] => [...[...node.transitions.values()].flat(), ...(node.always ?? [])];

const arrowsOf = (view: View): Arrow[] => {
  const { machine, trail, folded } = view;
  const shown = (node: AnyStateNode): AnyStateNode => [...ancestors(node), node].find((one) => folded.has(one)) ?? node;
  const bundles = new Map<string, { from: string; to: string; transitions: AnyTransitionDefinition[] }>();
  const lead = (source: AnyStateNode, target: AnyStateNode, transition: AnyTransitionDefinition): void => {
    if (source === target) return; // inside of what is drawn elsewhere
    const from = contains(source, target) ? withinId(source) : source.id;
    // Who enters a state from within begins it again.
    const to = contains(target, source) && target.type === 'compound' ? initialId(target) : target.id;
    const key = `${from} ${to}`;
    const bundle = bundles.get(key) ?? { from, to, transitions: [] };
    bundle.transitions.push(transition);
    bundles.set(key, bundle);
  };
  const walk = (node: AnyStateNode): void => {
    for (const transition of transitionsOf(node)) {
      if (staysIn(node, transition)) continue;
      for (const target of transition.target as AnyStateNode[]) if (!isAside(view, transition, target)) lead(shown(node), shown(target), transition);
    }
    for (const child of statesOf(node)) walk(child);
  };
  walk(machine.root);

  const arrows = [...bundles].map(([id, { from, to, transitions }]): Arrow => {
    const accents: Accent[] = [];
    if (transitions.every(isFailure)) accents.push('failure');
    if (transitions.some((transition) => trail?.taken.has(transition))) accents.push('taken');
    return { id, from, to, lines: reasons(transitions, machine), accents };
  });
  return [...initialArrows(machine.root, trail, folded), ...arrows];
};

const initialArrows = (node: AnyStateNode, trail: Trail | undefined, folded: View['folded']): Arrow[] =>
  folded.has(node)
    ? []
    : [...(node.type === 'compound' ? [initialArrow(node, trail)] : []), ...statesOf(node).flatMap((child) => initialArrows(child, trail, folded))];

const initialArrow = (node: AnyStateNode, trail: Trail | undefined): Arrow => {
  const to = node.initial.target[0]!.id;
  return { id: `${initialId(node)} ${to}`, from: initialId(node), to, lines: [], accents: trail && wasBegun(node, trail) ? ['taken'] : [] };
};

/** Whether a state was entered without saying where. */
const wasBegun = (node: AnyStateNode, trail: Trail): boolean => {
  const { parent } = node as { readonly parent?: AnyStateNode };
  if (!parent) return true;
  return (
    [...trail.taken].some(({ target }) => target?.includes(node)) ||
    (parent.type === 'compound' && parent.initial.target.includes(node) && wasBegun(parent, trail))
  );
};

/** Of states that are the same inside all but one: the one that the actor is in, or was in, or else the first. */
const foldedOf = (root: AnyStateNode, trail: Trail | undefined): View['folded'] => {
  const alike = new Map<string, AnyStateNode[]>();
  const look = (node: AnyStateNode): void => {
    const states = statesOf(node);
    if (node.parent && states.length > 1) {
      const inside = insideOf(node);
      alike.set(inside, [...(alike.get(inside) ?? []), node]);
    }
    for (const child of states) look(child);
  };
  look(root);
  const folded = new Map<AnyStateNode, AnyStateNode>();
  for (const nodes of alike.values()) {
    const shown = nodes.find(({ id }) => trail?.active.has(id)) ?? nodes.find(({ id }) => trail?.entered.has(id)) ?? nodes[0]!;
    for (const node of nodes) if (node !== shown) folded.set(node, shown);
  }
  return folded;
};

/** What is in a state and how it goes on there, whatever the state is called and wherever it leads to. */
const insideOf = (node: AnyStateNode): string => {
  const place = ({ id }: AnyStateNode): string => (id.startsWith(node.id) ? id.slice(node.id.length) : 'elsewhere');
  const describe = (state: AnyStateNode): unknown => [
    place(state),
    state.type,
    state.entry.length,
    state.exit.length,
    transitionsOf(state).map((transition) => [
      transition.eventType.replaceAll(node.id, ''),
      guardName(transition.guard),
      transition.target?.map((target) => place(target as AnyStateNode)),
    ]),
    statesOf(state).map(describe),
  ];
  return JSON.stringify(statesOf(node).map(describe));
};

const contains = (outer: AnyStateNode, inner: AnyStateNode): boolean => ancestors(inner).includes(outer);

/** From the outside in. */
const ancestors = ({ parent }: AnyStateNode): AnyStateNode[] => (parent ? [...ancestors(parent as AnyStateNode), parent as AnyStateNode] : []);

/** Why transitions are taken, and what is done: one line for all events that lead to the same. */
const reasons = (transitions: readonly AnyTransitionDefinition[], machine: AnyStateMachine, targets?: 'with targets'): Line[] => {
  const groups = new Map<string, { sign: Sign; events: string[]; rest: readonly Phrase[] }>();
  for (const transition of transitions) {
    const [sign, event] = causeOf(transition);
    const again = transition.reenter && transition.target?.[0] === transition.source ? [phrase('begins again', 'muted')] : [];
    const guard = guardName(transition.guard);
    const rest = [...(guard === undefined ? [] : [phrase(`[${guard}]`, 'guard')]), ...again, ...actionPhrases(transition.actions, machine)];
    if (targets && !staysIn(transition.source, transition)) rest.push(phrase(`→\u00a0${transition.target!.map(({ key }) => key).join(', ')}`, 'failure'));
    const key = JSON.stringify([sign, sign === 'message' ? '' : event, rest]);
    const group = groups.get(key) ?? { sign, events: [], rest };
    group.events.push(event);
    groups.set(key, group);
  }
  return [...groups.values()].map(({ sign, events, rest }) => ({
    sign,
    phrases: [...(sign === 'always' && rest.length > 0 ? [] : [phrase(together([...new Set(events)]).join(', '), 'name')]), ...rest],
  }));
};

/** What brings a transition about, from XState's names for it. */
const causeOf = ({ eventType, source }: AnyTransitionDefinition): readonly [Sign, string] => {
  if (eventType === '') return ['always', 'always'];
  const [, kind, effect] = /^xstate\.(done|error)\.actor\.(.*)$/.exec(eventType) ?? [];
  if (kind === 'done') return ['done', effect === '*' ? 'an effect' : effect!];
  if (kind === 'error') return ['failed', effect === '*' ? 'an effect' : effect!];
  const after = /^xstate\.after\.(.*)$/.exec(eventType)?.[1];
  if (after !== undefined) return ['clock', delayOf(after.replace(`.${source.id}`, ''))];
  if (eventType.startsWith('xstate.done.state.')) return ['done', 'its end'];
  return ['message', eventType];
};

const delayOf = (delay: string): string => (/^\d+$/.test(delay) ? `${delay} ms` : delay);

/** Names of one area together: `budget.open`, `budget.close` and `budget.raise` as `budget.{open, close, raise}`. */
const together = (names: readonly string[]): string[] => {
  const areas = new Map<string, string[]>();
  for (const name of names) {
    const dot = name.indexOf('.');
    const area = dot < 0 ? name : name.slice(0, dot);
    areas.set(area, [...(areas.get(area) ?? []), name.slice(dot + 1)]);
  }
  return [...areas].flatMap(([area, rest]) =>
    rest.length < 3 ? names.filter((name) => name === area || name.startsWith(`${area}.`)) : [`${area}.{${rest.join(', ')}}`],
  );
};

const guardName = (guard: unknown): string | undefined => {
  if (guard === undefined) return undefined;
  if (typeof guard === 'string') return guard;
  return typeof guard === 'object' && guard !== null && 'type' in guard ? String(guard.type) : 'condition';
};

/** Actions by name, and what those that are sent or started do. */
const actionPhrases = (actions: readonly unknown[], machine: AnyStateMachine): Phrase[] => {
  const { actions: known } = machine.implementations as unknown as { readonly actions: Readonly<Record<string, unknown>> };
  const done: string[] = [];
  const said: Phrase[] = [];
  for (const action of actions) {
    const name = typeof action === 'string' ? action : typeof action === 'object' ? (action as { readonly type: string }).type : undefined;
    const what = performs(name === undefined ? action : known[name]);
    if (what.kind === 'send') said.push(phrase(name === undefined ? '↗\u00a0says' : `↗\u00a0${name}`, 'says'));
    else if (what.kind === 'start') said.push(phrase(`↻\u00a0${what.effect}`, 'says'));
    else if (name !== undefined) done.push(name);
  }
  return [...(done.length > 0 ? [phrase(`/ ${done.join(', ')}`, 'muted')] : []), ...said];
};

const isFailureWord = (word: string): boolean => /fail|error|cancel|dismiss|timeout|give-?up|cannot|too-?deep|^unanswered$|^pauses$/i.test(word);

/** Whether a transition leaves the way to success. */
const isFailure = ({ eventType, guard, actions }: AnyTransitionDefinition): boolean =>
  [eventType, guardName(guard) ?? '', ...actions.map((action) => (typeof action === 'string' ? action : 'type' in action ? action.type : ''))].some(
    isFailureWord,
  );
