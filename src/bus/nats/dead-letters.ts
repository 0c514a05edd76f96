/** The dead-letter log: one message a letter, each on a subject of its own, so that what several readers meet is buried once. */
import { randomUUID } from 'node:crypto';
import type { DeadLetter } from '../port.ts';
import { isConflict, type Connection } from './connection.ts';
import { StreamReader } from './stream-reader.ts';

/** What of a body is kept, so that any letter fits into a message. */
const MAX_BODY = 150_000;

export class DeadLetters {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** `token`: what it is the letter of; a second letter of the same is none. */
  async bury({ source, reason, body }: Omit<DeadLetter, 'at'>, token: string = randomUUID()): Promise<void> {
    const { names } = this.#connection;
    try {
      await this.#connection.store(
        names.deadStream,
        names.dead(token),
        JSON.stringify({ source, reason, body: body.length <= MAX_BODY ? body : `${body.slice(0, MAX_BODY)}… (${body.length} characters)` }),
        { expect: 0 },
      );
    } catch (thrown) {
      if (!isConflict(thrown)) throw thrown;
    }
  }

  async all(): Promise<readonly DeadLetter[]> {
    const letters: DeadLetter[] = [];
    const { names } = this.#connection;
    const { promise: read, resolve: end } = Promise.withResolvers<void>();
    const reader = new StreamReader(this.#connection, {
      stream: names.deadStream,
      start: 1,
      onMessage: ({ at, data }) => letters.push({ at, ...(JSON.parse(Buffer.from(data).toString()) as Omit<DeadLetter, 'at'>) }),
      onCaughtUp: end,
    });
    try {
      await this.#connection.within(read);
    } finally {
      reader.stop();
    }
    return letters;
  }
}
