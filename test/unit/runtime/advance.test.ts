/** The advance in the fold: what a log makes of it, whatever hosts write into that log. The account's side is desk.test.ts's. */
import { describe, expect, it } from 'vitest';
import { assign, emit, setup } from 'xstate';
import type { Decoded, MessageName, PayloadOf } from '../../../src/protocols/catalogue.ts';
import { effect } from '../../../src/protocols/chart.ts';
import { failure, type Failure } from '../../../src/protocols/failure.ts';
import { grantId, type Address } from '../../../src/protocols/ids.ts';
import { leftIn, silenceOf, type AdvanceTerms } from '../../../src/runtime/advance.ts';
import { defineChart } from '../../../src/runtime/chart.ts';
import { begin, lateOutputs, step, type Definition, type Effect, type FoldEntry, type Output, type State } from '../../../src/runtime/fold.ts';
import { Instance } from '../../../src/runtime/instance.ts';

const SELF = 'r-fold.worker.a.b' as Address;
const ACCOUNT = 'r-fold.budget' as Address;
const LEAD = 'r-fold.supervisor' as Address;
const terms: AdvanceTerms = { amountNanos: '100', lifeMs: 5_000, silenceMs: 200 };

/** Asks again and again, until it is sent away. */
const chart = defineChart(
  'asking',
  1,
  setup({
    types: { context: {} as { heard: readonly unknown[] }, events: {} as { type: string } },
    actors: { model: effect<string, { prompt: string }>() },
    actions: {
      keep: assign(({ context }, what: unknown) => ({ heard: [...context.heard, what] })),
      close: emit({ type: 'budget.close', to: ACCOUNT, reason: 'done' }),
    },
  }).createMachine({
    context: { heard: [] },
    initial: 'idle',
    states: {
      idle: { on: { 'run.start': 'thinking', 'run.cancel': 'ended' } },
      thinking: {
        invoke: {
          id: 'model',
          src: 'model',
          input: { prompt: 'why' },
          onDone: 'idle',
          onError: { target: 'idle', actions: { type: 'keep', params: ({ event }: { event: { error: unknown } }) => (event.error as Failure).code } },
        },
        on: {
          'budget.granted': { actions: { type: 'keep', params: ({ event }: { event: { type: string; grant?: string } }) => event.grant } },
          'run.cancel': 'ended',
          'budget.closed': { target: 'idle', actions: 'close' },
        },
      },
      ended: { type: 'final' },
    },
  }) as never,
);
const definition: Definition = { chart, input: undefined, account: ACCOUNT, advance: terms };

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
    const from = type.startsWith('budget.') ? ACCOUNT : LEAD;
    return { position: this.#position, at: this.now, id: `e${this.#position}`, from, message: { type, data } as Decoded };
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

  grant(grant: string, amountNanos = '9'): Output[] {
    return this.tell('budget.granted', { grant, amountNanos, maxTokens: 5, deadline: 5_100, leftNanos: '700' });
  }

  draw(nanos: number, { key, attempt } = this.effect): Output[] {
    return this.tell('effect.drawn', { effect: key, attempt, nanos: String(nanos), maxTokens: 5 });
  }

  /** A call that is paid from the advance, up to the moment at which it is made. */
  call(nanos: number): Effect {
    this.start();
    this.draw(nanos);
    this.tell('effect.claimed', { effect: this.effect.key, attempt: this.effect.attempt, host: 'h1' });
    return this.effect;
  }

  complete(of: Effect, spent: number): Output[] {
    const usage = { inputTokens: 1, outputTokens: 1, cachedInputTokens: 0, reasoningTokens: 0 };
    const bill = { grant: grantId(of.key, of.attempt), spentNanos: String(spent), usage, model: 'm', advance: this.advance.grant };
    return this.tell('effect.completed', { effect: of.key, attempt: of.attempt, output: 'so', bill });
  }

  get effect(): Effect {
    return this.state.effects['model']!;
  }

  get advance() {
    return this.state.advance!;
  }

  get heard(): readonly unknown[] {
    return (this.state.snapshot.context as { heard: readonly unknown[] }).heard;
  }
}

/** One whose advance of 100 is granted, and whose first call has ended. */
const advanced = (): Actor => {
  const actor = new Actor();
  const first = actor.start();
  actor.grant(actor.advance.grant, '100');
  actor.grant(grantId(first.key, 1));
  actor.tell('effect.claimed', { effect: first.key, attempt: 1, host: 'h1' });
  actor.tell('effect.completed', { effect: first.key, attempt: 1, output: 'so' });
  return actor;
};

type Said = [type: string, grant: unknown, drawn?: unknown];
const said = (outputs: readonly Output[]): Said[] =>
  outputs.flatMap((output): Said[] =>
    output.kind === 'send' ? [[output.type, output.data['grant'], ...(output.data['drawn'] === undefined ? [] : [output.data['drawn']])] as Said] : [],
  );
const kinds = (outputs: readonly Output[]): string[] => outputs.map(({ kind }) => kind);

describe('an advance', () => {
  it('is none where the team allows none, whatever is written into the log', () => {
    const { advance: _, ...without } = definition;
    const actor = new Actor(without);
    actor.start();
    expect(actor.draw(1)).toEqual([]);
    expect([actor.state.advance, actor.effect.phase]).toEqual([undefined, 'asked']);
  });

  it('is named by the first effect, and is the same on every host (V1)', () => {
    const [one, other] = [new Actor(), new Actor()];
    one.start();
    other.start();
    expect(one.advance.grant).toBe(`${SELF}/10/~advance#1`);
    expect(other.advance).toEqual(one.advance);
  });

  it('is nothing that a chart hears of, and no answer to its call', () => {
    const actor = new Actor();
    actor.start();
    expect(actor.grant(actor.advance.grant, '100')).toEqual([]);
    expect([actor.heard, actor.effect.phase, leftIn(actor.advance)]).toEqual([[], 'asked', 100n]);
  });

  it('pays a call that nobody answers for, as an attempt with a grant of its own; the other is withdrawn (V3)', () => {
    const actor = advanced();
    const { key } = actor.start();
    const outputs = actor.draw(60);
    expect(said(outputs)).toEqual([['budget.release', `${key}#1`]]);
    expect(outputs.at(-1)).toMatchObject({ kind: 'claim', effect: { attempt: 2, phase: 'granted', grant: { grant: `${key}#2`, amountNanos: '60' } } });
    expect(actor.effect.grant!.advance).toBe(actor.advance.grant);
    expect(actor.heard.at(-1)).toBe(`${key}#2`);
    expect(leftIn(actor.advance)).toBe(40n);
    expect(said(actor.grant(`${key}#1`)), 'a late answer is given back').toEqual([['budget.release', `${key}#1`]]);
    expect(actor.effect).toMatchObject({ attempt: 2, phase: 'granted' });
  });

  it('pays nothing that is answered, or drawn for already (V2)', () => {
    const actor = advanced();
    const effect = actor.start();
    actor.draw(30);
    expect(actor.draw(30, effect), 'another host wrote it too').toEqual([]);
    expect(leftIn(actor.advance)).toBe(70n);
    const answered = advanced();
    const asked = answered.start();
    answered.grant(`${asked.key}#1`);
    expect(answered.draw(30, asked)).toEqual([]);
    expect(leftIn(answered.advance)).toBe(100n);
  });

  it('pays not one nano-dollar more than it has left, and nothing before it is granted (V2)', () => {
    const actor = advanced();
    actor.start();
    expect(actor.draw(101)).toEqual([]);
    expect(kinds(actor.draw(100))).toContain('claim');
    const early = new Actor();
    early.start();
    expect(early.draw(1)).toEqual([]);
  });

  it('pays nothing at or past its deadline (V2)', () => {
    const actor = advanced();
    actor.start();
    actor.now = 5_100;
    expect(actor.draw(1)).toEqual([]);
    actor.now = 5_099;
    expect(kinds(actor.draw(1))).toContain('claim');
  });

  it('counts a draw by its bound, and by its bill once there is one, which names the advance (V4, V6)', () => {
    const actor = advanced();
    const call = actor.call(60);
    const outputs = actor.complete(call, 25);
    expect(outputs.map((output) => output.kind === 'send' && output.data['advance'])).toEqual([actor.advance.grant]);
    expect(leftIn(actor.advance)).toBe(75n);
    actor.call(75);
    expect(leftIn(actor.advance)).toBe(0n);
  });

  it('gets the part of an unused draw back, and not that of a lost one (V4)', () => {
    const actor = advanced();
    const call = actor.call(60);
    actor.tell('effect.failed', { effect: call.key, attempt: 2, failure: failure('EFFECT_STOPPED', 'never made'), unused: `${call.key}#2` });
    expect(leftIn(actor.advance)).toBe(100n);
    const other = actor.call(60);
    actor.tell('effect.lost', { effect: other.key, attempt: 2, host: 'h1' });
    expect([actor.effect.attempt, actor.effect.phase, leftIn(actor.advance)]).toEqual([3, 'asked', 40n]);
    expect(actor.draw(41)).toEqual([]);
    actor.draw(40);
    expect(leftIn(actor.advance)).toBe(0n);
  });

  it.each<[what: string, hears: (actor: Actor) => void]>([
    ['a veto', (actor) => actor.tell('budget.vetoed', { grant: actor.advance.grant, failure: failure('BUDGET_FROZEN', 'frozen') })],
    ['a veto of another call', (actor) => actor.tell('budget.vetoed', { grant: 'another#1', failure: failure('BUDGET_EXHAUSTED', 'no') })],
    ['a pause', (actor) => actor.tell('budget.paused', { account: 'r-fold', failure: failure('BUDGET_EXHAUSTED', 'no') })],
    ['a freeze', (actor) => actor.tell('budget.revoked', { grant: actor.advance.grant, failure: failure('BUDGET_REVOKED', 'no') })],
  ])('is over when %s is heard (V5)', (_, hears) => {
    const actor = advanced();
    const { key } = actor.start();
    hears(actor);
    expect(actor.advance.phase).toBe('over');
    expect(actor.draw(1)).toEqual([]);
    expect(actor.effect).toMatchObject({ key, attempt: 1, phase: 'asked' });
    expect(actor.grant(actor.advance.grant, '100'), 'it is not granted again').toEqual([]);
    expect(actor.draw(1)).toEqual([]);
  });

  it('that is revoked breaks off the call that it pays', () => {
    const actor = advanced();
    actor.call(60);
    const outputs = actor.tell('budget.revoked', { grant: actor.advance.grant, failure: failure('BUDGET_REVOKED', 'no') });
    expect(kinds(outputs)).toEqual(['stop', 'send']);
    expect(actor.heard.at(-1)).toBe('BUDGET_REVOKED');
  });

  it('is accounted for once at the end, each call with its bill or its bound; of a lost one nobody will hear (V6)', () => {
    const actor = advanced();
    const billed = actor.call(30);
    actor.complete(billed, 20);
    const lost = actor.call(30);
    actor.tell('effect.lost', { effect: lost.key, attempt: 2, host: 'h1' });
    actor.draw(25);
    actor.tell('effect.claimed', { effect: lost.key, attempt: 4, host: 'h2' });
    const drawn = [
      { grant: `${billed.key}#2`, nanos: '20' },
      { grant: `${lost.key}#2`, nanos: '30' },
      { grant: `${lost.key}#4`, nanos: '25' },
    ];
    expect(said(actor.tell('run.cancel', { reason: 'enough' }))).toEqual([
      ['budget.release', actor.advance.grant, drawn],
      ['budget.orphaned', `${lost.key}#2`],
    ]);
  });

  it('is withdrawn at the end where it was never answered, and given back before the account is closed', () => {
    const unanswered = new Actor();
    unanswered.start();
    expect(said(unanswered.tell('run.cancel', { reason: 'enough' }))).toContainEqual(['budget.release', unanswered.advance.grant]);
    const closing = advanced();
    closing.start();
    const outputs = said(closing.tell('budget.closed', { limitNanos: '1', spentNanos: '1', heldNanos: '0' }));
    const order = outputs.map(([type, grant]) => (grant === closing.advance.grant ? 'given back' : type));
    expect(order.indexOf('given back')).toBeGreaterThanOrEqual(0);
    expect(order.indexOf('given back')).toBeLessThan(order.indexOf('budget.close'));
  });

  it('is not given back again by whoever hears late of its grant: that could be before the account of its draws', () => {
    const actor = advanced();
    const { grant } = actor.advance;
    expect(lateOutputs(definition, SELF, actor.entry('budget.granted', { grant, amountNanos: '1', maxTokens: 0, deadline: 1, leftNanos: '0' }))).toEqual([]);
  });

  it('makes the next calls wait for less as long as nothing is heard', () => {
    const actor = advanced();
    const { key } = actor.start();
    expect(silenceOf(terms, actor.advance)).toBe(200);
    actor.draw(30);
    expect(silenceOf(terms, actor.advance)).toBe(20);
    actor.grant(`${key}#1`);
    expect(silenceOf(terms, actor.advance)).toBe(200);
  });

  it('survives in a snapshot', () => {
    const actor = advanced();
    const [instance] = Instance.begin(SELF, definition, 100);
    const tell = <T extends MessageName>(type: T, data: PayloadOf<T>): void => {
      instance.apply(actor.entry(type, data));
    };
    tell('run.start', { goal: 'why' });
    tell('budget.granted', { grant: instance.state.advance!.grant, amountNanos: '100', maxTokens: 0, deadline: 5_100, leftNanos: '700' });
    tell('effect.drawn', { effect: instance.state.effects['model']!.key, attempt: 1, nanos: '60', maxTokens: 5 });
    const thawed = Instance.thaw(SELF, definition, instance.freeze())!;
    expect(thawed.state.advance).toEqual(instance.state.advance);
    expect(leftIn(thawed.state.advance!)).toBe(40n);
  });
});
