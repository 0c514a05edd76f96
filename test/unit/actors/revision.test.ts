import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { change, fromDraft, hasEnded, isActive, openPlan, type Plan } from '../../../src/actors/supervisor/plan.ts';
import { countConsidered, mayRevise, readRevision, revise, type Revised } from '../../../src/actors/supervisor/revision.ts';
import type { AgentProfile } from '../../../src/protocols/agent.ts';
import { failure } from '../../../src/protocols/failure.ts';
import type { ModelReply } from '../../../src/protocols/model.ts';

const profile: AgentProfile = {
  name: 'lead',
  role: 'a lead',
  goal: '',
  backstory: '',
  model: 'p/m',
  tools: [],
  limits: { turns: 1, maxTokens: 100, attempts: 1, timeoutMs: 1_000 },
};

const written = fromDraft({
  steps: [
    { id: 'done', agent: 'reader', task: 'look', needs: [] },
    { id: 'busy', agent: 'reader', task: 'look', needs: [] },
    { id: 'open', agent: 'reader', task: 'compare', needs: ['done'] },
  ],
});
const plan: Plan = openPlan(written).map((step) =>
  step.id === 'done' ? { ...step, status: 'completed', attempt: 1, text: 'found' } : step.id === 'busy' ? { ...step, status: 'running', attempt: 1 } : step,
);

const planner = (to: { steps?: Plan; considered?: number; replans?: number } = {}) => ({
  profile,
  goal: 'why?',
  agents: [{ name: 'reader', description: 'reads' }],
  maxSteps: 4,
  replans: 1,
  revisions: [],
  steps: plan,
  considered: 0,
  ...to,
});

const reply = (json: unknown): ModelReply => ({
  text: JSON.stringify(json),
  toolCalls: [],
  finish: 'stop',
  usage: { inputTokens: 1, outputTokens: 1, cachedInputTokens: 0, reasoningTokens: 0 },
  model: 'm',
});
const step = (id: string, ...needs: string[]) => ({ id, agent: 'reader', task: `do ${id}`, needs });

describe('a revision', () => {
  it.each([
    ['names a step that was begun', { steps: [step('done')] }, /step done was begun already; give another one a name of its own/],
    ['cancels what is not under way', { steps: [], cancel: ['done'] }, /"done" is no step under way/],
    ['needs a step that it drops', { steps: [step('next', 'open')] }, /open/],
    ['needs a step that it cancels', { steps: [step('next', 'busy')], cancel: ['busy'] }, /busy/],
    ['names an agent that is not there', { steps: [{ ...step('next'), agent: 'ghost' }] }, /no agent is called "ghost"; there are reader/],
    ['makes more steps than a plan may have', { steps: ['one', 'two', 'three'].map((id) => step(id)) }, /4/],
    ['waits in a circle', { steps: [step('one', 'two'), step('two', 'one')] }, /one.*two|two.*one/],
  ])('is not taken that %s', (_, said, problem) => {
    expect(readRevision(planner(), reply(said))).toEqual({ ok: false, problem: expect.stringMatching(problem) as string });
  });

  it('is not taken when it leaves nothing to answer from', () => {
    const steps = plan.filter(({ id }) => id !== 'done');
    expect(readRevision(planner({ steps }), reply({ steps: [], cancel: ['busy'] }))).toEqual({ ok: false, problem: 'nothing is left to answer from' });
  });

  it('says nothing of what stays as it was', () => {
    const { plan: after, revised } = revise({ steps: plan, revisions: [] }, { steps: [{ ...step('open', 'done'), task: 'compare' }], cancel: [], reason: '' });
    expect([after, revised]).toEqual([plan, undefined]);
  });
});

/** What a model may answer: each open step is kept, changed or dropped, some are added, and what is under way may be called back. */
const Answer = fc.record({
  fates: fc.array(fc.constantFrom('keep', 'change', 'drop'), { minLength: 8, maxLength: 8 }),
  added: fc.nat(3),
  cancels: fc.boolean(),
});

it('a plan is looked at no more often than steps end, and no more often than it may have steps, whatever the looks make of it', () => {
  fc.assert(
    fc.property(
      fc.nat(16),
      fc.array(Answer, { minLength: 1, maxLength: 24 }),
      fc.infiniteStream(fc.constantFrom('completed', 'failed')),
      (replans, answers, ends) => {
        const maxSteps = 8;
        let { steps, revisions, considered, looks, ended } = { ...planner(), revisions: [] as readonly Revised[], looks: 0, ended: 1 };
        for (;;) {
          const now = { ...planner({ steps, considered, replans }), maxSteps, revisions };
          if (mayRevise(now)) {
            const { fates, added, cancels } = answers[looks % answers.length]!;
            const open = steps.filter(({ status, attempt }) => status === 'pending' && attempt === 0).filter((_, index) => fates[index] !== 'drop');
            const kept = open.map(({ id, agent, task }, index) => ({ id, agent, task: fates[index] === 'change' ? `${task}!` : task, needs: [] }));
            const fresh = Array.from({ length: added }, (_, index) => step(`s${looks}-${index}`));
            const cancel = cancels ? steps.filter(isActive).map(({ id }) => id) : [];
            looks++;
            considered = countConsidered(steps);
            const read = readRevision(now, reply({ steps: [...kept, ...fresh], cancel }));
            if (!read.ok) continue;
            const { plan: after, revised } = revise(now, read.value);
            [steps, revisions] = [after, revised ? [...revisions, revised] : revisions];
            continue;
          }
          const next = steps.find((one) => !hasEnded(one));
          if (!next) break;
          const status = ends.next().value!;
          steps = change(steps, next.id, { status, attempt: 1, ...(status === 'failed' && { failure: failure('TASK_TIMEOUT', 'too slow') }) });
          ended++;
        }
        expect(looks).toBeLessThanOrEqual(Math.min(ended, maxSteps));
        expect(revisions.length).toBeLessThanOrEqual(replans);
      },
    ),
  );
});

describe('a plan is looked at', () => {
  it.each<[string, Plan, boolean]>([
    ['when a result came and a step has not begun', plan, true],
    ['when a result came and a step is under way', plan.filter(({ id }) => id !== 'open'), true],
    ['not when nothing ended', plan.filter(({ id }) => id !== 'done'), false],
    ['not when all is done', plan.filter(({ id }) => id === 'done'), false],
    ['when the last step failed', [{ ...plan[0]!, status: 'failed', failure: failure('TASK_TIMEOUT', 'too slow') }], true],
    ['not when the money is used up', [{ ...plan[0]!, status: 'failed', failure: failure('BUDGET_EXHAUSTED', 'no money') }, ...plan.slice(1)], false],
  ])('%s', (_, steps, looked) => {
    expect(mayRevise(planner({ steps }))).toBe(looked);
  });

  it('once after each result, and no more often than changes are allowed', () => {
    expect([mayRevise(planner({ considered: 1 })), mayRevise(planner({ replans: 0 }))]).toEqual([false, false]);
  });
});
