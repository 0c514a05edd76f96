import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { closed, exhausted, expire, hold, left, offer, openAccount, release, settle, type Account } from '../../../src/actors/budget/policy.ts';
import { VetoDetails, type Quote } from '../../../src/protocols/budget.ts';

const quoteOf = (change: Partial<Quote> = {}): Quote => ({
  model: 'm',
  fixedNanos: '100',
  outputNanosPerMtok: '1000000',
  maxTokens: 400,
  minTokens: 200,
  inputTokens: 1,
  priceHash: 'p',
  ...change,
});

describe('an offer', () => {
  it.each([
    ['in full when all of it fits', 500n, {}, { nanos: 500n, maxTokens: 400 }],
    ['the largest cap that fits', 499n, {}, { nanos: 499n, maxTokens: 399 }],
    ['the smallest cap that is worth the call', 300n, {}, { nanos: 300n, maxTokens: 200 }],
    ['nothing below that', 299n, {}, undefined],
    ['nothing when not even the input fits', 99n, { minTokens: 0 }, undefined],
    ['nothing when the input of a model with free output does not fit', 99n, { outputNanosPerMtok: '0' }, undefined],
    ['everything when the output is free', 100n, { outputNanosPerMtok: '0' }, { nanos: 100n, maxTokens: 400 }],
    ['everything when the call is free, on an empty account', 0n, { fixedNanos: '0', outputNanosPerMtok: '0' }, { nanos: 0n, maxTokens: 400 }],
    ['a call whose whole answer is smaller than is worth it', 150n, { maxTokens: 50 }, { nanos: 150n, maxTokens: 50 }],
    ['a fraction of a nano-dollar a token, rounded up', 101n, { outputNanosPerMtok: '1', maxTokens: 7 }, { nanos: 101n, maxTokens: 7 }],
  ])('is %s', (_, limit, change, expected) => {
    expect(offer(openAccount('run', limit), quoteOf(change))).toEqual(expected);
  });

  it('does not count what others hold', () => {
    const account = hold(openAccount('run', 1_000n), 'one', { nanos: 700n, maxTokens: 1 }, 5);
    expect([left(account), offer(account, quoteOf())]).toEqual([300n, { nanos: 300n, maxTokens: 200 }]);
  });

  it('is never what the account has not got, and never more than was asked', () => {
    const amount = fc.bigInt({ min: 0n, max: 10n ** 12n });
    const price = fc.bigInt({ min: 0n, max: 10n ** 10n }).map(String);
    fc.assert(
      fc.property(amount, price, price, fc.nat(5_000), fc.nat(5_000), (limit, fixedNanos, outputNanosPerMtok, maxTokens, minTokens) => {
        const made = offer(openAccount('run', limit), quoteOf({ fixedNanos, outputNanosPerMtok, maxTokens, minTokens }));
        if (!made) return;
        expect(made.nanos <= limit && made.maxTokens <= maxTokens && made.maxTokens >= Math.min(minTokens, maxTokens)).toBe(true);
      }),
    );
  });
});

describe('a veto', () => {
  it('names the account, the limit, what is spent and held, and what was needed', () => {
    let account = hold(openAccount('r-1', 1_000_000n), 'one', { nanos: 600_000n, maxTokens: 1 }, 5);
    account = settle(account, 'other', 300_000n);
    const veto = exhausted(account, quoteOf({ fixedNanos: '100000' }));
    expect(veto.code).toBe('BUDGET_EXHAUSTED');
    expect(VetoDetails.parse(veto.details)).toEqual({
      account: 'r-1',
      limitNanos: '1000000',
      spentNanos: '300000',
      heldNanos: '600000',
      neededNanos: '100200',
      askedNanos: '100400',
    });
    for (const part of ['r-1', '$0.001', '$0.0003', '$0.0006', '$0.0001', '--budget']) expect(veto.message).toContain(part);
  });

  it('of a closed account says so (M4)', () => {
    expect(closed(openAccount('r-1', 1n))).toMatchObject({ code: 'BUDGET_CLOSED', retryable: false });
  });
});

describe('a grant', () => {
  const held = hold(openAccount('run', 1_000n), 'one', { nanos: 500n, maxTokens: 400 }, 50);

  it('is booked with what was billed, and the rest is free again', () => {
    expect(settle(held, 'one', 150n)).toMatchObject({ spent: 150n, held: 0n, overrun: 0n });
    expect(left(settle(held, 'one', 150n))).toBe(850n);
  });

  it('is booked in full when more was billed than was held, and the excess is told (M1)', () => {
    const account = settle(held, 'one', 1_200n);
    expect(account).toMatchObject({ spent: 1_200n, held: 0n, overrun: 700n });
    expect(left(account)).toBe(0n);
  });

  it('counts as spent in full from its deadline on, not before (M3)', () => {
    expect(expire(held, 49)).toBe(held);
    expect(expire(held, 50)).toMatchObject({ spent: 500n, held: 0n });
  });

  it.each([
    ['a bill', (account: Account) => settle(account, 'one', 150n), { spent: 150n, held: 0n, overrun: 0n }],
    ['a release', (account: Account) => release(account, 'one'), { spent: 0n, held: 0n }],
  ])('that expired is put right by %s that comes late (M3)', (_, late, expected) => {
    expect(late(expire(held, 50))).toMatchObject(expected);
  });

  it('that was billed cannot be given back (M2)', () => {
    const settled = settle(held, 'one', 150n);
    expect([release(settled, 'one'), expire(settled, 99), settle(settled, 'one', 7n)]).toEqual([settled, settled, settled]);
  });

  it('that was given back is still booked when a bill comes after all', () => {
    expect(settle(release(held, 'one'), 'one', 150n)).toMatchObject({ spent: 150n, held: 0n, overrun: 150n });
  });

  it('that nobody knows cannot be given back, and is booked when it is billed', () => {
    expect(release(held, 'other')).toBe(held);
    expect(settle(held, 'other', 5n)).toMatchObject({ spent: 5n, held: 500n });
  });
});

// --- whatever the order ----------------------------------------------------------------------------------------------------

type Doing =
  | { readonly what: 'reserve'; readonly grant: string; readonly fixed: number; readonly max: number; readonly min: number }
  | { readonly what: 'settle'; readonly grant: string; readonly share: number }
  | { readonly what: 'release'; readonly grant: string }
  | { readonly what: 'expire' };

const grantName = fc.constantFrom('a', 'b', 'c', 'd', 'e');
const doing: fc.Arbitrary<Doing> = fc.oneof(
  fc.record({ what: fc.constant('reserve' as const), grant: grantName, fixed: fc.nat(400), max: fc.nat(400), min: fc.nat(400) }),
  fc.record({ what: fc.constant('settle' as const), grant: grantName, share: fc.integer({ min: 0, max: 100 }) }),
  fc.record({ what: fc.constant('release' as const), grant: grantName }),
  fc.record({ what: fc.constant('expire' as const) }),
);

const LIFETIME = 3;
/** A provider bills a part of what it was held to. A call that was given back, or never granted, is not billed. */
const apply = (account: Account, now: number, one: Doing): Account => {
  const known = 'grant' in one ? account.grants[one.grant] : undefined;
  switch (one.what) {
    case 'reserve': {
      const made = known ? undefined : offer(account, quoteOf({ fixedNanos: String(one.fixed), maxTokens: one.max, minTokens: one.min }));
      return made ? hold(account, one.grant, made, now + LIFETIME) : account;
    }
    case 'settle':
      return known && known.state !== 'released' ? settle(account, one.grant, (known.nanos * BigInt(one.share)) / 100n) : account;
    case 'release':
      return release(account, one.grant);
    case 'expire':
      return expire(account, now);
  }
};

describe('an account, whatever is asked of it in whatever order', () => {
  const LIMIT = 1_000n;

  it('never has more spent and held than its limit, and its sums are those of its grants (M1)', () => {
    fc.assert(
      fc.property(fc.array(doing, { maxLength: 40 }), (all) => {
        let account = openAccount('run', LIMIT);
        all.forEach((one, now) => {
          account = apply(account, now, one);
          const sum = (...states: string[]) =>
            Object.values(account.grants).reduce((total, { state, nanos }) => total + (states.includes(state) ? nanos : 0n), 0n);
          expect(account.spent + account.held <= LIMIT && account.spent >= 0n && account.held >= 0n).toBe(true);
          expect([account.spent, account.held, account.overrun]).toEqual([sum('settled', 'expired'), sum('held'), 0n]);
        });
      }),
      { numRuns: 300 },
    );
  });

  it('is not changed by hearing the same thing twice (M2)', () => {
    fc.assert(
      fc.property(fc.array(doing, { maxLength: 30 }), (all) => {
        let account = openAccount('run', LIMIT);
        all.forEach((one, now) => {
          account = apply(account, now, one);
          const before = account;
          if (one.what === 'settle' && before.grants[one.grant]?.state !== 'settled') return; // it was passed over the first time
          if (one.what === 'reserve' && !before.grants[one.grant]) return; // it was vetoed
          expect(apply(account, now, one)).toEqual(before);
        });
      }),
      { numRuns: 300 },
    );
  });

  it('holds nothing any more once every deadline has passed (M3)', () => {
    fc.assert(
      fc.property(fc.array(doing, { maxLength: 30 }), (all) => {
        const account = all.reduce((before, one, now) => apply(before, now, one), openAccount('run', LIMIT));
        expect(expire(account, all.length + LIFETIME).held).toBe(0n);
      }),
    );
  });
});
