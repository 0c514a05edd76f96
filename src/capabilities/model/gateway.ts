/**
 * The one door to models: which adapter serves `provider/name`, what a call can cost at most, and what it did cost.
 *
 *   G1  A quote is never below the bill: the adapter's bound for the input and the cap for the output, at the dearest rates.
 *   G2  No call without a grant, and none above its cap.
 *   G3  An attempt that failed costs what was counted; where nobody knows, the whole grant.
 */
import type { Quote } from '../../protocols/budget.ts';
import { failureOf, TroupeError, type Failure } from '../../protocols/failure.ts';
import type { Grant } from '../../protocols/grant.ts';
import type { ModelRequest } from '../../protocols/model.ts';
import { tokensCost, type Usage } from '../../protocols/money.ts';
import { ModelError, type CallOptions, type ModelAdapter, type ModelAnswer, type ToolSpec } from './port.ts';
import { ratesAt, type Prices } from './prices.ts';

export type GatewayOptions = {
  readonly adapters: readonly ModelAdapter[];
  readonly prices: Prices;
  /** The tools of these names as models are told of them. */
  readonly toolSpecs: (names: readonly string[]) => readonly ToolSpec[];
};

/** What a failed attempt is booked with. `unused`: nothing, and its grant goes back. */
export type FailedCost = { readonly spentNanos: bigint; readonly usage: Usage } | 'unused';

export type ModelGateway = {
  /** G1. Pure. Errors: MODEL_UNKNOWN, PRICE_UNKNOWN. */
  quote(request: ModelRequest): Quote;
  /** One physical attempt. Throws `ModelError`, or GRANT_USED and GRANT_EXPIRED; `costOf` says what that cost. */
  call(
    request: ModelRequest,
    grant: Grant,
    options: Pick<CallOptions, 'signal' | 'onText'>,
  ): Promise<{ readonly reply: ModelAnswer; readonly spentNanos: bigint }>;
  /** G3, for whatever `call` threw. */
  costOf(thrown: unknown, request: ModelRequest, grant: Grant): FailedCost;
  /** Before a run: whether the model is known, has a price and can be called. */
  check(model: string): Failure | undefined;
};

export const createModelGateway = ({ adapters, prices, toolSpecs }: GatewayOptions): ModelGateway => {
  const byProvider = new Map(adapters.map((adapter) => [adapter.provider, adapter]));

  const adapterOf = (model: string): ModelAdapter => {
    const slash = model.indexOf('/');
    const adapter = slash > 0 && slash < model.length - 1 ? byProvider.get(model.slice(0, slash)) : undefined;
    if (adapter) return adapter;
    const known = [...byProvider.keys()].map((provider) => `${provider}/*`);
    throw new TroupeError('MODEL_UNKNOWN', `unknown model "${model}"; expected provider/name, known: ${known.join(', ')}`, { details: { model, known } });
  };

  const toolsOf = ({ tools, handoffs = [] }: ModelRequest): readonly ToolSpec[] => [...toolSpecs(tools), ...handoffs];

  const boundOf = (request: ModelRequest): number => adapterOf(request.model).inputTokenBound(request, toolsOf(request));

  return {
    quote(request) {
      const inputTokens = boundOf(request);
      const rates = ratesAt(prices.get(request.model), inputTokens);
      const input = largest(BigInt(rates.inputNanosPerMtok), BigInt(rates.cachedInputNanosPerMtok ?? '0'));
      // A bill rounds cached and other input up each for itself: together at most one nano-dollar above the sum.
      const rounding = rates.cachedInputNanosPerMtok === undefined ? 0n : 1n;
      return {
        model: request.model,
        fixedNanos: (tokensCost(inputTokens, input) + rounding + BigInt(rates.perCallNanos ?? '0')).toString(),
        outputNanosPerMtok: rates.outputNanosPerMtok,
        maxTokens: request.maxTokens,
        minTokens: Math.min(request.minTokens, request.maxTokens),
        inputTokens,
        priceHash: prices.hash,
        timeoutMs: request.timeoutMs,
        ...(request.purpose && { purpose: request.purpose }),
        ...(request.hasCheaper && { hasCheaper: true }),
      };
    },

    async call(request, grant, options) {
      const adapter = adapterOf(request.model);
      prices.get(request.model);
      const reply = await adapter.call(request, grant, { ...options, tools: toolsOf(request) });
      return { reply, spentNanos: prices.cost(request.model, reply.usage) };
    },

    costOf(thrown, request, grant) {
      if (neverMade(thrown)) return 'unused';
      if (thrown instanceof ModelError && typeof thrown.billing === 'object') {
        return { spentNanos: prices.cost(request.model, thrown.billing), usage: thrown.billing };
      }
      const outputTokens = Math.min(request.maxTokens, grant.maxTokens);
      return { spentNanos: grant.amountNanos, usage: { inputTokens: boundOf(request), outputTokens, cachedInputTokens: 0, reasoningTokens: 0 } };
    },

    check(model) {
      try {
        const adapter = adapterOf(model);
        prices.get(model);
        return adapter.ready?.();
      } catch (thrown) {
        return failureOf(thrown);
      }
    },
  };
};

/** GRANT_USED is not among them: the call that used the grant first may still be paid from it. */
const neverMade = (thrown: unknown): boolean => {
  if (thrown instanceof ModelError) return thrown.billing === 'none';
  return thrown instanceof TroupeError && ['GRANT_EXPIRED', 'MODEL_UNKNOWN', 'PRICE_UNKNOWN'].includes(thrown.code);
};

const largest = (a: bigint, b: bigint): bigint => (a > b ? a : b);
