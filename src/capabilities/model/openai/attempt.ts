/** One request to an endpoint, from the first byte to the last. */
import OpenAI from 'openai';
import type { Grant } from '../../../protocols/grant.ts';
import type { ModelRequest } from '../../../protocols/model.ts';
import type { CallOptions, ModelAnswer, ModelError } from '../port.ts';
import { withBoundedBody } from './bounded-body.ts';
import type { Compat } from './compat.ts';
import { errorFrom } from './errors.ts';
import type { InputBound } from './input-bound.ts';
import { lost, modelError, type ErrorContext } from './model-error.ts';
import { Reply, REPLY_BYTES_MAX } from './reply.ts';
import { bodyOf } from './request.ts';

// What fetch needs is loaded with its first use: here, and not between a permission and its call.
void Headers;

export type Endpoint = { readonly apiKey: string; readonly baseURL: string; readonly compat: ReadonlySet<Compat>; readonly inputTokenBound: InputBound };

export const attempt = async (
  { apiKey, baseURL, compat, inputTokenBound }: Endpoint,
  request: ModelRequest,
  grant: Grant,
  { signal, tools, onText }: CallOptions,
  context: ErrorContext,
): Promise<ModelAnswer> => {
  let refusal: unknown;
  /** The grant is used when nothing is left to wait for: a process that sleeps before this moment finds out. */
  const send: typeof fetch = async (input, init) => {
    try {
      grant.use(context.now());
    } catch (thrown) {
      refusal = thrown;
      throw thrown;
    }
    return withBoundedBody(await fetch(input, init), tooLarge);
  };
  /** A server that does not know where to stop would not know the next time either. */
  const tooLarge = (): ModelError =>
    modelError(
      'MODEL_REPLY_TOO_LARGE',
      `${context.host} sent more than the ${REPLY_BYTES_MAX} bytes that an answer may have, for at most ${cap} tokens; it was cut off`,
      'unknown',
      false,
      context,
    );
  const client = new OpenAI({ apiKey, baseURL, maxRetries: 0, logLevel: 'off', fetch: send });
  const cap = Math.min(request.maxTokens, grant.maxTokens);
  const expiry = AbortSignal.timeout(request.timeoutMs);
  /** An aborted stream ends like a finished one, so this is asked wherever it ends. */
  const checkStopped = (): void => {
    if (signal.aborted) throw lost('MODEL_ABORTED', 'the call was aborted', context);
    if (expiry.aborted) throw lost('MODEL_TIMEOUT', `no complete answer from ${context.host} within ${request.timeoutMs} ms`, context);
  };
  const reply = new Reply();
  try {
    const { data: events, response } = await client.chat.completions
      .create(bodyOf(request, tools, cap, compat), {
        signal: AbortSignal.any([signal, expiry]),
        timeout: request.timeoutMs,
        headers: { 'x-client-request-id': grant.id },
      })
      .withResponse();
    for await (const event of events) {
      const piece = reply.take(event);
      // Leaving the loop ends the request.
      if (reply.tooLarge) throw tooLarge();
      if (piece !== '') onText?.(piece);
    }
    if (!reply.complete) checkStopped();
    if (!reply.begun)
      throw lost('MODEL_BAD_REPLY', `${context.host} sent no answer but ${response.headers.get('content-type') ?? 'nothing'}; check OPENAI_BASE_URL`, context);
    if (!reply.finished) throw lost('MODEL_UNAVAILABLE', `${context.host} ended the answer in its middle`, context);
  } catch (thrown) {
    if (refusal !== undefined) throw refusal;
    checkStopped();
    throw errorFrom(thrown, context);
  }
  return reply.end(request.model, inputTokenBound(request, tools), cap);
};
