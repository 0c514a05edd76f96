/** Teams in code: what runs is what a file would run, and what goes in and comes out has types without a word about them. */
import { expect, expectTypeOf, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { createScriptedAdapter, listRuns, openBus, raiseBudget, reviewer, supervisor, team, tool, TroupeError, worker } from '../../../src/index.ts';
import type { ScriptedAdapter } from '../../../src/capabilities/model/scripted/adapter.ts';
import { cancelRun } from '../../../src/topology/remote.ts';
import { recordingOf, replay } from '../../../src/topology/replay.ts';

const weather = tool({
  name: 'weather',
  description: 'How warm it is in a city, in degrees Celsius.',
  input: z.object({ city: z.string(), day: z.enum(['today', 'tomorrow']).default('today') }),
  output: z.object({ celsius: z.number() }),
  readOnly: true,
  run({ city, day }) {
    expectTypeOf(city).toEqualTypeOf<string>();
    expectTypeOf(day).toEqualTypeOf<'today' | 'tomorrow'>();
    return { celsius: city === 'Oslo' ? -4 : 21 };
  },
});

const Packing = z.object({ city: z.string(), celsius: z.number(), coat: z.boolean(), until: z.iso.date().optional() });

const trip = (limit = 0.01) =>
  team({
    name: 'trip',
    models: { default: ['scripted/scout'] },
    prices: { 'scripted/*': { input: 1, output: 1 }, 'scripted/scout': { input: 1, output: 1 } },
    agents: {
      lead: supervisor({ role: 'a travel agent' }),
      scout: worker({ role: 'a scout', tools: [weather], output: Packing }),
      critic: reviewer({ role: 'a critic' }),
    },
    topology: { kind: 'workflow', supervisor: 'lead', steps: [{ id: 'look', agent: 'scout', task: 'Is a coat needed in Oslo?' }] },
    budget: { limit },
  });

const scout = (): ScriptedAdapter =>
  createScriptedAdapter([{ calls: [{ name: 'weather', input: { city: 'Oslo' } }] }, { json: { output: { city: 'Oslo', celsius: -4, coat: true } } }]);

test('a tool is a function, and an answer has the form that its agent was given', async () => {
  const model = scout();
  const ended = await trip().run('What to pack?', { bus: 'memory', models: [model] });
  if (ended.status !== 'completed') throw new Error(`it is ${ended.status}`);
  const [step] = ended.steps.filter(({ agent }) => agent === 'scout');
  expect(ended.output).toEqual({ city: 'Oslo', celsius: -4, coat: true });
  expect(step).toMatchObject({ status: 'completed', output: { coat: true } });
  expect(model.calls[1]!.request.messages.findLast(({ role }) => role === 'tool')?.text).toBe('{"celsius":-4}');
});

test('types are those of the schemas, and names those of the agents', () => {
  const made = trip();
  type Ended = Extract<Awaited<ReturnType<typeof made.run>>, { status: 'completed' | 'failed' }>;
  type StepOf<Name extends string> = Extract<Ended['steps'][number], { agent: Name }>;
  expectTypeOf<StepOf<'scout'>['output']>().toEqualTypeOf<z.output<typeof Packing> | undefined>();
  expectTypeOf<StepOf<'lead'>['output']>().toEqualTypeOf<undefined>();
  expectTypeOf<Ended['steps'][number]['agent']>().toEqualTypeOf<'lead' | 'scout' | 'critic'>();

  const formed = () =>
    team({
      name: 'formed',
      agents: { lead: supervisor({ role: 'r', output: Packing }), reader: worker({ role: 'r' }) },
      topology: { kind: 'centralised', supervisor: 'lead', workers: ['reader'] },
      budget: { limit: 1 },
    });
  type Formed = Extract<Awaited<ReturnType<ReturnType<typeof formed>['run']>>, { status: 'completed' | 'failed' }>;
  expectTypeOf<Formed['output']>().toEqualTypeOf<z.output<typeof Packing> | undefined>();

  const agents = { lead: supervisor({ role: 'r' }), reader: worker({ role: 'r' }) };
  const budget = { limit: 1 };
  // @ts-expect-error -- nobody is called so
  team({ name: 't', agents, budget, topology: { kind: 'centralised', supervisor: 'leed', workers: ['reader'] } });
  // @ts-expect-error -- a tool's function takes what its schema gives
  tool({ name: 'a', description: 'a', input: z.object({ n: z.number() }), run: ({ m }) => m });
  // @ts-expect-error -- and gives what its output's schema takes
  tool({ name: 'a', description: 'a', input: z.object({}), output: z.object({ n: z.number() }), run: () => ({ n: 'one' }) });
});

test('a topology names nobody but agents of the team: another name does not compile', () => {
  const made = {
    name: 't',
    agents: { lead: supervisor({ role: 'r' }), reader: worker({ role: 'r' }), judge: reviewer({ role: 'r' }) },
    budget: { limit: 1 },
  };
  const look = { id: 'a', task: 't' };
  const each = ['one', 'two'].map((id) => ({ ...look, id, agent: 'reader' as const }));
  team({ ...made, topology: { kind: 'workflow', supervisor: 'lead', steps: [...each, { ...look, agent: 'reader', fallback: 'reader' }] } });
  // @ts-expect-error -- a step is for somebody of the team
  team({ ...made, topology: { kind: 'workflow', supervisor: 'lead', steps: [{ ...look, agent: 'raeder' }] } });
  // @ts-expect-error -- and so is its fallback
  team({ ...made, topology: { kind: 'workflow', supervisor: 'lead', steps: [{ ...look, agent: 'reader', fallback: 'raeder' }] } });
  // @ts-expect-error -- a step has no such key
  const misspelt = () => team({ ...made, topology: { kind: 'workflow', supervisor: 'lead', steps: [{ id: 'a', task: 't', agent: 'reader', retries: 3 }] } });
  expect(misspelt).toThrow('retries');
  team({ ...made, topology: { kind: 'router', supervisor: 'lead', routes: [{ agent: 'reader', when: 'always' }], fallback: 'reader' } });
  // @ts-expect-error -- a route leads to somebody of the team
  team({ ...made, topology: { kind: 'router', supervisor: 'lead', routes: [{ agent: 'raeder', when: 'always' }], fallback: 'reader' } });
  // @ts-expect-error -- and so does a router's fallback
  team({ ...made, topology: { kind: 'router', supervisor: 'lead', routes: [{ agent: 'reader', when: 'always' }], fallback: 'raeder' } });
  team({ ...made, topology: { kind: 'centralised', supervisor: 'lead', workers: ['reader'], reviewers: ['judge'] } });
  // @ts-expect-error -- each reviewer is somebody of the team
  team({ ...made, topology: { kind: 'centralised', supervisor: 'lead', workers: ['reader'], reviewers: ['jugde'] } });
  team({ ...made, topology: { kind: 'peers', protocol: 'debate', peers: ['reader', 'reader'] } });
  // @ts-expect-error -- and each peer
  team({ ...made, topology: { kind: 'peers', protocol: 'debate', peers: ['reader', 'raeder'] } });
});

test('a tool that gives what it should not is a failed call, which the model reads', async () => {
  const broken = tool({ name: 'count', description: 'Counts.', input: z.object({}), output: z.number(), run: () => JSON.parse('"many"') as number });
  const model = createScriptedAdapter([{ calls: [{ name: 'count', input: {} }] }, { json: { text: 'It cannot be counted.', citations: [] } }]);
  const counter = team({
    name: 'counter',
    prices: { 'scripted/any': { input: 0, output: 0 } },
    agents: { lead: supervisor({ role: 'r', model: 'scripted/any' }), one: worker({ role: 'r', model: 'scripted/any', tools: [broken] }) },
    topology: { kind: 'workflow', supervisor: 'lead', steps: [{ id: 'count', agent: 'one', task: 'Count.' }] },
    budget: { limit: 0.01 },
  });
  expect(await counter.run('How many?', { bus: 'memory', models: [model] })).toMatchObject({ status: 'completed', answer: 'It cannot be counted.' });
  expect(model.calls[1]!.request.messages.findLast(({ role }) => role === 'tool')?.text).toBe(
    'count gave what it should not: its output: expected a number, found "many"',
  );
});

test('what a file may not say, code may not say either', () => {
  const make = () =>
    team({
      name: 'loop',
      agents: { lead: supervisor({ role: 'r' }) },
      topology: { kind: 'workflow', supervisor: 'lead', steps: [] },
      budget: { limit: 1 },
    });
  expect(make).toThrow(TroupeError);
  expect(make).toThrow('team loop: topology.steps: expected at least 1 entry');
});

const oneStep = (output: z.ZodType, repairs = 1, price = 0) =>
  team({
    name: 'one',
    prices: { 'scripted/any': { input: price, output: price } },
    agents: { lead: supervisor({ role: 'r', model: 'scripted/any' }), one: worker({ role: 'r', model: 'scripted/any', output, repairs }) },
    topology: { kind: 'workflow', supervisor: 'lead', steps: [{ id: 'only', agent: 'one', task: 'Do it.' }] },
    budget: { limit: 0.01 },
  });

test.each([
  [z.object({ from: z.object({ day: z.date() }) }), 'agents.one.output.schema.properties.from.properties.day: JSON Schema cannot say "date"'],
  [z.object({ sizes: z.array(z.bigint()) }), 'agents.one.output.schema.properties.sizes.items: JSON Schema cannot say "bigint"'],
  [z.custom<string>(() => true), 'agents.one.output.schema: JSON Schema cannot say "custom"'],
])('a form that no model can be asked for in JSON is told with its agent and its place', (output, said) => {
  expect(() => oneStep(output)).toThrow(expect.objectContaining({ code: 'TEAM_INVALID', message: expect.stringContaining(said) as string }));
});

test('a form that makes another value of the answer makes one, for the run and for its only step', async () => {
  const model = createScriptedAdapter([{ json: { output: { day: '2026-02-01', span: 'P1D' }, citations: [] } }]);
  const day = z.object({ day: z.iso.date().transform((text) => new Date(text)), span: z.iso.duration() });
  const ended = await oneStep(day).run('When?', { bus: 'memory', models: [model] });
  if (ended.status !== 'completed') throw new Error(`it is ${ended.status}`);
  expect(ended.output).toEqual({ day: new Date('2026-02-01'), span: 'P1D' });
  expect(ended.steps[0]!.output).toEqual(ended.output);
});

const Span = z
  .object({ from: z.iso.date(), to: z.iso.date() })
  .refine(({ from, to }) => from < to, { path: ['to'], message: 'expected a day after "from"' })
  .superRefine(({ to }, context) => {
    if (to.endsWith('-31')) context.addIssue({ code: 'custom', message: 'nobody travels on the 31st' });
  });
const spanOf = (from: string, to: string) => ({ json: { output: { from, to }, citations: [] } });

test('an answer that fits its JSON Schema and fails a refinement is sent back to its model with what the refinement says', async () => {
  const bus = await openBus('memory');
  onTestFinished(() => bus.close());
  const model = createScriptedAdapter([spanOf('2026-02-03', '2026-02-01'), spanOf('2026-02-01', '2026-03-31'), spanOf('2026-02-01', '2026-02-03')]);
  const ended = await oneStep(Span, 2).run('When?', { bus, models: [model] });
  expect(ended).toMatchObject({ status: 'completed', output: { from: '2026-02-01', to: '2026-02-03' } });
  const corrections = model.calls.slice(1).map(({ request }) => request.messages.findLast(({ text }) => text.startsWith('# Correction'))!.text);
  expect(corrections[0]).toContain('output.to: expected a day after "from"');
  expect(corrections[1]).toContain('output: nobody travels on the 31st');
  // What was wrong stands in the log: the charts alone, without the code, come to the same.
  expect(replay(await recordingOf(bus, ended.run)).differences).toEqual([]);
});

test.each<[string, z.ZodType, string]>([
  [
    'a transform that fails',
    z.string().transform((text, context) => (context.addIssue({ code: 'custom', message: `${text} is no number` }), z.NEVER)),
    'output: late is no number',
  ],
  ['a transform that throws', z.string().transform((text) => JSON.parse(`{${text}`) as unknown), 'output: Expected property name'],
  [
    'a refinement that is asked elsewhere',
    z.string().refine(async (text) => (await Promise.resolve('soon')) === text, 'expected "soon"'),
    'output: expected "soon"',
  ],
])('after its repairs the step fails with what it said: %s', async (_, form, said) => {
  const model = createScriptedAdapter([{ repeat: true, json: { output: 'late', citations: [] } }]);
  const ended = await oneStep(form, 1).run('When?', { bus: 'memory', models: [model] });
  expect(ended).toMatchObject({ status: 'failed', failure: { code: 'MODEL_BAD_REPLY', message: expect.stringContaining(said) as string } });
  expect(model.calls.length).toBe(2);
});

test("the supervisor's own answer is put right as well", async () => {
  const answers = [{ json: { output: 3, citations: [] } }, { json: { output: 4, citations: [] } }];
  const model = createScriptedAdapter({ lead: answers, one: [{ repeat: true, json: { text: 'Two and two.', citations: [] } }] });
  const sum = team({
    name: 'sum',
    prices: { 'scripted/*': { input: 0, output: 0 } },
    agents: {
      lead: supervisor({ role: 'r', model: 'scripted/lead', output: z.number().refine((total) => total % 2 === 0, 'expected an even number') }),
      one: worker({ role: 'r', model: 'scripted/one' }),
    },
    topology: { kind: 'workflow', supervisor: 'lead', steps: [{ id: 'only', agent: 'one', task: 'Do it.' }] },
    budget: { limit: 0.01 },
  });
  expect(await sum.run('How many?', { bus: 'memory', models: [model] })).toMatchObject({ status: 'completed', output: 4 });
});

test('a refinement that changes its mind makes no value: the end of the run says so', async () => {
  let asked = 0;
  const once = z.string().refine(() => ++asked === 1, 'not again');
  const model = createScriptedAdapter([{ json: { output: 'yes', citations: [] } }]);
  await expect(oneStep(once).run('Once?', { bus: 'memory', models: [model] })).rejects.toMatchObject({
    code: 'OUTPUT_INVALID',
    message: expect.stringContaining('not again') as string,
  });
});

test('a call whose check never ends is paid for all the same when its run is cancelled', async () => {
  const bus = await openBus('memory');
  onTestFinished(() => bus.close());
  const checking = Promise.withResolvers<void>();
  const endless = z.string().refine(() => (checking.resolve(), new Promise<boolean>(() => {})));
  const model = createScriptedAdapter([{ json: { output: 'yes', citations: [] } }]);
  const ended = oneStep(endless, 1, 1).run('Ever?', { bus, models: [model] });
  await checking.promise;
  const [run] = await listRuns(bus);
  await cancelRun(bus, run!.id, 'enough');
  expect(await ended).toMatchObject({
    status: 'failed',
    failure: { code: 'RUN_CANCELLED' },
    spending: { heldNanos: '0', spentNanos: expect.not.stringMatching(/^0$/) as string },
  });
});

test('mistakes between the parts are found before anything is spent', async () => {
  const made = team({
    name: 'lost',
    agents: { lead: supervisor({ role: 'r', model: 'extractive/classic' }), one: worker({ role: 'r', model: 'extractive/classic', tools: ['serch_files'] }) },
    topology: { kind: 'workflow', supervisor: 'lead', steps: [{ id: 'a', agent: 'one', task: 't', needs: ['b'] }] },
    budget: { limit: 1 },
  });
  await expect(made.run('t', { bus: 'memory' })).rejects.toThrow(/topology\.steps\[0\]\.needs\[0\]: unknown step "b".*unknown tool "serch_files"/);
});

test('a run that has used its money up is paused, and goes on after a raise without a call made twice', async () => {
  const bus = await openBus('memory');
  onTestFinished(() => bus.close());
  const model = scout();
  const made = trip(0.0007);
  const paused = await made.run('What to pack?', { bus, models: [model] });
  expect(paused.status).toBe('paused');
  const before = model.calls.length;
  await raiseBudget(bus, paused.run, undefined, 10_000_000n, { by: 'test', why: 'worth it' });
  expect(await made.resume(paused.run, { bus, models: [model] })).toMatchObject({ status: 'completed', output: { coat: true } });
  expect(model.calls.length).toBe(2);
  expect(before).toBeLessThan(2);
});

test('a person who is a function is asked, as often as there is something to decide', async () => {
  const asking = team({
    name: 'asking',
    prices: { 'scripted/any': { input: 0, output: 0 } },
    agents: {
      lead: supervisor({ role: 'r', model: 'scripted/any' }),
      one: worker({ role: 'r', model: 'scripted/any' }),
      judge: reviewer({ role: 'r', model: 'scripted/any' }),
    },
    topology: {
      kind: 'workflow',
      supervisor: 'lead',
      reviewer: 'judge',
      review_rounds: 0,
      on_rejected: 'ask',
      steps: [
        { id: 'first', agent: 'one', task: 'Begin.' },
        { id: 'second', agent: 'one', task: 'Go on.', needs: ['first'] },
      ],
    },
    budget: { limit: 0.01 },
  });
  const model = createScriptedAdapter(({ format }) => ({
    json: format === 'verdict' ? { verdict: 'revise', reasons: ['thin'], confidence: 1 } : { text: 'Done.', citations: [] },
  }));
  const questions: string[] = [];
  const ended = await asking.run('Do it.', {
    bus: 'memory',
    models: [model],
    ask: ({ question }) => {
      questions.push(question);
      return { decision: 'approve' };
    },
  });
  expect(ended.status).toBe('completed');
  expect(questions).toEqual([expect.stringContaining('Step first'), expect.stringContaining('Step second')]);
  const waiting = await asking.run('Do it.', { bus: 'memory', models: [model] });
  expect(waiting.status).toBe('waiting');
});
