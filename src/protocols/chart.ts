/**
 * The words in which a chart speaks to its host. A chart is plain XState; what it may *do* is what can be written down:
 *
 *   invoke / each(...)     start an effect, and stop it when the state is left
 *   after, raise(delay)    arm a timer; cancel disarms it
 *   emit / emitEach(...)   send a message: `{ type, to, ...payload }`
 *   assign                 change the context
 *
 * The runtime refuses any other action when a chart is registered (runtime/chart.ts).
 */
import { enqueueActions, fromPromise, type ActionFunction, type PromiseActorLogic } from 'xstate';

/** What becomes of an action, as far as others notice it: a message, or an effect by the name of its slot. */
export type Performs = { readonly kind: 'send' } | { readonly kind: 'start'; readonly effect: string } | { readonly kind: 'nothing' };

/** Marks an effect's slot, and an action that enqueues nothing but what a host can perform. */
export const DURABLE = Symbol.for('troupe.durable');
const durable = <A extends object>(action: A, performs: Performs): A => Object.assign(action, { [DURABLE]: performs });

/** Of an action as `setup` or a transition holds it. */
export const performs = (action: unknown): Performs => {
  if (typeof action !== 'function') return { kind: 'nothing' };
  const { type, [DURABLE]: marked } = action as { readonly type?: string; readonly [DURABLE]?: Performs };
  return type === 'xstate.emit' ? { kind: 'send' } : (marked ?? { kind: 'nothing' });
};

/** A slot for an effect: the chart names it and types it; only a host can run it. */
export const effect = <Output, Input>(): PromiseActorLogic<Output, Input> =>
  durable(
    fromPromise<Output, Input>(() => {
      throw new Error('an effect is run by a host, never by the chart');
    }),
    { kind: 'nothing' },
  );

/** Fits any chart: XState cannot infer an action's machine from outside of its setup. */
// oxlint-disable-next-line typescript/no-explicit-any
type AnyAction = ActionFunction<any, any, any, any, never, never, never, never, never>;

/** Sends any number of messages. */
export const emitEach = <Args, Message extends { type: string; to: string }>(messages: (args: Args) => readonly Message[]): AnyAction =>
  durable(
    enqueueActions((args) => {
      for (const one of messages(args as Args)) args.enqueue.emit(one as never);
    }),
    { kind: 'send' },
  );

/** Starts any number of effects of one kind, each under an id of its own. */
export const startEach = <Args, Input>(src: string, effects: (args: Args) => readonly { id: string; input: Input }[]): AnyAction =>
  durable(
    enqueueActions((args) => {
      for (const { id, input } of effects(args as Args)) args.enqueue.spawnChild(src as never, { id, input } as never);
    }),
    { kind: 'start', effect: src },
  );
