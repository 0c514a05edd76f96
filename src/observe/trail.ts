/** What a run made of a chart: the states that its actors are in, those that they were in, and the transitions that they took. */
import type { AnyMachineSnapshot, AnyTransitionDefinition } from 'xstate';
import type { Address } from '../protocols/ids.ts';
import { watchTransitions } from '../runtime/chart.ts';
import type { Observed } from '../runtime/host.ts';

/** States by their id; transitions are those of the machine itself. */
export type Trail = {
  /** Where each actor is. */
  readonly actors: ReadonlyMap<Address, AnyMachineSnapshot>;
  readonly active: ReadonlySet<string>;
  readonly entered: ReadonlySet<string>;
  readonly taken: ReadonlySet<AnyTransitionDefinition>;
};

/** Follows the actors that `isMeant`, while `fold` shows every entry of a run to what it is given. */
export const followTrail = (isMeant: (address: Address) => boolean, fold: (observe: (seen: Observed) => void) => void): Trail => {
  const actors = new Map<Address, AnyMachineSnapshot>();
  const entered = new Set<string>();
  const taken = new Set<AnyTransitionDefinition>();
  // What was taken since the last entry was the doing of the actor that is seen next.
  let since: AnyTransitionDefinition[] = [];
  const stop = watchTransitions((transition) => since.push(transition));
  try {
    fold(({ instance: { address, state } }) => {
      if (isMeant(address)) {
        actors.set(address, state.snapshot);
        for (const transition of since) {
          taken.add(transition);
          entered.add(transition.source.id);
        }
        for (const id of statesOf(state.snapshot)) entered.add(id);
      }
      since = [];
    });
  } finally {
    stop();
  }
  return { actors, active: new Set([...actors.values()].flatMap(statesOf)), entered, taken };
};

const statesOf = ({ _nodes: nodes }: AnyMachineSnapshot): string[] => (nodes as readonly { readonly id: string }[]).map(({ id }) => id);
