/**
 * The keyed store on NATS: one subject a key, whose newest message is its value. A revision is the message's sequence.
 *
 * The key stands in a header, so that keys are listed without reading a value; a deleted key has a message that says so, for a
 * while (tombstones.ts).
 */
import { TroupeError } from '../../protocols/failure.ts';
import type { StoreChange, StoreValue } from '../port.ts';
import { isConflict, type Connection } from './connection.ts';
import { StreamReader, type Stored } from './stream-reader.ts';
import { Tombstones } from './tombstones.ts';

/** In percent-encoding: a header holds no line break. */
const KEY_HEADER = 'Troupe-Key';
/** On a deletion, and nowhere else. */
const DELETED_HEADER = 'Troupe-Deleted';

type Newest = { readonly value: string | undefined; readonly revision: number };
type Listed = Pick<Stored, 'seq' | 'at'> & { readonly isDeleted: boolean };

export class Store {
  readonly #connection: Connection;
  readonly #tombstones: Tombstones;
  readonly #readers = new Set<StreamReader>();

  constructor(connection: Connection, tombstoneMs: number) {
    this.#connection = connection;
    this.#tombstones = new Tombstones(connection, tombstoneMs);
  }

  async get(key: string): Promise<StoreValue | undefined> {
    const newest = await this.#newest(key);
    return newest?.value === undefined ? undefined : { key, value: newest.value, revision: newest.revision };
  }

  put(key: string, value: string, expect: number | undefined): Promise<number> {
    return this.#write(key, value, expect);
  }

  async delete(key: string, expect: number | undefined): Promise<void> {
    if (expect === undefined && (await this.get(key)) === undefined) return;
    this.#tombstones.set(await this.#write(key, undefined, expect));
    void this.#tombstones.purge();
  }

  async keys(prefix: string): Promise<readonly string[]> {
    return [...(await this.#list(prefix)).keys()];
  }

  watch(prefix: string, onChange: (change: StoreChange) => void): { stop(): void } {
    const there = new Map<string, StoreChange>();
    let isLive = false;
    const take = (change: StoreChange): void => {
      const { key, value, revision } = change;
      if (revision <= (there.get(key)?.revision ?? 0)) return;
      // Of what is there its revision is kept, to find what was deleted while nobody listened.
      if (value !== undefined) there.set(key, isLive ? { key, revision } : change);
      else if (!there.delete(key)) return;
      if (isLive) onChange(change);
    };
    const reader = this.#read(prefix, {
      onKey: (key, { seq: revision, data, isDeleted }) => take({ key, revision, ...(!isDeleted && { value: Buffer.from(data).toString() }) }),
      onCaughtUp: () => {
        if (isLive) return;
        isLive = true;
        for (const [key, change] of there) {
          there.set(key, { key, revision: change.revision });
          onChange(change);
        }
      },
      onReplaced: () => void forget().catch(() => {}), // the connection is lost again, or closed
    });
    /** Tells of what is gone without a trace. */
    const forget = async (): Promise<void> => {
      const before = new Map(there);
      const now = await this.#list(prefix);
      if (!this.#readers.has(reader)) return;
      for (const [key, { revision }] of before) if (!now.has(key) && there.get(key)?.revision === revision) take({ key, revision: revision + 1 });
    };
    return { stop: () => this.#stop(reader) };
  }

  close(): void {
    for (const reader of this.#readers) this.#stop(reader);
  }

  async #newest(key: string): Promise<Newest | undefined> {
    const { names } = this.#connection;
    const last = await this.#connection.last(names.storeStream, names.key(key));
    return last && { value: last.header(DELETED_HEADER) === '' ? last.data.toString() : undefined, revision: last.seq };
  }

  /** A deleted key is there for the server and 0 for who expects it, so the sequence of its tombstone is looked up then. */
  async #write(key: string, value: string | undefined, expect: number | undefined): Promise<number> {
    const { names } = this.#connection;
    const set = { [KEY_HEADER]: encodeURIComponent(key), ...(value === undefined && { [DELETED_HEADER]: 'yes' }) };
    for (let seq = expect; ;) {
      try {
        return await this.#connection.store(names.storeStream, names.key(key), value ?? '', { set, ...(seq !== undefined && { expect: seq }) });
      } catch (thrown) {
        if (!isConflict(thrown)) throw thrown;
      }
      const newest = await this.#newest(key);
      const found = newest?.value === undefined ? 0 : newest.revision;
      if (found !== expect) {
        throw new TroupeError('BUS_CONFLICT', `${key}: expected its revision to be ${expect}, found ${found}`, {
          retryable: true,
          details: { revision: found },
        });
      }
      seq = newest?.revision ?? 0;
    }
  }

  /** The keys that are there, each with its newest message. */
  async #list(prefix: string): Promise<ReadonlyMap<string, Listed>> {
    const keys = new Map<string, Listed>();
    const { promise: all, resolve } = Promise.withResolvers<void>();
    const reader = this.#read(prefix, { headersOnly: true, onKey: (key, listed) => keys.set(key, listed), onCaughtUp: resolve });
    try {
      await this.#connection.within(all);
    } finally {
      this.#stop(reader);
    }
    for (const [key, { isDeleted }] of keys) if (isDeleted) keys.delete(key);
    return keys;
  }

  #read(
    prefix: string,
    {
      onKey,
      ...options
    }: {
      readonly onKey: (key: string, message: Stored & Listed) => void;
      readonly onCaughtUp: () => void;
      readonly onReplaced?: () => void;
      readonly headersOnly?: boolean;
    },
  ): StreamReader {
    const { names } = this.#connection;
    const reader = new StreamReader(this.#connection, {
      stream: names.storeStream,
      filter: names.keys(prefix),
      start: 1,
      ...options,
      onMessage: (message) => {
        const isDeleted = message.header(DELETED_HEADER) !== '';
        if (isDeleted) this.#tombstones.meet(message.seq, message.at);
        const key = decodeURIComponent(message.header(KEY_HEADER));
        if (key.startsWith(prefix)) onKey(key, { ...message, isDeleted });
      },
    });
    this.#readers.add(reader);
    return reader;
  }

  #stop(reader: StreamReader): void {
    reader.stop();
    this.#readers.delete(reader);
  }
}
