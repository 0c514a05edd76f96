/**
 * Whether a chart can be stuck. A state waits if a chart may rest in it; one in which it rests before anything was asked of it is
 * not waited for. Out of every other state there has to be a way that needs no success: an error, a cancel, or a deadline.
 */
import type { AnyMachineSnapshot, AnyStateNode } from 'xstate';
import { nodesOf, type Chart } from '../../src/runtime/chart.ts';

const CANCELS = new Set(['run.cancel', 'task.cancel', 'peer.dismiss']);
const isWayOut = (event: string): boolean => event.startsWith('xstate.error.') || event.startsWith('xstate.after.') || CANCELS.has(event);

/** Not where it goes on at once, whatever holds. */
const waitsIn = ({ type, always }: AnyStateNode): boolean => type === 'atomic' && !always?.some(({ guard }) => guard === undefined);
const restsOf = (snapshot: AnyMachineSnapshot): AnyStateNode[] => (snapshot['_nodes'] as AnyStateNode[]).filter(waitsIn);

const withParents = (node: AnyStateNode): AnyStateNode[] => [node, ...(node.parent ? withParents(node.parent) : [])];
const firstOf = (node: AnyStateNode): AnyStateNode => {
  const [next] = node.initial?.target ?? [];
  return next ? firstOf(next as AnyStateNode) : node;
};

/** As the chart is written: the states in which it waits and from which no way out is to be seen, on them or around them. */
export const withoutWayOut = ({ machine }: Chart): string[] => {
  const root = machine.root as AnyStateNode;
  const beginning = firstOf(root);
  return [...nodesOf(root)]
    .filter((node) => waitsIn(node) && node !== beginning)
    .filter((node) => {
      const ways = withParents(node).flatMap(({ transitions }) => [...transitions].filter(([event]) => isWayOut(event)).flatMap(([, some]) => some));
      return ways.every(({ target }) => target === undefined);
    })
    .map(({ id }) => id);
};

/** As it is walked: `trapped` gives the states in which it has waited and that no step has left by such a way. */
export const watchWaysOut = (chart: Chart): { readonly chart: Chart; readonly trapped: () => string[] } => {
  const beginnings = new Set<string>();
  const rested = new Set<string>();
  const left = new Set<string>();
  return {
    chart: {
      ...chart,
      initial: (input) => {
        const begun = chart.initial(input);
        for (const { id } of restsOf(begun[0])) beginnings.add(id);
        return begun;
      },
      transition: (snapshot, event) => {
        const done = chart.transition(snapshot, event);
        const now = restsOf(done[0]);
        for (const { id } of now) rested.add(id);
        if (isWayOut(event.type)) for (const node of restsOf(snapshot)) if (!now.includes(node)) left.add(node.id);
        return done;
      },
    },
    trapped: () => [...rested].filter((id) => !beginnings.has(id) && !left.has(id)),
  };
};
