/** Time as a host knows it: a test holds it in its hand. Folds know only the log's time. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls back once, `delayMs` from now at the earliest; the function that it gives takes it back. */
  after(delayMs: number, then: () => void): () => void;
}

/** Node's timers hold 31 bits of milliseconds; a longer wait is made of several. */
const LONGEST_MS = 2_147_483_647;

export const systemClock: Clock = {
  now: Date.now,
  after(delayMs, then) {
    const due = Date.now() + delayMs;
    const arm = (): NodeJS.Timeout => {
      const left = Math.max(0, due - Date.now());
      return setTimeout(() => (left > LONGEST_MS ? (timer = arm()) : then()), Math.min(left, LONGEST_MS));
    };
    let timer = arm();
    return () => clearTimeout(timer);
  },
};
