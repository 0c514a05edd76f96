/**
 * Which hosts are alive. A host puts itself on record in the store and renews its record; one that is silent for the length of
 * a lease, or whose process is known to be gone, is *fenced*: its record is deleted, so that it finds out when it comes back.
 *
 *   L1  Silence is measured by the clock of whoever listens: no two clocks have to agree. A host that is known to be dead is not
 *       waited for.
 *   L2  A host is sure of itself, by its own clock, for two thirds of a lease from when it asked for its last renewal. After that
 *       it asks again before it acts: nobody can have taken anything from it unless it was fenced.
 *   L3  What a host has is taken from it only after it was fenced; a host that was fenced acts no more on what it had.
 */
import { hostname } from 'node:os';
import { z } from 'zod';
import type { Bus } from '../bus/port.ts';
import { TroupeError } from '../protocols/failure.ts';
import type { Clock } from './clock.ts';

/** What a host says of itself. */
export const HostRecord = z.object({
  id: z.string(),
  pid: z.number(),
  machine: z.string(),
  startedAt: z.number(),
  /** What it plays, and how much of it at once; absent of one that hosts whole runs. */
  serves: z
    .object({
      team: z.string(),
      hash: z.string(),
      agents: z.array(z.string()),
      concurrency: z.number(),
      /** Only in this one. */
      run: z.string().optional(),
      /** Which it calls, by agent. */ models: z.record(z.string(), z.string()),
    })
    .optional(),
  version: z.string().optional(),
  /** When it last said so, by its own clock: for people, nothing is decided by it. */
  renewedAt: z.number().optional(),
  /** Takes on nothing new: it is about to end. */
  draining: z.boolean().optional(),
});
export type HostRecord = z.infer<typeof HostRecord>;

export type PresenceOptions = {
  readonly bus: Bus;
  readonly clock: Clock;
  /** Of the host, unique for each start of a process. */
  readonly id: string;
  readonly leaseMs?: number;
  readonly about?: Pick<HostRecord, 'serves' | 'version'>;
  /** Told when the bus does not answer, and when it answers again. */
  readonly onReach?: (reachable: boolean) => void;
};

/** Who is silent for so long has lost what it had. */
export const LEASE_MS = 4_000;
/** Between two tries to reach a bus that is away. */
const AGAIN_MS = 500;

const PREFIX = 'host.';
const keyOf = (id: string): string => `${PREFIX}${id}`;

/** A host as others see it. */
export type Peer = { readonly record: HostRecord; readonly revision: number; /** By this host's clock. */ readonly heardAt: number };

export class Presence {
  readonly id: string;
  readonly leaseMs: number;
  readonly #bus: Bus;
  readonly #clock: Clock;
  #record: HostRecord;
  #revision = 0;
  #sureUntil = 0;
  #isOpen = false;
  #fenced = false;
  #closed = false;
  #reachable = true;
  readonly #onReach: (reachable: boolean) => void;
  #renewing: Promise<void> | undefined;
  #stopTimer = (): void => {};
  readonly #onFenced = new Set<() => void>();

  private constructor({ bus, clock, id, leaseMs = LEASE_MS, about = {}, onReach = () => {} }: PresenceOptions) {
    this.#onReach = onReach;
    this.#bus = bus;
    this.#clock = clock;
    this.id = id;
    this.leaseMs = leaseMs;
    this.#record = { id, pid: process.pid, machine: hostname(), startedAt: clock.now(), ...about };
  }

  /** Puts the host on record. Errors: BUS_*. */
  static async open(options: PresenceOptions): Promise<Presence> {
    const presence = new Presence(options);
    await presence.#renew();
    presence.#isOpen = true;
    return presence;
  }

  /** Whether this host may act without asking (L2). */
  holds(): boolean {
    return !this.#fenced && !this.#closed && this.#clock.now() < this.#sureUntil;
  }

  /** Whether it may act; asks where it is not sure, for as long as the bus is away. */
  async confirm(): Promise<boolean> {
    while (!this.holds()) {
      if (this.#fenced || this.#closed) return false;
      await this.#renew();
      if (!this.holds() && !this.#fenced) await pause(this.#clock, AGAIN_MS);
    }
    return true;
  }

  get fenced(): boolean {
    return this.#fenced;
  }

  /** Called when others have fenced this host. Gives the way to take it back. */
  onFenced(then: () => void): () => void {
    this.#onFenced.add(then);
    return () => void this.#onFenced.delete(then);
  }

  /** Says something else of itself from now on. */
  async say(about: Partial<Pick<HostRecord, 'draining'>>): Promise<void> {
    this.#record = { ...this.#record, ...about };
    await this.#renewing;
    if (!this.#fenced) await this.#renew();
  }

  /** After a fence, when nothing is left of what it had: takes part again, as soon as the bus is there. */
  async rejoin(): Promise<void> {
    if (!this.#fenced || this.#closed) return;
    this.#revision = 0;
    this.#fenced = false;
    await this.confirm();
  }

  /** Takes itself off the record. What it still has is anybody's from then on. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopTimer();
    await this.#renewing;
    if (!this.#fenced && this.#revision > 0) await this.#bus.delete(keyOf(this.id), { expect: this.#revision }).catch(() => {});
  }

  /** Asks for a renewal, once at a time. */
  #renew(): Promise<void> {
    this.#renewing ??= this.#ask().finally(() => (this.#renewing = undefined));
    return this.#renewing;
  }

  async #ask(): Promise<void> {
    this.#stopTimer();
    const asked = this.#clock.now();
    const value = JSON.stringify({ ...this.#record, renewedAt: asked });
    const stopWaiting = this.#clock.after((this.leaseMs * 2) / 3, () => this.#reach(false));
    try {
      const revision = (await put(this.#bus, keyOf(this.id), value, this.#revision)) ?? (await this.#reclaim(value));
      if (revision === undefined) return this.#noticeFence();
      this.#revision = revision;
      this.#sureUntil = asked + (this.leaseMs * 2) / 3;
      this.#reach(true);
    } catch (thrown) {
      if (!this.#isOpen || isClosed(thrown)) throw thrown; // it was never there, or the bus is gone for good
      this.#reach(false);
    } finally {
      stopWaiting();
    }
    if (!this.#closed) this.#stopTimer = this.#clock.after(this.leaseMs / 3, () => void this.#renew().catch(() => {}));
  }

  /** A renewal whose answer was lost may have been written: then the record is there. */
  async #reclaim(value: string): Promise<number | undefined> {
    const found = await this.#bus.get(keyOf(this.id));
    return found === undefined ? undefined : put(this.#bus, keyOf(this.id), value, found.revision);
  }

  #reach(reachable: boolean): void {
    if (reachable === this.#reachable || this.#closed) return;
    this.#reachable = reachable;
    this.#onReach(reachable);
  }

  #noticeFence(): void {
    this.#fenced = true;
    for (const then of this.#onFenced) then();
  }
}

/** The hosts on record, as they are now; `heardAt` is now. */
export const listHosts = async (bus: Bus, now: number): Promise<readonly Peer[]> => {
  const found = await Promise.all((await bus.keys(PREFIX)).map((key) => bus.get(key)));
  return found.flatMap((stored) => {
    const record = stored && parseRecord(stored.value);
    return record ? [{ record, revision: stored.revision, heardAt: now }] : [];
  });
};

/** By the clock of another machine, which may be wrong: it only has to tell a host that was forgotten on record from one that lives. */
const FORGOTTEN_MS = 60_000;

/** The hosts on record but for those that seem to be gone. A guess, for people and for choices that nothing hangs on. */
export const livingHosts = async (bus: Bus, now: number): Promise<readonly HostRecord[]> =>
  (await listHosts(bus, now)).map(({ record }) => record).filter((record) => !isKnownDead(record) && now - (record.renewedAt ?? now) < FORGOTTEN_MS);

/** Keeps the hosts that are on record, and when each was heard of last. */
export const watchHosts = (bus: Bus, clock: Clock, onChange: (id: string, peer: Peer | undefined) => void): { stop(): void } =>
  bus.watchStore(PREFIX, ({ key, value, revision }) => {
    const record = value === undefined ? undefined : parseRecord(value);
    onChange(key.slice(PREFIX.length), record && { record, revision, heardAt: clock.now() });
  });

/** Deletes the record of a host as it was last heard. False: it was heard again in the meantime. */
export const fence = async (bus: Bus, { record, revision }: Pick<Peer, 'record' | 'revision'>): Promise<boolean> => {
  try {
    await bus.delete(keyOf(record.id), { expect: revision });
    return true;
  } catch (thrown) {
    if (!isConflict(thrown)) throw thrown;
    return (await bus.get(keyOf(record.id))) === undefined;
  }
};

export const hostOf = async (bus: Bus, id: string): Promise<{ readonly record: HostRecord; readonly revision: number } | undefined> => {
  const stored = await bus.get(keyOf(id));
  const record = stored && parseRecord(stored.value);
  return record && { record, revision: stored.revision };
};

/** Only of a process of this machine can that be known. */
export const isKnownDead = ({ pid, machine }: HostRecord): boolean => {
  if (machine !== hostname() || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return false;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === 'ESRCH';
  }
};

const parseRecord = (json: string): HostRecord | undefined => {
  try {
    return HostRecord.safeParse(JSON.parse(json)).data;
  } catch {
    return undefined;
  }
};

const isConflict = (thrown: unknown): boolean => thrown instanceof TroupeError && thrown.code === 'BUS_CONFLICT';
const isClosed = (thrown: unknown): boolean => thrown instanceof TroupeError && thrown.code === 'BUS_CLOSED';

/** The new revision, or `undefined` if it is no longer the expected one. */
export const put = async (bus: Bus, key: string, value: string, expect: number, { lazy = false } = {}): Promise<number | undefined> => {
  try {
    return await bus.put(key, value, { expect, lazy });
  } catch (thrown) {
    if (isConflict(thrown)) return undefined;
    throw thrown;
  }
};

export const pause = (clock: Clock, ms: number): Promise<void> => new Promise((resolve) => void clock.after(ms, resolve));
