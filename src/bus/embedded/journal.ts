/**
 * The logs of the embedded bus. A follower in the appending process is handed an entry before the commit (port.ts, `follow`),
 * as the very object that was appended; everything that comes from the file is decoded.
 *
 * A commit costs by the pages it writes, so they are few: in the file a log is a number, given in the order in which logs begin,
 * and an id is a digest. What is under way now stands together at the end of a small index.
 */
import { hash } from 'node:crypto';
import type { StatementSync } from 'node:sqlite';
import { Envelope } from '../../protocols/envelope.ts';
import { TroupeError } from '../../protocols/failure.ts';
import { mismatches } from '../../protocols/mismatch.ts';
import { checkName, fixedPrefix, matcher } from '../pattern.ts';
import { MAX_ENTRY_BYTES, type AppendOptions, type Entry, type Following, type Position } from '../port.ts';
import type { Connection } from './connection.ts';

/** Rows that are decoded before others get a turn. */
const CHUNK = 256;
/** Of the SHA-256 of an id, in base64url: enough that no two ids of a log ever share them. */
const ID_CHARS = 22;
/** The log of the row that remembers the last position when its entry is gone. It has no name, so nobody reads it. */
const NO_LOG = 0;
/** Logs whose size and last position are remembered. */
const KNOWN_LOGS_MAX = 20_000;

type Row = { readonly position: number; readonly log: string; readonly at: number; readonly envelope: string };

type Known = { readonly number: number; entries: number; last: Position };

type Follower = {
  readonly matches: (log: string) => boolean;
  readonly onEntry: (entry: Entry) => void;
  /** Everything up to here was handed over or does not match. */
  cursor: Position;
  /** Has had all history. */
  live: boolean;
};

export class Journal {
  readonly #connection: Connection;
  readonly #maxEntries: number;
  readonly #number: StatementSync;
  readonly #begin: StatementSync;
  readonly #insert: StatementSync;
  readonly #find: StatementSync;
  readonly #size: StatementSync;
  readonly #last: StatementSync;
  readonly #after: StatementSync;
  readonly #positions: StatementSync;
  readonly #rows: StatementSync;
  readonly #remove: StatementSync;
  readonly #keepLast: StatementSync;
  readonly #forget: StatementSync;
  readonly #bury: StatementSync;
  /** Never changed in place. */
  #followers: readonly Follower[] = [];
  /** Valid while no other process has written. */
  readonly #known = new Map<string, Known>();
  /** Entries on their way to the followers. */
  #fresh: Entry[] = [];
  #handing = false;
  /** The last position that this process has looked at. */
  #seen: Position;

  constructor(connection: Connection, maxEntries: number) {
    this.#connection = connection;
    this.#maxEntries = maxEntries;
    const rows = 'SELECT position, name AS log, at, envelope FROM entry JOIN log ON log.number = entry.log WHERE';
    this.#number = connection.prepare('SELECT number FROM log WHERE name = ?');
    this.#begin = connection.prepare('INSERT INTO log (name) VALUES (?)');
    this.#insert = connection.prepare('INSERT INTO entry (log, id, at, envelope) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING');
    this.#find = connection.prepare('SELECT position FROM entry WHERE log = ? AND id = ?');
    this.#size = connection.prepare('SELECT count(*) AS entries, coalesce(max(position), 0) AS last FROM entry WHERE log = ?');
    this.#last = connection.prepare('SELECT coalesce(max(position), 0) AS last FROM entry');
    this.#after = connection.prepare(`${rows} position > ? AND position <= ? ORDER BY position LIMIT ${CHUNK}`);
    // The plus keeps SQLite from walking the whole table in order of position for the few entries of one run.
    this.#positions = connection.prepare(
      'SELECT position FROM entry WHERE log IN (SELECT number FROM log WHERE name >= ? AND name < ?) AND position > ? AND position <= ? ORDER BY +position',
    );
    this.#rows = connection.prepare(`${rows} position IN (SELECT value FROM json_each(?)) ORDER BY position`);
    this.#remove = connection.prepare('DELETE FROM entry WHERE log = (SELECT number FROM log WHERE name = ?) AND position < ?');
    this.#keepLast = connection.prepare(`INSERT OR REPLACE INTO entry (position, log, id, at, envelope) VALUES (?, ${NO_LOG}, '', 0, '')`);
    this.#forget = connection.prepare('DELETE FROM log WHERE name = ? AND NOT EXISTS (SELECT 1 FROM entry WHERE entry.log = log.number)');
    this.#bury = connection.prepare('INSERT INTO dead (at, source, reason, body, position) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING');
    this.#seen = this.#lastPosition();
    connection.onForeign(() => this.#catchUp());
  }

  append(log: string, envelope: Envelope, { expect, makesRoom = false }: AppendOptions = {}): Position {
    if (!this.#known.has(log)) checkName(log);
    const json = JSON.stringify(envelope);
    if (json.length * 3 > MAX_ENTRY_BYTES) checkSize(log, envelope, Buffer.byteLength(json));
    return this.#connection.write(() => {
      const known = this.#knownOf(log);
      if (expect !== undefined && known.last !== expect) {
        const before = this.#find.get(known.number, digestOf(envelope.id)) as { position: number } | undefined;
        if (before) return before.position;
        throw new TroupeError('BUS_CONFLICT', `${log}: expected its last position to be ${expect}, found ${known.last}`, {
          retryable: true,
          details: { last: known.last },
        });
      }
      const full = !makesRoom && known.entries >= this.#maxEntries;
      if (full && !this.#find.get(known.number, digestOf(envelope.id))) {
        throw new TroupeError('BUS_LOG_FULL', `${log} holds ${known.entries} entries, its bound: its reader is too slow or gone`, { retryable: true });
      }
      const at = this.#connection.now();
      const id = digestOf(envelope.id);
      const { changes, lastInsertRowid } = this.#insert.run(known.number, id, at, json);
      if (changes === 0) return (this.#find.get(known.number, id) as { position: number }).position; // B2
      const position = Number(lastInsertRowid);
      known.entries++;
      known.last = position;
      this.#seen = position;
      this.#hand({ log, position, at, envelope });
      return position;
    });
  }

  cut(log: string, before: Position): void {
    checkName(log);
    this.#connection.write(() => {
      const last = this.#lastPosition();
      this.#remove.run(log, before);
      if (this.#lastPosition() < last) this.#keepLast.run(last); // B3: no position is given twice
      this.#forget.run(log);
      this.#known.delete(log);
    });
  }

  head(): Position {
    return this.#lastPosition();
  }

  async *read(pattern: string, from: Position): AsyncGenerator<Entry> {
    const matches = matcher(pattern);
    const until = this.head();
    for (const chunk of this.#chunks(pattern, from, until)) {
      for (const row of this.#connection.read(chunk)) {
        const entry = matches(row.log) ? this.#decode(row) : undefined;
        if (entry) yield entry;
      }
    }
  }

  follow(pattern: string, from: Position, onEntry: (entry: Entry) => void): Following {
    const follower: Follower = { matches: matcher(pattern), onEntry, cursor: from, live: false };
    const unlisten = this.#connection.listen();
    this.#followers = [...this.#followers, follower];
    const stop = () => {
      unlisten();
      follower.live = false; // also for the entry that is being handed over
      this.#followers = this.#followers.filter((one) => one !== follower);
    };
    follower.live = this.head() <= from;
    const caughtUp = follower.live ? Promise.resolve() : this.#history(pattern, follower);
    caughtUp.catch(() => {}); // whoever waits for it hears of it
    return { caughtUp, stop };
  }

  /** Hands over what is there, piece by piece. Its own turn ends between two pieces; what comes meanwhile is a later piece. */
  async #history(pattern: string, follower: Follower): Promise<void> {
    await Promise.resolve(); // the caller has its Following first
    for (;;) {
      if (this.#connection.closed) return;
      const until = this.head();
      for (const chunk of this.#chunks(pattern, follower.cursor, until)) {
        const rows = this.#connection.read(chunk);
        if (rows.length === 0) continue;
        for (const row of rows) {
          if (!this.#followers.includes(follower)) return;
          const entry = follower.matches(row.log) ? this.#decode(row) : undefined;
          follower.cursor = row.position;
          if (entry) follower.onEntry(entry);
        }
        await new Promise((resolve) => setImmediate(resolve));
        if (this.#connection.closed) return;
      }
      follower.cursor = Math.max(follower.cursor, until);
      if (this.head() === until) break;
    }
    follower.live = true;
  }

  /** The rows in question, a function a piece, each run when its turn comes. Rows of other logs may be among them. */
  *#chunks(pattern: string, from: Position, until: Position): Generator<() => Row[]> {
    if (from >= until) return;
    const prefix = fixedPrefix(pattern);
    if (prefix === '') {
      for (let cursor = from; cursor < until;) {
        let rows: Row[] = [];
        yield () => (rows = this.#after.all(cursor, until) as unknown as Row[]);
        if (rows.length === 0) return;
        cursor = rows.at(-1)!.position;
      }
      return;
    }
    const beyond = pattern === prefix ? `${prefix}\u0000` : `${prefix}\uffff`;
    const positions = this.#connection.read(() => this.#positions.all(prefix, beyond, from, until) as { position: number }[]);
    for (let start = 0; start < positions.length; start += CHUNK) {
      const wanted = JSON.stringify(positions.slice(start, start + CHUNK).map(({ position }) => position));
      yield () => this.#rows.all(wanted) as unknown as Row[];
    }
  }

  #hand(entry: Entry): void {
    this.#fresh.push(entry);
    if (this.#handing) return;
    this.#handing = true;
    queueMicrotask(() => this.#handOver());
  }

  /** In order of position; what a handler appends comes after what was there before. A cascade may be long, so none of it is kept. */
  #handOver(): void {
    while (this.#fresh.length > 0) {
      const wave = this.#fresh.toReversed();
      this.#fresh = [];
      for (let entry = wave.pop(); entry; entry = wave.pop()) {
        for (const follower of this.#followers) {
          if (!follower.live || entry.position <= follower.cursor) continue;
          follower.cursor = entry.position;
          if (follower.matches(entry.log)) follower.onEntry(entry);
        }
      }
    }
    this.#handing = false;
  }

  /** What other processes wrote since the last look. */
  #catchUp(): void {
    this.#known.clear();
    if (this.#followers.length === 0) {
      this.#seen = this.#lastPosition();
      return;
    }
    for (let rows: Row[] = []; (rows = this.#after.all(this.#seen, Number.MAX_SAFE_INTEGER) as unknown as Row[]).length > 0;) {
      for (const row of rows) {
        this.#seen = row.position;
        const entry = this.#decode(row);
        if (entry) this.#hand(entry);
      }
    }
  }

  /** B6 */
  #decode({ position, log, at, envelope: json }: Row): Entry | undefined {
    let problem: string;
    try {
      const value: unknown = JSON.parse(json);
      const parsed = Envelope.safeParse(value);
      if (parsed.success) return { log, position, at, envelope: parsed.data };
      problem = mismatches(parsed.error, value, 'entry');
    } catch (thrown) {
      problem = thrown instanceof Error ? thrown.message : String(thrown);
    }
    setImmediate(() => {
      if (!this.#connection.closed) this.#connection.write(() => this.#bury.run(this.#connection.now(), log, `not an envelope: ${problem}`, json, position));
    });
    return undefined;
  }

  /** Within a write: a log that is new gets its number. */
  #knownOf(log: string): Known {
    let known = this.#known.get(log);
    if (!known) {
      if (this.#known.size >= KNOWN_LOGS_MAX) this.#known.clear();
      const found = this.#number.get(log) as { number: number } | undefined;
      known = found
        ? { number: found.number, ...(this.#size.get(found.number) as { entries: number; last: number }) }
        : { number: Number(this.#begin.run(log).lastInsertRowid), entries: 0, last: 0 };
      this.#known.set(log, known);
    }
    return known;
  }

  #lastPosition(): Position {
    return this.#connection.read(() => (this.#last.get() as { last: number }).last);
  }
}

const digestOf = (id: string): string => hash('sha256', id, 'base64url').slice(0, ID_CHARS);

const checkSize = (log: string, { type }: Envelope, bytes: number): void => {
  if (bytes <= MAX_ENTRY_BYTES) return;
  throw new TroupeError(
    'BUS_ENTRY_TOO_LARGE',
    `${log}: ${type} has ${bytes} bytes, at most ${MAX_ENTRY_BYTES} fit: put large data into a file and send its name`,
    { details: { bytes, maxBytes: MAX_ENTRY_BYTES } },
  );
};
