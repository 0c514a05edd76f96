/**
 * The embedded bus: one SQLite file that the processes of one machine share, or memory. It needs nothing installed, and is
 * what `troupe run` uses unless it is told of a server. Not for files on a network drive: SQLite's locks do not hold there.
 */
import { isUtf8 } from 'node:buffer';
import { MAX_LOG_ENTRIES, MAX_QUEUE_ITEMS, type Bus, type DeadLetter } from '../port.ts';
import { Connection } from './connection.ts';
import { Journal } from './journal.ts';
import { Queues } from './queues.ts';
import { Store } from './store.ts';
import { Talk } from './talk.ts';

export type EmbeddedBusOptions = {
  /** The file, made with its folder if it is not there; `:memory:` keeps nothing. */
  readonly path: string;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  readonly limits?: { readonly entriesPerLog?: number; readonly queueItems?: number };
};

/** Errors: BUS_UNAVAILABLE (the file cannot be opened, or is of another format). */
export const openEmbeddedBus = ({ path, now = Date.now, limits = {} }: EmbeddedBusOptions): Bus => {
  const connection = new Connection(path, now);
  const insertDead = connection.prepare('INSERT INTO dead (at, source, reason, body) VALUES (?, ?, ?, ?)');
  const readDead = connection.prepare('SELECT at, source, reason, body FROM dead ORDER BY seq');
  const about = connection.prepare('SELECT sqlite_version() AS version');
  const bury = (source: string, reason: string, body: string) => void connection.write(() => insertDead.run(now(), source, reason, body));

  const journal = new Journal(connection, limits.entriesPerLog ?? MAX_LOG_ENTRIES);
  const queues = new Queues(connection, limits.queueItems ?? MAX_QUEUE_ITEMS, bury);
  const store = new Store(connection);
  const talk = new Talk(connection);
  queues.sweep();

  /** The result of a write once it is there for good. */
  const durably = <T>(write: () => T): Promise<T> => {
    try {
      const result = write();
      return connection.durable().then(() => result);
    } catch (thrown) {
      return Promise.reject(thrown);
    }
  };

  return {
    name: connection.name,
    about: async () => connection.read(() => ({ sqlite: (about.get() as { version: string }).version })),
    append: (log, envelope, options) => durably(() => journal.append(log, envelope, options)),
    read: (pattern, from = 0) => journal.read(pattern, from),
    follow: (pattern, from, onEntry) => journal.follow(pattern, from, onEntry),
    durable: () => connection.durable(),
    cut: (log, before) => durably(() => journal.cut(log, before)),
    head: async () => journal.head(),
    offer: (queue, id, data) => durably(() => queues.offer(queue, id, data)),
    take: (queue, options, onItem) => queues.take(queue, options, onItem),
    ask: (subject, data, timeoutMs) => talk.ask(subject, data, timeoutMs),
    answer: (subject, onAsk) => talk.answer(subject, onAsk),
    announce: (subject, data) => talk.announce(subject, data),
    watch: (pattern, onEvent) => talk.watch(pattern, onEvent),
    get: async (key) => store.get(key),
    put: async (key, value, { expect, lazy = false } = {}) => (lazy ? store.put(key, value, expect) : durably(() => store.put(key, value, expect))),
    delete: async (key, options) => void (await durably(() => store.put(key, null, options?.expect))),
    keys: async (prefix) => store.keys(prefix),
    watchStore: (prefix, onChange) => store.watch(prefix, onChange),
    present: () => ({ stop: () => {} }),
    bury: ({ source, reason, body }) => durably(() => bury(source, reason, body)),
    deadLetters: async () =>
      connection
        .read(() => readDead.all() as unknown as (Omit<DeadLetter, 'body'> & { readonly body: string | Uint8Array })[])
        .map(({ at, source, reason, body }) => ({ at, source, reason, body: textOf(body) })),
    close: async () => {
      talk.close();
      connection.close();
    },
  };
};

const textOf = (body: string | Uint8Array): string => {
  if (typeof body === 'string') return body;
  return isUtf8(body) ? Buffer.from(body).toString() : `base64:${Buffer.from(body).toString('base64')}`;
};
