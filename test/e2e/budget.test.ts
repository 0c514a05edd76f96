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
import { startModelServer, type Answer, type ChatRequest, type ModelServer } from '../support/model-server.ts';
import { PRICE } from '../support/research-desk.ts';

// --- the team and its model --------------------------------------------------------------------------------------------------

type TeamOptions = {
  /** After `limit: 1`, in the file's budget. */
  readonly budget?: string;
  /** Of the worker. */
  readonly reader?: string;
  readonly lead?: string;
  /** One step after the other, or all at once. */
  readonly parallel?: boolean;
};

const STEPS = ['first', 'second', 'third', 'fourth'];

const team = ({ budget = 'limit: 1', reader = '', lead = '', parallel = false }: TeamOptions = {}): string => `
name: counters
task: What is in the pages?
inputs:
  docs: { folder: docs }
models:
  default: [openai/gpt-4.1-mini]
agents:
  lead: { kind: supervisor, role: an editor, limits: { max_tokens: 100 }${lead} }
  reader: { kind: worker, role: a reader, tools: [list_files], limits: { max_tokens: 100 }${reader} }
  other: { kind: worker, role: another reader, limits: { max_tokens: 100 } }
topology:
  kind: workflow
  supervisor: lead
  concurrency: 4
  steps:
${STEPS.map((id, index) => `    - { id: ${id}, agent: ${index === 3 ? 'other' : 'reader'}, task: read the ${id} page, needs: [${parallel ? '' : (STEPS.slice(0, index).at(-1) ?? '')}] }`).join('\n')}
budget: { ${budget} }
`;

const asked = ({ messages }: ChatRequest): string => messages.find(({ role }) => role === 'user')!.content!;

const say = (text: string): Answer => ({ json: { text, citations: [] } });

/** Each step is looked up once and reported; the answer has a word for each finding and for each that is missing. */
const answerOf = (request: ChatRequest): Answer => {
  const text = asked(request);
  const page = /# Task\nread the (\w+) page/.exec(text)?.[1];
  if (page === undefined) return say(`${text.match(/page is read/g)?.length ?? 0} read, ${text.match(/This step failed/g)?.length ?? 0} missing`);
  const hasTools = (request.tools?.length ?? 0) > 0;
  if (hasTools && !request.messages.some(({ role }) => role === 'tool')) return { calls: [{ name: 'list_files', arguments: {} }] };
  return say(`the ${page} page is read`);
};

const ANSWER = '4 read, 0 missing';
/** Two for each step of the reader, one for the other's, one for the answer. */
const CALLS = 8;

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

const dollarsOf = (nanos: bigint): string => (Number(nanos) / 1e9).toFixed(9);

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

type AccountShown = {
  readonly id: string;
  readonly state: string;
  readonly sliceNanos?: string;
  readonly limits: readonly { readonly measure: string; readonly amount: string; readonly spent: string; readonly held: string }[];
  readonly spentNanos: string;
  readonly heldNanos: string;
};

const accountsOf = async (place: Place, run: string): Promise<readonly AccountShown[]> =>
  JSON.parse((await budget(place, 'show', run, '--json')).stdout) as AccountShown[];

describe.concurrent.each(['embedded', 'nats'] as const)('on the %s bus', { timeout: 60_000 }, (bus) => {
  describe.concurrent.each([
    ['one step after the other', false],
    ['all steps at once', true],
  ])('%s', (_, parallel) => {
    test('a run that runs out pauses; raised from another process it goes on in a third, to the same answer at the same cost, and nothing is paid twice', async () => {
      const whole = await undisturbed(bus, { parallel });
      expect(whole).toMatchObject({ result: { status: 'completed', answer: ANSWER, heldNanos: '0' }, calls: CALLS });
      const limit = (BigInt(whole.result.spentNanos) * 6n) / 10n;
      await at(bus, { parallel }, async (place) => {
        const first = await troupe(place, 'run', 'team.yaml', '--json', '--budget', dollarsOf(limit));
        const paused = resultOf(first, 3);
        expect(paused).toMatchObject({
          status: 'paused',
          heldNanos: '0',
          limitNanos: limit.toString(),
          failure: { code: 'BUDGET_EXHAUSTED', details: { measure: 'money' } },
        });
        expect(BigInt(paused.spentNanos)).toBeLessThanOrEqual(limit);
        expect(BigInt(paused.spentNanos)).toBeGreaterThanOrEqual(place.model.bill.nanos);
        expect(first.stderr).toContain('the run is paused, and everything that was paid is kept');
        const calls = place.model.requests.length;
        expect(calls).toBeGreaterThan(0);
        expect(calls).toBeLessThan(CALLS);

        // Without more money it stays as it is, however often it is taken up.
        expect(resultOf(await troupe(place, 'run', '--resume', paused.run, '--json'), 3)).toMatchObject({ status: 'paused', spentNanos: paused.spentNanos });
        expect(place.model.requests).toHaveLength(calls);

        const [raise, resume] = commandsIn(first.stderr);
        expect(raise!.slice(0, 3)).toEqual(['budget', 'raise', paused.run]);
        const raised = await place.desk.run(raise!.filter((word) => !place.desk.busArgs.includes(word)));
        expect(raised).toMatchObject({ exitCode: 0, stdout: '' });
        expect(place.model.requests, 'who raises calls nobody').toHaveLength(calls);

        const second = resultOf(await troupe(place, ...resume!.filter((word) => !place.desk.busArgs.includes(word)), '--json'));
        expect(second).toMatchObject({ run: paused.run, status: 'completed', answer: ANSWER, heldNanos: '0', spentNanos: whole.result.spentNanos });
        expect(BigInt(second.limitNanos)).toBe(limit + 50_000_000n);
        expect(place.model.requests).toHaveLength(CALLS);
        expectNothingTwice(place);
        expect(BigInt(second.spentNanos)).toBeGreaterThanOrEqual(place.model.bill.nanos);
        expect((await budget(place, 'verify', paused.run)).exitCode).toBe(0);
      });
    });
  });
});
