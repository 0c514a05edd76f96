/**
 * Queues on NATS: one subject an item, whose newest message is the item's state. Every change is compare-and-set on that
 * subject, so of two who change it one learns that it was late; no clock and no acknowledgement has to be believed (B5).
 *
 *   waiting   offered, or given back (for as long as `delayMs`)
 *   held      by a taker for `leaseMs`; each extension is a new message
 *   buried    its dead letter may not be written yet; whoever sees it writes it
 *   finished  what stays of an item for ever, so that its id is known
 *
 * A holder counts its lease from before it asked, everyone else from when they saw it: for the others it always ends later.
 * A process that offers to or takes from a queue keeps the queue's open items in memory. The bound may be passed by as many
 * items as other processes are offering at the same moment.
 */
import { TroupeError } from '../../protocols/failure.ts';
import { checkName } from '../pattern.ts';
import type { QueueItem, Taking } from '../port.ts';
import { closedError, isConflict, type Connection } from './connection.ts';
import type { DeadLetters } from './dead-letters.ts';
import { StreamReader } from './stream-reader.ts';

type Data = Readonly<Record<string, unknown>>;

type State =
  | { readonly state: 'waiting'; readonly id: string; readonly delivery: number; readonly data: Data; readonly delayMs?: number }
  | { readonly state: 'held'; readonly id: string; readonly delivery: number; readonly data: Data; readonly leaseMs: number }
  | { readonly state: 'buried'; readonly id: string; readonly delivery: number; readonly data: Data; readonly reason: string }
  | { readonly state: 'finished'; readonly id: string };

type Open = Exclude<State, { state: 'finished' }>;

type Known = {
  readonly seq: number;
  readonly state: Open;
  /** By `performance.now()`: when it may be claimed. */
  readonly due: number;
  /** A claim or a change by this process is under way. */
  busy: boolean;
};

type Taker = {
  readonly leaseMs: number;
  readonly onItem: (item: QueueItem) => void;
  free: number;
};

/** A lease that ended is offered again a little later, so that its holder has surely noticed. */
const GRACE_MS = 20;
const LONGEST_TIMER_MS = 2_147_483_647;

export class Queues {
  readonly #connection: Connection;
  readonly #maxItems: number;
  readonly #deadLetters: DeadLetters;
  readonly #queues = new Map<string, Queue>();

  constructor(connection: Connection, maxItems: number, deadLetters: DeadLetters) {
    this.#connection = connection;
    this.#maxItems = maxItems;
    this.#deadLetters = deadLetters;
  }

  async offer(queue: string, id: string, data: Data): Promise<void> {
    await this.#queue(queue).offer(id, data);
  }

  take(queue: string, { leaseMs, concurrency }: { leaseMs: number; concurrency: number }, onItem: (item: QueueItem) => void): Taking {
    return this.#queue(queue).take({ leaseMs, onItem, free: concurrency });
  }

  close(): void {
    for (const queue of this.#queues.values()) queue.close();
  }

  #queue(name: string): Queue {
    const known = this.#queues.get(name);
    if (known) return known;
    const queue = new Queue(this.#connection, checkName(name), this.#maxItems, this.#deadLetters);
    this.#queues.set(name, queue);
    return queue;
  }
}

class Queue {
  readonly #connection: Connection;
  readonly #name: string;
  readonly #maxItems: number;
  readonly #deadLetters: DeadLetters;
  readonly #reader: StreamReader;
  readonly #ready: Promise<void>;
  readonly #takers = new Set<Taker>();
  /** The open items, in the order in which they were first seen. */
  readonly #items = new Map<string, Known>();
  #offering = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(connection: Connection, name: string, maxItems: number, deadLetters: DeadLetters) {
    this.#connection = connection;
    this.#name = name;
    this.#maxItems = maxItems;
    this.#deadLetters = deadLetters;
    const { names } = connection;
    const { promise, resolve: ready } = Promise.withResolvers<void>();
    this.#ready = promise;
    this.#reader = new StreamReader(connection, {
      stream: names.queueStream,
      filter: `${names.queue(name)}.*`,
      start: 1,
      onMessage: ({ seq, at, data, subject }) => this.#see(seq, at, data, subject),
      onCaughtUp: ready,
    });
  }

  async offer(id: string, data: Data): Promise<void> {
    await this.#connection.within(this.#ready);
    if (this.#items.has(id)) return;
    const { names } = this.#connection;
    if (this.#items.size + this.#offering >= this.#maxItems) {
      if (await this.#connection.last(names.queueStream, names.item(this.#name, id))) return;
      throw new TroupeError('BUS_QUEUE_FULL', `${this.#name} holds ${this.#items.size} items, its bound: add takers, or offer again later`, {
        retryable: true,
      });
    }
    this.#offering += 1;
    try {
      await this.#change({ state: 'waiting', id, delivery: 0, data }, 0);
    } catch (thrown) {
      if (!isConflict(thrown)) throw thrown; // else it is known, and that was all
    } finally {
      this.#offering -= 1;
    }
  }

  take(taker: Taker): Taking {
    this.#takers.add(taker);
    void this.#ready.then(() => this.#claimAll());
    return { stop: () => void this.#takers.delete(taker) };
  }

  close(): void {
    this.#closed = true;
    this.#takers.clear();
    clearTimeout(this.#timer);
    this.#reader.stop();
  }

  // --- what is known -------------------------------------------------------------------------------------------------------

  #see(seq: number, at: number, data: Uint8Array, subject: string): void {
    let state: State;
    try {
      state = JSON.parse(Buffer.from(data).toString()) as State;
    } catch (thrown) {
      void this.#deadLetters
        .bury({ source: this.#name, reason: `ITEM_INVALID: ${(thrown as Error).message}`, body: Buffer.from(data).toString() }, subject)
        .catch(() => {});
      return;
    }
    this.#note(seq, state, Date.now() - at);
    this.#claimAll();
  }

  /** `ageMs`: how long ago it was written, roughly; it counts for delays, never for leases. */
  #note(seq: number, state: State, ageMs: number): void {
    const before = this.#items.get(state.id);
    if (before && before.seq >= seq) return;
    if (state.state === 'finished') return void this.#items.delete(state.id);
    if (state.state === 'buried') void this.#writeLetter(seq, state).catch(() => {});
    this.#items.set(state.id, { seq, state, due: performance.now() + waitOf(state, ageMs), busy: false });
  }

  /** Writes the item's next state, if `seq` is still its last. Throws a conflict when it is not. */
  async #change(state: State, seq: number): Promise<number> {
    const { names } = this.#connection;
    const next = await this.#connection.store(names.queueStream, names.item(this.#name, state.id), JSON.stringify(state), { expect: seq });
    this.#note(next, state, 0);
    this.#claimAll();
    return next;
  }

  async #writeLetter(seq: number, { id, delivery, data, reason }: Extract<State, { state: 'buried' }>): Promise<void> {
    await this.#deadLetters.bury({ source: this.#name, reason, body: JSON.stringify({ id, delivery, data }) }, `${this.#name}/${id}`);
    await this.#change({ state: 'finished', id }, seq).catch((thrown: unknown) => {
      if (!isConflict(thrown)) throw thrown; // else another one finished it
    });
  }

  // --- taking --------------------------------------------------------------------------------------------------------------

  #claimAll(): void {
    clearTimeout(this.#timer);
    if (this.#closed) return;
    const now = performance.now();
    let next = Number.POSITIVE_INFINITY;
    for (const [id, known] of this.#items) {
      if (known.state.state === 'buried' || known.busy) continue;
      if (known.due > now) {
        next = Math.min(next, known.due);
        continue;
      }
      const taker = [...this.#takers].find(({ free }) => free > 0);
      if (!taker) return;
      known.busy = true;
      taker.free -= 1;
      void this.#claim(id, known, taker);
    }
    if (this.#takers.size > 0 && next < Number.POSITIVE_INFINITY) this.#timer = setTimeout(() => this.#claimAll(), Math.min(LONGEST_TIMER_MS, next - now + 1));
  }

  async #claim(id: string, known: Known, taker: Taker): Promise<void> {
    const { data, delivery } = known.state;
    const held: State = { state: 'held', id, delivery: delivery + 1, data, leaseMs: taker.leaseMs };
    const asked = performance.now();
    let seq: number;
    try {
      seq = await this.#change(held, known.seq);
    } catch {
      // Another one was faster, or the server is away: the reader tells.
      known.busy = false;
      if (this.#items.get(id) === known) this.#items.set(id, { ...known, due: performance.now() + GRACE_MS });
      this.#free(taker);
      return;
    }
    if (this.#takers.has(taker)) taker.onItem(this.#item(held, seq, asked, taker));
    // Its taker stopped meanwhile. Should giving it back fail, the lease ends by itself.
    else if (!this.#closed) await this.#change({ state: 'waiting', id, delivery, data }, seq).catch(() => {});
  }

  #free(taker: Taker): void {
    taker.free += 1;
    this.#claimAll();
  }

  #item(held: Extract<State, { state: 'held' }>, firstSeq: number, asked: number, taker: Taker): QueueItem {
    const { id, delivery, data, leaseMs } = held;
    let seq = firstSeq;
    let isHeld = true;
    let expiry: NodeJS.Timeout;
    const lose = (): void => {
      clearTimeout(expiry);
      if (!isHeld) return;
      isHeld = false;
      this.#free(taker);
    };
    const holdFrom = (from: number): void => {
      clearTimeout(expiry);
      expiry = setTimeout(lose, Math.max(0, from + leaseMs - performance.now()));
      expiry.unref();
    };
    holdFrom(asked);

    /** One change after the other; false when the item is no longer held. */
    let turn: Promise<unknown> = Promise.resolve();
    const change = (next: State, then: (from: number) => void): Promise<boolean> => {
      const outcome = turn.then(async () => {
        if (this.#closed) throw closedError();
        if (!isHeld) return false;
        const from = performance.now();
        try {
          seq = await this.#change(next, seq);
        } catch (thrown) {
          if (!isConflict(thrown)) throw thrown;
          lose();
          return false;
        }
        then(from);
        return true;
      });
      turn = outcome.catch(() => {});
      return outcome;
    };

    return {
      id,
      data,
      delivery,
      extend: () => change(held, (from) => isHeld && holdFrom(from)),
      finish: () => change({ state: 'finished', id }, lose),
      return: async (delayMs = 0) => void (await change({ state: 'waiting', id, delivery, data, delayMs }, lose)),
      bury: async (reason) => {
        const buried: State = { state: 'buried', id, delivery, data, reason };
        if (await change(buried, lose)) await this.#writeLetter(seq, buried);
      },
    };
  }
}

const waitOf = (state: Open, ageMs: number): number => {
  if (state.state === 'held') return state.leaseMs + GRACE_MS;
  return state.state === 'waiting' ? Math.max(0, (state.delayMs ?? 0) - Math.max(0, ageMs)) : 0;
};
