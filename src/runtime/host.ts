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
 * together, a run as a rule. Whoever adopts a unit holds its lease (lease.ts) and lets go when it loses it.
 */
import type { Bus, Entry, Following, LogPattern } from '../bus/port.ts';
import { decode, versionOf, type MessageName } from '../protocols/catalogue.ts';
import type { Envelope } from '../protocols/envelope.ts';
import { failureOf, TroupeError, type Failure } from '../protocols/failure.ts';
import { Grant } from '../protocols/grant.ts';
import { grantId, runOf, type Address } from '../protocols/ids.ts';
import type { Clock } from './clock.ts';
import { isPaid, type EffectResult, type Runners } from './effects.ts';
import type { Definition, Effect, FoldEntry, Output, Timer } from './fold.ts';
import { Instance, type Retired } from './instance.ts';

export type HostOptions = {
  readonly bus: Bus;
  /** Unique for each start of a process: a claim by it can only be this host's. */
  readonly id: string;
  readonly clock: Clock;
  readonly runners: Runners;
  /** Who lives at an address; `undefined`: nobody that is hosted. */
  readonly resolve: (address: Address) => Definition | undefined;
  readonly observe?: (seen: Observed) => void;
  /** Entries of one actor between two snapshots of it; 0: none are made. */
  readonly snapshotEvery?: number;
};

/** One step as it was taken, for progress, traces and charts. */
export type Observed = { readonly instance: Instance; readonly entry: FoldEntry; readonly outputs: readonly Output[]; readonly replayed: boolean };

type Inbox = (entry: FoldEntry) => void;

/** One adopted unit. While its history is folded nothing is performed and what comes live waits. */
type Unit = {
  readonly prefix: string;
  /** Whether its lease still runs, by this host's own clock: a host that slept must not act on what it once held. */
  readonly holds: () => boolean;
  /** What came live while history was read; `undefined` once the unit is live. */
  waiting: Entry[] | undefined;
  /** Where the host does not follow everything at once. */
  following: Following | undefined;
  /** Messages that history gave, by id: said again at the end unless their addressee has them. */
  readonly unheard: Map<string, { readonly from: Address; readonly cause: FoldEntry | undefined; readonly output: Output & { kind: 'send' } }>;
};

export class Host {
  readonly #options: HostOptions;
  readonly #units = new Map<string, Unit>();
  readonly #instances = new Map<Address, Instance>();
  readonly #retired = new Map<Address, Retired>();
  readonly #inboxes = new Map<Address, Inbox>();
  readonly #running = new Map<string, { readonly address: Address; readonly abort: AbortController; readonly end: Promise<void> }>();
  readonly #timers = new Map<string, { readonly address: Address; readonly cancel: () => void }>();
  readonly #own = new WeakSet<Envelope>();
  readonly #appends = new Set<Promise<void>>();
  readonly #sinceSnapshot = new Map<Address, number>();
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

  /** Takes a unit over: folds what its logs hold, then takes up what was pending. `fresh`: its logs are known to be empty. */
  async adopt(prefix: string, { fresh = false, holds = () => true }: { fresh?: boolean; holds?: () => boolean } = {}): Promise<void> {
    const { bus } = this.#options;
    const unit: Unit = { prefix, holds, waiting: [], unheard: new Map(), following: undefined };
    this.#units.set(prefix, unit);
    if (!this.#following) unit.following = bus.follow(`${prefix}.>`, fresh ? 0 : await bus.head(), (entry) => this.#receive(entry));
    if (!fresh) {
      const snapshots = await this.#snapshots(prefix);
      for await (const entry of bus.read(`${prefix}.>`)) {
        if (this.#stopped || this.#units.get(prefix) !== unit) return;
        this.#fold(entry, unit, snapshots);
      }
    }
    // Synchronous to the end: no entry can come between what waited and what is live.
    for (const entry of unit.waiting!) this.#fold(entry, unit, undefined);
    unit.waiting = undefined;
    this.#takeUp(unit);
  }

  /** Lets a unit go: performs nothing more for it. What is in flight is aborted, and its bill is still written (H4). */
  release(prefix: string): void {
    this.#units.get(prefix)?.following?.stop();
    this.#units.delete(prefix);
    const inside = (address: Address) => address.startsWith(`${prefix}.`);
    for (const [key, { address, cancel }] of this.#timers) {
      if (!inside(address)) continue;
      cancel();
      this.#timers.delete(key);
    }
    for (const { address, abort } of this.#running.values()) if (inside(address)) abort.abort();
    for (const address of this.#instances.keys()) if (inside(address)) this.#forget(address);
    for (const address of this.#retired.keys()) if (inside(address)) this.#retired.delete(address);
    for (const address of this.#inboxes.keys()) if (inside(address)) this.#inboxes.delete(address);
  }

  /** Hands over the entries of an address at which no chart lives. */
  inbox(address: Address, onEntry: Inbox): void {
    this.#inboxes.set(address, onEntry);
  }

  instance(address: Address): Instance | undefined {
    return this.#instances.get(address);
  }

  get instances(): IterableIterator<Instance> {
    return this.#instances.values();
  }

  /** Says a message from outside. Durable when it resolves; the same id again changes nothing. */
  async tell(to: Address, from: Address, id: string, type: MessageName, data: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#options.bus.append(to, this.#envelope(id, from, type, data, undefined));
  }

  /** Resolves when no effect and no append of this host is under way. */
  async settled(): Promise<void> {
    while (this.#running.size + this.#appends.size > 0) {
      await Promise.all([...[...this.#running.values()].map(({ end }) => end), ...this.#appends]);
    }
  }

  /** Stops taking part: releases every unit and waits for what is in flight. */
  async stop(): Promise<void> {
    for (const prefix of this.#units.keys()) this.release(prefix);
    await Promise.race([this.settled(), this.failed.catch(() => {})]);
    this.#stopped = true;
    this.#following?.stop();
  }

  // --- folding -------------------------------------------------------------------------------------------------------------

  #receive(entry: Entry): void {
    const unit = this.#unitOf(entry.log);
    if (!unit || this.#stopped) return;
    if (!unit.holds()) return this.release(unit.prefix);
    if (unit.waiting) unit.waiting.push(entry);
    else this.#fold(entry, unit, undefined);
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
    const entry = this.#decode(raw);
    if (!entry) return;
    const inbox = this.#inboxes.get(address);
    if (inbox) return inbox(entry);
    const retired = this.#retired.get(address);
    if (retired) return this.#sends(address, entry, retired.apply(entry), unit);
    const instance = this.#instances.get(address) ?? this.#begin(address, entry, unit, snapshots);
    if (!instance) return this.#bury(raw, `nobody lives at ${address}`);
    let outputs: Output[];
    try {
      outputs = instance.apply(entry);
    } catch (thrown) {
      return this.#bury(raw, `${instance.definition.chart.name} could not take it: ${failureOf(thrown).message}`);
    }
    this.#options.observe?.({ instance, entry, outputs, replayed: unit.waiting !== undefined });
    this.#give(instance, entry, outputs, unit);
    if (instance.ended) this.#retire(instance);
    else if (!unit.waiting) this.#mayFreeze(instance);
  }

  #begin(address: Address, entry: FoldEntry, unit: Unit, snapshots: ReadonlyMap<string, string> | undefined): Instance | undefined {
    const definition = this.#options.resolve(address);
    if (!definition) return undefined;
    const frozen = snapshots?.get(address);
    const thawed = frozen === undefined ? undefined : Instance.thaw(address, definition, frozen);
    if (thawed) {
      this.#instances.set(address, thawed);
      return thawed;
    }
    const [instance, outputs] = Instance.begin(address, definition, entry.at);
    this.#instances.set(address, instance);
    this.#give(instance, undefined, outputs, unit);
    return instance;
  }

  #decode(raw: Entry): FoldEntry | undefined {
    const { envelope } = raw;
    const { position, at } = raw;
    // What this host wrote itself and gets back as the same object needs no second look.
    if (this.#own.has(envelope)) return { position, at, id: envelope.id, from: envelope.from, message: envelope as unknown as FoldEntry['message'] };
    const decoded = decode(envelope);
    if (decoded.ok) return { position, at, id: envelope.id, from: envelope.from, message: decoded.message };
    this.#bury(raw, `${decoded.code}: ${decoded.reason}`);
    return undefined;
  }

  #bury(raw: Entry, reason: string): void {
    this.#track(this.#options.bus.bury({ source: raw.log, reason, body: JSON.stringify(raw.envelope) }));
  }

  #retire(instance: Instance): void {
    this.#forget(instance.address);
    this.#retired.set(instance.address, instance.retire());
  }

  #forget(address: Address): void {
    this.#instances.delete(address);
    this.#sinceSnapshot.delete(address);
  }

  // --- taking over ---------------------------------------------------------------------------------------------------------

  #takeUp(unit: Unit): void {
    for (const [id, { from, cause, output }] of unit.unheard) {
      if (!(this.#instances.get(output.to) ?? this.#retired.get(output.to))?.has(id)) this.#send(from, cause, output);
    }
    unit.unheard.clear();
    for (const instance of this.#instances.values()) {
      if (this.#unitOf(instance.address) !== unit) continue;
      for (const effect of Object.values(instance.state.effects)) this.#resume(instance, effect);
      for (const timer of Object.values(instance.state.timers)) this.#arm(instance.address, timer);
    }
  }

  #resume(instance: Instance, effect: Effect): void {
    if (effect.phase === 'asked') this.#start(instance, effect);
    else if (effect.phase === 'granted') this.#claim(instance, effect);
    else if (effect.claimedBy !== this.#options.id) {
      // H3: its host is gone, or no longer the owner. It may have been paid; another attempt needs a grant of its own.
      const { key, attempt, claimedBy } = effect;
      this.#write(instance.address, `${grantId(key, attempt)}/lost`, 'effect.lost', { effect: key, attempt, host: claimedBy! });
    }
  }

  // --- performing ----------------------------------------------------------------------------------------------------------

  #give(instance: Instance, cause: FoldEntry | undefined, outputs: readonly Output[], unit: Unit): void {
    if (unit.waiting) this.#sends(instance.address, cause, outputs, unit);
    else for (const output of outputs) this.#perform(instance, cause, output);
  }

  /** Of outputs that were given before: only messages may have gone unheard, everything else is in the state. */
  #sends(from: Address, cause: FoldEntry | undefined, outputs: readonly Output[], unit: Unit): void {
    for (const output of outputs) {
      if (output.kind !== 'send') continue;
      if (unit.waiting) unit.unheard.set(output.id, { from, cause, output });
      else this.#send(from, cause, output);
    }
  }

  #perform(instance: Instance, cause: FoldEntry | undefined, output: Output): void {
    switch (output.kind) {
      case 'send':
        return this.#send(instance.address, cause, output);
      case 'start':
        return this.#start(instance, output.effect);
      case 'claim':
        return this.#claim(instance, output.effect);
      case 'run':
        if (output.effect.claimedBy === this.#options.id) this.#run(instance, output.effect);
        return;
      case 'stop':
        this.#running.get(grantId(output.effect.key, output.effect.attempt))?.abort.abort();
        return;
      case 'arm':
        return this.#arm(instance.address, output.timer);
      case 'disarm':
        this.#timers.get(output.timer.key)?.cancel();
        this.#timers.delete(output.timer.key);
        return;
    }
  }

  #send(from: Address, cause: FoldEntry | undefined, { id, to, type, data }: Output & { kind: 'send' }): void {
    this.#append(to, this.#envelope(id, from, type, data, cause?.id));
  }

  #start(instance: Instance, effect: Effect): void {
    const runner = this.#options.runners[effect.src];
    if (!runner) return this.#refuse(instance, effect, new TroupeError('EFFECT_UNKNOWN', `no runner stands behind the effect '${effect.src}'`));
    if (!isPaid(runner)) return this.#run(instance, effect);
    const { account } = instance.definition;
    if (!account) return this.#refuse(instance, effect, new TroupeError('BUDGET_NONE', `${instance.address} has no account to pay '${effect.src}' from`));
    const grant = grantId(effect.key, effect.attempt);
    try {
      const quote = runner.quote(effect.input as never, instance.address);
      this.#append(account, this.#envelope(`${grant}/reserve`, instance.address, 'budget.reserve', { grant, quote }, undefined));
    } catch (thrown) {
      this.#refuse(instance, effect, thrown);
    }
  }

  #refuse(instance: Instance, effect: Effect, thrown: unknown): void {
    this.#finish(instance.address, effect, { ok: false, failure: failureOf(thrown) });
  }

  #claim(instance: Instance, effect: Effect): void {
    const { id: host } = this.#options;
    this.#write(instance.address, `${grantId(effect.key, effect.attempt)}/claim/${host}`, 'effect.claimed', { effect: effect.key, attempt: effect.attempt, host });
  }

  #run(instance: Instance, effect: Effect): void {
    const attempt = grantId(effect.key, effect.attempt);
    if (this.#running.has(attempt)) return;
    const abort = new AbortController();
    const { address } = instance;
    const end = this.#call(address, effect, abort.signal).then((result) => {
      this.#running.delete(attempt);
      this.#finish(address, effect, result);
    });
    this.#running.set(attempt, { address, abort, end });
  }

  async #call(address: Address, effect: Effect, signal: AbortSignal): Promise<EffectResult> {
    try {
      await this.#options.bus.durable(); // H1
      if (signal.aborted || this.#unitOf(address)?.holds() !== true) return stopped(effect);
      const runner = this.#options.runners[effect.src]!;
      const context = { address, signal };
      if (!isPaid(runner)) return await runner.run(effect.input as never, context);
      return await runner.run(effect.input as never, context, Grant.from(effect.grant!));
    } catch (thrown) {
      // A runner gives its failures as values; what it throws is a bug, and nobody knows what it cost: the grant runs out.
      return { ok: false, failure: failureOf(thrown) };
    }
  }

  #finish(address: Address, effect: Effect, result: EffectResult): void {
    const { key, attempt } = effect;
    const id = `${grantId(key, attempt)}/end`;
    const bill = result.bill === undefined ? {} : { bill: result.bill };
    if (result.ok) return this.#write(address, id, 'effect.completed', { effect: key, attempt, output: result.output, ...bill });
    const unused = result.unused === true ? { unused: grantId(key, attempt) } : {};
    this.#write(address, id, 'effect.failed', { effect: key, attempt, failure: result.failure, ...bill, ...unused });
  }

  #arm(address: Address, timer: Timer): void {
    if (this.#timers.has(timer.key)) return;
    const { clock } = this.#options;
    const cancel = clock.after(Math.max(0, timer.due - clock.now()), () => {
      this.#timers.delete(timer.key);
      this.#write(address, `${timer.key}/fired`, 'timer.fired', { timer: timer.key });
    });
    this.#timers.set(timer.key, { address, cancel });
  }

  // --- writing -------------------------------------------------------------------------------------------------------------

  #write(log: Address, id: string, type: MessageName, data: Readonly<Record<string, unknown>>): void {
    this.#append(log, this.#envelope(id, log, type, data, undefined));
  }

  #envelope(id: string, from: Address, type: MessageName, data: Readonly<Record<string, unknown>>, causation: string | undefined): Envelope {
    const time = this.#options.clock.now();
    return { id, type, v: versionOf(type), from, ...(causation !== undefined && { causation }), correlation: runOf(from), time, data: data };
  }

  #append(log: Address, envelope: Envelope): void {
    if (this.#stopped) return;
    this.#own.add(envelope);
    this.#track(this.#options.bus.append(log, envelope));
  }

  #track(writing: Promise<unknown>): void {
    const done: Promise<void> = writing.then(
      () => void this.#appends.delete(done),
      (thrown: unknown) => {
        this.#appends.delete(done);
        this.#fail(thrown);
      },
    );
    this.#appends.add(done);
  }

  /** Crash-only: what could not be written may be what others wait for, so this host performs nothing more. */
  #fail(thrown: unknown): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#following?.stop();
    for (const { following } of this.#units.values()) following?.stop();
    for (const { cancel } of this.#timers.values()) cancel();
    for (const { abort } of this.#running.values()) abort.abort();
    this.#broken(thrown);
  }

  // --- snapshots -----------------------------------------------------------------------------------------------------------

  async #snapshots(prefix: string): Promise<ReadonlyMap<string, string>> {
    const { bus } = this.#options;
    const found = new Map<string, string>();
    for (const key of await bus.keys(`snapshot.${prefix}.`)) {
      const stored = await bus.get(key);
      if (stored) found.set(key.slice('snapshot.'.length), stored.value);
    }
    return found;
  }

  /** Messages that led up to a snapshot would not be said again, so it is stored only once they are durable. */
  #mayFreeze(instance: Instance): void {
    const every = this.#options.snapshotEvery ?? 0;
    if (every === 0) return;
    const { address } = instance;
    const count = (this.#sinceSnapshot.get(address) ?? 0) + 1;
    this.#sinceSnapshot.set(address, count < every ? count : 0);
    if (count < every) return;
    const frozen = instance.freeze();
    const said = Promise.all([...this.#appends]);
    this.#track(said.then(async () => void (this.#stopped || (await this.#options.bus.put(`snapshot.${address}`, frozen)))));
  }
}

const stopped = (effect: Effect): EffectResult => {
  const said: Failure = { code: 'EFFECT_STOPPED', message: `${effect.src} was stopped before it began`, retryable: false, details: {} };
  return { ok: false, failure: said, ...(effect.grant && { unused: true as const }) };
};
