/**
 * Money: integer nano-dollars. `bigint` in code, a decimal string on the wire, never a float.
 *
 * Prices are per million tokens, in nano-dollars, so one token of a cheap model may cost a fraction of a nano-dollar.
 * Whoever reserves rounds up; whoever settles rounds up too, so the ledger is never below the bill.
 */
import { z } from 'zod';

/** Nano-dollars on the wire: a decimal string, not negative. */
export const Nanos = z.string().regex(/^\d{1,30}$/, 'expected nano-dollars as a decimal string');
export type Nanos = z.infer<typeof Nanos>;

const NANOS_PER_DOLLAR = 1_000_000_000n;
const TOKENS_PER_PRICE = 1_000_000n;

/** What a model costs: nano-dollars per million tokens. `perCallNanos` is a flat fee for each call. */
export const Rates = z.object({
  inputNanosPerMtok: Nanos,
  outputNanosPerMtok: Nanos,
  cachedInputNanosPerMtok: Nanos.optional(),
  perCallNanos: Nanos.optional(),
});
export type Rates = z.infer<typeof Rates>;

/** What a call used, as its provider reported it. `cachedInputTokens` is a part of `inputTokens`, `reasoningTokens` a part of `outputTokens`. */
export const Usage = z.object({
  inputTokens: z.number().int().nonnegative(),
  outputTokens: z.number().int().nonnegative(),
  cachedInputTokens: z.number().int().nonnegative().default(0),
  reasoningTokens: z.number().int().nonnegative().default(0),
});
export type Usage = z.infer<typeof Usage>;

export const noUsage: Usage = { inputTokens: 0, outputTokens: 0, cachedInputTokens: 0, reasoningTokens: 0 };

export const tokensCost = (tokens: number, nanosPerMtok: bigint): bigint => (BigInt(tokens) * nanosPerMtok + TOKENS_PER_PRICE - 1n) / TOKENS_PER_PRICE;

/** How many whole tokens `nanos` buys; a price of 0 buys any number. */
export const tokensFor = (nanos: bigint, nanosPerMtok: bigint): number => {
  if (nanosPerMtok === 0n) return Number.MAX_SAFE_INTEGER;
  if (nanos <= 0n) return 0;
  const tokens = (nanos * TOKENS_PER_PRICE) / nanosPerMtok;
  return tokens > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(tokens);
};

/** What `usage` costs at `rates`, rounded up for each kind of token. Cached input without a rate of its own costs the full input rate. */
export const usageCost = (usage: Usage, rates: Rates): bigint => {
  const input = BigInt(rates.inputNanosPerMtok);
  const cached = BigInt(rates.cachedInputNanosPerMtok ?? rates.inputNanosPerMtok);
  const cachedTokens = Math.min(usage.cachedInputTokens, usage.inputTokens);
  return (
    tokensCost(usage.inputTokens - cachedTokens, input) +
    tokensCost(cachedTokens, cached) +
    tokensCost(usage.outputTokens, BigInt(rates.outputNanosPerMtok)) +
    BigInt(rates.perCallNanos ?? '0')
  );
};

/** Dollars as people write them (`0.5`, `$2`, `1e-4` is not accepted) to nano-dollars; `undefined` if it is no such amount or finer than a nano-dollar. */
export const parseDollars = (text: string): bigint | undefined => {
  const match = /^\$?(\d{1,12})(?:\.(\d{1,9}))?$/.exec(text.trim());
  if (!match) return undefined;
  return BigInt(match[1]!) * NANOS_PER_DOLLAR + BigInt((match[2] ?? '').padEnd(9, '0'));
};

/** Nano-dollars for people: exact, at least four decimals, no trailing zeros beyond them. */
export const formatDollars = (nanos: bigint): string => {
  const sign = nanos < 0n ? '-' : '';
  const absolute = nanos < 0n ? -nanos : nanos;
  const fraction = (absolute % NANOS_PER_DOLLAR)
    .toString()
    .padStart(9, '0')
    .replace(/0{1,5}$/, '');
  return `${sign}$${absolute / NANOS_PER_DOLLAR}.${fraction}`;
};
