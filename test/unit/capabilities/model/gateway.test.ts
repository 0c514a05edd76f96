import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createModelGateway } from '../../../../src/capabilities/model/gateway.ts';
import { ModelError, type Billing, type ModelAdapter } from '../../../../src/capabilities/model/port.ts';
import { createPrices, ratesOf, type DollarRates } from '../../../../src/capabilities/model/prices.ts';
import { createScriptedAdapter } from '../../../../src/capabilities/model/scripted/adapter.ts';
import type { Script } from '../../../../src/capabilities/model/scripted/script.ts';
import { failure, type TroupeError } from '../../../../src/protocols/failure.ts';
import { Grant } from '../../../../src/protocols/grant.ts';
import { ModelRequest } from '../../../../src/protocols/model.ts';
import { tokensCost, usageCost } from '../../../../src/protocols/money.ts';

const inDollars = (prices: Record<string, DollarRates>) => Object.fromEntries(Object.entries(prices).map(([model, price]) => [model, ratesOf(model, price)]));

const request = (more: Partial<ModelRequest> = {}): ModelRequest =>
  ModelRequest.parse({ model: 'scripted/any', messages: [{ role: 'user', text: 'What is the capital of France?' }], maxTokens: 100, ...more });

const grantOf = (amountNanos: bigint, maxTokens = 100, deadline = Number.MAX_SAFE_INTEGER): Grant =>
  Grant.from({ grant: 'g#1', amountNanos: amountNanos.toString(), maxTokens, deadline, leftNanos: '0' });

const gatewayOf = (script: Script, more: readonly ModelAdapter[] = []) =>
  createModelGateway({
    adapters: [createScriptedAdapter(script), ...more],
    prices: createPrices(),
    toolSpecs: (names) => names.map((name) => ({ name, description: name, parameters: {} })),
  });

const signal = new AbortController().signal;

const caught = async (act: () => unknown): Promise<unknown> => {
  try {
    await act();
  } catch (thrown) {
    return thrown;
  }
  throw new Error('expected it to throw');
};

const failing = (provider: string, billing: Billing): ModelAdapter => ({
  provider,
  inputTokenBound: () => 10,
  call: () => Promise.reject(new ModelError('MODEL_UNAVAILABLE', 'gone', { billing, retryable: true })),
});

describe('the model gateway', () => {
  it('quotes at least what the call is billed, whatever is asked and answered (G1)', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'grapheme', maxLength: 400 }),
        fc.string({ unit: 'grapheme', maxLength: 900 }),
        fc.integer({ min: 1, max: 120 }),
        async (asked, answered, maxTokens) => {
          const gateway = gatewayOf(() => answered);
          const said = request({ messages: [{ role: 'user', text: asked }], maxTokens });
          const quote = gateway.quote(said);
          const bound = BigInt(quote.fixedNanos) + tokensCost(quote.maxTokens, BigInt(quote.outputNanosPerMtok));
          const { spentNanos } = await gateway.call(said, grantOf(bound, maxTokens), { signal });
          expect(spentNanos <= bound).toBe(true);
        },
      ),
    );
  });

  it('quotes at least any bill with that much input or less, cached in part or not (G1)', () => {
    const prices = createPrices(inDollars({ 'bound/odd': { input: '0.000001', cached_input: '0.000003', output: '0.7', per_call: '0.01' } }));
    fc.assert(
      fc.property(
        fc.constantFrom('bound/odd', 'openai/gpt-5.4', 'openai/gpt-4o'),
        fc.integer({ min: 0, max: 600_000 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (model, bound, part, cached) => {
          const adapter: ModelAdapter = { ...failing(model.split('/')[0]!, 'none'), inputTokenBound: () => bound };
          const quote = createModelGateway({ adapters: [adapter], prices, toolSpecs: () => [] }).quote(request({ model, maxTokens: 50 }));
          const inputTokens = Math.floor(bound * part);
          const usage = { inputTokens, cachedInputTokens: Math.floor(inputTokens * cached), outputTokens: 50, reasoningTokens: 0 };
          const price = prices.get(model);
          const rates = price.long && inputTokens >= price.long.fromInputTokens ? price.long.rates : price.rates;
          expect(usageCost(usage, rates) <= BigInt(quote.fixedNanos) + tokensCost(50, BigInt(quote.outputNanosPerMtok))).toBe(true);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('names the prices that a quote was made from', () => {
    expect(gatewayOf([]).quote(request())).toMatchObject({ priceHash: createPrices().hash, maxTokens: 100, minTokens: 16, model: 'scripted/any' });
  });

  it('never asks for more words than the whole answer may have', () => {
    expect(gatewayOf([]).quote(request({ maxTokens: 8 })).minTokens).toBe(8);
  });

  it('refuses a model that no adapter serves and lists those that are served', async () => {
    const thrown = (await caught(() => gatewayOf([]).quote(request({ model: 'gpt-x' })))) as TroupeError;
    expect(thrown.code).toBe('MODEL_UNKNOWN');
    expect(thrown.message).toBe('unknown model "gpt-x"; expected provider/name, known: scripted/*');
  });

  it('books what a failed attempt is known to have used (G3)', async () => {
    const usage = { inputTokens: 1_000_000, outputTokens: 1_000_000, cachedInputTokens: 0, reasoningTokens: 0 };
    const gateway = gatewayOf([{ error: { code: 'MODEL_BAD_REPLY', billing: usage } }]);
    const grant = grantOf(1n);
    const thrown = await caught(() => gateway.call(request(), grant, { signal }));
    expect(gateway.costOf(thrown, request(), grant)).toEqual({ spentNanos: 100_000_000n, usage });
  });

  it('books the whole grant when nobody knows what an attempt cost (G3)', async () => {
    const gateway = gatewayOf([{ error: { code: 'MODEL_UNAVAILABLE' } }]);
    const grant = grantOf(777n, 40);
    const thrown = await caught(() => gateway.call(request(), grant, { signal }));
    expect(gateway.costOf(thrown, request(), grant)).toMatchObject({ spentNanos: 777n, usage: { outputTokens: 40 } });
    expect(gateway.costOf(new TypeError('a bug'), request(), grant)).toMatchObject({ spentNanos: 777n });
  });

  it('gives the grant back when the call was refused or never made', async () => {
    const gateway = gatewayOf([{ error: { code: 'MODEL_RATE_LIMITED' } }, 'x']);
    const refused = grantOf(5n);
    expect(gateway.costOf(await caught(() => gateway.call(request(), refused, { signal })), request(), refused)).toBe('unused');
    const expired = grantOf(5n, 10, 1);
    expect(gateway.costOf(await caught(() => gateway.call(request(), expired, { signal })), request(), expired)).toBe('unused');
  });

  it('does not give a grant back that another call was made with', async () => {
    const gateway = gatewayOf(['once', 'twice']);
    const grant = grantOf(9n);
    await gateway.call(request(), grant, { signal });
    const thrown = await caught(() => gateway.call(request(), grant, { signal }));
    expect((thrown as TroupeError).code).toBe('GRANT_USED');
    expect(gateway.costOf(thrown, request(), grant)).toMatchObject({ spentNanos: 9n });
  });

  it('checks before a run that a model is known, has a price and is ready', () => {
    const unready: ModelAdapter = { ...failing('openai', 'none'), ready: () => failure('MODEL_UNAUTHORISED', 'no key') };
    const gateway = gatewayOf([], [unready]);
    expect(gateway.check('scripted/any')).toBeUndefined();
    expect(gateway.check('nobody/any')?.code).toBe('MODEL_UNKNOWN');
    expect(gateway.check('openai/not-priced')?.code).toBe('PRICE_UNKNOWN');
    expect(gateway.check('openai/gpt-4o')?.code).toBe('MODEL_UNAUTHORISED');
  });
});
