/**
 * A process of the money bench: hosts agents that do nothing but paid calls, or an account and nothing else. Everything in it is
 * what production has, but for the agents' chart. It is told what to do in its one argument, says `ready`, is told `go`, and says
 * what it saw.
 */
import { assign, setup, type DoneActorEvent, type ErrorActorEvent } from 'xstate';
import { openNatsBus } from '../src/bus/nats/bus.ts';
import { createModelGateway } from '../src/capabilities/model/gateway.ts';
import { createOpenAIAdapter } from '../src/capabilities/model/openai/adapter.ts';
import { createPrices } from '../src/capabilities/model/prices.ts';
import { effect, startEach } from '../src/protocols/chart.ts';
import { failureOf, type Failure } from '../src/protocols/failure.ts';
import type { Grant } from '../src/protocols/grant.ts';
import { address, effectOfGrant, parseAddress, type Address, type RunId } from '../src/protocols/ids.ts';
import type { ModelReply, ModelRequest } from '../src/protocols/model.ts';
import { defineChart } from '../src/runtime/chart.ts';
import { systemClock } from '../src/runtime/clock.ts';
import type { EffectContext, EffectResult, Runners } from '../src/runtime/effects.ts';
import { Host, type Observed } from '../src/runtime/host.ts';
import { sharedAccount } from '../src/topology/cast.ts';
import { sharedDefinition } from '../src/topology/shared-account.ts';
import { AGENTS, IN_FLIGHT, PROCESSES, scheduleOf } from './money-schedule.ts';

export type Task = { readonly servers: string } & (
  | { readonly kind: 'replica'; readonly account: string }
  | { readonly kind: 'agents'; readonly account: string; readonly process: number; readonly seed: number; readonly models: string }
);

export type Seen = {
  readonly answered: number;
  /** Of failures that are no veto for want of money, by code. */
  readonly failed: Readonly<Record<string, number>>;
  readonly vetoed: number;
  /** From the reservation to the grant in the fold. */
  readonly grantMs: readonly number[];
};

type CallerContext = { readonly requests: readonly ModelRequest[]; readonly begun: number; readonly answered: number; readonly failures: readonly string[] };
type CallerEvent =
  | { readonly type: 'run.start'; readonly goal: string; readonly from: Address; readonly at: number }
  | DoneActorEvent<ModelReply>
  | ErrorActorEvent<Failure>;

const startUpTo = (count: (context: CallerContext) => number) =>
  startEach<{ context: CallerContext }, ModelRequest>('model', ({ context }) =>
    context.requests.slice(context.begun, count(context)).map((input, index) => ({ id: `call-${context.begun + index}`, input })),
  );
const startFirst = startUpTo(() => IN_FLIGHT);
const startNext = startUpTo(({ begun }) => begun + 1);

/** Makes its calls, so many at once, whatever becomes of each. */
const caller = defineChart(
  'caller',
  1,
  setup({
    types: { context: {} as CallerContext, input: {} as { requests: readonly ModelRequest[] }, events: {} as CallerEvent },
    actors: { model: effect<ModelReply, ModelRequest>() },
    guards: { hasEnded: ({ context: { requests, answered, failures } }) => answered + failures.length === requests.length },
    actions: {
      begin: assign({ begun: IN_FLIGHT }),
      goOn: assign(({ context }) => ({ begun: context.begun + 1 })),
      count: assign(({ context }) => ({ answered: context.answered + 1 })),
      countFailure: assign(({ context }, { code }: Failure) => ({ failures: [...context.failures, code] })),
    },
  }).createMachine({
    context: ({ input }) => ({ requests: input.requests, begun: 0, answered: 0, failures: [] }),
    initial: 'idle',
    states: {
      idle: { on: { 'run.start': { target: 'calling', actions: [startFirst, 'begin'] } } },
      calling: {
        on: {
          'xstate.done.actor.*': { actions: ['count', startNext, 'goOn'] },
          'xstate.error.actor.*': { actions: [{ type: 'countFailure', params: ({ event }) => event.error }, startNext, 'goOn'] },
        },
        always: { guard: 'hasEnded', target: 'ended' },
      },
      ended: { type: 'final' },
    },
  }),
);

const models = (url: string): Runners => {
  const gateway = createModelGateway({
    adapters: [createOpenAIAdapter({ baseURL: url, apiKey: 'bench', env: {} })],
    prices: createPrices(),
    toolSpecs: () => [],
  });
  const run = async (request: ModelRequest, { signal }: EffectContext, given: Grant | undefined): Promise<EffectResult> => {
    const grant = given!;
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
  return { model: { quote: (request: ModelRequest) => gateway.quote(request), run } };
};

const told = (wanted: string): Promise<void> =>
  new Promise((resolve) => {
    const hear = (said: unknown): void => {
      if (said !== wanted) return;
      process.off('message', hear);
      resolve();
    };
    process.on('message', hear);
  });

const task = JSON.parse(process.argv[2]!) as Task;
process.once('disconnect', () => process.exit(1));
const bus = await openNatsBus({ servers: task.servers });
const account = sharedAccount(task.account);
const shared = { bus, id: `h-${crypto.randomUUID()}`, clock: systemClock };

const serve = async (): Promise<void> => {
  const definition = await sharedDefinition(bus, task.account);
  const host = new Host({ ...shared, runners: {}, resolve: (at) => (at === account ? definition : undefined), snapshotEvery: 1_000 });
  await host.adopt(account);
  process.send!('ready');
  await host.failed;
};

const callAll = async ({ process: number, seed, models: url }: Task & { kind: 'agents' }): Promise<void> => {
  const run = `r-bench${number}` as RunId;
  const own = Array.from({ length: AGENTS / PROCESSES }, (_, index) => number * (AGENTS / PROCESSES) + index);
  const calls = scheduleOf(seed);
  const asked = new Map<string, number>();
  const grantMs: number[] = [];
  const { promise: allEnded, resolve } = Promise.withResolvers<void>();
  const seen = { answered: 0, vetoed: 0, failed: {} as Record<string, number>, ended: 0 };
  const observe = ({ instance, entry: { message }, outputs }: Observed): void => {
    const now = performance.now();
    if (message.type === 'budget.granted') grantMs.push(now - asked.get(effectOfGrant(message.data.grant).effect)!);
    for (const output of outputs) if (output.kind === 'start') asked.set(output.effect.key, now);
    if (!instance.ended) return;
    const { answered, failures } = instance.state.snapshot.context as CallerContext;
    seen.answered += answered;
    for (const code of failures) {
      if (code === 'BUDGET_EXHAUSTED') seen.vetoed++;
      else seen.failed[code] = (seen.failed[code] ?? 0) + 1;
    }
    if (++seen.ended === own.length) resolve();
  };
  const resolveAt = (at: Address) => {
    const { role, agent } = parseAddress(at);
    return role === 'worker' ? { chart: caller, input: { requests: calls[Number(agent)]!.map(({ request }) => request) }, account } : undefined;
  };
  const host = new Host({ ...shared, runners: models(url), resolve: resolveAt, observe });
  await host.adopt(run, { fresh: true });
  // The client of a provider is loaded with its first call, and no grant should wait for that.
  await import('../src/capabilities/model/openai/attempt.ts');
  process.send!('ready');
  await told('go');
  for (const agent of own) await host.tell(address(run, 'worker', String(agent)), address(run, 'client'), `start-${agent}`, 'run.start', { goal: 'call' });
  await Promise.race([allEnded, host.failed]);
  await host.settled(run);
  process.send!({ answered: seen.answered, vetoed: seen.vetoed, failed: seen.failed, grantMs } satisfies Seen);
  await told('end');
  await host.stop();
  await bus.close();
  process.disconnect();
};

await (task.kind === 'replica' ? serve() : callAll(task));
