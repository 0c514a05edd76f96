import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  allEnded,
  change,
  complete,
  draftProblems,
  find,
  findCycle,
  fromDraft,
  giveUp,
  openPlan,
  present,
  ready,
  runFailure,
  type OnFailure,
  type Plan,
  type Step,
  type StepStatus,
} from '../../../src/actors/supervisor/plan.ts';
import { settle as settleWith } from '../../../src/actors/supervisor/settle.ts';
import { failure } from '../../../src/protocols/failure.ts';

const settle = (plan: Plan): Plan => settleWith(plan, {});
const planned = (id: string, needs: readonly string[] = [], onFailure: OnFailure = 'continue') => ({ id, agent: 'reader', task: id, needs, onFailure });
const failed = (code = 'TASK_TIMEOUT') => ({ status: 'failed' as const, failure: failure(code, 'it failed') });
const ids = (steps: readonly Step[]): string[] => steps.map(({ id }) => id);
const statuses = (plan: Plan): Record<string, StepStatus> => Object.fromEntries(plan.map(({ id, status }) => [id, status]));

const diamond = openPlan([planned('top'), planned('left', ['top']), planned('right', ['top']), planned('both', ['left', 'right'])]);

/** A plan without cycles: each step needs some of those before it. */
const acyclic = fc
  .array(fc.record({ needs: fc.array(fc.nat(20)), onFailure: fc.constantFrom<OnFailure>('fail', 'skip', 'continue') }), { minLength: 1, maxLength: 8 })
  .map((steps) =>
    openPlan(
      steps.map(({ needs, onFailure }, index) => planned(`s${index}`, index === 0 ? [] : [...new Set(needs.map((need) => `s${need % index}`))], onFailure)),
    ),
  );

describe('ready steps (P1)', () => {
  it('are those whose needs have all ended well, in the order of the plan', () => {
    expect(ids(ready(diamond, 4))).toEqual(['top']);
    const second = change(diamond, 'top', { status: 'completed' });
    expect(ids(ready(second, 4))).toEqual(['left', 'right']);
    expect(ids(ready(change(second, 'left', { status: 'completed' }), 4))).toEqual(['right']);
  });

  it.each<[StepStatus, boolean]>([
    ['pending', false],
    ['running', false],
    ['reviewing', false],
    ['asking', false],
    ['completed', true],
    ['skipped', false],
  ])('do not include what needs a step that is %s, unless it is completed', (status, runs) => {
    expect(ids(ready(change(diamond, 'top', { status }), 4)).includes('left')).toBe(runs);
  });

  it.each<[OnFailure, boolean]>([
    ['fail', false],
    ['skip', false],
    ['continue', true],
  ])('include what needs a failed step only if that one lets it: %s', (onFailure, runs) => {
    const plan = openPlan([planned('top', [], onFailure), planned('next', ['top'])]);
    expect(ids(ready(change(plan, 'top', failed()), 4))).toEqual(runs ? ['next'] : []);
  });

  it('are no more than there is room for beside those at work', () => {
    const wide = openPlan(['a', 'b', 'c', 'd'].map((id) => planned(id)));
    expect(ids(ready(wide, 2))).toEqual(['a', 'b']);
    for (const status of ['running', 'reviewing', 'asking'] as const) expect(ids(ready(change(wide, 'a', { status }), 2))).toEqual(['b']);
    expect(ids(ready(change(wide, 'a', { status: 'completed' }), 2))).toEqual(['b', 'c']);
    expect(ids(ready(change(change(wide, 'a', { status: 'running' }), 'b', { status: 'running' }), 1))).toEqual([]);
  });
});

describe('a failed step (P2)', () => {
  it.each<[OnFailure, Record<string, StepStatus>]>([
    ['skip', { a: 'failed', b: 'skipped', c: 'skipped', d: 'pending' }],
    ['fail', { a: 'failed', b: 'skipped', c: 'skipped', d: 'pending' }],
    ['continue', { a: 'failed', b: 'pending', c: 'pending', d: 'pending' }],
  ])('of the rule %s leaves the others so', (onFailure, expected) => {
    const plan = openPlan([planned('a', [], onFailure), planned('b', ['a']), planned('c', ['b']), planned('d')]);
    expect(statuses(settle(change(plan, 'a', failed())))).toEqual(expected);
  });

  it('is named as the cause of what is skipped', () => {
    const plan = settle(change(openPlan([planned('a', [], 'skip'), planned('b', ['a']), planned('c', ['b'])]), 'a', failed()));
    expect(plan.map((step) => step.failure?.message)).toEqual(['it failed', 'step b needs a, which failed', 'step c needs b, which was skipped']);
  });

  it('leaves no step waiting for ever, whatever the plan', () => {
    fc.assert(
      fc.property(acyclic, fc.infiniteStream(fc.boolean()), fc.integer({ min: 1, max: 3 }), (opened, fails, concurrency) => {
        let plan = settle(opened);
        for (let turn = 0; turn < 50 && !allEnded(plan); turn++) {
          const next = ready(plan, concurrency);
          expect(next.length).toBeGreaterThan(0);
          for (const { id } of next) plan = change(plan, id, fails.next().value === true ? failed() : { status: 'completed' });
          plan = settle(plan);
        }
        expect(allEnded(plan)).toBe(true);
      }),
    );
  });
});

describe('a step that its fallback took', () => {
  const loop = openPlan([
    { ...planned('draft'), fallback: 'stand-in', retry: { attempts: 1, backoffMs: 0 } },
    { ...planned('check', ['draft']), goto: [{ to: 'draft', maxVisits: 2 }] },
  ]);
  const fellBack = giveUp(change(loop, 'draft', { status: 'running', attempt: 1 }), 'draft', failure('TASK_TIMEOUT', 'it failed'));
  const wentBack = (plan: Plan): Plan => settle(complete(complete(plan, 'draft', { text: 'one' }), 'check', { text: 'again' }));

  it('begins anew with the agent of its own when the plan goes back to it, and has its fallback again', () => {
    expect(find(fellBack, 'draft')).toMatchObject({ agent: 'stand-in', status: 'pending' });
    const anew = wentBack(fellBack);
    expect(find(anew, 'draft')).toMatchObject({ agent: 'reader', status: 'pending', visits: 2, objections: ['again'] });
    expect(find(giveUp(anew, 'draft', failure('TASK_TIMEOUT', 'it failed')), 'draft')).toMatchObject({ agent: 'stand-in', status: 'pending' });
  });

  it('has one fallback for each visit', () => {
    expect(find(giveUp(fellBack, 'draft', failure('TASK_TIMEOUT', 'it failed too')), 'draft')).toMatchObject({ agent: 'stand-in', status: 'failed' });
  });

  it('begins anew with the agent of its own also when it was handed over before or after', () => {
    const handedOver = (plan: Plan, agent: string, by: string): Plan => change(plan, 'draft', { agent, handover: { by: [by], reason: '', messages: [] } });
    const before = giveUp(handedOver(loop, 'other', 'reader'), 'draft', failure('TASK_TIMEOUT', 'it failed'));
    for (const plan of [before, handedOver(fellBack, 'other', 'stand-in')]) {
      expect(find(wentBack(plan), 'draft')).toMatchObject({ agent: 'reader', handover: undefined });
    }
  });
});

describe('what is said about an attempt (P4)', () => {
  const running = change(diamond, 'top', { status: 'running', attempt: 2 });

  it.each<[string, number, StepStatus, boolean]>([
    ['top', 2, 'running', true],
    ['top', 1, 'running', false],
    ['top', 3, 'running', false],
    ['top', 2, 'reviewing', false],
    ['left', 2, 'running', false],
    ['ghost', 2, 'running', false],
  ])('%s, attempt %i, %s: counts %s', (id, attempt, status, counts) => {
    expect(present(running, id, attempt, status) !== undefined).toBe(counts);
  });
});

describe('findCycle', () => {
  it.each([
    ['nothing in a plan without one', [planned('a'), planned('b', ['a']), planned('c', ['a', 'b'])], undefined],
    ['a step that needs itself', [planned('a', ['a'])], ['a', 'a']],
    ['two that need each other', [planned('a', ['b']), planned('b', ['a'])], ['a', 'b', 'a']],
    ['a long one, from its first step', [planned('x', ['a']), planned('a', ['b']), planned('b', ['c']), planned('c', ['a'])], ['a', 'b', 'c', 'a']],
    ['nothing in needs that are no steps', [planned('a', ['ghost'])], undefined],
  ])('finds %s', (_, steps, cycle) => {
    expect(findCycle(steps)).toEqual(cycle);
  });

  it('finds one exactly when the plan cannot be put in order', () => {
    const anyNeeds = fc.array(fc.array(fc.nat(5), { maxLength: 3 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(anyNeeds, (needs) => {
        const steps = needs.map((each, index) =>
          planned(
            `s${index}`,
            each.map((need) => `s${need % needs.length}`),
          ),
        );
        let left = steps;
        for (let before = -1; before !== left.length;) {
          before = left.length;
          left = left.filter((step) => step.needs.some((need) => left.some(({ id }) => id === need)));
        }
        const cycle = findCycle(steps);
        expect(cycle === undefined).toBe(left.length === 0);
        cycle?.slice(1).forEach((id, index) => expect(steps.find((step) => step.id === cycle[index])!.needs).toContain(id));
      }),
    );
  });

  it('is quick also where every step needs all before it', () => {
    const steps = Array.from({ length: 64 }, (_, index) =>
      planned(
        `s${index}`,
        Array.from({ length: index }, (__, before) => `s${before}`),
      ),
    );
    expect(findCycle(steps.toReversed())).toBeUndefined();
  });
});

describe('a draft', () => {
  const step = (id: string, more: object = {}) => ({ id, agent: 'reader', task: 'look', needs: [] as string[], ...more });

  it.each([
    ['too many steps', [step('a'), step('b'), step('c')], '3 steps; at most 2 are allowed'],
    ['the same id twice', [step('a'), step('a')], 'two steps have the same id'],
    ['an agent that does not exist', [step('a', { agent: 'ghost' })], 'step a: no agent is called "ghost"; there are reader, writer'],
    ['a need that is no step', [step('a', { needs: ['z'] })], 'step a needs "z", which is no step'],
    ['a cycle', [step('a', { needs: ['b'] }), step('b', { needs: ['a'] })], 'the steps a -> b -> a wait for each other'],
  ])('with %s is sent back with that', (_, steps, problem) => {
    expect(draftProblems({ steps }, ['reader', 'writer'], 2)).toEqual([problem]);
  });

  it('has all its problems named at once', () => {
    expect(draftProblems({ steps: [step('a', { agent: 'ghost', needs: ['a', 'z'] }), step('a'), step('c', { needs: ['c'] })] }, ['reader'], 2)).toHaveLength(5);
  });

  it('without problems becomes steps that do not take each other down', () => {
    const steps = [step('a'), step('b', { needs: ['a'] })];
    expect(draftProblems({ steps }, ['reader'], 2)).toEqual([]);
    expect(fromDraft({ steps }).map(({ onFailure }) => onFailure)).toEqual(['continue', 'continue']);
  });
});

describe('a run cannot go on', () => {
  const pair = (onFailure: OnFailure) => openPlan([planned('a', [], onFailure), planned('b')]);

  it.each<[string, Plan, string | undefined]>([
    ['when nothing has failed', pair('fail'), undefined],
    ['when a step failed whose rule it is', change(pair('fail'), 'a', failed()), 'TASK_TIMEOUT'],
    ['when a step failed whose rule it is not', change(pair('skip'), 'a', failed()), undefined],
    ['when every further step would meet the same', change(pair('continue'), 'a', failed('BUDGET_EXHAUSTED')), 'BUDGET_EXHAUSTED'],
    ['when nothing came of anything', change(change(pair('continue'), 'a', failed()), 'b', failed('TASK_CANCELLED')), 'TASK_TIMEOUT'],
    ['when something came of something', change(change(pair('continue'), 'a', failed()), 'b', { status: 'completed' }), undefined],
    ['while something may still come of something', change(change(pair('continue'), 'a', failed()), 'b', { status: 'running' }), undefined],
  ])('%s', (_, plan, code) => {
    expect(runFailure(plan)?.code).toBe(code);
  });

  it('says which step it was, and whose', () => {
    expect(runFailure(change(pair('fail'), 'a', failed()))!.details).toEqual({ step: 'a', agent: 'reader' });
  });
});
