/**
 * Teams in code: `team({...})` says what a team file says, with tools and forms as values, and `run` does what `troupe run`
 * does. The keys are those of the file, they are checked by the same rules, and a run that one process started is resumed by
 * another that has the same tools.
 */
import { z } from 'zod';
import { DEFAULT_BUS, openBus } from '../bus/open.ts';
import type { Bus } from '../bus/port.ts';
import type { ModelAdapter } from '../capabilities/model/port.ts';
import { failureOf, TroupeError } from '../protocols/failure.ts';
import type { Parsed } from '../protocols/formats.ts';
import { mismatches } from '../protocols/mismatch.ts';
import type { StepOutcome } from '../protocols/lifecycle.ts';
import { checkTeam } from '../topology/check.ts';
import { resolveInputs } from '../topology/input.ts';
import { showPath, type Issue } from '../topology/problem.ts';
import { answerQuestion } from '../topology/remote.ts';
import { resolveTeam } from '../topology/resolve.ts';
import type { RunResult } from '../topology/run-result.ts';
import type { TeamFile } from '../topology/schema.ts';
import { inSession } from '../topology/session.ts';
import { shapeTeam } from '../topology/shape.ts';
import { catalogueOf, standardModels, standardTools } from '../topology/standard.ts';
import { Troupe, type Paused, type Run, type TroupeOptions, type Waiting } from '../topology/start.ts';
import type { Team } from '../topology/team.ts';
import type { Agent, Unsaid } from './agent.ts';

type Agents = Readonly<Record<string, Agent>>;
type NameOf<All extends Agents> = keyof All & string;
type OutputOf<One> = One extends Agent<infer _, infer Output> ? (z.ZodType extends Output ? undefined : z.output<Output>) : never;

type Written = z.input<typeof TeamFile>;

/** Keys of a topology, and of its steps and routes, that name agents. */
type Naming = 'workers' | 'reviewer' | 'reviewers' | 'peers' | 'agent' | 'fallback';
type Named<Value, Name extends string> = Value extends string ? Name : Value extends readonly string[] ? Name[] : Value;

/** A topology of the file that names nobody but `Name`. */
type Among<Part, Name extends string> = {
  [Key in keyof Part]: Key extends Naming
    ? Named<Part[Key], Name>
    : Part[Key] extends readonly (infer One extends { agent: string })[]
      ? Among<One, Name>[]
      : Part[Key];
};

export type TeamSpec<All extends Agents, Lead extends NameOf<All>> = Omit<Written, 'agents' | 'topology'> & {
  readonly agents: All;
  readonly topology: Among<Written['topology'], NameOf<All>> & { readonly supervisor?: Lead };
};

export type RunOptions = {
  /** An address, as `--bus` has it, or a bus that is open and stays so. Default: `embedded:.troupe/bus.db`. */
  readonly bus?: string | Bus;
  /** In place of the team's inputs. */
  readonly inputs?: Readonly<Record<string, string>>;
  /** Dollars, in place of `budget.limit`. */
  readonly budget?: number | string;
  /** Models beside those that come with Troupe; one of the same provider takes its place. */
  readonly models?: readonly ModelAdapter[];
  /** Answers what the run asks a person; without it the run comes back as `waiting`. */
  readonly ask?: (question: Waiting['questions'][number]) => Decision | Promise<Decision>;
  /** The conversation that the run belongs to. */
  readonly session?: string;
  readonly observe?: TroupeOptions['observe'];
};

export type Decision = { readonly decision: 'approve' | 'deny'; readonly note?: string };

/** How a step ended; `output` is its value, if the agent's answers have a form. */
export type TypedStep<All extends Agents> = {
  [Name in NameOf<All>]: Omit<StepOutcome, 'output' | 'agent'> & { readonly agent: Name; readonly output?: OutputOf<All[Name]> };
}[NameOf<All>];

export type TypedResult<All extends Agents, Lead extends NameOf<All>> = Omit<RunResult, 'output' | 'steps'> & {
  /** The supervisor's answer in its form; without one, that of the only step. */
  readonly output?: OutputOf<All[Lead]> extends undefined ? unknown : OutputOf<All[Lead]>;
  readonly steps: readonly TypedStep<All>[];
};

export type Outcome<All extends Agents, Lead extends NameOf<All>> = TypedResult<All, Lead> | Waiting | Paused;

/**
 * A team of agents. Errors, with the place of each mistake: TEAM_INVALID.
 *
 *     const { status, answer } = await team({ ... }).run('What changed?');
 */
export const team = <const All extends Agents, Lead extends NameOf<All>>(spec: TeamSpec<All, Lead>) => {
  const agents = Object.entries<Agent>(spec.agents);
  const tools = [...standardTools(), ...new Set(agents.flatMap(([, agent]) => agent.tools))];
  const shaped = shapeTeam({ ...spec, agents: Object.fromEntries(agents.map(([name, { file }]) => [name, file])) });
  const unsaid = agents.flatMap(([name, agent]) => agent.unsaid.map((place) => unsaidIssue(name, place)));
  if (!shaped.ok || unsaid.length > 0) throw invalid(spec.name, [...unsaid, ...(shaped.ok ? [] : shaped.issues)]);

  const resolve = async (task: string | undefined, { inputs: given = {}, budget, models }: RunOptions): Promise<Team> => {
    const file: TeamFile = budget === undefined ? shaped.file : { ...shaped.file, budget: { ...shaped.file.budget, limit: budget } };
    const { inputs, issues } = await resolveInputs(file, given, { base: process.cwd(), cwd: process.cwd() });
    const errors = [...checkTeam(file, catalogueOf(modelsWith(models), tools)), ...issues].filter(({ severity }) => severity !== 'warning');
    if (errors.length > 0) throw invalid(file.name, errors);
    return resolveTeam(file, inputs, task);
  };

  /** Hosts a run until nothing is left to do here. */
  const host = async (begin: (troupe: Troupe, bus: Bus) => Promise<Run>, options: RunOptions): Promise<Outcome<All, Lead>> => {
    const bus = typeof options.bus === 'object' ? options.bus : await openBus(options.bus ?? DEFAULT_BUS);
    try {
      const troupe = await Troupe.open({
        bus,
        models: modelsWith(options.models),
        tools,
        checkOutput,
        ...(options.observe && { observe: options.observe }),
      });
      try {
        return await typed(await untilIdle(await begin(troupe, bus), bus, options));
      } finally {
        await troupe.close();
      }
    } finally {
      if (bus !== options.bus) await bus.close();
    }
  };

  const checkOutput = async (output: unknown, agent: string): Promise<string | undefined> => {
    const form = spec.agents[agent]?.output;
    const read = form && (await readAs(form, output));
    return read?.ok === false ? read.problem : undefined;
  };

  /** The values as the schemas of the code give them. Error: OUTPUT_INVALID. */
  const typed = async (ended: RunResult | Waiting | Paused): Promise<Outcome<All, Lead>> => {
    if (ended.status === 'waiting' || ended.status === 'paused') return ended;
    const steps = await Promise.all(ended.steps.map((step) => withOutput(step, spec.agents[step.agent]?.output, `step ${step.step}`)));
    const lead = spec.agents[(spec.topology as { supervisor?: string }).supervisor ?? '']?.output;
    const [sole, ...others] = steps;
    // The answer of a run with one step is that step's: one value, read once.
    const answer =
      !lead && sole && others.length === 0 && ended.output !== undefined ? { ...ended, output: sole.output } : await withOutput(ended, lead, 'the answer');
    return { ...answer, steps } as TypedResult<All, Lead>;
  };

  return {
    name: spec.name,
    /** Runs the team on a task, or on the one that it has, until it has ended or waits for a person or for money. */
    run: (task?: string, options: RunOptions = {}) =>
      host(async (troupe, bus) => {
        const resolved = await resolve(task, options);
        return troupe.start(options.session === undefined ? resolved : await inSession(bus, options.session, resolved));
      }, options),
    /** Goes on with a run that waited, was paused or whose process is gone. */
    resume: (run: string, options: RunOptions = {}) => host((troupe) => troupe.resume(run), options),
  };
};

const modelsWith = (own: readonly ModelAdapter[] = []): ModelAdapter[] => [
  ...own,
  ...standardModels().filter(({ provider }) => own.every((one) => one.provider !== provider)),
];

const untilIdle = async (run: Run, bus: Bus, { ask }: RunOptions): Promise<RunResult | Waiting | Paused> => {
  const asked = new Set<string>();
  for (;;) {
    const ended = await run.resultOrIdle;
    if (ended.status !== 'waiting' || !ask) return ended;
    for (const question of ended.questions) {
      if (asked.has(question.approval)) continue;
      asked.add(question.approval);
      const { decision, note = '' } = await ask(question);
      await answerQuestion(bus, run.id, { approval: question.approval, decision, by: 'program', note });
    }
  }
};

/** The value as the form makes it, or what is wrong with it under the name that it has in the answer. What a refinement throws is wrong with it too. */
const readAs = async (form: z.ZodType, output: unknown): Promise<Parsed<unknown>> => {
  try {
    const parsed = await z.object({ output: form }).safeParseAsync({ output });
    return parsed.success ? { ok: true, value: parsed.data.output } : { ok: false, problem: mismatches(parsed.error, { output }, 'answer') };
  } catch (thrown) {
    return { ok: false, problem: `output: ${failureOf(thrown).message}` };
  }
};

const withOutput = async <T extends { readonly output?: unknown }>(of: T, form: z.ZodType | undefined, what: string): Promise<T> => {
  if (!form || of.output === undefined) return of;
  const read = await readAs(form, of.output);
  if (read.ok) return { ...of, output: read.value };
  throw new TroupeError('OUTPUT_INVALID', `${what} fits its JSON Schema, and not the schema that it was made of: ${read.problem}`);
};

const unsaidIssue = (name: string, { path, problem }: Unsaid): Issue => ({
  code: 'OUTPUT_SCHEMA_INVALID',
  path: ['agents', name, 'output', 'schema', ...path],
  message: problem,
  hint: 'ask for what JSON has, such as z.iso.datetime() for a date, and make the value of it with .transform()',
});

const invalid = (name: string, issues: readonly Issue[]): TroupeError =>
  new TroupeError(
    'TEAM_INVALID',
    `team ${name}: ${issues.map(({ path, message, hint }) => `${showPath(path)}: ${message}${hint === undefined ? '' : `; ${hint}`}`).join('. ')}`,
    {
      details: { problems: issues },
    },
  );
