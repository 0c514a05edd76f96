/**
 * A script for the scripted model: what it answers, turn by turn, in code, in a team file or in a file of its own. In a file
 * (YAML or JSON) it is a list:
 *
 *     - Paris.                                        # a text
 *     - when: Is the draft complete                   # only for a request that contains this
 *       repeat: true                                  # as often as it is asked
 *       json: { verdict: accept, reasons: [], confidence: 0.9 }
 *     - calls: [{ name: search_files, input: { query: refund } }]
 *     - error: { code: MODEL_RATE_LIMITED, retry_after_ms: 200 }
 *     - { text: Slow and steady., delay_ms: 500, pace_ms: 20 }
 */
import { z } from 'zod';
import { TroupeError } from '../../../protocols/failure.ts';
import { mismatches } from '../../../protocols/mismatch.ts';
import type { ModelRequest } from '../../../protocols/model.ts';
import type { Billing, ModelErrorCode } from '../port.ts';

/** One answer, or one failure. */
export type Turn = {
  /** Taken only for a request one of whose messages contains this text. */
  readonly when?: string | undefined;
  /** Taken as often as it fits; otherwise once. */
  readonly repeat?: boolean | undefined;
  readonly text?: string | undefined;
  /** The text, as the value that it is the JSON of. */
  readonly json?: unknown;
  readonly calls?: readonly { readonly name: string; readonly input: Record<string, unknown>; readonly id?: string | undefined }[] | undefined;
  readonly error?: TurnError | undefined;
  /** Before the first word. */
  readonly delayMs?: number | undefined;
  /** Between two words. */
  readonly paceMs?: number | undefined;
};

/** What is left out follows from the code: a refusal costs nothing and a lost answer may cost anything. */
export type TurnError = {
  readonly code: ModelErrorCode;
  readonly message?: string | undefined;
  readonly retryable?: boolean | undefined;
  readonly billing?: Billing | undefined;
  readonly retryAfterMs?: number | undefined;
};

export type Answer = (request: ModelRequest) => string | Turn | Promise<string | Turn>;

/** A list is used up in its order, by whichever request comes; a function answers every request. */
export type Script = Answer | readonly (string | Turn | Answer)[];

const ErrorCode = z.enum([
  'MODEL_UNREACHABLE',
  'MODEL_UNAUTHORISED',
  'MODEL_RATE_LIMITED',
  'MODEL_UNAVAILABLE',
  'MODEL_REJECTED',
  'MODEL_BAD_REPLY',
  'MODEL_REPLY_TOO_LARGE',
  'MODEL_TIMEOUT',
]);

const CallInFile = z.strictObject({
  name: z.string().min(1).describe('The tool.'),
  input: z.record(z.string(), z.unknown()).default({}).describe('What it is called with.'),
  id: z.string().optional().describe('The id of the call; without it one is made.'),
});

const TurnInFile = z.strictObject({
  when: z.string().min(1).optional().describe('Only for a request one of whose messages contains this text.'),
  repeat: z.boolean().optional().describe('Whether it is given as often as it fits; otherwise once.'),
  text: z.string().optional().describe('The answer.'),
  json: z.unknown().optional().describe('The answer as a value; what is said is its JSON.'),
  calls: z.array(CallInFile).optional().describe('Tool calls.'),
  error: z
    .strictObject({
      code: ErrorCode.describe('Which failure.'),
      message: z.string().optional().describe('What it says.'),
      retryable: z.boolean().optional().describe('Whether trying again may help; by default it follows from the code.'),
      billing: z.enum(['none', 'unknown']).optional().describe('What the failed call may have cost; by default it follows from the code.'),
      retry_after_ms: z.number().nonnegative().optional().describe('When the provider wants to be asked again, milliseconds.'),
    })
    .transform(({ retry_after_ms: retryAfterMs, ...rest }): TurnError => ({ ...rest, retryAfterMs }))
    .optional()
    .describe('A failure in place of an answer.'),
  delay_ms: z.number().nonnegative().optional().describe('Before the first word, milliseconds.'),
  pace_ms: z.number().nonnegative().optional().describe('Between two words, milliseconds.'),
});

/** As it stands in a file. */
export const ScriptFile = z
  .array(
    z.union([z.string(), TurnInFile.transform(({ delay_ms: delayMs, pace_ms: paceMs, ...turn }): Turn => ({ ...turn, delayMs, paceMs }))], {
      error: 'expected a text, or an object with text, json, calls or error',
    }),
  )
  .min(1);

/** A script from what stands in a file. `source` is named in the error SCRIPT_INVALID. */
export const parseScript = (data: unknown, source: string): readonly (string | Turn)[] => {
  const parsed = z.object({ script: ScriptFile }).safeParse({ script: data });
  if (parsed.success) return parsed.data.script;
  throw new TroupeError('SCRIPT_INVALID', `${source}: ${mismatches(parsed.error, { script: data }, 'script')}`, { details: { source } });
};
