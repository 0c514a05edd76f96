/**
 * The answer as it comes: events are put together to text, tool calls and usage. It asks little of the events, because
 * compatible endpoints leave out what they like.
 */
import type { ChatCompletionChunk } from 'openai/resources/chat/completions';
import type { FinishReason, ToolCall } from '../../../protocols/model.ts';
import { Usage } from '../../../protocols/money.ts';
import { UNREADABLE_INPUT, type ModelAnswer } from '../port.ts';
import { countBytes } from './encoding.ts';

/** Of the text and the calls of an answer. An answer is kept in one entry of a log, and escaped there it must have room. */
export const REPLY_BYTES_MAX = 500_000;

type PartialCall = { id: string | undefined; name: string; arguments: string };

export class Reply {
  text = '';
  readonly #calls: { readonly index: number; readonly call: PartialCall }[] = [];
  #finish: string | undefined;
  #refused = false;
  #usage: Usage | undefined;
  #model: string | undefined;
  #id: string | undefined;
  /** Of everything that came, hidden thoughts included where they are shown. */
  #bytes = 0;
  /** Of what is kept. */
  #kept = 0;
  /** Whether anything came that this protocol knows. */
  begun = false;

  get finished(): boolean {
    return this.#finish !== undefined;
  }

  /** Nothing more can come that matters: the answer has ended and its usage is known. */
  get complete(): boolean {
    return this.finished && this.#usage !== undefined;
  }

  get tooLarge(): boolean {
    return this.#kept > REPLY_BYTES_MAX;
  }

  /** Takes an event and gives the text that it adds. */
  take(chunk: ChatCompletionChunk): string {
    const usage = usageOf(chunk.usage);
    if (usage) this.#usage = usage;
    if (chunk.model) this.#model = chunk.model;
    if (chunk.id) this.#id = chunk.id;
    const choice = chunk.choices?.[0];
    if (!choice) return '';
    this.begun = true;
    if (choice.finish_reason) this.#finish = choice.finish_reason;
    const delta = (choice.delta ?? {}) as Partial<ChatCompletionChunk.Choice.Delta> & { reasoning_content?: unknown; reasoning?: unknown };
    for (const thought of [delta.reasoning_content, delta.reasoning]) if (typeof thought === 'string') this.#bytes += countBytes(thought);
    for (const call of delta.tool_calls ?? []) this.#takeCall(call);
    if (delta.refusal) this.#refused = true;
    const piece = `${delta.content ?? ''}${delta.refusal ?? ''}`;
    this.text += piece;
    this.#keep(piece);
    return piece;
  }

  /** Some endpoints give every call the same index: another id is another call. */
  #takeCall({ index, id, function: part }: ChatCompletionChunk.Choice.Delta.ToolCall): void {
    const last = this.#calls.findLast((known) => known.index === index)?.call;
    const call = last && (!id || !last.id || last.id === id) ? last : { id: undefined, name: '', arguments: '' };
    if (call !== last) {
      this.#calls.push({ index, call });
      this.#kept += CALL_BYTES + countBytes(id ?? '');
    }
    if (id) call.id = id;
    call.name += part?.name ?? '';
    call.arguments += part?.arguments ?? '';
    this.#keep(`${part?.name ?? ''}${part?.arguments ?? ''}`);
  }

  #keep(piece: string): void {
    const bytes = countBytes(piece);
    this.#bytes += bytes;
    this.#kept += bytes;
  }

  /** The whole answer. `inputBound` and `cap` stand in for a usage that was not reported. */
  end(model: string, inputBound: number, cap: number): ModelAnswer {
    const calls = this.#calls.map(({ call }, index) => toolCallOf(call, index));
    const finish = this.#refused ? 'filtered' : finishOf(this.#finish, calls.length > 0);
    const usage = this.#usage ?? {
      inputTokens: inputBound,
      outputTokens: Math.min(cap, this.#bytes + FRAME * (1 + calls.length)),
      cachedInputTokens: 0,
      reasoningTokens: 0,
    };
    return {
      text: this.text,
      // A cut answer may have cut a call as well: half a call is none.
      toolCalls: finish === 'length' ? [] : calls,
      finish,
      usage,
      model: this.#model ?? model,
      ...(this.#id !== undefined && this.#id.length <= ID_MAX && { id: this.#id }),
      ...(!this.#usage && { estimated: true as const }),
    };
  }
}

/** Of a provider's id: what a bill carries. */
const ID_MAX = 200;

/** What a call takes beside its name and arguments. */
const CALL_BYTES = 50;

/** Tokens that begin and end a text or a call. */
const FRAME = 16;

const toolCallOf = ({ id, name, arguments: given }: PartialCall, index: number): ToolCall => ({ id: id ?? `call-${index + 1}`, name, input: inputOf(given) });

/** No arguments at all are an empty object, as some models write them. */
const inputOf = (given: string): Record<string, unknown> => {
  if (given.trim() === '') return {};
  try {
    const value: unknown = JSON.parse(given);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // The same as JSON that is no object.
  }
  return { [UNREADABLE_INPUT]: given };
};

const finishOf = (said: string | undefined, calls: boolean): FinishReason => {
  if (said === 'length') return 'length';
  if (said === 'content_filter') return 'filtered';
  return calls ? 'tools' : 'stop';
};

/** `undefined` when the provider said nothing that can be billed by. Thoughts that stand only in the total are output too. */
const usageOf = (said: ChatCompletionChunk['usage']): Usage | undefined => {
  if (!said) return undefined;
  const parsed = Usage.safeParse({
    inputTokens: said.prompt_tokens,
    outputTokens: Math.max(said.completion_tokens, (said.total_tokens ?? 0) - said.prompt_tokens),
    cachedInputTokens: said.prompt_tokens_details?.cached_tokens ?? 0,
    reasoningTokens: said.completion_tokens_details?.reasoning_tokens ?? 0,
  });
  return parsed.success ? parsed.data : undefined;
};
