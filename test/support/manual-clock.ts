/** A clock that a test holds in its hand. */
import type { Clock } from '../../src/runtime/clock.ts';

export class ManualClock implements Clock {
  #now = 1_000_000;
  #timers: { readonly due: number; readonly then: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  after(delayMs: number, then: () => void): () => void {
    const timer = { due: this.#now + delayMs, then };
    this.#timers.push(timer);
    return () => void (this.#timers = this.#timers.filter((one) => one !== timer));
  }

  /** Callbacks that wait for their time. */
  get waiting(): number {
    return this.#timers.length;
  }

  /** Lets time pass, and calls whoever is due on the way, in order. */
  advance(ms: number): void {
    const until = this.#now + ms;
    for (;;) {
      const [next] = this.#timers.filter(({ due }) => due <= until).sort((one, other) => one.due - other.due);
      if (!next) break;
      this.#now = next.due;
      this.#timers = this.#timers.filter((one) => one !== next);
      next.then();
    }
    this.#now = until;
  }

  /** Lets time pass for a process that sleeps: it is later, and nobody was called. */
  jump(ms: number): void {
    this.#now += ms;
  }
}
