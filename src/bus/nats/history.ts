/** The stream of the logs as it stands: messages are read by a consumer that ends, no faster than they are taken. */
import { closedError, type Connection } from './connection.ts';
import { StreamReader, type Stored } from './stream-reader.ts';

export class History {
  readonly #connection: Connection;
  /** Of those who wait for a message. */
  readonly #wakers = new Set<() => void>();
  #closed = false;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** The sequence of the last message that was ever there. */
  async headSeq(): Promise<number> {
    const { state } = await this.#connection.api<{ state: { last_seq: number } }>(`STREAM.INFO.${this.#connection.names.logStream}`);
    return state.last_seq;
  }

  /** The messages from the first sequence to the last one, of one shard or of all. */
  async *messages(first: number, last: number, shard: number | undefined): AsyncGenerator<Stored> {
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
      until: last,
      onCaughtUp: () => {
        ended = true;
        wake();
      },
      onFlow: (goOn) => {
        queue.push(goOn);
        wake();
      },
    });
    const waker = (): void => wake();
    this.#wakers.add(waker);
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
      this.#wakers.delete(waker);
      reader.stop();
    }
  }

  close(): void {
    this.#closed = true;
    for (const wake of this.#wakers) wake();
  }
}
