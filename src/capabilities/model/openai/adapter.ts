/**
 * Models behind the chat-completions protocol: OpenAI's, and every endpoint that speaks the same (OPENAI_BASE_URL).
 *
 * The answer is always streamed, so text is seen as it is made. The official client is told not to retry: an attempt is one
 * request, with one grant, whose id goes along as `x-client-request-id` and so stands in the provider's own logs.
 */
import OpenAI from 'openai';
import { failure, type Failure } from '../../../protocols/failure.ts';
import type { Grant } from '../../../protocols/grant.ts';
import type { ModelRequest } from '../../../protocols/model.ts';
import { type CallOptions, type ModelAdapter, type ModelAnswer } from '../port.ts';
import { parseCompat, type Compat } from './compat.ts';
import { errorFrom, lost, modelError, type ErrorContext } from './errors.ts';
import { Reply } from './reply.ts';
import { bodyOf, inputTokenBound } from './request.ts';

export type OpenAIOptions = {
  /** The part of a model reference before the slash. */
  readonly provider?: string;
  /** Default: OPENAI_API_KEY. An endpoint other than OpenAI's may do without. */
  readonly apiKey?: string;
  /** Default: OPENAI_BASE_URL, then OpenAI's own. */
  readonly baseURL?: string;
  /** Default: the words in OPENAI_COMPAT. */
  readonly compat?: readonly Compat[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
};

const OPENAI_URL = 'https://api.openai.com/v1';

/** Errors: OPENAI_COMPAT_INVALID. A missing key is `ready`'s to say, so that a team that uses other models does not need one. */
export const createOpenAIAdapter = ({ provider = 'openai', env = process.env, now = Date.now, ...options }: OpenAIOptions = {}): ModelAdapter => {
  const apiKey = (options.apiKey ?? env['OPENAI_API_KEY'])?.trim() || undefined;
  const baseURL = (options.baseURL ?? env['OPENAI_BASE_URL'])?.trim() || OPENAI_URL;
  const compat: ReadonlySet<Compat> = options.compat ? new Set(options.compat) : parseCompat(env['OPENAI_COMPAT']);
  const url = URL.canParse(baseURL) ? new URL(baseURL) : undefined;
  const host = url?.host ?? 'the endpoint';
  let client: OpenAI | undefined;

  const ready = (): Failure | undefined => {
    if (!url) return failure('MODEL_UNREACHABLE', `OPENAI_BASE_URL: expected a URL such as ${OPENAI_URL}, found ${JSON.stringify(baseURL)}`);
    if (url.username || url.password)
      return failure('MODEL_UNREACHABLE', 'OPENAI_BASE_URL: expected a URL without user and password; give the key in OPENAI_API_KEY');
    if (apiKey === undefined && baseURL === OPENAI_URL)
      return failure('MODEL_UNAUTHORISED', `no key for ${provider}/*: set OPENAI_API_KEY, or OPENAI_BASE_URL for an endpoint that needs none`);
    return undefined;
  };

  const attempt = async (request: ModelRequest, grant: Grant, { signal, tools, onText }: CallOptions, context: ErrorContext): Promise<ModelAnswer> => {
    client ??= new OpenAI({ apiKey: apiKey ?? 'none', baseURL, maxRetries: 0, logLevel: 'off' });
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
        if (piece !== '') onText?.(piece);
      }
      if (!reply.complete) checkStopped();
      if (!reply.begun)
        throw lost(
          'MODEL_BAD_REPLY',
          `${context.host} sent no answer but ${response.headers.get('content-type') ?? 'nothing'}; check OPENAI_BASE_URL`,
          context,
        );
      if (!reply.finished) throw lost('MODEL_UNAVAILABLE', `${context.host} ended the answer in its middle`, context);
    } catch (thrown) {
      checkStopped();
      throw errorFrom(thrown, context);
    }
    return reply.end(request.model, inputTokenBound(request, tools), cap);
  };

  return {
    provider,
    ready,
    inputTokenBound,
    async call(request, grant, callOptions) {
      const context: ErrorContext = { provider, model: request.model.slice(request.model.indexOf('/') + 1), host, apiKey, now };
      const unready = ready();
      if (unready)
        throw modelError(unready.code === 'MODEL_UNAUTHORISED' ? 'MODEL_UNAUTHORISED' : 'MODEL_UNREACHABLE', unready.message, 'none', false, context);
      if (callOptions.signal.aborted) throw modelError('MODEL_ABORTED', 'aborted before it was sent', 'none', false, context);
      grant.use(now());
      return attempt(request, grant, callOptions, context);
    },
  };
};
