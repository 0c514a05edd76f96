import { describe, expect, it } from 'vitest';
import type { ApproverContext } from '../../src/actors/approver/machine.ts';
import type { Address } from '../../src/protocols/ids.ts';
import { charts } from '../../src/topology/charts.ts';
import { countSent, everyPath, hears, leftAlone, pathsOf, sentIn, watched, type Moment, type Walk } from '../support/chart-walk.ts';

const PERSON = 'r-model.client' as Address;
const ASKERS = { slow: 'r-model.supervisor' as Address, quick: 'r-model.reviewer.checker.s1-1' as Address };
const TIMEOUT_MS = { slow: 3_000, quick: 1_000 };

type QuestionName = keyof typeof ASKERS;
const names = Object.keys(ASKERS) as QuestionName[];

const { chart, untaken, trapped } = watched(charts.approver);
const contextOf = (moment: Moment): ApproverContext => moment.state.snapshot.context as ApproverContext;

const walk: Walk = {
  address: 'r-model.approver' as Address,
  definition: { chart, input: undefined },
  messages: (moment) =>
    names.flatMap((approval) => [
      // The path would have no end if an answered question could be asked for ever.
      ...(countSent(moment, 'approval.decided') < 3
        ? [
            hears(`${approval} asks`, ASKERS[approval], 'approval.request', {
              approval,
              question: 'May I?',
              details: {},
              timeoutMs: TIMEOUT_MS[approval],
              otherwise: 'deny',
            }),
          ]
        : []),
      hears(`${approval} is approved`, PERSON, 'approval.answer', { approval, decision: 'approve', by: 'ann', note: 'yes' }),
    ]),
  results: () => ({}),
  counters: (moment) => Object.keys(contextOf(moment).open),
};

const paths = pathsOf(walk);

/** The questions that are open after each step, by what was said alone. */
const openOnes = (moment: Moment): Set<string> => {
  const open = new Set<string>();
  for (const { entry, outputs } of moment.taken) {
    if (entry.message.type === 'approval.request') open.add(entry.message.data.approval);
    for (const output of outputs) if (output.kind === 'send') open.delete(output.data['approval'] as string);
  }
  return open;
};

describe('the approver on every path', () => {
  it('takes each of its transitions', () => {
    expect(untaken()).toEqual([]);
    expect(paths.length).toBeGreaterThan(30);
  });

  it('leaves every state in which it waits by an error, a cancel or a deadline too', () => {
    expect(trapped()).toEqual([]);
  });

  it('tells the asker once what was decided on its question (A1)', () => {
    everyPath(paths, (moment) => {
      expect(Object.keys(contextOf(moment).open).toSorted()).toEqual([...openOnes(moment)].toSorted());
      for (const { to, data } of sentIn(moment)) expect(to).toBe(ASKERS[data['approval'] as QuestionName]);
    });
  });

  it('takes the first answer of a person, and the default only when a deadline passed (A1)', () => {
    everyPath(paths, (moment) => {
      const { entry, outputs } = moment.taken.at(-1)!;
      for (const output of outputs) {
        if (output.kind !== 'send') continue;
        const { decision, by } = output.data;
        expect([decision, by]).toEqual(entry.message.type === 'approval.answer' ? ['approve', 'ann'] : ['deny', 'default']);
        expect(['approval.answer', 'timer.fired']).toContain(entry.message.type);
      }
    });
  });

  it('answers no question before its own deadline by its default (A1)', () => {
    everyPath(paths, (moment) => {
      for (const { approval, deadline } of Object.values(contextOf(moment).open)) expect([approval, deadline > moment.now]).toEqual([approval, true]);
      const asked = new Map<string, number>();
      for (const { entry, outputs } of moment.taken) {
        if (entry.message.type === 'approval.request' && !asked.has(entry.message.data.approval)) asked.set(entry.message.data.approval, entry.at);
        for (const output of outputs) {
          if (output.kind !== 'send') continue;
          const approval = output.data['approval'] as QuestionName;
          if (output.data['by'] === 'default') expect(entry.at - asked.get(approval)!).toBeGreaterThanOrEqual(TIMEOUT_MS[approval]);
          asked.delete(approval);
        }
      }
    });
  });

  it('says nothing when an answer comes to a question that is not open, or an open one is asked again (A2)', () => {
    everyPath(paths, (moment) => {
      const { entry, outputs } = moment.taken.at(-1)!;
      const { message } = entry;
      if (message.type !== 'approval.answer' && message.type !== 'approval.request') return;
      const before = openOnes({ ...moment, taken: moment.taken.slice(0, -1) });
      const matters = before.has(message.data.approval) === (message.type === 'approval.answer');
      if (!matters) expect(outputs).toEqual([]);
    });
  });

  it('leaves no question open when nobody ever answers (A1)', () => {
    everyPath(paths, (moment) => {
      const end = leftAlone(walk, moment);
      expect(contextOf(end).open).toEqual({});
      expect(end.state.timers).toEqual({});
    });
  });
});
