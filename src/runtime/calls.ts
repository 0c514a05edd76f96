/**
 * The calls of a host: what becomes of an effect from the moment that a fold begins it until its result is in the actor's log.
 *
 *   H1  A call is made only after the entry that led to it is durable, if it touches the world.
 *   H3  A paid attempt is made only by the host whose claim the log has first, and at most once by it.
 *   H4  What was paid is written into the log, also when nobody waits for it any more.
 */
import type { Bus } from '../bus/port.ts';
import { boundOf, type Quote } from '../protocols/budget.ts';
import type { MessageName } from '../protocols/catalogue.ts';
import { failure, failureOf, TroupeError } from '../protocols/failure.ts';
import { Grant } from '../protocols/grant.ts';
import { grantId, type Address } from '../protocols/ids.ts';
import { draw, quoteOf, silenceOf } from './advance.ts';
import type { Clock } from './clock.ts';
import type { EffectResult, Runners } from './effects.ts';
import { lateOutputs, type Effect, type FoldEntry } from './fold.ts';
import type { Instance } from './instance.ts';
import { Turns } from './turns.ts';
import type { Unit } from './unit.ts';
import type { Message, Writer } from './writer.ts';

export type CallsOptions = {
  readonly bus: Bus;
  /** The host's. */
  readonly id: string;
  readonly clock: Clock;
  readonly runners: Runners;
  readonly writer: Writer;
  /** Whether the host still has a unit. */
  readonly hosts: (unit: Unit) => boolean;
};

export class Calls {
  readonly #options: CallsOptions;
  readonly #turns = new Turns();

  constructor(options: CallsOptions) {
    this.#options = options;
  }

  /** One that history left pending, by how far it had come. */
  resume(unit: Unit, instance: Instance, effect: Effect): void {
    if (effect.phase === 'asked') this.start(unit, instance, effect);
    else if (effect.phase === 'granted') this.claim(unit, instance, effect);
    else this.#lose(unit, instance, effect);
  }

  /** Makes it, or asks for the money first. */
  start(unit: Unit, instance: Instance, effect: Effect): void {
    if (unit.quiet) return;
    const runner = this.#options.runners[effect.src];
    if (!runner) return this.#refuse(unit, instance, effect, new TroupeError('EFFECT_UNKNOWN', `no runner stands behind the effect '${effect.src}'`));
    try {
      const quote = runner.quote?.(effect.input as never, instance.address);
      if (!quote) return this.#make(unit, instance, effect);
      const { account } = instance.definition;
      if (!account) throw new TroupeError('BUDGET_NONE', `${instance.address} has no account to pay '${effect.src}' from`);
      const grant = grantId(effect.key, effect.attempt);
      this.#reserve(unit, instance, account, grant, quote);
      this.#mayDraw(unit, instance, account, effect, quote);
    } catch (thrown) {
      this.#refuse(unit, instance, effect, thrown);
    }
  }

  #reserve(unit: Unit, { address }: Instance, account: Address, grant: string, quote: Quote): void {
    this.#options.writer.send(unit, address, account, { id: `${grant}/reserve`, type: 'budget.reserve', data: { grant, quote } });
  }

  /** Where the actor may have an advance it is asked for, and drawn on for this attempt when the account stays silent (advance.ts). */
  #mayDraw(unit: Unit, instance: Instance, account: Address, effect: Effect, quote: Quote): void {
    const { clock } = this.#options;
    const terms = instance.definition.advance;
    const { advance } = instance.state;
    if (!terms || !advance || advance.phase === 'over') return;
    if (advance.phase === 'asked') this.#reserve(unit, instance, account, advance.grant, quoteOf(terms, quote, clock.now()));
    const { key, child, attempt, since } = effect;
    const timer = `${grantId(key, attempt)}/silence`;
    if (unit.timers.has(timer)) return;
    const nanos = boundOf(quote, quote.maxTokens);
    const cancel = clock.after(Math.max(0, since + silenceOf(terms, advance) - clock.now()), () => {
      unit.timers.delete(timer);
      const now = instance.state.effects[child];
      const isUnanswered = now?.key === key && now.attempt === attempt && now.phase === 'asked';
      if (unit.quiet || !isUnanswered || !instance.state.advance || !draw(instance.state.advance, grantId(key, attempt + 1), nanos, clock.now())) return;
      this.#options.writer.note(unit, instance.address, `${grantId(key, attempt)}/drawn`, 'effect.drawn', {
        effect: key,
        attempt,
        nanos: nanos.toString(),
        maxTokens: quote.maxTokens,
      });
    });
    unit.timers.set(timer, { cancel });
  }

  #refuse(unit: Unit, instance: Instance, effect: Effect, thrown: unknown): void {
    this.#finish(unit, instance.address, effect, { ok: false, failure: failureOf(thrown) });
  }

  /** The money is there: says who makes it. */
  claim(unit: Unit, instance: Instance, effect: Effect): void {
    if (unit.quiet) return;
    const { id: host } = this.#options;
    const attempt = grantId(effect.key, effect.attempt);
    unit.claims.add(attempt);
    this.#options.writer.note(unit, instance.address, `${attempt}/claim/${host}`, 'effect.claimed', {
      effect: effect.key,
      attempt: effect.attempt,
      host,
    });
  }

  /** It is claimed, for everybody to see. */
  claimed(unit: Unit, instance: Instance, effect: Effect): void {
    if (effect.claimedBy === this.#options.id) this.#make(unit, instance, effect);
    else if (unit.lease.isSole) void this.#loseStale(unit, instance, effect);
  }

  /** Claimed by a host that had lost the unit already, and will not make the call; or this one has lost it, and has no say. */
  async #loseStale(unit: Unit, instance: Instance, effect: Effect): Promise<void> {
    if ((await unit.lease.confirm()) && this.#options.hosts(unit)) this.#lose(unit, instance, effect);
  }

  stop(unit: Unit, { key, attempt }: Effect): void {
    unit.running.get(grantId(key, attempt))?.abort.abort();
  }

  /** H3: its host is gone, or let the unit go. It may have been paid; another attempt needs a grant of its own. */
  #lose(unit: Unit, { address }: Instance, { key, attempt, claimedBy }: Effect): void {
    this.#options.writer.note(unit, address, `${grantId(key, attempt)}/lost`, 'effect.lost', { effect: key, attempt, host: claimedBy! });
  }

  #make(unit: Unit, instance: Instance, effect: Effect): void {
    const attempt = grantId(effect.key, effect.attempt);
    if (unit.running.has(attempt)) return;
    const abort = new AbortController();
    const { address } = instance;
    const end = this.#call(unit, address, effect, abort.signal).then(async (result) => {
      const isOwn = unit.lease.holds() || (await unit.lease.confirm());
      unit.running.delete(attempt);
      if (isOwn && this.#options.hosts(unit)) this.#finish(unit, address, effect, result);
      else if (result.ok && effect.grant) this.#handIn(unit, instance, effect, result);
      else this.#book(unit, instance, effect, result);
    });
    unit.running.set(attempt, { abort, end });
  }

  async #call(unit: Unit, address: Address, effect: Effect, signal: AbortSignal): Promise<EffectResult> {
    try {
      const runner = this.#options.runners[effect.src]!;
      const looksOnly = !effect.grant && runner.readOnly?.(effect.input as never, address) === true;
      if (!looksOnly) {
        await this.#options.bus.durable(); // H1
        await this.#turns.next(unit.order);
      }
      if (signal.aborted || !(unit.lease.holds() || (await unit.lease.confirm())) || signal.aborted) return stopped(effect);
      if (!effect.grant) return await runner.run(effect.input as never, { address, signal }, undefined);
      const stopExtending = effect.grant.advance === undefined ? this.#keepGranted(unit, address, effect.grant) : () => {};
      try {
        return await runner.run(
          effect.input as never,
          { address, signal },
          Grant.from(effect.grant, () => unit.lease.holds()),
        );
      } finally {
        stopExtending();
      }
    } catch (thrown) {
      // A runner gives its failures as values; what it throws is a bug, and nobody knows what it cost: the grant runs out.
      return { ok: false, failure: failureOf(thrown) };
    }
  }

  /** While the call goes on its grant does: each time that two thirds of what it has left are over, it asks for as much again. */
  #keepGranted(unit: Unit, address: Address, { grant, deadline }: NonNullable<Effect['grant']>): () => void {
    const { clock, writer } = this.#options;
    const account = unit.instances.get(address)?.definition.account;
    const grantMs = deadline - clock.now();
    if (!account || grantMs <= 0) return () => {};
    let until = deadline;
    let stop = (): void => {};
    const next = (): void => {
      stop = clock.after((until - clock.now()) * (2 / 3), () => {
        until += grantMs;
        writer.send(unit, address, account, { id: `${grant}/extend/${until}`, type: 'budget.extend', data: { grant, deadline: until } });
        next();
      });
    };
    next();
    return () => stop();
  }

  #finish(unit: Unit, address: Address, effect: Effect, result: EffectResult): void {
    this.#options.writer.send(unit, address, address, endOf(effect, result));
  }

  /**
   * The answer of a call of an actor that this host has no longer. Whoever has it may still take it; and maybe nobody has it any
   * more, so what the answer cost is said as well, under the id under which its actor says it (H4).
   */
  #handIn(unit: Unit, { address, definition }: Instance, effect: Effect, result: EffectResult): void {
    const { bus, clock, writer } = this.#options;
    const envelope = writer.envelope(address, endOf(effect, result));
    const { id } = envelope;
    const handedIn = bus.append(address, envelope).then((position) => {
      const entry = { position, at: clock.now(), id, from: address, message: envelope as unknown as FoldEntry['message'] };
      for (const output of lateOutputs(definition, address, entry))
        if (output.kind === 'send') writer.send(unit, address, output.to, { ...output, causation: id });
    });
    writer.track(unit, handedIn);
  }

  /** A call that was stopped because its unit was let go, or that failed while it was taken away, is no answer: the next owner makes it again. What it cost is booked (H4). */
  #book(unit: Unit, { address, definition: { account } }: Instance, effect: Effect, result: EffectResult): void {
    if (account === undefined) return;
    const grant = grantId(effect.key, effect.attempt);
    const say = (type: MessageName, data: Readonly<Record<string, unknown>>): void =>
      this.#options.writer.send(unit, address, account, { id: `${grant}/stopped`, type, data });
    if (result.bill) say('budget.settle', billOf(effect, result.bill));
    else if (!result.ok && result.unused) say('budget.release', { grant, reason: result.failure.code });
  }
}

/** What an actor is told of the end of a call. */
const endOf = (effect: Effect, result: EffectResult): Message => {
  const { key, attempt } = effect;
  const id = `${grantId(key, attempt)}/end`;
  const bill = result.bill === undefined ? {} : { bill: billOf(effect, result.bill) };
  if (result.ok) return { id, type: 'effect.completed', data: { effect: key, attempt, output: result.output, ...bill } };
  const unused = result.unused === true ? { unused: grantId(key, attempt) } : {};
  return { id, type: 'effect.failed', data: { effect: key, attempt, failure: result.failure, ...bill, ...unused } };
};

/** V6: the account learns from the bill what paid the call. */
const billOf = ({ grant }: Effect, bill: NonNullable<EffectResult['bill']>): NonNullable<EffectResult['bill']> =>
  grant?.advance === undefined ? bill : { ...bill, advance: grant.advance };

const stopped = ({ src, grant }: Effect): EffectResult => ({
  ok: false,
  failure: failure('EFFECT_STOPPED', `${src} was stopped before it began`),
  ...(grant && { unused: true as const }),
});
