import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { get } from '../../../src/actors/budget/by-id.ts';
import type { BudgetContext } from '../../../src/actors/budget/machine.ts';
import type { ApproverContext } from '../../../src/actors/approver/machine.ts';
import { address, type Address, type RunId } from '../../../src/protocols/ids.ts';
import type { ModelRequest } from '../../../src/protocols/model.ts';
import { defineChart } from '../../../src/runtime/chart.ts';
import type { FoldEntry, Output } from '../../../src/runtime/fold.ts';
import { Instance } from '../../../src/runtime/instance.ts';
import { answer, company } from '../../support/company.ts';
import { first, follow, happenings, hears, message, type Happening, type Moment, type Walk } from '../../support/chart-walk.ts';

const run = 'r-instance' as RunId;
const resolve = company({ run });
const client = address(run, 'client');
const worker = address(run, 'worker', 'reader', 's1-1');
const quote = { model: 'm', fixedNanos: '1000', outputNanosPerMtok: '80000000', maxTokens: 400, minTokens: 64, inputTokens: 1, priceHash: 'p' };
const usage = { inputTokens: 1, outputTokens: 1, cachedInputTokens: 0, reasoningTokens: 0 };

const results: Walk['results'] = ({ src, input }) =>
  src === 'model'
    ? { 'an answer': { ...answer(input as ModelRequest), usage, model: 'm' }, nonsense: { text: '?', toolCalls: [], finish: 'stop', usage, model: 'm' } }
    : { 'a record': { callId: 'one', tool: 'look_up', input: {}, ok: true, text: 'page', ms: 1, time: 0 } };

const walkOf = (at: Address, messages: readonly Happening[]): Walk => ({
  address: at,
  definition: resolve(at)!,
  messages: () => messages,
  results,
  counters: () => 0,
});

const walks = {
  worker: walkOf(worker, [
    hears('assign', client, 'task.assign', { step: 's1', attempt: 1, goal: 'why', instructions: 'look', findings: [] }),
    hears('cancel', client, 'task.cancel', { reason: 'enough' }),
  ]),
  reviewer: walkOf(address(run, 'reviewer', 'checker', 's1-1'), [
    hears('review', client, 'review.request', {
      step: 's1',
      attempt: 1,
      goal: 'why',
      instructions: 'look',
      text: 'so',
      citations: [{ file: 'a', line: 1, quote: 'q' }],
    }),
  ]),
  supervisor: walkOf(address(run, 'supervisor'), [
    hears('start', client, 'run.start', { goal: 'why' }),
    ...['left', 'right', 'both'].flatMap((step) => [
      hears(`${step} is done`, worker, 'task.completed', { step, attempt: 1, text: 'found', citations: [], turns: 1 }),
      hears(`${step} is accepted`, worker, 'review.verdict', { step, attempt: 1, verdict: 'accept', reasons: [], confidence: 1 }),
    ]),
    hears('closed', client, 'budget.closed', { limitNanos: '1', spentNanos: '1', heldNanos: '0' }),
  ]),
  budget: walkOf(address(run, 'budget'), [
    ...['one', 'two'].flatMap((grant) => [
      hears(`reserve ${grant}`, worker, 'budget.reserve', { grant, quote }),
      hears(`settle ${grant}`, worker, 'budget.settle', { grant, spentNanos: '9007199254740993', usage, model: 'm' }),
      hears(`release ${grant}`, worker, 'budget.release', { grant, reason: 'no' }),
    ]),
    hears('close', client, 'budget.close', { reason: 'done' }),
  ]),
  approver: walkOf(
    address(run, 'approver'),
    ['one', 'two'].flatMap((approval, index) => [
      hears(`ask ${approval}`, worker, 'approval.request', { approval, question: '?', details: {}, timeoutMs: 1_000 * (index + 1), otherwise: 'deny' }),
      hears(`answer ${approval}`, client, 'approval.answer', { approval, decision: 'approve', by: 'ann', note: '' }),
    ]),
  ),
};

const beginning = (walk: Walk): Instance => Instance.begin(walk.address, walk.definition, first(walk).now)[0];

/** A log that could have been: at each entry one of the things that may happen then. */
const logOf = (walk: Walk, choices: readonly number[]): readonly FoldEntry[] => {
  let moment: Moment = first(walk);
  for (const choice of choices) {
    const options = happenings(walk, moment);
    if (options.length === 0) break;
    moment = follow(walk, moment, options[choice % options.length]!);
  }
  return moment.taken.map(({ entry }) => entry);
};

const thawed = (instance: Instance): Instance => Instance.thaw(instance.address, instance.definition, instance.freeze())!;

describe.each(Object.entries(walks))('the instance of a %s', (_, walk) => {
  it('is the same after it was frozen and thawed at any point of its log', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(1_000), { maxLength: 30 }), fc.infiniteStream(fc.boolean()), (choices, freezes) => {
        const straight = beginning(walk);
        let broken = beginning(walk);
        for (const entry of logOf(walk, choices)) {
          if (freezes.next().value === true && !broken.ended) broken = thawed(broken);
          expect(broken.apply(entry)).toEqual(straight.apply(entry));
        }
        expect(JSON.parse(broken.freeze())).toEqual(JSON.parse(straight.freeze()));
      }),
      { numRuns: 60 },
    );
  });

  it('gives nothing for entries that it has folded before, under whatever position they come again', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(1_000), { maxLength: 20 }), (choices) => {
        const instance = beginning(walk);
        const log = logOf(walk, choices);
        for (const entry of log) instance.apply(entry);
        const before = instance.freeze();
        const again: Output[] = log.flatMap((entry, index) => [...instance.apply(entry), ...instance.apply({ ...entry, position: 1_000 + index })]);
        expect([again, instance.freeze()]).toEqual([[], before]);
      }),
      { numRuns: 40 },
    );
  });
});

const entry = (position: number, said: Happening, id = `e${position}`): FoldEntry => ({ position, at: 5, id, ...said.entry(first(walks.budget)) });
const reserve = (grant: string): Happening => hears('reserve', worker, 'budget.reserve', { grant, quote });

describe('a frozen instance', () => {
  it('keeps money to the last nano-dollar', () => {
    const budget = beginning(walks.budget);
    budget.apply(entry(1, hears('settle', worker, 'budget.settle', { grant: 'one', spentNanos: '123456789012345678901234567890', usage, model: 'm' })));
    const { book } = (thawed(budget).state.snapshot.context as BudgetContext).desk;
    expect(get(book.tree, book.root)!.spent.money).toBe(123456789012345678901234567890n);
  });

  it('keeps what people wrote, whatever it looks like', () => {
    const approver = beginning(walks.approver);
    const details = { $bigint: 'no number', price: '$12', list: ['$', '$$', '$$$1', '12n'], nested: { $bigint: '12', of: 'apples' } };
    approver.apply(entry(1, hears('ask', worker, 'approval.request', { approval: 'one', question: '?', details, timeoutMs: 1_000, otherwise: 'deny' })));
    const { open } = thawed(approver).state.snapshot.context as ApproverContext;
    expect(open['one']!.details).toEqual(details);
  });

  it('is begun anew where its snapshot cannot be read', () => {
    const { address, definition } = beginning(walks.budget);
    for (const broken of ['', '{', 'null']) expect(Instance.thaw(address, definition, broken)).toBeUndefined();
  });

  it('is not taken for another version of its chart, nor for another chart', () => {
    const budget = beginning(walks.budget);
    const frozen = budget.freeze();
    const { definition } = budget;
    const { name, version, machine } = definition.chart;
    expect(Instance.thaw(budget.address, { ...definition, chart: defineChart(name, version + 1, machine) }, frozen)).toBeUndefined();
    expect(Instance.thaw(budget.address, { ...definition, chart: defineChart('other', version, machine) }, frozen)).toBeUndefined();
    expect(Instance.thaw(budget.address, definition, frozen)?.freeze()).toBe(frozen);
  });

  it('remembers the ids that it has folded', () => {
    const budget = beginning(walks.budget);
    budget.apply(entry(1, reserve('one')));
    const back = thawed(budget);
    expect(back.has('e1')).toBe(true);
    expect(back.apply(entry(2, reserve('one'), 'e1'))).toEqual([]);
  });
});

describe('what an instance remembers', () => {
  it('is bounded, and its newest ids are what it keeps', () => {
    const budget = beginning(walks.budget);
    for (let position = 1; position <= 5_000; position++)
      budget.apply(entry(position, hears('release', worker, 'budget.release', { grant: 'none', reason: '' })));
    expect([budget.has('e1'), budget.has('e5000'), budget.has('e905'), budget.has('e904')]).toEqual([false, true, true, false]);
  });

  it('outlives its end: a grant that comes again is not given back twice, a new one is', () => {
    const instance = beginning(walks.worker);
    for (const at of [entry(1, walks.worker.messages(first(walks.worker))[0]!), entry(2, hears('cancel', client, 'task.cancel', { reason: 'enough' }))])
      instance.apply(at);
    expect(instance.ended).toBe(true);
    const retired = instance.retire();
    const granted: FoldEntry = {
      position: 3,
      at: 5,
      id: 'e3',
      from: client,
      message: message('budget.granted', { grant: `${worker}/1/model#1`, amountNanos: '1', maxTokens: 1, deadline: 9, leftNanos: '0' }),
    };
    expect(retired.apply(granted)).toMatchObject([{ kind: 'send', type: 'budget.release' }]);
    expect(retired.apply(granted)).toEqual([]);
    expect(retired.apply({ ...granted, position: 9 })).toEqual([]);
    expect(retired.apply(entry(2, walks.worker.messages(first(walks.worker))[0]!))).toEqual([]);
  });
});
