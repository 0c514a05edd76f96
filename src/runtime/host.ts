/**
 * The host: owns actor instances, folds their logs and performs what the fold gives.
 *
 *   H1  An output is performed only after the entry that led to it is durable, if it touches the world.
 *   H2  Performing an output again is harmless: its id follows from the log.
 *   H3  A paid attempt is made only by the host whose claim the log has first, and at most once by it.
 *   H4  What was paid is written into the log, also when nobody waits for it any more.
 *   H5  Whatever a crash loses, taking over performs again: unheard messages, pending effects, armed timers.
 *
 * A host follows the bus once for many actors. It owns *units*: a unit is the prefix of the addresses that are hosted
 * together, a run as a rule; an address is one too, of its own actor. Whoever adopts a unit holds its lease (lease.ts) and lets
 * go when it loses it.
 */
import type { Bus, Entry, Following, LogPattern } from '../bus/port.ts';
import { boundOf, type Quote } from '../protocols/budget.ts';
import { decode, versionOf, type MessageName } from '../protocols/catalogue.ts';
import type { Envelope } from '../protocols/envelope.ts';
import { failureOf, TroupeError, type Failure } from '../protocols/failure.ts';
import { Grant } from '../protocols/grant.ts';
import { grantId, runOf, type Address } from '../protocols/ids.ts';
import type { Clock } from './clock.ts';
import type { EffectResult, Runners } from './effects.ts';
import type { Definition, Effect, FoldEntry, Output, Timer } from './fold.ts';
import { draw, quoteOf, silenceOf } from './advance.ts';
import { Instance, type Retired } from './instance.ts';
import { SHARED_LEASE, type Lease } from './lease.ts';

export type HostOptions = {
  readonly bus: Bus;
  /** Unique for each start of a process: a claim by it can only be this host's. */
  readonly id: string;
  readonly clock: Clock;
  readonly runners: Runners;
  /** Who lives at an address; `undefined`: nobody that is hosted. */
  readonly resolve: (address: Address) => Definition | undefined;
  readonly observe?: (seen: Observed) => void;
  /** Sees what comes for actors that are not hosted here. */
  readonly unowned?: (entry: Entry) => void;
  /** Told when an actor that is hosted here has ended, also when history says so. */
  readonly ended?: (address: Address) => void;
  /** Entries of one actor between two snapshots of it, more where its state is large; 0: none are made. */
  readonly snapshotEvery?: number;
};

/** One step as it was taken, for progress, traces and charts. */
export type Observed = { readonly instance: Instance; readonly entry: FoldEntry; readonly outputs: readonly Output[]; readonly replayed: boolean };

type Adopting = { readonly fresh?: boolean; readonly history?: readonly Entry[]; readonly lease?: Lease };

/** Between what was written and what is heard of it. */
const HEARING_MS = 5;
/** Of a snapshot, that are worth an entry of the log: all snapshots of an actor together are about as long as what it heard. */
const CHARS_PER_ENTRY = 1_000;

/** Before the address of the actor that a snapshot is of. */
export const SNAPSHOT_PREFIX = 'snapshot.';

type Inbox = (entry: FoldEntry) => void;

/** One adopted unit. While its history is folded nothing is performed and what comes live waits. */
type Unit = {
  readonly prefix: string;
  /** A host that slept must not act on what it once had before it knows that it still has it. */
  readonly lease: Lease;
  /** About to be let go: what is under way ends, and nothing else begins. */
  quiet: boolean;
  /** Claims that were written and have not come back. */
  readonly claims: Set<string>;
  /** What came live while history was read; `undefined` once the unit is live. */
  waiting: Entry[] | undefined;
  /** Where the host does not follow everything at once. */
  following: readonly Following[];
  readonly instances: Map<Address, Instance>;
  readonly retired: Map<Address, Retired>;
  readonly timers: Map<string, { readonly cancel: () => void }>;
  /** Calls that are being made, by grant or attempt. */
  readonly running: Map<string, { readonly abort: AbortController; readonly end: Promise<void> }>;
  readonly appends: Set<Promise<void>>;
  /** Entries that an actor hears before its next snapshot. */
  readonly untilSnapshot: Map<Address, number>;
  /** Messages that history gave, by id: said again at the end unless their addressee has them. */
  readonly unheard: Map<string, { readonly from: Address; readonly cause: FoldEntry | undefined; readonly output: Output & { kind: 'send' } }>;
};

export class Host {
  readonly #options: HostOptions;
  readonly #units = new Map<string, Unit>();
  /** By the run that they belong to: who waits for an end waits before the run is adopted. */
  readonly #inboxes = new Map<string, Map<Address, Inbox>>();
  #following: Following | undefined;
  #stopped = false;
  #broken!: (reason: unknown) => void;
  /** Rejects when the bus can no longer be written to: the host is finished, and another one takes over. */
  readonly failed: Promise<never>;

  constructor(options: HostOptions) {
    this.#options = options;
    this.failed = new Promise<never>((_, reject) => (this.#broken = reject));
    this.failed.catch(() => {});
  }

  /** Follows the logs that match `scope` once for all units in it, from now on. A host of few units can do without. */
  async start(scope: LogPattern): Promise<void> {
    const { bus } = this.#options;
    this.#following = bus.follow(scope, await bus.head(), (entry) => this.#receive(entry));
  }

  /**
   * Takes a unit over: folds what its logs hold, then takes up what was pending. `fresh`: its logs are known to be empty;
   * `history`: all that they hold is known.
   */
  async adopt(prefix: string, { fresh = false, lease = SHARED_LEASE, history }: Adopting = {}): Promise<void> {
    const { bus } = this.#options;
    const unit = newUnit(prefix, lease);
    this.#units.set(prefix, unit);
    if (history) unit.waiting!.push(...history);
    if (!this.#following) {
      const from = fresh ? 0 : await bus.head();
      unit.following = patternsOf(prefix).map((pattern) => bus.follow(pattern, from, (entry) => this.#receive(entry)));
    }
    if (!fresh && !history) {
      const snapshots = await this.#snapshots(prefix);
      for (const pattern of patternsOf(prefix)) {
        for await (const entry of bus.read(pattern)) {
          if (this.#stopped || this.#units.get(prefix) !== unit) return;
          this.#fold(entry, unit, snapshots);
        }
      }
    }
    if (this.#stopped || this.#units.get(prefix) !== unit) return;
    // Synchronous to the end: no entry can come between what waited and what is live.
    for (const entry of unit.waiting!) this.#fold(entry, unit, undefined);
    unit.waiting = undefined;
    this.#takeUp(unit);
  }

  /**
   * Lets a unit go: performs nothing more for it. What is in flight is aborted, and its bill is still written (H4): resolves
   * when it is.
   */
  async release(prefix: string): Promise<void> {
    const unit = this.#units.get(prefix);
    if (!unit) return;
    this.#units.delete(prefix);
    halt(unit);
    this.#inboxes.delete(prefix);
    await Promise.race([settled(unit), this.failed.catch(() => {})]);
  }

  /** Lets what is under way for a unit end, and begins nothing else for it: whoever adopts it next finds no call in flight. */
  async quiesce(prefix: string): Promise<void> {
    const unit = this.#units.get(prefix);
    if (!unit) return;
    unit.quiet = true;
    while (unit.claims.size + unit.running.size + unit.appends.size > 0 && this.#units.get(prefix) === unit && !this.#stopped) {
      await Promise.race([settled(unit), this.failed.catch(() => {})]);
      if (unit.claims.size > 0) await new Promise<void>((resolve) => void this.#options.clock.after(HEARING_MS, resolve));
    }
  }

  /** Hands over the entries of an address at which no chart lives. */
  inbox(address: Address, onEntry: Inbox): void {
    const run = runOf(address);
    this.#inboxes.set(run, (this.#inboxes.get(run) ?? new Map<Address, Inbox>()).set(address, onEntry));
  }

  instance(address: Address): Instance | undefined {
    return this.#unitOf(address)?.instances.get(address);
  }

  /** The units that it has. */
  get units(): Iterable<string> {
    return this.#units.keys();
  }

  /** Calls that are being made. */
  get inFlight(): number {
    let calls = 0;
    for (const { running } of this.#units.values()) calls += running.size;
    return calls;
  }

  /** Every actor of a unit that has not ended. */
  instancesOf(prefix: string): Iterable<Instance> {
    return this.#units.get(prefix)?.instances.values() ?? [];
  }

  /** Says a message from outside. Durable when it resolves; the same id again changes nothing. */
  async tell(to: Address, from: Address, id: string, type: MessageName, data: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#options.bus.append(to, this.#envelope(id, from, type, data, undefined));
  }

  /** Resolves when no effect and no append of a unit is under way. */
  async settled(prefix: string): Promise<void> {
    const unit = this.#units.get(prefix);
    if (unit) await settled(unit);
  }

  /** Whether all that was said for a unit until now is durable, once that is known; `false` if it is not, or the unit is gone. */
  async said(prefix: string): Promise<boolean> {
    const unit = this.#units.get(prefix);
    if (!unit) return false;
    await Promise.all(unit.appends);
    return !this.#stopped && this.#units.get(prefix) === unit;
  }

  /** Stops taking part: releases every unit and waits for what is in flight. */
  async stop(): Promise<void> {
    await Promise.all([...this.#units.keys()].map((prefix) => this.release(prefix)));
    this.#stopped = true;
    this.#following?.stop();
  }

  // --- folding -------------------------------------------------------------------------------------------------------------

  #receive(entry: Entry): void {
    if (this.#stopped) return;
    const unit = this.#unitOf(entry.log);
    if (!unit) return this.#options.unowned?.(entry);
    if (!unit.waiting && !unit.lease.holds()) void this.#doubt(unit);
    if (unit.waiting) unit.waiting.push(entry);
    else this.#fold(entry, unit, undefined);
  }

  /** The host slept, or the bus was away: what comes waits until it is known whether the unit is still its own. */
  async #doubt(unit: Unit): Promise<void> {
    unit.waiting = [];
    const still = await unit.lease.confirm();
    if (this.#units.get(unit.prefix) !== unit) return;
    if (!still) return this.release(unit.prefix);
    const waited = unit.waiting;
    unit.waiting = undefined;
    for (const entry of waited) this.#fold(entry, unit, undefined);
  }

  #unitOf(log: string): Unit | undefined {
    return this.#units.get(log.slice(0, log.indexOf('.'))) ?? (this.#units.size > 0 ? this.#unitByPrefix(log) : undefined);
  }

  #unitByPrefix(log: string): Unit | undefined {
    for (let end = log.lastIndexOf('.'); end > 0; end = log.lastIndexOf('.', end - 1)) {
      const unit = this.#units.get(log.slice(0, end));
      if (unit) return unit;
    }
    return this.#units.get(log);
  }

  #fold(raw: Entry, unit: Unit, snapshots: ReadonlyMap<string, string> | undefined): void {
    const address = raw.log as Address;
    const entry = this.#decode(raw, unit);
    if (!entry) return;
    const { message } = entry;
    if (message.type === 'effect.claimed' && message.data.host === this.#options.id) unit.claims.delete(grantId(message.data.effect, message.data.attempt));
    const living = unit.instances.get(address);
    const retired = living ? undefined : unit.retired.get(address);
    if (retired) return this.#sends(address, entry, retired.apply(entry), unit);
    const inbox = living ? undefined : this.#inboxes.get(runOf(address))?.get(address);
    if (inbox) return inbox(entry);
    const instance = living ?? this.#begin(address, entry, unit, snapshots);
    if (!instance) return this.#bury(raw, unit, `nobody lives at ${address}`);
    let outputs: Output[];
    try {
      outputs = instance.apply(entry);
    } catch (thrown) {
      return this.#bury(raw, unit, `${instance.definition.chart.name} could not take it: ${failureOf(thrown).message}`);
    }
    this.#options.observe?.({ instance, entry, outputs, replayed: unit.waiting !== undefined });
    if (entry.message.type === 'budget.checkpoint') forgetUnheard(unit, address);
    this.#give(instance, entry, outputs, unit);
    if (instance.ended) {
      retire(instance, unit);
      this.#options.ended?.(address);
    } else if (!unit.waiting) this.#mayFreeze(instance, unit);
  }

  #begin(address: Address, entry: FoldEntry, unit: Unit, snapshots: ReadonlyMap<string, string> | undefined): Instance | undefined {
    const definition = this.#options.resolve(address);
    if (!definition) return undefined;
    const frozen = snapshots?.get(address);
    const thawed = frozen === undefined ? undefined : Instance.thaw(address, definition, frozen);
    if (thawed) {
      unit.instances.set(address, thawed);
      return thawed;
    }
    const [instance, outputs] = Instance.begin(address, definition, entry.at);
    unit.instances.set(address, instance);
    this.#give(instance, undefined, outputs, unit);
    return instance;
  }

  #decode(raw: Entry, unit: Unit): FoldEntry | undefined {
    const { envelope } = raw;
    const { position, at } = raw;
    // What this process wrote itself and gets back as the same object needs no second look.
    if (envelope instanceof Own) return { position, at, id: envelope.id, from: envelope.from, message: envelope as unknown as FoldEntry['message'] };
    const decoded = decode(envelope);
    if (decoded.ok) return { position, at, id: envelope.id, from: envelope.from, message: decoded.message };
    this.#bury(raw, unit, `${decoded.code}: ${decoded.reason}`);
    return undefined;
  }

  #bury(raw: Entry, unit: Unit, reason: string): void {
    this.#track(unit, this.#options.bus.bury({ source: raw.log, reason, body: JSON.stringify(raw.envelope) }));
  }

  // --- taking over ---------------------------------------------------------------------------------------------------------

  #takeUp(unit: Unit): void {
    for (const [id, { from, cause, output }] of unit.unheard) {
      if (!(unit.instances.get(output.to) ?? unit.retired.get(output.to))?.has(id)) this.#send(unit, from, cause, output);
    }
    unit.unheard.clear();
    for (const instance of unit.instances.values()) {
      for (const effect of Object.values(instance.state.effects)) this.#resume(unit, instance, effect);
      for (const timer of Object.values(instance.state.timers)) this.#arm(unit, instance.address, timer);
    }
  }

  #resume(unit: Unit, instance: Instance, effect: Effect): void {
    if (effect.phase === 'asked') this.#start(unit, instance, effect);
    else if (effect.phase === 'granted') this.#claim(unit, instance, effect);
    else {
      // H3: its host is gone, or let the unit go. It may have been paid; another attempt needs a grant of its own.
      const { key, attempt, claimedBy } = effect;
      this.#write(unit, instance.address, `${grantId(key, attempt)}/lost`, 'effect.lost', { effect: key, attempt, host: claimedBy! });
    }
  }

  // --- performing ----------------------------------------------------------------------------------------------------------

  #give(instance: Instance, cause: FoldEntry | undefined, outputs: readonly Output[], unit: Unit): void {
    if (unit.waiting) this.#sends(instance.address, cause, outputs, unit);
    else for (const output of outputs) this.#perform(unit, instance, cause, output);
  }

  /** Of outputs that were given before: only messages may have gone unheard, everything else is in the state. */
  #sends(from: Address, cause: FoldEntry | undefined, outputs: readonly Output[], unit: Unit): void {
    for (const output of outputs) {
      if (output.kind !== 'send') continue;
      if (unit.waiting) unit.unheard.set(output.id, { from, cause, output });
      else this.#send(unit, from, cause, output);
    }
  }

  #perform(unit: Unit, instance: Instance, cause: FoldEntry | undefined, output: Output): void {
    switch (output.kind) {
      case 'send':
        return this.#send(unit, instance.address, cause, output);
      case 'start':
        return this.#start(unit, instance, output.effect);
      case 'claim':
        return this.#claim(unit, instance, output.effect);
      case 'run':
        if (output.effect.claimedBy === this.#options.id) this.#run(unit, instance, output.effect);
        return;
      case 'stop':
        unit.running.get(grantId(output.effect.key, output.effect.attempt))?.abort.abort();
        return;
      case 'arm':
        return this.#arm(unit, instance.address, output.timer);
      case 'disarm':
        unit.timers.get(output.timer.key)?.cancel();
        unit.timers.delete(output.timer.key);
        return;
    }
  }

  #send(unit: Unit, from: Address, cause: FoldEntry | undefined, { id, to, type, data }: Output & { kind: 'send' }): void {
    this.#append(unit, to, this.#envelope(id, from, type, data, cause?.id));
  }

  #start(unit: Unit, instance: Instance, effect: Effect): void {
    if (unit.quiet) return;
    const runner = this.#options.runners[effect.src];
    if (!runner) return this.#refuse(unit, instance, effect, new TroupeError('EFFECT_UNKNOWN', `no runner stands behind the effect '${effect.src}'`));
    try {
      const quote = runner.quote?.(effect.input as never, instance.address);
      if (!quote) return this.#run(unit, instance, effect);
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
    this.#append(unit, account, this.#envelope(`${grant}/reserve`, address, 'budget.reserve', { grant, quote }, undefined));
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
      this.#write(unit, instance.address, `${grantId(key, attempt)}/drawn`, 'effect.drawn', {
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

  #claim(unit: Unit, instance: Instance, effect: Effect): void {
    if (unit.quiet) return;
    const { id: host } = this.#options;
    const attempt = grantId(effect.key, effect.attempt);
    unit.claims.add(attempt);
    this.#write(unit, instance.address, `${attempt}/claim/${host}`, 'effect.claimed', {
      effect: effect.key,
      attempt: effect.attempt,
      host,
    });
  }

  #run(unit: Unit, instance: Instance, effect: Effect): void {
    const attempt = grantId(effect.key, effect.attempt);
    if (unit.running.has(attempt)) return;
    const abort = new AbortController();
    const { address } = instance;
    const end = this.#call(unit, address, effect, abort.signal).then(async (result) => {
      const answered = result.ok && effect.grant !== undefined;
      const isOwn = answered || unit.lease.holds() || (await unit.lease.confirm());
      unit.running.delete(attempt);
      if (!isOwn || (!answered && abort.signal.aborted && this.#units.get(unit.prefix) !== unit)) this.#book(unit, instance, effect, result);
      else this.#finish(unit, address, effect, result);
    });
    unit.running.set(attempt, { abort, end });
  }

  async #call(unit: Unit, address: Address, effect: Effect, signal: AbortSignal): Promise<EffectResult> {
    try {
      const runner = this.#options.runners[effect.src]!;
      const looksOnly = !effect.grant && runner.readOnly?.(effect.input as never, address) === true;
      await (looksOnly ? undefined : this.#options.bus.durable()); // H1
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
    const { clock } = this.#options;
    const account = unit.instances.get(address)?.definition.account;
    const grantMs = deadline - clock.now();
    if (!account || grantMs <= 0) return () => {};
    let until = deadline;
    let stop = (): void => {};
    const next = (): void => {
      stop = clock.after((until - clock.now()) * (2 / 3), () => {
        until += grantMs;
        this.#append(unit, account, this.#envelope(`${grant}/extend/${until}`, address, 'budget.extend', { grant, deadline: until }, undefined));
        next();
      });
    };
    next();
    return () => stop();
  }

  #finish(unit: Unit, address: Address, effect: Effect, result: EffectResult): void {
    const { key, attempt } = effect;
    const id = `${grantId(key, attempt)}/end`;
    const bill = result.bill === undefined ? {} : { bill: billOf(effect, result.bill) };
    if (result.ok) return this.#write(unit, address, id, 'effect.completed', { effect: key, attempt, output: result.output, ...bill });
    const unused = result.unused === true ? { unused: grantId(key, attempt) } : {};
    this.#write(unit, address, id, 'effect.failed', { effect: key, attempt, failure: result.failure, ...bill, ...unused });
  }

  /** A call that was stopped because its unit was let go, or that failed while it was taken away, is no answer: the next owner makes it again. What it cost is booked (H4). */
  #book(unit: Unit, { address, definition: { account } }: Instance, effect: Effect, result: EffectResult): void {
    if (account === undefined) return;
    const grant = grantId(effect.key, effect.attempt);
    const say = (type: MessageName, data: Readonly<Record<string, unknown>>): void =>
      this.#append(unit, account, this.#envelope(`${grant}/stopped`, address, type, data, undefined));
    if (result.bill) say('budget.settle', billOf(effect, result.bill));
    else if (!result.ok && result.unused) say('budget.release', { grant, reason: result.failure.code });
  }

  #arm(unit: Unit, address: Address, timer: Timer): void {
    if (unit.timers.has(timer.key)) return;
    const { clock } = this.#options;
    const cancel = clock.after(Math.max(0, timer.due - clock.now()), () => {
      unit.timers.delete(timer.key);
      this.#write(unit, address, `${timer.key}/fired`, 'timer.fired', { timer: timer.key });
    });
    unit.timers.set(timer.key, { cancel });
  }

  // --- writing -------------------------------------------------------------------------------------------------------------

  #write(unit: Unit, log: Address, id: string, type: MessageName, data: Readonly<Record<string, unknown>>): void {
    this.#append(unit, log, this.#envelope(id, log, type, data, undefined));
  }

  #envelope(id: string, from: Address, type: MessageName, data: Readonly<Record<string, unknown>>, causation: string | undefined): Envelope {
    return new Own(id, type, from, data, this.#options.clock.now(), causation);
  }

  #append(unit: Unit, log: Address, envelope: Envelope): void {
    if (this.#stopped) return;
    this.#track(unit, this.#options.bus.append(log, envelope));
  }

  #track(unit: Unit, writing: Promise<unknown>): void {
    const done: Promise<void> = writing.then(
      () => void unit.appends.delete(done),
      (thrown: unknown) => {
        unit.appends.delete(done);
        this.#fail(thrown);
      },
    );
    unit.appends.add(done);
  }

  /** Crash-only: what could not be written may be what others wait for, so this host performs nothing more. */
  #fail(thrown: unknown): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#following?.stop();
    for (const unit of this.#units.values()) halt(unit);
    this.#broken(thrown);
  }

  // --- snapshots -----------------------------------------------------------------------------------------------------------

  async #snapshots(prefix: string): Promise<ReadonlyMap<string, string>> {
    const { bus } = this.#options;
    const found = new Map<string, string>();
    for (const key of await bus.keys(`${SNAPSHOT_PREFIX}${prefix}`)) {
      const at = key.slice(SNAPSHOT_PREFIX.length);
      if (at !== prefix && !at.startsWith(`${prefix}.`)) continue;
      const stored = await bus.get(key);
      if (stored) found.set(at, stored.value);
    }
    return found;
  }

  /** Messages that led up to a snapshot would not be said again, so it is stored only once they are durable. */
  #mayFreeze(instance: Instance, unit: Unit): void {
    const every = this.#options.snapshotEvery ?? 0;
    if (every === 0) return;
    const { address } = instance;
    const left = (unit.untilSnapshot.get(address) ?? every) - 1;
    unit.untilSnapshot.set(address, left);
    if (left > 0) return;
    const frozen = instance.freeze();
    unit.untilSnapshot.set(address, Math.max(every, Math.ceil(frozen.length / CHARS_PER_ENTRY)));
    const said = Promise.all(unit.appends);
    this.#track(
      unit,
      said.then(async () => void (this.#stopped || (await this.#options.bus.put(`${SNAPSHOT_PREFIX}${address}`, frozen)))),
    );
  }
}

/** An envelope that was made in this process: its payload was typed when it was said. */
class Own implements Envelope {
  readonly id: string;
  readonly type: MessageName;
  readonly v: number;
  readonly from: Address;
  readonly causation?: string;
  readonly correlation: string;
  readonly time: number;
  readonly data: Readonly<Record<string, unknown>>;

  constructor(id: string, type: MessageName, from: Address, data: Readonly<Record<string, unknown>>, time: number, causation: string | undefined) {
    this.id = id;
    this.type = type;
    this.v = versionOf(type);
    this.from = from;
    if (causation !== undefined) this.causation = causation;
    this.correlation = runOf(from);
    this.time = time;
    this.data = data;
  }
}

/** The logs of a unit: those below its prefix, and its own where the prefix is an address. */
const patternsOf = (prefix: string): readonly LogPattern[] => (prefix.includes('.') ? [prefix, `${prefix}.>`] : [`${prefix}.>`]);

const newUnit = (prefix: string, lease: Lease): Unit => ({
  prefix,
  lease,
  quiet: false,
  claims: new Set(),
  waiting: [],
  unheard: new Map(),
  following: [],
  instances: new Map(),
  retired: new Map(),
  timers: new Map(),
  running: new Map(),
  appends: new Set(),
  untilSnapshot: new Map(),
});

const retire = (instance: Instance, { instances, retired, untilSnapshot }: Unit): void => {
  const { address } = instance;
  instances.delete(address);
  untilSnapshot.delete(address);
  retired.set(address, instance.retire());
};

/** V6: the account learns from the bill what paid the call. */
const billOf = ({ grant }: Effect, bill: NonNullable<EffectResult['bill']>): NonNullable<EffectResult['bill']> =>
  grant?.advance === undefined ? bill : { ...bill, advance: grant.advance };

/** Whoever appended a checkpoint made sure that everything said before it was heard. */
const forgetUnheard = ({ unheard }: Unit, from: Address): void => {
  for (const [id, said] of unheard) if (said.from === from) unheard.delete(id);
};

/** Nothing more is heard, timed or called for the unit. */
const halt = ({ following, timers, running }: Unit): void => {
  for (const one of following) one.stop();
  for (const { cancel } of timers.values()) cancel();
  timers.clear();
  for (const { abort } of running.values()) abort.abort();
};

const settled = async ({ running, appends }: Unit): Promise<void> => {
  while (running.size + appends.size > 0) await Promise.all([...[...running.values()].map(({ end }) => end), ...appends]);
};

const stopped = (effect: Effect): EffectResult => {
  const said: Failure = { code: 'EFFECT_STOPPED', message: `${effect.src} was stopped before it began`, retryable: false, details: {} };
  return { ok: false, failure: said, ...(effect.grant && { unused: true as const }) };
};
