/**
 * A deterministic world for hosts: a bus in memory, a clock that is moved by hand, and a scheduler that takes every choice from
 * a seed. Nothing happens but what the scheduler picks, so each seed is one history, and a crash can fall between any two
 * things that happen: before an append, after it and before its answer, between two deliveries, before a call and after it.
 *
 * The hosts are the real ones. Each process has a bus of its own on the shared logs; when it crashes, whatever it had not yet
 * done is gone, and what it had done stays.
 */
import type { Bus, Entry, Following } from '../../src/bus/port.ts';
import { matcher } from '../../src/bus/pattern.ts';
import type { Envelope } from '../../src/protocols/envelope.ts';
import type { Clock } from '../../src/runtime/clock.ts';

type Timer = { readonly process: Process; readonly due: number; readonly order: number; readonly run: () => void };
type Task = { readonly process: Process | undefined; readonly what: string; readonly run: () => void };

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
  later(process: Process | undefined, what: string, run: () => void): void {
    this.#tasks.push({ process, what, run });
  }

  timer(process: Process, due: number, run: () => void): () => void {
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

  kill(process: Process): void {
    process.alive = false;
    this.#tasks = this.#tasks.filter((task) => task.process !== process);
    this.#timers = this.#timers.filter((timer) => timer.process !== process);
  }

  /** One thing happens. False: nothing can. `also` are things that may happen besides, each as likely as one of the others. */
  async step(processes: readonly Process[], also: readonly { readonly what: string; readonly run: () => void | Promise<void> }[] = []): Promise<boolean> {
    const options: { readonly what: string; readonly run: () => void | Promise<void> }[] = [...also];
    for (const task of this.#tasks) {
      if (task.process && (!task.process.alive || task.process.paused)) continue;
      options.push({
        what: task.what,
        run: () => {
          this.#tasks = this.#tasks.filter((one) => one !== task);
          task.run();
        },
      });
    }
    for (const process of processes) {
      if (process.alive && !process.paused) options.push(...process.deliveries());
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
      if (timer.process.alive && !timer.process.paused && (!next || timer.due < next.due || (timer.due === next.due && timer.order < next.order))) next = timer;
    }
    return next;
  }

  #fire(timer: Timer): void {
    this.now = Math.max(this.now, timer.due);
    this.#timers = this.#timers.filter((one) => one !== timer);
    timer.run();
  }

  nextRevision(): number {
    return ++this.#revision;
  }
}

/** Lets every promise that can go on do so: a chain of them is longer than one turn of microtasks. */
export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** One process: its clock, and its connection to the bus. */
export class Process {
  alive = true;
  /** Stopped as by SIGSTOP: time goes on without it. */
  paused = false;
  readonly name: string;
  readonly world: World;
  readonly #followers: { readonly matches: (log: string) => boolean; cursor: number; readonly onEntry: (entry: Entry) => void }[] = [];

  constructor(world: World, name: string) {
    this.world = world;
    this.name = name;
  }

  get clock(): Clock {
    return { now: () => this.world.now, after: (delayMs, then) => this.world.timer(this, this.world.now + delayMs, then) };
  }

  deliveries(): { what: string; run: () => void }[] {
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

  #soon<T>(what: string, then: () => T): Promise<T> {
    return new Promise((resolve) => this.world.later(this, `${this.name} ${what}`, () => resolve(then())));
  }

  /** The part of the bus that hosts use. */
  get bus(): Bus {
    const { world } = this;
    const bus: Partial<Bus> = {
      name: `simulated:${this.name}`,
      append: (log, envelope) =>
        new Promise((resolve) => {
          world.later(this, `${this.name} appends ${envelope.type} to ${log}`, () => {
            const position = world.put(log, envelope);
            world.later(this, `${this.name} hears of ${log} #${position}`, () => resolve(position));
          });
        }),
      read: async function* (pattern, from = 0) {
        const matches = matcher(pattern);
        for (const entry of [...world.log]) if (entry.position > from && matches(entry.log)) yield entry;
      },
      follow: (pattern, from, onEntry): Following => {
        const follower = { matches: matcher(pattern), cursor: from, onEntry };
        this.#followers.push(follower);
        return { caughtUp: Promise.resolve(), stop: () => void this.#followers.splice(this.#followers.indexOf(follower), 1) };
      },
      durable: () => Promise.resolve(),
      head: () => Promise.resolve(world.log.length),
      keys: (prefix) => this.#soon(`looks for ${prefix}`, () => [...world.store.keys()].filter((key) => key.startsWith(prefix))),
      get: (key) =>
        this.#soon(`fetches ${key}`, () => {
          const stored = world.store.get(key);
          return stored && { key, ...stored };
        }),
      put: (key, value) =>
        this.#soon(`stores ${key}`, () => {
          const revision = world.nextRevision();
          world.store.set(key, { value, revision });
          return revision;
        }),
      bury: ({ source, reason }) => {
        world.dead.push({ source, reason });
        return Promise.resolve();
      },
    };
    return bus as Bus;
  }
}
