/**
 * Turns of the event loop: how many calls begin in one. A thousand runs whose calls could all begin at the same moment would keep
 * timers and the network waiting, and all that each of them is about to do in memory at once. So some begin in this turn and the
 * others in the next ones, the oldest unit first: it ends sooner, and nobody waits for ever.
 */

/** Calls that begin in one turn. */
const CALLS_MAX = 64;

type Waiting = { readonly order: number; readonly begin: () => void };

export class Turns {
  #left = CALLS_MAX;
  #waiting: Waiting[] = [];
  #isArmed = false;

  /** When a call of the unit that was adopted as the `order`-th may begin; `undefined`: now. */
  next(order: number): Promise<void> | undefined {
    this.#arm();
    if (this.#waiting.length === 0 && this.#left > 0) {
      this.#left--;
      return undefined;
    }
    return new Promise((begin) => void this.#waiting.push({ order, begin }));
  }

  #arm(): void {
    if (this.#isArmed) return;
    this.#isArmed = true;
    setImmediate(() => this.#turn());
  }

  #turn(): void {
    this.#isArmed = false;
    this.#waiting.sort((a, b) => a.order - b.order);
    const now = this.#waiting.splice(0, CALLS_MAX);
    this.#left = CALLS_MAX - now.length;
    if (now.length > 0) this.#arm();
    for (const { begin } of now) begin();
  }
}
