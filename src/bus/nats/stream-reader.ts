/**
 * Reads a stream in order, without a gap and without a repetition, also across a lost connection.
 *
 * It is a push consumer that lives as long as this object. Each message carries its number in the consumer: when one is
 * missing, or when nothing, not even a heartbeat, has come for a while, the consumer is replaced by one that begins after
 * the last message that was handed over.
 *
 * In a cluster a consumer may live on a server that lags behind the stream's leader. It then begins before where it was told
 * to, and believes too early that it has sent everything.
 */
import { createInbox, nanos, type Msg, type Subscription } from 'nats';
import { Refused, Unanswered, pause, type Connection } from './connection.ts';

export type Stored = {
  readonly seq: number;
  /** The server's time, milliseconds since 1970. */
  readonly at: number;
  readonly subject: string;
  readonly data: Uint8Array;
  readonly header: (name: string) => string;
};

export type ReaderOptions = {
  readonly stream: string;
  readonly filter?: string;
  /** The first sequence, from 1. */
  readonly start: number;
  /** Without what the messages carry: their `data` is empty. */
  readonly headersOnly?: boolean;
  readonly onMessage: (message: Stored) => void;
  /** Told once: everything that was there was handed over, up to `until` at least. What was deleted meanwhile does not come. */
  readonly onCaughtUp?: () => void;
  readonly until?: number;
  /** Another consumer goes on where one was lost. */
  readonly onReplaced?: () => void;
  /** The server asks to go on: at once, or later by whoever works slower than it sends. */
  readonly onFlow?: (goOn: () => void) => void;
};

const HEARTBEAT_MS = 2_000;
const SILENCE_MS = 2.5 * HEARTBEAT_MS;

export class StreamReader {
  readonly #connection: Connection;
  readonly #options: ReaderOptions;
  readonly #leaveReconnect: () => void;
  readonly #watchdog: NodeJS.Timeout;
  #subscription: Subscription | undefined;
  /** The consumer's name on the server. */
  #consumer: string | undefined;
  #next: number;
  #number = 0;
  #heardAt = Date.now();
  #beginning = false;
  #again = false;
  #caughtUp = false;
  #asking = false;
  #stopped = false;

  constructor(connection: Connection, options: ReaderOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#next = options.start;
    this.#leaveReconnect = connection.onReconnect(() => void this.#begin());
    this.#watchdog = setInterval(() => {
      if (Date.now() - this.#heardAt > SILENCE_MS) void this.#begin();
    }, HEARTBEAT_MS / 2);
    this.#watchdog.unref();
    void this.#begin();
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    clearInterval(this.#watchdog);
    this.#leaveReconnect();
    this.#dismiss();
  }

  /** Starts a consumer after what was handed over; one attempt at a time, until one stands. */
  async #begin(): Promise<void> {
    if (this.#beginning) {
      this.#again = true;
      return;
    }
    this.#beginning = true;
    for (let attempt = 1; !this.#stopped && !this.#connection.closed; attempt++) {
      this.#again = false;
      try {
        await this.#consume();
        if (!this.#again) break;
      } catch (thrown) {
        if (!(thrown instanceof Unanswered || thrown instanceof Refused)) throw thrown;
        await pause(attempt);
      }
    }
    this.#beginning = false;
  }

  async #consume(): Promise<void> {
    const { stream, filter, headersOnly, onReplaced } = this.#options;
    const isFirst = this.#subscription === undefined;
    this.#dismiss();
    this.#number = 0;
    const inbox = createInbox();
    const subscription = this.#connection.nats.subscribe(inbox, { callback: (error, message) => void (error ?? this.#take(subscription, message)) });
    this.#subscription = subscription;
    type Created = { readonly name: string; readonly num_pending: number; readonly delivered: { readonly consumer_seq: number } };
    const created = await this.#connection.apiOnce<Created>(`CONSUMER.CREATE.${stream}`, {
      stream_name: stream,
      config: {
        deliver_subject: inbox,
        ...(filter !== undefined && { filter_subject: filter }),
        ...(headersOnly === true && { headers_only: true }),
        deliver_policy: 'by_start_sequence',
        opt_start_seq: this.#next,
        ack_policy: 'none',
        max_deliver: 1,
        flow_control: true,
        idle_heartbeat: nanos(HEARTBEAT_MS),
        inactive_threshold: nanos(60_000),
        mem_storage: true,
        num_replicas: 1,
      },
    });
    this.#consumer = created.name;
    if (this.#stopped) return this.#dismiss();
    this.#heardAt = Date.now();
    if (!isFirst) onReplaced?.();
    // What was sent before the answer was written is no longer pending, but not here yet either.
    if (created.num_pending + created.delivered.consumer_seq === 0) void this.#endOfConsumer();
  }

  /** The consumer has nothing more to send; whether the stream has is asked of its leader. What that one has is on its way. */
  async #endOfConsumer(): Promise<void> {
    const { stream, filter = '>', until = Number.POSITIVE_INFINITY, onCaughtUp } = this.#options;
    if (!onCaughtUp || this.#caughtUp || this.#asking) return;
    if (this.#connection.isClustered) {
      this.#asking = true;
      try {
        for (;;) {
          const next = await this.#connection.nextSeq(stream, filter, this.#next);
          if (next === undefined || next > until) break;
          if (next >= this.#next) return;
        }
      } catch {
        return; // a heartbeat later it is asked again
      } finally {
        this.#asking = false;
      }
    }
    if (this.#stopped) return;
    this.#caughtUp = true;
    onCaughtUp();
  }

  /** The server would find out for itself, a minute later. */
  #dismiss(): void {
    this.#subscription?.unsubscribe();
    if (this.#consumer !== undefined && !this.#connection.closed) {
      this.#connection.nats.publish(`$JS.API.CONSUMER.DELETE.${this.#options.stream}.${this.#consumer}`);
    }
    this.#consumer = undefined;
  }

  #take(from: Subscription, message: Msg): void {
    if (this.#stopped || from !== this.#subscription) return;
    this.#heardAt = Date.now();
    const reply = message.reply ?? '';
    if (!reply.startsWith('$JS.ACK.')) return this.#takeControl(message);
    // $JS.ACK.[domain.account.]stream.consumer.deliveries.sequence.number.nanos.pending[.token]
    const tokens = reply.split('.');
    const at = tokens.length > 9 ? 7 : 5;
    if (Number(tokens[at + 1]) !== this.#number + 1) return void this.#begin();
    this.#number += 1;
    const seq = Number(tokens[at]);
    if (seq < this.#next) return;
    this.#next = seq + 1;
    const { headers } = message;
    this.#options.onMessage({
      seq,
      at: Number(tokens[at + 2]!.slice(0, -6)),
      subject: message.subject,
      data: message.data,
      header: (name) => headers?.get(name) ?? '',
    });
    if (Number(tokens[at + 3]) === 0) void this.#endOfConsumer();
  }

  /** A heartbeat, which says how far the consumer has come, or a question whether to go on. */
  #takeControl(message: Msg): void {
    const { headers } = message;
    if (headers?.code !== 100) return;
    const asked = message.reply || headers.get('Nats-Consumer-Stalled');
    if (asked) {
      const goOn = (): void => {
        if (!this.#stopped && !this.#connection.closed) this.#connection.nats.publish(asked);
      };
      if (this.#options.onFlow) this.#options.onFlow(goOn);
      else goOn();
      return;
    }
    const sent = headers.get('Nats-Last-Consumer');
    if (sent === '') return;
    if (Number(sent) > this.#number) void this.#begin();
    else void this.#endOfConsumer(); // what was pending may have been deleted
  }
}
