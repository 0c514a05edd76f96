/**
 * Peers at a table without charts: each takes its turns by the rules, and a scheduler that draws from a seed says whose message
 * comes next, how often, and whose patience ends. Whoever is dead says nothing; whoever is cut off hears nothing.
 */
import { giveUp, pass, say, takeTurn, worked, answered, type Outgoing, type Pending } from '../../../../src/actors/peer/policy.ts';
import { heard, speakerAt, type Conclusion, type Minute, type PeerInput, type Statement, type Table } from '../../../../src/actors/peer/table.ts';
import { failure } from '../../../../src/protocols/failure.ts';
import { address, parseAddress, type RunId } from '../../../../src/protocols/ids.ts';
import type { PeerRules } from '../../../../src/protocols/peer.ts';
import { seeded } from '../../../support/simulation.ts';

const run = 'r-table' as RunId;

export const inputOf = (name: string, peers: readonly string[], rules: PeerRules): PeerInput => ({
  run,
  profile: {
    name,
    role: 'a peer',
    goal: '',
    backstory: '',
    model: 'p/m',
    tools: [],
    limits: { turns: 3, maxTokens: 100, attempts: 2, timeoutMs: 60_000 },
  },
  peers,
  rules,
  patienceMs: 1_000,
  convener: address(run, 'supervisor'),
});

export const tableOf = (name: string, peers: readonly string[], rules: PeerRules, minutes: readonly Minute[] = []): Table => ({
  ...inputOf(name, peers, rules),
  goal: 'What is so?',
  minutes,
  closed: [],
  silent: [],
});

/** What a peer's model and its work come to. */
export type Mind = {
  readonly answer: (name: string, move: Extract<Pending, { kind: 'ask' }>, table: Table) => unknown;
  /** `undefined`: the work fails. */
  readonly work: (name: string, step: string, table: Table) => string | undefined;
};

export type Talk = {
  readonly conclusions: Readonly<Record<string, Conclusion>>;
  readonly calls: number;
  readonly patienceEnded: number;
  readonly tables: Readonly<Record<string, Table>>;
};

export type Mishaps = {
  /** Peers that die after so many moves of their own; 0: they never say anything. */
  readonly deaths?: Readonly<Record<string, number>>;
  /** The chance that a message is lost, or comes twice. */
  readonly lost?: number;
  readonly doubled?: number;
  /** The chance that a patience ends although a message is under way. */
  readonly haste?: number;
  /** Everybody is dismissed once somebody has an answer, as a convener does. */
  readonly dismissed?: boolean;
};

const MOVES_MAX = 3_000;

/** Lets them talk until everybody who lives has concluded. Throws when they do not come to an end. */
export const talk = (seed: number, peers: readonly string[], rules: PeerRules, mind: Mind, mishaps: Mishaps = {}): Talk => {
  const { deaths = {}, lost = 0, doubled = 0, haste = 0, dismissed = false } = mishaps;
  const random = seeded(seed);
  const tables = new Map<string, Table>(peers.map((name) => [name, tableOf(name, peers, rules)]));
  const moves = new Map<string, Pending>();
  const left = new Map(peers.map((name) => [name, deaths[name] ?? Number.POSITIVE_INFINITY]));
  const mail: { readonly to: string; readonly from: string; readonly said: Statement }[] = [];
  const conclusions: Record<string, Conclusion> = {};
  /** When the patience of each ends. */
  const due = new Map<string, { readonly phase: string; readonly at: number }>();
  let now = 0;
  let calls = 0;
  let patienceEnded = 0;

  const lives = (name: string) => left.get(name)! > 0;
  const send = (from: string, outbox: readonly Outgoing[]): void => {
    for (const { to, ...message } of outbox) {
      if (message.type === 'peer.concluded') {
        const { type: _, peers: __, ...conclusion } = message;
        conclusions[from] = conclusion;
      }
      if (parseAddress(to).role === 'peer') {
        const times = random() < lost ? 0 : random() < doubled ? 2 : 1;
        for (let time = 0; time < times; time++) mail.push({ from, to: parseAddress(to).agent!, said: message as Statement });
      }
    }
  };
  const turn = (name: string): void => {
    const done = takeTurn(tables.get(name)!);
    tables.set(name, done.table);
    send(name, done.outbox);
    moves.set(name, done.move);
    const { move } = done;
    if (move.kind === 'wait' && due.get(name)?.phase !== move.phase) due.set(name, { phase: move.phase, at: now + move.ms });
  };
  const act = (name: string): void => {
    left.set(name, left.get(name)! - 1);
    if (!lives(name)) return;
    const table = tables.get(name)!;
    const move = moves.get(name)!;
    const spoken = resultOf(name, move, table);
    tables.set(name, spoken.table);
    send(name, spoken.outbox);
    turn(name);
  };
  const resultOf = (name: string, move: Pending, table: Table) => {
    calls++;
    if (move.kind === 'work') {
      const text = mind.work(name, move.task.step, table);
      return text === undefined
        ? pass(table, move.phase, failure('MODEL_REFUSED', 'it does not work'))
        : say(table, worked(table, move.phase, { text, citations: [] }));
    }
    if (move.kind !== 'ask') throw new Error(`${name} has nothing to do: ${move.kind}`);
    const reply = {
      text: JSON.stringify(mind.answer(name, move, table)),
      toolCalls: [],
      finish: 'stop' as const,
      usage: { inputTokens: 1, outputTokens: 1, cachedInputTokens: 0, reasoningTokens: 0 },
      model: 'm',
    };
    const parsed = answered(table, move.phase, reply);
    return parsed.ok ? say(table, parsed.value) : pass(table, move.phase, failure('MODEL_BAD_REPLY', parsed.problem));
  };
  const isAtWork = (name: string) => ['ask', 'work'].includes(moves.get(name)!.kind);

  for (const name of peers) if (lives(name)) turn(name);
  for (let move = 0; ; move++) {
    if (move >= MOVES_MAX) throw new Error(`no end after ${MOVES_MAX} moves: ${JSON.stringify([...moves])}`);
    const busy = peers.filter((name) => lives(name) && moves.get(name)!.kind !== 'conclude');
    const isOver = dismissed && Object.values(conclusions).some(({ failure: why }) => why === undefined);
    if (busy.length === 0 || isOver) return { conclusions, calls, patienceEnded, tables: Object.fromEntries(tables) };
    const workers = busy.filter(isAtWork);
    const waiting = busy.filter((name) => moves.get(name)!.kind === 'wait');
    const choices = workers.length + mail.length;
    if (choices === 0 || (waiting.length > 0 && random() < haste)) {
      const [first] = waiting.toSorted((a, b) => due.get(a)!.at - due.get(b)!.at);
      now = due.get(first!)!.at;
      patienceEnded++;
      const pending = moves.get(first!)! as Extract<Pending, { kind: 'wait' }>;
      tables.set(first!, { ...tables.get(first!)!, ...giveUp(tables.get(first!)!, pending) });
      turn(first!);
      continue;
    }
    const chosen = Math.floor(random() * choices);
    if (chosen < workers.length) {
      act(workers[chosen]!);
      continue;
    }
    const [{ to, from, said }] = mail.splice(chosen - workers.length, 1) as [(typeof mail)[number]];
    if (!lives(to)) continue;
    const table = tables.get(to)!;
    tables.set(to, { ...table, ...heard(table, { ...said, by: speakerAt(table, address(run, 'peer', from))! }) });
    if (moves.get(to)!.kind === 'wait') turn(to);
  }
};
