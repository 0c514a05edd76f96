/**
 * Teams whose agents are processes of their own: the same answer as from one process, whoever of them dies or is told to stop.
 *
 * Where a moment matters, the model is a server of the test's own that holds an answer back and keeps every request.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { NODE_OPTION } from '../../src/cli/node-options.ts';
import { BRIEF, startCli, testBuses, type CliProcess, type Desk } from '../support/cli.ts';
import { documents } from '../support/documents.ts';
import { eventually } from '../support/eventually.ts';
import { createFolder } from '../support/folder.ts';
import { startModelServer, type ModelServer } from '../support/model-server.ts';
import { ANSWER, answerOf, PRICE, QUESTION } from '../support/research-desk.ts';

const DOCS = ['--input', 'docs=docs'];
const TAKEOVER_MS = 5_000;

type Host = { readonly pid: number; readonly agents: readonly string[]; readonly state: string; readonly hosts: readonly string[] };

type BusName = keyof typeof testBuses;

/** A bus of its own for each test: its processes are all that there are. */
const at = async (
  name: BusName,
  body: (desk: Desk, started: (args: readonly string[], env?: Record<string, string>) => CliProcess) => Promise<void>,
): Promise<void> => {
  const running: CliProcess[] = [];
  const bus = await testBuses[name]();
  const desk = bus.desk(documents);
  try {
    await body(desk, (args, env = {}) => {
      const one = desk.start(args, { env });
      running.push(one);
      return one;
    });
  } finally {
    for (const one of running) one.kill('SIGKILL');
    await Promise.all(running.map(({ ended }) => ended));
    await bus.dispose();
  }
};

const plays = async (one: CliProcess, times = 1): Promise<void> =>
  eventually(`${times} processes say what they play`, () => one.stderr.split(': plays ').length > times, 60_000);

const processesOn = async (desk: Desk): Promise<readonly Host[]> => (JSON.parse((await desk.run(['ps', '--json'])).stdout) as { processes: Host[] }).processes;

const submit = async (desk: Desk, task: string, env: Record<string, string> = {}): Promise<string> => {
  const { exitCode, stdout, stderr } = await desk.run(['run', BRIEF, ...DOCS, '--detach', task], { env });
  expect(exitCode, stderr).toBe(0);
  return stdout.trim();
};

type Result = {
  readonly run: string;
  readonly status: string;
  readonly answer: string;
  readonly citations: unknown;
  readonly failure?: { readonly code: string };
};
const resultIn = (stdout: string): Result => JSON.parse(stdout.trimEnd().split('\n').at(-1)!) as Result;

const resultOf = async (desk: Desk, run: string): Promise<Result> => {
  const { exitCode, stdout, stderr } = await desk.run(['tail', run, '--json', '--quiet']);
  expect(exitCode, stderr).toBe(0);
  return resultIn(stdout);
};

/** A model whose answers to workers wait until `release`. */
const holdingModel = async (): Promise<{ readonly model: ModelServer; readonly env: Record<string, string>; readonly held: () => number; release(): void }> => {
  const waiting: (() => void)[] = [];
  let holds = true;
  const model = await startModelServer({
    price: PRICE,
    answer: async (request) => {
      const isWorker =
        request.messages.some(({ content }) => content?.includes('# Task\n') && !content.includes('# Findings')) &&
        request.response_format?.json_schema?.name !== 'verdict';
      if (holds && isWorker && request.response_format?.json_schema?.name !== 'plan') await new Promise<void>((resolve) => waiting.push(resolve));
      return answerOf(request);
    },
  });
  return {
    model,
    env: { OPENAI_BASE_URL: model.url },
    held: () => waiting.length,
    release: () => {
      holds = false;
      for (const answer of waiting) answer();
    },
  };
};

describe.each(['embedded', 'nats'] as const)('on the %s bus', { timeout: 90_000 }, (name) => {
  test('up, a detached run and tail give the answer of one process; stopped, all of it ends with exit 0 and nobody stays on record', () =>
    at(name, async (desk, start) => {
      const together = await desk.run(['run', BRIEF, ...DOCS, QUESTION]);
      desk.folder.write('tell.cjs', "require('node:fs').writeFileSync(`told-${process.pid}`, process.env.NODE_OPTIONS)");
      const own = '--require=./tell.cjs';
      const up = start(['up', BRIEF, ...DOCS, '--replicas', 'searcher=2'], { NODE_OPTIONS: own });
      await plays(up, 6);
      const run = await submit(desk, QUESTION);
      const apart = await desk.run(['tail', run]);
      expect(apart.exitCode, apart.stderr).toBe(0);
      expect(apart.stdout).toBe(together.stdout);
      expect(apart.stderr).toContain('searcher');
      expect((await desk.run(['ps', '--run', run])).stdout).toMatch(/^supervisor +- +- +completed +0 +-$/m);
      const processes = await processesOn(desk);
      expect(processes.map(({ agents }) => agents.join()).toSorted()).toEqual(['budget-server', 'budget-server', 'checker', 'lead', 'searcher', 'searcher']);
      // Each has a bounded heap, and whoever starts them may say otherwise: the last of two counts.
      const told = processes.map(({ pid }) => readFileSync(join(desk.folder.path, `told-${pid}`), 'utf8'));
      expect(told).toEqual(processes.map(() => `${NODE_OPTION} ${own}`));

      up.kill('SIGTERM');
      const { exitCode, stderr } = await up.ended;
      expect(exitCode, stderr).toBe(0);
      expect(await processesOn(desk)).toEqual([]);
    }));

  test('a process that dies is started again by up', () =>
    at(name, async (desk, start) => {
      const up = start(['up', BRIEF, ...DOCS]);
      await plays(up, 5);
      const lead = (await processesOn(desk)).find(({ agents }) => agents.includes('lead'))!;
      process.kill(lead.pid, 'SIGKILL');
      await plays(up, 6);
      expect(up.stderr).toMatch(/^lead +\| ended with SIGKILL; it is started again in 1 s$/m);
      expect((await resultOf(desk, await submit(desk, QUESTION))).status).toBe('completed');
      up.kill('SIGINT');
      expect((await up.ended).exitCode).toBe(0);
    }));

  test(`killed with -9 in the middle of a call, a worker's process is replaced by another within ${TAKEOVER_MS} ms, to the same answer`, async () => {
    const { model, env, held, release } = await holdingModel();
    await at(name, async (desk, start) => {
      const others = start(['agent', BRIEF, ...DOCS, '--agent', 'lead', '--agent', 'checker', '--budget-server'], env);
      const searchers = [1, 2].map(() => start(['agent', BRIEF, ...DOCS, '--agent', 'searcher'], env));
      await Promise.all([others, ...searchers].map((one) => plays(one)));
      const run = await submit(desk, QUESTION, env);
      await eventually('both steps wait for the model', () => held() === 2);
      const victim = (await processesOn(desk)).find(({ hosts }) => hosts.some((unit) => unit.includes('.worker.')))!;
      const lost = victim.hosts.filter((unit) => unit.includes('.worker.')).length;
      const killedAt = Date.now();
      process.kill(victim.pid, 'SIGKILL');
      await eventually('what it asked is asked again by another', () => held() === 2 + lost);
      const tookMs = Date.now() - killedAt;
      expect(tookMs).toBeLessThan(TAKEOVER_MS);
      release();
      expect(await resultOf(desk, run)).toMatchObject({ status: 'completed', answer: ANSWER });
      const attempts = model.requests.map(({ attempt }) => attempt);
      expect(new Set(attempts).size, 'each attempt has a grant of its own').toBe(attempts.length);
    }).finally(() => {
      release();
      return model.stop();
    });
  });

  test('told to stop in the middle of a call, a process lets it end, hands over the rest and exits with 0; no call is made twice', async () => {
    const { model, env, held, release } = await holdingModel();
    await at(name, async (desk, start) => {
      const others = start(['agent', BRIEF, ...DOCS, '--agent', 'lead', '--agent', 'checker', '--budget-server'], env);
      const first = start(['agent', BRIEF, ...DOCS, '--agent', 'searcher'], env);
      await Promise.all([others, first].map((one) => plays(one)));
      const run = await submit(desk, QUESTION, env);
      await eventually('both steps wait for the model', () => held() === 2);
      const second = start(['agent', BRIEF, ...DOCS, '--agent', 'searcher'], env);
      await plays(second);
      first.kill('SIGTERM');
      await eventually('it drains', async () => (await processesOn(desk)).some(({ state }) => state === 'draining'));
      release();
      const { exitCode, stderr } = await first.ended;
      expect(exitCode, stderr).toBe(0);
      expect(await resultOf(desk, run)).toMatchObject({ status: 'completed', answer: ANSWER });
      const effects = model.requests.map(({ attempt }) => attempt!.split('#')[0]);
      expect(new Set(effects).size, 'one request for each call').toBe(effects.length);
    }).finally(() => {
      release();
      return model.stop();
    });
  });

  test('of two budget servers one is killed with -9 in the middle, and the other grants on', async () => {
    const { model, env, held, release } = await holdingModel();
    await at(name, async (desk, start) => {
      const agents = start(['agent', BRIEF, ...DOCS], env);
      const servers = [1, 2].map(() => start(['budget-server', BRIEF, ...DOCS], env));
      await Promise.all([agents, ...servers].map((one) => plays(one)));
      const run = await submit(desk, QUESTION, env);
      await eventually('both steps wait for the model', () => held() === 2);
      servers[0]!.kill('SIGKILL');
      await servers[0]!.ended;
      release();
      expect(await resultOf(desk, run)).toMatchObject({ status: 'completed', answer: ANSWER });
    }).finally(() => {
      release();
      return model.stop();
    });
  });

  test('a run that nobody hosts is gone on with by resume, to the same answer, and afterwards nothing of it is hosted', () =>
    at(name, async (desk) => {
      const together = await desk.run(['run', BRIEF, ...DOCS, '--json', QUESTION]);
      const run = await submit(desk, QUESTION);
      const still = await desk.run(['tail', run, '--no-follow']);
      expect(still.stderr).toContain('nobody plays lead, searcher, checker, budget-server');
      const resumed = await desk.run(['resume', run, '--json', '--quiet']);
      expect(resumed.exitCode, resumed.stderr).toBe(0);
      expect(resultIn(resumed.stdout).answer).toBe(resultIn(together.stdout).answer);
      expect(await processesOn(desk)).toEqual([]);
    }));

  test('a run that is cancelled while nobody hosts it says so, and ends when somebody does', () =>
    at(name, async (desk) => {
      const run = await submit(desk, QUESTION);
      const pending = await desk.run(['cancel', run, '--why', 'asked twice', '--json']);
      expect(pending.exitCode).toBe(1);
      expect(resultIn(pending.stdout).failure?.code).toBe('CANCEL_PENDING');
      const resumed = await desk.run(['resume', run, '--json', '--quiet']);
      expect(resumed.exitCode).toBe(1);
      expect(resultIn(resumed.stdout)).toMatchObject({ status: 'failed', failure: { code: 'RUN_CANCELLED', message: 'cancelled: asked twice' } });
      const again = await desk.run(['cancel', run, '--why', 'asked twice']);
      expect(again.stderr).toContain('has ended already');
      expect(again.exitCode).toBe(0);
    }));

  test('a cancelled run ends at once where it is hosted, and the call under way is broken off', async () => {
    const { model, env, held, release } = await holdingModel();
    await at(name, async (desk, start) => {
      const agents = start(['agent', BRIEF, ...DOCS, '--budget-server'], env);
      await plays(agents);
      const run = await submit(desk, QUESTION, env);
      await eventually('both steps wait for the model', () => held() === 2);
      const { exitCode, stderr } = await desk.run(['cancel', run, '--why', 'enough']);
      expect(exitCode, stderr).toBe(0);
      await eventually('both calls were left', () => model.requests.filter(({ abandoned }) => abandoned).length === 2);
    }).finally(() => {
      release();
      return model.stop();
    });
  });

  test('rm refuses a run that goes on; what it removes leaves nothing behind', () =>
    at(name, async (desk) => {
      const open = await submit(desk, QUESTION);
      const refused = await desk.run(['rm', open, '--json']);
      expect(refused.exitCode).toBe(1);
      expect(resultIn(refused.stdout).failure?.code).toBe('RUN_NOT_ENDED');
      const ended = resultIn((await desk.run(['run', BRIEF, ...DOCS, '--json', QUESTION])).stdout).run;

      expect((await desk.run(['rm', '--ended', '--older-than', '1h'])).stdout).toBe('');
      expect((await desk.run(['rm', '--ended', '--dry-run'])).stdout).toContain(ended);
      expect((await desk.run(['rm', '--ended'])).stdout).toContain(ended);
      expect((await desk.run(['rm', open, '--force'])).stdout).toContain(open);
      expect((await desk.run(['runs'])).stdout).not.toMatch(new RegExp(`${open}|${ended}`));
      const left = await desk.openBus();
      try {
        for (const run of [open, ended]) {
          for await (const entry of left.read(`${run}.>`)) expect.unreachable(`${entry.log} still has ${entry.envelope.id}`);
          expect((await left.keys('')).filter((key) => key.includes(run))).toEqual([]);
        }
      } finally {
        await left.close();
      }
    }));
});

test.each([
  { what: 'up in memory', args: ['up', BRIEF, '--bus', 'memory'], says: /bus that all of them reach/ },
  { what: 'an agent in memory', args: ['agent', BRIEF, '--bus', 'memory'], says: /bus that all of them reach/ },
  { what: 'a detached run in memory', args: ['run', BRIEF, '--detach', '--bus', 'memory'], says: /--detach needs a bus/ },
  {
    what: 'an agent that the team has not',
    args: ['agent', BRIEF, '--agent', 'writer'],
    says: /"writer" is not one of its agents; there are lead, searcher, checker/,
  },
  { what: 'replicas of nobody', args: ['up', BRIEF, '--replicas', 'writer=2'], says: /"writer" is not one of its agents/ },
  { what: 'replicas that are no number', args: ['up', BRIEF, '--replicas', 'lead=many'], says: /expected a whole number from 0 to 99/ },
  { what: 'rm of nothing', args: ['rm'], says: /expected runs, or --ended/ },
  { what: 'rm by name and by rule', args: ['rm', 'r-0000000', '--ended'], says: /either runs or a rule/ },
  { what: 'an age without a unit', args: ['rm', '--ended', '--older-than', '7'], says: /such as 7d/ },
  { what: 'a run that is not there', args: ['tail', 'r-0000000'], says: /no run r-0000000/ },
])('$what is wrong usage', async ({ args, says }) => {
  const folder = createFolder('desk', documents);
  const { exitCode, stderr } = await startCli(folder.path, args).ended;
  folder.remove();
  expect(stderr).toMatch(says);
  expect(exitCode).toBe(2);
});
