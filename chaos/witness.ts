/**
 * Looks on, past all links: which process is which host, who has what, how soon what a killed process had is somebody else's,
 * and whether anything was taken from a host that nobody had fenced.
 */
import { matcher } from '../src/bus/pattern.ts';
import type { Bus, Entry, StoreChange } from '../src/bus/port.ts';
import { LEASE_PREFIX, NOBODY } from '../src/runtime/lease.ts';
import type { HostRecord } from '../src/runtime/presence.ts';

const HOST_PREFIX = 'host.';
/** Entries that are kept, to be said again. */
const KEPT = 2_000;

type Holding = { readonly host: string; readonly revision: number };

export class Witness {
  readonly recent: Entry[] = [];
  /** Units that were taken from a host that nobody had fenced since it had them. */
  readonly thefts: string[] = [];
  /** From a kill to the new lease. */
  readonly takeoverMs: number[] = [];
  readonly #pids = new Map<string, number>();
  /** When each host was last taken off the record, as a revision: what it had before that is anybody's, also when it is back. */
  readonly #goneAt = new Map<string, number>();
  /** Off the record as things stand. */
  readonly #gone = new Set<string>();
  readonly #leases = new Map<string, Holding>();
  readonly #awaited = new Map<string, { readonly host: string; readonly since: number }>();
  readonly #listeners = new Set<(entry: Entry) => void>();
  /** The store keeps only the newest value of a key: before this revision some may have passed unseen. */
  #unseenBefore = 0;
  #revision = 0;
  readonly #watches: { stop(): void }[];

  constructor(bus: Bus) {
    this.#watches = [bus.follow('>', 0, (entry) => this.#hear(entry)), bus.watchStore('', (change) => this.#see(change))];
  }

  pidOf(host: string): number | undefined {
    return this.#pids.get(host);
  }

  get leases(): ReadonlyMap<string, Holding> {
    return this.#leases;
  }

  on(pattern: string, then: (entry: Entry) => void): () => void {
    const matches = matcher(pattern);
    const listener = (entry: Entry): void => void (matches(entry.log) && then(entry));
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** What it has is somebody else's from now on, the sooner the better. */
  killed(pid: number): void {
    const since = performance.now();
    for (const [unit, { host }] of this.#leases) if (this.#pids.get(host) === pid) this.#awaited.set(unit, { host, since });
  }

  stop(): void {
    for (const watch of this.#watches) watch.stop();
  }

  #hear(entry: Entry): void {
    this.recent.push(entry);
    if (this.recent.length > KEPT) this.recent.shift();
    for (const listener of this.#listeners) listener(entry);
  }

  #see({ key, value, revision }: StoreChange): void {
    if (revision !== this.#revision + 1) this.#unseenBefore = revision;
    this.#revision = revision;
    if (key.startsWith(HOST_PREFIX)) this.#seeHost(key.slice(HOST_PREFIX.length), value, revision);
    else if (key.startsWith(LEASE_PREFIX)) this.#seeLease(key.slice(LEASE_PREFIX.length), value, revision);
  }

  #seeHost(id: string, value: string | undefined, revision: number): void {
    if (value === undefined) {
      this.#gone.add(id);
      this.#goneAt.set(id, revision);
      return;
    }
    this.#gone.delete(id);
    this.#pids.set(id, (JSON.parse(value) as HostRecord).pid);
  }

  #seeLease(unit: string, host: string | undefined, revision: number): void {
    const before = this.#leases.get(unit);
    if (host === undefined) this.#leases.delete(unit);
    else this.#leases.set(unit, { host, revision });
    const isHandedOver = host === undefined || host === NOBODY || before?.host === NOBODY;
    if (
      before &&
      !isHandedOver &&
      host !== before.host &&
      !this.#gone.has(before.host) &&
      before.revision > Math.max(this.#unseenBefore, this.#goneAt.get(before.host) ?? 0)
    )
      this.thefts.push(`${unit} was taken from ${before.host}, which nobody had fenced, by ${host}`);
    const awaited = this.#awaited.get(unit);
    if (!awaited || host === awaited.host || host === NOBODY) return;
    this.#awaited.delete(unit);
    if (host !== undefined) this.takeoverMs.push(performance.now() - awaited.since);
  }
}
