import { describe, expect, it } from 'vitest';
import type { ReviewerContext } from '../../src/actors/reviewer/machine.ts';
import type { Verdict } from '../../src/protocols/formats.ts';
import type { AgentProfile } from '../../src/protocols/agent.ts';
import type { Address } from '../../src/protocols/ids.ts';
import type { ModelReply, ModelRequest } from '../../src/protocols/model.ts';
import type { ToolRecord } from '../../src/protocols/tool.ts';
import { charts } from '../../src/topology/charts.ts';
import {
  countSent,
  everyPath,
  follow,
  happened,
  hasEnded,
  hears,
  NEAR_END_NANOS,
  leftAlone,
  pathsOf,
  raised,
  sentIn,
  watched,
  type Moment,
  type Walk,
} from '../support/chart-walk.ts';

const LEAD = 'r-model.supervisor' as Address;
const ACCOUNT = 'r-model.budget' as Address;
const APPROVER = 'r-model.approver' as Address;
const ATTEMPTS = 2;
const ASK_BELOW = 0.5;

const reply = (text: string): ModelReply => ({
  text,
  toolCalls: [],
  finish: 'stop',
  usage: { inputTokens: 1, outputTokens: 1, cachedInputTokens: 0, reasoningTokens: 0 },
  model: 'm',
});

const replies = {
  'a sure verdict': reply('{"verdict": "revise", "reasons": ["cite it"], "confidence": 0.9}'),
  'an unsure verdict': reply('{"verdict": "accept", "reasons": ["who knows"], "confidence": 0.2}'),
  prose: reply('Good work.'),
};

const evidence: ToolRecord = { callId: 'evidence', tool: 'check_quotes', input: {}, ok: true, text: 'all quotes stand', ms: 1, time: 1 };
const citation = { file: 'a.md', line: 1, quote: 'so it is' };

const contextOf = (moment: Moment): ReviewerContext => moment.state.snapshot.context as ReviewerContext;

const { chart, untaken, trapped } = watched(charts.reviewer);

const walkOf = (more: Partial<AgentProfile>): Walk => ({
  address: 'r-model.reviewer.checker.s1-1' as Address,
  definition: {
    chart,
    input: {
      profile: {
        name: 'checker',
        role: 'a reviewer',
        goal: '',
        backstory: '',
        model: 'p/m',
        tools: ['check_quotes'],
        limits: { turns: 3, maxTokens: 100, attempts: ATTEMPTS, timeoutMs: 60_000 },
        ...more,
      },
      approver: APPROVER,
      askBelow: ASK_BELOW,
      askMs: 5_000,
    },
    account: ACCOUNT,
  },
  messages: () => {
    const work = { step: 's1', attempt: 1, goal: 'why', instructions: 'look', text: 'It is so [1].' };
    const approval = 'review-s1-1';
    return [
      hears('a report with sources', LEAD, 'review.request', { ...work, citations: [citation] }),
      hears('a report without', LEAD, 'review.request', { ...work, citations: [] }),
      hears('task.cancel', LEAD, 'task.cancel', { reason: 'enough' }),
      raised(ACCOUNT),
      hears('a person approves', APPROVER, 'approval.decided', { approval, decision: 'approve', by: 'ann', note: '' }),
      hears('a person denies', APPROVER, 'approval.decided', { approval, decision: 'deny', by: 'ann', note: 'not so' }),
    ];
  },
  results: ({ src }) => (src === 'model' ? replies : { evidence }),
  counters: (moment) => {
    const { attempt, repairs, saves, work, verdict } = contextOf(moment);
    return [attempt, repairs, saves, work.citations.length, verdict?.verdict];
  },
});

const walk = walkOf({});
const savingPaths = pathsOf(walkOf({ cheaper: { model: 'p/cheap', fromLeftNanos: `${NEAR_END_NANOS}` } }));
const paths = [...pathsOf(walk), ...savingPaths];
/** The call was not made; the same one is asked for again, of another model or after a raise. */
const notMade = ['model is vetoed until a raise', 'model is granted near the end', 'model is too dear'];

const isPaused = (moment: Moment): boolean => moment.state.snapshot.value === 'paused';
const asked = (moment: Moment): boolean => moment.state.snapshot.value !== 'dismissed' && happened(moment, 'review.request');
const verdictOf = (moment: Moment): Verdict | undefined => sentIn(moment).find(({ type }) => type === 'review.verdict')?.data as Verdict | undefined;

describe('the reviewer on every path', () => {
  it('takes each of its transitions', () => {
    expect(untaken()).toEqual([]);
    expect(paths.length).toBeGreaterThan(100);
  });

  it('leaves every state in which it waits by an error, a cancel or a deadline too', () => {
    expect(trapped()).toEqual([]);
  });

  it('ends every request with exactly one of review.verdict and review.failed, and says neither before (V1)', () => {
    everyPath(paths, (moment) => {
      expect(countSent(moment, 'review.verdict', 'review.failed')).toBe(hasEnded(moment) && asked(moment) ? 1 : 0);
    });
  });

  it('answers whoever asked, about that step and attempt (V1)', () => {
    everyPath(paths, (moment) => {
      for (const { type, to, data } of sentIn(moment)) {
        if (type.startsWith('review.')) expect({ to, step: data['step'], attempt: data['attempt'] }).toEqual({ to: LEAD, step: 's1', attempt: 1 });
      }
    });
  });

  it('has its model answer twice at most, with so many tries at each (V2)', () => {
    everyPath(paths, (moment) => {
      const answers = moment.taken.filter(({ happening }) => happening.startsWith('model gives')).length;
      const tries = moment.taken
        .flatMap(({ outputs }) => outputs)
        .filter((output) => output.kind === 'start' && output.effect.child === 'model' && output.effect.attempt === 1).length;
      expect(answers).toBeLessThanOrEqual(2);
      const pauses = moment.taken.filter(({ happening }) => notMade.includes(happening)).length;
      expect(tries).toBeLessThanOrEqual(2 * ATTEMPTS + pauses);
    });
  });

  it('never gives a verdict of its model that is below the threshold (V3)', () => {
    everyPath(paths, (moment) => {
      const given = verdictOf(moment);
      if (!given) return;
      const person = moment.taken.findLast(
        ({ entry }) =>
          entry.message.type === 'approval.decided' &&
          moment.taken.some(({ outputs }) => outputs.some((output) => output.kind === 'send' && output.type === 'approval.request')),
      );
      const unsure = moment.taken.some(({ happening }) => happening === 'model gives an unsure verdict');
      expect(unsure).toBe(given.reasons.includes('decided by ann'));
      if (unsure) expect(given.verdict).toBe(person!.happening === 'a person approves' ? 'accept' : 'revise');
      else expect(given.confidence).toBeGreaterThanOrEqual(ASK_BELOW);
    });
  });

  it('asks a person once, and only when its model was not sure (V3)', () => {
    everyPath(paths, (moment) => {
      const unsure = moment.taken.filter(({ happening }) => happening === 'model gives an unsure verdict').length;
      expect(countSent(moment, 'approval.request')).toBe(unsure);
    });
  });

  it('never gives a verdict once it is cancelled', () => {
    everyPath(paths, (moment) => {
      if (!happened(moment, 'task.cancel')) return;
      expect(hasEnded(moment)).toBe(true);
      expect(verdictOf(moment)).toBeUndefined();
    });
  });

  it('ends by a time-out wherever it waits, while the money is used up once it was raised (V4)', () => {
    everyPath(paths, (moment) => {
      if (!asked(moment)) return;
      const going = isPaused(moment) ? follow(walk, moment, raised(ACCOUNT)) : moment;
      expect(hasEnded(leftAlone(walk, going))).toBe(true);
    });
  });

  it('waits for a raise when its call is vetoed until there is one, and then asks the same again', () => {
    everyPath(paths, (moment) => {
      if (moment.taken.at(-1)!.happening === 'model is vetoed until a raise') expect(isPaused(moment)).toBe(true);
      if (!isPaused(moment)) return;
      expect([moment.state.effects, moment.state.timers, countSent(moment, 'review.verdict', 'review.failed')]).toEqual([{}, {}, 0]);
      const going = follow(walk, moment, raised(ACCOUNT));
      expect(going.state.snapshot.value).toEqual({ working: { judging: 'reserving' } });
      const inputs = going.taken
        .flatMap(({ outputs }) => outputs)
        .flatMap((output) => (output.kind === 'start' && output.effect.child === 'model' ? [output.effect.input] : []));
      expect((inputs.at(-1) as ModelRequest).messages).toEqual((inputs.at(-2) as ModelRequest).messages);
      expect(
        going.taken.flatMap(({ outputs }) => outputs).filter((output) => output.kind === 'start' && output.effect.child === 'evidence').length,
      ).toBeLessThanOrEqual(1);
    });
  });

  it('judges with its cheaper model, once, when the money nears its end', () => {
    everyPath(savingPaths, (moment) => {
      const { happening, outputs } = moment.taken.at(-1)!;
      if (happening !== 'model is granted near the end' && happening !== 'model is too dear') return;
      const asked = outputs.flatMap((output) => (output.kind === 'start' ? [(output.effect.input as ModelRequest).model] : []));
      expect(asked).toEqual(['p/cheap']);
    });
  });
});
