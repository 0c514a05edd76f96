/**
 * Walks a chart on the real fold, so that tests can say something about every way that it can go.
 *
 * The walk gives @xstate/graph an actor logic whose `transition` is the runtime's own `step`: what happens to the actor are
 * entries of its log, as hosts append them, and time passes only when a timer fires. Each transition of the graph that is
 * found becomes one path: the shortest way to its source, and then it; every path is walked again from the beginning.
 */
import { getAdjacencyMap, getShortestPaths } from '@xstate/graph';
import { createActor, createMachine, type ActorLogic, type AnyActorScope, type AnyStateNode, type AnyTransitionDefinition, type Snapshot } from 'xstate';
import type { Decoded, MessageName, PayloadOf } from '../../src/protocols/catalogue.ts';
import { failure, type Failure } from '../../src/protocols/failure.ts';
import { grantId, type Address } from '../../src/protocols/ids.ts';
import type { ModelRequest } from '../../src/protocols/model.ts';
import { nodesOf, type Chart } from '../../src/runtime/chart.ts';
import { begin, step, type Definition, type Effect, type FoldEntry, type Output, type State } from '../../src/runtime/fold.ts';
import { watchWaysOut } from './ways-out.ts';

export type Sent = Output & { readonly kind: 'send' };

/** What may happen to an actor. `type` names it; the entry follows from the state, so that the same name means the same on every path. */
export type Happening = {
  readonly type: string;
  readonly entry: (moment: Moment) => { readonly from: Address; readonly message: Decoded; readonly at?: number };
};

/** An actor at one place of one path, and how it came there. */
export type Moment = Snapshot<undefined> & {
  readonly state: State;
  readonly now: number;
  readonly taken: readonly { readonly happening: string; readonly entry: FoldEntry; readonly outputs: readonly Output[] }[];
};

export type Walk = {
  readonly definition: Definition;
  readonly address: Address;
  /** What else may happen than that effects and timers end. */
  readonly messages: (moment: Moment) => readonly Happening[];
  /** How an effect may come out: with these outputs, by name. */
  readonly results: (effect: Effect, moment: Moment) => Readonly<Record<string, unknown>>;
  /** What of all that may happen does; everything, where it is left out. */
  readonly happens?: (happening: string, moment: Moment) => boolean;
  /** Beside the chart's state, effects and timers: what tells one moment from another. */
  readonly counters: (moment: Moment) => unknown;
};

const BEGIN = 1_000_000;
/** Less than what is left at any other grant of a walk. */
export const NEAR_END_NANOS = 5;
const PAID = 'model';

export const message = <T extends MessageName>(type: T, data: PayloadOf<T>): Decoded => ({ type, data }) as Decoded;

/** A message that somebody says, whatever the state. */
export const hears = <T extends MessageName>(name: string, from: Address, type: T, data: PayloadOf<T>): Happening => ({
  type: name,
  entry: () => ({ from, message: message(type, data) }),
});

export const sentIn = (moment: Moment): readonly Sent[] => moment.taken.flatMap(({ outputs }) => outputs).filter((output) => output.kind === 'send');
export const countSent = (moment: Moment, ...types: readonly MessageName[]): number => sentIn(moment).filter(({ type }) => types.includes(type)).length;
export const happened = (moment: Moment, type: MessageName): boolean => moment.taken.some(({ entry }) => entry.message.type === type);
export const hasEnded = (moment: Moment): boolean => moment.state.snapshot.status !== 'active';
export const wayOf = (moment: Moment): string => moment.taken.map(({ happening }) => happening).join(' > ');

/** The actor before anything happened to it. */
export const first = ({ definition, address }: Walk): Moment => {
  const [state] = begin(definition, address, BEGIN);
  return { status: 'active', output: undefined, error: undefined, state, now: BEGIN, taken: [] };
};

export const follow = ({ definition, address }: Walk, moment: Moment, { type, entry }: Happening): Moment => {
  const said = entry(moment);
  const position = moment.state.position + 1;
  const now = Math.max(moment.now, said.at ?? 0);
  const whole: FoldEntry = { position, at: now, id: `entry-${position}`, from: said.from, message: said.message };
  const [state, outputs] = step(definition, address, moment.state, whole);
  return { ...moment, state, now, taken: [...moment.taken, { happening: type, entry: whole, outputs }] };
};

const RETRYABLE = failure('MODEL_UNAVAILABLE', 'it may pass', { retryable: true });
const LASTING = failure('MODEL_REFUSED', 'it stays');

const bill = (effect: Effect) => ({
  grant: grantId(effect.key, effect.attempt),
  spentNanos: '7',
  usage: { inputTokens: 1, outputTokens: 1, cachedInputTokens: 0, reasoningTokens: 0 },
  model: 'm',
});

/** Everything that can happen now: each effect goes its way through grant, claim and result, each timer may fire. */
export const happenings = (walk: Walk, moment: Moment): readonly Happening[] => {
  if (hasEnded(moment)) return [];
  const { effects, timers } = moment.state;
  const all = [
    ...walk.messages(moment),
    ...Object.values(effects).flatMap((effect) => effectHappenings(walk, effect, moment)),
    ...Object.keys(timers).map((sendId): Happening => ({
      type: `timer ${sendId}`,
      entry: ({ state }) => ({ from: walk.address, message: message('timer.fired', { timer: state.timers[sendId]!.key }), at: state.timers[sendId]!.due }),
    })),
  ];
  return walk.happens ? all.filter(({ type }) => walk.happens!(type, moment)) : all;
};

const effectHappenings = (walk: Walk, { child, src, phase, attempt, input }: Effect, moment: Moment): Happening[] => {
  const now = (what: string, said: (effect: Effect) => Decoded): Happening => ({
    type: `${child} ${what}`,
    entry: ({ state }) => ({ from: walk.address, message: said(state.effects[child]!) }),
  });
  const paid = src === PAID;
  if (paid && phase === 'asked') {
    return [
      now('is granted', (effect) =>
        message('budget.granted', {
          grant: grantId(effect.key, effect.attempt),
          amountNanos: '9',
          maxTokens: 100,
          deadline: Number.MAX_SAFE_INTEGER,
          leftNanos: '0',
        }),
      ),
      ...((input as ModelRequest).hasCheaper && attempt === 1 // another attempt is at the same call, whose result may still come
        ? [
            now('is granted near the end', (effect) =>
              message('budget.granted', {
                grant: grantId(effect.key, effect.attempt),
                amountNanos: '2',
                maxTokens: 100,
                deadline: Number.MAX_SAFE_INTEGER,
                leftNanos: String(NEAR_END_NANOS - 2),
              }),
            ),
            now('is too dear', (effect) =>
              message('budget.vetoed', {
                grant: grantId(effect.key, effect.attempt),
                failure: failure('BUDGET_EXHAUSTED', 'no money', { details: { measure: 'money' } }),
              }),
            ),
          ]
        : []),
      now('is vetoed', (effect) => message('budget.vetoed', { grant: grantId(effect.key, effect.attempt), failure: failure('BUDGET_EXHAUSTED', 'no money') })),
      now('is vetoed until a raise', (effect) =>
        message('budget.vetoed', {
          grant: grantId(effect.key, effect.attempt),
          failure: failure('BUDGET_EXHAUSTED', 'no money', { details: { pause: true } }),
        }),
      ),
    ];
  }
  if (paid && phase === 'granted')
    return [now('is claimed', (effect) => message('effect.claimed', { effect: effect.key, attempt: effect.attempt, host: 'h1' }))];
  const ends = (what: string, why: Failure) =>
    now(what, (effect) => message('effect.failed', { effect: effect.key, attempt: effect.attempt, failure: why, ...(paid && { bill: bill(effect) }) }));
  return [
    ...Object.entries(walk.results(moment.state.effects[child]!, moment)).map(([name, output]) =>
      now(`gives ${name}`, (effect) =>
        message('effect.completed', { effect: effect.key, attempt: effect.attempt, output, ...(paid && { bill: bill(effect) }) }),
      ),
    ),
    ends('fails for now', RETRYABLE),
    ends('fails for good', LASTING),
    ...(paid && attempt < 2 ? [now('is lost', (effect) => message('effect.lost', { effect: effect.key, attempt: effect.attempt, host: 'h1' }))] : []),
  ];
};

/** Every path of the walk. */
export const pathsOf = (walk: Walk): readonly Moment[] => {
  const logic: ActorLogic<Moment, Happening, undefined> = {
    transition: (moment, happening) => follow(walk, moment, happening),
    getInitialSnapshot: () => first(walk),
    getPersistedSnapshot: (moment) => moment,
  };
  const options = {
    events: (moment: Moment) => happenings(walk, moment),
    serializeEvent: ({ type }: Happening) => type as never,
    serializeState: (moment: Moment) => {
      const { snapshot, effects, timers } = moment.state;
      const sent = Map.groupBy(sentIn(moment), ({ type }): string => type);
      return JSON.stringify([
        snapshot.value,
        snapshot.status,
        Object.values(effects).map(({ child, phase, attempt }) => [child, phase, attempt]),
        Object.keys(timers),
        [...sent.keys()].toSorted((one, other) => (one < other ? -1 : 1)).map((type) => [type, Math.min(sent.get(type)!.length, 2)]), // more than once is more than once
        walk.counters(moment),
      ]) as never;
    },
    limit: 200_000,
  };
  const graph = getAdjacencyMap(logic, options);
  return getShortestPaths(logic, options).flatMap(({ steps }) => {
    const way = steps.slice(1).map(({ event }) => event); // the first is the beginning
    const here = way.reduce((moment, happening) => follow(walk, moment, happening), first(walk));
    const next = graph[options.serializeState(here)]!.transitions;
    return Object.values(next).map(({ event }) => follow(walk, here, event));
  });
};

/** Holds a statement against every path; the first that breaks it is told with its way. */
export const everyPath = (paths: readonly Moment[], holds: (moment: Moment) => void): void => {
  for (const moment of paths) {
    try {
      holds(moment);
    } catch (thrown) {
      (thrown as Error).message += `\non the path: ${wayOf(moment)}`;
      throw thrown;
    }
  }
};

/** The money is used up, and someone gives more. */
export const raised = (account: Address): Happening => hears('budget.raised', account, 'budget.raised', { account, leftNanos: '9' });

/** Where it comes to when nothing happens any more but that timers fire, the earliest first. */
export const leftAlone = (walk: Walk, moment: Moment): Moment => {
  let now = moment;
  for (let fired = 0; fired < 50; fired++) {
    const [next] = Object.values(now.state.timers).sort((one, other) => one.due - other.due);
    if (!next || hasEnded(now)) return now;
    now = follow(walk, now, {
      type: `timer ${next.sendId}`,
      entry: () => ({ from: walk.address, message: message('timer.fired', { timer: next.key }), at: next.due }),
    });
  }
  return now;
};

// --- which transitions were taken ------------------------------------------------------------------------------------------

const nameOf = (transition: AnyTransitionDefinition): string => {
  const { guard, target, source, eventType } = transition as AnyTransitionDefinition & { source: AnyStateNode };
  const asked = typeof guard === 'string' ? guard : (guard as { type?: string } | undefined)?.type;
  return `${source.id} on '${eventType}'${asked === undefined ? '' : ` if ${asked}`} to ${target?.map((node: AnyStateNode) => node.id).join() ?? 'itself'}`;
};

export type Watched = {
  readonly chart: Chart;
  /** The names of those of its transitions that no step has taken yet. */
  readonly untaken: () => string[];
  readonly trapped: ReturnType<typeof watchWaysOut>['trapped'];
};

export const watched = (chart: Chart): Watched => {
  const { chart: watchedChart, trapped } = watchWaysOut(chart);
  const taken = new Set<AnyTransitionDefinition>();
  const watcher = createActor(createMachine({}), {
    inspect: (seen) => {
      if (seen.type === '@xstate.microstep') for (const transition of seen['_transitions']) taken.add(transition);
    },
  });
  const nothing = () => {};
  const scope = {
    self: watcher,
    id: '',
    sessionId: '',
    system: watcher.system,
    logger: nothing,
    defer: nothing,
    stopChild: nothing,
    emit: nothing,
    actionExecutor: nothing,
  } as unknown as AnyActorScope;
  return {
    chart: {
      ...watchedChart,
      transition: (snapshot, event) => {
        chart.machine.transition(snapshot, event, scope);
        return watchedChart.transition(snapshot, event);
      },
    },
    trapped,
    untaken: () =>
      [...nodesOf(chart.machine.root as AnyStateNode)]
        .flatMap((node) => [...[...node.transitions.values()].flat(), ...(node.always ?? [])])
        .filter((transition) => !taken.has(transition))
        .map(nameOf),
  };
};
