/** What an agent is at, in a few words: from its chart's state and its pending effects, so that it says what the code does. */
import { figuresOf, type Desk } from '../actors/budget/desk.ts';
import type { BudgetContext } from '../actors/budget/machine.ts';
import type { Revised } from '../actors/supervisor/revision.ts';
import { describeRoute, type Routing } from '../actors/supervisor/routing.ts';
import { parseAddress, type Address } from '../protocols/ids.ts';
import { formatDollars } from '../protocols/money.ts';
import type { Failure } from '../protocols/failure.ts';
import type { Route } from '../protocols/formats.ts';
import type { ToolRequest } from '../protocols/tool.ts';
import type { State } from '../runtime/fold.ts';
import type { Observed } from '../runtime/host.ts';

export type AgentLine = {
  readonly address: Address;
  /** `searcher find-1`, `supervisor`. */
  readonly who: string;
  /** `thinking`, `acting: search_files, read_file`, `planning, waiting until 2026-11-21T10:45:00Z to try again: ...`. */
  readonly doing: string;
  /** Spent by this agent on this task. */
  readonly spentNanos: bigint;
  /** The agent has ended. */
  readonly ended: boolean;
};

/** States that say only how far a call is. */
const DETAILS = new Set(['working', 'talking', 'reserving', 'calling', 'quiet', 'watching', 'counting', 'turning']);

/** Actors that do nothing that anybody waits for. */
const SILENT = new Set(['budget', 'approver']);

export class Progress {
  readonly #shown = new Map<Address, string>();
  readonly #spent = new Map<Address, bigint>();
  readonly #told = new Map<Address, number>();
  #money: { readonly spent: bigint; readonly limit: bigint } | undefined;

  /** The agent's line, if the step changed it. */
  see({ instance, entry }: Observed): AgentLine | undefined {
    const { address, state } = instance;
    const { role, agent, key } = parseAddress(address);
    if (role === 'budget') this.#money = moneyOf((state.snapshot.context as BudgetContext).desk);
    if (SILENT.has(role)) return undefined;
    const { message } = entry;
    if ((message.type === 'effect.completed' || message.type === 'effect.failed') && message.data.bill) {
      this.#spent.set(address, (this.#spent.get(address) ?? 0n) + BigInt(message.data.bill.spentNanos));
    }
    const doing = doingOf(state);
    const news = [...drawIn(message), ...this.#newsOf(address, state.snapshot.context as Leading)];
    if (doing === 'idle' || (this.#shown.get(address) === doing && news.length === 0)) return undefined;
    this.#shown.set(address, doing);
    // The convener of peers lives where other runs have their supervisor.
    const who = agent === undefined ? instance.definition.chart.name : [agent, ...(key === undefined ? [] : [key])].join(' ');
    return { address, who, doing: [doing, ...news].join(', '), spentNanos: this.#spent.get(address) ?? 0n, ended: state.snapshot.status !== 'active' };
  }

  /** What a supervisor decided of its plan since it was last seen: each decision is said once. */
  #newsOf(address: Address, decided: Leading): string[] {
    const decisions = decisionsOf(decided);
    const told = this.#told.get(address) ?? 0;
    this.#told.set(address, decisions.length);
    return decisions.slice(told);
  }

  /** `$0.0012 of $0.0500`, for the whole run. */
  get spending(): string {
    return this.#money ? `${formatDollars(this.#money.spent)} of ${formatDollars(this.#money.limit)}` : '';
  }
}

/** That a call is paid from the actor's advance, since the account says nothing. */
const drawIn = ({ type, data }: Observed['entry']['message']): string[] =>
  type === 'effect.drawn' ? [`no answer of the budget: draws ${formatDollars(BigInt(data.nanos))} of its advance`] : [];

/** Of a supervisor: the others decide nothing of a plan. */
type Leading = { readonly routing?: Routing; readonly route?: Route; readonly revisions?: readonly Revised[] };

const decisionsOf = ({ routing, route, revisions = [] }: Leading): string[] => [
  ...(routing && route ? [`the task is ${describeRoute(routing, route)}`] : []),
  ...revisions.map(describeRevision),
];

const describeRevision = ({ revision, reason, steps, dropped }: Revised): string => {
  const changes = [
    ...(steps.length > 0 ? [`to do: ${steps.map(({ id }) => id).join(', ')}`] : []),
    ...(dropped.length > 0 ? [`dropped: ${dropped.join(', ')}`] : []),
  ];
  return `revision ${revision} of the plan${reason === '' ? '' : ` (${reason})`}: ${changes.join('; ')}`;
};

const moneyOf = ({ book }: Desk) => {
  const { spentNanos, limitNanos } = figuresOf(book, book.root);
  return { spent: BigInt(spentNanos), limit: BigInt(limitNanos) };
};

const doingOf = ({ snapshot, effects, timers }: State): string => {
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
  const state = inWords(path.find((name) => !DETAILS.has(name)) ?? path.at(-1)!);
  const tools = Object.values(effects)
    .filter(({ src }) => src === 'tool')
    .map(({ input }) => (input as ToolRequest).call.name);
  if (tools.length > 0) return `${state}: ${[...new Set(tools)].join(', ')}`;
  const last = path.at(-1)!;
  const timer = Object.values(timers).find(({ sendId }) => sendId.startsWith(`xstate.after.${TIMERS[last]}.`));
  if (timer === undefined) return state;
  const until = new Date(timer.due).toISOString().replace(/\.\d+Z$/, 'Z');
  return `${state === last ? '' : `${state}, `}${last} until ${until} ${whatFor(last, snapshot.context)}`;
};

/** `handedOver`: handed over. */
const inWords = (state: string): string => state.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

/** States in which nothing is done but waiting, and the delay of the chart that ends each. */
const TIMERS: Readonly<Record<string, string>> = { waiting: 'backoff', closing: 'closing' };

/** A supervisor keeps what went wrong with a call apart from what the run fails for. */
type Troubled = { readonly trouble?: Failure; readonly failure?: Failure };

const whatFor = (state: string, context: unknown): string => {
  if (state === 'closing') return 'at most, for the account to be settled';
  const { trouble, failure } = context as Troubled;
  const why = trouble ?? failure;
  return why === undefined ? 'to try again' : `to try again: ${why.message}`;
};
