/**
 * The bus on NATS: for several machines, or several processes that should not share a file. JetStream holds the logs, the
 * queues, the store and the dead letters; core NATS carries questions and events. Works with nats-server 2.9 and up.
 */
import { TroupeError } from '../../protocols/failure.ts';
import { MAX_LOG_ENTRIES, MAX_QUEUE_ITEMS, type Bus } from '../port.ts';
import { closedError, Connection, Refused, type Security } from './connection.ts';
import { DeadLetters } from './dead-letters.ts';
import { Journal } from './journal.ts';
import { Queues } from './queues.ts';
import { Store } from './store.ts';
import { Talk } from './talk.ts';
import { TOMBSTONE_MS } from './tombstones.ts';

export type NatsBusOptions = {
  /** `nats://127.0.0.1:4222`, or several, separated by commas. */
  readonly servers: string;
  /** What the server's monitoring calls this process. */
  readonly name?: string;
  /** Buses with different namespaces on one server know nothing of each other. */
  readonly namespace?: string;
  readonly security?: Security;
  /** `knownIds`: of entries, kept in memory to recognise what is appended again; what is forgotten is read again. */
  readonly limits?: { readonly entriesPerLog?: number; readonly queueItems?: number; readonly knownIds?: number };
  /** How long a write is tried again before it fails with BUS_UNAVAILABLE. */
  readonly deadlineMs?: number;
  /** How long the server may take for one request before it is made again. */
  readonly requestMs?: number;
  /** Copies of what is stored, in a cluster. */
  readonly replicas?: number;
  /** How long the mark of a deleted key stays (tombstones.ts). */
  readonly tombstoneMs?: number;
};

/** Of what is stored and said on the server, not of the package. */
const SERVICE_VERSION = '1.0.0';

/** About a hundred bytes each. */
const MAX_KNOWN_IDS = 500_000;

const NAMESPACE = /^[a-z][a-z0-9_-]{0,40}$/;

/** Errors: BUS_UNREACHABLE, BUS_NO_JETSTREAM, BUS_SERVER_TOO_OLD, BUS_SERVER_TOO_SMALL, BUS_NAME_INVALID. */
export const openNatsBus = async (options: NatsBusOptions): Promise<Bus> => {
  const {
    servers,
    name = 'troupe',
    namespace = 'troupe',
    security = {},
    limits: { entriesPerLog = MAX_LOG_ENTRIES, queueItems = MAX_QUEUE_ITEMS, knownIds = MAX_KNOWN_IDS } = {},
    deadlineMs = 180_000,
    requestMs = 5_000,
    replicas = 1,
    tombstoneMs = TOMBSTONE_MS,
  } = options;
  if (!NAMESPACE.test(namespace)) {
    throw new TroupeError(
      'BUS_NAME_INVALID',
      `namespace ${JSON.stringify(namespace)}: expected small letters, digits, - and _, beginning with a letter (41 at most)`,
    );
  }
  const connection = await Connection.open({ servers, name, namespace, security, deadlineMs, requestMs, replicas });
  const deadLetters = new DeadLetters(connection);
  const store = new Store(connection, tombstoneMs);
  const journal = new Journal(connection, { entriesPerLog, knownIds }, deadLetters, store);
  const queues = new Queues(connection, queueItems, deadLetters);
  const talk = new Talk(connection);

  // For discovery: `nats micro ls` lists every process that is connected.
  await connection.nats.services.add({
    name: 'troupe',
    version: SERVICE_VERSION,
    description: 'hosts or watches agents',
    metadata: { process: name, namespace },
  });

  const underWay = new Set<Promise<unknown>>();
  let closing: Promise<void> | undefined;

  const open = (): void => {
    if (closing) throw closedError();
  };
  /** A call that is waited for before the connection is let go. */
  const during = async <T>(call: () => Promise<T>): Promise<T> => {
    open();
    const result = call();
    underWay.add(result);
    try {
      return await result;
    } catch (thrown) {
      throw thrown instanceof Refused ? connection.unavailable(thrown) : thrown;
    } finally {
      underWay.delete(result);
    }
  };
  const close = async (): Promise<void> => {
    await Promise.allSettled(underWay);
    journal.close();
    queues.close();
    store.close();
    await connection.close();
  };

  return {
    name: servers,
    about: async () => connection.about(),
    append: (log, envelope, options) => during(async () => journal.append(log, envelope, options)),
    read: async function* (pattern, from = 0) {
      open();
      yield* journal.read(pattern, from);
    },
    follow: (pattern, from, onEntry) => (open(), journal.follow(pattern, from, onEntry)),
    durable: async () => open(),
    cut: (log, before) => during(() => journal.cut(log, before)),
    head: () => during(() => journal.head()),
    offer: (queue, id, data) => during(() => queues.offer(queue, id, data)),
    take: (queue, takeOptions, onItem) => (open(), queues.take(queue, takeOptions, onItem)),
    ask: async (subject, data, timeoutMs) => (open(), talk.ask(subject, data, timeoutMs)),
    answer: (subject, onAsk) => (open(), talk.answer(subject, onAsk)),
    announce: (subject, data) => (open(), talk.announce(subject, data)),
    watch: (pattern, onEvent) => (open(), talk.watch(pattern, onEvent)),
    get: (key) => during(() => store.get(key)),
    put: (key, value, { expect } = {}) => during(() => store.put(key, value, expect)),
    delete: (key, { expect } = {}) => during(() => store.delete(key, expect)),
    keys: (prefix) => during(() => store.keys(prefix)),
    watchStore: (prefix, onChange) => (open(), store.watch(prefix, onChange)),
    present: (about, stats) => (open(), present(connection, { process: name, namespace, ...about }, stats)),
    bury: (letter) => during(() => deadLetters.bury(letter)),
    deadLetters: () => during(() => deadLetters.all()),
    close: () => (closing ??= close()),
  };
};

/** What the process does as a service beside the one by which it is discovered: `nats micro info troupe-host`, `nats micro stats`. */
const present = ({ nats }: Connection, metadata: Record<string, string>, stats: () => Readonly<Record<string, unknown>>): { stop(): void } => {
  const adding = nats.services.add({
    name: 'troupe-host',
    version: SERVICE_VERSION,
    description: 'plays agents of a team',
    metadata,
    statsHandler: () => Promise.resolve(stats()),
  });
  adding.then(
    (service) =>
      service.addEndpoint('stats', {
        // Each process answers for itself: one that asks for the stats of one host names it.
        subject: `${metadata['namespace']}.host.${metadata['host'] ?? service.info().id}.stats`,
        handler: (_, message) => void message.respond(JSON.stringify(stats())),
      }),
    () => {}, // the connection was closed in the meantime
  );
  return { stop: () => void adding.then((service) => service.stop()).catch(() => {}) };
};
