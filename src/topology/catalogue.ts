/** What a team file is checked against: the tools, models and prices of this installation. Only the shape; who fills it in stands elsewhere. */
import type { Rates } from '../protocols/money.ts';

/** What is installed and known, as far as a file may name it. */
export type Catalogue = {
  readonly tools: readonly { readonly name: string; readonly needsFolder: boolean }[];
  /** The parts of model references before the slash. */
  readonly providers: readonly string[];
  /** The models of a provider, as `provider/name`; `undefined` if nobody knows them all. */
  readonly models?: (provider: string) => readonly string[] | undefined;
  /** Of the price table; `undefined` if it has none for this model. */
  readonly price: (model: string) => Rates | undefined;
  /** The least that one call with at most `maxTokens` tokens of output can be granted for, nano-dollars. */
  readonly cheapestCall: (model: string, rates: Rates, maxTokens: number) => bigint;
};
