/**
 * How the world is reached. A runner stands behind each effect that charts name; the host calls it and writes what it gives
 * into the actor's log. Only topology/workshop.ts knows which runners there are.
 */
import type { Quote } from '../protocols/budget.ts';
import type { Failure } from '../protocols/failure.ts';
import type { Grant } from '../protocols/grant.ts';
import type { Address } from '../protocols/ids.ts';
import type { PayloadOf } from '../protocols/catalogue.ts';

type Bill = NonNullable<PayloadOf<'effect.completed'>['bill']>;

export type EffectContext = {
  readonly address: Address;
  /** Aborted when the effect is stopped; what was spent until then must still be in the result. */
  readonly signal: AbortSignal;
};

export type EffectResult =
  | { readonly ok: true; readonly output: unknown; readonly bill?: Bill }
  | { readonly ok: false; readonly failure: Failure; readonly bill?: Bill; /** The call was never made: its grant goes back. */ readonly unused?: true };

/** What stands behind an effect. */
export type Runner = {
  /**
   * The upper bound of what this one may cost; `undefined`: nothing. Whatever may cost something needs a grant before it runs and
   * a bill in its result. Pure; may throw a `TroupeError`.
   */
  readonly quote?: (input: never, address: Address) => Quote | undefined;
  /** Whether this one only looks at the world: it need not wait until what led to it is durable. */
  readonly readOnly?: (input: never, address: Address) => boolean;
  /** `grant` is there when `quote` gave something. Whatever it throws becomes a failure of the effect. */
  readonly run: (input: never, context: EffectContext, grant: Grant | undefined) => Promise<EffectResult>;
};

export type Runners = Readonly<Record<string, Runner>>;
