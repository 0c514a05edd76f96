/**
 * Agents whose budget server is killed with -9 in the middle of their work: what they may do is what the team file says, and the
 * ledger is right as soon as somebody serves it again.
 */
import { describe, expect, test } from 'vitest';
import type { Bus, Entry } from '../../src/bus/port.ts';
import { testBuses, type CliProcess, type Desk } from '../support/cli.ts';
import { documents } from '../support/documents.ts';
import { eventually } from '../support/eventually.ts';
import { startModelServer, type ModelServer } from '../support/model-server.ts';
import { ANSWER, answerOf, formatOf, PRICE, QUESTION } from '../support/research-desk.ts';

const teamFile = (budget: string): string => `
name: desk
inputs:
  docs: { folder: docs }
models: { default: [openai/gpt-4.1-mini] }
agents:
  lead: { kind: supervisor, role: an editor }
  searcher: { kind: worker, role: a researcher, tools: [search_files, read_file], limits: { timeout_s: 20 } }
topology: { kind: centralised, supervisor: lead, workers: [searcher] }
budget: { ${budget} }
`;

type Place = {
  readonly desk: Desk;
  readonly model: ModelServer;
  /** The server of the run's money, already killed. */
  readonly run: string;
  readonly bus: Bus;
  serve(): Promise<CliProcess>;
};

/** Resolves when a process says what it plays; fails with what it says instead. */
const plays = async (one: CliProcess): Promise<void> => {
  await one.lines(1);
  expect(one.stderr).toContain(': plays ');
};

const entriesOf = async (bus: Bus, run: string, type: string): Promise<Entry[]> => {
  const found: Entry[] = [];
  for await (const entry of bus.read(`${run}.>`)) if (entry.envelope.type === type) found.push(entry);
  return found;
};

/** Two searchers have been granted their first calls when the server is killed, and then hear the answers to them. */
const afterTheKill = async (budget: string, isAdvanced: boolean, body: (place: Place) => Promise<void>): Promise<void> => {
  const waiting: (() => void)[] = [];
  let holds = true;
  const model = await startModelServer({
    price: PRICE,
    answer: async (request) => {
      const isSearcher =
        formatOf(request) !== 'plan' && request.messages.some(({ content }) => content?.includes('# Task\n') && !content.includes('# Findings'));
      if (holds && isSearcher) await new Promise<void>((resolve) => waiting.push(resolve));
      return answerOf(request);
    },
  });
  const release = (): void => {
    holds = false;
    for (const answer of waiting) answer();
  };
  const buses = await testBuses.nats();
  const desk = buses.desk({ ...documents, 'team.yaml': teamFile(budget) });
  const env = { OPENAI_BASE_URL: model.url, OPENAI_API_KEY: 'sk-test' };
  const running: CliProcess[] = [];
  const begin = async (...args: readonly string[]): Promise<CliProcess> => {
    const one = desk.start(args, { env });
    running.push(one);
    await plays(one);
    return one;
  };
  const serve = (): Promise<CliProcess> => begin('budget-server', 'team.yaml');
  let bus: Bus | undefined;
  try {
    const [server] = await Promise.all([serve(), begin('agent', 'team.yaml')]);
    const submitted = await desk.run(['run', 'team.yaml', '--detach', QUESTION], { env });
    expect(submitted.exitCode, submitted.stderr).toBe(0);
    const run = submitted.stdout.trim();
    const opened = (bus = await desk.openBus());
    await eventually('both searchers wait for the model', () => waiting.length === 2, 60_000);
    const advances = async (): Promise<number> =>
      (await entriesOf(opened, run, 'budget.granted')).filter(
        ({ log, envelope }) => log.includes('.worker.') && String(envelope.data['grant']).includes('~advance'),
      ).length;
    if (isAdvanced) await eventually('both have their advances', async () => (await advances()) === 2);
    server.kill('SIGKILL');
    await server.ended;
    release();
    await body({ desk, model, run, bus: opened, serve });
  } finally {
    release();
    for (const one of running) one.kill('SIGKILL');
    await Promise.all(running.map(({ ended }) => ended));
    await bus?.close();
    await buses.dispose();
    await model.stop();
  }
};

describe('the only budget server is killed with -9 in the middle of a run', { timeout: 180_000 }, () => {
  test('and no call is made without an answer: the steps fail, and say why', () =>
    afterTheKill('limit: 0.05', false, async ({ model, run, bus }) => {
      const failures = async (): Promise<unknown[]> =>
        (await entriesOf(bus, run, 'task.failed')).map(({ envelope }) => (envelope.data['failure'] as { code: string }).code);
      await eventually('both steps fail', async () => (await failures()).length === 2, 60_000);
      expect(await failures()).toEqual(['BUDGET_UNANSWERED', 'BUDGET_UNANSWERED']);
      expect(model.requests).toHaveLength(3);
    }));

  test('and with open_up_to those who are at work go on with what they hold; served again, the ledger is the bill', () =>
    afterTheKill('limit: 0.05, open_up_to: 0.004', true, async ({ desk, model, run, bus, serve }) => {
      await eventually('both searchers have reported', async () => (await entriesOf(bus, run, 'task.completed')).length === 2, 60_000);
      const drawn = (await entriesOf(bus, run, 'effect.drawn')).map(({ log }) => log);
      expect(drawn).toHaveLength(4);
      expect(model.requests.slice(3).map(({ attempt }) => attempt!.endsWith('#2'))).toEqual([true, true, true, true]);

      const soFar = await desk.run(['tail', run, '--json', '--no-follow']);
      expect(soFar.stdout).toMatch(/no answer of the budget: draws \$0\.00\d+ of its advance/);

      await serve();
      const tail = await desk.run(['tail', run, '--json', '--quiet']);
      expect(tail.exitCode, tail.stderr).toBe(0);
      const result = JSON.parse(tail.stdout.trimEnd().split('\n').at(-1)!) as Record<string, unknown>;
      expect(result).toMatchObject({ status: 'completed', answer: ANSWER, spentNanos: model.bill.nanos.toString(), heldNanos: '0' });
      const verified = await desk.run(['budget', 'verify', run]);
      expect(verified.exitCode, verified.stdout).toBe(0);
      const ledger = (await desk.run(['budget', 'export', run])).stdout;
      const settled = ledger
        .split('\n')
        .flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Record<string, unknown>]))
        .filter(({ kind }) => kind === 'settle');
      expect(settled).toHaveLength(model.requests.length);
      expect(new Set(settled.map(({ grant }) => grant))).toEqual(new Set(model.requests.map(({ attempt }) => attempt)));
    }));
});
