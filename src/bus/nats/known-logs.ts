/**
 * What a process knows of the logs in the shards that it writes to: which ids they hold, how many, and the last position.
 *
 * Ids are what takes room, so only `maxIds` of them are kept; the logs that were appended to the longest time ago lose theirs
 * first, and are read again should they be needed. Of every log two numbers stay, of every first token (a run) its span.
 */
import type { Position } from '../port.ts';

export type KnownLog = {
  count: number;
  last: Position;
  /** `undefined`: forgotten, to make room. */
  ids: Map<string, Position> | undefined;
};

/** Where the entries of all logs with one first token lie. */
export type Span = { readonly first: Position; readonly last: Position };

export const firstTokenOf = (log: string): string => {
  const dot = log.indexOf('.');
  return dot < 0 ? log : log.slice(0, dot);
};

export class KnownLogs {
  readonly #maxIds: number;
  /** Those with ids come in the order of their last use. */
  readonly #logs = new Map<string, KnownLog>();
  readonly #spans = new Map<string, { first: Position; last: Position }>();
  #ids = 0;

  constructor(maxIds: number) {
    this.#maxIds = maxIds;
  }

  /** Before an append: what is known, and that it is in use. */
  use(log: string): KnownLog | undefined {
    const known = this.#logs.get(log);
    if (known) {
      this.#logs.delete(log);
      this.#logs.set(log, known);
    }
    return known;
  }

  span(firstToken: string): Span | undefined {
    return this.#spans.get(firstToken);
  }

  /** An entry of the log. Any order, any number of times. */
  note(log: string, id: string, position: Position): void {
    let known = this.#logs.get(log);
    if (!known) this.#logs.set(log, (known = { count: 0, last: 0, ids: new Map() }));
    if (known.ids ? !known.ids.has(id) : position > known.last) {
      known.count += 1;
      if (known.ids) {
        known.ids.set(id, position);
        this.#ids += 1;
        if (this.#ids > this.#maxIds) this.#makeRoom(known);
      }
    }
    if (position > known.last) known.last = position;
    this.widen(log, position);
  }

  /** Begins anew with a log whose ids were forgotten: every entry of it is noted again. */
  recall(log: string): void {
    const known = this.#logs.get(log);
    if (known && !known.ids) Object.assign(known, { ids: new Map(), count: 0 });
  }

  /** What is before a position is not there any more. */
  cut(log: string, before: Position): void {
    const known = this.#logs.get(log);
    if (!known?.ids) return; // its ids are read again when they are needed
    for (const [id, position] of known.ids) {
      if (position >= before) continue;
      known.ids.delete(id);
      known.count -= 1;
      this.#ids -= 1;
    }
  }

  /** Something lies there, be it an entry or not. */
  widen(log: string, position: Position): void {
    const firstToken = firstTokenOf(log);
    const span = this.#spans.get(firstToken);
    if (!span) this.#spans.set(firstToken, { first: position, last: position });
    else if (position > span.last) span.last = position;
    else if (position < span.first) span.first = position;
  }

  #makeRoom(keep: KnownLog): void {
    for (const known of this.#logs.values()) {
      if (!known.ids || known === keep) continue;
      this.#ids -= known.ids.size;
      known.ids = undefined;
      if (this.#ids <= this.#maxIds * 0.9) return;
    }
  }
}
