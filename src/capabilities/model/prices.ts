/**
 * What a model costs. The list (price-list.ts) is data; a team file may add prices or replace them. Everything that a quote was
 * made from has one hash, so that a reservation in a log names the prices behind it.
 */
import { createHash } from 'node:crypto';
import { distance } from 'fastest-levenshtein';
import { TroupeError } from '../../protocols/failure.ts';
import { formatDollars, parseDollars, usageCost, type Rates, type Usage } from '../../protocols/money.ts';
import { priceList, type PriceList } from './price-list.ts';

/** Rates by `provider/name`; `provider/*` is any model of a provider. */
export type PriceOverrides = Readonly<Record<string, Rates>>;
/** Dollars per million tokens, as people write them. */
export type DollarRates = {
  readonly input: string;
  readonly output: string;
  readonly cached_input?: string | undefined;
  /** Input that goes into the provider's cache. */
  readonly cache_write?: string | undefined;
  readonly per_call?: string | undefined;
};

export type Price = {
  readonly rates: Rates;
  /** The rates of a call whose input has at least `fromInputTokens`. */
  readonly long?: { readonly fromInputTokens: number; readonly rates: Rates };
};

/** A price and where it stands: under which name or pattern, in the list or in a team file. */
export type FoundPrice = Price & { readonly name: string; readonly from: 'list' | 'team' };

export type Prices = {
  /** sha256 over every price that can apply, in hex. */
  readonly hash: string;
  /** Of the list: its version, the day of its prices (YYYY-MM-DD) and where they were read. */
  readonly version: string;
  readonly effective: string;
  readonly source: string;
  /** The names and patterns that have a price. */
  readonly known: readonly string[];
  /** Of `provider/name`. Overrides are looked at first, and a name before a pattern, the longest pattern first. */
  find(model: string): FoundPrice | undefined;
  /** Errors: PRICE_UNKNOWN, with the nearest names. */
  get(model: string): FoundPrice;
  /** What a call costs that used so much. Errors: PRICE_UNKNOWN. */
  cost(model: string, usage: Usage): bigint;
  /** The same list with these before it, in place of those that were. */
  with(overrides: PriceOverrides): Prices;
};

/** The rates of a call with so much input. */
export const ratesAt = ({ rates, long }: Price, inputTokens: number): Rates => (long && inputTokens >= long.fromInputTokens ? long.rates : rates);

/** The list, with a team's own prices before it. */
export const createPrices = (overrides: PriceOverrides = {}, list: PriceList = priceList): Prices => {
  const own = new Map<string, Price>(Object.entries(overrides).map(([model, rates]) => [model, { rates }]));
  const listed = new Map<string, Price>();
  for (const { models, long, ...row } of list.rows) {
    for (const model of models) {
      listed.set(model, { rates: ratesOf(model, row), ...(long && { long: { fromInputTokens: long.from, rates: ratesOf(model, long) } }) });
    }
  }
  const known = [...new Set([...own.keys(), ...listed.keys()])].sort();
  const inTeam = finder('team', own);
  const inList = finder('list', listed);
  const find = (model: string): FoundPrice | undefined => inTeam(model) ?? inList(model);
  const get = (model: string): FoundPrice => {
    const price = find(model);
    if (price) return price;
    const near = nearest(model, known);
    throw new TroupeError(
      'PRICE_UNKNOWN',
      `no price is known for ${model}${near.length > 0 ? ` (nearest: ${near.join(', ')})` : ''}; ` +
        `add it to the team file, in dollars per million tokens: prices: { ${model}: { input: "0.15", output: "0.60" } }, or "0" for a local model`,
      { details: { model, nearest: near } },
    );
  };
  return {
    hash: createHash('sha256')
      .update(JSON.stringify([sorted(own), sorted(listed)]))
      .digest('hex'),
    version: list.version,
    effective: list.effective,
    source: list.source,
    known,
    find,
    get,
    cost: (model, usage) => usageCost(usage, ratesAt(get(model), usage.inputTokens)),
    with: (others) => createPrices(others, list),
  };
};

/** For people: `$0.1500 in, $0.6000 out per million tokens`. */
export const describeRates = ({ inputNanosPerMtok, outputNanosPerMtok }: Rates): string =>
  `${formatDollars(BigInt(inputNanosPerMtok))} in, ${formatDollars(BigInt(outputNanosPerMtok))} out per million tokens`;

/**
 * Which part of the input went into a cache is not reported, so where that is dearer all input costs as much. Thoughts are
 * output. Errors: PRICE_INVALID for what is not in dollars.
 */
export const ratesOf = (model: string, price: DollarRates): Rates => ({
  inputNanosPerMtok: dearest(nanos(model, 'input', price.input), nanos(model, 'cache_write', price.cache_write ?? '0')),
  outputNanosPerMtok: nanos(model, 'output', price.output),
  ...(price.cached_input !== undefined && { cachedInputNanosPerMtok: nanos(model, 'cached_input', price.cached_input) }),
  ...(price.per_call !== undefined && { perCallNanos: nanos(model, 'per_call', price.per_call) }),
});

const dearest = (one: string, other: string): string => (BigInt(other) > BigInt(one) ? other : one);

const nanos = (model: string, field: string, dollars: string): string => {
  const amount = parseDollars(dollars);
  if (amount === undefined)
    throw new TroupeError('PRICE_INVALID', `prices.${model}.${field}: expected dollars such as "0.15", found ${JSON.stringify(dollars)}`);
  return amount.toString();
};

const finder = (from: FoundPrice['from'], prices: ReadonlyMap<string, Price>): ((model: string) => FoundPrice | undefined) => {
  const found = new Map([...prices].map(([name, price]) => [name, { ...price, name, from }]));
  const patterns = [...found.values()].filter(({ name }) => name.endsWith('*')).sort((a, b) => b.name.length - a.name.length);
  return (model) => found.get(model) ?? patterns.find(({ name }) => model.startsWith(name.slice(0, -1)));
};

/** At most three, and none that has little in common with what was asked for. */
const nearest = (model: string, known: readonly string[]): string[] =>
  known
    .filter((name) => !name.endsWith('*'))
    .map((name) => ({ name, away: distance(model, name) }))
    .filter(({ name, away }) => away <= Math.ceil(name.length / 3))
    .sort((a, b) => a.away - b.away)
    .slice(0, 3)
    .map(({ name }) => name);

const sorted = (prices: ReadonlyMap<string, Price>): [string, Price][] => [...prices].sort(([a], [b]) => (a < b ? -1 : 1));
