import { describe, expect, it } from 'vitest';
import type { BudgetContext } from '../../src/actors/budget/machine.ts';
import type { Address } from '../../src/protocols/ids.ts';
import { charts } from '../../src/topology/charts.ts';
import { countSent, everyPath, happened, hears, leftAlone, pathsOf, sentIn, watched, type Moment, type Sent, type Walk } from '../support/chart-walk.ts';

const SPENDER = 'r-model.worker.reader.s1-1' as Address;
const LEAD = 'r-model.supervisor' as Address;
const LIMIT = 1_000n;
const GRANTS = ['one', 'two', 'three'];
const SPENT = '150';

/** 500 nano-dollars in full, 300 at least: two fit, a third one only when something came back. */
const quote = { model: 'm', fixedNanos: '100', outputNanosPerMtok: '1000000', maxTokens: 400, minTokens: 200, inputTokens: 1, priceHash: 'p' };
const usage = { inputTokens: 1, outputTokens: 50, cachedInputTokens: 0, reasoningTokens: 0 };

const { chart, untaken } = watched(charts.budget);
const contextOf = (moment: Moment): BudgetContext => moment.state.snapshot.context as BudgetContext;
const valueOf = (moment: Moment): unknown => moment.state.snapshot.value;

const walk: Walk = {
  address: 'r-model.budget' as Address,
  definition: { chart, input: { name: 'r-model', limitNanos: LIMIT.toString(), grantMs: 1_000, drainMs: 2_500 } },
  messages: (moment) => [
    ...GRANTS.map((grant) => hears(`${grant} is asked for`, SPENDER, 'budget.reserve', { grant, quote })),
    ...Object.keys(contextOf(moment).account.grants).flatMap((grant) => [
      hears(`${grant} is settled`, SPENDER, 'budget.settle', { grant, spentNanos: SPENT, usage, model: 'm' }),
      hears(`${grant} is released`, SPENDER, 'budget.release', { grant, reason: 'not made' }),
    ]),
    hears('budget.close', LEAD, 'budget.close', { reason: 'done' }),
  ],
  results: () => ({}),
  counters: (moment) => {
    const { account, closer } = contextOf(moment);
    return [
      closer,
      account.spent.toString(),
      account.held.toString(),
      Object.entries(account.grants)
        .map(([grant, { state }]) => `${grant} ${state}`)
        .toSorted(),
    ];
  },
};

const paths = pathsOf(walk);

const answersOf = (outputs: Moment['taken'][number]['outputs']): Sent[] => outputs.filter((output) => output.kind === 'send');

describe('the budget on every path', () => {
  it('takes each of its transitions', () => {
    expect(untaken()).toEqual([]);
    expect(paths.length).toBeGreaterThan(500);
  });

  it('never has more spent and held than its limit and what was billed without a grant, and adds up (M1)', () => {
    everyPath(paths, (moment) => {
      const { spent, held, overrun, grants } = contextOf(moment).account;
      const sum = (...states: string[]) => Object.values(grants).reduce((total, { state, nanos }) => total + (states.includes(state) ? nanos : 0n), 0n);
      expect(spent + held <= LIMIT + overrun).toBe(true);
      if (!happened(moment, 'budget.release')) expect(overrun).toBe(0n); // only what was given back can be billed above its bound here
      expect([spent, held]).toEqual([sum('settled', 'expired'), sum('held')]);
    });
  });

  it('answers a new request by exactly one of granted and vetoed, and one that is decided by neither (B1)', () => {
    everyPath(paths, (moment) => {
      const granted = new Set<string>();
      let closing = false;
      for (const { entry, outputs } of moment.taken) {
        closing ||= entry.message.type === 'budget.close';
        const said = answersOf(outputs).filter(({ type }) => type !== 'budget.closed');
        if (entry.message.type !== 'budget.reserve') {
          expect(said).toEqual([]);
          continue;
        }
        const { grant } = entry.message.data;
        expect(said.length).toBe(granted.has(grant) && !closing ? 0 : 1);
        for (const { type, to, data } of said) {
          expect([to, data['grant']]).toEqual([SPENDER, grant]);
          if (type === 'budget.granted') granted.add(grant);
        }
      }
    });
  });

  it('says the exact limit in a veto', () => {
    everyPath(paths, (moment) => {
      const last = answersOf(moment.taken.at(-1)!.outputs)[0];
      if (last?.type !== 'budget.vetoed') return;
      const failure = last.data['failure'] as { code: string; details: Record<string, string> };
      if (failure.code === 'BUDGET_CLOSED') return expect(happened(moment, 'budget.close')).toBe(true);
      const { limitNanos, spentNanos, heldNanos, neededNanos } = failure.details;
      expect(limitNanos).toBe(LIMIT.toString());
      expect(BigInt(spentNanos!) + BigInt(heldNanos!) + BigInt(neededNanos!) > LIMIT).toBe(true);
    });
  });

  it('grants nothing once it was asked to close (B2, M4)', () => {
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
      const { entry, outputs } = moment.taken.at(-1)!;
      const said = answersOf(outputs).filter(({ type }) => type === 'budget.closed');
      if (said.length === 0) return;
      expect(said.map(({ to }) => to)).toEqual([LEAD]);
      const drained = moment.taken.some(({ happening }) => happening.includes('drainMs'));
      expect(said[0]!.data['heldNanos'] === '0' || drained).toBe(true);
      expect(entry.message.type).not.toBe('budget.reserve');
    });
  });

  it('closes once it was asked to, when nothing more is heard (B2)', () => {
    everyPath(paths, (moment) => {
      if (!happened(moment, 'budget.close')) return;
      const end = leftAlone(walk, moment);
      expect(valueOf(end)).toBe('closed');
      expect(countSent(end, 'budget.closed')).toBeGreaterThanOrEqual(1);
    });
  });

  it('books what was spent in whatever state it is (B3)', () => {
    everyPath(paths, (moment) => {
      const settled = new Set(moment.taken.flatMap(({ entry }) => (entry.message.type === 'budget.settle' ? [entry.message.data.grant] : [])));
      for (const grant of settled) expect(contextOf(moment).account.grants[grant]).toMatchObject({ state: 'settled', nanos: BigInt(SPENT) });
    });
  });

  it('counts a grant as spent at the latest two lifetimes after it was made, while it is open (M3)', () => {
    everyPath(paths, (moment) => {
      const end = leftAlone(walk, moment);
      if (happened(moment, 'budget.close')) return;
      expect(contextOf(end).account.held).toBe(0n);
      expect(valueOf(end)).toEqual({ open: 'quiet' });
      expect(end.now - moment.now).toBeLessThanOrEqual(3_000);
    });
  });

  it('grants in full or less, never less than is worth the call, and holds what it grants', () => {
    everyPath(paths, (moment) => {
      for (const { type, data } of sentIn(moment)) {
        if (type !== 'budget.granted') continue;
        const { maxTokens, amountNanos } = data as { maxTokens: number; amountNanos: string };
        expect(maxTokens >= quote.minTokens && maxTokens <= quote.maxTokens).toBe(true);
        expect(amountNanos).toBe(String(100 + maxTokens));
        expect(contextOf(moment).account.grants).toHaveProperty([data['grant'] as string]);
      }
      expect(sentIn(moment).filter(({ data }) => data['maxTokens'] !== undefined).length).toBe(Object.keys(contextOf(moment).account.grants).length);
    });
  });
});
