/**
 * Random plans on the real chart, against an interpreter that knows nothing of time: it takes the steps in their order and says
 * how each ends from how those that it needs end. Results and time-outs come in any order.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { PlannedStep, StepStatus } from '../../../src/actors/supervisor/plan.ts';
import type { SupervisorContext, SupervisorInput } from '../../../src/actors/supervisor/machine.ts';
import { failure } from '../../../src/protocols/failure.ts';
import { address, type Address, type RunId } from '../../../src/protocols/ids.ts';
import type { Decoded } from '../../../src/protocols/catalogue.ts';
import { begin, step as fold, type Output } from '../../../src/runtime/fold.ts';
import { company } from '../../support/company.ts';

const RUN = 'r-random' as RunId;
const AT = address(RUN, 'supervisor');
const RULES = ['skip', 'continue', 'default', 'skip', 'continue', 'default', 'skip', 'fail'] as const;

type Outcome = 'done' | 'failed' | 'silent';
/** A plan, and what becomes of each attempt. An attempt that is silent ends by its time-out. */
type Script = { readonly plan: readonly PlannedStep[]; readonly outcome: (id: string, attempt: number) => Outcome; readonly says: (id: string) => string };

const ITEMS = 'alpha\nbeta\ngamma';

const scripts = fc
  .record({
    steps: fc.array(
      fc.record({
        needs: fc.array(fc.nat(9), { maxLength: 4 }),
        join: fc.option(fc.integer({ min: 1, max: 3 }), { freq: 3 }),
        when: fc.option(fc.constantFrom('status == "completed"', 'status != "completed"', 'text == "yes"'), { freq: 3 }),
        rule: fc.constantFrom(...RULES),
        attempts: fc.option(fc.integer({ min: 1, max: 3 })),
        backoffMs: fc.constantFrom(0, 10, 1_000),
        fallback: fc.boolean(),
        timeoutMs: fc.option(fc.constantFrom(5, 50, 500), { freq: 2 }),
        map: fc.option(fc.integer({ min: 1, max: 3 }), { freq: 7 }),
      }),
      { minLength: 50, maxLength: 200, size: 'max' },
    ),
    /** Whether a step of the plan may end the run. */
    strict: fc.constantFrom(true, false, false, false),
    luck: fc.array(fc.constantFrom<Outcome>('done', 'done', 'done', 'failed', 'failed', 'silent'), { minLength: 97, maxLength: 97 }),
  })
  .map(({ steps, luck, strict }): Script => {
    const plan = steps.map(({ needs, join, when, rule, attempts, backoffMs, fallback, timeoutMs, map }, index): PlannedStep => {
      const onFailure = rule === 'fail' && !strict ? 'continue' : rule;
      const needed = index === 0 ? [] : [...new Set(needs.map((back) => `s${Math.max(0, index - 1 - back)}`))];
      const joins = join !== null && needed.length >= join;
      return {
        id: `s${index}`,
        agent: 'reader',
        task: 'look',
        needs: needed,
        onFailure,
        ...(onFailure === 'default' && { default: 'yes' }),
        ...(joins && { join }),
        // What a step asks of one that need not have ended depends on the time.
        ...(when !== null && !joins && needed.length > 0 && { when: `steps.${needed[0]}.${when}` }),
        ...(attempts !== null && { retry: { attempts, backoffMs } }),
        ...(fallback && { fallback: 'other' }),
        ...(timeoutMs !== null && { timeoutMs }),
        ...(map !== null && { map: { over: { input: 'list' }, around: ['look at ', ''], max: map, concurrency: 2 } }),
      };
    });
    const timed = new Set(plan.filter((one) => one.timeoutMs !== undefined).map(({ id }) => id));
    const lotOf = (id: string): number => [...id].reduce((sum, char) => sum * 31 + char.charCodeAt(0), 7);
    return {
      plan,
      outcome: (id, attempt) => {
        const lot = luck[(lotOf(id) + attempt * 13) % luck.length]!;
        return lot === 'silent' && !timed.has(id.split('-')[0]!) ? 'failed' : lot;
      },
      says: (id) => (lotOf(id) % 2 === 0 ? 'yes' : 'no'),
    };
  });

/** How a step ends, and after how many attempts. */
type End = { readonly status: StepStatus; readonly attempts: number; readonly text: string };

const attemptsAt = ({ retry, fallback, onFailure, default: instead }: PlannedStep, id: string, { outcome, says }: Script): End => {
  const most = (retry?.attempts ?? 1) * (fallback === undefined ? 1 : 2);
  for (let attempts = 1; attempts <= most; attempts++) if (outcome(id, attempts) === 'done') return { status: 'completed', attempts, text: says(id) };
  return { status: 'failed', attempts: most, text: onFailure === 'default' ? instead! : '' };
};

const interpret = (script: Script): Map<string, End> => {
  const ends = new Map<string, End>();
  const rules = new Map(script.plan.map(({ id, onFailure }) => [id, onFailure]));
  const gives = (id: string): boolean => ends.get(id)!.status === 'completed' || (ends.get(id)!.status === 'failed' && rules.get(id) === 'default');
  for (const step of script.plan) {
    const { id, needs, join, when, map } = step;
    const mayRun =
      join === undefined
        ? needs.every((need) => gives(need) || (ends.get(need)!.status === 'failed' && rules.get(need) === 'continue'))
        : needs.filter(gives).length >= join;
    const [, need, field, sign, value] = /^steps\.(\w+)\.(\w+) (..) "(\w+)"$/.exec(when ?? '') ?? [];
    const holds = need === undefined || (ends.get(need)![field as 'status' | 'text'] === value) === (sign === '==');
    if (!mayRun || !holds) {
      ends.set(id, { status: 'skipped', attempts: 0, text: '' });
      continue;
    }
    if (!map) {
      ends.set(id, attemptsAt(step, id, script));
      continue;
    }
    const items = Array.from({ length: map.max }, (_, index) => `${id}-${index + 1}`);
    for (const item of items) {
      rules.set(item, step.onFailure);
      ends.set(item, attemptsAt(step, item, script));
    }
    const done = items.filter(gives);
    const whole = done.length === items.length || (step.onFailure === 'continue' && done.length > 0);
    const attempts = Math.max(...items.map((item) => ends.get(item)!.attempts));
    ends.set(id, { status: whole ? 'completed' : 'failed', attempts, text: done.map((item) => ends.get(item)!.text).join('\n') });
  }
  return ends;
};

type Task = { readonly id: string; readonly attempt: number; readonly to: Address; readonly due: number };

test('a random plan ends as its rules say, and no step begins before what it needs (P1, P2, P3, P4)', { timeout: 120_000 }, () => {
  fc.assert(
    fc.property(scripts, fc.infiniteStream(fc.nat(1_000)), fc.integer({ min: 1, max: 16 }), (script, chance, concurrency) => {
      const ends = interpret(script);
      const byId = new Map(script.plan.map((step) => [step.id, step]));
      const supervisor = { plan: script.plan, inputs: { list: ITEMS }, reviewer: undefined, reviewers: [], concurrency } as Partial<SupervisorInput>;
      const definition = company({ run: RUN, supervisor })(AT)!;
      let now = 1;
      let position = 0;
      let [state] = begin(definition, AT, now);
      const working: Task[] = [];
      /** Steps and items that nobody will work on again. */
      const over = new Set<string>();
      const isOver = (id: string): boolean =>
        over.has(id) ||
        ends.get(id)!.status === 'skipped' ||
        (byId.get(id)?.map !== undefined && [...ends.keys()].every((item) => !item.startsWith(`${id}-`) || over.has(item)));
      const gave = (id: string): boolean => isOver(id) && (ends.get(id)!.status === 'completed' || byId.get(id)!.onFailure === 'default');
      const finish = ({ id, attempt }: Task): void => void (ends.get(id)!.attempts === attempt && over.add(id));
      const see = (outputs: readonly Output[]): void => {
        for (const output of outputs) {
          if (output.kind !== 'send') continue;
          if (output.type === 'task.cancel') {
            const late = working.findIndex(({ to }) => to === output.to);
            expect(late, `${output.to} is at work`).toBeGreaterThanOrEqual(0);
            finish(working.splice(late, 1)[0]!);
          }
          if (output.type !== 'task.assign') continue;
          const { step: id, attempt } = output.data as { step: string; attempt: number };
          const { needs, join, timeoutMs = Number.POSITIVE_INFINITY } = byId.get(id.split('-')[0]!)!;
          if (join === undefined) expect(needs.filter((need) => !isOver(need))).toEqual([]);
          else expect(needs.filter(gave).length).toBeGreaterThanOrEqual(join);
          working.push({ id, attempt, to: output.to, due: now + timeoutMs });
          expect(working.length).toBeLessThanOrEqual(concurrency);
        }
      };
      const hear = (from: Address, message: Decoded): void => {
        position++;
        const [next, outputs] = fold(definition, AT, state, { position, at: now, id: `e${position}`, from, message });
        state = next;
        see(outputs);
      };
      const isEnding = (): boolean => typeof state.snapshot.value === 'string' || JSON.stringify(state.snapshot.value).includes('synthesising');
      hear(address(RUN, 'client'), { type: 'run.start', data: { goal: 'why?' } });
      while (!isEnding()) {
        const speaking = working.filter(({ id, attempt }) => script.outcome(id, attempt) !== 'silent');
        const timer = Object.values(state.timers).find(({ sendId }) => sendId.includes('due'));
        const inTime = speaking.every(({ due }) => timer !== undefined && due > timer.due);
        if (speaking.length === 0 || (inTime && chance.next().value % 5 === 0)) {
          expect(timer, 'somebody is waited for').toBeDefined();
          now = Math.max(now, timer!.due);
          hear(AT, { type: 'timer.fired', data: { timer: timer!.key } });
          continue;
        }
        const task = speaking[chance.next().value % speaking.length]!;
        working.splice(working.indexOf(task), 1);
        const { id, attempt, to } = task;
        finish(task);
        const said = { step: id, attempt };
        if (script.outcome(id, attempt) === 'done') hear(to, { type: 'task.completed', data: { ...said, text: script.says(id), citations: [], turns: 1 } });
        else hear(to, { type: 'task.failed', data: { ...said, failure: failure('TASK_REFUSED', 'no') } });
      }
      const { steps, failure: why } = state.snapshot.context as SupervisorContext;
      const fatal = [...ends].filter(([id, { status }]) => status === 'failed' && byId.get(id.split('-')[0]!)!.onFailure === 'fail').map(([id]) => id);
      if (fatal.length > 0) {
        expect(fatal).toContain(why?.details['step']);
        return;
      }
      expect(Object.fromEntries(steps.map(({ id, status, attempt }) => [id, `${status} after ${attempt}`]))).toEqual(
        Object.fromEntries([...ends].map(([id, { status, attempts }]) => [id, `${status} after ${attempts}`])),
      );
    }),
    { numRuns: 60 },
  );
});
