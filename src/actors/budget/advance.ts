/**
 * Advances, as an account keeps them: money that an actor holds for calls which it may make while nobody answers it
 * (runtime/advance.ts). The account learns of a call that was paid from one by its bill, or by the list that comes with the
 * advance's release, whichever is there first.
 *
 *   A1  A call that was paid from an advance moves money from its hold to one of the call's own, once: what is held and spent
 *       together is the same before and after.
 *   A2  Nobody waits for an advance, and an advance waits for nobody: it is granted at once, of money alone, or not at all.
 *   A3  Silence never frees an advance: calls may have been paid from it.
 */
import type { PayloadOf } from '../../protocols/catalogue.ts';
import { get, put } from './by-id.ts';
import { endingOf, remember, type Book } from './book.ts';
import { minus, NOTHING } from './tree.ts';

type Drawn = NonNullable<PayloadOf<'budget.release'>['drawn']>[number];

/** A1: the call has a hold of its own, in whatever state the advance is in. What it lacks is above the bound that was held. */
export const split = (current: Book, advance: string, { grant, nanos }: Drawn, now: number): Book => {
  const whole = get(current.holds, advance);
  if (!whole) return endingOf(current, advance) === 'billed' ? remember(current, grant, 'billed') : current; // what was charged for it stands
  if (!whole.drawn || whole.drawn.includes(grant) || get(current.holds, grant) || endingOf(current, grant) === 'billed') return current;
  const wanted = BigInt(nanos);
  const money = wanted < whole.amounts.money ? wanted : whole.amounts.money;
  const { drawn, ...rest } = whole;
  const own = { ...rest, amounts: { ...NOTHING, money }, at: now, deadline: Math.max(whole.deadline, now) };
  const left = { ...whole, amounts: minus(whole.amounts, own.amounts), drawn: [...drawn, grant] };
  return { ...current, holds: put(put(current.holds, advance, left), grant, own) };
};

/** The calls that were paid from an advance which is given back, each with a hold of its own unless it is known already. */
export const splitAll = (current: Book, advance: string, drawn: readonly Drawn[], now: number): Book =>
  drawn.filter(({ grant }) => endingOf(current, grant) === undefined).reduce((next, one) => split(next, advance, one, now), current);
