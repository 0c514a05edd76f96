import { describe, expect, it } from 'vitest';
import { entriesOf, get, valuesOf } from '../../src/actors/budget/by-id.ts';
import type { BudgetContext, BudgetInput } from '../../src/actors/budget/machine.ts';
import type { Address } from '../../src/protocols/ids.ts';
import { checkpointOf } from '../../src/actors/budget/checkpoint.ts';
import { charts } from '../../src/topology/charts.ts';
import {
  countSent,
  everyPath,
  happened,
  hears,
  leftAlone,
  message,
  pathsOf,
  sentIn,
  watched,
  type Happening,
  type Moment,
  type Sent,
  type Walk,
} from '../support/chart-walk.ts';

const SPENDER = 'r-model.worker.reader.s1-1' as Address;
const LEAD = 'r-model.supervisor' as Address;
const CLIENT = 'r-model.client' as Address;
const ROOT = 'r-model';
const READER = 'r-model/reader';
const GRANT_MS = 1_000;
const WAIT_MS = 400;
const DRAIN_MS = 2_500;
const SPENT = '150';

/** 500 nano-dollars in full, 300 at least: two fit in full, a third one only when something came back. */
const quote = { model: 'm', fixedNanos: '100', outputNanosPerMtok: '1000000', maxTokens: 400, minTokens: 200, inputTokens: 1, priceHash: 'p' };
const usage = { inputTokens: 1, outputTokens: 50, cachedInputTokens: 0, reasoningTokens: 0 };

const { chart, untaken, trapped } = watched(charts.budget);
const bookOf = (moment: Moment) => (moment.state.snapshot.context as BudgetContext).desk.book;
const accountOf = (moment: Moment, id: string) => get(bookOf(moment).tree, id)!;
const valueOf = (moment: Moment): unknown => moment.state.snapshot.value;
/** Those of which it has heard. */
const grantsOf = (moment: Moment): readonly string[] => {
  const { holds, queue, ended } = bookOf(moment);
  return [
    ...new Set([...[holds, ...ended].flatMap((some) => entriesOf<unknown>(some).map(([grant]) => grant)), ...queue.map(({ grant }) => grant)]),
  ].toSorted();
};

const walkOf = (grants: readonly string[], input: Partial<BudgetInput>, others: (moment: Moment) => readonly Happening[]): Walk => ({
  address: 'r-model.budget' as Address,
  definition: {
    chart,
    input: {
      accounts: [
        { id: ROOT, limits: [{ measure: 'money', amount: '1000', window: 'total' }] },
        { id: READER, parent: ROOT, limits: [{ measure: 'calls', amount: '3', window: 'total' }] },
      ],
      grantMs: GRANT_MS,
      waitMs: WAIT_MS,
      drainMs: DRAIN_MS,
      orphans: 'charge',
      onExhausted: 'fail',
      keptBackNanos: '0',
      thresholds: [],
      ...input,
    } satisfies BudgetInput,
  },
  messages: (moment) => [
    // One after the other: which of them is which makes no difference.
    ...grants.slice(0, 1 + grantsOf(moment).length).map((grant) => hears(`${grant} is asked for`, SPENDER, 'budget.reserve', { grant, quote })),
    ...grantsOf(moment).flatMap((grant) => [
      hears(`${grant} is settled`, SPENDER, 'budget.settle', { grant, spentNanos: SPENT, usage, model: 'm' }),
      hears(`${grant} is released`, SPENDER, 'budget.release', { grant, reason: 'not made' }),
    ]),
    ...others(moment),
  ],
  results: () => ({}),
  counters: (moment) => {
    const { tree, holds, queue, ended, overrun } = bookOf(moment);
    const { closing, paused, wanted } = (moment.state.snapshot.context as BudgetContext).desk;
    return [
      entriesOf(tree).map(([, { id, limits, spent, held, frozen, ending, closed, announced }]) => [
        id,
        limits.map(({ amount }) => String(amount)),
        String(spent.money),
        String(held.money),
        frozen,
        ending,
        closed,
        announced,
      ]),
      entriesOf(holds)
        .map(([grant, { state }]) => `${grant} ${state}`)
        .toSorted(),
      queue.map(({ grant }) => grant),
      ended.flatMap((some) => entriesOf<string>(some).map(([grant, how]) => `${grant} ${how}`)).toSorted(),
      [String(overrun), closing.length, paused.length, wanted.length],
    ];
  },
});

const walks = {
  'that many ask': walkOf(['one', 'two', 'three'], {}, (moment) => [
    ...(get(bookOf(moment).holds, 'one') ? [hears('the host of one is gone', SPENDER, 'budget.orphaned', { grant: 'one' })] : []),
    ...(happened(moment, 'budget.close') ? [] : [hears('budget.close', LEAD, 'budget.close', { reason: 'done' })]),
  ]),
  'that pauses, and that people look after': walkOf(['one', 'two'], { onExhausted: 'pause', thresholds: [10] }, (moment) => [
    ...(accountOf(moment, ROOT).limits[0]!.amount < 2_000n ? [hears('ann gives more', CLIENT, 'budget.raise', { nanos: '600', by: 'ann', why: 'go on' })] : []),
    hears('ann revokes', CLIENT, 'budget.freeze', { account: READER, frozen: true, revoke: true, by: 'ann', why: 'stop' }),
    hears('ann thaws', CLIENT, 'budget.freeze', { account: READER, frozen: false, revoke: false, by: 'ann', why: 'looked at' }),
  ]),
  'whose calls last long, and below which accounts are opened': walkOf(
    ['one', 'two'],
    { accounts: [{ id: ROOT, limits: [{ measure: 'money', amount: '700', window: 'total' }] }] },
    (moment) => [
      ...grantsOf(moment).map((grant): Happening => ({
        type: `${grant} goes on`,
        entry: ({ now }) => ({ from: SPENDER, at: now + WAIT_MS, message: message('budget.extend', { grant, deadline: now + 10 * GRANT_MS }) }),
      })),
      ...(happened(moment, 'budget.checkpoint')
        ? []
        : [
            {
              type: 'it is cut',
              entry: ({ now, state }: Moment) => ({
                from: CLIENT,
                at: now,
                message: message('budget.checkpoint', checkpointOf((state.snapshot.context as BudgetContext).desk, state.position)),
              }),
            },
          ]),
      hears('an account is opened', CLIENT, 'budget.open', { accounts: [{ id: `${ROOT}/other`, parent: ROOT, limits: [], sliceNanos: '100' }] }),
    ],
  ),
} satisfies Record<string, Walk>;

const walked = Object.entries(walks).map(([what, walk]) => ({ what, walk, paths: pathsOf(walk) }));

const answersOf = (outputs: Moment['taken'][number]['outputs']): Sent[] => outputs.filter((output) => output.kind === 'send');
const answersTo = (moment: Moment, grant: string): readonly Sent[] =>
  sentIn(moment).filter(({ type, data }) => (type === 'budget.granted' || type === 'budget.vetoed') && data['grant'] === grant);
const asked = (moment: Moment): ReadonlySet<string> =>
  new Set(moment.taken.flatMap(({ entry }) => (entry.message.type === 'budget.reserve' ? [entry.message.data.grant] : [])));
/** What of a grant was said before it was asked for, or before it was answered: nobody waits for an answer then. */
const withdrawn = (moment: Moment, grant: string): boolean => {
  const answered = moment.taken.findIndex(({ outputs }) =>
    answersOf(outputs).some(({ type, data }) => (type === 'budget.granted' || type === 'budget.vetoed') && data['grant'] === grant),
  );
  const ended = moment.taken.findIndex(
    ({ entry: { message: said } }) => (said.type === 'budget.release' || said.type === 'budget.settle') && said.data.grant === grant,
  );
  return ended >= 0 && (answered < 0 || ended < answered);
};

describe('the budget on every path', () => {
  it('takes each of its transitions', () => {
    expect(untaken()).toEqual([]);
    for (const { paths } of walked) expect(paths.length).toBeGreaterThan(500);
  });

  it('leaves every state in which it waits by an error, a cancel or a deadline too', () => {
    expect(trapped()).toEqual([]);
  });
});

describe.each(walked)('a budget $what, on every path', ({ walk, paths }) => {
  it('never has more spent and held than any limit and what was billed above its hold, and adds up (M1)', () => {
    everyPath(paths, (moment) => {
      const { tree, holds, overrun } = bookOf(moment);
      for (const { limits, spent, held, sliced } of valuesOf(tree)) {
        for (const { measure, amount } of limits) if (measure === 'money') expect(spent.money + held.money + sliced <= amount + overrun).toBe(true);
      }
      expect(accountOf(moment, ROOT).held.money).toBe(
        entriesOf(holds).reduce((sum, [, { state, amounts }]) => sum + (state === 'charged' ? 0n : amounts.money), 0n),
      );
      const unheld =
        sentIn(moment).some(({ type }) => type === 'budget.vetoed') ||
        happened(moment, 'budget.release') ||
        grantsOf(moment).some((grant) => withdrawn(moment, grant));
      if (!unheld) expect(overrun).toBe(0n);
    });
  });

  it('answers each grant that is asked for once, at the end of its wait at the latest, and a repetition not at all (B1, M2)', () => {
    everyPath(paths, (moment) => {
      const end = leftAlone(walk, moment);
      for (const grant of asked(moment)) {
        expect(answersTo(moment, grant).length).toBeLessThanOrEqual(1);
        if (!withdrawn(end, grant)) expect([grant, answersTo(end, grant).length]).toEqual([grant, 1]);
        for (const { to } of answersTo(end, grant)) expect(to).toBe(SPENDER);
      }
    });
  });

  it('lets nobody wait when nothing is held any more (M4)', () => {
    everyPath(paths, (moment) => {
      const { queue, holds } = bookOf(moment);
      if (queue.length > 0) expect(entriesOf(holds).some(([, { state }]) => state === 'held')).toBe(true);
    });
  });

  it('says the exact limit in a veto', () => {
    everyPath(paths, (moment) => {
      for (const { type, data } of answersOf(moment.taken.at(-1)!.outputs)) {
        if (type !== 'budget.vetoed') continue;
        const { code, details } = data['failure'] as { code: string; details: Record<string, string> };
        if (code === 'BUDGET_CLOSED') expect(happened(moment, 'budget.close')).toBe(true);
        else if (code === 'BUDGET_FROZEN') expect(accountOf(moment, ROOT).frozen || [...valuesOf(bookOf(moment).tree)].some(({ frozen }) => frozen)).toBe(true);
        else expect(BigInt(details['spent']!) + BigInt(details['held']!) + BigInt(details['asked']!) > BigInt(details['limit']!)).toBe(true);
      }
    });
  });

  it('grants in full or less, never less than is worth the call', () => {
    everyPath(paths, (moment) => {
      for (const { type, data } of sentIn(moment)) {
        if (type !== 'budget.granted') continue;
        const { maxTokens, amountNanos } = data as { maxTokens: number; amountNanos: string };
        expect(maxTokens >= quote.minTokens && maxTokens <= quote.maxTokens).toBe(true);
        expect(amountNanos).toBe(String(100 + maxTokens));
      }
    });
  });

  it('books what was spent once, in whatever state it is (B3, M5)', () => {
    everyPath(paths, (moment) => {
      const billed = new Set(moment.taken.flatMap(({ entry }) => (entry.message.type === 'budget.settle' ? [entry.message.data.grant] : [])));
      const charged = entriesOf(bookOf(moment).holds).reduce((sum, [, { state, amounts }]) => sum + (state === 'charged' ? amounts.money : 0n), 0n);
      expect(accountOf(moment, ROOT).spent.money).toBe(BigInt(SPENT) * BigInt(billed.size) + charged);
    });
  });

  it('holds nothing any more, watches nothing, and owes nobody an answer when nothing more is heard (M3)', () => {
    everyPath(paths, (moment) => {
      const end = leftAlone(walk, moment);
      expect(accountOf(end, ROOT).held.money).toBe(0n);
      expect([valueOf(end), end.state.timers, bookOf(end).queue]).toEqual(['quiet', {}, []]);
    });
  });

  it('grants nothing once it was asked to close (B2)', () => {
    everyPath(paths, (moment) => {
      const closed = moment.taken.findIndex(({ entry }) => entry.message.type === 'budget.close');
      if (closed < 0) return;
      expect(
        moment.taken
          .slice(closed)
          .flatMap(({ outputs }) => answersOf(outputs))
          .filter(({ type }) => type === 'budget.granted'),
      ).toEqual([]);
    });
  });

  it('says that it is closed when nothing is held any more, or after its time to drain (B2)', () => {
    everyPath(paths, (moment) => {
      const closings = moment.taken.filter(({ entry }) => entry.message.type === 'budget.close');
      expect(countSent(moment, 'budget.closed')).toBeLessThanOrEqual(closings.length);
      expect(countSent(leftAlone(walk, moment), 'budget.closed')).toBe(closings.length);
      const { entry, outputs } = moment.taken.at(-1)!;
      for (const { type, to, data } of answersOf(outputs)) {
        if (type !== 'budget.closed') continue;
        expect(to).toBe(LEAD);
        expect(data['heldNanos'] === '0' || closings.some(({ entry: { at } }) => entry.at >= at + DRAIN_MS)).toBe(true);
      }
    });
  });

  it('grants nothing while it is frozen, and tells the holders of grants to stop when they are revoked', () => {
    everyPath(paths, (moment) => {
      const { entry, outputs } = moment.taken.at(-1)!;
      if (accountOf(moment, READER)?.frozen) expect(answersOf(outputs).filter(({ type }) => type === 'budget.granted')).toEqual([]);
      if (entry.message.type !== 'budget.freeze' || !entry.message.data.revoke) return;
      const held = entriesOf(bookOf(moment).holds).flatMap(([grant, { state }]) => (state === 'held' ? [grant] : []));
      expect(
        answersOf(outputs)
          .flatMap(({ type, data }) => (type === 'budget.revoked' ? [data['grant'] as string] : []))
          .toSorted(),
      ).toEqual(held.toSorted());
    });
  });

  it('tells whoever paused that there is more, once for each raise and thaw', () => {
    everyPath(paths, (moment) => {
      let waiting = new Set<string>();
      for (const { entry, outputs } of moment.taken) {
        const said = answersOf(outputs);
        const lifts = entry.message.type === 'budget.raise' || (entry.message.type === 'budget.freeze' && !entry.message.data.frozen);
        expect(
          said
            .filter(({ type }) => type === 'budget.raised')
            .map(({ to }) => to)
            .toSorted(),
        ).toEqual(lifts ? [...waiting].toSorted() : []);
        if (lifts) waiting = new Set();
        for (const { type, to, data } of said) {
          if ((type === 'budget.vetoed' || type === 'budget.revoked') && (data['failure'] as { details: { pause?: boolean } }).details.pause === true)
            waiting.add(to);
          if (type === 'budget.paused' && to === LEAD) waiting.add(to);
        }
      }
    });
  });
});
