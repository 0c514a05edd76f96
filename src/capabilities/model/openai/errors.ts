/**
 * What can go wrong with a call to an endpoint, as a `ModelError`: what it may have cost decides whether a grant comes back, and
 * whether trying again can help decides whether the chart does.
 *
 *   not sent, or refused (4xx)             nothing was spent
 *   5xx, cut off, timed out, aborted,
 *   larger than can be kept                nobody knows: it may be billed in full
 */
import { APIConnectionError, APIConnectionTimeoutError, APIError } from 'openai';
import { ModelError, type ModelErrorCode } from '../port.ts';
import { lost, modelError, type ErrorContext } from './model-error.ts';

/** Whatever the client threw. The key is cut out of every word, and nothing of the request is kept. */
export const errorFrom = (thrown: unknown, context: ErrorContext): ModelError => {
  if (thrown instanceof ModelError) return thrown;
  if (thrown instanceof APIConnectionTimeoutError) return lost('MODEL_TIMEOUT', `no answer from ${context.host} in time`, context);
  if (thrown instanceof APIConnectionError) return unconnected(thrown, context);
  if (thrown instanceof APIError)
    return thrown.status === undefined
      ? lost('MODEL_UNAVAILABLE', `${context.host} broke off: ${thrown.message}`, context)
      : refused(thrown, thrown.status, context);
  if (thrown instanceof SyntaxError) return lost('MODEL_BAD_REPLY', `${context.host} sent an event that is not JSON`, context);
  return lost('MODEL_UNAVAILABLE', `lost the connection to ${context.host} in mid-answer: ${innermost(thrown)}`, context);
};

/** Codes of connections that were never made. */
const NEVER_CONNECTED = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL', 'UND_ERR_CONNECT_TIMEOUT'];
const CERTIFICATE = /CERT|SELF_SIGNED|ERR_TLS|ERR_SSL/;

/** What fetch says of a port that it will not talk to: it gives no code. */
const BAD_PORT = 'bad port';

const unconnected = (thrown: APIConnectionError, context: ErrorContext): ModelError => {
  if (innermost(thrown) === BAD_PORT)
    return modelError('MODEL_UNREACHABLE', `cannot reach ${context.host}: fetch refuses this port; check OPENAI_BASE_URL`, 'none', false, context);
  const code = codeOf(thrown);
  if (code !== undefined && (NEVER_CONNECTED.includes(code) || CERTIFICATE.test(code))) {
    return modelError(
      'MODEL_UNREACHABLE',
      `cannot reach ${context.host} (${code}); check OPENAI_BASE_URL and the network`,
      'none',
      !CERTIFICATE.test(code),
      context,
      { cause: code },
    );
  }
  return lost('MODEL_UNAVAILABLE', `lost the connection to ${context.host}: ${code ?? innermost(thrown)}`, context);
};

const refused = (thrown: APIError, status: number, context: ErrorContext): ModelError => {
  const said = `${context.host} answered ${status}: ${thrown.message.replace(/^\d{3} /, '')}`;
  const details = { status, ...(thrown.code && { providerCode: thrown.code }), ...(thrown.requestID && { requestId: thrown.requestID }) };
  const none = (code: ModelErrorCode, next: string, retryable = false, more: Record<string, unknown> = {}) =>
    modelError(code, `${said}${next}`, 'none', retryable, context, { ...details, ...more });
  if (status === 401 || status === 403) return none('MODEL_UNAUTHORISED', '; check OPENAI_API_KEY and what it may be used for');
  if (status === 404) return none('MODEL_REJECTED', '; check the name of the model and OPENAI_BASE_URL');
  if (status === 413) return none('MODEL_REJECTED', '; the request is too large');
  if (status === 429) {
    // An empty account is refused with the same status, and waiting does not fill it.
    if (thrown.code === 'insufficient_quota') return none('MODEL_REJECTED', '; the account at the provider has no credit left');
    const retryAfterMs = retryAfter(thrown.headers, context.now());
    return none('MODEL_RATE_LIMITED', '', true, retryAfterMs === undefined ? {} : { retryAfterMs });
  }
  if (status === 408 || status === 409) return none('MODEL_UNAVAILABLE', '', true);
  if (status >= 400 && status < 500) return none('MODEL_REJECTED', '');
  return modelError('MODEL_UNAVAILABLE', said, 'unknown', true, context, details);
};

/** `retry-after-ms`, or `retry-after` in seconds or as a date. */
const retryAfter = (headers: Headers | undefined, nowMs: number): number | undefined => {
  const ms = Number.parseFloat(headers?.get('retry-after-ms') ?? '');
  if (Number.isFinite(ms) && ms >= 0) return Math.ceil(ms);
  const given = headers?.get('retry-after') ?? '';
  const seconds = /^\s*\d+(\.\d+)?\s*$/.test(given) ? Number.parseFloat(given) * 1000 : Date.parse(given) - nowMs;
  return Number.isFinite(seconds) ? Math.max(0, Math.ceil(seconds)) : undefined;
};

const causes = function* (thrown: unknown): Generator<Error> {
  for (let at = thrown, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth++) {
    yield at;
    if (at instanceof AggregateError) for (const one of at.errors) if (one instanceof Error) yield one;
  }
};

const codeOf = (thrown: unknown): string | undefined => {
  for (const { code } of causes(thrown) as Generator<Error & { code?: unknown }>) if (typeof code === 'string') return code;
  return undefined;
};

const innermost = (thrown: unknown): string => [...causes(thrown)].at(-1)?.message ?? String(thrown);
