import { describe, expect, it } from 'vitest';
import type { AnyStateNode } from 'xstate';
import type { PeerContext } from '../../src/actors/peer/machine.ts';
import { STATEMENTS } from '../../src/actors/peer/table.ts';
import { failure } from '../../src/protocols/failure.ts';
import { address, type RunId } from '../../src/protocols/ids.ts';
import type { ModelReply } from '../../src/protocols/model.ts';
import type { PeerRules } from '../../src/protocols/peer.ts';
import { nodesOf } from '../../src/runtime/chart.ts';
import { charts } from '../../src/topology/charts.ts';
import {
  countSent,
  everyPath,
  follow,
  happened,
  hasEnded,
  hears,
  leftAlone,
  NEAR_END_NANOS,
  pathsOf,
  raised,
  sentIn,
  watched,
  wayOf,
  type Happening,
  type Moment,
  type Walk,
} from '../support/chart-walk.ts';

const run = 'r-model' as RunId;
const CONVENER = address(run, 'supervisor');
const ACCOUNT = address(run, 'budget');
const BEN = address(run, 'peer', 'ben');
const STRANGER = address(run, 'peer', 'zoe');
const WORKER = address(run, 'worker', 'anna', 'peer-position-1');
const PATIENCE = 5_000;

const reply = (text: string): ModelReply => ({
  text,
  toolCalls: [],
  finish: 'stop',
  usage: { inputTokens: 1, outputTokens: 1, cachedInputTokens: 0, reasoningTokens: 0 },
  model: 'm',
});

const replies = {
  'an answer': reply('{"objections": [], "choice": "anna", "price": 1, "confidence": 0.5, "accept": true}'),
  prose: reply('Well.'),
};

const rules: PeerRules = { protocol: 'debate', rounds: 1, vote: 'majority', weights: {}, quorum: 0.5, onTie: 'first' };

const contextOf = (moment: Moment): PeerContext => moment.state.snapshot.context as PeerContext;
const stateOf = (moment: Moment): string => JSON.stringify(moment.state.snapshot.value);
const isPaused = (moment: Moment): boolean => moment.state.snapshot.value === 'paused';
const isConvened = (moment: Moment): boolean => happened(moment, 'peer.convene');
const { chart, untaken, trapped } = watched(charts.peer);

const refused = failure('BUDGET_EXHAUSTED', 'no money', { details: { pause: true } });
const paused: Happening = hears('budget.paused', CONVENER, 'budget.paused', { account: run, failure: refused });

const dismissed: Happening = hears('peer.dismiss', CONVENER, 'peer.dismiss', { reason: 'enough' });

const task = { step: 'position-1', attempt: 1 };

const walkOf = (cheaper?: { model: string; fromLeftNanos: string }): Walk => ({
  address: address(run, 'peer', 'anna'),
  definition: {
    chart,
    input: {
      run,
      profile: {
        name: 'anna',
        role: 'a peer',
        goal: '',
        backstory: '',
        model: 'p/m',
        tools: [],
        limits: { turns: 3, maxTokens: 100, attempts: 2, timeoutMs: 60_000 },
        ...(cheaper && { cheaper }),
      },
      peers: ['anna', 'ben'],
      rules,
      patienceMs: PATIENCE,
      convener: CONVENER,
    },
    account: ACCOUNT,
  },
  messages: (moment) => {
    const { isHeld, minutes, move } = contextOf(moment);
    const isNew = (type: string) => !minutes.some((minute) => minute.type === type && minute.by === 'ben');
    const convene = hears('peer.convene', CONVENER, 'peer.convene', { goal: 'why' });
    const work = hears('its work', WORKER, 'task.completed', { ...task, text: 'So.', citations: [], turns: 1 });
    const position = hears('a position', BEN, 'debate.position', { round: 1, text: 'Not so.', citations: [] });
    if (cheaper) return [move === undefined ? convene : isPaused(moment) ? raised(ACCOUNT) : move.kind === 'work' ? work : position];
    const mayChangeMoney = isHeld || isPaused(moment) || !stateOf(moment).includes('calling');
    return [
      convene,
      dismissed,
      ...(mayChangeMoney ? [isHeld || isPaused(moment) ? raised(ACCOUNT) : paused] : []),
      ...(move?.kind === 'work'
        ? [
            work,
            hears('work for something else', WORKER, 'task.completed', { ...task, step: 'position-9', text: 'So.', citations: [], turns: 1 }),
            hears('that its work failed', WORKER, 'task.failed', { ...task, failure: failure('MODEL_REFUSED', 'no') }),
          ]
        : []),
      ...(isNew('debate.position') ? [position] : []),
      ...(isNew('debate.vote') ? [hears('a vote', BEN, 'debate.vote', { choice: 'ben', reason: '' })] : []),
      ...(move === undefined ? [hears('a stranger', STRANGER, 'debate.vote', { choice: 'ben', reason: '' })] : []),
      ...(move && move.kind !== 'conclude' && minutes.length < 3 && isNew('peer.passed')
        ? [hears('that he has nothing to say', BEN, 'peer.passed', { phase: 'vote', failure: failure('MODEL_REFUSED', 'no') })]
        : []),
    ];
  },
  results: () => replies,
  counters: (moment) => {
    const { attempt, repairs, saves, minutes, closed, silent, move, isHeld } = contextOf(moment);
    return [attempt, repairs, saves, minutes.length, closed.length, silent.length, move && [move.kind, move.kind !== 'conclude' && move.phase], isHeld];
  },
});

const walk = walkOf();
const paths = [...pathsOf(walk), ...pathsOf(walkOf({ model: 'p/cheap', fromLeftNanos: `${NEAR_END_NANOS}` }))];

/** A peer that works alone: its work is done, and its model answers as soon as it is asked. */
const goesOnAlone = (moment: Moment): Moment => {
  let now = moment;
  for (let turn = 0; turn < 80 && !hasEnded(now); turn++) {
    const { move, isHeld } = contextOf(now);
    const [effect] = Object.values(now.state.effects);
    if (isHeld || isPaused(now)) now = follow(walk, now, raised(ACCOUNT));
    else if (effect) now = follow(walk, now, effectSteps(effect.phase));
    else if (move?.kind === 'work')
      now = follow(walk, now, hears('its work', WORKER, 'task.completed', { ...task, step: move.task.step, text: 'So.', citations: [], turns: 1 }));
    else {
      const [timer] = Object.values(now.state.timers).sort((a, b) => a.due - b.due);
      if (!timer) throw new Error(`nothing can happen any more: ${stateOf(now)} ${wayOf(now)}`);
      now = follow(walk, now, {
        type: 'time',
        entry: () => ({ from: walk.address, message: { type: 'timer.fired', data: { timer: timer.key } } as never, at: timer.due }),
      });
    }
  }
  return now;
};

const effectSteps = (phase: 'asked' | 'granted' | 'claimed'): Happening => ({
  type: `the call is taken on from ${phase}`,
  entry: ({ state }) => {
    const effect = Object.values(state.effects)[0]!;
    const grant = `${effect.key}#${effect.attempt}`;
    const said = {
      asked: { type: 'budget.granted', data: { grant, amountNanos: '9', maxTokens: 100, deadline: Number.MAX_SAFE_INTEGER, leftNanos: '99' } },
      granted: { type: 'effect.claimed', data: { effect: effect.key, attempt: effect.attempt, host: 'h1' } },
      claimed: { type: 'effect.completed', data: { effect: effect.key, attempt: effect.attempt, output: replies['an answer'] } },
    }[phase];
    return { from: walk.address, message: said as never };
  },
});

describe('the peer on every path', () => {
  it('takes each of its transitions, and all statements alike', () => {
    const ways = Map.groupBy(untaken(), (name) =>
      name.replace(/on '([a-z.]+)'/, (on, type: string) => (STATEMENTS.includes(type as never) ? 'on a statement' : on)),
    );
    expect([...ways].filter(([way, names]) => !way.includes('on a statement') || names.length === STATEMENTS.length).map(([way]) => way)).toEqual([]);
    for (const node of nodesOf(chart.machine.root as AnyStateNode)) {
      for (const type of STATEMENTS) expect(node.config.on?.[type as never]).toBe(node.config.on?.[STATEMENTS[0] as never]);
    }
    expect(paths.length).toBeGreaterThan(200);
  });

  it('leaves every state in which it waits by an error, a cancel or a deadline too', () => {
    expect(trapped()).toEqual([]);
  });

  it('concludes once, to the convener, and says nothing once it was dismissed (T1)', () => {
    everyPath(paths, (moment) => {
      const concluded = stateOf(moment) === '"concluded"';
      expect(countSent(moment, 'peer.concluded')).toBe(concluded ? 1 : 0);
      for (const { type, to } of sentIn(moment)) if (type === 'peer.concluded') expect(to).toBe(CONVENER);
      const end = moment.taken.findIndex(({ happening }) => happening === 'peer.dismiss');
      if (end < 0) return;
      expect(hasEnded(moment)).toBe(true);
      const after = moment.taken.slice(end).flatMap(({ outputs }) => outputs.flatMap((output) => (output.kind === 'send' ? [output.type] : [])));
      expect(after.filter((type) => !type.startsWith('budget.') && type !== 'task.cancel')).toEqual([]);
    });
  });

  it('stops the work that nobody waits for any more, and only that', () => {
    everyPath(paths, (moment) => {
      const { happening, outputs } = moment.taken.at(-1)!;
      if (happening !== 'peer.dismiss') return;
      const before = moment.taken.slice(0, -1);
      const isDone = before.some((one) => one.happening === 'its work' || one.happening === 'that its work failed');
      const cancelled = before.some((one) => one.outputs.some((output) => output.kind === 'send' && output.type === 'task.cancel'));
      const isAtWork = countSent(moment, 'task.assign') === 1 && !isDone && !cancelled;
      const said = outputs.flatMap((output) => (output.kind === 'send' && !output.type.startsWith('budget.') ? [[output.type, output.to]] : []));
      expect(said).toEqual(isAtWork ? [['task.cancel', WORKER]] : []);
    });
  });

  it('ends when it is dismissed, wherever it is', () => {
    everyPath(paths, (moment) => {
      if (!hasEnded(moment)) expect(follow(walk, moment, dismissed).state.snapshot.value).toBe('dismissed');
    });
  });

  it('comes to an end alone, wherever it is, when nobody else says anything (T2, T3)', () => {
    const moments = new Map(paths.filter(isConvened).map((moment) => [JSON.stringify([moment.state.snapshot.value, walk.counters(moment)]), moment]));
    everyPath([...moments.values()], (moment) => {
      expect(hasEnded(goesOnAlone(moment))).toBe(true);
    });
  });

  it('comes to an end without its model, its worker and the others, unless it waits for money (T2, T3)', () => {
    everyPath(paths, (moment) => {
      const isCalling = stateOf(moment).includes('calling'); // its host sees to it that a call ends
      if (!isConvened(moment) || isPaused(moment) || contextOf(moment).isHeld || isCalling) return;
      expect(hasEnded(leftAlone(walk, moment))).toBe(true);
    });
  });

  it('gives up nobody while the money is used up (T5)', () => {
    everyPath(paths, (moment) => {
      const { isHeld, move } = contextOf(moment);
      if (isHeld && move?.kind !== 'ask' && !hasEnded(moment) && isConvened(moment)) expect(moment.state.timers).toEqual({});
    });
  });

  it('keeps what it hears once, and nothing of strangers (T4)', () => {
    everyPath(paths, (moment) => {
      const { minutes } = contextOf(moment);
      expect(new Set(minutes.map((minute) => JSON.stringify(minute))).size).toBe(minutes.length);
      expect(minutes.filter(({ by }) => by !== 'anna' && by !== 'ben')).toEqual([]);
      const spoke = moment.taken.some(
        ({ happening }, index) => happening === 'a vote' && !moment.taken.slice(0, index).some(({ entry }) => entry.message.type === 'peer.dismiss'),
      );
      if (spoke && !hasEnded(moment)) expect(minutes.some(({ type, by }) => type === 'debate.vote' && by === 'ben')).toBe(true);
    });
  });
});
