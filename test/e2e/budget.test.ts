/**
 * Money as people meet it: a run that runs out and goes on, in another process, without paying anything twice; closing answers;
 * limits, slices and freezes; and a ledger in which no entry can be changed unseen.
 *
 * The model is a server of the test's own with a bill of its own. Its answers follow from what it is asked alone and are so
 * short that no grant cuts them off, so a run costs the same however often it was interrupted.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { runIdIn, testBuses, type CliProcess, type Desk, type Ended } from '../support/cli.ts';
import { hashOf, type LedgerLine } from '../../src/protocols/ledger.ts';
import { startModelServer, type Answer, type ChatRequest, type ModelServer } from '../support/model-server.ts';
import { PRICE } from '../support/research-desk.ts';

// --- the team and its model --------------------------------------------------------------------------------------------------

type TeamOptions = {
  /** After `limit: 1`, in the file's budget. */
  readonly budget?: string;
  /** Of the worker. */
  readonly reader?: string;
  readonly lead?: string;
  /** The reader looks its page up first, so that its steps take two calls of the model. */
  readonly tools?: boolean;
  /** The third step is too dear for `LITTLE`. */
  readonly dear?: boolean;
  /** One step after the other, or all at once. */
  readonly parallel?: boolean;
};

/** Dollars: enough for short steps, whatever the bound of their calls is made from, and not for four thousand words. */
const LITTLE = '0.0015';

const STEPS = ['first', 'second', 'third', 'fourth'];

const team = ({ budget = 'limit: 1', reader = '', lead = '', parallel = false, tools = false, dear = false }: TeamOptions = {}): string => `
name: counters
task: What is in the pages?
${tools ? 'inputs: { docs: { folder: docs } }' : ''}
models:
  default: [openai/gpt-4.1-mini]
agents:
  lead: { kind: supervisor, role: an editor, limits: { max_tokens: 100 }${lead} }
  reader: { kind: worker, role: a reader, ${tools ? 'tools: [list_files], ' : ''}limits: { max_tokens: 100 }${reader} }
  other: { kind: worker, role: another reader, limits: { max_tokens: 100 } }
topology:
  kind: workflow
  supervisor: lead
  concurrency: 4
  steps:
${STEPS.map((id, index) => `    - { id: ${id}, agent: ${index === 3 ? 'other' : 'reader'}, task: read the ${id} page${dear && id === 'third' ? ` ${'very '.repeat(4_000)}closely` : ''}, needs: [${parallel ? '' : (STEPS.slice(0, index).at(-1) ?? '')}] }`).join('\n')}
budget: { ${budget} }
`;

const asked = ({ messages }: ChatRequest): string => messages.find(({ role }) => role === 'user')!.content!;

const say = (text: string): Answer => ({ json: { text, citations: [] } });

/** Each step is looked up once if that is possible, and reported; the answer has a word for each finding and for each that is missing. */
const answerOf = (request: ChatRequest): Answer => {
  const text = asked(request);
  const page = /# Task\nread the (\w+) page/.exec(text)?.[1];
  if (page === undefined)
    return say(`${text.match(/page is read/g)?.length ?? 0} read, ${text.match(/This step (?:failed|was skipped)/g)?.length ?? 0} missing`);
  const hasTools = (request.tools?.length ?? 0) > 0;
  if (hasTools && !request.messages.some(({ role }) => role === 'tool')) return { calls: [{ name: 'list_files', arguments: {} }] };
  return say(`the ${page} page is read`);
};

const ANSWER = '4 read, 0 missing';
/** One for each step, one for the answer. */
const CALLS = 5;

// --- places ------------------------------------------------------------------------------------------------------------------

/** A desk and its model. Requests from the `holdFrom`th on, counted from 0, wait until `release`. */
type Place = { readonly desk: Desk; readonly model: ModelServer; holdFrom: number; release(): void };

type BusName = keyof typeof testBuses;

const at = async (bus: BusName, options: TeamOptions, body: (place: Place) => Promise<void>): Promise<void> => {
  const held = new Set<() => void>();
  const model = await startModelServer({
    price: PRICE,
    answer: async (request, index) => {
      if (index >= place.holdFrom) await new Promise<void>((resolve) => held.add(resolve));
      return answerOf(request);
    },
  });
  const buses = await testBuses[bus]();
  const place: Place = {
    desk: buses.desk({ 'team.yaml': team(options), 'docs/page.md': 'a page\n' }),
    model,
    holdFrom: Infinity,
    release: () => {
      place.holdFrom = Infinity;
      held.forEach((resolve) => resolve());
    },
  };
  try {
    await body(place);
  } finally {
    place.release();
    await model.stop();
    await buses.dispose();
  }
};

const begin = ({ desk, model }: Place, ...args: readonly string[]): CliProcess => desk.start(args, { env: { OPENAI_BASE_URL: model.url } });
const troupe = (place: Place, ...args: readonly string[]): Promise<Ended> => begin(place, ...args).ended;
const budget = (place: Place, command: string, run: string, ...more: readonly string[]): Promise<Ended> => troupe(place, 'budget', command, run, ...more);

type Result = {
  readonly run: string;
  readonly status: string;
  readonly answer?: string;
  readonly spentNanos: string;
  readonly heldNanos: string;
  readonly limitNanos: string;
  readonly failure?: { readonly code: string; readonly message: string; readonly details: Readonly<Record<string, unknown>> };
};

const resultOf = ({ exitCode, stdout, stderr }: Ended, code = 0): Result => {
  expect(exitCode, stderr).toBe(code);
  return JSON.parse(stdout) as Result;
};

/** What the team costs when nobody disturbs it, at a place of its own. */
const undisturbed = async (bus: BusName, options: TeamOptions): Promise<{ readonly result: Result; readonly calls: number }> => {
  let ended: { result: Result; calls: number } | undefined;
  await at(bus, { ...options, budget: 'limit: 1' }, async (place) => {
    ended = { result: resultOf(await troupe(place, 'run', 'team.yaml', '--json')), calls: place.model.requests.length };
  });
  return ended!;
};

/** The commands that people are told to run, as they stand. */
const commandsIn = (stderr: string): string[][] =>
  [...stderr.matchAll(/^ {2}troupe (.+)$/gm)].map(([, line]) => [...line!.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare!));

/** No request was made twice: each attempt has a grant of its own, and no conversation was sent again. */
const expectNothingTwice = ({ model }: Place): void => {
  const attempts = model.requests.map(({ attempt }) => attempt);
  expect(new Set(attempts).size, 'one request for each grant').toBe(attempts.length);
  const bodies = model.requests.map(({ hash }) => hash);
  expect(new Set(bodies).size, 'what was paid is not asked again').toBe(bodies.length);
};

const expectBilled = ({ spentNanos, heldNanos }: Result, { model }: Place): void =>
  expect(BigInt(spentNanos) + BigInt(heldNanos), 'the ledger against the bill').toBeGreaterThanOrEqual(model.bill.nanos);

/** A command as people are told to give it; the desk adds the bus. */
const follow = (place: Place, command: readonly string[] | undefined, ...more: readonly string[]): Promise<Ended> =>
  troupe(place, ...command!.filter((word) => !place.desk.busArgs.includes(word)), ...more);

type AccountShown = {
  readonly id: string;
  readonly state: string;
  readonly sliceNanos?: string;
  readonly limits: readonly { readonly measure: string; readonly amount: string; readonly spent: string; readonly held: string }[];
  readonly spentNanos: string;
  readonly heldNanos: string;
};

const accountsOf = async (place: Place, run: string): Promise<ReadonlyMap<string, AccountShown>> => {
  const { accounts } = JSON.parse((await budget(place, 'show', run, '--json')).stdout) as { accounts: readonly AccountShown[] };
  return new Map(accounts.map((account) => [account.id === run ? 'run' : account.id.slice(run.length + 1), account]));
};

describe.concurrent('the commands that a pause prints', { timeout: 90_000 }, () => {
  test('thaw the account that is frozen, also when it is shared', () =>
    at('embedded', { budget: 'account: pool, limit: 1' }, async (place) => {
      await budget(place, 'open', 'pool', '2');
      expect((await budget(place, 'freeze', 'pool', '--why', 'stop')).exitCode).toBe(0);
      const ended = await troupe(place, 'run', 'team.yaml', '--json');
      expect(resultOf(ended, 3)).toMatchObject({
        status: 'paused',
        failure: { code: 'BUDGET_FROZEN', message: expect.stringMatching(/^budget of pool is frozen \(\S+: stop; /) as string, details: { account: 'pool' } },
      });
      const [thaw, resume] = commandsIn(ended.stderr);
      expect(thaw!.slice(0, 4)).toEqual(['budget', 'freeze', 'pool', '--thaw']);
      expect((await follow(place, thaw)).exitCode).toBe(0);
      expect(resultOf(await follow(place, resume, '--json'))).toMatchObject({ status: 'completed', answer: ANSWER });
    }));

  test('say why after a bill above its hold, and each of them is enough when it is followed once', () =>
    at('embedded', { budget: 'limit: 0.05' }, async (place) => {
      place.model.next({ json: { text: 'the first page is read', citations: [] }, reasoningTokens: 2_000_000 });
      const frozen = await troupe(place, 'run', 'team.yaml', '--json');
      expect(resultOf(frozen, 3).failure!.message).toMatch(
        /^budget of r-\w+ is frozen \(a provider billed more than was held for its call; \$3\.2\d+ is spent of \$0\.0500\): nothing is granted until it is thawed$/,
      );
      const [thaw, resume] = commandsIn(frozen.stderr);
      await follow(place, thaw);
      const short = await follow(place, resume, '--json');
      expect(resultOf(short, 3)).toMatchObject({ status: 'paused', failure: { code: 'BUDGET_EXHAUSTED' } });
      const [raise] = commandsIn(short.stderr);
      expect(raise!.slice(0, 4)).toEqual(['budget', 'raise', runIdIn(short.stderr), '3.16']);
      await follow(place, raise);
      const ended = await follow(place, resume, '--json');
      expect(resultOf(ended)).toMatchObject({ status: 'completed', answer: ANSWER });
      expect(ended.stderr, 'the limit as it stands').toMatch(/^r-\w+: team counters on \S+, budget \$3\.2100$/m);
    }));
});

describe.concurrent.each(['embedded', 'nats'] as const)('on the %s bus', { timeout: 90_000 }, (bus) => {
  test.each([
    ['one step after the other', false, 2],
    ['all steps at once', true, 3],
  ])(
    'a run that runs out pauses; raised from another process it goes on in a third, to the same answer at the same cost, and nothing is paid twice: %s',
    async (_, parallel, affordable) => {
      const whole = await undisturbed(bus, { parallel, dear: true });
      expect(whole).toMatchObject({ result: { status: 'completed', answer: ANSWER, heldNanos: '0' }, calls: CALLS });
      await at(bus, { parallel, dear: true }, async (place) => {
        const first = await troupe(place, 'run', 'team.yaml', '--json', '--budget', LITTLE);
        const paused = resultOf(first, 3);
        expect(paused).toMatchObject({
          status: 'paused',
          limitNanos: '1500000',
          failure: { code: 'BUDGET_EXHAUSTED', details: { account: paused.run, measure: 'money' } },
        });
        expect(paused.failure!.message).toMatch(/next call needs at least \$0\.\d+, \$0\.\d+ is left \(limit \$0\.0015, spent \$0\.\d+, held \$0\.\d+\)/);
        expect(BigInt(paused.spentNanos)).toBeLessThanOrEqual(1_500_000n);
        expect(first.stderr).toContain('the run is paused, and everything that was paid is kept');
        expect(place.model.requests).toHaveLength(affordable);

        // Without more money it stays as it is, however often it is taken up.
        expect(resultOf(await troupe(place, 'run', '--resume', paused.run, '--json'), 3)).toMatchObject({ status: 'paused', heldNanos: '0' });
        expect((await troupe(place, 'runs')).stdout).toMatch(new RegExp(`^${paused.run} .* running +together +\\$[\\d.]+ +counters$`, 'm'));
        expect(place.model.requests).toHaveLength(affordable);

        const [raise, resume] = commandsIn(first.stderr);
        expect(raise!.slice(0, 4)).toEqual(['budget', 'raise', paused.run, '0.05']);
        expect(await follow(place, raise)).toMatchObject({
          exitCode: 0,
          stdout: '',
          stderr: expect.stringContaining(`troupe resume ${paused.run}`) as string,
        });
        expect(place.model.requests, 'who raises calls nobody').toHaveLength(affordable);

        const second = resultOf(await follow(place, resume, '--json'));
        expect(second).toMatchObject({ run: paused.run, status: 'completed', answer: ANSWER, heldNanos: '0', limitNanos: '51500000' });
        expect(second.spentNanos).toBe(whole.result.spentNanos);
        expect(place.model.requests).toHaveLength(CALLS);
        expectNothingTwice(place);
        expectBilled(second, place);
        expect((await budget(place, 'verify', paused.run)).exitCode).toBe(0);
      });
    },
  );

  test('a raise reaches a run that is hosted: it never stops', () =>
    at(bus, { parallel: true, dear: true }, async (place) => {
      place.holdFrom = 2;
      const running = begin(place, 'run', 'team.yaml', '--json', '--budget', LITTLE);
      await place.model.arrived(3);
      expect((await budget(place, 'raise', runIdIn(running.stderr)!, '0.05', '--why', 'soon enough')).exitCode).toBe(0);
      place.release();
      const result = resultOf(await running.ended);
      expect(result).toMatchObject({ status: 'completed', answer: ANSWER, limitNanos: '51500000' });
      expectNothingTwice(place);
      expectBilled(result, place);
    }));

  test('with on_exhausted: answer the run ends with what it has and says what is missing, from the money that was kept back', () =>
    at(bus, { dear: true, budget: 'limit: 0.0515, keep_back: 0.05, on_exhausted: answer' }, async (place) => {
      const ended = await troupe(place, 'run', 'team.yaml');
      expect(ended).toMatchObject({ exitCode: 3, stdout: '2 read, 2 missing\n' });
      const run = runIdIn(ended.stderr)!;
      expect(ended.stderr).toContain('(BUDGET_EXHAUSTED)');
      expect(place.model.requests).toHaveLength(3);
      const closing = asked(place.model.requests[2]!.body);
      expect(closing).toContain(`This step failed: budget of ${run}: the next call needs at least`);
      const lines = await ledgerOf(place, run);
      const vetoed = lines.find(({ kind }) => kind === 'veto')!;
      const last = lines.find(({ kind, seq }) => kind === 'hold' && seq > vetoed.seq)!;
      expect(BigInt(vetoed.spentNanos) + BigInt(vetoed.heldNanos), 'work leaves alone what is kept back').toBeLessThanOrEqual(1_500_000n);
      expect(BigInt(last.amounts['money']!), 'what is kept back is enough').toBeLessThanOrEqual(50_000_000n);
      const result = resultOf(await troupe(place, 'run', '--resume', run, '--json'), 3);
      expect(result).toMatchObject({ status: 'failed', answer: '2 read, 2 missing', heldNanos: '0' });
      expectBilled(result, place);
    }));

  test('with on_exhausted: fail the run ends with the limit by name, and a raise comes too late', () =>
    at(bus, { dear: true, budget: `limit: ${LITTLE}, on_exhausted: fail` }, async (place) => {
      const ended = await troupe(place, 'run', 'team.yaml', '--json');
      const result = resultOf(ended, 3);
      expect(result).toMatchObject({ status: 'failed', failure: { code: 'BUDGET_EXHAUSTED' }, heldNanos: '0', limitNanos: '1500000' });
      expect(result.answer).toBeUndefined();
      expect(ended.stderr).toContain('on_exhausted: pause');
      expect(await budget(place, 'raise', result.run, '1', '--why', 'too late')).toMatchObject({
        exitCode: 2,
        stdout: '',
        stderr: expect.stringMatching(
          /^troupe: r-\w+ is closed, because its run has ended: only a run that has not ended can be raised.*\(ACCOUNT_CLOSED\)$/m,
        ) as string,
      });
      expect(resultOf(await troupe(place, 'run', '--resume', result.run, '--json'), 3)).toEqual(result);
      expect(place.model.requests).toHaveLength(2);
    }));

  test('frozen while a call hangs, a run books that call and pauses before the next; thawed it goes on, and nothing is paid twice', () =>
    at(bus, {}, async (place) => {
      place.holdFrom = 1;
      const running = begin(place, 'run', 'team.yaml', '--json');
      await place.model.arrived(2);
      const run = runIdIn(running.stderr)!;
      expect((await budget(place, 'freeze', run, '--why', 'it looks dear')).stderr).toContain('nothing new is granted');
      place.release();
      const ended = await running.ended;
      expect(resultOf(ended, 3)).toMatchObject({ status: 'paused', failure: { code: 'BUDGET_FROZEN' } });
      expect((await accountsOf(place, run)).get('run')).toMatchObject({ state: 'frozen', heldNanos: '0' });
      expect(place.model.requests).toHaveLength(2);
      expect(resultOf(await troupe(place, 'run', '--resume', run, '--json'), 3)).toMatchObject({ status: 'paused' });

      const [thaw, resume] = commandsIn(ended.stderr);
      expect(thaw!.slice(0, 4)).toEqual(['budget', 'freeze', run, '--thaw']);
      expect((await follow(place, thaw)).exitCode).toBe(0);
      const result = resultOf(await follow(place, resume, '--json'));
      expect(result).toMatchObject({ status: 'completed', answer: ANSWER, heldNanos: '0' });
      expect(place.model.requests).toHaveLength(CALLS);
      expectNothingTwice(place);
      expectBilled(result, place);
    }));

  test('revoked while a call hangs, the call is broken off and booked, and made again only after the thaw', () =>
    at(bus, {}, async (place) => {
      place.holdFrom = 1;
      const running = begin(place, 'run', 'team.yaml', '--json');
      await place.model.arrived(2);
      const run = runIdIn(running.stderr)!;
      expect((await budget(place, 'freeze', run, '--revoke', '--why', 'stop it')).exitCode).toBe(0);
      const ended = await running.ended;
      expect(resultOf(ended, 3)).toMatchObject({ status: 'paused', failure: { code: 'BUDGET_REVOKED' } });
      expect(ended.stderr).toContain('stop it');
      expect(place.model.requests[1]).toMatchObject({ abandoned: true });
      place.release();
      const [thaw, resume] = commandsIn(ended.stderr);
      await follow(place, thaw);
      const result = resultOf(await follow(place, resume, '--json'));
      expect(result).toMatchObject({ status: 'completed', answer: ANSWER, heldNanos: '0' });
      expect(place.model.requests).toHaveLength(CALLS + 1);
      expectBilled(result, place);
    }));

  test.each([
    ['calls', 'calls: 2', 'limit 2 model calls, spent 2 model calls'],
    ['tokens', 'tokens: 3500', 'limit 3500 tokens'],
  ])('a limit on %s ends the run by its name: more money would not help', async (measure, limit, said) =>
    at(bus, { dear: true, budget: `limit: 1, ${limit}` }, async (place) => {
      const ended = await troupe(place, 'run', 'team.yaml', '--json');
      const result = resultOf(ended, 3);
      expect(result).toMatchObject({ status: 'failed', failure: { code: 'BUDGET_EXHAUSTED', details: { measure } } });
      expect(ended.stderr).toContain(`budget.${measure} is used up: raise it in the team file`);
      expect(result.failure!.message).toContain(said);
      expect(place.model.requests).toHaveLength(2);
      const { limits } = (await accountsOf(place, result.run)).get('run')!;
      const { amount, spent, held } = limits.find((one) => one.measure === measure)!;
      expect(BigInt(spent) + BigInt(held)).toBeLessThanOrEqual(BigInt(amount));
    }),
  );

  test('a limit on tool calls is something to read for the model, by its name, and the run goes on', () =>
    at(bus, { tools: true, budget: 'limit: 1, tool_calls: 1' }, async (place) => {
      const result = resultOf(await troupe(place, 'run', 'team.yaml', '--json'));
      expect(result).toMatchObject({ status: 'completed', answer: ANSWER });
      const observed = place.model.requests.flatMap(({ body }) => body.messages.filter(({ role }) => role === 'tool').map(({ content }) => content!));
      expect(observed).toHaveLength(3);
      expect(observed.filter((content) => content.includes('limit 1 tool call, spent 1 tool call,'))).toHaveLength(2);
      expect((await accountsOf(place, result.run)).get('run')!.limits.find(({ measure }) => measure === 'tool_calls')).toMatchObject({
        amount: '1',
        spent: '1',
        held: '0',
      });
    }));

  test('an agent has its slice and no more: it pauses by the name of its account while the others go on, and its slice is what is raised', () =>
    at(bus, { parallel: true, dear: true, reader: ', budget: { slice: 0.0015 }' }, async (place) => {
      const ended = await troupe(place, 'run', 'team.yaml', '--json');
      const paused = resultOf(ended, 3);
      const { run } = paused;
      expect(paused).toMatchObject({ status: 'paused', failure: { details: { account: `${run}/reader`, limit: '1500000' } } });
      expect(place.model.requests).toHaveLength(3);
      expect(new Set(place.model.requests.map(({ body }) => /read the (\w+) page/.exec(asked(body))![1]))).toEqual(new Set(['first', 'second', 'fourth']));

      const beyond = await budget(place, 'raise', run, '5', '--account', `${run}/reader`, '--why', 'generous');
      expect(beyond).toMatchObject({
        exitCode: 3,
        stderr: expect.stringMatching(new RegExp(`slice of ${run}, which has \\$0\\.99.*BUDGET_NOT_COVERED`)) as string,
      });

      const [raise, resume] = commandsIn(ended.stderr);
      expect(raise).toContain(`${run}/reader`);
      expect((await follow(place, raise)).exitCode).toBe(0);
      const result = resultOf(await follow(place, resume, '--json'));
      expect(result).toMatchObject({ status: 'completed', answer: ANSWER, heldNanos: '0' });
      expectNothingTwice(place);
      const accounts = await accountsOf(place, run);
      expect(accounts.get('reader')).toMatchObject({ sliceNanos: '51500000', heldNanos: '0' });
      expect(BigInt(accounts.get('reader')!.spentNanos)).toBeGreaterThan(1_500_000n);
      expect(accounts.get('run')!.spentNanos).toBe(result.spentNanos);
    }));

  test('what is in a slice is for nobody else', () =>
    at(bus, { parallel: true, reader: ', budget: { slice: 0.99985 }' }, async (place) => {
      const result = resultOf(await troupe(place, 'run', 'team.yaml', '--json'), 3);
      expect(result).toMatchObject({ status: 'paused', failure: { details: { account: result.run, limit: '1000000000' } } });
      expect(result.failure!.message).toMatch(/\$0\.00015 is left \(limit \$1\.0000, spent \$0\.\d+, held \$0\.\d+, set aside \$0\.999\d+\)/);
      expect(place.model.requests.map(({ body }) => asked(body))).not.toContainEqual(expect.stringContaining('read the fourth page'));
    }));

  test('shares of the limit are announced when they are spent, once each, and to nobody who wants it quiet', () =>
    at(bus, { budget: 'limit: 0.01, thresholds: [1, 2, 4]' }, async (place) => {
      const { stderr } = await troupe(place, 'run', 'team.yaml');
      const run = runIdIn(stderr)!;
      const said = [...stderr.matchAll(/^budget of (\S+): (\d+) % is spent, \$(0\.\d+) of \$0\.0100$/gm)];
      expect(said.map(([, account]) => account)).toEqual(said.map(() => run));
      expect(said.map(([, , percent]) => percent)).toEqual(['1', '2', '4']);
      for (const [, , percent, spent] of said) expect(Number(spent)).toBeGreaterThanOrEqual((0.01 * Number(percent)) / 100);
      expect((await troupe(place, 'run', '--resume', run)).stderr).not.toContain('% is spent');
      expect((await troupe(place, 'run', 'team.yaml', '--quiet')).stderr).toBe('');
    }));

  test('the books add up: accounts, agents, steps, models and the ledger say the same', () =>
    at(bus, { tools: true }, async (place) => {
      const result = resultOf(await troupe(place, 'run', 'team.yaml', '--json'));
      const { run, spentNanos } = result;
      expect((await accountsOf(place, run)).get('run')).toMatchObject({ state: 'closed', spentNanos, heldNanos: '0' });
      const { stdout } = await budget(place, 'show', run);
      for (const title of ['by agent', 'by step', 'by model']) {
        const rows = stdout.split(`${title}\n`)[1]!.split(/^(?=\S)/m)[0]!;
        const nanos = [...rows.matchAll(/\$(\d+)\.(\d+)/g)].map(([, whole, fraction]) => BigInt(whole! + fraction!.padEnd(9, '0')));
        expect(nanos.length, title).toBeGreaterThan(0);
        expect(nanos.reduce((sum, one) => sum + one, 0n).toString(), title).toBe(spentNanos);
      }
      for (const name of ['reader', 'other', 'supervisor', 'first', 'fourth']) expect(stdout).toContain(`  ${name} `);
      const lines = await ledgerOf(place, run);
      expect(lines.at(-1)).toMatchObject({ kind: 'close', spentNanos, heldNanos: '0' });
      const printed = (await budget(place, 'ledger', run)).stdout.trim().split('\n');
      expect(printed).toHaveLength(lines.length);
      for (const [index, { seq, kind, hash }] of lines.entries()) expect(printed[index]).toMatch(new RegExp(`^ *${seq}  \\S+Z  ${kind} .*${hash.slice(0, 8)}`));
      expectBilled(result, place);
    }));

  test('an exported ledger that was edited is found out, with the line', () =>
    at(bus, {}, async (place) => {
      const { run } = resultOf(await troupe(place, 'run', 'team.yaml', '--json'));
      expect(await budget(place, 'export', run, '--out', 'ledger.jsonl')).toMatchObject({ exitCode: 0, stdout: '' });
      const path = join(place.desk.folder.path, 'ledger.jsonl');
      const lines = readFileSync(path, 'utf8').trim().split('\n');
      const verify = async (edited: readonly string[]): Promise<Ended> => {
        writeFileSync(path, `${edited.join('\n')}\n`);
        return budget(place, 'verify', run, '--file', 'ledger.jsonl');
      };
      expect(await verify(lines)).toMatchObject({
        exitCode: 0,
        stdout: expect.stringMatching(
          new RegExp(`^${run}: ${lines.length} lines hold, against \\d+ hashes in other logs; ledger.jsonl has the same$`, 'm'),
        ) as string,
      });

      const cheaper = lines.map((line, index) => (index === 1 ? line.replace(/"money":"\d+"/, '"money":"1"') : line));
      expect(cheaper).not.toEqual(lines);
      let before = { seq: 0, hash: '' };
      const forged = cheaper.map((line) => {
        const { hash: _, ...unsealed } = { ...(JSON.parse(line) as LedgerLine), previous: before.hash };
        before = { seq: unsealed.seq, hash: hashOf(unsealed) };
        return JSON.stringify({ ...unsealed, hash: before.hash });
      });
      for (const [edited, said] of [
        [cheaper, 'ledger.jsonl:2: line 2 was changed'],
        [lines.toSpliced(2, 1), 'ledger.jsonl:3: expected line 3, found 4: one is missing'],
        [lines.toSpliced(2, 0, lines[1]!), 'ledger.jsonl:3: expected line 3, found 2: one is there twice'],
        [lines.slice(0, -1), `ledger.jsonl ends after line ${lines.length - 1}, the run's ledger has ${lines.length}`],
        [forged, "ledger.jsonl:2: this line is not in the run's ledger"],
        [lines.with(1, 'nothing'), 'ledger.jsonl:2: expected a line of a ledger'],
      ] as const) {
        const { exitCode, stdout, stderr } = await verify(edited);
        expect({ exitCode, stdout }, said).toEqual({ exitCode: 1, stdout: '' });
        expect(stderr).toContain(said);
      }
    }));
});

const ledgerOf = async (place: Place, run: string): Promise<readonly LedgerLine[]> =>
  (await budget(place, 'export', run)).stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as LedgerLine);

describe.concurrent("entries of the account's log on the disk", { timeout: 90_000 }, () => {
  /** A run that ran out, was raised and ended; `tamper` is given a copy of its bus. */
  const verifyAfter = (tamper: (database: DatabaseSync, log: string) => void): Promise<Ended> => {
    let ended: Ended | undefined;
    return at('embedded', { dear: true }, async (place) => {
      const first = await troupe(place, 'run', 'team.yaml', '--json', '--budget', LITTLE);
      const [raise, resume] = commandsIn(first.stderr);
      await follow(place, raise);
      const { run } = resultOf(await follow(place, resume, '--json'));
      const bus = new DatabaseSync(join(place.desk.folder.path, '.troupe/bus.db'));
      bus.exec(`VACUUM INTO '${join(place.desk.folder.path, 'copy.db')}'`);
      bus.close();
      const copy = new DatabaseSync(join(place.desk.folder.path, 'copy.db'));
      tamper(copy, `${run}.budget`);
      copy.close();
      ended = await budget(place, 'verify', run, '--bus', 'embedded:copy.db');
    }).then(() => ended!);
  };

  const ofLog = 'log = (SELECT number FROM log WHERE name = ?)';
  const typed = "json_extract(envelope, '$.type') = ?";

  test('a copy that nobody touched holds', async () => {
    expect(await verifyAfter(() => {})).toMatchObject({ exitCode: 0, stderr: '' });
  });

  test.each<[what: string, tamper: (database: DatabaseSync, log: string) => void]>([
    [
      'a settlement that was made smaller',
      (database, log) => {
        const { changes } = database
          .prepare(
            `UPDATE entry SET envelope = json_set(envelope, '$.data.spentNanos', '1') WHERE position = (SELECT min(position) FROM entry WHERE ${ofLog} AND ${typed})`,
          )
          .run(log, 'budget.settle');
        expect(changes).toBe(1);
      },
    ],
    [
      'a settlement that is gone',
      (database, log) => {
        const { changes } = database
          .prepare(`DELETE FROM entry WHERE position = (SELECT min(position) FROM entry WHERE ${ofLog} AND ${typed})`)
          .run(log, 'budget.settle');
        expect(changes).toBe(1);
      },
    ],
    [
      'a raise that is there twice',
      (database, log) => {
        const { position } = database.prepare(`SELECT position FROM entry WHERE ${ofLog} AND ${typed}`).get(log, 'budget.raise') as { position: number };
        database.prepare('UPDATE entry SET position = -(position + 1) WHERE position > ?').run(position);
        database.exec('UPDATE entry SET position = -position WHERE position < 0');
        database
          .prepare(
            "INSERT INTO entry (position, log, id, at, envelope) SELECT position + 1, log, randomblob(16), at, json_set(envelope, '$.id', json_extract(envelope, '$.id') || '-2') FROM entry WHERE position = ?",
          )
          .run(position);
      },
    ],
  ])('%s is found', async (_, tamper) => {
    const { exitCode, stdout, stderr } = await verifyAfter(tamper);
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(stderr).toMatch(/the ledger of r-\w+ cannot be trusted: line \d+ is .* \(lines up to \d+ hold\)/);
  });
});
