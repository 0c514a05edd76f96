/** What an agent is at, in a few words: from its chart's state and its pending effects, so that it says what the code does. */
import type { BudgetContext } from '../actors/budget/machine.ts';
import { parseAddress, type Address } from '../protocols/ids.ts';
import { formatDollars } from '../protocols/money.ts';
import type { ToolRequest } from '../protocols/tool.ts';
import type { State } from '../runtime/fold.ts';
import type { Observed } from '../runtime/host.ts';

export type AgentLine = {
  readonly address: Address;
  /** `searcher find-1`, `supervisor`. */
  readonly who: string;
  /** `thinking`, `acting: search_files, read_file`. */
  readonly doing: string;
  /** Spent by this agent on this task. */
  readonly spentNanos: bigint;
  /** The agent has ended. */
  readonly ended: boolean;
};

/** States that say only how far a call is. */
const DETAILS = new Set(['working', 'reserving', 'calling', 'quiet', 'watching']);

/** Actors that do nothing that anybody waits for. */
const SILENT = new Set(['budget', 'approver']);

export class Progress {
  readonly #shown = new Map<Address, string>();
  readonly #spent = new Map<Address, bigint>();
  #account: { readonly spent: bigint; readonly limit: bigint } | undefined;

  /** The agent's line, if the step changed it. */
  see({ instance, entry }: Observed): AgentLine | undefined {
    const { address, state } = instance;
    const { role, agent, key } = parseAddress(address);
    if (role === 'budget') this.#account = (state.snapshot.context as BudgetContext).account;
    if (SILENT.has(role)) return undefined;
    const { message } = entry;
    if ((message.type === 'effect.completed' || message.type === 'effect.failed') && message.data.bill) {
      this.#spent.set(address, (this.#spent.get(address) ?? 0n) + BigInt(message.data.bill.spentNanos));
    }
    const doing = doingOf(state);
    if (doing === 'idle' || this.#shown.get(address) === doing) return undefined;
    this.#shown.set(address, doing);
    const who = agent === undefined ? role : [agent, ...(key === undefined ? [] : [key])].join(' ');
    return { address, who, doing, spentNanos: this.#spent.get(address) ?? 0n, ended: state.snapshot.status !== 'active' };
  }

  /** `$0.0012 of $0.0500`, for the whole run. */
  get spending(): string {
    return this.#account ? `${formatDollars(this.#account.spent)} of ${formatDollars(this.#account.limit)}` : '';
  }
}

const doingOf = ({ snapshot, effects }: State): string => {
  const path: string[] = [];
  for (let value: unknown = snapshot.value; value !== undefined;) {
    if (typeof value === 'string') {
      path.push(value);
      break;
    }
    const [name, inner] = Object.entries(value as Record<string, unknown>)[0]!;
    path.push(name);
    value = inner;
  }
  const state = path.find((name) => !DETAILS.has(name)) ?? path.at(-1)!;
  const tools = Object.values(effects)
    .filter(({ src }) => src === 'tool')
    .map(({ input }) => (input as ToolRequest).call.name);
  return tools.length > 0 ? `${state}: ${[...new Set(tools)].join(', ')}` : state;
};
