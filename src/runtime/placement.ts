/**
 * Who hosts what, where many processes could: each process that plays a part sees every entry for it, and all of them choose
 * alike which one takes an actor on. The lease decides; the choice only keeps them from asking for it all at once.
 *
 *   P1  An actor for which an entry came is hosted, as long as some process that plays its part has room.
 *   P2  What a host had is free when the host is fenced (presence.ts), and not before, whatever was or was not heard of it; whoever
 *       plays the part takes it on and folds its log.
 *   P3  An actor that has ended is let go; an entry that comes late is folded by whoever takes it on then.
 *   P4  A host that drains takes nothing on, and hands over what it has when what is under way has ended.
 */
import type { Bus, Entry } from '../bus/port.ts';
import { failureOf } from '../protocols/failure.ts';
import type { Address } from '../protocols/ids.ts';
import type { Clock } from './clock.ts';
import type { Host } from './host.ts';
import { LEASE_PREFIX, NOBODY, SHARED_LEASE, takeLeaseAt, type Lease } from './lease.ts';
import { fence, hostOf, isKnownDead, watchHosts, type Peer, type Presence } from './presence.ts';
import { SNAPSHOT_PREFIX } from './snapshots.ts';

/** What an actor is to those who could host it. */
export type Part = {
  readonly team: string;
  readonly agent: string;
  /** Any number of hosts have it at once, and all of them decide alike. */
  readonly shared: boolean;
};

export type PlacementOptions = {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly host: Host;
  readonly presence: Presence;
  /** Which part it is; `undefined`: none that is placed. Whatever is needed to host it is at hand when it resolves. */
  readonly partOf: (address: Address) => Promise<Part | undefined>;
  /** The parts that this process plays. */
  readonly plays: (part: Part) => boolean;
  /** Actors at once. */
  readonly concurrency: number;
  /** Whether an entry of this type is the first that its actor ever gets. */
  readonly isBirth: (type: string) => boolean;
  readonly onChange?: (change: PlacementChange) => void;
};

export type PlacementChange =
  | { readonly kind: 'taken'; readonly unit: Address; readonly from?: string }
  | { readonly kind: 'let go'; readonly unit: Address }
  | { readonly kind: 'silent'; readonly host: string };

/** Of an actor that is let go: whether it has ended, or waits for another host. */
type Parting = 'over' | 'open';

type Waiting = {
  readonly unit: Address;
  readonly part: Part;
  /** All that its log holds, if its first entry was seen. */
  readonly entries: Entry[] | undefined;
  /** Of its turn; none while there is no room for it here. */
  stop: (() => void) | undefined;
};

/** For the one that was chosen to take an actor on, before the next one does. */
const TURN_MS = 150;
/** Between two tries while the bus is away. */
const AGAIN_MS = 600;

export class Placement {
  readonly #options: PlacementOptions;
  readonly #leases = new Map<string, { readonly host: string; readonly revision: number }>();
  readonly #loads = new Map<string, number>();
  readonly #peers = new Map<string, Peer>();
  /** Entries came, and nobody is known to host it. */
  readonly #waiting = new Map<Address, Waiting>();
  /** Entries for actors of which it is not known yet whether they are played here; `undefined`: there are others before them. */
  readonly #asking = new Map<Address, Entry[] | undefined>();
  /** Actors of which something was seen: an entry that comes now is not the first, also where the bus brings the first again. */
  readonly #known = new Set<string>();
  #knowsAll = false;
  readonly #mine = new Map<Address, { readonly lease: Lease; readonly shared: boolean }>();
  readonly #taking = new Map<Address, Part>();
  readonly #watches: { stop(): void }[] = [];
  #stopLooking = (): void => {};
  /** Until then nobody is fenced: this host was away itself. */
  #mercyUntil = 0;
  #draining = false;
  #closed = false;

  constructor(options: PlacementOptions) {
    this.#options = options;
  }

  start(): void {
    const { bus, clock } = this.#options;
    this.#watches.push(
      watchHosts(bus, clock, (id, peer) => this.#hears(id, peer)),
      bus.watchStore(LEASE_PREFIX, ({ key, value, revision }) => this.#sees(key.slice(LEASE_PREFIX.length), value, revision)),
    );
    this.#look();
  }

  /** Actors that it hosts alone, or is about to. */
  get load(): number {
    let load = 0;
    for (const { shared } of this.#taking.values()) if (!shared) load++;
    for (const [unit, { shared }] of this.#mine) if (!shared && !this.#taking.has(unit)) load++;
    return load;
  }

  /** An entry came for an actor that is not hosted here. */
  receive(entry: Entry): void {
    if (this.#closed) return;
    const unit = entry.log as Address;
    const waiting = this.#waiting.get(unit);
    if (waiting) return void waiting.entries?.push(entry);
    if (this.#asking.has(unit)) return void this.#asking.get(unit)?.push(entry);
    const isFirst = this.#knowsAll && !this.#known.has(unit) && this.#options.isBirth(entry.envelope.type);
    this.#consider(unit, isFirst ? [entry] : undefined);
  }

  /** An actor may be without a host: what came for it came before this process looked. */
  find(unit: Address): void {
    if (this.#closed) return;
    if (!this.#asking.has(unit) && !this.#waiting.has(unit) && !this.#mine.has(unit)) this.#consider(unit, undefined);
  }

  /** Everything that was there before this process has been found. Until then no entry is taken for the first of its actor. */
  knowsAll(): void {
    this.#knowsAll = true;
  }

  /** An actor that is hosted here has ended. */
  async ended(unit: Address): Promise<void> {
    const { host } = this.#options;
    if (this.#taking.has(unit)) return; // history says so: there may be something to say again
    await host.settled(unit);
    await this.#letGo(unit, 'over');
  }

  /** Actors that nobody is to host any more: theirs is over. */
  async dismiss(isMeant: (unit: string) => boolean): Promise<void> {
    for (const unit of this.#known) if (isMeant(unit)) this.#known.delete(unit);
    for (const unit of this.#asking.keys()) if (isMeant(unit)) this.#asking.delete(unit);
    await this.#letGoWhere(isMeant, 'over');
    const { bus } = this.#options;
    const left = [...this.#leases.keys()].filter(isMeant);
    await Promise.all(left.map((unit) => bus.delete(`${LEASE_PREFIX}${unit}`).catch(() => {}))); // of hosts that died before they could
  }

  /** Lets everything go, for whoever takes it on. */
  letAllGo(): Promise<void> {
    return this.#letGoWhere(() => true, 'open');
  }

  async #letGoWhere(isMeant: (unit: Address) => boolean, how: Parting): Promise<void> {
    for (const waiting of [...this.#waiting.values()]) if (isMeant(waiting.unit)) this.#forget(waiting);
    await Promise.all([...this.#mine.keys()].filter(isMeant).map((unit) => this.#letGo(unit, how)));
  }

  async #letGo(unit: Address, how: Parting): Promise<void> {
    const { bus, host, onChange } = this.#options;
    const mine = this.#mine.get(unit);
    if (!mine) return;
    this.#mine.delete(unit);
    await host.release(unit);
    await (how === 'over' ? mine.lease.release() : mine.lease.handOver());
    if (how === 'over') void bus.delete(`${SNAPSHOT_PREFIX}${unit}`).catch(() => {}); // a cache: what stays behind is in nobody's way
    onChange?.({ kind: 'let go', unit });
    this.#placeWaiting();
  }

  /** Takes nothing on from now on, and hands over what it has: what is under way may end until `deadlineMs` from now. */
  async drain(deadlineMs: number): Promise<void> {
    const { host, clock, presence } = this.#options;
    this.#draining = true;
    for (const { stop } of this.#waiting.values()) stop?.();
    this.#waiting.clear();
    await presence.say({ draining: true }).catch(() => {});
    let stop = (): void => {};
    const late = new Promise<void>((resolve) => (stop = clock.after(deadlineMs, resolve)));
    await Promise.all(
      [...this.#mine.keys()].map(async (unit) => {
        await Promise.race([host.quiesce(unit), late]);
        await this.#letGo(unit, 'open');
      }),
    );
    stop();
  }

  /** Stops taking part. What it has is free when its presence ends. */
  close(): void {
    this.#closed = true;
    this.#stopLooking();
    for (const { stop } of this.#watches) stop();
    for (const { stop } of this.#waiting.values()) stop?.();
    this.#waiting.clear();
  }

  // --- what is known of the others -----------------------------------------------------------------------------------------

  #hears(id: string, peer: Peer | undefined): void {
    if (this.#closed) return;
    const before = this.#peers.get(id);
    if (peer) this.#peers.set(id, peer);
    else this.#gone(id);
    if (before?.record.draining !== peer?.record.draining || !before !== !peer) this.#placeWaiting();
  }

  /** P2 */
  #gone(id: string): void {
    this.#peers.delete(id);
    for (const [unit, { host }] of this.#leases) if (host === id) this.find(unit as Address);
  }

  #sees(unit: string, host: string | undefined, revision: number): void {
    if (this.#closed) return;
    const before = this.#leases.get(unit);
    if (before) this.#count(before.host, -1);
    if (host === undefined) {
      this.#leases.delete(unit);
      this.#placeWaiting();
      return;
    }
    this.#leases.set(unit, { host, revision });
    this.#count(host, 1);
    const waiting = this.#waiting.get(unit as Address);
    if (this.#isElsewhere(host)) {
      if (waiting && !waiting.part.shared) this.#forget(waiting);
    } else if (waiting) this.#place(waiting);
    else if (host !== this.#options.presence.id) this.find(unit as Address);
  }

  #count(host: string, by: number): void {
    this.#loads.set(host, (this.#loads.get(host) ?? 0) + by);
  }

  /** Whether another host that is not known to be gone has it. What is this host's own and not hosted here is as good as free. */
  #isElsewhere(host: string): boolean {
    return host !== this.#options.presence.id && this.#peers.has(host);
  }

  /** Once a second: who is silent is fenced, by whoever notices. */
  #look(): void {
    const { bus, clock, presence } = this.#options;
    this.#stopLooking = clock.after(Math.min(1_000, presence.leaseMs / 4), () => this.#look());
    const now = clock.now();
    if (!presence.holds()) {
      // Who was away itself cannot tell who was silent meanwhile.
      this.#mercyUntil = now + presence.leaseMs;
      for (const [id, peer] of this.#peers) this.#peers.set(id, { ...peer, heardAt: now });
      return;
    }
    if (now < this.#mercyUntil) return;
    for (const peer of this.#peers.values()) {
      const { id } = peer.record;
      if (id === presence.id || (now - peer.heardAt < presence.leaseMs && !isKnownDead(peer.record))) continue;
      fence(bus, peer).then(
        (fenced) => {
          if (!fenced || this.#closed) return;
          this.#options.onChange?.({ kind: 'silent', host: id });
          this.#gone(id);
          this.#placeWaiting();
        },
        () => {}, // the bus is away; it is tried again
      );
    }
  }

  // --- taking on -----------------------------------------------------------------------------------------------------------

  /** `entries`: all that came for it so far, if that is known. */
  #consider(unit: Address, entries: Entry[] | undefined): void {
    this.#known.add(unit);
    this.#asking.set(unit, entries);
    void this.#ask(unit);
  }

  async #ask(unit: Address): Promise<void> {
    const { partOf, plays, clock } = this.#options;
    let part: Part | undefined;
    try {
      part = await partOf(unit);
    } catch (thrown) {
      if (failureOf(thrown).retryable && !this.#closed) return void clock.after(AGAIN_MS, () => void this.#ask(unit)); // the bus is away
    }
    if (!this.#asking.has(unit)) return; // dismissed meanwhile
    const entries = this.#asking.get(unit);
    this.#asking.delete(unit);
    if (!part) this.#known.delete(unit);
    if (!part || !plays(part) || this.#draining || this.#closed || this.#mine.has(unit)) return;
    const { host } = this.#leases.get(unit) ?? {};
    if (host !== undefined && this.#isElsewhere(host) && !part.shared) return;
    const waiting: Waiting = { unit, part, entries, stop: undefined };
    this.#waiting.set(unit, waiting);
    this.#place(waiting);
  }

  #forget(waiting: Waiting): void {
    waiting.stop?.();
    this.#waiting.delete(waiting.unit);
  }

  #placeWaiting(): void {
    if (this.#draining || this.#closed) return;
    for (const waiting of [...this.#waiting.values()]) this.#place(waiting);
  }

  /** Room was kept for what others have now. */
  #placeIdle(): void {
    if (this.#draining || this.#closed) return;
    for (const waiting of [...this.#waiting.values()]) if (!waiting.stop && !this.#taking.has(waiting.unit)) this.#place(waiting);
  }

  #place(waiting: Waiting): void {
    const { concurrency } = this.#options;
    waiting.stop?.();
    waiting.stop = undefined;
    if (waiting.part.shared) return void this.#take(waiting);
    if (this.load >= concurrency) return; // P1: when something ends, or somebody else takes it
    const turn = this.#turn(waiting);
    if (turn === 0) return void this.#take(waiting);
    this.#in(turn * TURN_MS, waiting, () => {
      if (this.load < concurrency) void this.#take(waiting);
    });
  }

  #in(ms: number, waiting: Waiting, then: () => void): void {
    waiting.stop = this.#options.clock.after(ms, () => {
      waiting.stop = undefined;
      if (this.#waiting.get(waiting.unit) === waiting) then();
    });
  }

  /** Whose turn it is, and how many come before this host: the least busy first, and among equals by lot, alike for all. */
  #turn({ unit, part }: Waiting): number {
    const { presence, concurrency } = this.#options;
    const busy = (load: number, room: number): number => Math.floor((load * 8) / room);
    const own = [busy(this.load, concurrency), lot(unit, presence.id)] as const;
    let turn = 0;
    for (const { record } of this.#peers.values()) {
      const { id, serves, draining } = record;
      if (id === presence.id || draining || serves?.team !== part.team || !serves.agents.includes(part.agent)) continue;
      const load = this.#loads.get(id) ?? 0;
      if (load >= serves.concurrency) continue;
      const theirs = busy(load, serves.concurrency);
      if (theirs < own[0] || (theirs === own[0] && lot(unit, id) < own[1])) turn++;
    }
    return turn;
  }

  async #take(waiting: Waiting): Promise<void> {
    const { bus, clock, host, presence, onChange } = this.#options;
    const { unit, part, entries } = waiting;
    if (this.#taking.has(unit)) return;
    this.#taking.set(unit, part);
    const known = this.#leases.get(unit);
    try {
      if (known && (await this.#isOnRecord(known.host))) return this.#forget(waiting); // P2
      const lease = part.shared ? SHARED_LEASE : await takeLeaseAt(unit, known?.revision ?? 0, { bus, clock, presence });
      if (!lease) return this.#again(waiting); // somebody else was first: its lease is on its way here
      if (!(await lease.confirm())) return await lease.handOver(); // fenced meanwhile
      if (this.#draining || this.#closed) return await lease.handOver();
      if (this.#waiting.get(unit) !== waiting) return await lease.release(); // dismissed meanwhile
      // From here on the host takes what comes; nothing comes between what was kept and that.
      this.#forget(waiting);
      this.#mine.set(unit, { lease, shared: part.shared });
      await host.adopt(unit, { lease, ...(entries && { history: entries }) });
      onChange?.({ kind: 'taken', unit, ...(known && { from: known.host }) });
      if (!host.instance(unit)) queueMicrotask(() => void this.ended(unit));
    } catch {
      // The bus is away: when it is back, what waits is looked at again.
      await this.#letGo(unit, 'open');
      if (this.#waiting.get(unit) === waiting) this.#again(waiting);
      else clock.after(AGAIN_MS, () => this.find(unit));
    } finally {
      this.#taking.delete(unit);
      if (!this.#mine.has(unit)) this.#placeIdle();
    }
  }

  #again(waiting: Waiting): void {
    waiting.stop?.();
    this.#in(AGAIN_MS, waiting, () => this.#place(waiting));
  }

  /** Of a host that was not heard of: its lease may have come here before its record. */
  async #isOnRecord(host: string): Promise<boolean> {
    const { bus, presence } = this.#options;
    return host !== NOBODY && host !== presence.id && (await hostOf(bus, host)) !== undefined;
  }
}

/** A number for a unit and a host, the same everywhere (FNV-1a). */
const lot = (unit: string, host: string): number => {
  let hash = 0x811c9dc5;
  for (const char of `${unit}/${host}`) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193);
  return hash >>> 0;
};
