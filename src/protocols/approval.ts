/**
 * Approvals: what a person must decide. An actor asks with `approval.request`, a person answers through a command with
 * `approval.answer`, the approver tells the asker `approval.decided`. Without an answer by the deadline the default decides.
 */
import { z } from 'zod';
import { message } from './message.ts';

export const Decision = z.enum(['approve', 'deny']);
export type Decision = z.infer<typeof Decision>;

export const ApprovalRequest = message('approval.request', {
  approval: z.string(),
  question: z.string(),
  details: z.record(z.string(), z.unknown()).default({}),
  timeoutMs: z.number().int().positive(),
  /** What counts when nobody answers in time. */
  otherwise: Decision,
});

export const ApprovalAnswer = message('approval.answer', {
  approval: z.string(),
  decision: Decision,
  by: z.string(),
  note: z.string().default(''),
});

export const ApprovalDecided = message('approval.decided', {
  approval: z.string(),
  decision: Decision,
  by: z.string(),
  note: z.string(),
});
