/** What agents work with: the models and tools of each team, and the runners that stand behind the effects of their charts. */
import { createModelGateway, type ModelGateway } from '../capabilities/model/gateway.ts';
import type { ModelAdapter } from '../capabilities/model/port.ts';
import { createPrices } from '../capabilities/model/prices.ts';
import { createScriptedAdapter } from '../capabilities/model/scripted/adapter.ts';
import type { Tool } from '../capabilities/tool/port.ts';
import { createToolbox, type Toolbox } from '../capabilities/tool/toolbox.ts';
import { paidBy } from '../actors/model-call.ts';
import type { Quote } from '../protocols/budget.ts';
import { failureOf, TroupeError, type Failure } from '../protocols/failure.ts';
import { parseFormat } from '../protocols/formats.ts';
import type { Grant } from '../protocols/grant.ts';
import type { Address } from '../protocols/ids.ts';
import type { ModelReply, ModelRequest } from '../protocols/model.ts';
import { noUsage } from '../protocols/money.ts';
import type { ToolRequest } from '../protocols/tool.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Pace, Passage, RateLimit } from '../runtime/pace.ts';
import type { EffectContext, EffectResult, Runners } from '../runtime/effects.ts';
import { callerAt, cheaperOf, type Models } from './cast.ts';
import { hostedAgents, type Team } from './team.ts';

type Parts = { readonly gateway: ModelGateway; readonly toolbox: Toolbox; readonly countsTools: boolean };

/** Teams whose parts are kept. */
const PARTS_MAX = 32;

/**
 * What is wrong with an agent's value that its JSON Schema cannot say, in words for its model, which may put it right; `undefined`:
 * nothing. The value may miss the schema too: its model is told of that first.
 */
export type CheckOutput = (output: unknown, agent: string) => Promise<string | undefined>;

export type WorkshopOptions = {
  /** Every model that teams may name, by provider. */
  readonly models: readonly ModelAdapter[];
  readonly tools: readonly Tool[];
  /** Looks at answers that have a form. */
  readonly checkOutput?: CheckOutput;
  readonly clock: Clock;
  /** How fast models are asked, together with the other processes of the bus; without it as fast as may be. */
  readonly pace?: Pace;
};

export class Workshop {
  readonly #options: WorkshopOptions;
  readonly #parts = new Map<string, Parts>();

  constructor(options: WorkshopOptions) {
    this.#options = options;
  }

  /** What all runs of one team share. */
  #partsOf(team: Team): Parts {
    const known = this.#parts.get(team.hash);
    if (known) return known;
    const toolbox = createToolbox({
      tools: this.#options.tools,
      folders: team.folders,
      allowed: Object.fromEntries(hostedAgents(team).map(({ name, tools }) => [name, tools])),
      now: () => this.#options.clock.now(),
    });
    const scripted = team.scripts && createScriptedAdapter(team.scripts);
    const adapters = scripted ? [...this.#options.models, scripted] : this.#options.models;
    const gateway = createModelGateway({ adapters, prices: createPrices(team.prices), toolSpecs: toolbox.specs });
    if (this.#parts.size >= PARTS_MAX) this.#parts.delete(this.#parts.keys().next().value!);
    const parts = { toolbox, gateway, countsTools: countsTools(team) };
    this.#parts.set(team.hash, parts);
    return parts;
  }

  /** The first of each agent's models that can be called as things stand, and of its cheaper ones. Errors: MODEL_NOT_READY, MODEL_SETTING_INVALID. */
  chooseModels(team: Team): Models {
    const { gateway } = this.#partsOf(team);
    const wanted = hostedAgents(team).flatMap(({ name, models, cheaperModels }) => [
      { name, models },
      ...(cheaperModels ? [{ name: cheaperOf(name), models: cheaperModels }] : []),
    ]);
    return Object.fromEntries(
      wanted.map(({ name, models }) => {
        const reasons = models.map((model) => ({ model, failure: gateway.check(model) }));
        const chosen = reasons.find(({ failure }) => failure === undefined || failure.code === 'MODEL_SETTING_INVALID');
        if (chosen?.failure) throw new TroupeError(chosen.failure.code, chosen.failure.message, { details: { agent: name, model: chosen.model } });
        if (chosen) return [name, chosen.model];
        const said = reasons.map(({ model, failure }) => `${model}: ${failure!.message}`).join('; ');
        throw new TroupeError('MODEL_NOT_READY', `no model of agent ${name} can be called. ${said}`, { details: { agent: name, models } });
      }),
    );
  }

  /** What stands behind the effects of the charts; `teamAt` throws where no run is hosted. */
  runners(teamAt: (at: Address) => Team): Runners {
    const partsAt = (at: Address): Parts => this.#partsOf(teamAt(at));
    return {
      model: {
        quote: (request: ModelRequest, at: Address) => ({ ...partsAt(at).gateway.quote(request), ...paidBy(request.payer ?? []) }),
        run: async (request: ModelRequest, { address, signal }: EffectContext, grant: Grant | undefined) => {
          const team = teamAt(address);
          const result = await this.#callModel(team, request, grant!, signal);
          const agent = callerAt(team, address);
          if (!result.ok || request.format !== 'output' || agent === undefined) return result;
          return { ...result, output: await this.#checked(result.output as ModelReply, agent, signal) };
        },
      },
      tool: {
        quote: ({ call, payer = [] }: ToolRequest, at: Address) => (partsAt(at).countsTools ? { ...toolQuote(call.name), ...paidBy(payer) } : undefined),
        readOnly: (request: ToolRequest, at: Address) => partsAt(at).toolbox.isReadOnly(request),
        run: async (request: ToolRequest, { address, signal }: EffectContext, grant: Grant | undefined): Promise<EffectResult> => {
          const { toolbox } = partsAt(address);
          grant?.use(this.#options.clock.now());
          const output = await toolbox.run(request, signal);
          return {
            ok: true,
            output,
            ...(grant && { bill: { grant: grant.id, spentNanos: '0', usage: noUsage, model: `tool:${request.call.name}`, kind: 'tool' as const } }),
          };
        },
      },
    };
  }

  /** The reply with what is wrong with its value. A check that is not done when the effect is stopped finds nothing. */
  async #checked(reply: ModelReply, agent: string, signal: AbortSignal): Promise<ModelReply> {
    const { checkOutput } = this.#options;
    const parsed = parseFormat('output', reply.text);
    if (!checkOutput || !parsed.ok) return reply;
    const checked = checkOutput(parsed.value.output, agent).catch((thrown: unknown) => failureOf(thrown).message); // the call is paid: its reply is kept
    const misfit = await Promise.race([checked, stopped(signal)]);
    return misfit === undefined ? reply : { ...reply, misfit };
  }

  async #callModel(team: Team, request: ModelRequest, grant: Grant, signal: AbortSignal): Promise<EffectResult> {
    const { gateway } = this.#partsOf(team);
    const { pace } = this.#options;
    const [paced, limit] = limitOf(team, request.model);
    let passage: Passage | undefined;
    try {
      passage = await pace?.pass(paced, limit, limit.tpm === undefined ? 0 : gateway.quote(request).inputTokens + grant.maxTokens, signal);
      const { reply, spentNanos } = await gateway.call(request, grant, { signal });
      const { usage, model, id } = reply;
      return { ok: true, output: reply, bill: { grant: grant.id, spentNanos: spentNanos.toString(), usage, model, ...(id !== undefined && { response: id }) } };
    } catch (thrown) {
      const failure = failureOf(thrown);
      if (failure.code === 'MODEL_RATE_LIMITED') await pace?.holdBack(paced, retryAfterOf(failure)).catch(() => {}); // the bus is away: each for itself
      if (failure.code === 'EFFECT_STOPPED') return { ok: false, failure, unused: true };
      const cost = gateway.costOf(thrown, request, grant);
      if (cost === 'unused') return { ok: false, failure, unused: true };
      return { ok: false, failure, bill: { grant: grant.id, spentNanos: cost.spentNanos.toString(), usage: cost.usage, model: request.model } };
    } finally {
      passage?.end();
    }
  }
}

const stopped = (signal: AbortSignal): Promise<undefined> =>
  new Promise((resolve) => (signal.aborted ? resolve(undefined) : signal.addEventListener('abort', () => resolve(undefined), { once: true })));

const retryAfterOf = ({ details: { retryAfterMs } }: Failure): number | undefined => (typeof retryAfterMs === 'number' ? retryAfterMs : undefined);

/** Under which name its pace is kept, and the limits that the team sets. */
const limitOf = ({ rateLimits }: Team, model: string): [name: string, limit: RateLimit] => {
  const provider = `${model.slice(0, model.indexOf('/'))}/*`;
  const name = [model, provider].find((one) => Object.hasOwn(rateLimits, one));
  return name === undefined ? [model, {}] : [name, rateLimits[name]!];
};

/** A tool costs no money of its own; its grant is for the limits that count calls. */
const toolQuote = (name: string): Quote => ({
  model: `tool:${name}`,
  fixedNanos: '0',
  outputNanosPerMtok: '0',
  maxTokens: 0,
  minTokens: 0,
  inputTokens: 0,
  priceHash: '',
  kind: 'tool',
});

/** Whether a limit of the team counts tool calls. */
const countsTools = (team: Team): boolean =>
  [...team.budget.limits, ...hostedAgents(team).flatMap(({ budget }) => budget?.limits ?? [])].some(({ measure }) => measure === 'tool_calls');
