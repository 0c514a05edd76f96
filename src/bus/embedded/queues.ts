/** The queues of the embedded bus: rows that takers hold under a lease. A finished item stays as a row without data, so that its id is known. */
import type { StatementSync } from 'node:sqlite';
import { randomUUID } from 'node:crypto';
import { TroupeError } from '../../protocols/failure.ts';
import { checkName } from '../pattern.ts';
import type { QueueItem, Taking } from '../port.ts';
import type { Connection } from './connection.ts';

/** How long the id of a finished item is known. */
const FINISHED_KNOWN_MS = 7 * 24 * 3_600_000;

type Data = Readonly<Record<string, unknown>>;
type Row = { readonly id: string; readonly data: string; readonly delivery: number };

type Taker = {
  readonly queue: string;
  readonly leaseMs: number;
  readonly onItem: (item: QueueItem) => void;
  free: number;
  /** No item is due before; 0: look. */
  next: number;
};

export class Queues {
  readonly #connection: Connection;
  readonly #maxItems: number;
  readonly #bury: (source: string, reason: string, body: string) => void;
  readonly #takers = new Set<Taker>();
  readonly #insert: StatementSync;
  readonly #count: StatementSync;
  readonly #has: StatementSync;
  readonly #due: StatementSync;
  readonly #nextDue: StatementSync;
  readonly #lend: StatementSync;
  readonly #extend: StatementSync;
  readonly #giveBack: StatementSync;
  readonly #finish: StatementSync;

  constructor(connection: Connection, maxItems: number, bury: (source: string, reason: string, body: string) => void) {
    this.#connection = connection;
    this.#maxItems = maxItems;
    this.#bury = bury;
    this.#insert = connection.prepare('INSERT INTO item (queue, id, data, delivery, due) VALUES (?, ?, ?, 0, 0)');
    this.#count = connection.prepare('SELECT count(*) AS items FROM item WHERE queue = ? AND finished IS NULL');
    this.#has = connection.prepare('SELECT 1 FROM item WHERE queue = ? AND id = ?');
    this.#due = connection.prepare('SELECT id, data, delivery FROM item WHERE queue = ? AND finished IS NULL AND due <= ? ORDER BY seq LIMIT ?');
    this.#nextDue = connection.prepare('SELECT min(due) AS due FROM item WHERE queue = ? AND finished IS NULL');
    this.#lend = connection.prepare('UPDATE item SET delivery = delivery + 1, holder = ?, due = ? WHERE queue = ? AND id = ?');
    this.#extend = connection.prepare('UPDATE item SET due = ? WHERE queue = ? AND id = ? AND holder = ? AND due > ? AND finished IS NULL');
    this.#giveBack = connection.prepare('UPDATE item SET due = ?, holder = NULL WHERE queue = ? AND id = ? AND holder = ? AND due > ? AND finished IS NULL');
    this.#finish = connection.prepare(
      "UPDATE item SET finished = ?, data = '{}', holder = NULL WHERE queue = ? AND id = ? AND holder = ? AND due > ? AND finished IS NULL",
    );
    connection.onForeign(() => this.#wake());
    connection.onTick(() => this.#lendOut());
  }

  offer(queue: string, id: string, data: Data): void {
    checkName(queue);
    this.#connection.write(() => {
      if (this.#has.get(queue, id)) return;
      const { items } = this.#count.get(queue) as { items: number };
      if (items >= this.#maxItems)
        throw new TroupeError('BUS_QUEUE_FULL', `queue ${queue} holds ${items} items, its bound: its takers are too slow or gone`, { retryable: true });
      this.#insert.run(queue, id, JSON.stringify(data));
    });
    this.#wake(queue);
  }

  take(queue: string, { leaseMs, concurrency }: { leaseMs: number; concurrency: number }, onItem: (item: QueueItem) => void): Taking {
    checkName(queue);
    const taker: Taker = { queue, leaseMs, onItem, free: concurrency, next: 0 };
    const unlisten = this.#connection.listen();
    this.#takers.add(taker);
    this.#wake(queue);
    return {
      stop: () => {
        unlisten();
        this.#takers.delete(taker);
      },
    };
  }

  /** Forgets finished items that nobody will offer again. */
  sweep(): void {
    const forget = this.#connection.prepare('DELETE FROM item WHERE finished < ?');
    this.#connection.write(() => forget.run(this.#connection.now() - FINISHED_KNOWN_MS));
  }

  #wake(queue?: string): void {
    for (const taker of this.#takers) if (queue === undefined || taker.queue === queue) taker.next = 0;
    if (this.#takers.size > 0) setImmediate(() => this.#lendOut());
  }

  #lendOut(): void {
    if (this.#connection.closed) return;
    const now = this.#connection.now();
    for (const taker of this.#takers) {
      if (taker.free === 0 || now < taker.next) continue;
      const { due } = this.#connection.read(() => this.#nextDue.get(taker.queue) as { due: number | null });
      taker.next = due ?? Infinity;
      if (taker.next <= now) this.#lendTo(taker);
    }
  }

  #lendTo(taker: Taker): void {
    const { queue, leaseMs } = taker;
    const lent = this.#connection.write(() => {
      const now = this.#connection.now();
      return (this.#due.all(queue, now, taker.free) as unknown as Row[]).map((row) => {
        const holder = randomUUID();
        this.#lend.run(holder, now + leaseMs, queue, row.id);
        return { ...row, holder };
      });
    });
    taker.next = 0;
    taker.free -= lent.length;
    // B5: nobody may work on what a crash could still take back.
    void this.#connection.durable().then(
      () => lent.forEach(({ id, data, delivery, holder }) => taker.onItem(this.#item(taker, id, holder, delivery + 1, data))),
      () => {},
    );
  }

  #item(taker: Taker, id: string, holder: string, delivery: number, body: string): QueueItem {
    const { queue, leaseMs } = taker;
    const connection = this.#connection;
    let held = true;
    const letGo = () => {
      if (!held) return;
      held = false;
      clearTimeout(lost);
      taker.free++;
      this.#wake(queue);
    };
    let lost = setTimeout(letGo, leaseMs).unref();
    const change = async (statement: StatementSync, value: number, alsoThen = () => {}): Promise<boolean> => {
      const changed = connection.write(() => statement.run(value, queue, id, holder, connection.now())).changes > 0;
      if (changed) alsoThen();
      await connection.durable();
      return changed;
    };
    return {
      id,
      data: JSON.parse(body) as Data,
      delivery,
      extend: async () => {
        const extended = await change(this.#extend, connection.now() + leaseMs);
        if (!extended) letGo();
        else if (held) {
          clearTimeout(lost);
          lost = setTimeout(letGo, leaseMs).unref();
        }
        return extended;
      },
      finish: async () => {
        const finished = await change(this.#finish, connection.now());
        letGo();
        return finished;
      },
      return: async (delayMs = 0) => {
        await change(this.#giveBack, connection.now() + delayMs);
        letGo();
      },
      bury: async (reason) => {
        await change(this.#finish, connection.now(), () => this.#bury(queue, reason, body)); // one transaction: it is always in one of the two
        letGo();
      },
    };
  }
}
