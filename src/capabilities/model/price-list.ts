/**
 * The prices that Troupe knows, as data. One version of the list has one day on which its prices were those that the providers
 * ask; a change of prices is a new version. Dollars per million tokens, written as decimals so that no price goes through a float.
 *
 * Where input that goes into the provider's cache costs more than other input, the dearer price stands as `input`, or as
 * `cache_write` beside it, which comes to the same: no provider's usage says which part went there. Thoughts are output.
 */

export type PriceRow = {
  /** `provider/name`; a `*` at the end stands for any rest. */
  readonly models: readonly string[];
  readonly input: string;
  readonly cached_input?: string;
  readonly cache_write?: string;
  readonly output: string;
  /** For the whole call, once its input has so many tokens. */
  readonly long?: { readonly from: number; readonly input: string; readonly cached_input?: string; readonly cache_write?: string; readonly output: string };
};

export type PriceList = { readonly version: string; readonly effective: string; readonly source: string; readonly rows: readonly PriceRow[] };

export const priceList: PriceList = {
  version: '2026-09-23',
  effective: '2026-09-23',
  source: 'https://openai.com/api/pricing, read through the data of genai-prices 0.1.8',
  rows: [
    { models: ['openai/gpt-3.5-turbo', 'openai/gpt-3.5-turbo-0125'], input: '0.5', output: '1.5' },
    { models: ['openai/gpt-4.1', 'openai/gpt-4.1-2025-04-14'], input: '2', cached_input: '0.5', output: '8' },
    { models: ['openai/gpt-4.1-mini', 'openai/gpt-4.1-mini-2025-04-14'], input: '0.4', cached_input: '0.1', output: '1.6' },
    { models: ['openai/gpt-4.1-nano', 'openai/gpt-4.1-nano-2025-04-14'], input: '0.1', cached_input: '0.025', output: '0.4' },
    { models: ['openai/gpt-4o', 'openai/gpt-4o-2024-08-06', 'openai/gpt-4o-2024-11-20'], input: '2.5', cached_input: '1.25', output: '10' },
    { models: ['openai/gpt-4o-2024-05-13'], input: '5', output: '15' },
    { models: ['openai/gpt-4o-mini', 'openai/gpt-4o-mini-2024-07-18'], input: '0.15', cached_input: '0.075', output: '0.6' },
    { models: ['openai/gpt-5', 'openai/gpt-5-2025-08-07'], input: '1.25', cached_input: '0.125', output: '10' },
    { models: ['openai/gpt-5-mini', 'openai/gpt-5-mini-2025-08-07'], input: '0.25', cached_input: '0.025', output: '2' },
    { models: ['openai/gpt-5-nano'], input: '0.05', cached_input: '0.005', output: '0.4' },
    { models: ['openai/gpt-5.1', 'openai/gpt-5.1-2025-11-13'], input: '1.25', cached_input: '0.125', output: '10' },
    { models: ['openai/gpt-5.2', 'openai/gpt-5.2-2025-12-11'], input: '1.75', cached_input: '0.175', output: '14' },
    { models: ['openai/gpt-5.3'], input: '1.75', cached_input: '0.175', output: '14' },
    {
      models: ['openai/gpt-5.4', 'openai/gpt-5.4-2026-03-05'],
      input: '2.5',
      cached_input: '0.25',
      output: '15',
      long: { from: 272_000, input: '5', cached_input: '0.5', output: '22.5' },
    },
    { models: ['openai/gpt-5.4-mini', 'openai/gpt-5.4-mini-2026-03-17'], input: '0.75', cached_input: '0.075', output: '4.5' },
    { models: ['openai/gpt-5.4-nano', 'openai/gpt-5.4-nano-2026-03-17'], input: '0.2', cached_input: '0.02', output: '1.25' },
    {
      models: ['openai/gpt-5.5', 'openai/gpt-5.5-2026-04-23', 'openai/gpt-5.5-2026-04-24'],
      input: '5',
      cached_input: '0.5',
      output: '30',
      long: { from: 272_000, input: '10', cached_input: '1', output: '45' },
    },
    {
      models: ['openai/gpt-5.6-luna'],
      input: '0.25',
      cached_input: '0.02',
      output: '1.2',
      long: { from: 272_000, input: '0.5', cached_input: '0.04', output: '1.8' },
    },
    {
      models: ['openai/gpt-5.6', 'openai/gpt-5.6-sol'],
      input: '5',
      cached_input: '0.4',
      output: '20',
      long: { from: 272_000, input: '10', cached_input: '0.8', output: '30' },
    },
    {
      models: ['openai/gpt-5.6-terra'],
      input: '2.5',
      cached_input: '0.2',
      output: '12',
      long: { from: 272_000, input: '5', cached_input: '0.4', output: '18' },
    },
    { models: ['openai/gpt-6-astra'], input: '12.5', cached_input: '1', output: '50', long: { from: 272_000, input: '25', cached_input: '2', output: '75' } },
    {
      models: ['openai/gpt-6-luna'],
      input: '0.125',
      cached_input: '0.01',
      output: '0.5',
      long: { from: 272_000, input: '0.25', cached_input: '0.02', output: '0.75' },
    },
    { models: ['openai/gpt-6-sol'], input: '2.5', cached_input: '0.2', output: '10', long: { from: 272_000, input: '5', cached_input: '0.4', output: '15' } },
    { models: ['openai/o1', 'openai/o1-2024-12-17'], input: '15', cached_input: '7.5', output: '60' },
    { models: ['openai/o3', 'openai/o3-2025-04-16'], input: '2', cached_input: '0.5', output: '8' },
    { models: ['openai/o3-mini', 'openai/o3-mini-2025-01-31'], input: '1.1', cached_input: '0.55', output: '4.4' },
    { models: ['openai/o4-mini', 'openai/o4-mini-2025-04-16'], input: '1.1', cached_input: '0.275', output: '4.4' },
    // They run in this process. The price is nominal, so that a budget means something without a provider.
    { models: ['extractive/*', 'scripted/*'], input: '0.02', output: '0.08' },
  ],
};
