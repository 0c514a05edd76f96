/**
 * The team file: its keys, their bounds and their defaults. The published JSON Schema (schema/team.schema.json) is made from
 * this, descriptions included, so an editor shows what stands here. Strict throughout: a key that is not listed is a mistake.
 *
 * This is shape only. What the parts mean to each other is checked in check.ts, and resolve.ts makes of it what a run needs.
 */
import { z } from 'zod';
import { ScriptFile } from '../capabilities/model/scripted/script.ts';
import { Strategy } from '../protocols/agent.ts';
import { Name } from '../protocols/ids.ts';
import { parseDollars } from '../protocols/money.ts';
import { HandoffsFile } from './handoffs.ts';
import { ReducerFile, StepFile } from './step.ts';

const text = () => z.string().min(1);
const seconds = () => z.number().int().min(1).max(86_400);

/** The most teams inside each other that a file may allow. */
export const DEPTH_MAX = 8;

const DOLLARS_EXPECTED = 'expected dollars such as 0.05 or "0.15", nine decimals at most';

/** A number below a millionth prints with an exponent: 5e-7 is 0.0000005. */
const inDigits = (amount: number | string): string => {
  const [digits, exponent] = String(amount).split('e-');
  return typeof amount === 'string' || exponent === undefined ? String(amount) : `0.${'0'.repeat(Number(exponent) - 1)}${digits!.replace('.', '')}`;
};

/** Dollars: a number, or text where every digit counts. Stays as written; `dollars` reads it. */
const Dollars = z
  .union([z.number().meta({ minimum: 0 }), z.string().meta({ pattern: '^\\$?\\d{1,12}(\\.\\d{1,9})?$' })], { error: DOLLARS_EXPECTED })
  .refine((amount) => parseDollars(inDigits(amount)) !== undefined, DOLLARS_EXPECTED);

/** A checked amount in nano-dollars. */
export const dollars = (amount: z.infer<typeof Dollars>): bigint => parseDollars(inDigits(amount))!;

const ModelRef = z.string().regex(/^[a-z0-9][a-z0-9_-]*\/\S+$/, 'expected a model as provider/name, such as openai/gpt-4.1-mini');

const InputFile = z
  .strictObject({
    folder: text()
      .optional()
      .describe('A folder that tools may read, relative to this file. `--input name=path` gives another, relative to where the command runs.'),
    text: z.string().optional().describe('Text that is filled in where {name} stands. `--input name=text` gives another.'),
    description: text().optional().describe('What the input is for.'),
  })
  .refine((input) => (input.folder === undefined) !== (input.text === undefined), 'expected either folder or text')
  .meta({ oneOf: [{ required: ['folder'] }, { required: ['text'] }] });

const PricesFile = z.strictObject({
  input: Dollars.describe('Dollars for a million tokens of input.'),
  output: Dollars.describe('Dollars for a million tokens of output.'),
  cached_input: Dollars.optional().describe('Dollars for a million tokens of input that the provider had cached. Without it they cost as much as others.'),
  per_call: Dollars.optional().describe('Dollars for each call, whatever its size. None without it.'),
});

/** Limits beside money, over the whole run. */
const counted = {
  tokens: z.number().int().min(1).optional().describe('The most tokens, in and out.'),
  calls: z.number().int().min(1).optional().describe('The most model calls.'),
  tool_calls: z.number().int().min(1).optional().describe('The most tool calls.'),
  call_s: seconds().optional().describe('The most seconds that calls may take, all together.'),
};

const AgentBudget = z
  .strictObject({
    slice: Dollars.optional().describe("Moved from the run's budget to this agent, in dollars: nobody else can use it."),
    limit: Dollars.optional().describe("The most that this agent may take from the run's budget, in dollars."),
    ...counted,
  })
  .refine(({ slice, limit }) => slice === undefined || limit === undefined, 'expected slice or limit, not both');

const persona = {
  role: text().describe('Who the agent is, as its model is told: "You are <name>, <role>."'),
  goal: z.string().default('').describe('What the agent is after, as its model is told.'),
  backstory: z.string().default('').describe('What else its model should know, said before the duties of its kind.'),
  model: text().default('default').describe('A name from `models`, or a model itself as provider/name.'),
  cheaper_model: text()
    .optional()
    .describe('What its calls go to once `budget.cheaper_from` of the money is used: a name from `models`, or a model itself as provider/name.'),
  budget: AgentBudget.optional().describe('What of the budget is for this agent, or how much of it at most.'),
};

const tools = z.array(text()).default([]);

const OutputFile = z.strictObject({
  schema: z.record(z.string(), z.unknown()).describe('What the answer has to be, as JSON Schema (draft-07).'),
  repairs: z
    .number()
    .int()
    .min(0)
    .max(10)
    .default(1)
    .describe('How often the agent may put an answer right that does not fit. Then its work fails, with the reason.'),
});

const output = OutputFile.optional().describe('The form of its answers, in place of a report in words. They are checked before they count.');

const external = z
  .boolean()
  .default(false)
  .describe('Whether a process that is not Troupe plays it, such as one in another language. It needs no model and no tools.');

const callLimits = {
  max_tokens: z.number().int().min(16).max(200_000),
  attempts: z.number().int().min(1).max(10).default(3).describe('Tries at one model call that fails in a way that may pass.'),
  timeout_s: seconds().default(120),
};

const Supervisor = z.strictObject({
  kind: z.literal('supervisor').describe('Makes or follows a plan, and puts the results together into one answer.'),
  ...persona,
  output,
  limits: z
    .strictObject({
      max_tokens: callLimits.max_tokens.default(1_500).describe('The most tokens of a plan, and of the answer.'),
      attempts: callLimits.attempts,
      timeout_s: callLimits.timeout_s.describe('The longest that one model call may take, seconds.'),
    })
    .prefault({})
    .describe('Bounds of its own model calls.'),
});

const Worker = z.strictObject({
  kind: z.literal('worker').describe('Does the steps that it is given, with tools.'),
  external,
  ...persona,
  tools: tools.describe('The tools that it may call.'),
  output,
  strategy: Strategy.default('react').describe(
    'How it works: react thinks and calls tools in turns; cot writes its reasoning down apart from the answer; plan_execute makes a plan of its own first; reflect looks at its answer again before it counts.',
  ),
  handoffs: HandoffsFile.optional().describe(
    'Agents that may go on in its place: instead of answering it may hand the conversation over to one of them. Their names, or an object with more about it.',
  ),
  limits: z
    .strictObject({
      turns: z.number().int().min(1).max(64).default(8).describe('Model calls for one step; the last is made without tools.'),
      max_tokens: callLimits.max_tokens.default(1_200).describe('The most tokens of one answer.'),
      attempts: callLimits.attempts,
      timeout_s: callLimits.timeout_s.describe('The longest that one step may take, seconds.'),
    })
    .prefault({})
    .describe('Bounds of its work on one step.'),
});

const Reviewer = z.strictObject({
  kind: z.literal('reviewer').describe("Judges each step's result before it counts."),
  external,
  ...persona,
  tools: tools.describe('With check_quotes, quotes are compared with their sources before the model is asked.'),
  accept_from: z.number().min(0).max(1).default(0).describe('The confidence, from 0 to 1, below which a person decides instead. 0: never.'),
  limits: z
    .strictObject({
      max_tokens: callLimits.max_tokens.default(600).describe('The most tokens of one verdict.'),
      attempts: callLimits.attempts,
      timeout_s: callLimits.timeout_s.describe('The longest that one review may take, seconds.'),
    })
    .prefault({})
    .describe('Bounds of one review.'),
});

const RateLimitFile = z.strictObject({
  max_parallel: z.number().int().min(1).max(10_000).optional().describe('Calls under way at once.'),
  rpm: z.number().int().min(1).optional().describe('Calls a minute.'),
  tpm: z.number().int().min(1).optional().describe('Tokens a minute: input, and the most that may be answered.'),
});

const carryingOut = {
  supervisor: Name.describe('The agent of kind supervisor.'),
  concurrency: z.number().int().min(1).max(64).default(4).describe('Steps that may run at the same time.'),
  reviewer: Name.optional().describe("The agent of kind reviewer. Without one, each step's first result counts."),
  reviewers: z.array(Name).min(1).max(8).optional().describe('Several agents of kind reviewer, who judge each result at the same time. Not beside `reviewer`.'),
  merge: z.enum(['all', 'majority', 'any']).default('all').describe('Of several reviewers, how many must accept: all of them, more than half, or one.'),
  review_rounds: z.number().int().min(0).max(10).default(2).describe('Revisions that reviews may ask for, for each step.'),
  on_rejected: z
    .enum(['accept_with_note', 'fail', 'ask', 'take_over', 'hand_up'])
    .default('accept_with_note')
    .describe(
      'What becomes of a step that the last permitted review did not accept: its result counts with the objections beside it, the step fails, a person is asked, the supervisor does it itself, or, in a team inside a team, the supervisor above decides by its own rule.',
    ),
};

const Centralised = z.strictObject({
  kind: z.literal('centralised').describe('The supervisor makes the plan, with its model.'),
  ...carryingOut,
  workers: z.array(Name).min(1).describe('The agents of kind worker, and the teams, that steps may be given to.'),
  max_steps: z.number().int().min(1).max(64).default(6).describe('The most steps that a plan may have.'),
  replan: z
    .strictObject({ max: z.number().int().min(0).max(16).describe('The most times that the plan may be changed.') })
    .optional()
    .describe('After a result or a failure the supervisor may change what has not begun. Without it the plan stays as it is.'),
});

/** As many as one log and one answer carry well. */
const STEPS_MAX = 2_000;

const Workflow = z.strictObject({
  kind: z.literal('workflow').describe('The plan stands here; the supervisor carries it out.'),
  ...carryingOut,
  steps: z
    .array(StepFile)
    .min(1)
    .max(STEPS_MAX)
    .describe('The plan. A step runs once what it needs is done; steps that do not need each other run at the same time.'),
  state: z.record(Name, ReducerFile).default({}).describe('Named values that steps write and read, for plans that go back. Empty when the run begins.'),
});

const Router = z.strictObject({
  kind: z.literal('router').describe('The supervisor decides, with its model, which one agent does the task; its answer is the answer.'),
  ...carryingOut,
  routes: z
    .array(
      z.strictObject({
        agent: Name.describe('The agent of kind worker, or the team.'),
        when: text().describe('What tasks are for it, as the model of the supervisor is told.'),
      }),
    )
    .min(1)
    .max(64)
    .describe('Whom the task may be for.'),
  confidence_from: z.number().min(0).max(1).default(0.6).describe('The confidence, from 0 to 1, from which the choice counts.'),
  on_unknown: z
    .enum(['fallback', 'fail', 'ask'])
    .optional()
    .describe(
      'What becomes of a task that is for nobody, or for nobody surely: the fallback does it, the run fails, or a person is asked about the agent that it is best for, without whose yes the fallback does it. With a fallback it is fallback, without one fail.',
    ),
  fallback: Name.optional().describe('The agent of kind worker, or the team, that does what is for nobody else.'),
});

/** Of a team, and of a team inside it: a supervisor and a plan. */
const Supervised = z.discriminatedUnion('kind', [Centralised, Workflow, Router]);
export type SupervisedFile = z.infer<typeof Supervised>;

const Peers = z.strictObject({
  kind: z.literal('peers').describe('No supervisor: the agents talk with each other directly, under a protocol that is sure to end.'),
  peers: z.array(Name).min(2).max(16).describe('The agents of kind worker that take part. Where a rule needs an order it is this one.'),
  protocol: z
    .enum(['contract_net', 'debate', 'refine', 'gossip'])
    .describe(
      'contract_net: they bid, and the best bid does the work. debate: positions, critique, revised positions, a vote. refine: all edit one document until all accept it. gossip: each finds facts, and they spread.',
    ),
  rounds: z.number().int().min(1).max(20).default(3).describe('The most rounds of a debate, of edits, or of gossip.'),
  reply_timeout_s: seconds().default(180).describe('How long peers wait for each other, seconds; they go on without one that is silent for longer.'),
  vote: z
    .enum(['majority', 'unanimous', 'weighted'])
    .default('majority')
    .describe('What decides a debate: more than half of the votes, all of them, or more than half by weight.'),
  weights: z.record(Name, z.number().min(0).max(1_000)).default({}).describe('With vote: weighted, what the vote of each peer counts. Others count 1.'),
  quorum: z.number().min(0).max(1).default(0.5).describe('The share of the votes, from 0 to 1, that must be given for a debate to be decided.'),
  on_tie: z
    .enum(['first', 'ask'])
    .default('first')
    .describe('What becomes of a tied debate: the first of those with most votes, by name, wins, or a person is asked.'),
  fanout: z.number().int().min(1).max(15).default(2).describe('How many others each peer tells in a round of gossip.'),
});
export type PeersFile = z.infer<typeof Peers>;
export type TopologyFile = SupervisedFile | PeersFile;

const TeamWithin = z.strictObject({
  kind: z.literal('team').describe('Does the steps that it is given with agents of its own: a supervisor, workers, other teams.'),
  role: text().optional().describe('What the team is for, as the supervisor above it is told. Without it the roles of its members are told.'),
  topology: Supervised.describe('Who works for whom inside the team; its agents stand beside it, under `agents`.'),
  budget: AgentBudget.optional().describe('What of the budget is for the team and all below it, or how much of it at most.'),
});

export const AgentFile = z.discriminatedUnion('kind', [Supervisor, Worker, Reviewer, TeamWithin]);
export type AgentFile = z.infer<typeof AgentFile>;
/** An agent that is somebody, and not a team of others. */
export type PersonFile = Exclude<AgentFile, { kind: 'team' }>;

type ExternalFile = Extract<AgentFile, { external: boolean }> & { readonly external: true };
export const isExternal = (agent: AgentFile): agent is ExternalFile => 'external' in agent && agent.external;

export const TeamFile = z
  .strictObject({
    name: Name.describe('The name of the team.'),
    description: z.string().default('').describe('What the team is for.'),
    task: text().optional().describe('What to do when the command line gives no task. {name} is an input, {{name}} the word in braces itself.'),
    inputs: z.record(Name, InputFile).default({}).describe('What a run is given: folders that tools may read, and texts.'),
    models: z
      .record(Name, z.array(ModelRef).min(1).describe('Models as provider/name. The first whose provider is ready, its key present, is used.'))
      .default({})
      .describe('Names for models. An agent that names none uses `default`.'),
    scripts: z
      .record(Name, ScriptFile)
      .default({})
      .describe('Answers of models that need no provider: the script `clerk` is the model scripted/clerk. For examples and tests.'),
    prices: z.record(ModelRef, PricesFile).default({}).describe('Prices of models that Troupe does not know, or that cost something else here.'),
    rate_limits: z
      .record(ModelRef, RateLimitFile)
      .default({})
      .describe('How fast models are asked, by all processes on the bus together; openai/* is all models of a provider.'),
    agents: z.record(Name, AgentFile).describe('Who is in the team.'),
    topology: z.discriminatedUnion('kind', [...Supervised.options, Peers]).describe('Who works for whom, and who makes the plan.'),
    budget: z
      .strictObject({
        limit: Dollars.describe('The most that a run may cost, in dollars. No call is made that could go beyond it.'),
        ...counted,
        account: Name.optional().describe(
          'An account that many runs share, opened with `troupe budget open`: the run may not take more than what is left there.',
        ),
        on_exhausted: z
          .enum(['pause', 'answer', 'fail'])
          .default('pause')
          .describe('What happens when the limit is reached: the run waits until someone raises it, gives the answer that its results allow, or fails.'),
        keep_back: Dollars.default('0').describe('With on_exhausted: answer, what only the closing answer may use, in dollars.'),
        cheaper_from: z
          .number()
          .int()
          .min(1)
          .max(99)
          .default(80)
          .describe(
            "Share of the limit, in percent, from which the calls of agents with a cheaper_model go to it; of an agent's own slice or limit if it has one.",
          ),
        orphans: z
          .enum(['charge', 'release', 'ask'])
          .default('charge')
          .describe('What a permission counts as when nothing is heard of it until its deadline: spent, given back, or held until a person says.'),
        wait_timeout_s: seconds()
          .default(60)
          .describe(
            'How long a call may wait for others to give back what they do not use, seconds; never longer than two fifths of the time that its agent has.',
          ),
        open_up_to: Dollars.optional().describe(
          'What each agent may spend on a task while nobody answers for the budget, in dollars: it is set aside beforehand. Without it, no answer is no permission.',
        ),
        thresholds: z
          .array(z.number().int().min(1).max(100))
          .default([50, 80, 95])
          .describe('Shares of the limit, in percent, that are announced when they are spent.'),
        grant_timeout_s: seconds()
          .default(180)
          .describe('How long a permission to spend holds, seconds. Not heard of again by then, it counts as spent in full until its call is settled.'),
      })
      .describe('What a run may cost.'),
    limits: z
      .strictObject({
        deadline_s: seconds().default(900).describe('The longest that a run may take, seconds.'),
        depth: z.number().int().min(1).max(DEPTH_MAX).default(4).describe('The most teams inside each other, the whole team being the first.'),
        answer_timeout_s: seconds().default(300).describe('How long a person may take over a question, seconds. Then the answer is no.'),
      })
      .prefault({})
      .describe('Bounds of a run.'),
  })
  .meta({ title: 'Troupe team' });
/** A team file by its shape, with its defaults filled in. */
export type TeamFile = z.infer<typeof TeamFile>;
