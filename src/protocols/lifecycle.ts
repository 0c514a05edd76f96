/**
 * The life of a run, and what a host writes into an actor's own log.
 *
 * `run.*` is said between a client and a run's supervisor. `effect.*` and `timer.fired` are entries that a host appends to the
 * log of the actor it hosts: they are how the world's answers become part of the fold (runtime/fold.ts).
 */
import { z } from 'zod';
import { Failure } from './failure.ts';
import { Citation } from './formats.ts';
import { Name } from './ids.ts';
import { message } from './message.ts';
import { Nanos, Usage } from './money.ts';

export const GOAL_CHARS_MAX = 100_000;

export const RunStart = message('run.start', { goal: z.string().min(1).max(GOAL_CHARS_MAX) });

export const RunCancel = message('run.cancel', { reason: z.string() });

/** How a step of the run's plan ended, for people. A step of a team inside it is `<step of the team>/<step>`. */
export const StepOutcome = z.object({
  step: z.string(),
  /** Who did it in the end. */
  agent: z.string(),
  /** Who had it before and handed it over, the first first. */
  handedOverBy: z.array(z.string()).optional(),
  status: z.string(),
  /** How often it was assigned: tries, revisions, hand-overs and ways back count alike. Absent of peers, and in what older releases said. */
  attempts: z.number().int().nonnegative().optional(),
  failure: Failure.optional(),
  output: z.unknown().optional(),
});
export type StepOutcome = z.infer<typeof StepOutcome>;

/** How peers came to their end, and after how many rounds; `note` says it for people. */
export const Ended = z.object({
  by: z.enum(['agreement', 'vote', 'rounds', 'award', 'person']),
  rounds: z.number().int().nonnegative(),
  note: z.string(),
});
export type Ended = z.infer<typeof Ended>;

/** The run's account when it was closed. */
export const Spending = z.object({ spentNanos: Nanos, heldNanos: Nanos, limitNanos: Nanos });
export type Spending = z.infer<typeof Spending>;

export const RunCompleted = message('run.completed', {
  answer: z.string(),
  citations: z.array(Citation),
  /** The answer as a value, where a form was asked for; `answer` is its JSON. */
  output: z.unknown().optional(),
  steps: z.array(StepOutcome),
  /** Of a run of peers. */
  ended: Ended.optional(),
  /** Absent when the account did not answer in time: nobody knows yet. */
  spending: Spending.optional(),
});

/** A plan was changed while it was carried out. Nobody answers it. */
export const PlanRevised = message('plan.revised', {
  revision: z.number().int().positive(),
  reason: z.string(),
  /** Steps that are new, or that are done otherwise than was planned. */
  steps: z.array(z.object({ step: Name, agent: Name, task: z.string(), needs: z.array(Name) })),
  /** Steps that are not done any more. */
  dropped: z.array(Name),
});

export const RunFailed = message('run.failed', {
  failure: Failure,
  /** What could be said with what there was; `failure` says what is missing. */
  answer: z.string().optional(),
  citations: z.array(Citation).default([]),
  steps: z.array(StepOutcome),
  /** Absent when the account did not answer in time: nobody knows yet. */
  spending: Spending.optional(),
});

/** A host is about to make attempt `attempt` at a paid effect. Of several claims to one attempt the first in the log counts. */
export const EffectClaimed = message('effect.claimed', {
  effect: z.string(),
  attempt: z.number().int().positive(),
  host: z.string(),
});

/** Attempt `attempt` was claimed by a host that is gone: it may have been paid, its result is unknown, another one follows. */
export const EffectLost = message('effect.lost', {
  effect: z.string(),
  attempt: z.number().int().positive(),
  host: z.string(),
});

/**
 * The account has not answered for attempt `attempt`: another one is made with money of the actor's advance, of which it needs
 * `nanos` at most. It counts only while the first has no answer in the log and the advance has so much left.
 */
export const EffectDrawn = message('effect.drawn', {
  effect: z.string(),
  attempt: z.number().int().positive(),
  nanos: Nanos,
  maxTokens: z.number().int().nonnegative(),
});

/** What a paid attempt cost; absent for effects that cost nothing. */
export const Bill = z.object({
  grant: z.string(),
  spentNanos: Nanos,
  usage: Usage,
  model: z.string(),
  kind: z.enum(['model', 'tool']).optional(),
  /** The provider's own id of its answer, as it stands in the provider's reports. */
  response: z.string().max(200).optional(),
  /** The grant of the advance that it was paid from. */
  advance: z.string().optional(),
});
export type Bill = z.infer<typeof Bill>;

export const EffectCompleted = message('effect.completed', {
  effect: z.string(),
  attempt: z.number().int().positive(),
  /** Absent when the effect gives nothing: JSON cannot say `undefined`. */
  output: z.unknown().optional(),
  bill: Bill.optional(),
});

export const EffectFailed = message('effect.failed', {
  effect: z.string(),
  attempt: z.number().int().positive(),
  failure: Failure,
  /** What is known to have been spent all the same. */
  bill: Bill.optional(),
  /** A grant whose call was never made. */
  unused: z.string().optional(),
});

export const TimerFired = message('timer.fired', { timer: z.string() });
