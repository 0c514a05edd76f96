/**
 * The model port: how a language model is asked, whatever is behind it. An adapter knows one provider's protocol; prices, the
 * upper bound and the bill are the gateway's (gateway.ts), so an adapter counts tokens and nothing else.
 */
import { TroupeError, type Failure } from '../../protocols/failure.ts';
import type { Grant } from '../../protocols/grant.ts';
import type { ModelReply, ModelRequest } from '../../protocols/model.ts';
import type { Usage } from '../../protocols/money.ts';

/** A tool as a model is told of it. `parameters` is JSON Schema. */
export type ToolSpec = { readonly name: string; readonly description: string; readonly parameters: Readonly<Record<string, unknown>> };

export type CallOptions = {
  readonly signal: AbortSignal;
  /** The tools that `request.tools` names, and the calls of `request.handoffs`. */
  readonly tools: readonly ToolSpec[];
  /** The answer's text as it comes, piece by piece. */
  readonly onText?: ((piece: string) => void) | undefined;
};

export interface ModelAdapter {
  /** The part of a model reference before the slash: `openai`. */
  readonly provider: string;
  /** Never fewer than the provider will count as input for this request: message overhead, tools and format included. */
  inputTokenBound(request: ModelRequest, tools: readonly ToolSpec[]): number;
  /** The models that it has, as `provider/name`, if it knows them all. */
  readonly models?: readonly string[];
  /**
   * Why no call can be made as things stand, a missing key for instance; `undefined`: nothing is known against it.
   * MODEL_SETTING_INVALID is for what somebody set and did not mean so: no other model is taken in its place.
   */
  ready?(): Failure | undefined;
  /**
   * One physical attempt; no retries inside. Calls `grant.use(...)` before anything is sent and asks for
   * `Math.min(request.maxTokens, grant.maxTokens)` tokens at most. Throws `ModelError`.
   */
  call(request: ModelRequest, grant: Grant, options: CallOptions): Promise<ModelAnswer>;
}

/** `estimated`: the provider did not say what was used, so `usage` is an upper bound by the text that came. */
export type ModelAnswer = ModelReply & { readonly estimated?: true };

/**
 * Where a model's arguments for a tool were no JSON object, they stand as they came under this name in the call's input. No tool has
 * such a parameter, so whoever runs the call refuses it and the model reads why: a slip of the pen costs a turn, not the task.
 */
export const UNREADABLE_INPUT = '(not a JSON object)';

/** What a failed attempt may have cost: `none` was not sent or was refused, `unknown` may be billed in full, or what was counted. */
export type Billing = 'none' | 'unknown' | Usage;

export type ModelErrorCode =
  /** Never reached: no such host, connection refused. */
  | 'MODEL_UNREACHABLE'
  /** The key is missing or refused. */
  | 'MODEL_UNAUTHORISED'
  /** Too many requests; details.retryAfterMs where the provider said so. */
  | 'MODEL_RATE_LIMITED'
  /** The provider failed (5xx, connection lost in mid-answer). */
  | 'MODEL_UNAVAILABLE'
  /** The provider will not take this request (4xx): unknown model, too long, not allowed. */
  | 'MODEL_REJECTED'
  /** The answer is not what the protocol says. */
  | 'MODEL_BAD_REPLY'
  /** The answer goes on beyond what can be kept, and was cut off. */
  | 'MODEL_REPLY_TOO_LARGE'
  | 'MODEL_TIMEOUT'
  | 'MODEL_ABORTED';

export class ModelError extends TroupeError {
  readonly billing: Billing;

  constructor(code: ModelErrorCode, message: string, more: { billing: Billing; retryable: boolean; details?: Record<string, unknown>; cause?: unknown }) {
    super(code, message, more);
    this.name = 'ModelError';
    this.billing = more.billing;
  }
}
