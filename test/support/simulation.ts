/**
 * A deterministic world for hosts: a bus in memory, a clock that is moved by hand, and a scheduler that takes every choice from
 * a seed. Nothing happens but what the scheduler picks, so each seed is one history, and a crash can fall between any two
 * things that happen: before an append, after it and before its answer, between two deliveries, before a call and after it.
 *
 * The hosts are the real ones. Each process has a bus of its own on the shared logs and the shared store; when it crashes,
 * whatever it had not yet done is gone, and what it had done stays. It can be stopped as by SIGSTOP, and cut off from the bus:
 * then nothing reaches it, what it appends waits, and what else it asks for fails, before it was done or after.
 */
import type { Bus, Entry, Following, StoreChange } from '../../src/bus/port.ts';
import { matcher } from '../../src/bus/pattern.ts';
import type { Envelope } from '../../src/protocols/envelope.ts';
import { TroupeError } from '../../src/protocols/failure.ts';
import type { Clock } from '../../src/runtime/clock.ts';

type Timer = { readonly process: Process | undefined; readonly due: number; readonly order: number; readonly run: () => void };
type Task = {
  readonly process: Process | undefined;
  readonly what: string;
  readonly run: () => void;
  /** Waits for the connection. */ readonly waits: boolean;
};

/** What a process hears last before it makes a call. */
export const LEARNS = 'learns that it is durable';

/** A small generator (mulberry32): the same numbers for the same seed, everywhere. */
export const seeded = (seed: number): (() => number) => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
};

export class World {
  now = 1_000_000;
  readonly random: () => number;
  readonly log: Entry[] = [];
  readonly store = new Map<string, { value: string; revision: number }>();
  /** Everything that became of the store, in order. */
  readonly changes: StoreChange[] = [];
  readonly dead: { source: string; reason: string }[] = [];
  readonly history: string[] = [];
  readonly #ids = new Map<string, number>();
  #tasks: Task[] = [];
  #timers: Timer[] = [];
  #order = 0;
  #revision = 0;

  readonly #impatience: number;

  /** `impatience`: how often time passes although something else could happen, 0 to 1. At 0 no time-out ever wins, also while a process sleeps. */
  constructor(seed: number, { impatience = 0 }: { impatience?: number } = {}) {
    this.random = seeded(seed);
    this.#impatience = impatience;
  }

  pick(count: number): number {
    return Math.floor(this.random() * count);
  }

  /** Something that will happen some time, unless its process is gone by then. */
  later(process: Process | undefined, what: string, run: () => void, { waits = false }: { waits?: boolean } = {}): void {
    this.#tasks.push({ process, what, run, waits });
  }

  /** Whether something of this kind is about to happen in a process. */
  isAbout(process: Process, to: string): boolean {
    return this.#tasks.some((task) => task.process === process && task.what.includes(to));
  }

  timer(process: Process | undefined, due: number, run: () => void): () => void {
    const timer = { process, due, order: this.#order++, run };
    this.#timers.push(timer);
    return () => void (this.#timers = this.#timers.filter((one) => one !== timer));
  }

  /** Puts an entry into a log. An id that the log has is passed over, as the bus promises. */
  put(log: string, envelope: Envelope): number {
    const key = `${log}\u0000${envelope.id}`;
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    const position = this.log.length + 1;
    this.#ids.set(key, position);
    // As on the wire: what is undefined is not there, and nobody shares an object with anybody.
    this.log.push({ log, position, at: this.now, envelope: JSON.parse(JSON.stringify(envelope)) as Envelope });
    return position;
  }

  /** Brings an entry to every follower once more, as a bus whose memory of ids ran out would. */
  duplicate(index: number): void {
    const entry = this.log[index]!;
    this.log.push({ ...entry, position: this.log.length + 1, at: this.now });
  }

  /** Changes the store, if the key is as it is expected to be; no `value`: the key goes. */
  change(key: string, value: string | undefined, expect?: number): number {
    const now = this.store.get(key)?.revision ?? 0;
    if (expect !== undefined && expect !== now)
      throw new TroupeError('BUS_CONFLICT', `store key ${key}: expected revision ${expect}, found ${now}`, { retryable: true, details: { revision: now } });
    if (value === undefined && now === 0) return 0;
    const revision = ++this.#revision;
    if (value === undefined) this.store.delete(key);
    else this.store.set(key, { value, revision });
    this.changes.push({ key, revision, ...(value !== undefined && { value }) });
    return revision;
  }

  /** Stops a process for a while, as SIGSTOP does: time goes on without it. */
  pause(process: Process, ms: number): void {
    process.paused = true;
    this.timer(undefined, this.now + ms, () => (process.paused = false));
  }

  /** Takes the connection to the bus from a process for a while. */
  cutOff(process: Process, ms: number): void {
    process.cutOff = true;
    this.timer(undefined, this.now + ms, () => (process.cutOff = false));
  }

  kill(process: Process): void {
    process.alive = false;
    this.#tasks = this.#tasks.filter((task) => task.process !== process);
    this.#timers = this.#timers.filter((timer) => timer.process !== process);
  }

  /** One thing happens. False: nothing can. `also` are things that may happen besides, each as likely as one of the others. */
  async step(processes: readonly Process[], also: readonly { readonly what: string; readonly run: () => void | Promise<void> }[] = []): Promise<boolean> {
    const options: { readonly what: string; readonly run: () => void | Promise<void> }[] = [...also];
    for (const task of this.#tasks) {
      if (task.process && (!task.process.alive || task.process.paused || (task.waits && task.process.cutOff))) continue;
      options.push({
        what: task.what,
        run: () => {
          this.#tasks = this.#tasks.filter((one) => one !== task);
          task.run();
        },
      });
    }
    for (const process of processes) {
      if (process.alive && !process.paused && !process.cutOff) options.push(...process.deliveries());
    }
    const asleep = processes.some((process) => process.alive && process.paused);
    const next = this.#impatience === 0 && asleep ? undefined : this.#nextTimer();
    if (next && (options.length === 0 || this.random() < this.#impatience))
      options.splice(0, options.length, { what: `time +${Math.max(0, next.due - this.now)}`, run: () => this.#fire(next) });
    if (options.length === 0) return false;
    const chosen = options[this.pick(options.length)]!;
    this.history.push(`${this.now} ${chosen.what}`);
    await chosen.run();
    await settle();
    return true;
  }

  #nextTimer(): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      const runs = !timer.process || (timer.process.alive && !timer.process.paused);
      if (runs && (!next || timer.due < next.due || (timer.due === next.due && timer.order < next.order))) next = timer;
    }
    return next;
  }

  #fire(timer: Timer): void {
    this.now = Math.max(this.now, timer.due);
    this.#timers = this.#timers.filter((one) => one !== timer);
    timer.run();
  }
}

/** Lets every promise that can go on do so: a chain of them is longer than one turn of microtasks. */
export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** One process: its clock, and its connection to the bus. */
export class Process {
  alive = true;
  /** Stopped as by SIGSTOP: time goes on without it. */
  paused = false;
  /** Without a connection to the bus. */
  cutOff = false;
  readonly name: string;
  readonly world: World;
  readonly #followers: { readonly matches: (log: string) => boolean; cursor: number; readonly onEntry: (entry: Entry) => void }[] = [];
  readonly #watchers: Watcher[] = [];

  constructor(world: World, name: string) {
    this.world = world;
    this.name = name;
  }

  get clock(): Clock {
    return { now: () => this.world.now, after: (delayMs, then) => this.world.timer(this, this.world.now + delayMs, then) };
  }

  deliveries(): Delivery[] {
    return [...this.#entries(), ...this.#changes()];
  }

  /** Each watcher sees the changes in their order, and hears of them for itself. */
  #changes(): Delivery[] {
    const { changes } = this.world;
    return this.#watchers.flatMap((watcher) => {
      const change = watcher.first[0] ?? nextOf(changes, watcher);
      if (!change) return [];
      return [
        {
          what: `${this.name} sees ${change.key} #${change.revision}${change.value === undefined ? ' go' : ''}`,
          run: () => {
            if (watcher.first.length > 0) watcher.first.shift();
            else watcher.cursor++;
            watcher.onChange(change);
          },
        },
      ];
    });
  }

  #entries(): Delivery[] {
    return this.#followers.flatMap((follower) => {
      const { log } = this.world;
      while (follower.cursor < log.length && !follower.matches(log[follower.cursor]!.log)) follower.cursor++;
      const entry = log[follower.cursor];
      if (!entry) return [];
      return [
        {
          what: `${this.name} reads ${entry.log} #${entry.position} ${entry.envelope.type}`,
          run: () => {
            follower.cursor++;
            follower.onEntry(entry);
          },
        },
      ];
    });
  }

  /** Asks something of the bus: it is done, then it is answered; whichever comes while the process is cut off fails. */
  #ask<T>(what: string, act: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.world.later(this, `${this.name} ${what}`, () => {
        if (this.cutOff) return reject(lost());
        const answer = attempt(act, resolve, reject);
        this.world.later(this, `${this.name} is answered: ${what}`, () => (this.cutOff ? reject(lost()) : answer()));
      });
    });
  }

  /** The part of the bus that hosts use. */
  get bus(): Bus {
    const { world } = this;
    const ask = <T>(what: string, act: () => T): Promise<T> => this.#ask(what, act);
    const bus: Partial<Bus> = {
      name: `simulated:${this.name}`,
      append: (log, envelope) =>
        new Promise((resolve) => {
          const write = (): void => {
            const position = world.put(log, envelope);
            world.later(this, `${this.name} hears of ${log} #${position}`, () => resolve(position), { waits: true });
          };
          world.later(this, `${this.name} appends ${envelope.type} to ${log}`, write, { waits: true });
        }),
      read: async function* (pattern, from = 0) {
        const matches = matcher(pattern);
        yield* await ask(`reads ${pattern}`, () => world.log.filter((entry) => entry.position > from && matches(entry.log)));
      },
      follow: (pattern, from, onEntry): Following => {
        const follower = { matches: matcher(pattern), cursor: from, onEntry };
        this.#followers.push(follower);
        return { caughtUp: Promise.resolve(), stop: () => void this.#followers.splice(this.#followers.indexOf(follower), 1) };
      },
      present: () => ({ stop: () => {} }),
      durable: () => new Promise((resolve) => world.later(this, `${this.name} ${LEARNS}`, resolve, { waits: true })),
      head: () => (this.cutOff ? Promise.reject(lost()) : Promise.resolve(world.log.length)),
      keys: (prefix) => ask(`looks for ${prefix}`, () => [...world.store.keys()].filter((key) => key.startsWith(prefix))),
      get: (key) =>
        ask(`fetches ${key}`, () => {
          const stored = world.store.get(key);
          return stored && { key, ...stored };
        }),
      put: (key, value, { expect } = {}) => ask(`stores ${key}`, () => world.change(key, value, expect)),
      delete: async (key, { expect } = {}) => void (await ask(`deletes ${key}`, () => world.change(key, undefined, expect))),
      watchStore: (prefix, onChange) => {
        const first = [...world.store].filter(([key]) => key.startsWith(prefix)).map(([key, stored]) => ({ key, ...stored }));
        const watcher: Watcher = { prefix, first, cursor: world.changes.length, onChange };
        this.#watchers.push(watcher);
        return { stop: () => void this.#watchers.splice(this.#watchers.indexOf(watcher), 1) };
      },
      bury: ({ source, reason }) => {
        world.dead.push({ source, reason });
        return Promise.resolve();
      },
    };
    return bus as Bus;
  }
}

type Delivery = { readonly what: string; readonly run: () => void };

type Watcher = {
  readonly prefix: string;
  /** What was there. */ readonly first: StoreChange[];
  cursor: number;
  readonly onChange: (change: StoreChange) => void;
};

const nextOf = (changes: readonly StoreChange[], watcher: Watcher): StoreChange | undefined => {
  while (watcher.cursor < changes.length && !changes[watcher.cursor]!.key.startsWith(watcher.prefix)) watcher.cursor++;
  return changes[watcher.cursor];
};

const attempt = <T>(act: () => T, resolve: (value: T) => void, reject: (reason: unknown) => void): (() => void) => {
  try {
    const done = act();
    return () => resolve(done);
  } catch (thrown) {
    return () => reject(thrown);
  }
};

const lost = (): TroupeError => new TroupeError('BUS_UNAVAILABLE', 'no connection', { retryable: true });
