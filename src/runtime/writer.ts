/**
 * What a host writes into logs: messages, and notes of an actor to itself. Crash-only: what could not be written may be what
 * others wait for, so after the first failure nothing more is.
 */
import type { Bus } from '../bus/port.ts';
import { versionOf, type MessageName } from '../protocols/catalogue.ts';
import type { Envelope } from '../protocols/envelope.ts';
import { runOf, type Address } from '../protocols/ids.ts';
import type { Clock } from './clock.ts';
import type { Unit } from './unit.ts';

type Data = Readonly<Record<string, unknown>>;

/** `causation`: the id of the entry that led to it. */
export type Message = { readonly id: string; readonly type: MessageName; readonly data: Data; readonly causation?: string | undefined };

export type WriterOptions = { readonly bus: Bus; readonly clock: Clock; readonly onFailure: (thrown: unknown) => void };

export class Writer {
  readonly #options: WriterOptions;
  #stopped = false;

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  /** What an actor of a unit says to another one. */
  send(unit: Unit, from: Address, to: Address, message: Message): void {
    if (!this.#stopped) this.track(unit, this.#options.bus.append(to, this.envelope(from, message)));
  }

  /** What a host writes for an actor into its own log. */
  note(unit: Unit, actor: Address, id: string, type: MessageName, data: Data): void {
    this.send(unit, actor, actor, { id, type, data });
  }

  envelope(from: Address, message: Message): Envelope {
    return new Said(from, message, this.#options.clock.now());
  }

  /** Something that is written for a unit: whoever waits for the unit waits for it too. */
  track(unit: Unit, writing: Promise<unknown>): void {
    const done: Promise<void> = writing.then(
      () => void unit.appends.delete(done),
      (thrown: unknown) => {
        unit.appends.delete(done);
        if (!this.#stopped) this.#options.onFailure(thrown);
      },
    );
    unit.appends.add(done);
  }

  stop(): void {
    this.#stopped = true;
  }
}

/** Whether an envelope was made in this process: its payload was typed when it was said. */
export const isOwn = (envelope: Envelope): boolean => envelope instanceof Said;

class Said implements Envelope {
  readonly id: string;
  readonly type: MessageName;
  readonly v: number;
  readonly from: Address;
  readonly causation?: string;
  readonly correlation: string;
  readonly time: number;
  readonly data: Data;

  constructor(from: Address, { id, type, data, causation }: Message, time: number) {
    this.id = id;
    this.type = type;
    this.v = versionOf(type);
    this.from = from;
    if (causation !== undefined) this.causation = causation;
    this.correlation = runOf(from);
    this.time = time;
    this.data = data;
  }
}
