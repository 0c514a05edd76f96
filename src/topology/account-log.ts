/**
 * The log of an account, cut behind its state: by hand, or by whoever serves a shared account when its log has grown long.
 *
 *   K1  A log is cut only behind a checkpoint that is in it. Whoever dies between the two leaves a log that is longer than it need
 *       be and says the same.
 *   K2  A checkpoint is of all that is in the log before it: where something came in between, it is made anew. Of several that
 *       serve an account one cuts it, and the others see that it was.
 *   K3  Whatever the account said until then has been heard, because nobody will say it again.
 *   K4  A cut that is refused changes nothing, and is tried again after more entries.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { checkpointOf } from '../actors/budget/checkpoint.ts';
import type { Desk } from '../actors/budget/desk.ts';
import type { BudgetContext } from '../actors/budget/machine.ts';
import type { Bus } from '../bus/port.ts';
import { decode, versionOf } from '../protocols/catalogue.ts';
import { TroupeError } from '../protocols/failure.ts';
import { address, runOf, type Address } from '../protocols/ids.ts';
import { BEGINNING, type Chain } from '../protocols/ledger.ts';
import type { Definition } from '../runtime/fold.ts';
import type { Host, Observed } from '../runtime/host.ts';
import { Instance } from '../runtime/instance.ts';

/** The books of an account that was folded. */
export const deskOf = ({ state }: Instance): Desk => (state.snapshot.context as BudgetContext).desk;

/** An account, what it was begun with, and who speaks for it. */
export type AccountLog = { readonly at: Address; readonly definition: Definition; readonly from: Address };

/** The line of the ledger behind which it goes on, and how many entries of the log are gone. */
export type AccountCut = { readonly after: Chain; readonly entries: number };

/** Others may write between reading the log and appending to it. */
const CUT_TRIES = 200;

/**
 * Puts the account's whole state into its log and removes everything before it. `known`: the account as it was when all that it
 * had said was heard; then a log that somebody else cuts meanwhile is left as it is, and the result is `undefined`.
 * Errors: BUS_CONFLICT (others kept writing), BUS_ENTRY_TOO_LARGE (the state does not fit an entry).
 */
export const cutLog = async (bus: Bus, { at, definition, from }: AccountLog, known?: Instance): Promise<AccountCut | undefined> => {
  let instance = known;
  let last = known?.state.position ?? 0;
  let entries = 0;
  for (let tries = 1; ; tries++) {
    const saying: Promise<unknown>[] = [];
    for await (const { position, at: time, envelope } of bus.read(at, last)) {
      entries++;
      last = position;
      const decoded = decode(envelope);
      if (!decoded.ok) continue;
      if (known && decoded.message.type === 'budget.checkpoint') return undefined;
      instance ??= Instance.begin(at, definition, time)[0];
      for (const output of instance.apply({ position, at: time, id: envelope.id, from: envelope.from, message: decoded.message })) {
        if (output.kind !== 'send') continue;
        const { id, to, type, data } = output;
        saying.push(bus.append(to, { id, type, v: versionOf(type), from: at, causation: envelope.id, correlation: runOf(at), time, data }));
      }
    }
    await Promise.all(saying);
    if (!instance) return { after: BEGINNING, entries };
    const data = checkpointOf(deskOf(instance), last);
    try {
      const envelope = { id: `${at}/checkpoint/${last}`, type: 'budget.checkpoint', v: versionOf('budget.checkpoint'), from, correlation: runOf(at) };
      const checkpoint = await bus.append(at, { ...envelope, time: Date.now(), data }, { expect: last, makesRoom: true });
      await bus.cut(at, checkpoint);
      return { after: data.ledger, entries };
    } catch (thrown) {
      if (tries === CUT_TRIES || !(thrown instanceof TroupeError && thrown.code === 'BUS_CONFLICT')) throw thrown;
    }
  }
};

export type KeeperOptions = {
  readonly bus: Bus;
  readonly host: Host;
  readonly at: Address;
  readonly definition: Definition;
  /** So many entries the log may hold. */
  readonly cutAfter: number;
};

/** Cuts the log of an account that its host serves, by what it sees of it. */
export class AccountKeeper {
  readonly #options: KeeperOptions;
  #entries = 0;
  #cutAt: number;
  #cutting = false;

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#cutAt = options.cutAfter;
  }

  get definition(): Definition {
    return this.#options.definition;
  }

  see({ instance, entry: { message }, replayed }: Observed): void {
    if (instance.address !== this.#options.at) return;
    this.#entries++;
    // One that history has may not have been cut behind: its host was killed (K1).
    if (!replayed && message.type === 'budget.checkpoint') {
      this.#entries = 1;
      this.#cutAt = this.#options.cutAfter;
    }
    if (!replayed) this.mayCut();
  }

  /** For a log that has become too long before it was served here. */
  mayCut(): void {
    if (this.#cutting || this.#entries <= this.#cutAt) return;
    this.#cutting = true;
    void this.#cut().finally(() => (this.#cutting = false));
  }

  async #cut(): Promise<void> {
    const { bus, host, at, definition, cutAfter } = this.#options;
    await nextTurn(); // what follows from this entry is said first
    const served = host.instance(at);
    if (!served) return;
    const copy = Instance.thaw(at, definition, served.freeze());
    try {
      if (!copy || !(await host.said(runOf(at)))) return; // K3
      await cutLog(bus, { at, definition, from: address(runOf(at), 'client') }, copy);
    } catch (thrown) {
      if (!(thrown instanceof TroupeError)) throw thrown;
      this.#cutAt = this.#entries + Math.ceil(cutAfter / 10); // K4
    }
  }
}
