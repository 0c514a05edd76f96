/** The keyed store on NATS: one subject a key, whose newest message is its value. A revision is the message's sequence. */
import { TroupeError } from '../../protocols/failure.ts';
import type { StoreChange, StoreValue } from '../port.ts';
import { isConflict, type Connection } from './connection.ts';
import { StreamReader } from './stream-reader.ts';

/** Names are hashed where they are too long for a subject, so the key travels as well; `value` is missing when it was deleted. */
type Stored = { readonly key: string; readonly value?: string };

const decode = (data: Uint8Array): Stored => JSON.parse(Buffer.from(data).toString()) as Stored;

export class Store {
  readonly #connection: Connection;
  readonly #watches = new Set<{ stop(): void }>();

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async get(key: string): Promise<StoreValue | undefined> {
    const last = await this.#last(key);
    return last?.value === undefined ? undefined : { key, value: last.value, revision: last.revision };
  }

  put(key: string, value: string, expect: number | undefined): Promise<number> {
    return this.#write({ key, value }, expect);
  }

  async delete(key: string, expect: number | undefined): Promise<void> {
    if (expect === undefined && (await this.get(key)) === undefined) return;
    await this.#write({ key }, expect);
  }

  async keys(prefix: string): Promise<readonly string[]> {
    const keys = new Map<string, boolean>();
    let all = (): void => {};
    const read = new Promise<void>((resolve) => (all = resolve));
    const watch = this.#read(prefix, ({ key, value }) => keys.set(key, value !== undefined), all);
    try {
      await this.#connection.within(read);
    } finally {
      watch.stop();
    }
    return [...keys].filter(([, isThere]) => isThere).map(([key]) => key);
  }

  watch(prefix: string, onChange: (change: StoreChange) => void): { stop(): void } {
    const there = new Map<string, StoreChange>();
    let isLive = false;
    return this.#read(
      prefix,
      (change) => {
        if (isLive) onChange(change);
        else if (change.value === undefined) there.delete(change.key);
        else there.set(change.key, change);
      },
      () => {
        isLive = true;
        for (const change of there.values()) onChange(change);
        there.clear();
      },
    );
  }

  close(): void {
    for (const watch of this.#watches) watch.stop();
  }

  async #last(key: string): Promise<{ value: string | undefined; revision: number } | undefined> {
    const { names } = this.#connection;
    const last = await this.#connection.last(names.storeStream, names.key(key));
    return last && { value: decode(last.data).value, revision: last.seq };
  }

  /** A deleted key is there for the server and 0 for who expects it, so its last sequence is looked up then. */
  async #write(stored: Stored, expect: number | undefined): Promise<number> {
    const { names } = this.#connection;
    const store = (seq: number | undefined) =>
      this.#connection.store(names.storeStream, names.key(stored.key), JSON.stringify(stored), seq === undefined ? {} : { expect: seq });
    try {
      return await store(expect);
    } catch (thrown) {
      if (!isConflict(thrown)) throw thrown;
      const last = await this.#last(stored.key);
      if (expect === 0 && last && last.value === undefined) {
        try {
          return await store(last.revision);
        } catch (again) {
          if (!isConflict(again)) throw again;
        }
      }
      const now = await this.#last(stored.key);
      const found = now?.value === undefined ? 0 : now.revision;
      throw new TroupeError('BUS_CONFLICT', `${stored.key}: expected its revision to be ${expect}, found ${found}`, {
        retryable: true,
        details: { revision: found },
      });
    }
  }

  /** Everything there is, `then` once, and everything that comes. */
  #read(prefix: string, onChange: (change: StoreChange) => void, then: () => void): { stop(): void } {
    const { names } = this.#connection;
    let seen = 0;
    let expected: number | undefined;
    let isStopped = false;
    const check = (pending: number): void => {
      if (expected === undefined || (pending > 0 && seen < expected)) return;
      expected = undefined;
      then();
    };
    const reader = new StreamReader(this.#connection, {
      stream: names.storeStream,
      start: 1,
      onMessage: ({ seq, data, pending }) => {
        seen += 1;
        const { key, value } = decode(data);
        if (key.startsWith(prefix)) onChange({ key, ...(value !== undefined && { value }), revision: seq });
        check(pending);
      },
      onReady: (pending) => {
        expected = pending;
        check(pending - seen);
      },
    });
    const watch = {
      stop: (): void => {
        if (isStopped) return;
        isStopped = true;
        reader.stop();
        this.#watches.delete(watch);
      },
    };
    this.#watches.add(watch);
    return watch;
  }
}
