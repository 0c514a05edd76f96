/**
 * Models behind the chat-completions protocol: OpenAI's, and every endpoint that speaks the same (OPENAI_BASE_URL).
 *
 * The answer is always streamed, so text is seen as it is made. The official client is told not to retry: an attempt is one
 * request, with one grant, whose id goes along as `x-client-request-id` and so stands in the provider's own logs.
 */
import { failure, failureOf, type Failure } from '../../../protocols/failure.ts';
import type { ModelRequest } from '../../../protocols/model.ts';
import type { ModelAdapter } from '../port.ts';
import { parseCompat, type Compat } from './compat.ts';
import { countBytes, countWith, encodingOf, type Encoding } from './encoding.ts';
import { createInputBound, type InputBound } from './input-bound.ts';
import { modelError, type ErrorContext } from './model-error.ts';

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

const byBytes = createInputBound(countBytes);
const byEncoding: Readonly<Record<Encoding, InputBound>> = {
  cl100k_base: createInputBound(countWith('cl100k_base')),
  o200k_base: createInputBound(countWith('o200k_base')),
};

const nameOf = ({ model }: ModelRequest): string => model.slice(model.indexOf('/') + 1);

/** Throws nothing: a missing key and a wrong setting are `ready`'s to say, so that a team that uses other models does without. */
export const createOpenAIAdapter = ({ provider = 'openai', env = process.env, now = Date.now, ...options }: OpenAIOptions = {}): ModelAdapter => {
  const apiKey = (options.apiKey ?? env['OPENAI_API_KEY'])?.trim() || undefined;
  const baseURL = (options.baseURL ?? env['OPENAI_BASE_URL'])?.trim() || OPENAI_URL;
  const { compat, problem } = compatOf(options.compat, env['OPENAI_COMPAT']);
  const url = URL.canParse(baseURL) ? new URL(baseURL) : undefined;
  const host = url?.host ?? 'the endpoint';

  const ready = (): Failure | undefined => {
    if (problem) return problem;
    if (!url) return failure('MODEL_SETTING_INVALID', `OPENAI_BASE_URL: expected a URL such as ${OPENAI_URL}, found something else`);
    if (!/^https?:$/.test(url.protocol))
      return failure('MODEL_SETTING_INVALID', `OPENAI_BASE_URL: expected a URL with http or https such as ${OPENAI_URL}, found ${url.protocol}`);
    if (apiKey !== undefined && /[^\x20-\x7e]/.test(apiKey))
      return failure('MODEL_SETTING_INVALID', 'OPENAI_API_KEY: found a line break or a sign in it that no header can carry');
    if (url.username || url.password)
      return failure('MODEL_SETTING_INVALID', 'OPENAI_BASE_URL: expected a URL without user and password; give the key in OPENAI_API_KEY');
    if (apiKey === undefined && baseURL === OPENAI_URL)
      return failure('MODEL_UNAUTHORISED', `no key for ${provider}/*: set OPENAI_API_KEY, or OPENAI_BASE_URL for an endpoint that needs none`);
    return undefined;
  };

  /** A name says how its model counts at OpenAI's; elsewhere any model may stand behind it. */
  const namesAreOpenAIs = compat.has('openai-tokens') || /(^|\.)api\.openai\.com$/.test(url?.hostname ?? '');
  const inputTokenBound: InputBound = (request, tools) => {
    const encoding = namesAreOpenAIs ? encodingOf(nameOf(request)) : undefined;
    return (encoding ? byEncoding[encoding] : byBytes)(request, tools);
  };

  return {
    provider,
    ready,
    inputTokenBound,
    async call(request, grant, callOptions) {
      const context: ErrorContext = { provider, model: nameOf(request), host, apiKey, now };
      const unready = ready();
      if (unready)
        throw modelError(unready.code === 'MODEL_UNAUTHORISED' ? 'MODEL_UNAUTHORISED' : 'MODEL_UNREACHABLE', unready.message, 'none', false, context);
      // The client is large and slow to load, and many a team does not need it.
      const { attempt } = await import('./attempt.ts');
      if (callOptions.signal.aborted) throw modelError('MODEL_ABORTED', 'aborted before it was sent', 'none', false, context);
      return attempt({ apiKey: apiKey ?? 'none', baseURL, compat, inputTokenBound }, request, grant, callOptions, context);
    },
  };
};

/** What was given as an option needs no reading. */
const compatOf = (given: readonly Compat[] | undefined, words: string | undefined): { readonly compat: ReadonlySet<Compat>; readonly problem?: Failure } => {
  try {
    return { compat: given ? new Set(given) : parseCompat(words) };
  } catch (thrown) {
    return { compat: new Set(), problem: failureOf(thrown) };
  }
};
