/**
 * What a peer knows and what it may do next, under whichever protocol. Everything that was said is kept in the minutes, and each
 * protocol reads off them what comes next: it has no state of its own, so what is said twice or late changes nothing that it
 * should not.
 */
import type { PayloadOf } from '../../protocols/catalogue.ts';
import type { Failure } from '../../protocols/failure.ts';
import type { Parsed, Report } from '../../protocols/formats.ts';
import { address, parseAddress, type Address, type RunId } from '../../protocols/ids.ts';
import type { AgentProfile } from '../../protocols/agent.ts';
import type { ChatMessage, ModelReply } from '../../protocols/model.ts';
import type { PeerProtocol, PeerRules } from '../../protocols/peer.ts';
import type { Finding } from '../../protocols/task.ts';

/** What peers say to each other. */
export const STATEMENTS = [
  'peer.passed',
  'contract.call',
  'contract.bid',
  'contract.award',
  'contract.reject',
  'contract.delivered',
  'debate.position',
  'debate.critique',
  'debate.vote',
  'document.edit',
  'document.accept',
  'gossip.facts',
] as const;
type StatementType = (typeof STATEMENTS)[number];

export type Statement = { [T in StatementType]: { readonly type: T } & PayloadOf<T> }[StatementType];
/** A statement, and who made it. */
export type Minute<T extends StatementType = StatementType> = Extract<Statement, { type: T }> & { readonly by: string };

export type PeerInput = {
  readonly run: RunId;
  readonly profile: AgentProfile;
  /** Everybody at the table, this peer included, in the order of the file: who comes first has its way where a rule needs one. */
  readonly peers: readonly string[];
  readonly rules: PeerRules;
  /** How long the others are waited for. */
  readonly patienceMs: number;
  readonly convener: Address;
};

export type Table = PeerInput & {
  readonly goal: string;
  readonly minutes: readonly Minute[];
  /** Phases that nobody waits for any more. */
  readonly closed: readonly string[];
  /** Peers that were waited for in vain and have not been heard since. */
  readonly silent: readonly string[];
};

export type Conclusion = Omit<PayloadOf<'peer.concluded'>, 'peers'>;

/** What a peer does next. */
export type Move =
  /** Its model answers in a format. */
  | { readonly kind: 'ask'; readonly phase: string; readonly format: 'bid' | 'critique' | 'ballot' | 'edit'; readonly messages: readonly ChatMessage[] }
  /** It works as the worker that it is, with its tools. */
  | { readonly kind: 'work'; readonly phase: string; readonly task: Work }
  | Say
  /** Nobody is waited for in this phase any more. */
  | { readonly kind: 'close'; readonly phase: string }
  | { readonly kind: 'wait'; readonly phase: string; readonly for: readonly string[]; readonly ms: number }
  | { readonly kind: 'conclude'; readonly conclusion: Conclusion };

/** To nobody: for its own minutes. */
export type Say = { readonly kind: 'say'; readonly to: readonly string[]; readonly statement: Statement };

export type Work = {
  /** Names the task among those of this peer. */
  readonly step: string;
  readonly instructions: string;
  readonly findings: Finding[];
  readonly feedback?: { readonly previous: string; readonly reasons: string[] };
};

/** The rules of one protocol. */
export type RulesOf<P extends PeerProtocol> = Extract<PeerRules, { protocol: P }>;

/** What a protocol is made of. */
export type Protocol<P extends PeerProtocol> = {
  readonly next: (table: Table, rules: RulesOf<P>) => Move;
  /** What its model's answer in a phase gives to say. */
  readonly answered: (table: Table, phase: string, reply: ModelReply) => Parsed<Say>;
  /** What its work in a phase gives to say. */
  readonly worked: (table: Table, phase: string, report: Report, rules: RulesOf<P>) => Say;
};

const same = (one: Minute, other: Minute): boolean => JSON.stringify(one) === JSON.stringify(other);

/** What `by` said is known from now on. Who is heard is not silent. */
export const heard = (table: Table, minute: Minute): Pick<Table, 'minutes' | 'silent'> => ({
  minutes: table.minutes.some((known) => same(known, minute)) ? table.minutes : [...table.minutes, minute],
  silent: table.silent.filter((name) => name !== minute.by),
});

/** Who sends from an address; `undefined`: nobody at this table. */
export const speakerAt = (table: Pick<Table, 'peers' | 'run'>, from: Address): string | undefined => {
  const { run, role, agent } = parseAddress(from);
  return run === table.run && role === 'peer' && agent !== undefined && table.peers.includes(agent) ? agent : undefined;
};

export const peerAddress = (run: RunId, name: string): Address => address(run, 'peer', name);

export const meOf = ({ profile }: Pick<PeerInput, 'profile'>): string => profile.name;

export const othersOf = (table: Pick<PeerInput, 'peers' | 'profile'>): string[] => table.peers.filter((name) => name !== meOf(table));

export const said = <T extends StatementType>(table: Pick<Table, 'minutes'>, type: T): Minute<T>[] =>
  table.minutes.filter((minute): minute is Minute<T> => minute.type === type);

export const passed = (table: Pick<Table, 'minutes'>, phase: string, by: string): Failure | undefined =>
  said(table, 'peer.passed').find((minute) => minute.phase === phase && minute.by === by)?.failure;

/** Goes on once `names` have spoken in the phase, passed, or were waited for in vain; `undefined`: go on. */
export const gather = (table: Table, phase: string, names: readonly string[], spoke: (name: string) => boolean): Move | undefined => {
  if (table.closed.includes(phase)) return undefined;
  const missing = names.filter((name) => !table.silent.includes(name) && !spoke(name) && passed(table, phase, name) === undefined);
  return missing.length === 0 ? { kind: 'close', phase } : { kind: 'wait', phase, for: missing, ms: table.patienceMs };
};

export const sayToAll = (table: Table, statement: Statement): Say => ({ kind: 'say', to: othersOf(table), statement });

/** What they came to nothing for: a phase that failed says more of it than silence does, unless there is an answer all the same. */
export const causeOf = (table: Table, why: Failure, answer?: Report): Failure => {
  const failures = said(table, 'peer.passed').map((minute) => minute.failure);
  return failures.find(({ code }) => code.startsWith('BUDGET_')) ?? (answer === undefined ? failures[0] : undefined) ?? why;
};

/** They came to nothing, or not to what the rules ask: why, and what there is. */
export const noConclusion = (table: Table, why: Failure, answer?: Report): Move => ({
  kind: 'conclude',
  conclusion: { ...(answer && { answer: answer.text }), citations: answer?.citations ?? [], failure: causeOf(table, why, answer) },
});

export const count = (number: number, thing: string): string => `${number} ${thing}${number === 1 ? '' : 's'}`;
