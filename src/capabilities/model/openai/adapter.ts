/**
 * Models behind the chat-completions protocol: OpenAI's, and every endpoint that speaks the same (OPENAI_BASE_URL).
 *
 * The answer is always streamed, so text is seen as it is made. The official client is told not to retry: an attempt is one
 * request, with one grant, whose id goes along as `x-client-request-id` and so stands in the provider's own logs.
 */
import { failure, type Failure } from '../../../protocols/failure.ts';
import type { ModelAdapter } from '../port.ts';
import { parseCompat, type Compat } from './compat.ts';
import { modelError, type ErrorContext } from './model-error.ts';
import { inputTokenBound } from './request.ts';

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

  const ready = (): Failure | undefined => {
    if (!url) return failure('MODEL_UNREACHABLE', `OPENAI_BASE_URL: expected a URL such as ${OPENAI_URL}, found ${JSON.stringify(baseURL)}`);
    if (url.username || url.password)
      return failure('MODEL_UNREACHABLE', 'OPENAI_BASE_URL: expected a URL without user and password; give the key in OPENAI_API_KEY');
    if (apiKey === undefined && baseURL === OPENAI_URL)
      return failure('MODEL_UNAUTHORISED', `no key for ${provider}/*: set OPENAI_API_KEY, or OPENAI_BASE_URL for an endpoint that needs none`);
    return undefined;
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
      // The client is large and slow to load, and many a team does not need it.
      const { attempt } = await import('./attempt.ts');
      return attempt({ apiKey: apiKey ?? 'none', baseURL, compat }, request, grant, callOptions, context);
    },
  };
};
