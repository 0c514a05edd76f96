/**
 * Where logs were cut. An entry lies in a batch with entries of other logs, so a cut is first of all a mark in the store: every
 * reader passes over what is before it. Then an empty message says so to every process, and each message that holds nothing
 * else is deleted.
 */
import { headers } from 'nats';
import { TroupeError } from '../../protocols/failure.ts';
import type { Position } from '../port.ts';
import { linesOf, positionOf, seqOf, shardOf } from './batch.ts';
import { accepted, Refused, type Connection } from './connection.ts';
import type { History } from './history.ts';
import type { Store } from './store.ts';
import type { Stored } from './stream-reader.ts';

const KEY = 'bus.cuts';
/** `<log> <before>` */
const NOTICE_HEADER = 'Troupe-Cut';
/** Deletions that are asked for at once. */
const DELETIONS = 64;

export class Cuts {
  readonly #connection: Connection;
  readonly #store: Store;
  readonly #history: History;
  #marks: Readonly<Record<string, Position>> = {};

  constructor(connection: Connection, store: Store, history: History) {
    this.#connection = connection;
    this.#store = store;
    this.#history = history;
  }

  /** Whether an entry was cut away, as far as it is known here. */
  hides(log: string, position: Position): boolean {
    const before = this.#marks[log];
    return before !== undefined && position < before;
  }

  /** What the store knows. */
  async load(): Promise<void> {
    const stored = await this.#store.get(KEY);
    if (stored) this.#marks = JSON.parse(stored.value) as Record<string, Position>;
  }

  /** What another process cut, if that is what the message says. */
  hear(message: Stored): { readonly log: string; readonly before: Position } | undefined {
    const [log, text] = message.header(NOTICE_HEADER).split(' ');
    if (log === undefined || text === undefined) return undefined;
    this.#learn(log, Number(text));
    return { log, before: Number(text) };
  }

  /** Durable when it resolves: everybody is told, and nothing is left that could be removed. */
  async cut(log: string, before: Position): Promise<void> {
    await this.#mark(log, before);
    // Before anything is deleted: whoever waits for the newest message to come by gets this one.
    const notice = await this.#notify(log, before);
    await this.#removeHidden(shardOf(log), Math.min(seqOf(before), notice - 1));
  }

  #learn(log: string, before: Position): void {
    if (!this.hides(log, before - 1)) this.#marks = { ...this.#marks, [log]: before };
  }

  /** A log that was cut further already stays as it is. */
  async #mark(log: string, before: Position): Promise<void> {
    for (;;) {
      const stored = await this.#store.get(KEY);
      this.#marks = stored ? (JSON.parse(stored.value) as Record<string, Position>) : {};
      if (this.hides(log, before - 1)) return;
      this.#learn(log, before);
      try {
        await this.#store.put(KEY, JSON.stringify(this.#marks), stored?.revision ?? 0);
        return;
      } catch (thrown) {
        if (!(thrown instanceof TroupeError && thrown.code === 'BUS_CONFLICT')) throw thrown; // another log was cut meanwhile
      }
    }
  }

  /** The sequence of the notice. */
  async #notify(log: string, before: Position): Promise<number> {
    const head = headers();
    head.set(NOTICE_HEADER, `${log} ${before}`);
    const subject = this.#connection.names.shard(shardOf(log));
    const { seq } = await this.#connection.insist(async () => accepted<{ seq: number }>(await this.#connection.request(subject, '', head)));
    return seq;
  }

  async #removeHidden(shard: number, last: number): Promise<void> {
    let deletions: Promise<unknown>[] = [];
    for await (const { seq, data } of this.#history.messages(1, last, shard)) {
      if (!linesOf(data).every((line, index) => this.hides(line.log, positionOf(seq, index)))) continue;
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
}
