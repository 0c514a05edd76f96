import { describe, expect, it } from 'vitest';
import { assign, cancel, emit, raise, setup } from 'xstate';
import type { Decoded, MessageName, PayloadOf } from '../../../src/protocols/catalogue.ts';
import { effect } from '../../../src/protocols/chart.ts';
import { failure, type Failure } from '../../../src/protocols/failure.ts';
import { grantId, type Address } from '../../../src/protocols/ids.ts';
import { defineChart } from '../../../src/runtime/chart.ts';
import { begin, lateOutputs, step, type Definition, type Effect, type FoldEntry, type Output, type State } from '../../../src/runtime/fold.ts';

const SELF = 'r-fold.worker.a.b' as Address;
const ACCOUNT = 'r-fold.budget' as Address;
const LEAD = 'r-fold.supervisor' as Address;

/** Asks once, keeps what it hears, and can be sent away from each of its waits. */
const asking = setup({
  types: { context: {} as { heard: readonly unknown[] }, events: {} as { type: string; from?: Address; at?: number; reason?: string } },
  actors: { model: effect<string, { prompt: string }>() },
  actions: {
    keep: assign(({ context }, what: unknown) => ({ heard: [...context.heard, what] })),
    tell: emit({ type: 'task.cancel', to: LEAD, reason: 'told' }),
  },
}).createMachine({
  id: 'asking',
  context: { heard: [] },
  initial: 'idle',
  states: {
    idle: { on: { 'run.start': 'thinking', 'approval.decided': 'passing' } },
    thinking: {
      invoke: {
        id: 'model',
        src: 'model',
        input: { prompt: 'why' },
        onDone: { target: 'idle', actions: { type: 'keep', params: ({ event }: { event: { output: unknown } }) => event.output } },
        onError: { target: 'idle', actions: { type: 'keep', params: ({ event }: { event: { error: unknown } }) => (event.error as Failure).code } },
      },
      after: { 1000: { target: 'idle', actions: { type: 'keep', params: ({ event }: { event: { at?: number } }) => event.at } } },
      on: {
        'budget.granted': { actions: { type: 'keep', params: 'granted' } },
        'task.cancel': { target: 'idle', actions: ['tell', 'tell'] },
        'run.cancel': 'ended',
      },
    },
    /** Entered and left in one step. */
    passing: {
      invoke: { id: 'model', src: 'model', input: { prompt: 'never' }, onError: 'idle' },
      after: { 1000: 'idle' },
      entry: raise({ type: 'budget.close' }, { delay: 50, id: 'soon' }),
      exit: cancel('soon'),
      always: 'idle',
    },
    ended: { type: 'final' },
  },
});

const chart = defineChart('asking', 1, asking as never);

/** Does not take the first grant that it is given, and asks for something else. */
const choosy = defineChart(
  'choosy',
  1,
  setup({ actors: { model: effect<string, { prompt: string }>() } }).createMachine({
    initial: 'idle',
    states: {
      idle: { on: { 'run.start': 'asking' } },
      asking: { invoke: { id: 'model', src: 'model', input: { prompt: 'why' }, onError: 'idle' }, on: { 'budget.granted': 'askingAgain' } },
      askingAgain: { invoke: { id: 'model', src: 'model', input: { prompt: 'again' }, onError: 'idle' } },
    },
  }) as never,
);
const definition: Definition = { chart, input: undefined, account: ACCOUNT };

/** One actor, told one thing after another. */
class Actor {
  readonly definition: Definition;
  state: State;
  now = 100;
  #position = 0;

  constructor(of: Definition = definition) {
    this.definition = of;
    [this.state] = begin(of, SELF, this.now);
  }

  entry<T extends MessageName>(type: T, data: PayloadOf<T>): FoldEntry {
    this.#position += 10;
    return { position: this.#position, at: this.now, id: `e${this.#position}`, from: LEAD, message: { type, data } as Decoded };
  }

  tell<T extends MessageName>(type: T, data: PayloadOf<T>): Output[] {
    const [state, outputs] = step(this.definition, SELF, this.state, this.entry(type, data));
    this.state = state;
    return outputs;
  }

  start(): Effect {
    this.tell('run.start', { goal: 'why' });
    return this.effect;
  }

  get effect(): Effect {
    return this.state.effects['model']!;
  }

  get heard(): readonly unknown[] {
    return (this.state.snapshot.context as { heard: readonly unknown[] }).heard;
  }
}

const granted = (effect: Effect, attempt = effect.attempt): PayloadOf<'budget.granted'> => ({
  grant: grantId(effect.key, attempt),
  amountNanos: '9',
  maxTokens: 5,
  deadline: 9_999,
  leftNanos: '1',
});
const claimed = (effect: Effect, host = 'h1', attempt = effect.attempt) => ({ effect: effect.key, attempt, host });
const bill = (effect: Effect, attempt = effect.attempt) => ({
  grant: grantId(effect.key, attempt),
  spentNanos: '4',
  usage: { inputTokens: 1, outputTokens: 1, cachedInputTokens: 0, reasoningTokens: 0 },
  model: 'm',
});
const completed = (effect: Effect, output: unknown, attempt = effect.attempt) => ({ effect: effect.key, attempt, output, bill: bill(effect, attempt) });

const kinds = (outputs: readonly Output[]): string[] => outputs.map(({ kind }) => kind);
const paid = (outputs: readonly Output[]): [type: string, grant: unknown][] =>
  outputs.flatMap((output): [string, unknown][] => (output.kind === 'send' && output.to === ACCOUNT ? [[output.type, output.data['grant']]] : []));

/** An actor whose call was granted and claimed by the host h1. */
const calling = (): { actor: Actor; effect: Effect } => {
  const actor = new Actor();
  const effect = actor.start();
  actor.tell('budget.granted', granted(effect));
  actor.tell('effect.claimed', claimed(effect));
  return { actor, effect };
};

describe('a step', () => {
  it('gives the same for the same, and changes nothing that it was given (F1)', () => {
    const { actor, effect } = calling();
    const entry = actor.entry('effect.completed', completed(effect, 'so'));
    const before = JSON.stringify([actor.state.snapshot.context, actor.state.effects, actor.state.timers]);
    const [one, said] = step(definition, SELF, actor.state, entry);
    const [other, saidAgain] = step(definition, SELF, actor.state, entry);
    expect(saidAgain).toEqual(said);
    expect([other.snapshot.value, other.snapshot.context, other.effects, other.timers]).toEqual([
      one.snapshot.value,
      one.snapshot.context,
      one.effects,
      one.timers,
    ]);
    expect(JSON.stringify([actor.state.snapshot.context, actor.state.effects, actor.state.timers])).toBe(before);
  });

  it('names everything after the actor, the position and the place in the step (F1)', () => {
    const actor = new Actor();
    expect(actor.start().key).toBe(`${SELF}/10/model`);
    expect(Object.values(actor.state.timers).map(({ key, due }) => [key, due])).toEqual([[`${SELF}/10/xstate.after.1000.asking.thinking`, 1_100]]);
    const sent = actor.tell('task.cancel', { reason: 'enough' }).filter((output) => output.kind === 'send');
    expect(sent.map(({ id, to }) => [id, to])).toEqual([ACCOUNT, LEAD, LEAD].map((to, place) => [`${SELF}/20/${place}`, to]));
    expect(sent.at(-1)!.data).toEqual({ reason: 'told' });
  });

  it('tells the chart who said a message and when, and nothing that it does not listen to', () => {
    const actor = new Actor();
    const before = actor.state.snapshot;
    expect(actor.tell('budget.closed', { limitNanos: '1', spentNanos: '1', heldNanos: '0' })).toEqual([]);
    expect(actor.state.snapshot).toBe(before);
  });

  it('gives neither an effect nor a timer that began and ended in it', () => {
    const actor = new Actor();
    expect(actor.tell('approval.decided', { approval: 'a', decision: 'approve', by: 'ann', note: '' })).toEqual([]);
    expect([actor.state.effects, actor.state.timers]).toEqual([{}, {}]);
  });
});

describe('an effect', () => {
  it('starts, is claimed once it is granted, and runs once it is claimed (F3)', () => {
    const actor = new Actor();
    const started = actor.tell('run.start', { goal: 'why' });
    expect(started.find(({ kind }) => kind === 'start')).toMatchObject({
      kind: 'start',
      effect: { src: 'model', input: { prompt: 'why' }, attempt: 1, phase: 'asked' },
    });
    expect(actor.tell('budget.granted', granted(actor.effect))).toMatchObject([{ kind: 'claim', effect: { phase: 'granted', grant: { maxTokens: 5 } } }]);
    expect(actor.tell('effect.claimed', claimed(actor.effect))).toMatchObject([{ kind: 'run', effect: { phase: 'claimed', claimedBy: 'h1' } }]);
  });

  it('is run by the host whose claim came first, and by no other (F3)', () => {
    const { actor, effect } = calling();
    expect(actor.tell('effect.claimed', claimed(effect, 'h2'))).toEqual([]);
    expect(actor.effect.claimedBy).toBe('h1');
  });

  it('is not run on a claim to what was not granted, or to another attempt (F3)', () => {
    const actor = new Actor();
    const effect = actor.start();
    expect(actor.tell('effect.claimed', claimed(effect))).toEqual([]);
    actor.tell('budget.granted', granted(effect));
    expect(actor.tell('effect.claimed', claimed(effect, 'h1', 2))).toEqual([]);
    expect(actor.effect.phase).toBe('granted');
  });

  it('ends by the first of its results, and the later one is still paid (F2, F4)', () => {
    const { actor, effect } = calling();
    expect(kinds(actor.tell('effect.completed', completed(effect, 'first')))).toEqual(['send', 'disarm']);
    expect(paid(actor.tell('effect.completed', completed(effect, 'second')))).toEqual([['budget.settle', grantId(effect.key, 1)]]);
    expect(actor.heard).toEqual(['granted', 'first']);
  });

  it('fails with what stopped it', () => {
    const { actor, effect } = calling();
    const said = actor.tell('effect.failed', { effect: effect.key, attempt: 1, failure: failure('MODEL_REFUSED', 'no'), bill: bill(effect) });
    expect(paid(said)).toEqual([['budget.settle', grantId(effect.key, 1)]]);
    expect(actor.heard).toEqual(['granted', 'MODEL_REFUSED']);
  });

  it('fails when it is vetoed', () => {
    const actor = new Actor();
    const effect = actor.start();
    actor.tell('budget.vetoed', { grant: grantId(effect.key, 1), failure: failure('BUDGET_EXHAUSTED', 'no money') });
    expect(actor.heard).toEqual(['BUDGET_EXHAUSTED']);
  });

  it('does not fail by the veto of another attempt or another effect', () => {
    const actor = new Actor();
    const effect = actor.start();
    for (const grant of [grantId(effect.key, 2), grantId(`${SELF}/7/model`, 1), 'nonsense']) {
      actor.tell('budget.vetoed', { grant, failure: failure('BUDGET_EXHAUSTED', 'no money') });
    }
    expect([actor.heard, actor.effect]).toEqual([[], effect]);
  });

  it('is not the effect of the same name that began before it', () => {
    const { actor, effect } = calling();
    actor.tell('task.cancel', { reason: 'enough' });
    const again = actor.start();
    actor.tell('effect.completed', completed(effect, 'late'));
    expect(actor.effect).toEqual(again);
    expect(actor.heard).toEqual(['granted']);
  });
});

describe('a host that was lost', () => {
  it('is followed by another attempt with a grant of its own', () => {
    const { actor, effect } = calling();
    expect(actor.tell('effect.lost', claimed(effect))).toMatchObject([
      { kind: 'send', type: 'budget.orphaned', data: { grant: grantId(effect.key, 1) } },
      { kind: 'start', effect: { key: effect.key, attempt: 2, phase: 'asked', input: { prompt: 'why' } } },
    ]);
    expect(actor.effect).not.toHaveProperty('grant');
    expect(actor.tell('budget.granted', granted(effect, 2))).toMatchObject([{ kind: 'claim', effect: { attempt: 2 } }]);
  });

  it('is not believed to be lost on the word about another host or attempt', () => {
    const { actor, effect } = calling();
    expect(actor.tell('effect.lost', claimed(effect, 'h2'))).toEqual([]);
    expect(actor.tell('effect.lost', claimed(effect, 'h1', 2))).toEqual([]);
    expect(actor.effect.attempt).toBe(1);
  });

  it('may still bring the result, and then the attempt that follows is given back (F2, F4)', () => {
    const { actor, effect } = calling();
    actor.tell('effect.lost', claimed(effect));
    const second = grantId(effect.key, 2);
    actor.tell('budget.granted', granted(effect, 2));
    const said = actor.tell('effect.completed', completed(effect, 'late', 1));
    expect(paid(said)).toEqual([
      ['budget.settle', grantId(effect.key, 1)],
      ['budget.release', second],
    ]);
    expect(actor.heard.at(-1)).toBe('late');
  });

  it('may still bring the result while the attempt that follows is only asked for: its grant is withdrawn, and goes back when it comes (F4)', () => {
    const { actor, effect } = calling();
    actor.tell('effect.lost', claimed(effect));
    expect(paid(actor.tell('effect.completed', completed(effect, 'late', 1)))).toEqual([
      ['budget.settle', grantId(effect.key, 1)],
      ['budget.release', grantId(effect.key, 2)],
    ]);
    expect(paid(actor.tell('budget.granted', granted(effect, 2)))).toEqual([['budget.release', grantId(effect.key, 2)]]);
  });

  it('may still bring the result while the attempt that follows is being made: that one is stopped', () => {
    const { actor, effect } = calling();
    actor.tell('effect.lost', claimed(effect));
    actor.tell('budget.granted', granted(effect, 2));
    actor.tell('effect.claimed', claimed(effect, 'h2', 2));
    expect(actor.tell('effect.completed', completed(effect, 'late', 1))).toContainEqual(
      expect.objectContaining({ kind: 'stop', effect: expect.objectContaining({ attempt: 2 }) as unknown }),
    );
  });

  it('fails the effect when it was the tenth: the effect may be what stops them', () => {
    const { actor, effect } = calling();
    for (let attempt = 1; attempt < 10; attempt++) {
      actor.tell('effect.lost', claimed(effect, 'h1', attempt));
      actor.tell('budget.granted', granted(effect, attempt + 1));
      actor.tell('effect.claimed', claimed(effect, 'h1', attempt + 1));
    }
    expect(actor.effect.attempt).toBe(10);
    actor.tell('effect.lost', claimed(effect, 'h1', 10));
    expect(actor.heard.at(-1)).toBe('EFFECT_LOST');
    expect(actor.state.effects).toEqual({});
  });
});

describe('a grant (F4)', () => {
  it('is withdrawn when its effect is stopped before it came, and given back when it comes all the same', () => {
    const actor = new Actor();
    const effect = actor.start();
    const said = actor.tell('task.cancel', { reason: 'enough' });
    expect(kinds(said)).toContain('stop');
    expect(paid(said)).toEqual([['budget.release', grantId(effect.key, 1)]]);
    expect(paid(actor.tell('budget.granted', granted(effect)))).toEqual([['budget.release', grantId(effect.key, 1)]]);
  });

  it('is withdrawn when its actor ends before it came', () => {
    const actor = new Actor();
    const effect = actor.start();
    expect(paid(actor.tell('run.cancel', { reason: 'enough' }))).toEqual([['budget.release', grantId(effect.key, 1)]]);
  });

  it('is not withdrawn when it was vetoed', () => {
    const actor = new Actor();
    const effect = actor.start();
    expect(paid(actor.tell('budget.vetoed', { grant: grantId(effect.key, 1), failure: failure('BUDGET_EXHAUSTED', 'no money') }))).toEqual([]);
  });

  it('that its chart does not take is given back, and nobody claims it', () => {
    const actor = new Actor({ chart: choosy, input: undefined, account: ACCOUNT });
    const effect = actor.start();
    const said = actor.tell('budget.granted', granted(effect));
    expect(paid(said)).toEqual([['budget.release', grantId(effect.key, 1)]]);
    expect(kinds(said)).toEqual(['send', 'start']);
    expect(actor.effect).toMatchObject({ attempt: 1, phase: 'asked', input: { prompt: 'again' } });
  });

  it('is given back when its effect is stopped before anybody claimed it', () => {
    const actor = new Actor();
    const effect = actor.start();
    actor.tell('budget.granted', granted(effect));
    expect(paid(actor.tell('task.cancel', { reason: 'enough' }))).toEqual([['budget.release', grantId(effect.key, 1)]]);
  });

  it('is neither given back nor claimed again when it comes twice', () => {
    const { actor, effect } = calling();
    expect(actor.tell('budget.granted', granted(effect))).toEqual([]);
  });

  it('waits for its bill when its effect is stopped while the call is made', () => {
    const { actor, effect } = calling();
    const said = actor.tell('task.cancel', { reason: 'enough' });
    expect([paid(said), kinds(said).includes('stop')]).toEqual([[], true]);
    expect(paid(actor.tell('effect.completed', completed(effect, 'late')))).toEqual([['budget.settle', grantId(effect.key, 1)]]);
  });

  it('is given back when its call was not made', () => {
    const { actor, effect } = calling();
    const said = actor.tell('effect.failed', { effect: effect.key, attempt: 1, failure: failure('EFFECT_STOPPED', 'stopped'), unused: grantId(effect.key, 1) });
    expect(paid(said)).toEqual([['budget.release', grantId(effect.key, 1)]]);
  });

  it('is given back when its actor has ended', () => {
    const { actor, effect } = calling();
    expect(kinds(actor.tell('run.cancel', { reason: 'enough' })).toSorted()).toEqual(['disarm', 'stop']);
    const late = (entry: FoldEntry) => paid(lateOutputs(definition, SELF, entry));
    expect(late(actor.entry('budget.granted', granted(effect, 2)))).toEqual([['budget.release', grantId(effect.key, 2)]]);
    expect(late(actor.entry('effect.completed', completed(effect, 'late')))).toEqual([['budget.settle', grantId(effect.key, 1)]]);
    expect(late(actor.entry('task.cancel', { reason: 'enough' }))).toEqual([]);
  });

  it("is nobody's business without an account", () => {
    const actor = new Actor({ chart, input: undefined });
    const effect = actor.start();
    expect(actor.tell('effect.completed', completed(effect, 'so')).filter(({ kind }) => kind === 'send')).toEqual([]);
  });
});

describe('a timer (F5)', () => {
  it('fires with the time of the log, and only once', () => {
    const actor = new Actor();
    actor.start();
    const [timer] = Object.values(actor.state.timers);
    actor.now = 1_234;
    expect(kinds(actor.tell('timer.fired', { timer: timer!.key }))).toEqual(['send', 'stop']);
    expect(actor.heard).toEqual([1_234]);
    expect(actor.tell('timer.fired', { timer: timer!.key })).toEqual([]);
    expect(actor.heard).toEqual([1_234]);
  });

  it('is disarmed when its state is left, and does not fire then', () => {
    const actor = new Actor();
    actor.start();
    const [timer] = Object.values(actor.state.timers);
    expect(actor.tell('task.cancel', { reason: 'enough' })).toContainEqual({ kind: 'disarm', timer });
    expect(actor.tell('timer.fired', { timer: timer!.key })).toEqual([]);
    expect(actor.state.snapshot.value).toBe('idle');
  });

  it('is not the timer of the same name that was armed before it', () => {
    const actor = new Actor();
    actor.start();
    const [before] = Object.values(actor.state.timers);
    actor.tell('task.cancel', { reason: 'enough' });
    actor.start();
    expect(actor.tell('timer.fired', { timer: before!.key })).toEqual([]);
    expect(actor.state.snapshot.value).toBe('thinking');
  });
});
