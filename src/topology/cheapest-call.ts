/**
 * The least that has to be paid before an agent, or a team, can make any call, by the prices of the file and of the
 * installation; and the issue where an amount does not reach that far. Nothing is called and nothing is spent. Pure.
 */
import { formatDollars, type Rates } from '../protocols/money.ts';
import type { Catalogue } from './catalogue.ts';
import type { Hosted } from './hosted.ts';
import { lookUp } from './look-up.ts';
import type { Issue, Path } from './problem.ts';
import { candidatesOf, FREE, ratesOf, scriptedModels } from './resolve.ts';
import type { TeamFile } from './schema.ts';
import { usesIn } from './uses.ts';

type Call = { readonly agent: string; readonly model: string; readonly nanos: bigint };

export const ratesFor = (file: Hosted, model: string, { price }: Catalogue): Rates | undefined => {
  const own = lookUp(file.prices, model);
  if (own) return ratesOf(own);
  return scriptedModels(file).includes(model) ? FREE : price(model);
};

/** The least that a call of an agent can be granted for, by the cheapest of its models; none if no price is known. */
export const cheapestOf = (file: Hosted, name: string, catalogue: Catalogue): Call[] => {
  const agent = lookUp(file.agents, name);
  if (!agent) return [];
  const calls = candidatesOf(file, agent.model).flatMap((model): Call[] => {
    const rates = ratesFor(file, model, catalogue);
    return rates ? [{ agent: name, model, nanos: catalogue.cheapestCall(model, rates, agent.limits.max_tokens) }] : [];
  });
  return cheapest(calls);
};

/** Of a team, the cheapest of its members' calls. */
export const cheapestBelow = (file: TeamFile, hosted: Hosted, name: string, catalogue: Catalogue): Call[] => {
  const agent = lookUp(file.agents, name);
  if (agent?.kind !== 'team') return cheapestOf(hosted, name, catalogue);
  return cheapest(usesIn({ path: [], topology: agent.topology }).flatMap((use) => cheapestOf(hosted, use.name, catalogue)));
};

export const cheapest = (calls: readonly Call[]): Call[] => calls.toSorted((a, b) => (a.nanos < b.nanos ? -1 : 1)).slice(0, 1);

/** What has to be paid from `nanos` and cannot be. */
export const tooLittle = (path: Path, nanos: bigint, what: string, calls: readonly Call[], hint: string): Issue[] =>
  calls
    .filter((call) => nanos < call.nanos)
    .map(({ agent, model, nanos: needed }) => ({
      code: 'BUDGET_TOO_SMALL',
      path,
      message: `${formatDollars(nanos)} is too little for ${what}, one of ${agent} to ${model}, needs at least ${formatDollars(needed)}`,
      hint,
    }));
