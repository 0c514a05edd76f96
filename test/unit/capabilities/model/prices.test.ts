import { describe, expect, it } from 'vitest';
import { priceList } from '../../../../src/capabilities/model/price-list.ts';
import { createPrices, describeRates, ratesAt, ratesOf, type DollarRates } from '../../../../src/capabilities/model/prices.ts';
import { TroupeError } from '../../../../src/protocols/failure.ts';

const inDollars = (prices: Record<string, DollarRates>) => Object.fromEntries(Object.entries(prices).map(([model, price]) => [model, ratesOf(model, price)]));

const failureOf = (act: () => unknown): TroupeError => {
  try {
    act();
  } catch (thrown) {
    if (thrown instanceof TroupeError) return thrown;
  }
  throw new Error('expected a TroupeError');
};

describe('prices', () => {
  it('knows every listed model, once, at prices that are dollars', () => {
    const names = priceList.rows.flatMap(({ models }) => models);
    expect(new Set(names).size).toBe(names.length);
    const prices = createPrices();
    for (const name of names) expect(BigInt(prices.get(name).rates.outputNanosPerMtok)).toBeGreaterThan(0n);
  });

  it('never lists cached input dearer than input, or a long call cheaper than a short one', () => {
    for (const row of priceList.rows) {
      expect(Number(row.cached_input ?? 0)).toBeLessThanOrEqual(Number(row.input));
      if (row.long) expect(Number(row.long.input) >= Number(row.input) && Number(row.long.output) >= Number(row.output)).toBe(true);
    }
  });

  it('reads dollars per million tokens exactly', () => {
    expect(createPrices().get('openai/gpt-4o-mini').rates).toEqual({
      inputNanosPerMtok: '150000000',
      outputNanosPerMtok: '600000000',
      cachedInputNanosPerMtok: '75000000',
    });
    expect(describeRates(createPrices().get('openai/gpt-4o-mini').rates)).toBe('$0.1500 in, $0.6000 out per million tokens');
  });

  it('asks the dearer rates from the length on at which they begin', () => {
    const price = createPrices().get('openai/gpt-5.4');
    expect(ratesAt(price, 271_999).inputNanosPerMtok).toBe('2500000000');
    expect(ratesAt(price, 272_000).inputNanosPerMtok).toBe('5000000000');
  });

  it('prefers what the file says, then a name to a pattern, then the longer pattern', () => {
    const prices = createPrices(
      inDollars({
        'openai/*': { input: '1', output: '1' },
        'openai/local-*': { input: '0', output: '0' },
        'openai/gpt-4o': { input: '3', output: '3', per_call: '0.001' },
      }),
    );
    const input = (model: string) => prices.get(model).rates.inputNanosPerMtok;
    expect(input('openai/gpt-4o')).toBe('3000000000');
    expect(prices.get('openai/gpt-4o').rates.perCallNanos).toBe('1000000');
    expect(input('openai/local-llama')).toBe('0');
    expect(input('openai/gpt-4o-mini')).toBe('1000000000');
    expect(input('extractive/classic')).toBe('20000000');
  });

  it('says under which name a price stands, and whether a team set it', () => {
    const prices = createPrices().with(inDollars({ 'openai/gpt-4o': { input: '3', output: '3' }, 'mine/*': { input: '0', output: '0' } }));
    const whence = (model: string) => ({ name: prices.get(model).name, from: prices.get(model).from });
    expect(whence('openai/gpt-4o')).toEqual({ name: 'openai/gpt-4o', from: 'team' });
    expect(whence('mine/any')).toEqual({ name: 'mine/*', from: 'team' });
    expect(whence('openai/gpt-4.1')).toEqual({ name: 'openai/gpt-4.1', from: 'list' });
    expect(whence('extractive/classic')).toEqual({ name: 'extractive/*', from: 'list' });
    expect(prices.hash).not.toBe(createPrices().hash);
    expect(prices.with({}).hash).toBe(createPrices().hash);
    expect(prices).toMatchObject({ version: priceList.version, effective: priceList.effective, source: priceList.source });
  });

  it('costs each kind of token at its own rate, thoughts as output, a whole long call at the dearer ones', () => {
    const prices = createPrices(inDollars({ 'mine/a': { input: '2', cached_input: '0.5', output: '8', per_call: '0.001' } }));
    const usage = { inputTokens: 1_000, cachedInputTokens: 400, outputTokens: 500, reasoningTokens: 450 };
    expect(prices.cost('mine/a', usage)).toBe(1_200_000n + 200_000n + 4_000_000n + 1_000_000n);
    const long = { ...usage, inputTokens: 272_000, cachedInputTokens: 0 };
    expect(prices.cost('openai/gpt-5.4', long)).toBe(272_000n * 5_000n + 500n * 22_500n);
  });

  it('takes all input for written to the cache where that is dearer, since no usage says how much was', () => {
    const price = (cacheWrite: string) => ratesOf('mine/a', { input: '4', cached_input: '0.4', cache_write: cacheWrite, output: '20' });
    expect(price('5')).toMatchObject({ inputNanosPerMtok: '5000000000', cachedInputNanosPerMtok: '400000000' });
    expect(price('3')).toEqual(ratesOf('mine/a', { input: '4', cached_input: '0.4', output: '20' }));
  });

  it('refuses a model without a price, names the nearest and says what to do', () => {
    const thrown = failureOf(() => createPrices().get('openai/gpt-4o-mni'));
    expect(thrown.code).toBe('PRICE_UNKNOWN');
    expect(thrown.message).toContain('nearest: openai/gpt-4o-mini');
    expect(thrown.message).toContain('prices: { openai/gpt-4o-mni: { input: "0.15", output: "0.60" } }');
    expect(failureOf(() => createPrices().get('elsewhere/something-else')).message).not.toContain('nearest');
  });

  it('refuses an override that is not in dollars', () => {
    const thrown = failureOf(() => createPrices(inDollars({ 'openai/x': { input: '1,5', output: '1' } })));
    expect(thrown.code).toBe('PRICE_INVALID');
    expect(thrown.message).toBe('prices.openai/x.input: expected dollars such as "0.15", found "1,5"');
  });

  it('has one hash for the same prices in any order, and another one when a price changes', () => {
    const a = { input: '1', output: '2' };
    const b = { input: '3', output: '4' };
    expect(createPrices(inDollars({ 'x/a': a, 'x/b': b })).hash).toBe(createPrices(inDollars({ 'x/b': b, 'x/a': a })).hash);
    expect(createPrices(inDollars({ 'x/a': a, 'x/b': b })).hash).not.toBe(createPrices(inDollars({ 'x/a': b, 'x/b': a })).hash);
    expect(createPrices(inDollars({ 'x/a': a })).hash).not.toBe(createPrices().hash);
    expect(createPrices().hash).toMatch(/^[0-9a-f]{64}$/);
  });
});
