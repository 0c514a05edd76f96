/**
 * The host: owns actor instances, folds their logs and performs what the fold gives.
 *
 *   H2  Performing an output again is harmless: its id follows from the log.
 *   H5  Whatever a crash loses, taking over performs again: unheard messages, pending effects, armed timers.
 *
 * H1, H3 and H4 are about calls (calls.ts). A host follows the bus once for many actors. It owns units (unit.ts): whoever adopts
 * one holds its lease (lease.ts) and lets go when it loses it.
 */
import type { Bus, Entry, Following, LogPattern } from '../bus/port.ts';
import { decode, type MessageName } from '../protocols/catalogue.ts';
import { failureOf } from '../protocols/failure.ts';
import { grantId, runOf, type Address, type RunId } from '../protocols/ids.ts';
import { Calls } from './calls.ts';
import type { Clock } from './clock.ts';
import type { Runners } from './effects.ts';
import type { Definition, FoldEntry, Output, Timer } from './fold.ts';
import { Instance } from './instance.ts';
import { SHARED_LEASE, type Lease } from './lease.ts';
import { isDue, snapshotsOf, store } from './snapshots.ts';
import { forgetUnheard, halt, newUnit, patternsOf, retire, settled, type Unheard, type Unit } from './unit.ts';
import { isOwn, Writer } from './writer.ts';

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
  /** Whether a run was removed: what history said to it is not said again. */
  readonly isRemoved?: (run: RunId) => Promise<boolean>;
  /** Entries of one actor between two snapshots of it, more where its state is large; 0: none are made. */
  readonly snapshotEvery?: number;
};

/** One step as it was taken, for progress, traces and charts. */
export type Observed = { readonly instance: Instance; readonly entry: FoldEntry; readonly outputs: readonly Output[]; readonly replayed: boolean };

type Adopting = { readonly fresh?: boolean; readonly history?: readonly Entry[]; readonly lease?: Lease };

/** Between what was written and what is heard of it. */
const HEARING_MS = 5;
type Inbox = (entry: FoldEntry) => void;

export class Host {
  readonly #options: HostOptions;
  readonly #writer: Writer;
  readonly #calls: Calls;
  readonly #units = new Map<string, Unit>();
  /** Units until now. */
  #adopted = 0;
  /** Units that were let go and whose calls have not all been written down. */
  readonly #releasing = new Set<Promise<void>>();
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
    const { bus, id, clock, runners } = options;
    this.#writer = new Writer({ bus, clock, onFailure: (thrown) => this.#fail(thrown) });
    this.#calls = new Calls({ bus, id, clock, runners, writer: this.#writer, hosts: (unit) => this.#units.get(unit.prefix) === unit });
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
    const unit = newUnit(prefix, this.#adopted++, lease);
    this.#units.set(prefix, unit);
    if (history) unit.waiting!.push(...history);
    if (!this.#following) {
      const from = fresh ? 0 : await bus.head();
      unit.following = patternsOf(prefix).map((pattern) => bus.follow(pattern, from, (entry) => this.#receive(entry)));
    }
    if (!fresh && !history) {
      const snapshots = await snapshotsOf(bus, prefix);
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
    this.#inboxes.delete(prefix);
    const unit = this.#units.get(prefix);
    if (!unit) return;
    this.#units.delete(prefix);
    halt(unit);
    const ending = Promise.race([settled(unit), this.failed.catch(() => {})]);
    this.#releasing.add(ending);
    await ending;
    this.#releasing.delete(ending);
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
    await this.#options.bus.append(to, this.#writer.envelope(from, { id, type, data }));
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
    for (const prefix of this.#units.keys()) void this.release(prefix);
    await Promise.all(this.#releasing);
    this.#stopped = true;
    this.#writer.stop();
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
    } else if (!unit.waiting && isDue(unit, address, this.#options.snapshotEvery ?? 0)) this.#freeze(instance, unit);
  }

  #freeze(instance: Instance, unit: Unit): void {
    const { bus, snapshotEvery = 0 } = this.#options;
    this.#writer.track(
      unit,
      store(bus, unit, instance, snapshotEvery, () => this.#stopped),
    );
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
    if (isOwn(envelope)) return { position, at, id: envelope.id, from: envelope.from, message: envelope as unknown as FoldEntry['message'] };
    const decoded = decode(envelope);
    if (decoded.ok) return { position, at, id: envelope.id, from: envelope.from, message: decoded.message };
    this.#bury(raw, unit, `${decoded.code}: ${decoded.reason}`);
    return undefined;
  }

  #bury(raw: Entry, unit: Unit, reason: string): void {
    this.#writer.track(unit, this.#options.bus.bury({ source: raw.log, reason, body: JSON.stringify(raw.envelope) }));
  }

  // --- taking over ---------------------------------------------------------------------------------------------------------

  #takeUp(unit: Unit): void {
    const abroad = new Map<RunId, Unheard[]>();
    for (const [id, said] of unit.unheard) {
      const { to } = said.output;
      const run = runOf(to);
      if (run !== runOf(said.from)) {
        const unheard = abroad.get(run);
        if (unheard) unheard.push(said);
        else abroad.set(run, [said]);
      } else if (!(unit.instances.get(to) ?? unit.retired.get(to))?.has(id)) this.#send(unit, said.from, said.cause, said.output);
    }
    if (abroad.size > 0) this.#writer.track(unit, this.#sayAbroad(unit, abroad));
    unit.unheard.clear();
    for (const instance of unit.instances.values()) {
      for (const effect of Object.values(instance.state.effects)) this.#calls.resume(unit, instance, effect);
      for (const timer of Object.values(instance.state.timers)) this.#arm(unit, instance.address, timer);
    }
  }

  /** What the actors of other runs may not have heard. */
  async #sayAbroad(unit: Unit, abroad: ReadonlyMap<RunId, readonly Unheard[]>): Promise<void> {
    const { isRemoved } = this.#options;
    for (const [run, unheard] of abroad) {
      if (await isRemoved?.(run)) continue;
      if (this.#units.get(unit.prefix) !== unit) return;
      for (const { from, cause, output } of unheard) this.#send(unit, from, cause, output);
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
        return this.#calls.start(unit, instance, output.effect);
      case 'claim':
        return this.#calls.claim(unit, instance, output.effect);
      case 'run':
        return this.#calls.claimed(unit, instance, output.effect);
      case 'stop':
        return this.#calls.stop(unit, output.effect);
      case 'arm':
        return this.#arm(unit, instance.address, output.timer);
      case 'disarm':
        unit.timers.get(output.timer.key)?.cancel();
        unit.timers.delete(output.timer.key);
        return;
    }
  }

  #send(unit: Unit, from: Address, cause: FoldEntry | undefined, { id, to, type, data }: Output & { kind: 'send' }): void {
    this.#writer.send(unit, from, to, { id, type, data, causation: cause?.id });
  }

  #arm(unit: Unit, address: Address, timer: Timer): void {
    if (unit.timers.has(timer.key)) return;
    const { clock } = this.#options;
    const cancel = clock.after(Math.max(0, timer.due - clock.now()), () => {
      unit.timers.delete(timer.key);
      this.#writer.note(unit, address, `${timer.key}/fired`, 'timer.fired', { timer: timer.key });
    });
    unit.timers.set(timer.key, { cancel });
  }

  #fail(thrown: unknown): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#writer.stop();
    this.#following?.stop();
    for (const unit of this.#units.values()) halt(unit);
    this.#broken(thrown);
  }
}
