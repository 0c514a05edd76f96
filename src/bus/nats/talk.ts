/** What need not be remembered: questions with a deadline, and events, both on core NATS. */
import { ErrorCode, NatsError, type Msg } from 'nats';
import { Failure, failureOf, TroupeError } from '../../protocols/failure.ts';
import { checkName, matcher } from '../pattern.ts';
import type { Connection } from './connection.ts';

type Data = Readonly<Record<string, unknown>>;
type Answer = { readonly data: Data } | { readonly failure: Failure };

const decode = <T>(message: Msg): T => JSON.parse(message.string()) as T;

export class Talk {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async ask(subject: string, data: Data, timeoutMs: number): Promise<Data> {
    const { nats, names } = this.#connection;
    const asked = names.ask(checkName(subject));
    let answer: Answer;
    try {
      answer = decode<Answer>(await nats.request(asked, JSON.stringify(data), { timeout: timeoutMs }));
    } catch (cause) {
      if (cause instanceof NatsError && cause.code === ErrorCode.NoResponders) throw new TroupeError('BUS_NO_ANSWERER', `nobody answers ${subject}`, { cause });
      throw new TroupeError('BUS_TIMEOUT', `${subject}: no answer within ${timeoutMs} ms`, { retryable: true, cause });
    }
    if ('data' in answer) return answer.data;
    const { code, message, retryable, details } = Failure.parse(answer.failure);
    throw new TroupeError(code, message, { retryable, details });
  }

  answer(subject: string, onAsk: (data: Data) => Promise<Data>): { stop(): void } {
    const { nats, names } = this.#connection;
    const subscription = nats.subscribe(names.ask(checkName(subject)), {
      queue: 'answerers',
      callback: async (error, message) => {
        if (error) return;
        let answer: Answer;
        try {
          answer = { data: await onAsk(decode<Data>(message)) };
        } catch (thrown) {
          answer = { failure: failureOf(thrown) };
        }
        if (!nats.isClosed()) message.respond(JSON.stringify(answer));
      },
    });
    return { stop: () => subscription.unsubscribe() };
  }

  announce(subject: string, data: Data): void {
    const { nats, names } = this.#connection;
    nats.publish(names.event(checkName(subject)), JSON.stringify(data));
  }

  watch(pattern: string, onEvent: (subject: string, data: Data) => void): { stop(): void } {
    matcher(pattern);
    const { nats, names } = this.#connection;
    const prefix = names.event('').length;
    const subscription = nats.subscribe(names.event(pattern), {
      callback: (error, message) => {
        if (!error) onEvent(message.subject.slice(prefix), decode<Data>(message));
      },
    });
    return { stop: () => subscription.unsubscribe() };
  }
}
