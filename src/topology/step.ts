/** The steps of a workflow: their keys in the file, what a run has of them, and from the one to the other. */
import { z } from 'zod';
import type { PlannedStep } from '../actors/supervisor/plan.ts';
import { Name } from '../protocols/ids.ts';
import { between } from './placeholder.ts';

const text = () => z.string().min(1);
const Condition = text().max(2_000);

const JoinFile = z.union([
  z.enum(['all', 'any']),
  z.strictObject({
    first: z.number().int().min(1).max(256).describe('So many of the needed steps have to bring a result, whichever they are.'),
  }),
]);

const MapFile = z.strictObject({
  over: z
    .string()
    .regex(/^(steps|inputs)\.[A-Za-z][A-Za-z0-9_-]{0,47}$/, 'expected steps.<id> or inputs.<name>')
    .describe('Where the list comes from: steps.<id>, one of the needed steps, or inputs.<name>, a text. A JSON list, or else the lines of the text.'),
  as: Name.default('item').describe('The name that stands for the item in the task, in braces.'),
  max: z.number().int().min(1).max(256).default(20).describe('The most items that are taken. The rest is left out, and said to be.'),
  concurrency: z.number().int().min(1).max(64).default(4).describe('Items that may be at work at the same time.'),
});

const RetryFile = z.strictObject({
  attempts: z.number().int().min(1).max(10).default(3).describe('Attempts in all, the first included.'),
  backoff_s: z
    .number()
    .min(0)
    .max(3_600)
    .default(1)
    .describe('The wait before the second attempt, seconds. It doubles before each further one, up to an hour.'),
});

const GotoFile = z.strictObject({
  to: Name.describe('The step to go back to: this one, or one that it needs, by whatever way.'),
  when: Condition.optional().describe('The condition on which the plan goes back. Without one it always does.'),
  max_visits: z.number().int().min(2).max(100).default(3).describe('Times that the step there may begin, the first included. Then the plan goes on.'),
});

/** How a value of a workflow's state takes what is written. */
export const ReducerFile = z
  .enum(['append', 'last', 'merge'])
  .describe('How the value takes what is written: a line more, instead of what was there, or as a JSON object whose keys replace those of the same name.');

export const StepFile = z.strictObject({
  id: Name.describe('The name of the step, for `needs` and for people.'),
  agent: Name.describe('The agent of kind worker, or the team, that does it.'),
  task: text().describe('What is to be done. {name} is an input.'),
  needs: z.array(Name).default([]).describe('Steps that have to be done first; their results are handed to this one.'),
  join: JoinFile.default('all').describe('How many of the needed steps have to bring a result: all, any one, or the first so many.'),
  when: Condition.optional().describe('A condition, such as steps.find.status == "completed". The step is skipped unless it holds once its needs have ended.'),
  map: MapFile.optional().describe('The step is done once for each item of a list, and its result is what all of them brought, in order.'),
  timeout_s: z.number().min(0.001).max(86_400).optional().describe('The longest that one attempt may take, seconds. Then it counts as failed.'),
  retry: RetryFile.optional().describe('A failed attempt is made again.'),
  fallback: Name.optional().describe('The agent that does the step when the retries are used up, with as many of its own.'),
  on_failure: z
    .enum(['fail', 'skip', 'continue', 'default'])
    .default('fail')
    .describe(
      'What a failure of this step means: the run fails, the steps that need it are skipped, or they run without its result, or with `default` for it.',
    ),
  default: z.string().optional().describe('With on_failure: default, what stands for the result.'),
  goto: z
    .array(GotoFile)
    .min(1)
    .max(16)
    .optional()
    .describe('Ways back. The first whose condition holds is taken once the step is completed; that step and all that needs it begin anew.'),
  writes: Name.optional().describe('The value of `state` that its result goes into.'),
  reads: z.array(Name).min(1).optional().describe('Values of `state` that it is handed beside the results of its needs.'),
});
export type StepFile = z.infer<typeof StepFile>;

const Reducer = z.enum(['append', 'last', 'merge']);

/** A step as a run has it. */
export const TeamStep = z.object({
  id: Name,
  agent: Name,
  task: z.string(),
  needs: z.array(Name),
  onFailure: z.enum(['fail', 'skip', 'continue', 'default']),
  default: z.string().optional(),
  join: z.number().int().positive().optional(),
  when: z.string().optional(),
  retry: z.object({ attempts: z.number().int().positive(), backoffMs: z.number().nonnegative() }).optional(),
  timeoutMs: z.number().positive().optional(),
  fallback: Name.optional(),
  map: z
    .object({
      over: z.union([z.object({ step: Name }), z.object({ input: Name })]),
      around: z.array(z.string()),
      max: z.number().int().positive(),
      concurrency: z.number().int().positive(),
    })
    .optional(),
  goto: z.array(z.object({ to: Name, when: z.string().optional(), maxVisits: z.number().int().positive() })).optional(),
  writes: z.object({ key: Name, by: Reducer }).optional(),
  reads: z.array(Name).optional(),
}) satisfies z.ZodType<PlannedStep>;

/** A step that was checked, with its texts filled in. `state` has its keys. */
export const resolveStep = (
  step: StepFile,
  filled: (text: string) => string,
  state: Readonly<Record<string, z.infer<typeof Reducer>>>,
): z.infer<typeof TeamStep> => ({
  id: step.id,
  agent: step.agent,
  task: filled(step.task),
  needs: step.needs,
  onFailure: step.on_failure,
  ...(step.default !== undefined && { default: filled(step.default) }),
  ...(step.join !== 'all' && { join: step.join === 'any' ? 1 : step.join.first }),
  ...(step.when !== undefined && { when: step.when }),
  ...(step.retry && { retry: { attempts: step.retry.attempts, backoffMs: step.retry.backoff_s * 1_000 } }),
  ...(step.timeout_s !== undefined && { timeoutMs: step.timeout_s * 1_000 }),
  ...(step.fallback !== undefined && { fallback: step.fallback }),
  ...(step.map && {
    map: {
      over: overOf(step.map.over),
      around: between(step.task, step.map.as).map(filled),
      max: step.map.max,
      concurrency: step.map.concurrency,
    },
  }),
  ...(step.goto && { goto: step.goto.map(({ to, when, max_visits: maxVisits }) => ({ to, ...(when !== undefined && { when }), maxVisits })) }),
  ...(step.writes !== undefined && { writes: { key: step.writes, by: state[step.writes]! } }),
  ...(step.reads && { reads: step.reads }),
});

/** `steps.find`, `inputs.topic`: what a list is made of. */
export const overOf = (over: string): { readonly step: string } | { readonly input: string } => {
  const [root, name] = over.split('.') as [string, string];
  return root === 'steps' ? { step: name } : { input: name };
};
