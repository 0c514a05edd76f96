/** An endpoint's failures in words, with the key cut out of every one. */
import { ModelError, type Billing, type ModelErrorCode } from '../port.ts';

export type ErrorContext = {
  readonly provider: string;
  readonly model: string;
  /** Without credentials. */
  readonly host: string;
  readonly apiKey: string | undefined;
  readonly now: () => number;
};

export const modelError = (
  code: ModelErrorCode,
  message: string,
  billing: Billing,
  retryable: boolean,
  context: ErrorContext,
  details: Record<string, unknown> = {},
): ModelError =>
  new ModelError(code, redact(`${context.provider}/${context.model}: ${message}`, context.apiKey), {
    billing,
    retryable,
    details: { host: context.host, ...details },
  });

/** Sent, and then nobody knows. */
export const lost = (code: ModelErrorCode, message: string, context: ErrorContext): ModelError =>
  modelError(code, message, 'unknown', code !== 'MODEL_ABORTED', context);

/** The key itself, wherever it stands, and whatever looks like one. */
const redact = (text: string, apiKey: string | undefined): string => {
  const known = apiKey && apiKey.length >= 8 ? text.replaceAll(apiKey, '[key]') : text;
  return known.replace(/\b(sk|key|gsk|xai|pplx)-[A-Za-z0-9_*-]{8,}/g, '[key]');
};
