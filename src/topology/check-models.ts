/** The models that a file names: known, with a price, and a cheaper one that does cost less. Pure. */
import type { Rates } from '../protocols/money.ts';
import type { Catalogue } from './catalogue.ts';
import { ratesFor } from './cheapest-call.ts';
import type { Hosted } from './hosted.ts';
import { lookUp } from './look-up.ts';
import type { Issue, Path } from './problem.ts';
import { candidatesOf, providerOf, scriptedModels } from './resolve.ts';
import { knownHint } from './suggest.ts';

type ModelUse = { readonly path: Path; readonly model: string };

/** Each place where the file names a model, and not another place. */
const modelUses = (file: Hosted): ModelUse[] => [
  ...Object.entries(file.models).flatMap(([alias, candidates]) => candidates.map((model, index) => ({ path: ['models', alias, index], model }))),
  ...modelKeys(file).filter(({ model }) => model.includes('/')),
];

/** Each place where an agent names a model, by what stands there. */
const modelKeys = ({ agents }: Hosted): ModelUse[] =>
  Object.entries(agents).flatMap(([name, { model, cheaper_model: cheaper }]) => [
    { path: ['agents', name, 'model'], model },
    ...(cheaper === undefined ? [] : [{ path: ['agents', name, 'cheaper_model'], model: cheaper }]),
  ]);

export const modelIssues = (file: Hosted, { providers: installed, models, price }: Catalogue): Issue[] => {
  const scripted = scriptedModels(file);
  const providers = scripted.length > 0 ? [...new Set([...installed, 'scripted'])] : installed;
  const known = [...Object.keys(file.models), ...providers.map((provider) => `${provider}/*`)];
  const unknownNames = modelKeys(file)
    .filter(({ model }) => candidatesOf(file, model).length === 0)
    .map(({ path, model }): Issue => ({
      code: 'MODEL_UNKNOWN',
      path,
      message: `unknown model "${model}"`,
      hint: knownHint(model, known),
    }));
  const seen = new Set<string>();
  const badModels = modelUses(file).flatMap(({ path, model }): Issue[] => {
    if (!providers.includes(providerOf(model))) {
      return [
        { code: 'MODEL_UNKNOWN', path, message: `unknown provider "${providerOf(model)}" of model "${model}"`, hint: knownHint(providerOf(model), providers) },
      ];
    }
    if (scripted.includes(model)) return [];
    const served = providerOf(model) === 'scripted' && scripted.length > 0 ? scripted : models?.(providerOf(model));
    if (served && !served.includes(model)) return [{ code: 'MODEL_UNKNOWN', path, message: `unknown model "${model}"`, hint: knownHint(model, served) }];
    if (lookUp(file.prices, model) || price(model) || seen.has(model)) return [];
    seen.add(model);
    return [
      {
        code: 'PRICE_UNKNOWN',
        path,
        message: `no price is known for ${model}`,
        hint: `write it under prices: { ${model}: { input: , output: } }, in dollars per million tokens`,
      },
    ];
  });
  return [...unknownNames, ...badModels];
};

/** A cheaper model has to cost less than one, at least, of the models that it stands in for. */
export const cheaperIssues = (file: Hosted, catalogue: Catalogue): Issue[] =>
  Object.entries(file.agents).flatMap(([name, agent]): Issue[] => {
    if (agent.cheaper_model === undefined) return [];
    const ratesOfAll = (model: string) => candidatesOf(file, model).flatMap((one) => ratesFor(file, one, catalogue) ?? []);
    const own = ratesOfAll(agent.model);
    if (own.length === 0 || ratesOfAll(agent.cheaper_model).every((rates) => own.some((dearer) => costsLess(rates, dearer)))) return [];
    return [
      {
        code: 'MODEL_NOT_CHEAPER',
        severity: 'warning',
        path: ['agents', name, 'cheaper_model'],
        message: `"${agent.cheaper_model}" does not cost less than "${agent.model}"`,
        hint: '`troupe prices` says what models cost',
      },
    ];
  });

const costsLess = (one: Rates, other: Rates): boolean => {
  const pairs = [
    [one.inputNanosPerMtok, other.inputNanosPerMtok],
    [one.outputNanosPerMtok, other.outputNanosPerMtok],
    [one.perCallNanos ?? '0', other.perCallNanos ?? '0'],
  ].map(([a, b]) => [BigInt(a!), BigInt(b!)] as const);
  return pairs.every(([a, b]) => a <= b) && pairs.some(([a, b]) => a < b);
};
