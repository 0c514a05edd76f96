/**
 * The only composition root: puts bus, host, charts, models and tools together, and starts, resumes and ends runs.
 *
 *   R1  What a run needs to go on is on the bus before its first message: the team, the models, the question.
 *   R2  A run is hosted by one process at a time, which holds its lease.
 */
import type { Bus } from '../bus/port.ts';
import { createModelGateway, type ModelGateway } from '../capabilities/model/gateway.ts';
import type { ModelAdapter } from '../capabilities/model/port.ts';
import { createExtractiveAdapter } from '../capabilities/model/extractive/adapter.ts';
import { createOpenAIAdapter } from '../capabilities/model/openai/adapter.ts';
import { createPrices, type Prices } from '../capabilities/model/prices.ts';
import { createFileTools } from '../capabilities/tool/file-tools.ts';
import { createToolbox, type Toolbox } from '../capabilities/tool/toolbox.ts';
import type { Tool } from '../capabilities/tool/port.ts';
import { fewestTokens } from '../actors/conversation.ts';
import type { ApproverContext } from '../actors/approver/machine.ts';
import { figuresOf, type Desk } from '../actors/budget/desk.ts';
import type { BudgetContext } from '../actors/budget/machine.ts';
import type { Question } from '../actors/approver/policy.ts';
import type { Quote } from '../protocols/budget.ts';
import type { PayloadOf } from '../protocols/catalogue.ts';
import { failureOf, TroupeError, type Failure } from '../protocols/failure.ts';
import type { Citation } from '../protocols/formats.ts';
import type { Grant } from '../protocols/grant.ts';
import { newRunId, RunId, runOf, type Address } from '../protocols/ids.ts';
import type { Spending, StepOutcome } from '../protocols/lifecycle.ts';
import type { ModelRequest } from '../protocols/model.ts';
import { noUsage, tokensCost } from '../protocols/money.ts';
import type { ToolRequest } from '../protocols/tool.ts';
import { systemClock, type Clock } from '../runtime/clock.ts';
import type { EffectContext, EffectResult, Runners } from '../runtime/effects.ts';
import type { Definition, FoldEntry } from '../runtime/fold.ts';
import { Host, type Observed } from '../runtime/host.ts';
import { takeLease, type Lease } from '../runtime/lease.ts';
import { accountOf, accountsOf, approverOf, castTeam, clientOf, runAccount, sharedUnit, supervisorOf, type Models } from './cast.ts';
import type { Catalogue } from './check.ts';
import { checkedTask } from './resolve.ts';
import { readRecord, type RunRecord } from './run-record.ts';
import { sharedDefinition } from './shared-account.ts';
import { unknownRun } from './unknown-run.ts';
import type { Team } from './team.ts';

export type TroupeOptions = {
  readonly bus: Bus;
  /** Every model that teams may name, by provider. */
  readonly models: readonly ModelAdapter[];
  readonly tools: readonly Tool[];
  readonly clock?: Clock;
  /** Sees every step of every run that this process hosts, also those of a history that is read again (`replayed`). */
  readonly observe?: (seen: Observed) => void;
  /** Told when so many percent of an account's limit are spent, once each; not of what a run that is resumed has told before. */
  readonly onThreshold?: (reached: Threshold) => void;
  /** Entries of one actor between two snapshots; 0: none. */
  readonly snapshotEvery?: number;
  /** Many runs at once: one consumer of the whole bus instead of one for each run. */
  readonly manyRuns?: boolean;
};

export type RunResult = {
  readonly run: RunId;
  readonly status: 'completed' | 'failed';
  readonly answer?: string;
  readonly citations: readonly Citation[];
  readonly failure?: Failure;
  readonly steps: readonly StepOutcome[];
  /** Absent when the account did not answer in time. */
  readonly spending?: Spending;
  readonly durationMs: number;
};

export type Threshold = PayloadOf<'budget.threshold'>;

/** Nothing goes on until a person answers. */
export type Waiting = { readonly status: 'waiting'; readonly run: RunId; readonly questions: readonly Question[] };

/** The money is used up: nothing goes on until someone raises the limit. Everything that was paid is kept. */
export type Paused = { readonly status: 'paused'; readonly run: RunId; readonly failure: Failure; readonly spending: Spending };

export type Run = {
  readonly id: RunId;
  readonly team: Team;
  readonly models: Models;
  /** Ends with the run. Rejects when the bus is lost (BUS_UNAVAILABLE), or another process took the run over (RUN_LOST). */
  readonly result: Promise<RunResult>;
  /** As `result`, or that nothing is left to do until a person answers or raises the limit. */
  readonly resultOrIdle: Promise<RunResult | Waiting | Paused>;
  cancel(reason: string): Promise<void>;
  /** Stops hosting the run here; it stays on the bus and can be resumed. */
  leave(): Promise<void>;
};

type Parts = { readonly gateway: ModelGateway; readonly toolbox: Toolbox };
type Hosted = Parts & { readonly countsTools: boolean; readonly definitionOf: (at: Address) => Definition | undefined };

/** Teams whose parts are kept. */
const PARTS_MAX = 32;

export class Troupe {
  readonly #options: TroupeOptions;
  readonly #clock: Clock;
  readonly #id: string;
  readonly #host: Host;
  readonly #hosted = new Map<RunId, Hosted>();
  readonly #parts = new Map<string, Parts>();
  /** Accounts that runs of this process share with others, by unit. */
  readonly #shared = new Map<string, Definition>();
  /** Of the results that are waited for: one handler for all, or the host would keep every run that it ever had. */
  readonly #rejects = new Map<RunId, (why: unknown) => void>();
  readonly #waiters = new Map<RunId, () => void>();
  readonly #open = new Map<RunId, Run>();

  private constructor(options: TroupeOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#id = `h-${crypto.randomUUID()}`;
    this.#host = new Host({
      bus: options.bus,
      id: this.#id,
      clock: this.#clock,
      runners: this.#runners(),
      resolve: (at) => this.#shared.get(runOf(at)) ?? this.#hosted.get(runOf(at))?.definitionOf(at),
      observe: (seen) => this.#observe(seen),
      snapshotEvery: options.snapshotEvery ?? 50,
    });
    this.#host.failed.catch((why: unknown) => this.#rejects.forEach((reject) => reject(why)));
  }

  static async open(options: TroupeOptions): Promise<Troupe> {
    const troupe = new Troupe(options);
    if (options.manyRuns) await troupe.#host.start('>');
    return troupe;
  }

  /** Starts a run of the team on its task. Errors: TASK_INVALID, MODEL_NOT_READY (none of an agent's models can be called), MODEL_SETTING_INVALID, BUS_*. */
  async start(team: Team): Promise<Run> {
    const goal = checkedTask(team.name, team.task);
    const id = newRunId(this.#clock.now(), Math.random);
    const record: RunRecord = { team, models: this.#chooseModels(team), startedAt: this.#clock.now() };
    const stored = this.#options.bus.put(`run.${id}`, JSON.stringify(record), { expect: 0 });
    const [run] = await Promise.all([this.#take(id, record, { fresh: true }), stored]);
    await this.#host.tell(supervisorOf(id), clientOf(id), `${id}/start`, 'run.start', { goal });
    return run;
  }

  /** Goes on with a run, wherever it stands; one that has ended gives its result again. Errors: RUN_UNKNOWN, RUN_HOSTED. */
  async resume(id: string, { wait = true }: { wait?: boolean } = {}): Promise<Run> {
    const parsed = RunId.safeParse(id);
    const stored = parsed.success ? await this.#options.bus.get(`run.${id}`) : undefined;
    if (!stored) throw unknownRun(this.#options.bus, id);
    const record = readRecord(id, stored.value);
    const run = await this.#take(id as RunId, record, { fresh: false, wait });
    // Whoever started it may have died before it said so; under the same id it is said once.
    await this.#host.tell(supervisorOf(run.id), clientOf(run.id), `${run.id}/start`, 'run.start', { goal: record.team.task });
    return run;
  }

  /** Leaves every run that it hosts. The bus stays open: it is whoever's opened it. */
  async close(): Promise<void> {
    await Promise.all([...this.#open.values()].map((run) => run.leave()));
    await this.#host.stop();
  }

  async #take(id: RunId, record: RunRecord, { fresh, wait = true }: { fresh: boolean; wait?: boolean }): Promise<Run> {
    const { team, models, startedAt } = record;
    const { bus } = this.#options;
    const lease = await takeLease(id, { bus, clock: this.#clock, id: this.#id }, { fresh, wait });
    this.#hosted.set(id, this.#hostedOf(id, team, models));
    const { promise: result, resolve, reject } = Promise.withResolvers<RunResult>();
    const { promise: idle, resolve: nowIdle } = Promise.withResolvers<Waiting | Paused>();
    result.catch(() => {});
    this.#rejects.set(id, reject);

    let unguard = (): void => {};
    const leave = async (): Promise<void> => {
      if (!this.#open.delete(id)) return;
      unguard();
      this.#waiters.delete(id);
      this.#rejects.delete(id);
      await this.#host.release(id);
      this.#hosted.delete(id);
      await lease.release();
      reject(new TroupeError('RUN_LEFT', `this process hosts ${id} no longer; it can be resumed`));
    };
    const run: Run = {
      id,
      team,
      models,
      result,
      resultOrIdle: Promise.race([result, idle]),
      cancel: (reason) => this.#host.tell(supervisorOf(id), clientOf(id), `${id}/cancel`, 'run.cancel', { reason }),
      leave,
    };
    run.resultOrIdle.catch(() => {});
    this.#open.set(id, run);
    let live = fresh;
    const { promise: opened, resolve: open } = Promise.withResolvers<Failure | undefined>();
    this.#host.inbox(clientOf(id), (entry) => {
      if (live && entry.message.type === 'budget.threshold') this.#options.onThreshold?.(entry.message.data);
      if (entry.message.type === 'budget.opened') open(entry.message.data.failure);
      const ended = resultOf(id, entry, startedAt);
      if (!ended) return;
      resolve(ended);
      void leave().then(() => this.#forgetSnapshots(id));
    });
    this.#waiters.set(id, () => void this.#whenIdle(id, nowIdle));
    unguard = this.#guard(run, lease, reject);
    if (team.budget.account !== undefined) await this.#serve(team.budget.account);
    await this.#host.adopt(id, { fresh, holds: lease.holds });
    if (team.budget.account !== undefined) await this.#openAccounts(id, team, opened);
    live = true;
    this.#waiters.get(id)?.();
    return run;
  }

  /** Serves a shared account, beside every other process that does. */
  async #serve(account: string): Promise<void> {
    const unit = sharedUnit(account);
    if (this.#shared.has(unit)) return;
    this.#shared.set(unit, await sharedDefinition(this.#options.bus, account));
    await this.#host.adopt(unit);
  }

  /** The run's accounts, below the shared one. Error: BUDGET_NOT_COVERED. */
  async #openAccounts(id: RunId, team: Team, opened: Promise<Failure | undefined>): Promise<void> {
    await this.#host.tell(accountOf(id, team), clientOf(id), `${id}/open`, 'budget.open', { accounts: accountsOf(id, team) });
    const refused = await opened;
    if (refused) throw new TroupeError(refused.code, refused.message, { details: refused.details });
  }

  /** Tells when the lease is lost, so that nobody waits for a result that comes elsewhere. */
  #guard(run: Run, lease: Lease, reject: (why: unknown) => void): () => void {
    let stop = (): void => {};
    const look = (): void => {
      if (lease.holds()) {
        stop = this.#clock.after(1_000, look);
        return;
      }
      reject(new TroupeError('RUN_LOST', `another process has taken ${run.id} over, or this one was stopped for too long`, { retryable: true }));
      void run.leave();
    };
    look();
    return () => stop();
  }

  #observe(seen: Observed): void {
    this.#options.observe?.(seen);
    if (this.#waiters.size === 0 || seen.replayed) return;
    const unit = runOf(seen.instance.address);
    for (const id of this.#shared.has(unit) ? this.#waiters.keys() : [unit]) {
      if (this.#questionsOf(id).length > 0 || this.#isPaused(id)) this.#waiters.get(id)?.();
    }
  }

  #questionsOf(id: RunId): readonly Question[] {
    const approver = this.#host.instance(approverOf(id));
    return approver ? Object.values((approver.state.snapshot.context as ApproverContext).open) : [];
  }

  #isPaused(id: RunId): boolean {
    return this.#deskOf(id)?.paused.some((who) => runOf(who) === id) ?? false;
  }

  #deskOf(id: RunId): Desk | undefined {
    const run = this.#open.get(id);
    const account = run && this.#host.instance(accountOf(id, run.team));
    return account && (account.state.snapshot.context as BudgetContext).desk;
  }

  /** When all that is left to wait for is a person. */
  async #whenIdle(id: RunId, nowIdle: (idle: Waiting | Paused) => void): Promise<void> {
    await this.#host.settled(id);
    const busy = [...this.#host.instancesOf(id)].some(({ state }) => Object.keys(state.effects).length > 0);
    if (busy || !this.#waiters.has(id)) return;
    const questions = this.#questionsOf(id);
    const desk = this.#deskOf(id);
    if (questions.length > 0) nowIdle({ status: 'waiting', run: id, questions });
    else if (desk && this.#isPaused(id))
      nowIdle({ status: 'paused', run: id, failure: desk.lastVeto!, spending: figuresOf(desk.book, runAccount(id, this.#open.get(id)!.team)) });
  }

  async #forgetSnapshots(id: RunId): Promise<void> {
    const { bus } = this.#options;
    try {
      for (const key of await bus.keys(`snapshot.${id}.`)) await bus.delete(key);
    } catch {
      // A cache: what stays behind is in nobody's way.
    }
  }

  #hostedOf(id: RunId, team: Team, models: Models): Hosted {
    return { definitionOf: castTeam(id, team, models), countsTools: countsTools(team), ...this.#partsOf(team) };
  }

  /** What all runs of one team share. */
  #partsOf(team: Team): Parts {
    const known = this.#parts.get(team.hash);
    if (known) return known;
    const toolbox = createToolbox({
      tools: this.#options.tools,
      folders: team.folders,
      allowed: Object.fromEntries(Object.values(team.agents).map(({ name, tools }) => [name, tools])),
      now: () => this.#clock.now(),
    });
    const gateway = createModelGateway({ adapters: this.#options.models, prices: createPrices(team.prices), toolSpecs: toolbox.specs });
    if (this.#parts.size >= PARTS_MAX) this.#parts.delete(this.#parts.keys().next().value!);
    this.#parts.set(team.hash, { toolbox, gateway });
    return { toolbox, gateway };
  }

  /** The first of each agent's models that can be called as things stand. Errors: MODEL_NOT_READY, MODEL_SETTING_INVALID. */
  #chooseModels(team: Team): Models {
    const { gateway } = this.#partsOf(team);
    return Object.fromEntries(
      Object.values(team.agents).map(({ name, models }) => {
        const reasons = models.map((model) => ({ model, failure: gateway.check(model) }));
        const chosen = reasons.find(({ failure }) => failure === undefined || failure.code === 'MODEL_SETTING_INVALID');
        if (chosen?.failure) throw new TroupeError(chosen.failure.code, chosen.failure.message, { details: { agent: name, model: chosen.model } });
        if (chosen) return [name, chosen.model];
        const said = reasons.map(({ model, failure }) => `${model}: ${failure!.message}`).join('; ');
        throw new TroupeError('MODEL_NOT_READY', `no model of agent ${name} can be called. ${said}`, { details: { agent: name, models } });
      }),
    );
  }

  #runners(): Runners {
    const hostedAt = (at: Address): Hosted => {
      const hosted = this.#hosted.get(runOf(at));
      if (!hosted) throw new TroupeError('RUN_LEFT', `${runOf(at)} is not hosted here any more`);
      return hosted;
    };
    return {
      model: {
        quote: (request: ModelRequest, at: Address) => hostedAt(at).gateway.quote(request),
        run: (request: ModelRequest, { address, signal }: EffectContext, grant: Grant | undefined) =>
          callModel(hostedAt(address).gateway, request, grant!, signal),
      },
      tool: {
        quote: ({ call }: ToolRequest, at: Address) => (hostedAt(at).countsTools ? toolQuote(call.name) : undefined),
        readOnly: (request: ToolRequest, at: Address) => this.#hosted.get(runOf(at))?.toolbox.isReadOnly(request) ?? false,
        run: async (request: ToolRequest, { address, signal }: EffectContext, grant: Grant | undefined): Promise<EffectResult> => {
          const { toolbox } = hostedAt(address);
          grant?.use(this.#clock.now());
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
}

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
const countsTools = ({ budget, agents }: Team): boolean =>
  [...budget.limits, ...Object.values(agents).flatMap((agent) => agent.budget?.limits ?? [])].some(({ measure }) => measure === 'tool_calls');

const callModel = async (gateway: ModelGateway, request: ModelRequest, grant: Grant, signal: AbortSignal): Promise<EffectResult> => {
  try {
    const { reply, spentNanos } = await gateway.call(request, grant, { signal });
    return { ok: true, output: reply, bill: { grant: grant.id, spentNanos: spentNanos.toString(), usage: reply.usage, model: reply.model } };
  } catch (thrown) {
    const failure = failureOf(thrown);
    const cost = gateway.costOf(thrown, request, grant);
    if (cost === 'unused') return { ok: false, failure, unused: true };
    return { ok: false, failure, bill: { grant: grant.id, spentNanos: cost.spentNanos.toString(), usage: cost.usage, model: request.model } };
  }
};

const resultOf = (run: RunId, { message, at }: FoldEntry, startedAt: number): RunResult | undefined => {
  if (message.type !== 'run.completed' && message.type !== 'run.failed') return undefined;
  const { steps, spending } = message.data;
  const shared = { run, steps, durationMs: Math.max(0, at - startedAt), ...(spending && { spending }) };
  if (message.type === 'run.completed') return { ...shared, status: 'completed', answer: message.data.answer, citations: message.data.citations };
  const { failure, answer, citations } = message.data;
  return { ...shared, status: 'failed', ...(answer !== undefined && { answer }), citations, failure };
};

// --- what is there without asking --------------------------------------------------------------------------------------------

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
