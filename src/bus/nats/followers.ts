/** Who follows which logs: an entry finds its followers by its log's first token. */
import { matcher } from '../pattern.ts';
import type { Entry, LogPattern, Position } from '../port.ts';
import { firstTokenOf } from './known-logs.ts';

export type Follower = {
  readonly from: Position;
  readonly pattern: LogPattern;
  readonly matches: (log: string) => boolean;
  readonly onEntry: (entry: Entry) => void;
  /** What the tail brought while history was read; `undefined`: history is done. */
  waiting: Entry[] | undefined;
  stopped: boolean;
};

export const newFollower = (pattern: LogPattern, from: Position, onEntry: (entry: Entry) => void): Follower => ({
  from,
  pattern,
  matches: matcher(pattern),
  onEntry,
  waiting: [],
  stopped: false,
});

export class Followers {
  readonly #byToken = new Map<string, Set<Follower>>();

  /** From here on it has what the tail brings. */
  add(follower: Follower): void {
    const token = fixedTokenOf(follower.pattern) ?? '';
    this.#byToken.set(token, (this.#byToken.get(token) ?? new Set()).add(follower));
  }

  stop(follower: Follower): void {
    follower.stopped = true;
    const token = fixedTokenOf(follower.pattern) ?? '';
    const others = this.#byToken.get(token);
    others?.delete(follower);
    if (others?.size === 0) this.#byToken.delete(token);
  }

  want(log: string, position: Position): boolean {
    for (const { from, matches } of this.#of(log)) if (position > from && matches(log)) return true;
    return false;
  }

  arrive(entry: Entry): void {
    for (const follower of this.#of(entry.log)) {
      if (!follower.matches(entry.log) || entry.position <= follower.from) continue;
      if (follower.waiting) follower.waiting.push(entry);
      else hand(follower, entry);
    }
  }

  close(): void {
    for (const followers of this.#byToken.values()) for (const follower of followers) follower.stopped = true;
    this.#byToken.clear();
  }

  *#of(log: string): Generator<Follower> {
    yield* this.#byToken.get(firstTokenOf(log)) ?? [];
    yield* this.#byToken.get('') ?? [];
  }
}

/** The first token of every log that matches, if there is but one. */
export const fixedTokenOf = (pattern: LogPattern): string | undefined => {
  const token = firstTokenOf(pattern);
  return token === '*' || token === '>' ? undefined : token;
};

/** A handler that throws is a bug of its owner, and must not keep others from their entries. */
export const hand = (follower: Follower, entry: Entry): void => {
  if (follower.stopped) return;
  try {
    follower.onEntry(entry);
  } catch (thrown) {
    queueMicrotask(() => {
      throw thrown;
    });
  }
};
