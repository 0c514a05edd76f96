/**
 * A model that answers from a script (script.ts): for trying a team without a provider, and for tests. It is a model in every
 * other respect: it takes a grant, keeps to the cap, streams, can be aborted, and reports what it used (a token is 4 bytes).
 *
 *     const model = createScriptedAdapter([
 *       { calls: [{ name: 'search_files', input: { query: 'refund' } }] },
 *       { error: { code: 'MODEL_RATE_LIMITED', retryAfterMs: 50 } },
 *       (request) => `You said: ${request.messages.at(-1)!.text}`,
 *     ]);
 *     const named = createScriptedAdapter({ writer: ['A draft.'], checker: [{ repeat: true, json: { verdict: 'accept', confidence: 1 } }] });
 *
 * The first answers to any `scripted/...`, the second to `scripted/writer` and `scripted/checker`. `model.calls` is what it was asked.
 * How far a list was used up is known to this process only: a script that must survive its process says `repeat`.
 */
import { setTimeout as timer } from 'node:timers/promises';
import type { Grant } from '../../../protocols/grant.ts';
import type { ModelReply, ModelRequest, ToolCall } from '../../../protocols/model.ts';
import type { Usage } from '../../../protocols/money.ts';
import { ModelError, type Billing, type CallOptions, type ModelAdapter, type ModelErrorCode, type ToolSpec } from '../port.ts';
import type { Answer, Script, Turn, TurnError } from './script.ts';

export type ScriptedOptions = {
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  /** Ends early, by resolving or rejecting, when the signal is aborted. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<unknown>;
};

/** One attempt as it was made. `outcome` is absent while it is under way. */
export type ScriptedCall = { readonly grant: string; readonly request: ModelRequest; outcome?: ModelReply | ModelError };

export type ScriptedAdapter = ModelAdapter & { readonly calls: readonly ScriptedCall[] };

/** `scripts`: one for every name, or one for each. */
export const createScriptedAdapter = (
  scripts: Script | Readonly<Record<string, Script>>,
  { now = Date.now, sleep = (ms, signal) => timer(ms, undefined, { signal }) }: ScriptedOptions = {},
): ScriptedAdapter => {
  const single = isScript(scripts) ? reader(scripts) : undefined;
  const named = new Map(isScript(scripts) ? [] : Object.entries(scripts).map(([name, script]) => [name, reader(script)]));
  const calls: ScriptedCall[] = [];

  const nextTurn = async (request: ModelRequest): Promise<Turn> => {
    const name = request.model.slice(request.model.indexOf('/') + 1);
    const read = single ?? named.get(name);
    if (!read) throw errorOf({ code: 'MODEL_REJECTED', message: `no script is called "${name}"; known: ${[...named.keys()].join(', ')}` });
    const answer = read(request);
    if (answer === undefined) throw errorOf({ code: 'MODEL_REJECTED', message: `the script of ${request.model} has no answer left for this request` });
    const turn = typeof answer === 'function' ? await answer(request) : answer;
    return typeof turn === 'string' ? { text: turn } : turn;
  };

  const perform = async (request: ModelRequest, cap: number, { signal, tools, onText }: CallOptions): Promise<ModelReply> => {
    const inputTokens = tokensOfRequest(request, tools);
    let leftMs = request.timeoutMs;
    let said = '';
    const wait = async (ms: number): Promise<void> => {
      if (ms > 0) await sleep(Math.min(ms, leftMs), signal).catch(() => {});
      if (signal.aborted) throw aborted(usageOf(inputTokens, tokensOf(said)));
      if (ms > leftMs) throw errorOf({ code: 'MODEL_TIMEOUT', message: `no answer within ${request.timeoutMs} ms` });
      leftMs -= ms;
    };
    const turn = await nextTurn(request);
    await wait(turn.delayMs ?? 0);
    if (turn.error) throw errorOf(turn.error);
    const reply = replyOf(request, turn, inputTokens, cap);
    for (const piece of reply.text.match(/\S+\s*|\s+/g) ?? []) {
      if (said !== '') await wait(turn.paceMs ?? 0);
      said += piece;
      onText?.(piece);
      // A listener may be the one who has heard enough.
      if (signal.aborted) throw aborted(usageOf(inputTokens, tokensOf(said)));
    }
    return reply;
  };

  return {
    provider: 'scripted',
    calls,
    inputTokenBound: tokensOfRequest,
    async call(request, grant: Grant, options) {
      if (options.signal.aborted) throw aborted('none');
      grant.use(now());
      const made: ScriptedCall = { grant: grant.id, request };
      calls.push(made);
      try {
        return (made.outcome = await perform(request, Math.min(request.maxTokens, grant.maxTokens), options));
      } catch (thrown) {
        if (thrown instanceof ModelError) made.outcome = thrown;
        throw thrown;
      }
    },
  };
};

const isScript = (scripts: Script | Readonly<Record<string, Script>>): scripts is Script => typeof scripts === 'function' || Array.isArray(scripts);

/** Gives the first turn that fits and was not used up. */
const reader = (script: Script): ((request: ModelRequest) => string | Turn | Answer | undefined) => {
  if (typeof script === 'function') return () => script;
  const left = [...script];
  return (request) => {
    const index = left.findIndex(
      (turn) => typeof turn !== 'object' || turn.when === undefined || request.messages.some(({ text }) => text.includes(turn.when!)),
    );
    const turn = left[index];
    if (turn !== undefined && !(typeof turn === 'object' && turn.repeat)) left.splice(index, 1);
    return turn;
  };
};

const replyOf = (request: ModelRequest, turn: Turn, inputTokens: number, cap: number): ModelReply => {
  const whole = turn.text ?? (turn.json === undefined ? '' : JSON.stringify(turn.json));
  const round = request.messages.filter(({ role }) => role === 'assistant').length + 1;
  const asked = (turn.calls ?? []).map(({ id, name, input }, index): ToolCall => ({ id: id ?? `call-${round}-${index + 1}`, name, input }));
  const text = firstTokens(whole, cap);
  const askedTokens = asked.length === 0 ? 0 : tokensOf(JSON.stringify(asked));
  const fits = text === whole && tokensOf(text) + askedTokens <= cap;
  const toolCalls = fits ? asked : [];
  return {
    text,
    toolCalls,
    finish: !fits ? 'length' : toolCalls.length > 0 ? 'tools' : 'stop',
    usage: usageOf(inputTokens, tokensOf(text) + (fits ? askedTokens : 0)),
    model: request.model,
  };
};

const BYTES_PER_TOKEN = 4;

const tokensOf = (text: string): number => Math.ceil(Buffer.byteLength(text) / BYTES_PER_TOKEN);

const tokensOfRequest = ({ messages, format, shape }: ModelRequest, tools: readonly ToolSpec[]): number =>
  tokensOf(JSON.stringify([messages, format, tools, ...(shape ? [shape] : [])]));

const firstTokens = (text: string, tokens: number): string => {
  if (tokensOf(text) <= tokens) return text;
  let kept = '';
  let bytes = 0;
  for (const character of text) {
    bytes += Buffer.byteLength(character);
    if (bytes > tokens * BYTES_PER_TOKEN) break;
    kept += character;
  }
  return kept;
};

const usageOf = (inputTokens: number, outputTokens: number): Usage => ({ inputTokens, outputTokens, cachedInputTokens: 0, reasoningTokens: 0 });

const aborted = (billing: Billing): ModelError => new ModelError('MODEL_ABORTED', 'scripted: the call was aborted', { billing, retryable: false });

const REFUSALS: readonly ModelErrorCode[] = ['MODEL_UNREACHABLE', 'MODEL_UNAUTHORISED', 'MODEL_RATE_LIMITED', 'MODEL_REJECTED'];
const FINAL: readonly ModelErrorCode[] = ['MODEL_UNAUTHORISED', 'MODEL_REJECTED'];

const errorOf = ({ code, message, retryable, billing, retryAfterMs }: TurnError): ModelError =>
  new ModelError(code, `scripted: ${message ?? `the script says ${code}`}`, {
    billing: billing ?? (REFUSALS.includes(code) ? 'none' : 'unknown'),
    retryable: retryable ?? !FINAL.includes(code),
    ...(retryAfterMs !== undefined && { details: { retryAfterMs } }),
  });
