/**
 * The bus: everything that actors, hosts and commands need from storage and transport. Two adapters, one contract suite
 * (test/contract/bus-suite.ts).
 *
 *   log      append-only, one for each actor instance; the actor's mailbox and its journal at once
 *   queue    shared work: one taker holds an item under a lease
 *   ask      request and reply with a deadline, for what need not be remembered
 *   event    fire-and-forget, for whoever looks on
 *   store    keyed values with compare-and-set
 *
 * Invariants:
 *   B1  What `append` resolved for is there after kill -9 of every process, in the same order.
 *   B2  Within one log an id counts once: appending it again changes nothing and gives the first position.
 *   B3  Positions rise over the whole bus and never change; an entry has the same position for every reader.
 *   B4  A follower sees each entry of its pattern once and in order of position, also across a lost connection.
 *   B5  An item of a queue is held by at most one taker whose lease has not run out.
 *   B6  What cannot be decoded is in the dead-letter log with the reason; nobody crashes and nothing is skipped in silence.
 */
import type { Envelope } from '../protocols/envelope.ts';

/** Where an entry stands. Only order and equality mean anything; 0 is before the first. */
export type Position = number;

export type Entry = {
  readonly log: string;
  readonly position: Position;
  /** When the bus took it, milliseconds since 1970 by the bus's one clock. Folds know no other time. */
  readonly at: number;
  readonly envelope: Envelope;
};

/**
 * Which logs: the name of one (`r-1.supervisor`), all below a prefix (`r-1.>`), or a name in which `*` stands for one token
 * (`*.worker.reader.*`). `>` alone is every log.
 */
export type LogPattern = string;

export type Following = {
  /** Resolves when everything that was in the logs when `follow` was called has been handed over. */
  readonly caughtUp: Promise<void>;
  stop(): void;
};

export type QueueItem = {
  readonly id: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** From 1; counts the times it was offered to a taker. */
  readonly delivery: number;
  /** Extends the lease by its full length. False: the lease was lost, stop working on it. */
  extend(): Promise<boolean>;
  /** Done: it is never offered again. False: the lease was lost before. */
  finish(): Promise<boolean>;
  /** Gives it back, to be offered again after `delayMs`. */
  return(delayMs?: number): Promise<void>;
  /** It can never be done: into the dead-letter log with the reason. */
  bury(reason: string): Promise<void>;
};

export type Taking = { stop(): void };

export type StoreValue = { readonly key: string; readonly value: string; readonly revision: number };
/** What a watcher sees; no `value`: the key was deleted. */
export type StoreChange = { readonly key: string; readonly value?: string; readonly revision: number };

export type DeadLetter = {
  readonly at: number;
  /** The log or queue it was meant for. */
  readonly source: string;
  readonly reason: string;
  /** What was there, as text; what is no UTF-8 is base64, marked `base64:`. */
  readonly body: string;
};

export type AppendOptions = { readonly expect?: Position; readonly makesRoom?: boolean };

export interface Bus {
  /** For people: `embedded:.troupe/bus.db`, `nats://127.0.0.1:4222`. */
  readonly name: string;

  /** What stands behind it, for people: versions, sizes. */
  about(): Promise<Readonly<Record<string, string>>>;

  /**
   * Durable when it resolves. `expect`: only if the log's last position is this (0: the log is empty). `makesRoom`: also into a log
   * that is full; only for an entry behind which the log is cut.
   * Errors: BUS_CONFLICT (`expect` not met; details.last), BUS_ENTRY_TOO_LARGE (over `MAX_ENTRY_BYTES`), BUS_LOG_FULL
   * (retryable; the log's bound is reached), BUS_UNAVAILABLE (retryable), BUS_CLOSED.
   */
  append(log: string, envelope: Envelope, options?: AppendOptions): Promise<Position>;

  /** The entries of the logs that match, after `from`, in order of position, as they stood when it was called. */
  read(pattern: LogPattern, from?: Position): AsyncIterable<Entry>;

  /**
   * The entries after `from`, then each new one. In the process that appends it, an entry may be handed over before it is
   * durable: whoever touches the world on its account awaits `durable()` first. `onEntry` is synchronous; it may append.
   */
  follow(pattern: LogPattern, from: Position, onEntry: (entry: Entry) => void): Following;

  /** Resolves when everything that this process has been handed is durable. Rejects, with all later calls, if it will never be. */
  durable(): Promise<void>;

  /**
   * Removes the entries of a log before a position, for every reader from then on. Later entries keep their positions; an id that
   * was removed may be appended again, and the log's bound counts what is left. Durable when it resolves.
   */
  cut(log: string, before: Position): Promise<void>;

  /** A position at or after that of every entry that was appended before the call, and before that of any appended after it resolves. */
  head(): Promise<Position>;

  /** Durable when it resolves; an id that the queue already knows, also as finished, changes nothing. Error: BUS_QUEUE_FULL (retryable). */
  offer(queue: string, id: string, data: Readonly<Record<string, unknown>>): Promise<void>;

  /** Hands over items, `concurrency` at most at a time; a slot is free again when its item is finished, returned, buried or lost. */
  take(queue: string, options: { leaseMs: number; concurrency: number }, onItem: (item: QueueItem) => void): Taking;

  /** Errors: BUS_NO_ANSWERER (nobody answers this subject), BUS_TIMEOUT (retryable), or the failure that the answerer threw. */
  ask(subject: string, data: Readonly<Record<string, unknown>>, timeoutMs: number): Promise<Readonly<Record<string, unknown>>>;
  answer(subject: string, onAsk: (data: Readonly<Record<string, unknown>>) => Promise<Readonly<Record<string, unknown>>>): { stop(): void };

  /** Events are lost when nobody watches. Subjects are dotted; a watched pattern is as for logs. */
  announce(subject: string, data: Readonly<Record<string, unknown>>): void;
  watch(pattern: string, onEvent: (subject: string, data: Readonly<Record<string, unknown>>) => void): { stop(): void };

  get(key: string): Promise<StoreValue | undefined>;
  /**
   * Durable when it resolves. `expect`: the revision it must have (0: no such key). `lazy`: may resolve before it is durable, and is
   * so no later than what a later `append`, or `durable()`, resolves for. Error: BUS_CONFLICT. Gives the new revision.
   */
  put(key: string, value: string, options?: { expect?: number; lazy?: boolean }): Promise<number>;
  delete(key: string, options?: { expect?: number }): Promise<void>;
  keys(prefix: string): Promise<readonly string[]>;
  /** First what is there, then each change. */
  watchStore(prefix: string, onChange: (change: StoreChange) => void): { stop(): void };

  /**
   * Puts this process on show to whoever looks at the bus with tools of its own: on NATS it is a service of the services protocol,
   * whose STATS hold what `stats` gives; a file has no such tools. Values of `about` are texts.
   */
  present(about: Readonly<Record<string, string>>, stats: () => Readonly<Record<string, unknown>>): { stop(): void };

  /** Writes to the dead-letter log: for an addressee that cannot decode a payload. */
  bury(letter: Omit<DeadLetter, 'at'>): Promise<void>;
  deadLetters(): Promise<readonly DeadLetter[]>;

  /** Waits for what is under way, then lets go. A second call does nothing; every other call then fails with BUS_CLOSED. */
  close(): Promise<void>;
}

/** Of an encoded envelope: what both adapters take whole. */
export const MAX_ENTRY_BYTES = 1_000_000;
/** Entries that one log may hold before `append` pushes back. */
export const MAX_LOG_ENTRIES = 100_000;
/** Items that one queue may hold before `offer` pushes back. */
export const MAX_QUEUE_ITEMS = 10_000;
