/**
 * A team without files or networks, for tests of the runtime: the real charts, a model and a tool that answer from their input
 * alone, and the provider's own book of what was asked and billed.
 */
import type { BudgetInput } from '../../src/actors/budget/desk.ts';
import type { SupervisorInput } from '../../src/actors/supervisor/policy.ts';
import type { AgentProfile } from '../../src/protocols/agent.ts';
import type { Quote } from '../../src/protocols/budget.ts';
import type { Grant } from '../../src/protocols/grant.ts';
import { address, parseAddress, type Address, type RunId } from '../../src/protocols/ids.ts';
import type { ModelReply, ModelRequest } from '../../src/protocols/model.ts';
import { tokensCost } from '../../src/protocols/money.ts';
import type { ToolRecord, ToolRequest } from '../../src/protocols/tool.ts';
import type { EffectContext, EffectResult, Runners } from '../../src/runtime/effects.ts';
import type { Definition } from '../../src/runtime/fold.ts';
import { charts } from '../../src/topology/charts.ts';

const NANOS_PER_MTOK = 80_000_000n;
const INPUT_NANOS = 1_000n;

export const profile = (name: string, tools: readonly string[] = []): AgentProfile => ({
  name,
  role: 'a member of the company',
  goal: 'to be tested',
  backstory: '',
  model: 'book/keeper',
  tools: [...tools],
  limits: { turns: 6, maxTokens: 400, attempts: 3, timeoutMs: 600_000 },
});

export type CompanyOptions = {
  readonly run: RunId;
  readonly limitNanos?: bigint;
  readonly grantMs?: number;
  /** What each actor may hold for calls that nobody answers for; without it, nothing. */
  readonly openUpToNanos?: bigint;
  readonly supervisor?: Partial<SupervisorInput>;
};

/** Who lives where. */
export const company = ({
  run,
  limitNanos = 10_000_000n,
  grantMs = 1_000_000_000,
  openUpToNanos,
  supervisor = {},
}: CompanyOptions): ((at: Address) => Definition | undefined) => {
  const account = address(run, 'budget');
  const pays: Pick<Definition, 'account' | 'advance'> = {
    account,
    ...(openUpToNanos !== undefined && { advance: { amountNanos: openUpToNanos.toString(), lifeMs: 20_000_000, silenceMs: 300_000 } }),
  };
  return (at) => {
    const { run: of, role, agent, key } = parseAddress(at);
    if (of !== run) return undefined;
    switch (role) {
      case 'budget':
        return {
          chart: charts.budget,
          input: {
            accounts: [{ id: run, limits: [{ measure: 'money', amount: limitNanos.toString(), window: 'total' }] }],
            grantMs,
            waitMs: 30_000,
            drainMs: 10_000,
            orphans: 'charge',
            onExhausted: 'fail',
            keptBackNanos: '0',
            thresholds: [50],
          } satisfies BudgetInput,
        };
      case 'approver':
        return { chart: charts.approver, input: undefined };
      case 'worker':
        return { chart: charts.worker, input: { profile: profile(agent!, ['look_up']) }, ...pays };
      case 'reviewer':
        return {
          chart: charts.reviewer,
          input: {
            profile: profile(agent!, ['check_quotes']),
            askBelow: 0,
            approver: address(run, 'approver'),
            askMs: 1_000_000,
            approval: `review-${key}-${agent}`,
          },
          ...pays,
        };
      case 'supervisor': {
        const input: SupervisorInput = {
          run,
          profile: profile('lead'),
          agents: [{ name: 'reader', description: 'reads' }],
          teams: [],
          maxDepth: 4,
          reviewers: ['checker'],
          merge: 'all',
          plan: undefined,
          inputs: {},
          maxSteps: 6,
          concurrency: 2,
          reviewRounds: 1,
          onRejected: 'accept_with_note',
          deadlineMs: 100_000_000,
          askMs: 1_000_000,
          account,
          approver: address(run, 'approver'),
          answersPartly: false,
          ...supervisor,
        };
        return { chart: charts.supervisor, input, ...pays };
      }
      default:
        return undefined;
    }
  };
};

/** Every call that reached the provider, in order. */
export class Provider {
  readonly calls: {
    readonly grant: string;
    readonly address: Address;
    readonly nanos: bigint;
    /** The most that it might have cost. */
    readonly bound: bigint;
    readonly advance: string | undefined;
  }[] = [];

  bill(grant: Grant, at: Address, nanos: bigint): void {
    this.calls.push({ grant: grant.id, address: at, nanos, bound: grant.amountNanos, advance: grant.advance });
  }

  get billed(): bigint {
    return this.calls.reduce((sum, { nanos }) => sum + nanos, 0n);
  }
}

/** What the company's model says: it plans two readers and one who compares, looks each task up, and accepts what it reads at the second try. */
export const answer = (request: ModelRequest): Pick<ModelReply, 'text' | 'toolCalls' | 'finish'> => {
  const asked = request.messages.map(({ text }) => text).join('\n');
  if (request.format === 'plan') {
    const steps = [
      { id: 'left', agent: 'reader', task: 'read the left page', needs: [] },
      { id: 'right', agent: 'reader', task: 'read the right page', needs: [] },
      { id: 'both', agent: 'reader', task: 'compare the pages', needs: ['left', 'right'] },
    ];
    return { text: JSON.stringify({ steps }), toolCalls: [], finish: 'stop' };
  }
  if (request.format === 'verdict') {
    const first = asked.includes('left') && !asked.includes('revised');
    return {
      text: JSON.stringify({ verdict: first ? 'revise' : 'accept', reasons: first ? ['say that it is revised'] : [], confidence: 0.9 }),
      toolCalls: [],
      finish: 'stop',
    };
  }
  if (request.tools.length > 0 && !request.messages.some(({ role }) => role === 'tool')) {
    const calls = ['one', 'two'].map((page) => ({ id: page, name: 'look_up', input: { page } }));
    return { text: '', toolCalls: calls, finish: 'tools' };
  }
  const seen = request.messages.filter(({ role }) => role === 'tool').map(({ text }) => text);
  const text = `${asked.includes('# Feedback') ? 'revised: ' : ''}${seen.join(' and ')} on ${/# (?:Task|Findings)\n([^#]*(?:##[^#]*)*)/.exec(asked)?.[1]?.trim() ?? 'nothing'}`;
  return { text: JSON.stringify({ text, citations: [] }), toolCalls: [], finish: 'stop' };
};

const quote = ({ model, maxTokens, minTokens }: ModelRequest): Quote => ({
  model,
  fixedNanos: INPUT_NANOS.toString(),
  outputNanosPerMtok: NANOS_PER_MTOK.toString(),
  maxTokens,
  minTokens,
  inputTokens: 10,
  priceHash: 'test',
});

export type RunnerHooks = {
  /** Decides when a call ends: at once, or when a simulation picks it. */
  readonly soon?: <T>(what: string, then: () => T) => Promise<T>;
  /** Called when a paid call is made. */
  readonly paid?: (grant: Grant) => void;
  /** What the model says, where it is not what the company's says. */
  readonly says?: (request: ModelRequest) => ReturnType<typeof answer> | undefined;
};

export const runners = (
  provider: Provider,
  nowMs: () => number,
  { soon = async (_, then) => then(), paid = () => {}, says = () => undefined }: RunnerHooks = {},
): Runners => ({
  model: {
    quote,
    run: async (request: ModelRequest, { address: at, signal }: EffectContext, given: Grant | undefined): Promise<EffectResult> => {
      const grant = given!;
      grant.use(nowMs());
      paid(grant);
      const said = says(request) ?? answer(request);
      const outputTokens = Math.min(grant.maxTokens, said.text.length);
      const nanos = INPUT_NANOS + tokensCost(outputTokens, NANOS_PER_MTOK);
      provider.bill(grant, at, nanos);
      const usage = { inputTokens: 10, outputTokens, cachedInputTokens: 0, reasoningTokens: 0 };
      const bill = { grant: grant.id, spentNanos: nanos.toString(), usage, model: request.model };
      const output: ModelReply = { ...said, usage, model: request.model };
      return soon(`${at} is answered`, (): EffectResult =>
        signal.aborted
          ? { ok: false, failure: { code: 'MODEL_ABORTED', message: 'stopped', retryable: false, details: {} }, bill }
          : { ok: true, output, bill },
      );
    },
  },
  tool: {
    run: ({ call }: ToolRequest, { address: at }: EffectContext): Promise<EffectResult> =>
      soon(`${at} uses ${call.name}`, () => {
        const output: ToolRecord = {
          callId: call.id,
          tool: call.name,
          input: call.input,
          ok: true,
          text: `page ${JSON.stringify(call.input['page'] ?? '').replaceAll('"', '')}`,
          ms: 1,
          time: 0,
        };
        return { ok: true, output };
      }),
  },
});
