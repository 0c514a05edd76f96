/**
 * What happened in a run, from the steps of its actors: who said what to whom, what was asked of models and tools, what it cost,
 * and where everybody is now. Fed with a run that is folded again or with one that goes on; team-drawing.ts, plan-drawing.ts and
 * sequence-drawing.ts make pictures of it.
 */
import type { AnyMachineSnapshot } from 'xstate';
import type { PayloadOf } from '../protocols/catalogue.ts';
import type { Failure } from '../protocols/failure.ts';
import { parseAddress, type Address } from '../protocols/ids.ts';
import { ToolRecord } from '../protocols/tool.ts';
import type { Observed } from '../runtime/host.ts';

type Bill = NonNullable<PayloadOf<'effect.completed'>['bill']>;

/** `position`: of the entry that brought it about. */
export type Happening = { readonly position: number } & (
  | { readonly kind: 'said'; readonly from: Address; readonly to: Address; readonly type: string; readonly data: Readonly<Record<string, unknown>> }
  | { readonly kind: 'asked'; readonly who: Address; readonly bill: Bill; readonly failure?: Failure }
  | { readonly kind: 'used'; readonly who: Address; readonly tool: string; readonly ok: boolean; readonly nanos: bigint }
  | { readonly kind: 'ended'; readonly who: Address }
);

export type Said = Extract<Happening, { kind: 'said' }>;

/** An actor as the story left it. */
export type Figure = {
  readonly address: Address;
  /** The chart that it is played by. */
  readonly chart: string;
  /** As the team file names it, where its chart has a profile. */
  readonly name?: string;
  readonly snapshot: AnyMachineSnapshot;
  readonly ended: boolean;
};

export class Story {
  readonly happenings: Happening[] = [];
  readonly figures = new Map<Address, Figure>();
  readonly spent = new Map<Address, bigint>();
  /** What each was last given to do, as whoever gave it calls it. */
  readonly steps = new Map<Address, string>();
  /** Entries that were seen. */
  entries = 0;
  readonly #sent = new Set<string>();

  see({ instance, entry, outputs }: Observed): void {
    this.entries++;
    const { address, state, definition } = instance;
    const { position, id, from, message } = entry;
    // Whoever is not folded here is heard of by what reaches those who are.
    if (from !== address && !this.#sent.has(id)) this.#seeSaid({ kind: 'said', position, from, to: address, ...message });
    if (message.type === 'effect.completed' || message.type === 'effect.failed') this.#seeEffect(address, position, message);
    for (const output of outputs) {
      if (output.kind !== 'send') continue;
      this.#sent.add(output.id);
      this.#seeSaid({ kind: 'said', position, from: address, to: output.to, type: output.type, data: output.data });
    }
    const ended = state.snapshot.status !== 'active';
    if (ended && !this.figures.get(address)?.ended) this.happenings.push({ kind: 'ended', position, who: address });
    const name = nameIn(state.snapshot);
    this.figures.set(address, { address, chart: definition.chart.name, ...(name !== undefined && { name }), snapshot: state.snapshot, ended });
  }

  /** By all of an agent's actors, or by those of one step. */
  spentBy(isWanted: (address: Address) => boolean): bigint {
    return [...this.spent].reduce((sum, [address, nanos]) => (isWanted(address) ? sum + nanos : sum), 0n);
  }

  #seeSaid(said: Said): void {
    this.happenings.push(said);
    const { type, to, data } = said;
    if ((type === 'task.assign' || type === 'review.request') && typeof data['step'] === 'string') this.steps.set(to, data['step']);
  }

  #seeEffect(who: Address, position: number, message: Observed['entry']['message'] & { type: 'effect.completed' | 'effect.failed' }): void {
    const { bill } = message.data;
    const failure = message.type === 'effect.failed' ? message.data.failure : undefined;
    const nanos = BigInt(bill?.spentNanos ?? '0');
    this.spent.set(who, (this.spent.get(who) ?? 0n) + nanos);
    const record = message.type === 'effect.completed' ? ToolRecord.safeParse(message.data.output).data : undefined;
    if (record) this.happenings.push({ kind: 'used', position, who, tool: record.tool, ok: record.ok, nanos });
    else if (bill) this.happenings.push({ kind: 'asked', position, who, bill, ...(failure && { failure }) });
  }
}

const nameIn = ({ context }: AnyMachineSnapshot): string | undefined =>
  (context as { readonly profile?: { readonly name: string } } | undefined)?.profile?.name;

/** Whether an actor was made for an attempt at a step, or for a part of one: its key is the step, the attempt, and then the part. */
export const isFor = (address: Address, step: string): boolean => {
  const { key = '' } = parseAddress(address);
  return key.startsWith(`${step}-`) && /^\d+(-|$)/.test(key.slice(step.length + 1));
};

/** A state in words: `working, executing`. */
export const stateInWords = (value: unknown): string => {
  if (typeof value === 'string') return value;
  return Object.entries(value as Record<string, unknown>)
    .map(([name, inner]) => [name, stateInWords(inner)].filter(Boolean).join(', '))
    .join(' and ');
};
