/** `troupe run` as a process, with the model that needs no network: what goes where, what it comes to, and that the bus makes no difference. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BRIEF, runIdIn, testBuses, type Desk, type TestBus } from '../support/cli.ts';
import { documents, stands } from '../support/documents.ts';

const QUESTION = 'What happens when a payment fails?';
const run = (...more: readonly string[]): string[] => ['run', BRIEF, '--input', 'docs=docs', ...more];

/** As it is printed: `[1] docs/billing.md:4 "..."`. */
const sourcesIn = (stdout: string) =>
  [...stdout.matchAll(/^\[(\d+)\] (.+):(\d+) (".*")$/gm)].map(([, , file, line, quote]) => ({
    file: file!,
    line: Number(line),
    quote: JSON.parse(quote!) as string,
  }));

describe.concurrent.each(['embedded', 'nats'] as const)('on the %s bus', (name) => {
  let bus: TestBus;
  let desk: Desk;
  beforeAll(async () => {
    bus = await testBuses[name]();
    desk = bus.desk(documents);
  });
  afterAll(() => bus.dispose());

  test('the answer is on stdout with sources that stand where they are said to stand, progress on stderr only, and neither has control codes', async () => {
    const { exitCode, stdout, stderr } = await desk.run(run(QUESTION));
    expect(stderr).toContain('searcher');
    expect(exitCode).toBe(0);
    expect(stdout).toContain('retries it three times within ten days');
    expect(stdout).not.toMatch(/searcher|spent|r-[a-z0-9]{8}/);
    const sources = sourcesIn(stdout);
    expect(sources.length).toBeGreaterThan(0);
    for (const source of sources) expect(source).toSatisfy(stands);
    const marks = [...stdout.split('\n\n[1]')[0]!.matchAll(/\[(\d+)\]/g)].map(([, digits]) => Number(digits));
    expect(new Set(marks)).toEqual(new Set(sources.map((_, index) => index + 1)));
    // oxlint-disable-next-line no-control-regex
    expect(stdout + stderr).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f]/);
    expect(stderr).toMatch(/^spent \$\d+\.\d+ of \$0\.0500, \$\d+\.\d+ left · \d+\.\d s · run r-[a-z0-9]+$/m);

    const listed = await desk.run(['runs']);
    expect(listed.stdout).toMatch(new RegExp(`^${runIdIn(stderr)}  \\S+Z +\\d+ s ago +completed +together +\\$[\\d.]+ +brief$`, 'm'));
  });

  test('--json is one result of a known shape, and --quiet says nothing besides', async () => {
    const { exitCode, stdout, stderr } = await desk.run(run(QUESTION, '--json', '--quiet'));
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    const result = JSON.parse(stdout) as Record<string, unknown> & { citations: { file: string; line: number; quote: string }[] };
    expect(Object.keys(result).sort()).toEqual(['answer', 'citations', 'durationMs', 'heldNanos', 'limitNanos', 'run', 'spentNanos', 'status', 'steps']);
    expect(result).toMatchObject({ status: 'completed', heldNanos: '0', limitNanos: '50000000' });
    expect(Number(result['spentNanos'])).toBeGreaterThan(0);
    for (const citation of result.citations) expect(citation).toSatisfy(stands);
  });

  test('what the documents do not tell is said to be not found, and nothing is cited for it', async () => {
    const { exitCode, stdout } = await desk.run(run('How many moons does Jupiter have?', '--json'));
    const { answer, citations } = JSON.parse(stdout) as { answer: string; citations: unknown[] };
    expect(exitCode).toBe(0);
    expect(answer).toMatch(/not found/i);
    expect(citations).toEqual([]);
  });

  test('a budget that does not reach pauses the run with exit 3, the limit by name, and nothing spent above it', async () => {
    const limitNanos = 40_000;
    const { exitCode, stdout, stderr } = await desk.run(run(QUESTION, '--budget', '0.00004', '--json'));
    expect(exitCode).toBe(3);
    const result = JSON.parse(stdout) as {
      status: string;
      failure: { code: string; message: string };
      spentNanos: string;
      heldNanos: string;
      limitNanos: string;
    };
    expect(result).toMatchObject({ status: 'paused', failure: { code: 'BUDGET_EXHAUSTED' }, limitNanos: String(limitNanos) });
    expect(result.failure.message).toContain('limit $0.00004');
    expect(Number(result.spentNanos)).toBeGreaterThan(0);
    expect(Number(result.spentNanos) + Number(result.heldNanos)).toBeLessThanOrEqual(limitNanos);
    expect(stderr).toContain('(BUDGET_EXHAUSTED)');
  });

  test('a budget that no call can be made of is refused before there is a run', async () => {
    const { exitCode, stdout, stderr } = await desk.run(run(QUESTION, '--budget', '0.0000001'));
    expect({ exitCode, stdout }).toEqual({ exitCode: 3, stdout: '' });
    expect(stderr).toContain('$0.0000001 is too little for any call');
    expect(runIdIn(stderr)).toBeUndefined();
  });
});

test('both buses give the same answer', async () => {
  const buses = await Promise.all([testBuses.embedded(), testBuses.nats()]);
  try {
    const [embedded, nats] = await Promise.all(buses.map((bus) => bus.desk(documents).run(run(QUESTION, '--quiet'))));
    expect(embedded).toMatchObject({ exitCode: 0, stderr: '' });
    expect(nats).toEqual(embedded);
  } finally {
    await Promise.all(buses.map((bus) => bus.dispose()));
  }
});
