/** The models, tools and prices that are there without asking, and the catalogue by which team files are checked. */
import { createExtractiveAdapter } from '../capabilities/model/extractive/adapter.ts';
import { createOpenAIAdapter } from '../capabilities/model/openai/adapter.ts';
import type { ModelAdapter } from '../capabilities/model/port.ts';
import { createPrices, type Prices } from '../capabilities/model/prices.ts';
import { createFileTools } from '../capabilities/tool/file-tools.ts';
import type { Tool } from '../capabilities/tool/port.ts';
import { fewestTokens } from '../actors/conversation.ts';
import type { ModelRequest } from '../protocols/model.ts';
import { tokensCost } from '../protocols/money.ts';
import type { Catalogue } from './catalogue.ts';

export const standardModels = (): ModelAdapter[] => [createOpenAIAdapter(), createExtractiveAdapter({ now: Date.now })];
export const standardTools = (): Tool[] => createFileTools();
export const standardPrices = (): Prices => createPrices();

/** As team files may name it. */
export const standardCatalogue = (): Catalogue => catalogueOf(standardModels(), standardTools());

export const catalogueOf = (models: readonly ModelAdapter[], tools: readonly Tool[]): Catalogue => {
  const prices = createPrices();
  return {
    tools: tools.map(({ name, needsFolder = false }) => ({ name, needsFolder })),
    providers: models.map(({ provider }) => provider),
    models: (provider) => models.find((adapter) => adapter.provider === provider)?.models,
    price: (model) => prices.find(model)?.rates,
    cheapestCall: (model, rates, maxTokens) => {
      const adapter = models.find(({ provider }) => model.startsWith(`${provider}/`));
      const minTokens = fewestTokens(maxTokens);
      const request: ModelRequest = { model, messages: [], tools: [], maxTokens, minTokens, timeoutMs: 1 };
      const inputTokens = adapter?.inputTokenBound(request, []) ?? 0;
      return (
        tokensCost(inputTokens, BigInt(rates.inputNanosPerMtok)) + tokensCost(minTokens, BigInt(rates.outputNanosPerMtok)) + BigInt(rates.perCallNanos ?? '0')
      );
    },
  };
};
