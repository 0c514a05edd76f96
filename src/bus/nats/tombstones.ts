/**
 * What is left of deleted keys: a deletion is a message without a value, so that whoever watches sees it. Once it has stayed for
 * long enough to have been seen by all who listen, it is removed from the server by whoever deletes next, a few at a time.
 *
 *   - A process removes its own; those that it meets and that are twice as old were left behind by a process that is gone.
 *   - Only that one message is removed: what was put under its key meanwhile has another sequence.
 *   - Who did not listen for longer misses nothing: a watcher that comes back lists what is there (store.ts).
 */
import { Refused, type Connection } from './connection.ts';

/** Far longer than a message is under way to a watcher that has not lost its connection. */
export const TOMBSTONE_MS = 5 * 60_000;

/** More than one, so that what others left behind goes as well. */
const AT_ONCE = 4;
/** What does not fit is met by another reader, or again. */
const MAX_KNOWN = 100_000;

export class Tombstones {
  readonly #connection: Connection;
  readonly #stayMs: number;
  /** By sequence: when it may go. Roughly in that order. */
  readonly #due = new Map<number, number>();

  constructor(connection: Connection, stayMs: number) {
    this.#connection = connection;
    this.#stayMs = stayMs;
  }

  /** A tombstone of this process. */
  set(seq: number): void {
    if (this.#due.size < MAX_KNOWN) this.#due.set(seq, Date.now() + this.#stayMs);
  }

  /** A tombstone that a reader came by; `at`: the server's time of it. */
  meet(seq: number, at: number): void {
    const due = at + 2 * this.#stayMs;
    if (due <= Date.now() && !this.#due.has(seq) && this.#due.size < MAX_KNOWN) this.#due.set(seq, due);
  }

  /** Removes some that may go. It is no harm if that fails: they are met again. */
  async purge(): Promise<void> {
    const now = Date.now();
    const gone: number[] = [];
    for (const [seq, due] of this.#due) {
      if (due > now || gone.length === AT_ONCE) break;
      this.#due.delete(seq);
      gone.push(seq);
    }
    await Promise.allSettled(gone.map((seq) => this.#remove(seq)));
  }

  async #remove(seq: number): Promise<void> {
    try {
      await this.#connection.apiOnce(`STREAM.MSG.DELETE.${this.#connection.names.storeStream}`, { seq, no_erase: true });
    } catch (thrown) {
      if (!(thrown instanceof Refused)) throw thrown; // else its key was put again, or another process removed it
    }
  }
}
