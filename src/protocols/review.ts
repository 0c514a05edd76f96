/**
 * Reviews: a supervisor asks a reviewer to judge one attempt at a task. Each `review.request` is answered by exactly one of
 * `review.verdict` and `review.failed`.
 */
import { z } from 'zod';
import { Failure } from './failure.ts';
import { Citation, Verdict } from './formats.ts';
import { Name } from './ids.ts';
import { message } from './message.ts';

export const ReviewRequest = message('review.request', {
  step: Name,
  attempt: z.number().int().positive(),
  goal: z.string(),
  instructions: z.string(),
  text: z.string(),
  citations: z.array(Citation),
  /** Accounts below the run's that pay for it, the outermost first. */
  payer: z.array(Name).optional(),
});

export const ReviewVerdict = message('review.verdict', {
  step: Name,
  attempt: z.number().int().positive(),
  ...Verdict.shape,
  /** Where quotes were compared with their sources: each citation of the work as it holds, or null where its source does not hold it. */
  held: z.array(Citation.nullable()).optional(),
});

export const ReviewFailed = message('review.failed', {
  step: Name,
  attempt: z.number().int().positive(),
  failure: Failure,
});
