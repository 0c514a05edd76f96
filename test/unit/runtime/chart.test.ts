import { describe, expect, it } from 'vitest';
import { assign, cancel, emit, enqueueActions, fromPromise, log, raise, sendTo, setup, spawnChild, stopChild, type AnyStateMachine } from 'xstate';
import { effect, emitEach, startEach } from '../../../src/protocols/chart.ts';
import { TroupeError } from '../../../src/protocols/failure.ts';
import { defineChart } from '../../../src/runtime/chart.ts';
import { charts } from '../../../src/topology/charts.ts';

const problemsOf = (machine: AnyStateMachine): readonly string[] => {
  try {
    defineChart('tried', 1, machine);
    return [];
  } catch (thrown) {
    if (thrown instanceof TroupeError && thrown.code === 'CHART_NOT_DURABLE') return thrown.details['problems'] as string[];
    throw thrown;
  }
};

const base = setup({
  actors: { model: effect<string, unknown>(), raw: fromPromise(async () => 'raw') },
  actions: {
    plain: () => {},
    written: assign({}),
    queued: enqueueActions(() => {}),
  },
});
const slots = setup({ actors: { model: effect<string, unknown>() }, actions: { written: assign({}) } });

describe('a chart is refused for', () => {
  it.each([
    ['a named action that is a plain function', base.createMachine({ entry: 'plain' }), "action 'plain' is a plain function"],
    ['an inline function', slots.createMachine({ entry: () => {} }), 'an inline action is a plain function'],
    ['an inline function on the way out', slots.createMachine({ exit: () => {} }), 'exit: an inline action is a plain function'],
    ['an inline function of a transition', slots.createMachine({ on: { go: { actions: () => {} } } }), "on 'go': an inline action is a plain function"],
    [
      'an inline function of an eventless transition',
      slots.createMachine({ initial: 'a', states: { a: { always: { guard: () => false, actions: () => {} } } } }),
      "on '': an inline action",
    ],
    ['an inline function after a delay', slots.createMachine({ initial: 'a', states: { a: { after: { 10: { actions: () => {} } } } } }), 'is a plain function'],
    [
      'an inline function with the initial state',
      slots.createMachine({ initial: { target: 'a', actions: () => {} }, states: { a: {} } }),
      'initial: an inline action',
    ],
    ['sendTo', slots.createMachine({ entry: sendTo('somebody', { type: 'hello' }) }), "'xstate.sendTo', which a host cannot perform"],
    ['log', slots.createMachine({ entry: log('hello') }), "'xstate.log', which a host cannot perform"],
    ['enqueueActions', base.createMachine({ entry: 'queued' }), "action 'queued' uses enqueueActions"],
    ['enqueueActions inline', slots.createMachine({ entry: enqueueActions(() => {}) }), 'an inline action uses enqueueActions'],
    ['an action that nobody wrote', slots.createMachine({ entry: 'ghost' as never }), "action 'ghost' has no implementation"],
    ['an actor that is more than a slot', base.createMachine({}), "actor 'raw': make the slot with effect()"],
    [
      'an effect without a name',
      slots.createMachine({ invoke: { src: fromPromise(async () => 1) as never, id: 'it', onError: {} } }),
      'invokes it: give the effect a name',
    ],
    ['an effect whose failure goes nowhere', slots.createMachine({ invoke: { src: 'model', id: 'it' } }), 'invokes it: nothing happens when the effect fails'],
  ])('%s', (_, machine, problem) => {
    expect(problemsOf(machine as unknown as AnyStateMachine).join('\n')).toContain(problem);
  });

  it('each of its mistakes at once', () => {
    const machine = slots.createMachine({
      id: 'many',
      entry: () => {},
      initial: 'a',
      states: { a: { invoke: { src: 'model', id: 'it' }, exit: log('bye') }, b: { on: { go: { actions: 'ghost' as never } } } },
    });
    expect(problemsOf(machine)).toHaveLength(4);
    expect(() => defineChart('many', 1, machine)).toThrow(/chart many cannot be hosted:\n {2}many entry.*\n {2}.*\n {2}.*\n {2}/);
  });
});

describe('a chart may', () => {
  it.each([
    ['assign', slots.createMachine({ entry: 'written' })],
    ['emit, raise, cancel', slots.createMachine({ entry: [emit({ type: 'said' }), raise({ type: 'go' }, { delay: 5, id: 'later' }), cancel('later')] })],
    ['start and stop an effect', slots.createMachine({ entry: [spawnChild('model', { id: 'it' }), stopChild('it')] })],
    ['do any number of things', slots.createMachine({ entry: [emitEach(() => []), startEach('model', () => [])] })],
    [
      'have the way out on the state around',
      slots.createMachine({ initial: 'a', on: { 'xstate.error.actor.*': {} }, states: { a: { invoke: { src: 'model', id: 'it' } } } }),
    ],
    ['have its way out by name', slots.createMachine({ invoke: { src: 'model', id: 'it', onError: {} } })],
  ])('%s', (_, machine) => {
    expect(problemsOf(machine as unknown as AnyStateMachine)).toEqual([]);
  });
});

describe('a chart', () => {
  it('knows the messages that it hears', () => {
    expect([...charts.approver.hears].filter((type) => !type.startsWith('xstate.')).toSorted()).toEqual(['approval.answer', 'approval.request']);
  });

  it('gives the same snapshot after it was stored and brought back', () => {
    const [snapshot] = charts.budget.initial({ name: 'r', limitNanos: '5', grantMs: 1, drainMs: 1 });
    const back = charts.budget.restore(charts.budget.persist(snapshot));
    expect([back.value, back.context, back.status]).toEqual([snapshot.value, snapshot.context, snapshot.status]);
  });

  it('gives its actions as data and does none of them', () => {
    let done = 0;
    const noting = setup({ actors: { model: effect<string, unknown>() } }).createMachine({
      invoke: { src: 'model', id: 'it', input: () => ({ asked: ++done }), onError: {} },
    });
    const [, actions] = defineChart('noting', 1, noting).initial(undefined);
    expect(actions.map(({ type }) => type)).toEqual(['xstate.spawnChild']);
    expect(done).toBe(1);
  });
});
