/**
 * One process's connection to the bus file: a transaction for each turn, and word of what other processes wrote.
 *
 *   E1  The first write of a turn opens a transaction; one commit at the end of the turn makes all of it durable at once. So a
 *       cascade of a hundred appends costs one fsync.
 *   E2  Opening a transaction takes the file's write lock and first hears what others wrote meanwhile. Until the commit nobody
 *       else can write, so positions and revisions rise in the order in which every process sees them.
 *   E3  When a statement or a commit fails, the connection is finished: what was handed over in this process may not be there.
 */
import { randomUUID } from 'node:crypto';
import { dirname, resolve } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { TroupeError } from '../../protocols/failure.ts';
import { makeFolder } from '../make-folder.ts';

/** How soon a change by another process is seen. */
const POLL_MS = 50;
/** How long a writer waits for the other processes' turns. */
const BUSY_MS = 10_000;
const BUSY_PAUSE_MS = 5;
/** Of the tables. A file of another one is refused, so that no old process reads what it does not understand. */
const FORMAT = 4;

const TABLES = `
  CREATE TABLE IF NOT EXISTS log (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
  CREATE TABLE IF NOT EXISTS entry (position INTEGER PRIMARY KEY, log INTEGER NOT NULL, id TEXT NOT NULL, at INTEGER NOT NULL, envelope TEXT NOT NULL);
  CREATE UNIQUE INDEX IF NOT EXISTS entry_id ON entry (log, id);
  CREATE TABLE IF NOT EXISTS item (seq INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, id TEXT NOT NULL, data TEXT NOT NULL, delivery INTEGER NOT NULL, holder TEXT, due INTEGER NOT NULL, finished INTEGER);
  CREATE UNIQUE INDEX IF NOT EXISTS item_id ON item (queue, id);
  CREATE INDEX IF NOT EXISTS item_due ON item (queue, due) WHERE finished IS NULL;
  CREATE TABLE IF NOT EXISTS kv (key TEXT PRIMARY KEY, value TEXT, revision INTEGER NOT NULL);
  CREATE UNIQUE INDEX IF NOT EXISTS kv_revision ON kv (revision);
  CREATE TABLE IF NOT EXISTS listener (id TEXT PRIMARY KEY, kind TEXT NOT NULL, pattern TEXT NOT NULL, until INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS event (seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, origin TEXT NOT NULL, subject TEXT NOT NULL, data TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS call (id TEXT PRIMARY KEY, subject TEXT NOT NULL, data TEXT NOT NULL, deadline INTEGER NOT NULL, answerer TEXT, answer TEXT);
  CREATE TABLE IF NOT EXISTS dead (seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, source TEXT NOT NULL, reason TEXT NOT NULL, body TEXT NOT NULL, position INTEGER UNIQUE);
`;

/** The open connections of this process, by file. */
const siblings = new Map<string, Set<Connection>>();

export class Connection {
  readonly name: string;
  readonly now: () => number;
  readonly #db: DatabaseSync;
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  readonly #version: StatementSync;
  readonly #siblings: Set<Connection>;
  readonly #onForeign: (() => void)[] = [];
  readonly #onTick: (() => void)[] = [];
  #lastVersion = 0;
  #turn: { readonly done: Promise<void>; readonly resolve: () => void; readonly reject: (why: unknown) => void } | undefined;
  #finished: TroupeError | undefined;
  #poll: NodeJS.Timeout | undefined;
  #listeners = 0;

  constructor(path: string, now: () => number) {
    this.now = now;
    this.name = `embedded:${path}`;
    const file = path === ':memory:' ? `${path}${randomUUID()}` : resolve(path);
    this.#siblings = siblings.get(file) ?? new Set();
    siblings.set(file, this.#siblings);
    this.#endTurnsOfSiblings();
    let db: DatabaseSync | undefined;
    try {
      if (path !== ':memory:') makeFolder(dirname(file));
      // The whole path: SQLite takes a name that begins with file: for a URI.
      this.#db = db = new DatabaseSync(path === ':memory:' ? path : file, { timeout: BUSY_MS });
      patiently(() => this.#checkFormat());
      patiently(() => this.#db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;'));
      this.#db.exec(`BEGIN IMMEDIATE; ${TABLES} PRAGMA user_version = ${FORMAT}; COMMIT;`);
    } catch (cause) {
      db?.close(); // or it would keep its locks until it is collected
      throw cause instanceof TroupeError ? cause : this.#unavailable('cannot be opened', cause);
    }
    this.#begin = this.#db.prepare('BEGIN IMMEDIATE');
    this.#commit = this.#db.prepare('COMMIT');
    this.#version = this.#db.prepare('PRAGMA data_version');
    this.#lastVersion = this.#dataVersion();
    this.#siblings.add(this);
  }

  /** Before anything is written. One look, so that nobody makes the tables in the midst of it. */
  #checkFormat(): void {
    const { found, tables } = this.#db
      .prepare("SELECT user_version AS found, (SELECT count(*) FROM sqlite_master WHERE type = 'table') AS tables FROM pragma_user_version")
      .get() as { found: number; tables: number };
    if (found !== 0 && found !== FORMAT) {
      throw new TroupeError(
        'BUS_UNAVAILABLE',
        `${this.name} was written in format ${found}, expected ${FORMAT}: use the troupe that wrote it, or another file`,
      );
    }
    if (found === 0 && tables > 0)
      throw new TroupeError('BUS_UNAVAILABLE', `${this.name} is a database of something else, and was left as it is: name another file`);
  }

  prepare(sql: string): StatementSync {
    return this.#guarded('cannot be read', () => this.#db.prepare(sql));
  }

  /** Called with the write lock held or outside of any turn, whenever another process may have written. */
  onForeign(hear: () => void): void {
    this.#onForeign.push(hear);
  }

  /** Called some twenty times a second while somebody listens. */
  onTick(tick: () => void): void {
    this.#onTick.push(tick);
  }

  /** Keeps an eye on the file, and the process alive, until the function that it gives is called. */
  listen(): () => void {
    this.check();
    if (this.#listeners++ === 0) this.#poll = setInterval(() => this.#look(), POLL_MS);
    let listening = true;
    return () => {
      if (listening && --this.#listeners === 0) clearInterval(this.#poll);
      listening = false;
    };
  }

  /** Runs `change` in the transaction of this turn. What it wrote is durable when `durable()` resolves. */
  write<T>(change: () => T): T {
    this.check();
    this.#open();
    return this.#guarded('cannot be written', change);
  }

  /** A look at the file; sees what this process wrote in this turn. */
  read<T>(look: () => T): T {
    this.check();
    return this.#guarded('cannot be read', look);
  }

  durable(): Promise<void> {
    if (this.#finished) return Promise.reject(this.#finished);
    return this.#turn?.done ?? Promise.resolve();
  }

  /** Errors: BUS_CLOSED, BUS_UNAVAILABLE. */
  check(): void {
    if (this.#finished) throw this.#finished;
  }

  get closed(): boolean {
    return this.#finished !== undefined;
  }

  close(): void {
    if (this.#finished) return;
    if (this.#turn) this.#end();
    this.#finished ??= new TroupeError('BUS_CLOSED', `${this.name} is closed`);
    clearInterval(this.#poll);
    this.#siblings.delete(this);
    this.#db.close();
  }

  /** E1, E2. */
  #open(): void {
    if (this.#turn) return;
    this.#endTurnsOfSiblings();
    try {
      this.#begin.run();
    } catch (cause) {
      // Nothing has happened yet, so this is no end: the lock may be free the next time.
      throw this.#unavailable(`is locked by another process for more than ${BUSY_MS} ms`, cause);
    }
    let resolve!: () => void;
    let reject!: (why: unknown) => void;
    const done = new Promise<void>((yes, no) => ((resolve = yes), (reject = no)));
    done.catch(() => {});
    this.#turn = { done, resolve, reject };
    setImmediate(() => this.#turn && this.#end());
    this.#hearForeign();
  }

  /** Waiting for the lock blocks this process, so a turn of its own would never end. */
  #endTurnsOfSiblings(): void {
    for (const sibling of this.#siblings) if (sibling !== this && sibling.#turn) sibling.#end();
  }

  #end(): void {
    const { resolve, reject } = this.#turn!;
    try {
      this.#commit.run();
    } catch (cause) {
      this.#finish(this.#unavailable('lost its last writes', cause));
      return reject(this.#finished);
    }
    this.#turn = undefined;
    resolve();
  }

  #look(): void {
    if (this.#finished || this.#turn) return; // an open turn has heard all there is
    try {
      this.#hearForeign();
      for (const tick of this.#onTick) tick();
    } catch (thrown) {
      if (!this.#finished) throw thrown;
    }
  }

  #hearForeign(): void {
    const version = this.#dataVersion();
    if (version === this.#lastVersion) return;
    this.#lastVersion = version;
    this.#guarded('cannot be read', () => this.#onForeign.forEach((hear) => hear()));
  }

  #dataVersion(): number {
    return this.#guarded('cannot be read', () => (this.#version.get() as { data_version: number }).data_version);
  }

  /** E3. What is ours (a conflict, a bound) passes through: nothing was written before it was thrown. */
  #guarded<T>(what: string, run: () => T): T {
    try {
      return run();
    } catch (thrown) {
      if (thrown instanceof TroupeError) throw thrown;
      const error = this.#unavailable(what, thrown);
      const turn = this.#turn;
      this.#finish(error);
      turn?.reject(error);
      throw error;
    }
  }

  #finish(error: TroupeError): void {
    this.#finished = error;
    this.#turn = undefined;
    this.#siblings.delete(this);
    clearInterval(this.#poll);
    try {
      this.#db.close(); // rolls back what is open
    } catch {
      // It is gone either way.
    }
  }

  #unavailable(what: string, cause: unknown): TroupeError {
    const why = cause instanceof Error ? cause.message : String(cause);
    const next = nextStep(cause as SqliteError);
    return new TroupeError('BUS_UNAVAILABLE', `${this.name} ${what}: ${why}${next === undefined ? '' : `; ${next}`}`, { retryable: true, cause });
  }
}

/** Of processes that open a new file at the same moment one makes it a WAL, and SQLite lets no other wait for that: it is tried again. */
const patiently = (run: () => void): void => {
  for (const end = Date.now() + BUSY_MS; ;) {
    try {
      return run();
    } catch (thrown) {
      if (primaryCode(thrown as SqliteError) !== SQLITE_BUSY || Date.now() > end) throw thrown;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BUSY_PAUSE_MS);
    }
  }
};

type SqliteError = { readonly errcode?: number; readonly syscall?: string };

const SQLITE_BUSY = 5;

const primaryCode = ({ errcode }: SqliteError): number => (errcode ?? 0) & 0xff;

/** What helps, by SQLite's primary result code: the lowest byte of what it gives. */
const nextStep = (error: SqliteError): string | undefined => {
  switch (error.syscall === 'mkdir' ? 14 : primaryCode(error)) {
    case 3: // PERM
    case 8: // READONLY
      return 'the file and its folder must be writable for this user: change their rights, or name another file with --bus';
    case 14: // CANTOPEN
      return 'expected a file in a folder in which this user may write: change that, or name another file with --bus';
    case 10: // IOERR
      return 'this disk or this kind of file cannot hold a bus: name a file on another disk with --bus';
    case 11: // CORRUPT
    case 26: // NOTADB
      return 'the file is damaged or is no bus: put a copy of it back, or name another file with --bus; this one is left as it is';
    case 13: // FULL
      return 'make room on the disk, then go on';
    default:
      return undefined;
  }
};
