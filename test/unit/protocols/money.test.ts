import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatDollars, parseDollars, tokensCost, tokensFor, usageCost } from '../../../src/protocols/money.ts';

const amount = fc.bigInt({ min: 0n, max: 10n ** 20n });
const tokens = fc.integer({ min: 0, max: 10_000_000 });

describe('money', () => {
  it('rounds the price of tokens up, by less than one nano-dollar', () => {
    fc.assert(
      fc.property(tokens, amount, (count, rate) => {
        const exactMillionths = BigInt(count) * rate;
        const cost = tokensCost(count, rate);
        expect(cost * 1_000_000n >= exactMillionths).toBe(true);
        expect((cost - 1n) * 1_000_000n < exactMillionths).toBe(true);
      }),
    );
  });

  it('buys the most tokens that an amount covers, and not one more', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 10n ** 15n }), fc.bigInt({ min: 1n, max: 10n ** 12n }), (nanos, rate) => {
        const count = tokensFor(nanos, rate);
        expect(tokensCost(count, rate) <= nanos).toBe(true);
        if (count < Number.MAX_SAFE_INTEGER) expect(tokensCost(count + 1, rate) > nanos).toBe(true);
      }),
    );
  });

  it('buys nothing with a debt', () => {
    expect(tokensFor(-1n, 5n)).toBe(0);
  });

  it('bills cached input at its own rate, and at the full one where there is none', () => {
    const usage = { inputTokens: 1_000_000, outputTokens: 0, cachedInputTokens: 400_000, reasoningTokens: 0 };
    expect(usageCost(usage, { inputNanosPerMtok: '1000', outputNanosPerMtok: '9', cachedInputNanosPerMtok: '100' })).toBe(640n);
    expect(usageCost(usage, { inputNanosPerMtok: '1000', outputNanosPerMtok: '9' })).toBe(1000n);
  });

  it('reads what it writes', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 10n ** 20n }), (nanos) => {
        expect(parseDollars(formatDollars(nanos))).toBe(nanos);
      }),
    );
  });

  it.each(['', '-1', '1.0000000001', '1e-4', 'abc', '1,5', '.5'])('refuses %j as dollars', (text) => {
    expect(parseDollars(text)).toBeUndefined();
  });
});
