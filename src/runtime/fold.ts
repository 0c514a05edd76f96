/**
 * The fold: an actor's state is its chart folded over its log. `step` is pure; replay is calling it again.
 *
 *   F1  Same state, same entry: same next state, same outputs with the same ids, on every host.
 *   F2  An effect ends once: of its results the first in the log counts; every later one is still money.
 *   F3  A paid attempt is claimed before it is made; of several claims to it the first in the log counts.
 *   F4  Every grant that reaches the log is settled or released, whatever became of its effect. One that is still asked for
 *       when nobody wants it any more is withdrawn, so that no veto of it pauses anybody.
 *   F5  A timer fires only while it is armed.
 *
 * What a chart's actions become:
 *
 *   invoke, startEach      an effect: `start`; if it costs money then `claim` once granted, and `run` once claimed
 *   leaving the state      `stop`
 *   after, raise(delay)    `arm`, and `disarm` when left or cancelled; the event comes back with `at`, the log's time
 *   emit, emitEach         `send`
 *
 * Money that an actor may draw while nobody answers is advance.ts's, with invariants of its own (V1 to V7).
 *
 * Duplicates are the instance's business (instance.ts), performing is the host's (host.ts).
 */
import type { AnyEventObject, AnyMachineSnapshot } from 'xstate';
import type { Decoded, MessageName, PayloadOf } from '../protocols/catalogue.ts';
import { failure, type Failure } from '../protocols/failure.ts';
import type { Permission } from '../protocols/grant.ts';
import { effectOfGrant, grantId, type Address } from '../protocols/ids.ts';
import * as advances from './advance.ts';
import type { Advance, AdvanceTerms } from './advance.ts';
import type { Chart, ChartAction } from './chart.ts';

/** An entry whose payload has been decoded. */
export type FoldEntry = {
  readonly position: number;
  readonly at: number;
  readonly id: string;
  readonly from: Address;
  readonly message: Decoded;
};

/** What is folded: the chart, what it began with, and who it is. */
export type Definition = {
  readonly chart: Chart;
  readonly input: unknown;
  /** The account that pays for its effects. */
  readonly account?: Address;
  /** What it may hold for calls that nobody answers for; without it, nothing. */
  readonly advance?: AdvanceTerms;
};

export type Effect = {
  /** Names the effect for ever: `<address>/<position>/<child>`. */
  readonly key: string;
  /** The chart's own name for it. */
  readonly child: string;
  readonly src: string;
  readonly input: unknown;
  /** From 1. Another attempt follows only on one whose host was lost, or that nobody answered for. */
  readonly attempt: number;
  /** The log's time at which this attempt began. */
  readonly since: number;
  readonly phase: 'asked' | 'granted' | 'claimed';
  readonly grant?: Permission;
  readonly claimedBy?: string;
};

export type Timer = { readonly key: string; readonly sendId: string; readonly due: number; readonly event: AnyEventObject };

/** All that must survive. Plain data but for `snapshot`, which the chart persists and restores. */
export type State = {
  readonly snapshot: AnyMachineSnapshot;
  readonly position: number;
  /** Begun and not ended, by the chart's name. */
  readonly effects: Readonly<Record<string, Effect>>;
  /** Armed and not fired, by the chart's name. */
  readonly timers: Readonly<Record<string, Timer>>;
  readonly advance: Advance | undefined;
};

export type Output =
  | { readonly kind: 'send'; readonly id: string; readonly to: Address; readonly type: MessageName; readonly data: Readonly<Record<string, unknown>> }
  | { readonly kind: 'start'; readonly effect: Effect }
  | { readonly kind: 'claim'; readonly effect: Effect }
  | { readonly kind: 'run'; readonly effect: Effect }
  | { readonly kind: 'stop'; readonly effect: Effect }
  | { readonly kind: 'arm'; readonly timer: Timer }
  | { readonly kind: 'disarm'; readonly timer: Timer };

/** After so many attempts whose hosts were lost the effect fails: it may be what kills them. */
const LOST_ATTEMPTS_MAX = 10;

export const begin = (definition: Definition, address: Address, at: number): [State, Output[]] => {
  const [snapshot, actions] = definition.chart.initial(definition.input);
  const draft = new Draft({ snapshot, position: 0, effects: {}, timers: {}, advance: undefined }, definition, address, at);
  draft.interpret(actions);
  return draft.result();
};

export const step = (definition: Definition, address: Address, state: State, entry: FoldEntry): [State, Output[]] => {
  const draft = new Draft({ ...state, position: entry.position }, definition, address, entry.at);
  draft.receive(entry);
  return draft.result();
};

/** The money in an entry that reaches an actor after its end. */
export const lateOutputs = (definition: Definition, address: Address, entry: FoldEntry): Output[] => {
  const draft = new Draft({ position: entry.position, effects: {}, timers: {} } as unknown as State, definition, address, entry.at);
  draft.receiveMoney(entry.message);
  return draft.result()[1];
};

/** One transition under construction. Nothing of it outlives `result`. */
class Draft {
  #snapshot: AnyMachineSnapshot;
  readonly #position: number;
  #effects: Record<string, Effect>;
  #timers: Record<string, Timer>;
  #advance: Advance | undefined;
  #owned = false;
  readonly #outputs: Output[] = [];
  readonly #definition: Definition;
  readonly #address: Address;
  readonly #at: number;
  #sent = 0;

  constructor(state: State, definition: Definition, address: Address, at: number) {
    this.#snapshot = state.snapshot;
    this.#position = state.position;
    this.#effects = state.effects;
    this.#timers = state.timers;
    this.#advance = state.advance;
    this.#definition = definition;
    this.#address = address;
    this.#at = at;
  }

  result(): [State, Output[]] {
    return [{ snapshot: this.#snapshot, position: this.#position, effects: this.#effects, timers: this.#timers, advance: this.#advance }, this.#outputs];
  }

  receive(entry: FoldEntry): void {
    const { message } = entry;
    if (this.#advance && entry.from === this.#definition.account) this.#advance = advances.heard(this.#advance);
    switch (message.type) {
      case 'budget.granted': {
        if (this.#advance?.grant === message.data.grant) {
          this.#advance = advances.opened(this.#advance, message.data);
          return;
        }
        if (this.#advance) this.#advance = advances.heard(this.#advance, message.data.leftNanos);
        this.#granted(message.data);
        this.#tell(entry);
        return;
      }
      case 'budget.vetoed': {
        this.#endAdvance('a veto was heard');
        const effect = this.#byKey(effectOfGrant(message.data.grant).effect);
        if (effect && grantId(effect.key, effect.attempt) === message.data.grant) this.#end(effect, errorEvent(effect, message.data.failure, this.#at));
        return;
      }
      case 'budget.revoked': {
        const { grant, failure: why } = message.data;
        for (const effect of Object.values(this.#effects)) {
          if (!effect.grant || ![effect.grant.grant, effect.grant.advance].includes(grant) || this.#byKey(effect.key) !== effect) continue;
          this.#abandon(effect);
          this.#end(effect, errorEvent(effect, why, this.#at));
        }
        this.#endAdvance('the account was frozen');
        return;
      }
      case 'budget.paused': {
        this.#endAdvance('a pause was heard');
        this.#tell(entry);
        return;
      }
      case 'effect.drawn': {
        this.#drawn(message.data);
        return;
      }
      case 'effect.claimed': {
        const { effect: key, attempt, host } = message.data;
        const effect = this.#byKey(key);
        if (effect?.attempt === attempt && effect.phase === 'granted') this.#set({ ...effect, phase: 'claimed', claimedBy: host }, 'run');
        return;
      }
      case 'effect.lost': {
        const { effect: key, attempt, host } = message.data;
        const effect = this.#byKey(key);
        if (effect?.attempt === attempt && effect.claimedBy === host) this.#again(effect);
        return;
      }
      case 'effect.completed': {
        this.receiveMoney(message);
        const effect = this.#byKey(message.data.effect);
        if (effect) this.#end(effect, doneEvent(effect, message.data.output, this.#at), message.data.attempt);
        return;
      }
      case 'effect.failed': {
        this.receiveMoney(message);
        const effect = this.#byKey(message.data.effect);
        if (effect) this.#end(effect, errorEvent(effect, message.data.failure, this.#at), message.data.attempt);
        return;
      }
      case 'timer.fired': {
        const timer = Object.values(this.#timers).find((one) => one.key === message.data.timer);
        if (!timer) return; // F5
        this.#own();
        delete this.#timers[timer.sendId];
        this.#transition({ ...timer.event, at: this.#at });
        return;
      }
      default:
        this.#tell(entry);
    }
  }

  /** F4: what an entry says of a grant, apart from what it says of the effect. */
  receiveMoney(message: Decoded): void {
    if (message.type === 'effect.completed' || message.type === 'effect.failed') {
      const { bill } = message.data;
      if (bill) {
        if (this.#advance) this.#advance = advances.billed(this.#advance, bill);
        this.#pay('budget.settle', bill);
      }
      if (message.type === 'effect.failed' && message.data.unused !== undefined) this.#releaseGrant(message.data.unused, message.data.failure.code);
    } else if (message.type === 'budget.granted' && !advances.isAdvance(message.data.grant)) {
      this.#releaseGrant(message.data.grant, 'the effect has ended');
    }
  }

  #granted(granted: PayloadOf<'budget.granted'>): void {
    const effect = this.#byKey(effectOfGrant(granted.grant).effect);
    const wanted = effect?.phase === 'asked' && grantId(effect.key, effect.attempt) === granted.grant;
    if (wanted) this.#set({ ...effect, phase: 'granted', grant: granted }, 'claim');
    else if (effect?.grant?.grant !== granted.grant) this.receiveMoney({ type: 'budget.granted', data: granted });
  }

  /** V2, V3. For the chart it is a grant like any other. */
  #drawn({ effect: key, attempt, nanos, maxTokens }: PayloadOf<'effect.drawn'>): void {
    const effect = this.#byKey(key);
    if (!this.#advance || effect?.attempt !== attempt || effect.phase !== 'asked') return;
    const grant = grantId(key, attempt + 1);
    const advance = advances.draw(this.#advance, grant, BigInt(nanos), this.#at);
    if (!advance) return;
    this.#releaseGrant(grantId(key, attempt), 'nobody answered; it is paid from the advance');
    this.#advance = advance;
    const { leftNanos, deadline } = advance;
    const granted = { grant, amountNanos: nanos, maxTokens, deadline, leftNanos };
    this.#set({ ...effect, attempt: attempt + 1, since: this.#at, phase: 'granted', grant: { ...granted, advance: advance.grant } }, 'claim');
    if (this.#definition.chart.hears.has('budget.granted')) this.#transition({ ...granted, type: 'budget.granted', from: this.#address, at: this.#at });
  }

  /** V5, V6. */
  #endAdvance(reason: string): void {
    const advance = this.#advance;
    if (!advance || advance.phase === 'over') return;
    this.#advance = advances.ended(advance);
    this.#pay('budget.release', { grant: advance.grant, reason, ...(advance.draws.length > 0 && { drawn: advances.drawnFrom(advance) }) });
    for (const { grant, isLost } of advance.draws) if (isLost) this.#pay('budget.orphaned', { grant });
  }

  #again(effect: Effect): void {
    if (this.#advance) this.#advance = advances.lost(this.#advance, grantId(effect.key, effect.attempt));
    this.#pay('budget.orphaned', { grant: grantId(effect.key, effect.attempt) });
    if (effect.attempt >= LOST_ATTEMPTS_MAX) {
      const said = failure('EFFECT_LOST', `${effect.src} was lost with its host ${effect.attempt} times; it may be what stops them`);
      this.#end(effect, errorEvent(effect, said, this.#at), effect.attempt);
      return;
    }
    const { key, child, src, input } = effect;
    this.#set({ key, child, src, input, attempt: effect.attempt + 1, since: this.#at, phase: 'asked' }, 'start');
  }

  /** F2. `by`: the attempt that ended it; what another one holds is given back or stopped. */
  #end(effect: Effect, event: AnyEventObject, by = effect.attempt): void {
    if (by !== effect.attempt) this.#abandon(effect);
    this.#own();
    delete this.#effects[effect.child];
    this.#transition(event);
  }

  /** F4: the current attempt is not wanted any more. Once it is claimed, its result says what it cost. */
  #abandon(effect: Effect): void {
    if (effect.phase !== 'claimed') this.#releaseGrant(grantId(effect.key, effect.attempt), 'not wanted any more');
    this.#outputs.push({ kind: 'stop', effect });
  }

  #tell(entry: FoldEntry): void {
    if (!this.#definition.chart.hears.has(entry.message.type)) return;
    this.#transition({ ...entry.message.data, type: entry.message.type, from: entry.from, at: entry.at });
  }

  #transition(event: AnyEventObject): void {
    const [snapshot, actions] = this.#definition.chart.transition(this.#snapshot, event);
    this.#snapshot = snapshot;
    this.interpret(actions);
    if (snapshot.status !== 'active') this.#finish();
  }

  /** The chart has ended: nothing of it may go on. */
  #finish(): void {
    for (const effect of Object.values(this.#effects)) this.#abandon(effect);
    this.#endAdvance('the actor has ended');
    for (const timer of Object.values(this.#timers)) this.#outputs.push({ kind: 'disarm', timer });
    this.#effects = {};
    this.#timers = {};
    this.#owned = true;
  }

  interpret(actions: readonly ChartAction[]): void {
    for (const { type, params } of actions) {
      switch (type) {
        case 'xstate.spawnChild': {
          const { id, src, input } = params as { id: string; src: string; input: unknown };
          const key = `${this.#address}/${this.#position}/${id}`;
          if (this.#definition.account && this.#definition.advance) this.#advance ??= advances.maybeAsked(this.#address, this.#position);
          this.#set({ key, child: id, src, input, attempt: 1, since: this.#at, phase: 'asked' }, 'start');
          break;
        }
        case 'xstate.stopChild':
          this.#stop(typeof params === 'string' ? params : (params as { id: string } | undefined)?.id);
          break;
        case 'xstate.raise': {
          const { event, id, delay } = params as { event: AnyEventObject; id?: string; delay?: number };
          if (typeof delay === 'number') this.#arm(id ?? event.type, event, delay); // one without a delay is part of the step already
          break;
        }
        case 'xstate.cancel':
          this.#disarm((params as { sendId: string }).sendId);
          break;
        case 'xstate.emit': {
          const { to, type: said, ...data } = (params as { event: AnyEventObject & { to: Address } }).event;
          if (said === 'budget.close') this.#endAdvance('the account is closed');
          this.#send(to, said as MessageName, data);
          break;
        }
        default:
          throw new Error(`action '${type}' cannot be performed by a host: use an effect, after, emit or assign`);
      }
    }
  }

  #set(effect: Effect, kind: 'start' | 'claim' | 'run'): void {
    this.#own();
    this.#effects[effect.child] = effect;
    this.#outputs.push({ kind, effect });
  }

  #stop(child: string | undefined): void {
    const effect = child === undefined ? undefined : this.#effects[child];
    if (!effect) return; // it has ended
    this.#own();
    delete this.#effects[effect.child];
    // What this step began and left again never began.
    const begun = this.#outputs.findIndex((output) => (output.kind === 'start' || output.kind === 'claim') && output.effect === effect);
    const output = begun >= 0 ? this.#outputs.splice(begun, 1)[0]! : undefined;
    if (output?.kind === 'start') return;
    if (output?.kind === 'claim') this.#releaseGrant(output.effect.grant!.grant, 'not wanted any more');
    else this.#abandon(effect);
  }

  #arm(sendId: string, event: AnyEventObject, delayMs: number): void {
    this.#own();
    const timer = { key: `${this.#address}/${this.#position}/${sendId}`, sendId, due: this.#at + delayMs, event };
    this.#timers[sendId] = timer;
    this.#outputs.push({ kind: 'arm', timer });
  }

  #disarm(sendId: string): void {
    const timer = this.#timers[sendId];
    if (!timer) return;
    this.#own();
    delete this.#timers[sendId];
    const armed = this.#outputs.findIndex((output) => output.kind === 'arm' && output.timer === timer);
    if (armed >= 0) this.#outputs.splice(armed, 1);
    else this.#outputs.push({ kind: 'disarm', timer });
  }

  #send(to: Address, type: MessageName, data: Readonly<Record<string, unknown>>): void {
    this.#outputs.push({ kind: 'send', id: `${this.#address}/${this.#position}/${this.#sent++}`, to, type, data });
  }

  #releaseGrant(grant: string, reason: string): void {
    if (this.#advance) this.#advance = advances.unused(this.#advance, grant);
    this.#pay('budget.release', { grant, reason });
  }

  #pay(type: 'budget.settle' | 'budget.release' | 'budget.orphaned', data: Readonly<Record<string, unknown>>): void {
    if (this.#definition.account) this.#send(this.#definition.account, type, data);
  }

  #byKey(key: string): Effect | undefined {
    const child = key.slice(key.indexOf('/', key.indexOf('/') + 1) + 1);
    const effect = this.#effects[child];
    return effect?.key === key ? effect : undefined;
  }

  /** The records belong to the state before until the first change. */
  #own(): void {
    if (this.#owned) return;
    this.#effects = { ...this.#effects };
    this.#timers = { ...this.#timers };
    this.#owned = true;
  }
}

const doneEvent = ({ child }: Effect, output: unknown, at: number): AnyEventObject => ({ type: `xstate.done.actor.${child}`, output, actorId: child, at });
const errorEvent = ({ child }: Effect, error: Failure, at: number): AnyEventObject => ({ type: `xstate.error.actor.${child}`, error, actorId: child, at });
