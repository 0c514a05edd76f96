/** `troupe cancel`: tells a run to end, and waits a little for it to do so. */
import { TroupeError } from '../protocols/failure.ts';
import { unhostedParts } from '../topology/processes.ts';
import { cancelRun } from '../topology/remote.ts';
import { watchRun } from '../topology/watch-run.ts';
import { EXIT, printJson, say } from './exit.ts';
import { busArgument } from './next-command.ts';
import { listParts } from './parts.ts';
import { withBus } from './with-bus.ts';

export type CancelOptions = { readonly bus: string; readonly why: string; readonly json: boolean };

const WAIT_MS = 10_000;

/** Errors: RUN_UNKNOWN, CANCEL_PENDING (it was told, and has not ended). */
export const cancel = (id: string, { bus: address, why, json }: CancelOptions): Promise<number> =>
  withBus(address, async (bus) => {
    const watch = await watchRun(bus, id);
    try {
      await watch.caughtUp;
      const before = watch.end();
      if (!before) await cancelRun(bus, watch.run, why);
      const missing = before ? [] : await unhostedParts(bus, watch.run, watch.record, Date.now());
      const late = missing.length > 0 ? Promise.resolve(undefined) : new Promise<undefined>((resolve) => setTimeout(resolve, WAIT_MS, undefined).unref());
      const ended = before ?? (await Promise.race([watch.result, late]));
      if (!ended) throw pending(id, missing, address);
      if (json) printJson({ run: id, status: ended.status, ...(ended.failure && { failure: ended.failure.code }), cancelled: !before });
      else say(before ? `${id} has ended already: it ${ended.status}` : `${id} has ended: ${ended.failure?.message ?? ended.status}`);
      return EXIT.done;
    } finally {
      watch.stop();
    }
  });

const pending = (run: string, missing: readonly string[], bus: string): TroupeError => {
  const resume = `troupe resume ${run}${busArgument(bus)}`;
  const why =
    missing.length === 0
      ? `has not ended within ${WAIT_MS / 1_000} s: look at troupe tail ${run}${busArgument(bus)}`
      : missing.includes('whole')
        ? `ends when somebody hosts it, which nobody does: ${resume}`
        : `ends when somebody plays ${listParts(missing)}, which nobody does: ${resume}`;
  return new TroupeError('CANCEL_PENDING', `${run} has been told to end, and ${why}`, { retryable: true });
};
