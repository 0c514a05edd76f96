/** A long run whose processes are killed again and again: it ends as it would have, and pays again only for calls that were lost. */
import { expect, it } from 'vitest';
import type { CliProcess } from '../support/cli.ts';
import { testBuses } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { startModelServer } from '../support/model-server.ts';
import { PRICE } from '../support/research-desk.ts';
import { seeded } from '../support/simulation.ts';

const STEPS = 100;
const KILLS = 20;
const SEED = Number(process.env['CHAOS_SEED'] ?? 7);

/** Ten chains of ten. */
const steps = Array.from({ length: STEPS }, (_, index) => {
  const needs = index >= 10 ? `, needs: [s${index - 10}]` : '';
  return `    - { id: s${index}, agent: clerk, task: "Say the number ${index}."${needs} }`;
});

const TEAM = `name: numbers
task: Say all the numbers.
models: { default: [openai/gpt-4.1-mini] }
agents:
  lead: { kind: supervisor, role: a lead }
  clerk: { kind: worker, role: a clerk }
topology:
  kind: workflow
  supervisor: lead
  concurrency: 10
  steps:
${steps.join('\n')}
budget: { limit: 5 }
`;

const numberIn = (text: string): number => Number(/Say the number (\d+)\./.exec(text)?.[1] ?? Number.NaN);

it(`a run of ${STEPS} steps survives ${KILLS} kills (CHAOS_SEED ${SEED})`, { timeout: 240_000 }, async () => {
  const random = seeded(SEED);
  const model = await startModelServer({
    price: PRICE,
    answer: async ({ messages }) => {
      await new Promise((resolve) => setTimeout(resolve, 60));
      const asked = messages.find(({ role }) => role === 'user')!.content!;
      if (!asked.includes('# Findings') || !asked.includes('# Question\nSay all')) return { json: { text: `It is ${numberIn(asked)}.`, citations: [] } };
      return { json: { text: 'All are said.', citations: [] } };
    },
  });
  const bus = await testBuses.nats();
  const desk = bus.desk({ 'team.yaml': TEAM });
  const env = { OPENAI_BASE_URL: model.url, OPENAI_API_KEY: 'test-key' };
  const parts = [
    ['agent', 'team.yaml', '--agent', 'lead'],
    ['agent', 'team.yaml', '--agent', 'lead'],
    ['agent', 'team.yaml', '--agent', 'clerk'],
    ['agent', 'team.yaml', '--agent', 'clerk'],
    ['agent', 'team.yaml', '--agent', 'clerk'],
    ['budget-server', 'team.yaml'],
    ['budget-server', 'team.yaml'],
  ];
  const running: CliProcess[] = parts.map((args) => desk.start(args, { env }));
  const reader = await desk.openBus();
  try {
    await Promise.all(running.map((one) => eventually('it says what it plays', () => one.stderr.includes(': plays '), 60_000)));
    const run = (await desk.run(['run', 'team.yaml', '--detach'], { env })).stdout.trim();
    let done = 0;
    const types = new Map<string, number>();
    reader.follow(`${run}.>`, 0, ({ envelope: { type } }) => {
      types.set(type, (types.get(type) ?? 0) + 1);
      if (type === 'task.completed') done++;
    });
    for (let kill = 1; kill <= KILLS; kill++) {
      await eventually(`${kill * 4} steps are done`, () => done >= kill * 4, 60_000);
      const victim = Math.floor(random() * parts.length);
      running[victim]!.kill('SIGKILL');
      await running[victim]!.ended;
      running[victim] = desk.start(parts[victim]!, { env });
    }
    const { exitCode, stdout, stderr } = await desk.run(['tail', run, '--json', '--quiet'], { env });
    expect(exitCode, stderr).toBe(0);
    const result = JSON.parse(stdout.trimEnd().split('\n').at(-1)!) as { status: string; answer: string; spentNanos: string };
    expect(result).toMatchObject({ status: 'completed', answer: 'All are said.' });
    expect(done).toBe(STEPS);

    // Each call beyond one a step and one for the answer stands for an attempt whose host was lost in the midst of it.
    const lost = types.get('effect.lost') ?? 0;
    expect(lost).toBeGreaterThan(0);
    expect(model.requests.length).toBeGreaterThanOrEqual(STEPS + 1);
    expect(model.requests.length).toBeLessThanOrEqual(STEPS + 1 + lost);
    expect(BigInt(result.spentNanos)).toBeGreaterThanOrEqual(model.bill.nanos);
    expect((await desk.run(['budget', 'verify', run])).exitCode).toBe(0);
  } finally {
    for (const one of running) one.kill('SIGKILL');
    await Promise.all(running.map(({ ended }) => ended));
    await reader.close();
    await bus.dispose();
    await model.stop();
  }
});
