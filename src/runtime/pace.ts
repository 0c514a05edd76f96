/**
 * How fast a provider is asked, by all processes of a bus together. What one of them hears (429, `retry-after`) slows all down,
 * and a team's rate limits count the calls of every process.
 *
 *   R1  No call begins while its model is held back.
 *   R2  Of a model with `maxParallel` no more calls than that are under way, wherever; a slot whose host is gone is free.
 *   R3  Calls and tokens a minute follow the generic cell rate algorithm on a value that all processes share, with a burst of a
 *       sixth of a minute. The clocks of the machines should agree to the second or so.
 */
import type { Bus } from '../bus/port.ts';
import { TroupeError } from '../protocols/failure.ts';
import type { Clock } from './clock.ts';
import { hostOf, put } from './presence.ts';

/** Of one model, for all who call it. */
export type RateLimit = {
  /** Calls under way at once. */
  readonly maxParallel?: number | undefined;
  /** Calls a minute. */
  readonly rpm?: number | undefined;
  /** Tokens a minute, input and the most that may be answered. */
  readonly tpm?: number | undefined;
};

export type PaceOptions = { readonly bus: Bus; readonly clock: Clock; readonly hostId: string };

/** A call that may begin; `end` when it has ended, however it did. */
export type Passage = { end(): void };

const PREFIX = 'pace.';
const MINUTE_MS = 60_000;
const BURST_MS = MINUTE_MS / 6;
/** Without word from the provider, doubled with each refusal that follows upon the last. */
const HOLD_MS = 1_000;
const HOLD_MAX_MS = 60_000;
/** Between two looks at slots that are all taken: their hosts may have died without a word. */
const LOOK_MS = 2_000;

type Kind = 'hold' | 'slots' | 'calls' | 'tokens';
type Hold = { readonly until: number; readonly ms: number };
/** Calls under way, by host. */
type Slots = Readonly<Record<string, number>>;

const keyOf = (kind: Kind, model: string): string => `${PREFIX}${kind}.${Buffer.from(model).toString('base64url')}`;

export class Pace {
  readonly #options: PaceOptions;
  /** The newest value of each key, as far as it has come here. */
  readonly #seen = new Map<string, string | undefined>();
  readonly #waiting = new Set<() => void>();
  #watch: { stop(): void } | undefined;

  constructor(options: PaceOptions) {
    this.#options = options;
  }

  /**
   * Resolves when a call of the model may begin. `tokens`: the most that it can use. Rejects when `signal` is aborted: EFFECT_STOPPED,
   * nothing was sent.
   */
  async pass(model: string, limit: RateLimit, tokens: number, signal: AbortSignal): Promise<Passage> {
    this.#watch ??= this.#options.bus.watchStore(PREFIX, ({ key, value }) => this.#sees(key, value));
    await this.#unheld(model, signal);
    if (limit.rpm !== undefined) await this.#cell(keyOf('calls', model), MINUTE_MS / limit.rpm, signal);
    if (limit.tpm !== undefined) await this.#cell(keyOf('tokens', model), (MINUTE_MS / limit.tpm) * tokens, signal);
    if (limit.maxParallel === undefined) return { end: () => {} };
    await this.#slot(model, limit.maxParallel, signal);
    return {
      end: () => {
        this.#give(model).catch(() => {}); // the bus is away: it is seen as this host's until that is gone
      },
    };
  }

  /** The provider refused for being asked too often: nobody asks for a while. */
  async holdBack(model: string, retryAfterMs: number | undefined): Promise<void> {
    const { bus, clock } = this.#options;
    const key = keyOf('hold', model);
    for (;;) {
      const found = await bus.get(key);
      const before = found && (JSON.parse(found.value) as Hold);
      const now = clock.now();
      // Calls that began together are refused together: that is one refusal.
      if (before && before.until > now && retryAfterMs === undefined) return;
      const again = before && now - before.until < before.ms ? before.ms * 2 : HOLD_MS;
      const ms = retryAfterMs ?? Math.min(again, HOLD_MAX_MS);
      const until = Math.max(before?.until ?? 0, now + ms);
      if (before && until === before.until) return;
      if ((await put(bus, key, JSON.stringify({ until, ms } satisfies Hold), found?.revision ?? 0)) !== undefined) return;
    }
  }

  close(): void {
    this.#watch?.stop();
  }

  #sees(key: string, value: string | undefined): void {
    this.#seen.set(key, value);
    for (const wake of this.#waiting) wake();
  }

  /** R1 */
  async #unheld(model: string, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    for (;;) {
      const held = this.#seen.get(keyOf('hold', model));
      const left = held === undefined ? 0 : (JSON.parse(held) as Hold).until - clock.now();
      if (left <= 0) return;
      await this.#pause(left, signal);
    }
  }

  /** R3: waits for its turn, which it takes at once. */
  async #cell(key: string, costMs: number, signal: AbortSignal): Promise<void> {
    const { bus, clock } = this.#options;
    for (;;) {
      const found = await bus.get(key);
      const now = clock.now();
      // A clock that was far ahead holds nobody up for longer than a minute.
      const due = Math.min(Math.max(found ? Number(found.value) : 0, now), now + MINUTE_MS);
      const turn = due - BURST_MS;
      if ((await put(bus, key, String(due + costMs), found?.revision ?? 0)) === undefined) continue;
      if (turn > now) await this.#pause(turn - now, signal, { whatever: true });
      return;
    }
  }

  /** R2 */
  async #slot(model: string, maxParallel: number, signal: AbortSignal): Promise<void> {
    const { bus, hostId } = this.#options;
    const key = keyOf('slots', model);
    for (;;) {
      const found = await bus.get(key);
      const slots = await this.#living(found ? (JSON.parse(found.value) as Slots) : {}, maxParallel);
      if (taken(slots) >= maxParallel) {
        await this.#pause(LOOK_MS, signal);
        continue;
      }
      const next: Slots = { ...slots, [hostId]: (slots[hostId] ?? 0) + 1 };
      if ((await put(bus, key, JSON.stringify(next), found?.revision ?? 0)) !== undefined) return;
    }
  }

  /** Without those whose host is gone; asked only when it matters. */
  async #living(slots: Slots, maxParallel: number): Promise<Slots> {
    const { bus, hostId } = this.#options;
    if (taken(slots) < maxParallel) return slots;
    const living = await Promise.all(
      Object.entries(slots).map(async ([host, count]) => (host === hostId || (await hostOf(bus, host)) ? ([[host, count]] as const) : [])),
    );
    return Object.fromEntries(living.flat());
  }

  async #give(model: string): Promise<void> {
    const { bus, hostId } = this.#options;
    const key = keyOf('slots', model);
    for (;;) {
      const found = await bus.get(key);
      if (!found) return;
      const { [hostId]: own = 0, ...others } = JSON.parse(found.value) as Slots;
      const next: Slots = own > 1 ? { ...others, [hostId]: own - 1 } : others;
      if ((await put(bus, key, JSON.stringify(next), found.revision)) !== undefined) return;
    }
  }

  /** Until then, or until something changes; `whatever` changes. */
  #pause(ms: number, signal: AbortSignal, { whatever = false } = {}): Promise<void> {
    return new Promise((resolve, reject) => {
      let stop = (): void => {};
      const done = (): void => {
        stop();
        this.#waiting.delete(wake);
        signal.removeEventListener('abort', abort);
      };
      const wake = (): void => {
        done();
        resolve();
      };
      const abort = (): void => {
        done();
        reject(new TroupeError('EFFECT_STOPPED', 'the call was stopped while it waited for its turn'));
      };
      if (signal.aborted) return abort();
      stop = this.#options.clock.after(ms, wake);
      signal.addEventListener('abort', abort, { once: true });
      if (!whatever) this.#waiting.add(wake);
    });
  }
}

const taken = (slots: Slots): number => Object.values(slots).reduce((sum, count) => sum + count, 0);
