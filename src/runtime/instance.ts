/**
 * One actor in one process: its state and the ids that it has already folded.
 *
 * The bus promises that an id counts once; `seen` is the second line of defence, for a bus whose memory of ids is bounded. It
 * holds the newest ids only, so it is bounded too: an older duplicate meets an effect or a timer that has ended, or an account
 * that knows the grant.
 */
import { begin, lateOutputs, step, type Definition, type FoldEntry, type Output, type State } from './fold.ts';
import { runOf, type Address, type RunId } from '../protocols/ids.ts';

const SEEN_MAX = 4_096;

export type Frozen = {
  readonly chart: string;
  readonly version: number;
  readonly snapshot: unknown;
  readonly position: number;
  readonly effects: State['effects'];
  readonly timers: State['timers'];
  readonly advance?: State['advance'];
  readonly seen: readonly string[];
};

export class Instance {
  readonly address: Address;
  readonly run: RunId;
  readonly definition: Definition;
  #state: State;
  readonly #seen: Set<string>;

  private constructor(address: Address, definition: Definition, state: State, seen: Iterable<string>) {
    this.address = address;
    this.run = runOf(address);
    this.definition = definition;
    this.#state = state;
    this.#seen = new Set(seen);
  }

  static begin(address: Address, definition: Definition, at: number): [Instance, Output[]] {
    const [state, outputs] = begin(definition, address, at);
    return [new Instance(address, definition, state, []), outputs];
  }

  /** From a snapshot; `undefined` if it is of another chart or version, or cannot be read: a snapshot is only a cache. */
  static thaw(address: Address, definition: Definition, json: string): Instance | undefined {
    try {
      const frozen = JSON.parse(json, reviveBigint) as Frozen;
      if (frozen.chart !== definition.chart.name || frozen.version !== definition.chart.version) return undefined;
      const { position, effects, timers, advance } = frozen;
      return new Instance(address, definition, { snapshot: definition.chart.restore(frozen.snapshot), position, effects, timers, advance }, frozen.seen);
    } catch {
      return undefined;
    }
  }

  freeze(): string {
    const { chart } = this.definition;
    const { snapshot, position, effects, timers, advance } = this.#state;
    const frozen: Frozen = {
      chart: chart.name,
      version: chart.version,
      snapshot: chart.persist(snapshot),
      position,
      effects,
      timers,
      advance,
      seen: [...this.#seen],
    };
    return JSON.stringify(frozen, replaceBigint);
  }

  get state(): State {
    return this.#state;
  }

  get ended(): boolean {
    return this.#state.snapshot.status !== 'active';
  }

  /** Folds one entry. An entry that was folded before gives no outputs. */
  apply(entry: FoldEntry): Output[] {
    if (entry.position <= this.#state.position || this.#seen.has(entry.id)) return [];
    const [state, outputs] = step(this.definition, this.address, this.#state, entry);
    this.#state = state;
    this.#seen.add(entry.id);
    if (this.#seen.size > SEEN_MAX) this.#seen.delete(this.#seen.values().next().value!);
    return outputs;
  }

  has(id: string): boolean {
    return this.#seen.has(id);
  }

  /** What is left of it once its chart has ended. */
  retire(): Retired {
    return new Retired(this.address, this.definition, this.#state.position, this.#seen);
  }
}

/** An actor that has ended: its state is gone, what it knows of its log stays, because money may still come (F4). */
export class Retired {
  readonly address: Address;
  readonly #definition: Definition;
  #position: number;
  readonly #seen: Set<string>;

  constructor(address: Address, definition: Definition, position: number, seen: Set<string>) {
    this.address = address;
    this.#definition = definition;
    this.#position = position;
    this.#seen = seen;
  }

  /** As for an instance: an entry that was folded before, or came again, gives nothing. Otherwise its grant would be given back while it is spent. */
  apply(entry: FoldEntry): Output[] {
    if (entry.position <= this.#position || this.#seen.has(entry.id)) return [];
    this.#position = entry.position;
    this.#seen.add(entry.id);
    return lateOutputs(this.#definition, this.address, entry);
  }

  has(id: string): boolean {
    return this.#seen.has(id);
  }
}

/** Money in a context is a bigint, which JSON does not know: `$12`. A string that begins with the same sign gets a second one. */
const replaceBigint = (_: string, value: unknown): unknown => {
  if (typeof value === 'bigint') return `$${value}`;
  return typeof value === 'string' && value.startsWith('$') ? `$${value}` : value;
};
const reviveBigint = (_: string, value: unknown): unknown => {
  if (typeof value !== 'string' || !value.startsWith('$')) return value;
  return value.startsWith('$$') ? value.slice(1) : BigInt(value.slice(1));
};
