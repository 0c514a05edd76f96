/**
 * Reads a stream in order, without a gap and without a repetition, also across a lost connection.
 *
 * It is a push consumer that lives as long as this object. Each message carries its number in the consumer: when one is
 * missing, or when nothing, not even a heartbeat, has come for a while, the consumer is replaced by one that begins after
 * the last message that was handed over.
 */
import { createInbox, nanos, type Msg, type Subscription } from 'nats';
import { Refused, Unanswered, pause, type Connection } from './connection.ts';

export type Stored = {
  readonly seq: number;
  /** The server's time, milliseconds since 1970. */
  readonly at: number;
  readonly subject: string;
  readonly data: Uint8Array;
  /** Matching messages that follow and are there already. */
  readonly pending: number;
  readonly header: (name: string) => string;
};

export type ReaderOptions = {
  readonly stream: string;
  readonly filter?: string;
  /** The first sequence, from 1. */
  readonly start: number;
  readonly onMessage: (message: Stored) => void;
  /** Told once, when the first consumer stands: how many messages are there already. */
  readonly onReady?: (pending: number) => void;
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
  #next: number;
  #number = 0;
  #heardAt = Date.now();
  #beginning = false;
  #again = false;
  #ready = false;
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
    this.#subscription?.unsubscribe();
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
        const pending = await this.#consume();
        if (!this.#ready) {
          this.#ready = true;
          this.#options.onReady?.(pending);
        }
        if (!this.#again) break;
      } catch (thrown) {
        if (!(thrown instanceof Unanswered || thrown instanceof Refused)) throw thrown;
        await pause(attempt);
      }
    }
    this.#beginning = false;
  }

  async #consume(): Promise<number> {
    const { stream, filter } = this.#options;
    this.#subscription?.unsubscribe();
    this.#number = 0;
    const inbox = createInbox();
    const subscription = this.#connection.nats.subscribe(inbox, { callback: (error, message) => void (error ?? this.#take(subscription, message)) });
    this.#subscription = subscription;
    // What was sent before the answer was written is no longer pending, but not here yet either.
    const { num_pending: pending, delivered } = await this.#connection.apiOnce<{ num_pending: number; delivered: { consumer_seq: number } }>(
      `CONSUMER.CREATE.${stream}`,
      {
        stream_name: stream,
        config: {
          deliver_subject: inbox,
          ...(filter !== undefined && { filter_subject: filter }),
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
      },
    );
    this.#heardAt = Date.now();
    return pending + delivered.consumer_seq;
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
    this.#next = seq + 1;
    const { headers } = message;
    this.#options.onMessage({
      seq,
      at: Number(tokens[at + 2]!.slice(0, -6)),
      subject: message.subject,
      data: message.data,
      pending: Number(tokens[at + 3]),
      header: (name) => headers?.get(name) ?? '',
    });
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
    if (sent !== '' && Number(sent) > this.#number) void this.#begin();
  }
}
