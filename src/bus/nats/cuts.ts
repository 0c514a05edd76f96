/**
 * Where logs were cut. An entry lies in a batch with entries of other logs, so a cut is first of all a mark in the store: every
 * reader passes over what is before it. What of the stream holds nothing else is then deleted (journal.ts).
 */
import { TroupeError } from '../../protocols/failure.ts';
import type { Position } from '../port.ts';
import type { Store } from './store.ts';

const KEY = 'bus.cuts';

export class Cuts {
  readonly #store: Store;
  #marks: Readonly<Record<string, Position>> = {};

  constructor(store: Store) {
    this.#store = store;
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

  learn(log: string, before: Position): void {
    if (!this.hides(log, before - 1)) this.#marks = { ...this.#marks, [log]: before };
  }

  /** Durable when it resolves. A log that was cut further already stays as it is. */
  async mark(log: string, before: Position): Promise<void> {
    for (;;) {
      const stored = await this.#store.get(KEY);
      this.#marks = stored ? (JSON.parse(stored.value) as Record<string, Position>) : {};
      if (this.hides(log, before - 1)) return;
      this.learn(log, before);
      try {
        await this.#store.put(KEY, JSON.stringify(this.#marks), stored?.revision ?? 0);
        return;
      } catch (thrown) {
        if (!(thrown instanceof TroupeError && thrown.code === 'BUS_CONFLICT')) throw thrown; // another log was cut meanwhile
      }
    }
  }
}
