/**
 * What this process knows of the shards of the logs. Who appends to a shard has read it once, and from then on the tail says
 * what is new in it: so the ids, the size and the last position of each log there are known (known-logs.ts).
 */
import { decodeLine, linesOf, positionOf, SHARDS, shardOf, type Line } from './batch.ts';
import type { Cuts } from './cuts.ts';
import type { History } from './history.ts';
import { KnownLogs } from './known-logs.ts';
import type { Tail } from './tail.ts';

export type Shard = {
  readonly number: number;
  /** The sequence of its last message, as far as it is known. */
  last: number;
  /** What the tail brings is noted. */
  noting: boolean;
  learned: Promise<void> | undefined;
};

export class Shards {
  readonly known: KnownLogs;
  readonly #history: History;
  readonly #cuts: Cuts;
  readonly #tail: Tail;
  readonly #all: readonly Shard[] = Array.from({ length: SHARDS }, (_, number) => ({ number, last: 0, noting: false, learned: undefined }));

  constructor(knownIds: number, history: History, cuts: Cuts, tail: Tail) {
    this.known = new KnownLogs(knownIds);
    this.#history = history;
    this.#cuts = cuts;
    this.#tail = tail;
  }

  /** The one in which the log lies, and all others with its first token. */
  of(log: string): Shard {
    return this.#all[shardOf(log)]!;
  }

  /** The one of a message, by its subject; `undefined`: of another format. */
  bySubject(subject: string): Shard | undefined {
    return this.#all[Number(subject.slice(subject.lastIndexOf('.') + 1))];
  }

  /** Reads a shard for the first time. */
  learn(shard: Shard): Promise<void> {
    shard.learned ??= this.#tail
      .start()
      .then(() => {
        shard.noting = true;
        return this.#read(shard, () => true);
      })
      .catch((thrown: unknown) => {
        shard.learned = undefined;
        throw thrown;
      });
    return shard.learned;
  }

  /** Reads again what these logs hold. */
  async recall(shard: Shard, logs: ReadonlySet<string>): Promise<void> {
    for (const log of logs) this.known.recall(log);
    if (logs.size > 0) await this.#read(shard, (log) => logs.has(log));
  }

  async #read(shard: Shard, wanted: (log: string) => boolean): Promise<void> {
    await this.#cuts.load();
    for await (const { seq, data } of this.#history.messages(1, this.#tail.seq, shard.number)) {
      for (const [index, line] of linesOf(data).entries()) if (wanted(line.log)) this.#note(line, positionOf(seq, index));
      shard.last = Math.max(shard.last, seq);
    }
  }

  #note(line: Line, position: number): void {
    if (this.#cuts.hides(line.log, position)) return;
    const decoded = decodeLine(line);
    if (decoded.ok) this.known.note(line.log, decoded.envelope.id, position);
    else this.known.widen(line.log, position);
  }
}
