/**
 * The model `extractive/classic`: a model that needs no network, no key and no money. It answers with what stands in the
 * documents, word for word, and says so when nothing does.
 *
 * It is told what every model is told and nothing more: the messages, the tools that it may call, the form that the answer must
 * have. What it does with them is classical: terms, rarity, coverage. The same request always gets the same answer.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { Grant } from '../../../protocols/grant.ts';
import type { ModelReply, ModelRequest, ToolCall } from '../../../protocols/model.ts';
import { noUsage, type Usage } from '../../../protocols/money.ts';
import { ModelError, type CallOptions, type ModelAdapter, type ToolSpec } from '../port.ts';
import { draftFor } from './draft.ts';

export const EXTRACTIVE_PROVIDER = 'extractive';
export const EXTRACTIVE_MODEL = 'extractive/classic';

export type ExtractiveOptions = {
  /** Milliseconds since 1970. */
  readonly now: () => number;
};

const BYTES_PER_TOKEN = 4;
const PIECE_CHARS = 160;

const bytesOf = (value: string): number => Buffer.byteLength(value);
const tokensOf = (bytes: number): number => Math.ceil(bytes / BYTES_PER_TOKEN);
const inputBytes = (request: ModelRequest, tools: readonly ToolSpec[]): number =>
  bytesOf(JSON.stringify([request.messages, tools, request.format ?? null, ...(request.shape ? [request.shape] : [])]));
const outputTokens = (text: string, calls: readonly ToolCall[]): number => tokensOf(bytesOf(text) + (calls.length > 0 ? bytesOf(JSON.stringify(calls)) : 0));

export const createExtractiveAdapter = ({ now }: ExtractiveOptions): ModelAdapter => ({
  provider: EXTRACTIVE_PROVIDER,
  models: [EXTRACTIVE_MODEL],
  inputTokenBound: inputBytes,

  async call(request: ModelRequest, grant: Grant, { signal, tools, onText }: CallOptions): Promise<ModelReply> {
    if (request.model !== EXTRACTIVE_MODEL) {
      throw new ModelError('MODEL_REJECTED', `unknown model "${request.model}"; known: ${EXTRACTIVE_MODEL}`, { billing: 'none', retryable: false });
    }
    if (signal.aborted) throw stopped('none');
    grant.use(now());
    const usage: Usage = { ...noUsage, inputTokens: tokensOf(inputBytes(request, tools)) };
    await turn();
    if (signal.aborted) throw stopped(usage);
    const reply = within(request, Math.min(request.maxTokens, grant.maxTokens), usage);
    await stream(reply, signal, onText);
    return reply;
  },
});

const stopped = (billing: 'none' | Usage): ModelError => new ModelError('MODEL_ABORTED', 'the call was stopped', { billing, retryable: false });

/** The largest answer that fits; an answer that cannot be made small enough is left out, and the reply says `length`. */
const within = (request: ModelRequest, maxTokens: number, usage: Usage): ModelReply => {
  const draft = draftFor(request);
  for (let size = draft.largest; size >= draft.smallest; size--) {
    const { text, toolCalls } = draft.at(size);
    const spent = outputTokens(text, toolCalls);
    if (spent <= maxTokens) {
      return {
        text,
        toolCalls: [...toolCalls],
        finish: toolCalls.length > 0 ? 'tools' : 'stop',
        usage: { ...usage, outputTokens: spent },
        model: EXTRACTIVE_MODEL,
      };
    }
  }
  return { text: '', toolCalls: [], finish: 'length', usage, model: EXTRACTIVE_MODEL };
};

const stream = async ({ text, usage }: ModelReply, signal: AbortSignal, onText: CallOptions['onText']): Promise<void> => {
  if (!onText) return;
  for (let at = 0; at < text.length; at += PIECE_CHARS) {
    if (signal.aborted) throw stopped(usage);
    onText(text.slice(at, at + PIECE_CHARS));
    await turn();
  }
};
