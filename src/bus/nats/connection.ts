/**
 * The connection: what the parts of this adapter share. Requests that say whether they were answered, and publishes that go on
 * until it is known whether they happened.
 *
 * A request has three ends: an answer, a refusal (`Refused`), and not knowing (`Unanswered`: a time-out, a lost connection, no
 * leader). A request in flight when the connection is lost is unanswered at once; the client alone would wait for the
 * time-out. What is unanswered may have happened, so every write carries either the sequence that it expects, or a mark by
 * which it is recognised when it is read back.
 */
import { randomUUID } from 'node:crypto';
import { connect, Events, headers, type ConnectionOptions, type Msg, type MsgHdrs, type NatsConnection } from 'nats';
import { TroupeError } from '../../protocols/failure.ts';
import { MAX_ENTRY_BYTES } from '../port.ts';
import { namesIn, type Names } from './names.ts';

/** Nobody answered: it may have happened. */
export class Unanswered extends Error {}

/** The server said no. */
export class Refused extends Error {
  readonly errorCode: number;
  constructor(errorCode: number, description: string) {
    super(description);
    this.errorCode = errorCode;
  }
}

const WRONG_LAST_SEQUENCE = 10071;
const NO_MESSAGE = 10037;
const NO_STREAM = 10059;
const STREAM_EXISTS = 10058;
/** Of a cluster: fewer servers are there than copies are wanted, as yet. */
const NO_PEERS = 10_005;
/** What it says when a message does not fit: into the stream, the account, the server's memory or its disk. */
const FULL = /^maximum (?:bytes|messages) exceeded|^resource limits exceeded|^insufficient (?:memory|storage) resources/;
/** For this server, for this account. */
const NO_JETSTREAM = new Set([10076, 10039]);

export const isConflict = (thrown: unknown): boolean => thrown instanceof Refused && thrown.errorCode === WRONG_LAST_SEQUENCE;

export type Security = Pick<ConnectionOptions, 'user' | 'pass' | 'token' | 'authenticator' | 'tls'>;

export type Settings = {
  readonly servers: string;
  readonly name: string;
  readonly namespace: string;
  readonly security: Security;
  /** How long a write is tried again before it fails with BUS_UNAVAILABLE. */
  readonly deadlineMs: number;
  /** How long one request may take. */
  readonly requestMs: number;
  /** Copies of each stream, in a cluster. */
  readonly replicas: number;
};

/** The newest message of a subject. */
export type Last = { readonly seq: number; readonly data: Buffer; readonly header: (name: string) => string };

const OLDEST_SERVER = [2, 9] as const;

/** Room beside an entry for its log's name and the headers. */
const PAYLOAD_ROOM = 2_048;

export class Connection {
  readonly nats: NatsConnection;
  readonly names: Names;
  readonly settings: Settings;
  readonly #inFlight = new Set<() => void>();
  readonly #onReconnect = new Set<() => void>();
  #connected = true;
  #closed = false;

  private constructor(nats: NatsConnection, settings: Settings) {
    this.nats = nats;
    this.settings = settings;
    this.names = namesIn(settings.namespace);
    void this.#watchStatus();
  }

  /** Errors: BUS_UNREACHABLE, BUS_NO_JETSTREAM, BUS_SERVER_TOO_OLD, BUS_SERVER_TOO_SMALL. */
  static async open(settings: Settings): Promise<Connection> {
    const { servers, name, security } = settings;
    const nats = await connect({
      servers: servers.split(','),
      name,
      ...security,
      timeout: 3_000,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 250,
      reconnectJitter: 200,
      pingInterval: 10_000,
      maxPingOut: 2,
      ignoreClusterUpdates: false,
    }).catch((cause: unknown) => {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new TroupeError('BUS_UNREACHABLE', `no NATS server answers at ${servers} (${why}); start one with: nats-server -c nats.conf`, {
        retryable: true,
        cause,
      });
    });
    const connection = new Connection(nats, settings);
    try {
      connection.#checkServer();
      await connection.#ensureStreams();
      return connection;
    } catch (thrown) {
      await connection.close();
      throw thrown;
    }
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Called after each loss of the connection, once it is back. */
  onReconnect(then: () => void): () => void {
    this.#onReconnect.add(then);
    return () => void this.#onReconnect.delete(then);
  }

  /** Asks once. Throws `Unanswered`. */
  request(subject: string, payload: string | Uint8Array, head?: MsgHdrs): Promise<Msg> {
    if (!this.#connected) return Promise.reject(new Unanswered('not connected'));
    return new Promise((resolve, reject) => {
      const lose = (): void => reject(new Unanswered('the connection was lost'));
      this.#inFlight.add(lose);
      this.nats
        .request(subject, payload, { timeout: this.settings.requestMs, ...(head && { headers: head }) })
        .then(resolve, (cause: unknown) => reject(new Unanswered(cause instanceof Error ? cause.message : 'no answer', { cause })))
        .finally(() => this.#inFlight.delete(lose));
    });
  }

  /** Asks the JetStream API once. Throws `Unanswered` or `Refused`. */
  async apiOnce<T>(verb: string, body: object = {}): Promise<T> {
    return accepted<T>(await this.request(`$JS.API.${verb}`, JSON.stringify(body)));
  }

  /** Asks the JetStream API, again and again until the deadline. Throws `Refused` or BUS_UNAVAILABLE. */
  api<T>(verb: string, body: object = {}): Promise<T> {
    return this.insist(() => this.apiOnce<T>(verb, body));
  }

  /** Repeats what was not answered, with a growing pause, until the deadline. */
  async insist<T>(attempt: (number: number) => Promise<T>): Promise<T> {
    const deadline = Date.now() + this.settings.deadlineMs;
    for (let number = 1; ; number++) {
      try {
        return await attempt(number);
      } catch (thrown) {
        if (!(thrown instanceof Unanswered)) throw thrown;
        if (this.#closed) throw closedError();
        if (Date.now() >= deadline) throw this.unavailable(thrown);
        await pause(number);
      }
    }
  }

  /** What a reader waits for: it goes on by itself when the server is back, but its caller is told at the deadline. */
  async within<T>(result: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(this.unavailable('the server says nothing')), this.settings.deadlineMs);
    });
    try {
      return await Promise.race([result, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  unavailable(cause: unknown): TroupeError {
    const why = cause instanceof Error ? cause.message : String(cause);
    if (cause instanceof Refused) {
      const next = FULL.test(why) ? ': make room on the server, or raise the limit of its streams, then go on' : '';
      return new TroupeError('BUS_UNAVAILABLE', `${this.settings.servers} refused: ${why}${next}`, { retryable: true, cause });
    }
    return new TroupeError('BUS_UNAVAILABLE', `${this.settings.servers}: ${why}; it was tried for ${this.settings.deadlineMs} ms`, { retryable: true, cause });
  }

  /** Stores one message and gives its sequence. `expect`: the sequence of its subject's last message. Throws `Refused` (`isConflict`) or BUS_UNAVAILABLE. */
  store(
    stream: string,
    subject: string,
    payload: string,
    { expect, set = {} }: { expect?: number; set?: Readonly<Record<string, string>> } = {},
  ): Promise<number> {
    const mark = randomUUID();
    const head = headers();
    head.set('Nats-Msg-Id', mark);
    if (expect !== undefined) head.set('Nats-Expected-Last-Subject-Sequence', String(expect));
    for (const [name, value] of Object.entries(set)) head.set(name, value);
    return this.insist(async (number) => {
      try {
        return accepted<{ seq: number }>(await this.request(subject, payload, head)).seq;
      } catch (thrown) {
        if (number === 1 || !isConflict(thrown)) throw thrown;
        const last = await this.last(stream, subject);
        if (last?.header('Nats-Msg-Id') === mark) return last.seq;
        throw thrown;
      }
    });
  }

  async last(stream: string, subject: string): Promise<Last | undefined> {
    try {
      const { message } = await this.api<{ message: { seq: number; data?: string; hdrs?: string } }>(`STREAM.MSG.GET.${stream}`, { last_by_subj: subject });
      const head = Buffer.from(message.hdrs ?? '', 'base64').toString();
      return {
        seq: message.seq,
        data: Buffer.from(message.data ?? '', 'base64'),
        header: (name) => new RegExp(`^${name}: ?(.*?)\r?$`, 'm').exec(head)?.[1] ?? '',
      };
    } catch (thrown) {
      if (thrown instanceof Refused && thrown.errorCode === NO_MESSAGE) return undefined;
      throw thrown;
    }
  }

  /** The sequence of the first message with such a subject, from `seq` on, as the stream's leader has it. Throws `Unanswered`. */
  async nextSeq(stream: string, subject: string, seq: number): Promise<number | undefined> {
    try {
      const { message } = await this.apiOnce<{ message: { seq: number } }>(`STREAM.MSG.GET.${stream}`, { seq, next_by_subj: subject });
      return message.seq;
    } catch (thrown) {
      if (thrown instanceof Refused && thrown.errorCode === NO_MESSAGE) return undefined;
      throw thrown;
    }
  }

  get isClustered(): boolean {
    return this.nats.info?.cluster !== undefined;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    // A server that says nothing must not keep anyone from leaving.
    const patience = new Promise((resolve) => setTimeout(resolve, this.settings.requestMs).unref());
    if (this.#connected) await Promise.race([this.nats.flush().catch(() => {}), patience]);
    await this.nats.close();
    this.#lose();
  }

  #lose(): void {
    this.#connected = false;
    for (const lose of [...this.#inFlight]) lose();
  }

  async #watchStatus(): Promise<void> {
    for await (const { type } of this.nats.status()) {
      if (type === Events.Disconnect) this.#lose();
      if (type !== Events.Reconnect) continue;
      this.#connected = true;
      for (const then of [...this.#onReconnect]) then();
    }
  }

  /** Of the server that answers at present. */
  about(): Readonly<Record<string, string>> {
    const { version, jetstream, server_name: server, cluster } = this.nats.info!;
    return { 'nats-server': `${version}${server ? ` (${server})` : ''}${cluster ? `, cluster ${cluster}` : ''}`, jetstream: jetstream ? 'on' : 'off' };
  }

  #checkServer(): void {
    const { servers } = this.settings;
    const { version, jetstream, max_payload: largest } = this.nats.info!;
    const [major = 0, minor = 0] = version.split('.').map(Number);
    if (major < OLDEST_SERVER[0] || (major === OLDEST_SERVER[0] && minor < OLDEST_SERVER[1])) {
      throw new TroupeError('BUS_SERVER_TOO_OLD', `${servers} runs nats-server ${version}; expected ${OLDEST_SERVER.join('.')} or newer`);
    }
    if (jetstream !== true) throw noJetStream(servers);
    if (largest < MAX_ENTRY_BYTES + PAYLOAD_ROOM) {
      throw new TroupeError('BUS_SERVER_TOO_SMALL', `${servers} takes ${largest} bytes a message; expected max_payload: 2MB in the server's configuration`);
    }
  }

  async #ensureStreams(): Promise<void> {
    const { namespace, logStream, queueStream, storeStream, deadStream } = this.names;
    const subjects = (kind: string) => [`${namespace}.${kind}.>`];
    await this.#ensureStream({ name: logStream, subjects: subjects('log') });
    await this.#ensureStream({ name: queueStream, subjects: subjects('queue'), max_msgs_per_subject: 1 });
    await this.#ensureStream({ name: storeStream, subjects: subjects('store'), max_msgs_per_subject: 1 });
    await this.#ensureStream({ name: deadStream, subjects: subjects('dead') });
  }

  /** A stream that is there stays as it is: its operator may have given it other limits, or more copies. */
  async #ensureStream(config: { name: string; subjects: string[]; max_msgs_per_subject?: number }): Promise<void> {
    const { servers, replicas: num_replicas } = this.settings;
    const settings = { num_replicas, storage: 'file', retention: 'limits', discard: 'new', duplicate_window: DUPLICATE_WINDOW_NANOS };
    await this.insist(async () => {
      try {
        await this.apiOnce(`STREAM.INFO.${config.name}`);
      } catch (thrown) {
        if (!(thrown instanceof Refused)) throw thrown;
        if (NO_JETSTREAM.has(thrown.errorCode)) throw noJetStream(servers, thrown);
        if (thrown.errorCode !== NO_STREAM) throw this.unavailable(thrown);
        await this.apiOnce(`STREAM.CREATE.${config.name}`, { ...config, ...settings }).catch((refused: unknown) => {
          if (!(refused instanceof Refused)) throw refused;
          if (refused.errorCode === STREAM_EXISTS) throw new Unanswered('the streams are being made by another process');
          if (refused.errorCode === NO_PEERS) throw new Unanswered(`${num_replicas} copies need as many servers of the cluster: ${refused.message}`);
          throw refused;
        });
      }
    });
  }
}

/** Only the repetitions of one `store` rely on it, so it outlasts a request's time-out; what is older is recognised by reading back. */
const DUPLICATE_WINDOW_NANOS = 120_000_000_000;

/** The body of an answer, if it is no refusal. */
export const accepted = <T>(answer: Msg): T => {
  const body = JSON.parse(answer.string()) as T & { error?: { code: number; err_code?: number; description?: string } };
  if (body.error === undefined) return body;
  const { code, err_code: errorCode = code, description = 'refused' } = body.error;
  // No leader, no quorum, no resources at the moment.
  if (code === 503 && !FULL.test(description)) throw new Unanswered(description);
  throw new Refused(errorCode, description);
};

export const closedError = (): TroupeError => new TroupeError('BUS_CLOSED', 'this bus was closed');

/** Longer for each attempt, up to half a second. */
export const pause = (attempt: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, Math.min(500, 20 * 2 ** attempt)));

const noJetStream = (servers: string, cause?: unknown): TroupeError =>
  new TroupeError('BUS_NO_JETSTREAM', `${servers} has no JetStream, or this account may not use it; start the server with: nats-server -c nats.conf`, {
    cause,
  });
