/** The keyed store of the embedded bus. A deleted key stays as a row without a value, so that watchers in other processes see it go. */
import type { StatementSync } from 'node:sqlite';
import { TroupeError } from '../../protocols/failure.ts';
import type { StoreChange, StoreValue } from '../port.ts';
import type { Connection } from './connection.ts';

type Row = { readonly key: string; readonly value: string | null; readonly revision: number };
type Watcher = { readonly prefix: string; readonly onChange: (change: StoreChange) => void; cursor: number };

export class Store {
  readonly #connection: Connection;
  readonly #watchers = new Set<Watcher>();
  readonly #get: StatementSync;
  readonly #set: StatementSync;
  readonly #keys: StatementSync;
  readonly #changes: StatementSync;
  readonly #last: StatementSync;
  #pending = false;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#get = connection.prepare('SELECT key, value, revision FROM kv WHERE key = ?');
    this.#last = connection.prepare('SELECT coalesce(max(revision), 0) AS revision FROM kv');
    this.#set = connection.prepare(
      'INSERT INTO kv (key, value, revision) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value, revision = excluded.revision',
    );
    this.#keys = connection.prepare('SELECT key FROM kv WHERE key >= ? AND key < ? AND value IS NOT NULL ORDER BY key');
    this.#changes = connection.prepare('SELECT key, value, revision FROM kv WHERE revision > ? ORDER BY revision');
    connection.onForeign(() => this.#changed());
  }

  get(key: string): StoreValue | undefined {
    const row = this.#connection.read(() => this.#get.get(key) as Row | undefined);
    return row && row.value !== null ? { key, value: row.value, revision: row.revision } : undefined;
  }

  /** `null`: the key goes. */
  put(key: string, value: string | null, expect: number | undefined): number {
    const revision = this.#connection.write(() => {
      const found = this.#get.get(key) as Row | undefined;
      const now = found && found.value !== null ? found.revision : 0;
      if (expect !== undefined && expect !== now) {
        throw new TroupeError('BUS_CONFLICT', `store key ${key}: expected revision ${expect}, found ${now}`, { retryable: true, details: { revision: now } });
      }
      if (value === null && now === 0) return 0;
      const next = (this.#last.get() as { revision: number }).revision + 1;
      this.#set.run(key, value, next);
      return next;
    });
    this.#changed();
    return revision;
  }

  keys(prefix: string): string[] {
    return (this.#connection.read(() => this.#keys.all(prefix, `${prefix}\uffff`)) as { key: string }[]).map(({ key }) => key);
  }

  watch(prefix: string, onChange: (change: StoreChange) => void): { stop(): void } {
    const watcher: Watcher = { prefix, onChange, cursor: 0 };
    const unlisten = this.#connection.listen();
    this.#watchers.add(watcher);
    this.#changed();
    return {
      stop: () => {
        unlisten();
        this.#watchers.delete(watcher);
      },
    };
  }

  #changed(): void {
    if (this.#pending || this.#watchers.size === 0) return;
    this.#pending = true;
    queueMicrotask(() => {
      this.#pending = false;
      if (!this.#connection.closed) for (const watcher of this.#watchers) this.#tell(watcher);
    });
  }

  #tell(watcher: Watcher): void {
    const first = watcher.cursor === 0;
    for (const { key, value, revision } of this.#connection.read(() => this.#changes.all(watcher.cursor) as unknown as Row[])) {
      watcher.cursor = revision;
      if (!key.startsWith(watcher.prefix) || (first && value === null)) continue;
      watcher.onChange({ key, revision, ...(value !== null && { value }) });
    }
  }
}
