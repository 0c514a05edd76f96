/**
 * The logs on NATS: batches of entries in one stream (batch.ts), written under compare-and-set.
 *
 *   - Whoever appends to a shard has read it, and goes on reading the whole stream (the *tail*). So it knows the ids, the size
 *     and the last position of each log there, and its batch says which message it has read last; the server takes the batch
 *     only if that is still the shard's last one. Otherwise the tail brings what is new, and the batch is made again: an id
 *     that has come meanwhile is not sent a second time. B2, `expect` and the bound hold exactly, however many write, and
 *     without a window of time. A batch that got no answer is made again in the same way.
 *   - A server that flushes each message (nats.conf) is as fast as its disk: hundreds or some thousands of messages a second.
 *     So everything that waits for a shard while its batch is under way travels in the next one.
 *   - One consumer a process, however many followers: they are handed what the tail brings. What comes from the server is
 *     durable, so a follower never sees what may be lost. History is read by a consumer of its own that ends.
 *
 * A cut is a mark (cuts.ts), then an empty message that says so to every process, then the deletion of each message that holds
 * nothing else.
 *
 * A process that follows or appends receives what all others append. A first append to a shard costs one reading of it.
 */
import { randomUUID } from 'node:crypto';
import { headers } from 'nats';
import type { Envelope } from '../../protocols/envelope.ts';
import { TroupeError } from '../../protocols/failure.ts';
import { checkName, matcher } from '../pattern.ts';
import { MAX_ENTRY_BYTES, type Entry, type Following, type LogPattern, type Position } from '../port.ts';
import { decodeLine, endOf, lineOf, linesOf, MAX_BATCH_ENTRIES, positionOf, seqOf, SHARDS, shardOf, textOf, type Line } from './batch.ts';
import { accepted, closedError, isConflict, pause, Refused, Unanswered, type Connection } from './connection.ts';
import type { Cuts } from './cuts.ts';
import type { DeadLetters } from './dead-letters.ts';
import { firstTokenOf, KnownLogs } from './known-logs.ts';
import { StreamReader, type Stored } from './stream-reader.ts';

const MAX_BATCH_BYTES = 500_000;
const BATCH_HEADER = 'Troupe-Batch';
/** `<log> <before>` */
const CUT_HEADER = 'Troupe-Cut';
/** Deletions that are asked for at once. */
const DELETIONS = 64;
const DEADLINE_CHECK_MS = 250;

type Waiting = {
  readonly log: string;
  readonly envelope: Envelope;
  readonly line: string;
  readonly bytes: number;
  readonly expect: Position | undefined;
  readonly deadline: number;
  readonly resolve: (position: Position) => void;
  readonly reject: (thrown: unknown) => void;
  /** What is known of its log was compared with the server's newest. */
  checked: boolean;
  settled: boolean;
};

type Shard = {
  readonly number: number;
  queue: Waiting[];
  /** The batch that is under way, or was last. */
  name: string;
  sent: readonly Waiting[];
  busy: boolean;
  /** The sequence of its last message, as far as it is known. */
  last: number;
  /** What the tail brings is noted. */
  noting: boolean;
  learned: Promise<void> | undefined;
};

type Follower = {
  readonly from: Position;
  readonly matches: (log: string) => boolean;
  readonly onEntry: (entry: Entry) => void;
  /** What the tail brought while history was read; `undefined`: history is done. */
  waiting: Entry[] | undefined;
  stopped: boolean;
};

type Batch = {
  readonly entries: readonly Waiting[];
  /** What cannot be decided before the newest is known. */
  readonly stale: readonly Waiting[];
  /** Logs whose ids were forgotten. */
  readonly forgotten: ReadonlySet<string>;
};

export class Journal {
  readonly #connection: Connection;
  readonly #maxEntries: number;
  readonly #deadLetters: DeadLetters;
  readonly #known: KnownLogs;
  readonly #cuts: Cuts;
  readonly #shards: readonly Shard[] = Array.from({ length: SHARDS }, (_, number) => ({
    number,
    queue: [],
    name: '',
    sent: [],
    busy: false,
    last: 0,
    noting: false,
    learned: undefined,
  }));
  readonly #writer = randomUUID();
  readonly #own = new Map<string, readonly Waiting[]>();
  #batches = 0;
  readonly #followers = new Map<string, Set<Follower>>();
  readonly #reached: { readonly seq: number; readonly then: () => void }[] = [];
  #tail: StreamReader | undefined;
  #tailStarted: Promise<void> | undefined;
  #tailSeq = 0;
  #deadlines: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(connection: Connection, { entriesPerLog, knownIds }: { entriesPerLog: number; knownIds: number }, deadLetters: DeadLetters, cuts: Cuts) {
    this.#connection = connection;
    this.#maxEntries = entriesPerLog;
    this.#known = new KnownLogs(knownIds);
    this.#deadLetters = deadLetters;
    this.#cuts = cuts;
  }

  // --- appending -----------------------------------------------------------------------------------------------------------

  append(log: string, envelope: Envelope, expect: Position | undefined): Promise<Position> {
    checkName(log);
    const json = JSON.stringify(envelope);
    const bytes = Buffer.byteLength(json);
    if (bytes > MAX_ENTRY_BYTES) {
      throw new TroupeError('BUS_ENTRY_TOO_LARGE', `${log}: the entry ${envelope.id} has ${bytes} bytes, expected ${MAX_ENTRY_BYTES} at most`);
    }
    return new Promise((resolve, reject) => {
      const shard = this.#shards[shardOf(log)]!;
      const deadline = Date.now() + this.#connection.settings.deadlineMs;
      shard.queue.push({
        log,
        envelope,
        line: lineOf(log, json),
        bytes: bytes + log.length + 2,
        expect,
        deadline,
        resolve,
        reject,
        checked: false,
        settled: false,
      });
      this.#deadlines ??= setInterval(() => this.#expire(), DEADLINE_CHECK_MS);
      if (!shard.busy) this.#pump(shard);
    });
  }

  #pump(shard: Shard): void {
    shard.busy = true;
    // What else is appended in this turn travels along.
    setImmediate(async () => {
      for (let failures = 0; shard.queue.length > 0;) {
        try {
          await this.#learn(shard);
          await this.#write(shard, this.#batch(shard));
          failures = 0;
        } catch (thrown) {
          if (!(thrown instanceof Unanswered)) {
            for (const waiting of shard.queue.splice(0)) reject(waiting, thrown);
            break;
          }
          await pause(failures++);
          await this.#synchronise().then(
            () => this.#own.delete(shard.name),
            () => {},
          );
        }
      }
      shard.busy = false;
    });
  }

  /** Takes from the queue what can be said now: answers what is decided, and gives what is to be sent. */
  #batch(shard: Shard): Batch {
    const entries: Waiting[] = [];
    const stale: Waiting[] = [];
    const forgotten = new Set<string>();
    const later: Waiting[] = [];
    const added = new Map<string, Set<string>>();
    const blocked = new Set<string>();
    let bytes = 0;
    for (const waiting of shard.queue) {
      const { log, expect, envelope } = waiting;
      if (waiting.settled) continue;
      const known = this.#known.use(log);
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
      if (count >= this.#maxEntries) {
        reject(waiting, new TroupeError('BUS_LOG_FULL', `${log} holds ${count} entries, its bound: its reader is too slow or gone`, { retryable: true }));
        continue;
      }
      if (beside) beside.add(envelope.id);
      else added.set(log, new Set([envelope.id]));
      entries.push(waiting);
      bytes += waiting.bytes;
    }
    shard.queue = later;
    return { entries, stale, forgotten };
  }

  async #write(shard: Shard, { entries, stale, forgotten }: Batch): Promise<void> {
    if (entries.length > 0) await this.#send(shard, entries);
    for (const log of forgotten) this.#known.recall(log);
    if (forgotten.size > 0) await this.#note(shard, (log) => forgotten.has(log));
    if (stale.length > 0) {
      await this.#synchronise();
      for (const waiting of stale) waiting.checked = true;
    }
  }

  async #send(shard: Shard, entries: readonly Waiting[]): Promise<void> {
    const name = `${this.#writer}.${++this.#batches}`;
    const head = headers();
    head.set('Nats-Expected-Last-Subject-Sequence', String(shard.last));
    head.set(BATCH_HEADER, name);
    let payload = '';
    for (const { line } of entries) payload += line;
    this.#own.set(name, entries);
    shard.sent = entries;
    shard.name = name;
    try {
      const { seq } = accepted<{ seq: number }>(await this.#connection.request(this.#connection.names.shard(shard.number), payload, head));
      shard.last = Math.max(shard.last, seq);
      for (const [index, waiting] of entries.entries()) {
        const position = positionOf(seq, index);
        this.#known.note(waiting.log, waiting.envelope.id, position);
        settle(waiting, position);
      }
    } catch (thrown) {
      shard.queue = [...entries, ...shard.queue];
      if (!isConflict(thrown)) {
        if (!(thrown instanceof Refused)) throw thrown;
        this.#own.delete(name);
        throw this.#connection.unavailable(thrown);
      }
      this.#own.delete(name);
      // Another writer was first. What it wrote is on its way.
      const last = Number(/(\d+)$/.exec((thrown as Refused).message)?.[1] ?? Number.NaN);
      if (last > this.#tailSeq) await this.#reach(last);
      else if (!(last <= shard.last)) await this.#synchronise();
    } finally {
      shard.sent = [];
    }
  }

  #expire(): void {
    const now = Date.now();
    let waits = false;
    for (const { queue, sent } of this.#shards) {
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

  // --- cutting -------------------------------------------------------------------------------------------------------------

  async cut(log: string, before: Position): Promise<void> {
    checkName(log);
    await this.#cuts.mark(log, before);
    const shard = shardOf(log);
    const head = headers();
    head.set(CUT_HEADER, `${log} ${before}`);
    // Before anything is deleted: whoever waits for the newest message to come by gets this one.
    const notice = await this.#connection.insist(async () =>
      accepted<{ seq: number }>(await this.#connection.request(this.#connection.names.shard(shard), '', head)),
    );
    this.#known.cut(log, before);
    let deletions: Promise<unknown>[] = [];
    for await (const { seq, data } of this.#messages(1, Math.min(seqOf(before), notice.seq - 1), shard)) {
      if (!linesOf(data).every((line, index) => this.#cuts.hides(line.log, positionOf(seq, index)))) continue;
      deletions.push(this.#delete(seq));
      if (deletions.length < DELETIONS) continue;
      await Promise.all(deletions);
      deletions = [];
    }
    await Promise.all(deletions);
  }

  /** One that is gone was deleted by another cut. */
  async #delete(seq: number): Promise<void> {
    try {
      await this.#connection.api(`STREAM.MSG.DELETE.${this.#connection.names.logStream}`, { seq, no_erase: true });
    } catch (thrown) {
      if (!(thrown instanceof Refused)) throw thrown;
    }
  }

  // --- knowing -------------------------------------------------------------------------------------------------------------

  /** Reads a shard for the first time. From then on the tail says what is new in it. */
  #learn(shard: Shard): Promise<void> {
    shard.learned ??= this.#startTail()
      .then(() => {
        shard.noting = true;
        return this.#note(shard, () => true);
      })
      .catch((thrown: unknown) => {
        shard.learned = undefined;
        throw thrown;
      });
    return shard.learned;
  }

  async #note(shard: Shard, wanted: (log: string) => boolean): Promise<void> {
    await this.#cuts.load();
    for await (const message of this.#messages(1, this.#tailSeq, shard.number)) {
      for (const [index, line] of linesOf(message.data).entries()) {
        if (!wanted(line.log)) continue;
        const position = positionOf(message.seq, index);
        if (this.#cuts.hides(line.log, position)) continue;
        const decoded = decodeLine(line);
        if (decoded.ok) this.#known.note(line.log, decoded.envelope.id, position);
        else this.#known.widen(line.log, position);
      }
      shard.last = Math.max(shard.last, message.seq);
    }
  }

  async #headSeq(): Promise<number> {
    const { state } = await this.#connection.api<{ state: { last_seq: number } }>(`STREAM.INFO.${this.#connection.names.logStream}`);
    return state.last_seq;
  }

  /** Until the tail has brought all that is there now. */
  async #synchronise(): Promise<void> {
    await this.#startTail();
    await this.#reach(await this.#headSeq());
  }

  async #reach(seq: number): Promise<void> {
    if (this.#closed) throw closedError();
    if (this.#tailSeq < seq) await new Promise<void>((then) => this.#reached.push({ seq, then }));
    if (this.#closed) throw closedError();
  }

  // --- the tail ------------------------------------------------------------------------------------------------------------

  #startTail(): Promise<void> {
    this.#tailStarted ??= this.#headSeq()
      .then((seq) => {
        if (this.#closed) throw closedError();
        this.#tailSeq = seq;
        this.#tail = new StreamReader(this.#connection, {
          stream: this.#connection.names.logStream,
          start: seq + 1,
          onMessage: (message) => this.#takeTail(message),
        });
      })
      .catch((thrown: unknown) => {
        this.#tailStarted = undefined;
        throw thrown;
      });
    return this.#tailStarted;
  }

  #takeTail(message: Stored): void {
    const { seq, at } = message;
    const shard = this.#shards[Number(message.subject.slice(message.subject.lastIndexOf('.') + 1))];
    const own = this.#own.get(message.header(BATCH_HEADER));
    if (own) {
      this.#own.delete(message.header(BATCH_HEADER));
      for (const [index, { log, envelope }] of own.entries()) this.#arrive(shard, { log, position: positionOf(seq, index), at, envelope });
    } else {
      for (const [index, line] of linesOf(message.data).entries()) this.#arriveLine(shard, line, positionOf(seq, index), at);
    }
    const notice = message.header(CUT_HEADER);
    if (notice !== '') this.#hearCut(notice);
    if (shard && seq > shard.last) shard.last = seq;
    this.#tailSeq = seq;
    for (let index = this.#reached.length - 1; index >= 0; index--) {
      if (this.#reached[index]!.seq <= seq) this.#reached.splice(index, 1)[0]!.then();
    }
  }

  #hearCut(notice: string): void {
    const [log, before] = notice.split(' ');
    this.#cuts.learn(log!, Number(before));
    this.#known.cut(log!, Number(before));
  }

  #arriveLine(shard: Shard | undefined, line: Line, position: Position, at: number): void {
    const isWanted = [...this.#followersOf(line.log)].some(({ from, matches }) => position > from && matches(line.log));
    if (!isWanted && shard?.noting !== true) return;
    const decoded = decodeLine(line);
    if (decoded.ok) return this.#arrive(shard, { log: line.log, position, at, envelope: decoded.envelope });
    if (shard?.noting === true) this.#known.widen(line.log, position);
    if (isWanted) this.#bury(line, position, decoded.reason);
  }

  #arrive(shard: Shard | undefined, entry: Entry): void {
    if (shard?.noting === true) this.#known.note(entry.log, entry.envelope.id, entry.position);
    for (const follower of this.#followersOf(entry.log)) {
      if (!follower.matches(entry.log) || entry.position <= follower.from) continue;
      if (follower.waiting) follower.waiting.push(entry);
      else hand(follower, entry);
    }
  }

  *#followersOf(log: string): Generator<Follower> {
    yield* this.#followers.get(firstTokenOf(log)) ?? [];
    yield* this.#followers.get('') ?? [];
  }

  #bury({ log, body }: Line, position: Position, reason: string): void {
    // The next reader meets it again, should this fail now.
    this.#deadLetters.bury({ source: log === '' ? 'log' : log, reason, body: textOf(body) }, `entry-${position}`).catch(() => {});
  }

  // --- reading -------------------------------------------------------------------------------------------------------------

  async head(): Promise<Position> {
    return endOf(await this.#headSeq());
  }

  async *read(pattern: LogPattern, from: Position): AsyncGenerator<Entry> {
    const matches = matcher(pattern);
    const [until] = await Promise.all([this.#headSeq(), this.#cuts.load()]);
    yield* this.#entries(pattern, matches, from, until);
  }

  async *#entries(pattern: LogPattern, matches: (log: string) => boolean, from: Position, until: number): AsyncGenerator<Entry> {
    let [first, last] = [seqOf(from), until];
    const token = fixedTokenOf(pattern);
    const shard = token === undefined ? undefined : this.#shards[shardOf(token)]!;
    if (shard?.noting === true) {
      await this.#learn(shard);
      await this.#reach(until);
      const span = this.#known.span(token!);
      if (!span) return;
      [first, last] = [Math.max(first, seqOf(span.first)), Math.min(last, seqOf(span.last))];
    }
    for await (const { seq, at, data } of this.#messages(first, last, shard?.number)) {
      for (const [index, line] of linesOf(data).entries()) {
        const position = positionOf(seq, index);
        if (position <= from || !matches(line.log) || this.#cuts.hides(line.log, position)) continue;
        const decoded = decodeLine(line);
        if (decoded.ok) yield { log: line.log, position, at, envelope: decoded.envelope };
        else this.#bury(line, position, decoded.reason);
      }
    }
  }

  /** The messages from the first sequence to the last one, of one shard or of all. The server sends no faster than they are taken. */
  async *#messages(first: number, last: number, shard: number | undefined): AsyncGenerator<Stored> {
    if (last < Math.max(first, 1)) return;
    const queue: (Stored | (() => void))[] = [];
    let wake = (): void => {};
    let ended = false;
    const { names } = this.#connection;
    const reader = new StreamReader(this.#connection, {
      stream: names.logStream,
      ...(shard !== undefined && { filter: names.shard(shard) }),
      start: Math.max(first, 1),
      onMessage: (message) => {
        if (message.seq <= last) queue.push(message);
        if (message.seq >= last) ended = true;
        wake();
      },
      onCaughtUp: () => {
        ended = true;
        wake();
      },
      onFlow: (goOn) => {
        queue.push(goOn);
        wake();
      },
    });
    const leave = this.#onClose(() => wake());
    try {
      for (let at = 0; ;) {
        if (this.#closed) throw closedError();
        const next = queue[at++];
        if (typeof next === 'function') next();
        else if (next) yield next;
        else if (ended) return;
        else {
          queue.length = at = 0;
          await this.#connection.within(new Promise<void>((resolve) => (wake = resolve)));
        }
      }
    } finally {
      leave();
      reader.stop();
    }
  }

  // --- following -----------------------------------------------------------------------------------------------------------

  follow(pattern: LogPattern, from: Position, onEntry: (entry: Entry) => void): Following {
    const follower: Follower = { from, matches: matcher(pattern), onEntry, waiting: [], stopped: false };
    const key = fixedTokenOf(pattern) ?? '';
    const stop = (): void => {
      follower.stopped = true;
      const others = this.#followers.get(key);
      others?.delete(follower);
      if (others?.size === 0) this.#followers.delete(key);
    };
    const caughtUp = this.#catchUp(pattern, key, follower);
    caughtUp.catch(() => {}); // whoever waits for it hears of it
    return { caughtUp, stop };
  }

  async #catchUp(pattern: LogPattern, key: string, follower: Follower): Promise<void> {
    const head = await this.#reachable(() => this.#headSeq());
    await this.#reachable(() => this.#cuts.load());
    await this.#reachable(() => this.#startTail());
    if (key !== '') await this.#learn(this.#shards[shardOf(key)]!);
    if (follower.stopped) return;
    // From here on the tail brings what is new; what it has brought already is history.
    const until = this.#tailSeq;
    this.#followers.set(key, (this.#followers.get(key) ?? new Set()).add(follower));
    for await (const entry of this.#entries(pattern, follower.matches, follower.from, until)) {
      if (follower.stopped) return;
      hand(follower, entry);
    }
    const { waiting } = follower;
    for (const entry of waiting!) hand(follower, entry);
    follower.waiting = undefined;
    await this.#reach(head);
  }

  /** A follower waits for the server as long as it takes. */
  async #reachable<T>(ask: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await ask();
      } catch (thrown) {
        if (this.#closed || !(thrown instanceof TroupeError && thrown.retryable)) throw thrown;
      }
    }
  }

  // --- closing -------------------------------------------------------------------------------------------------------------

  readonly #closers = new Set<() => void>();

  #onClose(then: () => void): () => void {
    this.#closers.add(then);
    return () => void this.#closers.delete(then);
  }

  close(): void {
    this.#closed = true;
    this.#tail?.stop();
    for (const followers of this.#followers.values()) for (const follower of followers) follower.stopped = true;
    this.#followers.clear();
    clearInterval(this.#deadlines);
    for (const { then } of this.#reached.splice(0)) then();
    for (const then of [...this.#closers]) then();
  }
}

/** The first token of every log that matches, if there is but one. */
const fixedTokenOf = (pattern: LogPattern): string | undefined => {
  const token = firstTokenOf(pattern);
  return token === '*' || token === '>' ? undefined : token;
};

const settle = (waiting: Waiting, position: Position): void => {
  waiting.settled = true;
  waiting.resolve(position);
};

const reject = (waiting: Waiting, thrown: unknown): void => {
  waiting.settled = true;
  waiting.reject(thrown);
};

/** A handler that throws is a bug of its owner, and must not keep others from their entries. */
const hand = (follower: Follower, entry: Entry): void => {
  if (follower.stopped) return;
  try {
    follower.onEntry(entry);
  } catch (thrown) {
    queueMicrotask(() => {
      throw thrown;
    });
  }
};
