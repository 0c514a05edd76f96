/**
 * Writing to the logs: batches of entries under compare-and-set.
 *
 *   - A batch says which message of its shard was read last; the server takes it only if that is still the last one. Otherwise
 *     the tail brings what is new, and the batch is made again: an id that has come meanwhile is not sent a second time. B2,
 *     `expect` and the bound hold exactly, however many write, and without a window of time. A batch that got no answer is made
 *     again in the same way.
 *   - A server that flushes each message (nats.conf) is as fast as its disk: hundreds or some thousands of messages a second.
 *     So everything that waits for a shard while its batch is under way travels in the next one.
 */
import { randomUUID } from 'node:crypto';
import { headers } from 'nats';
import type { Envelope } from '../../protocols/envelope.ts';
import { TroupeError } from '../../protocols/failure.ts';
import { checkName } from '../pattern.ts';
import { MAX_ENTRY_BYTES, type AppendOptions, type Position } from '../port.ts';
import { lineOf, MAX_BATCH_ENTRIES, positionOf } from './batch.ts';
import { accepted, isConflict, pause, Refused, Unanswered, type Connection } from './connection.ts';
import type { Shard, Shards } from './shards.ts';
import type { Stored } from './stream-reader.ts';
import type { Tail } from './tail.ts';

const MAX_BATCH_BYTES = 500_000;
const BATCH_HEADER = 'Troupe-Batch';
const DEADLINE_CHECK_MS = 250;

type Waiting = {
  readonly log: string;
  readonly envelope: Envelope;
  readonly line: string;
  readonly bytes: number;
  readonly expect: Position | undefined;
  readonly makesRoom: boolean;
  readonly deadline: number;
  readonly resolve: (position: Position) => void;
  readonly reject: (thrown: unknown) => void;
  /** What is known of its log was compared with the server's newest. */
  checked: boolean;
  settled: boolean;
};

/** What waits for one shard. */
type Lane = {
  readonly shard: Shard;
  queue: Waiting[];
  /** The batch that is under way, or was last. */
  name: string;
  sent: readonly Waiting[];
  busy: boolean;
};

type Batch = {
  readonly entries: readonly Waiting[];
  /** What cannot be decided before the newest is known. */
  readonly stale: readonly Waiting[];
  /** Logs whose ids were forgotten. */
  readonly forgotten: ReadonlySet<string>;
};

export class Appender {
  readonly #connection: Connection;
  readonly #maxEntries: number;
  readonly #shards: Shards;
  readonly #tail: Tail;
  readonly #lanes = new Map<Shard, Lane>();
  readonly #writer = randomUUID();
  readonly #own = new Map<string, readonly Waiting[]>();
  #batches = 0;
  #deadlines: NodeJS.Timeout | undefined;

  constructor(connection: Connection, maxEntries: number, shards: Shards, tail: Tail) {
    this.#connection = connection;
    this.#maxEntries = maxEntries;
    this.#shards = shards;
    this.#tail = tail;
  }

  append(log: string, envelope: Envelope, { expect, makesRoom = false }: AppendOptions = {}): Promise<Position> {
    checkName(log);
    const json = JSON.stringify(envelope);
    const bytes = Buffer.byteLength(json);
    if (bytes > MAX_ENTRY_BYTES) {
      throw new TroupeError('BUS_ENTRY_TOO_LARGE', `${log}: the entry ${envelope.id} has ${bytes} bytes, expected ${MAX_ENTRY_BYTES} at most`);
    }
    const lane = this.#laneOf(log);
    return new Promise((resolve, reject) => {
      const deadline = Date.now() + this.#connection.settings.deadlineMs;
      lane.queue.push({
        log,
        envelope,
        line: lineOf(log, json),
        bytes: bytes + log.length + 2,
        expect,
        makesRoom,
        deadline,
        resolve,
        reject,
        checked: false,
        settled: false,
      });
      this.#deadlines ??= setInterval(() => this.#expire(), DEADLINE_CHECK_MS);
      if (!lane.busy) this.#pump(lane);
    });
  }

  /** The entries of a message, if it is a batch that was sent from here: they need not be decoded. */
  takeOwn(message: Stored): readonly { readonly log: string; readonly envelope: Envelope }[] | undefined {
    const name = message.header(BATCH_HEADER);
    const own = this.#own.get(name);
    this.#own.delete(name);
    return own;
  }

  close(): void {
    clearInterval(this.#deadlines);
  }

  #laneOf(log: string): Lane {
    const shard = this.#shards.of(log);
    let lane = this.#lanes.get(shard);
    if (!lane) this.#lanes.set(shard, (lane = { shard, queue: [], name: '', sent: [], busy: false }));
    return lane;
  }

  #pump(lane: Lane): void {
    lane.busy = true;
    // What else is appended in this turn travels along.
    setImmediate(async () => {
      for (let failures = 0; lane.queue.length > 0;) {
        try {
          await this.#shards.learn(lane.shard);
          await this.#write(lane, this.#batch(lane));
          failures = 0;
        } catch (thrown) {
          if (!(thrown instanceof Unanswered)) {
            for (const waiting of lane.queue.splice(0)) reject(waiting, thrown);
            break;
          }
          await pause(failures++);
          await this.#tail.synchronise().then(
            () => this.#own.delete(lane.name),
            () => {},
          );
        }
      }
      lane.busy = false;
    });
  }

  /** Takes from the queue what can be said now: answers what is decided, and gives what is to be sent. */
  #batch(lane: Lane): Batch {
    const entries: Waiting[] = [];
    const stale: Waiting[] = [];
    const forgotten = new Set<string>();
    const later: Waiting[] = [];
    const added = new Map<string, Set<string>>();
    const blocked = new Set<string>();
    let bytes = 0;
    for (const waiting of lane.queue) {
      const { log, expect, makesRoom, envelope } = waiting;
      if (waiting.settled) continue;
      const known = this.#shards.known.use(log);
      if (known && !known.ids) forgotten.add(log);
      const before = known?.ids?.get(envelope.id);
      if (before !== undefined) {
        settle(waiting, before); // B2
        continue;
      }
      const beside = added.get(log);
      const full = entries.length === MAX_BATCH_ENTRIES || (entries.length > 0 && bytes + waiting.bytes > MAX_BATCH_BYTES);
      if (full || forgotten.has(log) || blocked.has(log) || beside?.has(envelope.id) || (beside && expect !== undefined)) {
        blocked.add(log);
        later.push(waiting);
        continue;
      }
      if (expect !== undefined && expect !== (known?.last ?? 0)) {
        if (waiting.checked) {
          const last = known?.last ?? 0;
          reject(
            waiting,
            new TroupeError('BUS_CONFLICT', `${log}: expected its last position to be ${expect}, found ${last}`, { retryable: true, details: { last } }),
          );
        } else {
          stale.push(waiting);
          blocked.add(log);
          later.push(waiting);
        }
        continue;
      }
      const count = (known?.count ?? 0) + (beside?.size ?? 0);
      if (count >= this.#maxEntries && !makesRoom) {
        reject(waiting, new TroupeError('BUS_LOG_FULL', `${log} holds ${count} entries, its bound: its reader is too slow or gone`, { retryable: true }));
        continue;
      }
      if (beside) beside.add(envelope.id);
      else added.set(log, new Set([envelope.id]));
      entries.push(waiting);
      bytes += waiting.bytes;
    }
    lane.queue = later;
    return { entries, stale, forgotten };
  }

  async #write(lane: Lane, { entries, stale, forgotten }: Batch): Promise<void> {
    if (entries.length > 0) await this.#send(lane, entries);
    await this.#shards.recall(lane.shard, forgotten);
    if (stale.length > 0) {
      await this.#tail.synchronise();
      for (const waiting of stale) waiting.checked = true;
    }
  }

  async #send(lane: Lane, entries: readonly Waiting[]): Promise<void> {
    const { shard } = lane;
    const name = `${this.#writer}.${++this.#batches}`;
    const head = headers();
    head.set('Nats-Expected-Last-Subject-Sequence', String(shard.last));
    head.set(BATCH_HEADER, name);
    let payload = '';
    for (const { line } of entries) payload += line;
    this.#own.set(name, entries);
    lane.sent = entries;
    lane.name = name;
    try {
      const { seq } = accepted<{ seq: number }>(await this.#connection.request(this.#connection.names.shard(shard.number), payload, head));
      shard.last = Math.max(shard.last, seq);
      for (const [index, waiting] of entries.entries()) {
        const position = positionOf(seq, index);
        this.#shards.known.note(waiting.log, waiting.envelope.id, position);
        settle(waiting, position);
      }
    } catch (thrown) {
      lane.queue = [...entries, ...lane.queue];
      if (!isConflict(thrown)) {
        if (!(thrown instanceof Refused)) throw thrown;
        this.#own.delete(name);
        throw this.#connection.unavailable(thrown);
      }
      this.#own.delete(name);
      // Another writer was first. What it wrote is on its way.
      const last = Number(/(\d+)$/.exec((thrown as Refused).message)?.[1] ?? Number.NaN);
      if (last > this.#tail.seq) await this.#tail.reach(last);
      else if (!(last <= shard.last)) await this.#tail.synchronise();
    } finally {
      lane.sent = [];
    }
  }

  #expire(): void {
    const now = Date.now();
    let waits = false;
    for (const { queue, sent } of this.#lanes.values()) {
      for (const waiting of [...queue, ...sent]) {
        if (waiting.settled) continue;
        waits = true;
        if (waiting.deadline <= now) reject(waiting, this.#connection.unavailable(`${waiting.log}: no answer that the entry ${waiting.envelope.id} is stored`));
      }
    }
    if (waits) return;
    clearInterval(this.#deadlines);
    this.#deadlines = undefined;
  }
}

const settle = (waiting: Waiting, position: Position): void => {
  waiting.settled = true;
  waiting.resolve(position);
};

const reject = (waiting: Waiting, thrown: unknown): void => {
  waiting.settled = true;
  waiting.reject(thrown);
};
