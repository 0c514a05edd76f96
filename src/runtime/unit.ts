/**
 * A unit: the actors that a host hosts together, and what it keeps of them. A unit is the prefix of their addresses, a run as a
 * rule; an address is one too, of its own actor.
 */
import type { Entry, Following, LogPattern } from '../bus/port.ts';
import type { Address } from '../protocols/ids.ts';
import type { FoldEntry, Output } from './fold.ts';
import type { Instance, Retired } from './instance.ts';
import type { Lease } from './lease.ts';

/** A message that history gave. */
export type Unheard = { readonly from: Address; readonly cause: FoldEntry | undefined; readonly output: Output & { kind: 'send' } };

export type Unit = {
  readonly prefix: string;
  /** Of adoption. */
  readonly order: number;
  /** A host that slept must not act on what it once had before it knows that it still has it. */
  readonly lease: Lease;
  /** About to be let go: what is under way ends, and nothing else begins. */
  quiet: boolean;
  /** Claims that were written and have not come back. */
  readonly claims: Set<string>;
  /** What came live while history was read; `undefined` once the unit is live. */
  waiting: Entry[] | undefined;
  /** Where the host does not follow everything at once. */
  following: readonly Following[];
  readonly instances: Map<Address, Instance>;
  readonly retired: Map<Address, Retired>;
  readonly timers: Map<string, { readonly cancel: () => void }>;
  /** Calls that are being made, by grant or attempt. */
  readonly running: Map<string, { readonly abort: AbortController; readonly end: Promise<void> }>;
  readonly appends: Set<Promise<void>>;
  /** Entries that an actor hears before its next snapshot. */
  readonly untilSnapshot: Map<Address, number>;
  /** Messages that history gave, by id: said again at the end unless their addressee has them. */
  readonly unheard: Map<string, Unheard>;
};

/** The logs of a unit: those below its prefix, and its own where the prefix is an address. */
export const patternsOf = (prefix: string): readonly LogPattern[] => (prefix.includes('.') ? [prefix, `${prefix}.>`] : [`${prefix}.>`]);

export const newUnit = (prefix: string, order: number, lease: Lease): Unit => ({
  prefix,
  order,
  lease,
  quiet: false,
  claims: new Set(),
  waiting: [],
  unheard: new Map(),
  following: [],
  instances: new Map(),
  retired: new Map(),
  timers: new Map(),
  running: new Map(),
  appends: new Set(),
  untilSnapshot: new Map(),
});

export const retire = (instance: Instance, { instances, retired, untilSnapshot }: Unit): void => {
  const { address } = instance;
  instances.delete(address);
  untilSnapshot.delete(address);
  retired.set(address, instance.retire());
};

/** Whoever appended a checkpoint made sure that everything said before it was heard. */
export const forgetUnheard = ({ unheard }: Unit, from: Address): void => {
  for (const [id, said] of unheard) if (said.from === from) unheard.delete(id);
};

/** Nothing more is heard, timed or called for the unit. */
export const halt = ({ following, timers, running }: Unit): void => {
  for (const one of following) one.stop();
  for (const { cancel } of timers.values()) cancel();
  timers.clear();
  for (const { abort } of running.values()) abort.abort();
};

export const settled = async ({ running, appends }: Unit): Promise<void> => {
  while (running.size + appends.size > 0) await Promise.all([...[...running.values()].map(({ end }) => end), ...appends]);
};
