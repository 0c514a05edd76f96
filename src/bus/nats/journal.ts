/**
 * The logs on NATS: batches of entries in one stream (batch.ts), read in order of position.
 *
 *   appender.ts   writes batches under compare-and-set
 *   shards.ts     knows what is in the shards that are written to
 *   tail.ts       brings what is new, from this process and all others
 *   history.ts    reads what was there before
 *   followers.ts  are handed history first, then what the tail brings
 *   cuts.ts       removes what is before a position
 *
 * A process that follows or appends receives what all others append. A first append to a shard costs one reading of it.
 */
import type { Envelope } from '../../protocols/envelope.ts';
import { TroupeError } from '../../protocols/failure.ts';
import { checkName, matcher } from '../pattern.ts';
import type { AppendOptions, Entry, Following, LogPattern, Position } from '../port.ts';
import { Appender } from './appender.ts';
import { decodeLine, endOf, linesOf, positionOf, seqOf, textOf, type Line } from './batch.ts';
import type { Connection } from './connection.ts';
import { Cuts } from './cuts.ts';
import type { DeadLetters } from './dead-letters.ts';
import { fixedTokenOf, Followers, hand, newFollower, type Follower } from './followers.ts';
import { History } from './history.ts';
import { Shards, type Shard } from './shards.ts';
import type { Store } from './store.ts';
import type { Stored } from './stream-reader.ts';
import { Tail } from './tail.ts';

export type JournalLimits = { readonly entriesPerLog: number; readonly knownIds: number };

export class Journal {
  readonly #deadLetters: DeadLetters;
  readonly #history: History;
  readonly #cuts: Cuts;
  readonly #tail: Tail;
  readonly #shards: Shards;
  readonly #appender: Appender;
  readonly #followers = new Followers();
  #closed = false;

  constructor(connection: Connection, { entriesPerLog, knownIds }: JournalLimits, deadLetters: DeadLetters, store: Store) {
    this.#deadLetters = deadLetters;
    this.#history = new History(connection);
    this.#cuts = new Cuts(connection, store, this.#history);
    this.#tail = new Tail(connection, this.#history, (message) => this.#take(message));
    this.#shards = new Shards(knownIds, this.#history, this.#cuts, this.#tail);
    this.#appender = new Appender(connection, entriesPerLog, this.#shards, this.#tail);
  }

  append(log: string, envelope: Envelope, options?: AppendOptions): Promise<Position> {
    return this.#appender.append(log, envelope, options);
  }

  async head(): Promise<Position> {
    return endOf(await this.#history.headSeq());
  }

  async *read(pattern: LogPattern, from: Position): AsyncGenerator<Entry> {
    const matches = matcher(pattern);
    const [until] = await Promise.all([this.#history.headSeq(), this.#cuts.load()]);
    yield* this.#entries(pattern, matches, from, until);
  }

  follow(pattern: LogPattern, from: Position, onEntry: (entry: Entry) => void): Following {
    const follower = newFollower(pattern, from, onEntry);
    const caughtUp = this.#catchUp(follower);
    caughtUp.catch(() => {}); // whoever waits for it hears of it
    return { caughtUp, stop: () => this.#followers.stop(follower) };
  }

  async cut(log: string, before: Position): Promise<void> {
    checkName(log);
    await this.#cuts.cut(log, before);
    this.#shards.known.cut(log, before);
  }

  close(): void {
    this.#closed = true;
    this.#followers.close();
    this.#appender.close();
    this.#tail.close();
    this.#history.close();
  }

  // --- what is new ---------------------------------------------------------------------------------------------------------

  #take(message: Stored): void {
    const { seq, at } = message;
    const shard = this.#shards.bySubject(message.subject);
    const own = this.#appender.takeOwn(message);
    if (own) for (const [index, { log, envelope }] of own.entries()) this.#arrive(shard, { log, position: positionOf(seq, index), at, envelope });
    else for (const [index, line] of linesOf(message.data).entries()) this.#arriveLine(shard, line, positionOf(seq, index), at);
    const cut = this.#cuts.hear(message);
    if (cut) this.#shards.known.cut(cut.log, cut.before);
    if (shard && seq > shard.last) shard.last = seq;
  }

  #arriveLine(shard: Shard | undefined, line: Line, position: Position, at: number): void {
    const isWanted = this.#followers.want(line.log, position);
    if (!isWanted && shard?.noting !== true) return;
    const decoded = decodeLine(line);
    if (decoded.ok) return this.#arrive(shard, { log: line.log, position, at, envelope: decoded.envelope });
    if (shard?.noting === true) this.#shards.known.widen(line.log, position);
    if (isWanted) this.#bury(line, position, decoded.reason);
  }

  #arrive(shard: Shard | undefined, entry: Entry): void {
    if (shard?.noting === true) this.#shards.known.note(entry.log, entry.envelope.id, entry.position);
    this.#followers.arrive(entry);
  }

  #bury({ log, body }: Line, position: Position, reason: string): void {
    // The next reader meets it again, should this fail now.
    this.#deadLetters.bury({ source: log === '' ? 'log' : log, reason, body: textOf(body) }, `entry-${position}`).catch(() => {});
  }

  // --- what was there before -----------------------------------------------------------------------------------------------

  async *#entries(pattern: LogPattern, matches: (log: string) => boolean, from: Position, until: number): AsyncGenerator<Entry> {
    let [first, last] = [seqOf(from), until];
    const token = fixedTokenOf(pattern);
    const shard = token === undefined ? undefined : this.#shards.of(token);
    if (shard?.noting === true) {
      await this.#shards.learn(shard);
      await this.#tail.reach(until);
      const span = this.#shards.known.span(token!);
      if (!span) return;
      [first, last] = [Math.max(first, seqOf(span.first)), Math.min(last, seqOf(span.last))];
    }
    for await (const { seq, at, data } of this.#history.messages(first, last, shard?.number)) {
      for (const [index, line] of linesOf(data).entries()) {
        const position = positionOf(seq, index);
        if (position <= from || !matches(line.log) || this.#cuts.hides(line.log, position)) continue;
        const decoded = decodeLine(line);
        if (decoded.ok) yield { log: line.log, position, at, envelope: decoded.envelope };
        else this.#bury(line, position, decoded.reason);
      }
    }
  }

  async #catchUp(follower: Follower): Promise<void> {
    const token = fixedTokenOf(follower.pattern);
    const head = await this.#reachable(() => this.#history.headSeq());
    await this.#reachable(() => this.#cuts.load());
    await this.#reachable(() => this.#tail.start());
    if (token !== undefined) await this.#shards.learn(this.#shards.of(token));
    if (follower.stopped) return;
    // From here on the tail brings what is new; what it has brought already is history.
    const until = this.#tail.seq;
    this.#followers.add(follower);
    for await (const entry of this.#entries(follower.pattern, follower.matches, follower.from, until)) {
      if (follower.stopped) return;
      hand(follower, entry);
    }
    for (const entry of follower.waiting!) hand(follower, entry);
    follower.waiting = undefined;
    await this.#tail.reach(head);
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
}
