/** A bus in memory that a test can take away: what is asked of it then fails as on a lost connection, before or after it was done. */
import { openEmbeddedBus } from '../../src/bus/embedded/bus.ts';
import type { Bus } from '../../src/bus/port.ts';
import { TroupeError } from '../../src/protocols/failure.ts';

/** `here`; `away`: nothing arrives; `deaf`: what is asked is done, and the answer is lost; `slow`: the answer waits for `answer`. */
export type Link = 'here' | 'away' | 'deaf' | 'slow';

export class FaultyStore {
  readonly bus: Bus;
  link: Link = 'here';
  /** How often something was asked in vain. */
  failures = 0;
  /** Answers that are held back. */
  readonly #held: (() => void)[] = [];

  constructor(below: Bus = openEmbeddedBus({ path: ':memory:' })) {
    const through = async <T>(act: () => Promise<T>): Promise<T> => {
      if (this.link === 'away') throw this.#lost();
      const done = await act();
      if (this.link === 'deaf') throw this.#lost();
      if (this.link === 'slow') await new Promise<void>((resolve) => this.#held.push(resolve));
      return done;
    };
    const faulty: Pick<Bus, 'get' | 'put' | 'delete' | 'keys'> = {
      get: (key) => through(() => below.get(key)),
      put: (key, value, options) => through(() => below.put(key, value, options)),
      delete: (key, options) => through(() => below.delete(key, options)),
      keys: (prefix) => through(() => below.keys(prefix)),
    };
    this.bus = Object.assign(Object.create(below) as Bus, faulty);
  }

  /** Answers that wait. */
  get held(): number {
    return this.#held.length;
  }

  answer(): void {
    this.link = 'here';
    for (const go of this.#held.splice(0)) go();
  }

  #lost(): TroupeError {
    this.failures++;
    return new TroupeError('BUS_UNAVAILABLE', 'no connection', { retryable: true });
  }
}
