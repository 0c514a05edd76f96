/**
 * What need not be remembered: events, and questions with a deadline. Within a process they are plain calls. Between processes
 * they are rows that live for seconds; nothing is written while no other process listens, which each says of itself in a row
 * that it renews.
 */
import type { StatementSync } from 'node:sqlite';
import { randomUUID } from 'node:crypto';
import { Failure, failureOf, TroupeError } from '../../protocols/failure.ts';
import { checkName, matcher } from '../pattern.ts';
import type { Connection } from './connection.ts';

type Data = Readonly<Record<string, unknown>>;
type Answerer = { readonly subject: string; readonly onAsk: (data: Data) => Promise<Data> };
type Watcher = { readonly matches: (subject: string) => boolean; readonly onEvent: (subject: string, data: Data) => void };
type Call = { readonly id: string; readonly subject: string; readonly data: string; readonly deadline: number };

/** A listener that did not say so for this long is gone. */
const LISTENER_MS = 10_000;
const RENEW_MS = 3_000;
/** Events that nobody can still be waiting for. */
const EVENT_MS = 10_000;

export class Talk {
  readonly #connection: Connection;
  /** This process's; tells its events from others'. */
  readonly #origin = randomUUID();
  readonly #answerers = new Set<Answerer>();
  readonly #watchers = new Set<Watcher>();
  /** This process's listeners as the others see them: id, and how to renew it. */
  readonly #own = new Map<string, { readonly kind: 'answer' | 'watch'; readonly pattern: string }>();
  readonly #asked = new Map<string, (answer: string) => void>();
  /** Patterns that others watch. */
  #foreignWatch: ((subject: string) => boolean)[] = [];
  #renewAt = Infinity;
  #lastEvent: number;
  readonly #sql: Record<
    'say' | 'events' | 'lastEvent' | 'sweep' | 'listen' | 'unlisten' | 'forget' | 'listeners' | 'ask' | 'open' | 'claim' | 'reply' | 'replies' | 'done',
    StatementSync
  >;

  constructor(connection: Connection) {
    this.#connection = connection;
    const sql = (text: string) => connection.prepare(text);
    this.#sql = {
      say: sql('INSERT INTO event (at, origin, subject, data) VALUES (?, ?, ?, ?)'),
      events: sql('SELECT seq, origin, subject, data FROM event WHERE seq > ? ORDER BY seq'),
      lastEvent: sql("SELECT coalesce(max(seq), 0) AS seq FROM sqlite_sequence WHERE name = 'event'"),
      sweep: sql('DELETE FROM event WHERE at < ?'),
      listen: sql('INSERT INTO listener (id, kind, pattern, until) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET until = excluded.until'),
      unlisten: sql('DELETE FROM listener WHERE id = ?'),
      forget: sql('DELETE FROM listener WHERE until < ?'),
      listeners: sql('SELECT id, pattern FROM listener WHERE kind = ? AND until > ?'),
      ask: sql('INSERT INTO call (id, subject, data, deadline) VALUES (?, ?, ?, ?)'),
      open: sql('SELECT id, subject, data, deadline FROM call WHERE answerer IS NULL AND deadline > ?'),
      claim: sql('UPDATE call SET answerer = ? WHERE id = ? AND answerer IS NULL'),
      reply: sql('UPDATE call SET answer = ? WHERE id = ?'),
      replies: sql('SELECT id, answer FROM call WHERE answer IS NOT NULL'),
      done: sql('DELETE FROM call WHERE id = ? OR deadline < ?'),
    };
    this.#lastEvent = this.#newestEvent();
    this.#learnListeners();
    connection.onForeign(() => this.#hear());
    connection.onTick(() => this.#renew());
  }

  announce(subject: string, data: Data): void {
    checkName(subject);
    this.#connection.check();
    queueMicrotask(() => this.#tellWatchers(subject, data));
    if (this.#foreignWatch.some((matches) => matches(subject))) {
      const { now } = this.#connection;
      this.#connection.write(() => this.#sql.say.run(now(), this.#origin, subject, JSON.stringify(data)));
    }
  }

  watch(pattern: string, onEvent: (subject: string, data: Data) => void): { stop(): void } {
    const watcher: Watcher = { matches: matcher(pattern), onEvent };
    const stop = this.#listen('watch', pattern);
    if (this.#watchers.size === 0) this.#lastEvent = this.#newestEvent();
    this.#watchers.add(watcher);
    return {
      stop: () => {
        this.#watchers.delete(watcher);
        stop();
      },
    };
  }

  answer(subject: string, onAsk: (data: Data) => Promise<Data>): { stop(): void } {
    checkName(subject);
    const answerer: Answerer = { subject, onAsk };
    const stop = this.#listen('answer', subject);
    this.#answerers.add(answerer);
    return {
      stop: () => {
        this.#answerers.delete(answerer);
        stop();
      },
    };
  }

  async ask(subject: string, data: Data, timeoutMs: number): Promise<Data> {
    checkName(subject);
    this.#connection.check();
    const own = [...this.#answerers].find((one) => one.subject === subject);
    const said = JSON.stringify(data);
    const answer = own ? answerOf(own, said) : this.#askOthers(subject, said, timeoutMs);
    const reply = JSON.parse(await withDeadline(answer, subject, timeoutMs)) as { data: Data } | { failure: unknown };
    if ('data' in reply) return reply.data;
    const { code, message, retryable, details } = Failure.parse(reply.failure);
    throw new TroupeError(code, message, { retryable, details });
  }

  async #askOthers(subject: string, data: string, timeoutMs: number): Promise<string> {
    const { now } = this.#connection;
    const listening = this.#connection.read(() => this.#sql.listeners.all('answer', now()) as { pattern: string }[]);
    if (!listening.some(({ pattern }) => pattern === subject))
      throw new TroupeError('BUS_NO_ANSWERER', `nobody answers ${subject} on ${this.#connection.name}`, { retryable: true });
    const id = randomUUID();
    const unlisten = this.#connection.listen();
    const answer = new Promise<string>((resolve) => this.#asked.set(id, resolve));
    this.#connection.write(() => this.#sql.ask.run(id, subject, data, now() + timeoutMs));
    const timer = setTimeout(() => this.#asked.get(id)?.('null'), timeoutMs);
    try {
      return await answer;
    } finally {
      clearTimeout(timer);
      this.#asked.delete(id);
      if (!this.#connection.closed) this.#connection.write(() => this.#sql.done.run(id, now()));
      unlisten();
    }
  }

  close(): void {
    if (this.#own.size === 0 || this.#connection.closed) return;
    this.#connection.write(() => [...this.#own.keys()].forEach((id) => this.#sql.unlisten.run(id)));
  }

  #listen(kind: 'answer' | 'watch', pattern: string): () => void {
    const { now } = this.#connection;
    const id = randomUUID();
    const unlisten = this.#connection.listen();
    this.#own.set(id, { kind, pattern });
    this.#connection.write(() => this.#sql.listen.run(id, kind, pattern, now() + LISTENER_MS));
    this.#renewAt = Math.min(this.#renewAt, now() + RENEW_MS);
    return () => {
      if (!this.#own.delete(id)) return;
      if (!this.#connection.closed) this.#connection.write(() => this.#sql.unlisten.run(id));
      unlisten();
    };
  }

  #renew(): void {
    const now = this.#connection.now();
    if (now < this.#renewAt) return;
    this.#renewAt = this.#own.size === 0 ? Infinity : now + RENEW_MS;
    this.#connection.write(() => {
      for (const [id, { kind, pattern }] of this.#own) this.#sql.listen.run(id, kind, pattern, now + LISTENER_MS);
      this.#sql.forget.run(now);
      this.#sql.sweep.run(now - EVENT_MS);
    });
    this.#learnListeners();
  }

  #hear(): void {
    this.#learnListeners();
    if (this.#watchers.size > 0) {
      for (const { seq, origin, subject, data } of this.#sql.events.all(this.#lastEvent) as { seq: number; origin: string; subject: string; data: string }[]) {
        this.#lastEvent = seq;
        if (origin !== this.#origin) queueMicrotask(() => this.#tellWatchers(subject, JSON.parse(data) as Data));
      }
    }
    if (this.#answerers.size > 0) setImmediate(() => this.#takeCalls());
    if (this.#asked.size > 0) for (const { id, answer } of this.#sql.replies.all() as { id: string; answer: string }[]) this.#asked.get(id)?.(answer);
  }

  #takeCalls(): void {
    if (this.#connection.closed) return;
    const calls = this.#connection.read(() => this.#sql.open.all(this.#connection.now()) as unknown as Call[]);
    for (const { id, subject, data } of calls) {
      const answerer = [...this.#answerers].find((one) => one.subject === subject);
      if (!answerer || this.#connection.write(() => this.#sql.claim.run(this.#origin, id)).changes === 0) continue;
      void answerOf(answerer, data).then((answer) => {
        if (!this.#connection.closed) this.#connection.write(() => this.#sql.reply.run(answer, id));
      });
    }
  }

  #tellWatchers(subject: string, data: Data): void {
    for (const { matches, onEvent } of this.#watchers) if (matches(subject)) onEvent(subject, data);
  }

  #learnListeners(): void {
    const rows = this.#connection.read(() => this.#sql.listeners.all('watch', this.#connection.now()) as { id: string; pattern: string }[]);
    this.#foreignWatch = rows.filter(({ id }) => !this.#own.has(id)).map(({ pattern }) => matcher(pattern));
  }

  #newestEvent(): number {
    return this.#connection.read(() => (this.#sql.lastEvent.get() as { seq: number }).seq);
  }
}

/** As it crosses to another process: the answer, or the failure. */
const answerOf = async ({ onAsk }: Answerer, data: string): Promise<string> => {
  try {
    return JSON.stringify({ data: await onAsk(JSON.parse(data) as Data) });
  } catch (thrown) {
    return JSON.stringify({ failure: failureOf(thrown) });
  }
};

const withDeadline = async (answer: Promise<string>, subject: string, timeoutMs: number): Promise<string> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'null'>((resolve) => (timer = setTimeout(resolve, timeoutMs, 'null')));
  const first = await Promise.race([answer, late]).finally(() => clearTimeout(timer));
  if (first === 'null') throw new TroupeError('BUS_TIMEOUT', `nobody answered ${subject} in ${timeoutMs} ms`, { retryable: true });
  return first;
};
