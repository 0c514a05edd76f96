/**
 * What things are called on the server. A namespace `troupe` has four streams:
 *
 *   TROUPE_LOG    troupe.log.<shard>            every log (journal.ts)
 *   TROUPE_QUEUE  troupe.queue.<queue>.<item>   the newest state of each item (queues.ts)
 *   TROUPE_STORE  troupe.store.<key>            the newest value of each key (store.ts); three tokens at most
 *   TROUPE_DEAD   troupe.dead.<token>           dead letters (dead-letters.ts)
 *
 * and, without storage, troupe.ask.<subject> and troupe.event.<subject>. Nobody outside this folder knows these names.
 */
import { createHash } from 'node:crypto';

export type Names = {
  readonly namespace: string;
  readonly logStream: string;
  readonly queueStream: string;
  readonly storeStream: string;
  readonly deadStream: string;
  readonly shard: (shard: number) => string;
  readonly queue: (queue: string) => string;
  readonly item: (queue: string, id: string) => string;
  readonly key: (key: string) => string;
  /** Of all keys that begin so, and of some others. */
  readonly keys: (prefix: string) => string;
  readonly dead: (token: string) => string;
  readonly ask: (subject: string) => string;
  readonly event: (subject: string) => string;
};

export const namesIn = (namespace: string): Names => {
  const stream = (kind: string): string => `${namespace.toUpperCase()}_${kind}`;
  return {
    namespace,
    logStream: stream('LOG'),
    queueStream: stream('QUEUE'),
    storeStream: stream('STORE'),
    deadStream: stream('DEAD'),
    shard: (shard) => `${namespace}.log.${shard}`,
    queue: (queue) => `${namespace}.queue.${queue}`,
    item: (queue, id) => `${namespace}.queue.${queue}.${tokenOf(id)}`,
    key: (key) => [`${namespace}.store`, ...partsOf(key).map(tokenOf)].join('.'),
    keys: (prefix) => [`${namespace}.store`, ...partsOf(prefix).slice(0, -1).map(tokenOf), '>'].join('.'),
    dead: (token) => `${namespace}.dead.${tokenOf(token)}`,
    ask: (subject) => `${namespace}.ask.${subject}`,
    event: (subject) => `${namespace}.event.${subject}`,
  };
};

/** What is before the first dot of a key, before the second, and the rest: by the first two the server finds keys. */
const partsOf = (key: string): string[] => {
  const [first = '', second, ...rest] = key.split('.');
  return [first, ...(second === undefined ? [] : [second]), ...(rest.length > 0 ? [rest.join('.')] : [])];
};

/** Of a server's line, and a subject stands in it more than once. */
const LONGEST_TOKEN = 300;

/**
 * Any text as one token of a subject, legible where it can be and different for different texts: a byte outside
 * `[A-Za-z0-9_-]` is `=` and two hex digits; what would be too long is its hash, marked by a leading `=`.
 */
export const tokenOf = (text: string): string => {
  const token = text.replaceAll(/[^A-Za-z0-9_-]/gu, (character) =>
    [...Buffer.from(character)].map((byte) => `=${byte.toString(16).padStart(2, '0')}`).join(''),
  );
  if (token !== '' && token.length <= LONGEST_TOKEN) return token;
  return `==${createHash('sha256').update(text).digest('base64url')}`;
};
