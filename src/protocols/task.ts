/**
 * Tasks: a supervisor says them to an agent, the agent answers the address it was assigned by.
 *
 * Delivery is at least once and in order; the entry's id makes a second delivery harmless. Each `task.assign` is answered by
 * exactly one of `task.completed`, `task.failed` and `task.handed_over`, also after `task.cancel`.
 */
import { z } from 'zod';
import { Failure } from './failure.ts';
import { Citation, Report } from './formats.ts';
import { Name } from './ids.ts';
import { StepOutcome } from './lifecycle.ts';
import { message } from './message.ts';
import { ChatMessage } from './model.ts';

/** The result of a step that this task builds on. */
export const Finding = z.object({ step: Name, agent: Name, text: z.string(), citations: z.array(Citation) });
export type Finding = z.infer<typeof Finding>;

/** What was said against the last attempt, when this is another one. */
export const Feedback = z.object({ previous: z.string(), reasons: z.array(z.string()) });
export type Feedback = z.infer<typeof Feedback>;

/** A task that another agent had before, and what was said until it was handed over: a conversation that any provider takes. */
export const Handover = z.object({
  /** Who had it, the first first. */
  by: z.array(Name).min(1),
  reason: z.string(),
  messages: z.array(ChatMessage),
  /** Messages at the beginning that did not go along. */
  omitted: z.number().int().positive().optional(),
});
export type Handover = z.infer<typeof Handover>;

export const TaskAssign = message('task.assign', {
  step: Name,
  attempt: z.number().int().positive(),
  /** What the whole run is about. */
  goal: z.string(),
  instructions: z.string(),
  findings: z.array(Finding).default([]),
  feedback: Feedback.optional(),
  /** When it is not the first agent that is given it. */
  handover: Handover.optional(),
  /** When the run gives up, milliseconds since 1970: an answer that comes later is of no use to anybody. */
  deadline: z.number().optional(),
  /** Accounts below the run's that pay for it, the outermost first: of the teams that it is done for. */
  payer: z.array(Name).optional(),
  /** To a team: how many teams stand above it. */
  depth: z.number().int().positive().optional(),
});

export const TaskCancel = message('task.cancel', { reason: z.string() });

export const TaskCompleted = message('task.completed', {
  step: Name,
  attempt: z.number().int().positive(),
  text: z.string(),
  citations: z.array(Citation),
  /** The answer as a value, of an agent whose answers have a form; `text` is its JSON. */
  output: z.unknown().optional(),
  /** How the agent came to it, apart from the answer. */
  reasoning: z.string().optional(),
  turns: z.number().int().nonnegative(),
  /** Of a team: how its own steps ended. */
  steps: z.array(StepOutcome).optional(),
});

export const TaskFailed = message('task.failed', {
  step: Name,
  attempt: z.number().int().positive(),
  failure: Failure,
  /** What was done all the same. */
  partial: Report.optional(),
  /** Of a team: how its own steps ended. */
  steps: z.array(StepOutcome).optional(),
});

/** The agent does not answer: another one is to go on with the conversation. */
export const TaskHandedOver = message('task.handed_over', {
  step: Name,
  attempt: z.number().int().positive(),
  /** Who is to go on. */
  agent: Name,
  reason: z.string(),
  /** As a `Handover` has them. */
  messages: z.array(ChatMessage),
  omitted: z.number().int().positive().optional(),
  turns: z.number().int().nonnegative(),
});
