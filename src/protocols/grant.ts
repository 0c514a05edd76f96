/**
 * A grant in the hand of whoever is about to spend: the permission for one physical attempt.
 *
 * The only way to make one is from an account's answer in the log: for this attempt, or for the advance that pays it
 * (runtime/advance.ts). It is used up by its first use. So a call without a grant does not compile, and a second call with the
 * same one throws.
 */
import type { PayloadOf } from './catalogue.ts';
import { TroupeError } from './failure.ts';

/** What a grant is made from. `advance`: nobody answered, and this attempt is paid from money that was granted for that before. */
export type Permission = PayloadOf<'budget.granted'> & { readonly advance?: string };

export class Grant {
  readonly id: string;
  /** The grant of the advance that it is paid from, if the account did not answer. */
  readonly advance: string | undefined;
  /** The most output tokens that the call may ask for. */
  readonly maxTokens: number;
  readonly amountNanos: bigint;
  /** Milliseconds since 1970; afterwards the grant is void. */
  readonly deadline: number;
  #used = false;
  readonly #isHeld: () => boolean;

  private constructor(granted: Permission, isHeld: () => boolean) {
    this.#isHeld = isHeld;
    this.id = granted.grant;
    this.advance = granted.advance;
    this.maxTokens = granted.maxTokens;
    this.amountNanos = BigInt(granted.amountNanos);
    this.deadline = granted.deadline;
  }

  /** `isHeld`: whether who holds it is still sure of what it is for. */
  static from(granted: Permission, isHeld: () => boolean = () => true): Grant {
    return new Grant(granted, isHeld);
  }

  /** Takes the permission. Errors: GRANT_USED, GRANT_EXPIRED. */
  use(nowMs: number): void {
    if (this.#used) throw new TroupeError('GRANT_USED', `grant ${this.id} was used before: each attempt needs a grant of its own`);
    if (nowMs >= this.deadline)
      throw new TroupeError('GRANT_EXPIRED', `grant ${this.id} expired ${nowMs - this.deadline} ms ago: ask for another one`, { retryable: true });
    if (!this.#isHeld())
      throw new TroupeError('GRANT_EXPIRED', `grant ${this.id} is in the hand of a host that was silent for too long: ask for another one`, {
        retryable: true,
      });
    this.#used = true;
  }
}
