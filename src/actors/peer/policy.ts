/** How a peer goes on, whatever the protocol: what it says, whom it waits for, and how it comes to an end. Pure. */
import { failure, type Failure } from '../../protocols/failure.ts';
import type { Parsed, Report } from '../../protocols/formats.ts';
import { address, type Address } from '../../protocols/ids.ts';
import type { StepOutcome } from '../../protocols/lifecycle.ts';
import type { Sent } from '../../protocols/message.ts';
import type { ModelReply } from '../../protocols/model.ts';
import type { PeerConcluded } from '../../protocols/peer.ts';
import type { TaskAssign, TaskCancel } from '../../protocols/task.ts';
import { contractNet } from './contract-net.ts';
import { debate } from './debate.ts';
import { gossip } from './gossip.ts';
import { refine } from './refine.ts';
import { heard, meOf, peerAddress, type Conclusion, type Move, type Say, type Statement, type Table } from './table.ts';

export type Outgoing = ({ readonly to: Address } & Statement) | Sent<typeof TaskAssign> | Sent<typeof TaskCancel> | Sent<typeof PeerConcluded>;

/** A move that takes time, or is the last one. */
export type Pending = Exclude<Move, { kind: 'say' | 'close' }>;

/** The table after everything that could be said at once, what was said, and what comes now. */
export type Turn = { readonly table: Table; readonly outbox: readonly Outgoing[]; readonly move: Pending };

const nextMove = (table: Table): Move => {
  const { rules } = table;
  switch (rules.protocol) {
    case 'contract_net':
      return contractNet.next(table, rules);
    case 'debate':
      return debate.next(table, rules);
    case 'refine':
      return refine.next(table, rules);
    case 'gossip':
      return gossip.next(table, rules);
  }
};

/** What a reply gives to say; not, if it is not what was asked for. */
export const answered = (table: Table, phase: string, reply: ModelReply): Parsed<Say> => {
  switch (table.rules.protocol) {
    case 'contract_net':
      return contractNet.answered(table, phase, reply);
    case 'debate':
      return debate.answered(table, phase, reply);
    case 'refine':
      return refine.answered(table, phase, reply);
    case 'gossip':
      return gossip.answered(table, phase, reply);
  }
};

export const worked = (table: Table, phase: string, report: Report): Say => {
  const { rules } = table;
  switch (rules.protocol) {
    case 'contract_net':
      return contractNet.worked(table, phase, report, rules);
    case 'debate':
      return debate.worked(table, phase, report, rules);
    case 'refine':
      return refine.worked(table, phase, report, rules);
    case 'gossip':
      return gossip.worked(table, phase, report, rules);
  }
};

/** What a peer says is in its own minutes too. */
export const say = (table: Table, { to, statement }: Say): { readonly table: Table; readonly outbox: readonly Outgoing[] } => ({
  table: { ...table, ...heard(table, { ...statement, by: meOf(table) }) },
  outbox: to.map((name) => ({ ...statement, to: peerAddress(table.run, name) })),
});

/** That nothing comes from it in this phase, to everybody: also those who wait for nothing are told why there is less. */
export const pass = (table: Table, phase: string, why: Failure): ReturnType<typeof say> =>
  say(table, { kind: 'say', to: table.peers.filter((name) => name !== meOf(table)), statement: { type: 'peer.passed', phase, failure: why } });

export const takeTurn = (before: Table): Turn => {
  let table = before;
  const outbox: Outgoing[] = [];
  for (let move = nextMove(table); ; move = nextMove(table)) {
    if (move.kind === 'say') {
      const done = say(table, move);
      table = done.table;
      outbox.push(...done.outbox);
    } else if (move.kind === 'close') {
      table = { ...table, closed: [...table.closed, move.phase] };
    } else {
      if (move.kind === 'work') outbox.push(assignment(table, move));
      if (move.kind === 'conclude') outbox.push(conclusion(table, move.conclusion));
      return { table, outbox, move };
    }
  }
};

const assignment = (table: Table, { task }: Extract<Move, { kind: 'work' }>): Outgoing => ({
  type: 'task.assign',
  to: workerOf(table, task.step),
  attempt: 1,
  goal: table.goal,
  ...task,
});

/** The worker that this peer is, at one task. */
export const workerOf = (table: Table, step: string): Address => address(table.run, 'worker', meOf(table), `peer-${step}`);

const conclusion = (table: Table, said: Conclusion): Outgoing => ({ type: 'peer.concluded', to: table.convener, ...said, peers: outcomes(table) });

const outcomes = (table: Table): StepOutcome[] =>
  table.peers.map((agent) => {
    const own = table.minutes.filter(({ by }) => by === agent);
    const last = own.at(-1);
    const shared = { step: table.rules.protocol, agent };
    if (last === undefined || table.silent.includes(agent)) return { ...shared, status: 'silent' };
    const why = last.type === 'peer.passed' ? last.failure : undefined;
    return { ...shared, status: why ? 'failed' : 'completed', ...(why && { failure: why }) };
  });

/** Whoever was waited for in vain is silent until it is heard again. */
export const giveUp = (table: Table, move: Extract<Move, { kind: 'wait' }>): Pick<Table, 'closed' | 'silent'> => ({
  closed: [...table.closed, move.phase],
  silent: [...new Set([...table.silent, ...move.for])],
});

/** Whether what was heard changes what this peer waits for. */
export const goesOn = (table: Table, move: Extract<Move, { kind: 'wait' }>): boolean => {
  const next = nextMove(table);
  return next.kind !== 'wait' || next.phase !== move.phase;
};

export const tooSlow = (table: Table, step: string): Failure =>
  failure('TASK_TIMEOUT', `${meOf(table)} took longer than ${table.patienceMs} ms for ${step}; raise topology.reply_timeout_s`);
