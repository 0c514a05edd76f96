/**
 * What comes new into the stream of the logs: one consumer a process, however many followers. What comes from the server is
 * durable, so who is told by the tail never sees what may be lost.
 */
import { closedError, type Connection } from './connection.ts';
import type { History } from './history.ts';
import { StreamReader, type Stored } from './stream-reader.ts';

export class Tail {
  readonly #connection: Connection;
  readonly #history: History;
  readonly #onMessage: (message: Stored) => void;
  readonly #waiting: { readonly seq: number; readonly then: () => void }[] = [];
  #reader: StreamReader | undefined;
  #started: Promise<void> | undefined;
  #seq = 0;
  #closed = false;

  constructor(connection: Connection, history: History, onMessage: (message: Stored) => void) {
    this.#connection = connection;
    this.#history = history;
    this.#onMessage = onMessage;
  }

  /** Everything after this message is told, or was. What is before it is history. */
  get seq(): number {
    return this.#seq;
  }

  /** From the first call on everything that comes is told. */
  start(): Promise<void> {
    this.#started ??= this.#history
      .headSeq()
      .then((seq) => {
        if (this.#closed) throw closedError();
        this.#seq = seq;
        this.#reader = new StreamReader(this.#connection, {
          stream: this.#connection.names.logStream,
          start: seq + 1,
          onMessage: (message) => this.#take(message),
        });
      })
      .catch((thrown: unknown) => {
        this.#started = undefined;
        throw thrown;
      });
    return this.#started;
  }

  /** Until all that is there now was told. */
  async synchronise(): Promise<void> {
    await this.start();
    await this.reach(await this.#history.headSeq());
  }

  async reach(seq: number): Promise<void> {
    if (this.#closed) throw closedError();
    if (this.#seq < seq) await new Promise<void>((then) => this.#waiting.push({ seq, then }));
    if (this.#closed) throw closedError();
  }

  close(): void {
    this.#closed = true;
    this.#reader?.stop();
    for (const { then } of this.#waiting.splice(0)) then();
  }

  #take(message: Stored): void {
    this.#onMessage(message);
    this.#seq = message.seq;
    for (let index = this.#waiting.length - 1; index >= 0; index--) {
      if (this.#waiting[index]!.seq <= message.seq) this.#waiting.splice(index, 1)[0]!.then();
    }
  }
}
