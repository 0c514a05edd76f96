/** What people read when something is wrong: a sentence, a code, an exit code that scripts can use, and never a stack or a key. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test as base } from 'vitest';
import { BRIEF, runIdIn, testBuses, type CliOptions, type Desk, type Ended } from '../support/cli.ts';
import { documents } from '../support/documents.ts';
import { startModelServer, type ModelServer, type Responder } from '../support/model-server.ts';
import { eventually } from '../support/eventually.ts';
import { ANSWER, answerOf, formatOf, PRICE, QUESTION } from '../support/research-desk.ts';

/** One step, a reviewer, and a person where they do not agree. */
const asking = `
name: desk
task: What happens when a payment fails?
inputs:
  docs: { folder: docs }
models:
  default: [openai/gpt-4.1-mini]
agents:
  lead: { kind: supervisor, role: the editor }
  searcher: { kind: worker, role: a researcher, tools: [search_files, read_file] }
  checker: { kind: reviewer, role: a fact checker }
topology:
  kind: workflow
  supervisor: lead
  reviewer: checker
  review_rounds: 0
  on_rejected: ask
  steps:
    - { id: look, agent: searcher, task: What happens when a payment fails? }
budget: { limit: 0.05 }
`;

const files = {
  ...documents,
  'secret.txt': 'the combination is 4711',
  'asking.yaml': asking,
  'unknown-agent.yaml': asking.replace('agent: searcher', 'agent: seacher'),
  'broken.yaml': 'name: [desk\nagents:\n',
};

/** Runs a command and holds what it said against what every command must not say. */
type Troupe = (args: readonly string[], options?: CliOptions) => Promise<Ended>;

/** A model of the test's own, which asks for a key. It answers as the research desk does, unless it is told otherwise. */
type Provider = { readonly server: ModelServer; answer: Responder; readonly ask: (args: readonly string[], key?: string) => Promise<Ended> };

const KEY = 'the-right-key';

const test = base.extend<{ desk: Desk; troupe: Troupe; provider: Provider }>({
  // oxlint-disable-next-line no-empty-pattern
  desk: async ({}, use) => {
    const bus = await testBuses.embedded();
    await use(bus.desk(files));
    await bus.dispose();
  },
  troupe: async ({ desk }, use) =>
    use(async (args, options) => {
      const ended = await desk.run(args, options);
      expect(ended.stdout + ended.stderr).not.toMatch(/^\s+at .+:\d+/m);
      expect(ended.stdout + ended.stderr).not.toContain('INTERNAL_ERROR');
      return ended;
    }),
  provider: async ({ troupe }, use) => {
    const server = await startModelServer({ price: PRICE, apiKey: KEY, answer: (request, index) => provider.answer(request, index) });
    const provider: Provider = {
      server,
      answer: answerOf,
      ask: (args, key = KEY) => troupe(args, { env: { OPENAI_BASE_URL: server.url, OPENAI_API_KEY: key } }),
    };
    await use(provider);
    await server.stop();
  },
});

const failureIn = ({ stdout }: Ended) => (JSON.parse(stdout) as { failure: { code: string; message: string } }).failure;

const brief = (...more: readonly string[]): string[] => ['run', BRIEF, '--input', 'docs=docs', ...more];

describe.concurrent('what is wrong with the command', () => {
  test.for<{
    readonly what: string;
    readonly args: readonly string[];
    readonly env?: CliOptions['env'];
    readonly exitCode?: number;
    readonly says: string | RegExp;
  }>([
    { what: 'a file that is not there', args: ['run', 'team.yml'], says: /cannot read the team file \S+team\.yml.*\(TEAM_FILE_MISSING\)/ },
    { what: 'a file that is no YAML', args: ['validate', 'broken.yaml'], says: /^broken\.yaml:\d+:\d+ /m },
    {
      what: 'an agent that nobody knows',
      args: ['validate', 'unknown-agent.yaml'],
      says: /^unknown-agent\.yaml:19:\d+ topology\.steps\[0\]\.agent: .*"seacher".*searcher/m,
    },
    { what: 'the same, when it is run', args: ['run', 'unknown-agent.yaml'], says: /^unknown-agent\.yaml:19:\d+ /m },
    { what: 'an option that nobody knows', args: ['run', 'asking.yaml', '--buget', '1'], says: /unknown option '--buget'[^]*--budget/ },
    { what: 'a command that nobody knows', args: ['rum'], says: /unknown command 'rum'[^]*run/ },
    { what: 'neither a file nor a run', args: ['run'], says: /expected a team file, or --resume/ },
    { what: 'a run that is resumed with another budget', args: ['run', '--resume', 'r-0000000', '--budget', '1'], says: /leave out --budget/ },
    { what: 'a run that is not there', args: ['run', '--resume', 'r-0000000'], says: /no run r-0000000 .*\(RUN_UNKNOWN\)/ },
    { what: 'an answer to a run that is not there', args: ['approve', 'r-0000000'], says: 'RUN_UNKNOWN' },
    { what: 'a chart that is not there', args: ['chart', 'waiter'], says: /"waiter"; the actors are .*supervisor.*\(CHART_UNKNOWN\)/ },
    { what: 'a chart as of an entry of no run', args: ['chart', 'worker', '--at', '4'], says: /--at 4: of which run\? Add --run/ },
    { what: 'a chart of one of several actors of no run', args: ['chart', 'worker.writer'], says: /worker\.writer: of which run/ },
    { what: 'a chart in a run that is not there', args: ['chart', 'worker', '--run', 'r-0000000'], says: 'RUN_UNKNOWN' },
    { what: 'a picture of a kind that is not made', args: ['chart', 'worker', '--format', 'gif'], says: /Allowed choices are svg, png/ },
    {
      what: 'a picture to a folder that is not there',
      args: ['chart', 'worker', '-o', 'none/worker.svg'],
      says: /--out none\/worker\.svg: .*\(CHART_UNWRITABLE\)/,
    },
    {
      what: 'a bus of an unknown kind',
      args: ['runs', '--bus', 'redis://127.0.0.1'],
      says: /expected embedded:<file>, memory or nats:.*\(BUS_ADDRESS_INVALID\)/,
    },
    {
      what: 'a server without a host',
      args: ['runs', '--bus', 'nats://'],
      says: /expected nats:\/\/<host>:<port>, found one without a host.*\(BUS_ADDRESS_INVALID\)/,
    },
    { what: 'a server at a port that is none', args: ['runs', '--bus', 'nats://127.0.0.1:notaport'], says: /with a port that is none \(BUS_ADDRESS_INVALID\)/ },
    {
      what: 'more money than there is',
      args: ['budget', 'raise', 'r-0000000', '1000000000000', '--why', 'all of it'],
      says: /an amount of 1000000000000 dollars is too large: expected less than 1000000000000 \(USAGE\)/,
    },
    { what: 'a session that is not there', args: ['session', 'show', 'nope'], says: /no session nope .*\(SESSION_UNKNOWN\)/ },
    { what: 'a bus in memory by its inner name', args: ['runs', '--bus', 'embedded::memory:'], says: /expected a file; a bus in memory is called memory/ },
    {
      what: 'a bus where no folder can be made',
      args: ['runs', '--bus', 'embedded:/proc/none/bus.db'],
      exitCode: 1,
      says: /cannot be opened: .*mkdir '\/proc\/none'; expected a file in a folder in which this user may write.*\(BUS_UNAVAILABLE\)/,
    },
    {
      what: 'a bus that is a folder',
      args: ['runs', '--bus', 'embedded:docs'],
      exitCode: 1,
      says: /embedded:docs cannot be opened: .*name another file with --bus \(BUS_UNAVAILABLE\)/,
    },
    {
      what: 'a log that is a folder',
      args: brief('--log', 'docs', QUESTION),
      says: /--log docs: expected a file that can be written to: .*\(LOG_UNWRITABLE\)/,
    },
    {
      what: 'a log where no folder can be made',
      args: brief('--log', '/proc/none/run.log', QUESTION),
      says: /--log \/proc\/none\/run\.log: expected a file .*\(LOG_UNWRITABLE\)/,
    },
    { what: 'a bus that is another file', args: ['runs', '--bus', 'embedded:docs/billing.md'], exitCode: 1, says: 'docs/billing.md' },
    {
      what: 'a server that is not there',
      args: ['runs', '--bus', 'nats://127.0.0.1:1'],
      exitCode: 1,
      says: /no NATS server answers at nats:\/\/127\.0\.0\.1:1.*\(BUS_UNREACHABLE\)/,
    },
    {
      what: 'a folder that is not there',
      args: ['run', BRIEF, '--input', 'docs=papers'],
      says: /expected a folder, found nothing at \S+papers.*\(INPUT_INVALID\)/,
    },
    { what: 'an input that nobody knows', args: ['run', BRIEF, '--input', 'dox=docs'], says: /no input "dox".*docs.*\(INPUT_UNKNOWN\)/ },
    {
      what: 'a folder without a name',
      args: ['run', BRIEF, '--input', 'docs=', QUESTION],
      says: /input docs: expected a folder, found no name of one.*\(INPUT_INVALID\)/,
    },
    { what: 'an input without a value', args: ['run', BRIEF, '--input', 'docs'], says: 'expected name=value' },
    { what: 'a budget that is no amount', args: brief('--budget', 'lots'), says: /--budget lots: expected dollars such as 0\.05.*\(BUDGET_INVALID\)/ },
    {
      what: 'a budget of nothing',
      args: brief('--budget', '0'),
      exitCode: 3,
      says: /^troupe: --budget 0: \$0\.0000 is too little for any call: .*\(BUDGET_TOO_SMALL\)$/m,
    },
    { what: 'money without a reason', args: ['budget', 'raise', 'r-0000000', '1', '--why', ''], says: /'--why <reason>' argument ''.*expected a reason/ },
    { what: 'a freeze for no reason but a space', args: ['budget', 'freeze', 'r-0000000', '--why', ' '], says: /argument ' '.*expected a reason/ },
    { what: 'an end without a reason', args: ['cancel', 'r-0000000', '--why', ''], says: /argument ''.*expected a reason/ },
    { what: 'a team file that is a folder', args: ['validate', 'docs'], says: /\S+docs: expected a file, found a folder \(TEAM_FILE_MISSING\)/ },
    { what: 'a task of white space', args: brief('  \n\t '), says: /the task of team brief: expected text, found only white space \(TASK_INVALID\)/ },
    {
      what: 'a URL that is none',
      args: brief(QUESTION),
      env: { OPENAI_API_KEY: KEY, OPENAI_BASE_URL: 'localhost' },
      says: /OPENAI_BASE_URL: expected a URL such as https:.*\(MODEL_SETTING_INVALID\)/,
    },
    {
      what: 'a URL of another protocol, and no key',
      args: brief(QUESTION),
      env: { OPENAI_BASE_URL: 'ftp://127.0.0.1/v1' },
      says: /OPENAI_BASE_URL: expected a URL with http or https .*found ftp: \(MODEL_SETTING_INVALID\)/,
    },
    {
      what: 'a word that OPENAI_COMPAT does not know',
      args: brief(QUESTION),
      env: { OPENAI_API_KEY: KEY, OPENAI_COMPAT: 'foo' },
      says: /OPENAI_COMPAT: unknown word "foo"; known: .*\(MODEL_SETTING_INVALID\)/,
    },
  ])('$what', async ({ args, env, exitCode = 2, says }, { troupe, expect }) => {
    const { exitCode: ended, stdout, stderr } = await troupe(args, env && { env });
    expect({ exitCode: ended, stdout }, stderr).toEqual({ exitCode, stdout: '' });
    expect(stderr).toMatch(says);
  });

  test('a team file that is a pipe is refused, and nobody waits for who writes into it', async ({ desk, troupe, expect }) => {
    execFileSync('mkfifo', [join(desk.folder.path, 'pipe.yaml')]);
    const { exitCode, stderr } = await troupe(['validate', 'pipe.yaml']);
    expect({ exitCode, stderr }).toEqual({ exitCode: 2, stderr: expect.stringMatching(/pipe\.yaml: expected a file, found a pipe or a device/) as string });
  });

  test('a bus whose file is damaged is said to be, and what helps', async ({ desk, troupe, expect }) => {
    await troupe(brief('--quiet', QUESTION));
    const file = join(desk.folder.path, '.troupe/bus.db');
    const bytes = readFileSync(file);
    writeFileSync(file, bytes.fill(0xab, 8_192));
    for (const args of [['runs'], ['budget', 'show', 'r-0000000'], brief(QUESTION)]) {
      const { exitCode, stderr } = await troupe(args);
      expect(exitCode).toBe(1);
      expect(stderr).toMatch(/embedded:\.troupe\/bus\.db cannot be \w+: .*; the file is damaged or is no bus: .*\(BUS_UNAVAILABLE\)/);
    }
  });

  test('a log that can be written no more is said once, and the run goes on', async ({ troupe, expect }) => {
    const { exitCode, stdout, stderr } = await troupe(brief('--quiet', '--log', '/dev/full', QUESTION));
    expect({ exitCode, stderr: stderr.split('\n') }).toEqual({ exitCode: 0, stderr: [expect.stringMatching(/^--log \/dev\/full: ENOSPC/), ''] });
    expect(stdout).not.toBe('');
  });

  test('with --json the failure is on stdout too, as JSON', async ({ troupe, expect }) => {
    const { exitCode, stdout } = await troupe(['run', 'unknown-agent.yaml', '--json']);
    expect(exitCode).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({
      status: 'failed',
      failure: { code: 'TEAM_FILE_INVALID', details: { problems: [{ code: 'AGENT_UNKNOWN', line: 19 }] } },
    });
  });
});

describe.concurrent('what programs read', () => {
  test.for<readonly string[]>([
    ['run', 'asking.yaml', '--buget', '1', '--json'],
    ['runs', '--json', '--all'],
    ['approve', '--json'],
    ['rum', '--json'],
    ['budget', 'raise', 'r-0000000', '1', '--json'],
    ['run', '--json'],
    ['runs', '--bus', 'memory', '--json'],
  ])('troupe %j is the failure USAGE', async (args, { troupe, expect }) => {
    const ended = await troupe(args);
    expect(ended.exitCode).toBe(2);
    expect(JSON.parse(ended.stdout)).toEqual({
      status: 'failed',
      failure: { code: 'USAGE', message: expect.stringMatching(/^\S.*\S$/) as string, details: {} },
    });
    expect(ended.stderr).not.toBe('');
  });

  test('after -- there are no options', async ({ troupe, expect }) => {
    expect(await troupe(['run', '--', '--json'])).toMatchObject({ exitCode: 2, stdout: '', stderr: expect.stringContaining('TEAM_FILE_MISSING') as string });
  });

  test.for<{ readonly args: readonly string[]; readonly shape: Record<string, unknown> }>([
    { args: ['runs'], shape: { runs: [] } },
    { args: ['chart'], shape: { charts: expect.arrayContaining(['worker']) as unknown } },
    { args: ['chart', 'worker'], shape: { chart: 'worker', mermaid: expect.stringContaining('stateDiagram') as unknown } },
    {
      args: ['doctor'],
      shape: {
        version: expect.any(String) as unknown,
        findings: expect.arrayContaining([{ what: 'model extractive', state: 'ok', said: 'can be called' }]) as unknown,
      },
    },
    { args: ['budget', 'open', 'org', '5'], shape: { account: 'org', limitNanos: '5000000000', window: 'total' } },
    {
      args: ['validate', 'asking.yaml'],
      shape: {
        file: 'asking.yaml',
        status: 'valid',
        team: 'desk',
        topology: 'workflow',
        agents: ['lead', 'searcher', 'checker'],
        limitNanos: '50000000',
        hash: expect.stringMatching(/^[0-9a-f]{64}$/) as unknown,
        problems: [],
      },
    },
  ])('troupe $args has a shape of its own', async ({ args, shape }, { troupe, expect }) => {
    const { exitCode, stdout, stderr } = await troupe([...args, '--json']);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(JSON.parse(stdout)).toEqual(shape);
  });

  test('a shared account is read as its amounts, its ledger and what holds', async ({ troupe, expect }) => {
    await troupe(['budget', 'open', 'org', '5']);
    const json = async (...args: string[]): Promise<unknown> => JSON.parse((await troupe(['budget', ...args, '--json'])).stdout);
    expect(await json('raise', 'org', '1', '--why', 'more to do')).toEqual({ account: 'org', raisedNanos: '1000000000' });
    expect(await json('freeze', 'org', '--why', 'too fast')).toEqual({ account: 'org', frozen: true, revoke: false });
    expect(await json('show', 'org')).toMatchObject({ account: 'org', accounts: [{ id: 'org', state: 'frozen', limits: [{ amount: '6000000000' }] }] });
    expect(await json('ledger', 'org')).toMatchObject({ account: 'org', lines: [{ kind: 'raise' }, { kind: 'freeze' }] });
    for (const args of [
      ['export', 'org', '--out', 'docs'],
      ['verify', 'org', '--file', 'none.jsonl'],
    ])
      expect(await troupe(['budget', ...args])).toMatchObject({ exitCode: 2, stderr: expect.stringContaining(`${args[2]} ${args[3]}: `) as string });
    expect(await json('verify', 'org')).toEqual({ account: 'org', holds: true, lines: 2, anchors: 0, cut: 0 });
  });

  test.for([
    { bus: [], resume: (run: string) => `troupe resume ${run}` },
    { bus: ['--bus', 'embedded:my runs.db'], resume: (run: string) => `troupe resume ${run} --bus 'embedded:my runs.db'` },
    { bus: ['--bus', 'memory'], resume: () => undefined },
  ])('a run that is stopped on $bus was left, and says how it goes on, if it can', async ({ bus, resume }, { desk, provider, expect }) => {
    provider.answer = () => ({ fault: 'hang' });
    const running = desk.start(brief('--json', ...bus, QUESTION), { env: { OPENAI_BASE_URL: provider.server.url, OPENAI_API_KEY: KEY } });
    await eventually('the model was asked', () => provider.server.requests.length > 0);
    running.kill('SIGINT');
    const { exitCode, stdout, stderr } = await running.ended;
    const run = runIdIn(stderr)!;
    const command = resume(run);
    expect(exitCode).toBe(130);
    expect(JSON.parse(stdout)).toEqual({ run, status: 'left', signal: 'SIGINT', ...(command !== undefined && { resume: command }) });
    if (command === undefined) expect(stderr).not.toContain('--resume');
    else expect(stderr).toContain(`nothing is lost. Go on with: ${command}\n`);
  });

  test('a run that another process took over was left too, with the reason', { timeout: 60_000 }, async ({ desk, provider, expect }) => {
    provider.answer = () => ({ fault: 'hang' });
    const running = desk.start(brief('--json', QUESTION), { env: { OPENAI_BASE_URL: provider.server.url, OPENAI_API_KEY: KEY } });
    await eventually('the model was asked', () => provider.server.requests.length > 0);
    const run = runIdIn(running.stderr)!;
    const bus = await desk.openBus();
    // As another process does that takes the run over: its host is fenced, and then the lease is anybody's.
    for (const key of await bus.keys('host.')) await bus.delete(key);
    await bus.put(`lease.${run}`, 'h-other');
    await bus.close();
    const { exitCode, stdout, stderr } = await running.ended;
    expect(exitCode).toBe(1);
    const resume = `troupe resume ${run}`;
    expect(JSON.parse(stdout)).toMatchObject({ run, status: 'left', resume, failure: { code: 'RUN_LOST' } });
    expect(stderr).toMatch(new RegExp(`\\(RUN_LOST\\)\ngo on with: ${resume}\n$`));
  });
});

test('a name with a line break in it breaks no line', async ({ desk, troupe, expect }) => {
  const name = 'the\nletter.md';
  writeFileSync(join(desk.folder.path, 'docs', name), 'When a payment bounces thrice, a red letter with a stamp is sent to the customer.\n');
  writeFileSync(join(desk.folder.path, 'no\nteam.yaml'), 'name: [');
  const { stderr } = await troupe(brief('Who is sent a red letter with a stamp?'));
  for (const line of stderr.trim().split('\n')) expect(line).toMatch(/^(r-|supervisor|searcher|checker|spent )/);
  expect((await troupe(['validate', 'no\nteam.yaml'])).stderr).toMatch(/^no team\.yaml:1:\d+ .*\n$/);
  expect((await troupe(['validate', 'not\nthere.yaml'])).stderr).toMatch(/^troupe: .*not there\.yaml.*\n$/);
});

describe.concurrent('what is wrong with the model', () => {
  test('nobody listens at the URL', async ({ provider: { server, ask }, expect }) => {
    await server.stop();
    const ended = await ask(brief('--json', QUESTION));
    expect(ended.exitCode).toBe(1);
    const { host } = new URL(server.url);
    expect(failureIn(ended)).toMatchObject({
      code: 'MODEL_UNREACHABLE',
      message: expect.stringContaining(`cannot reach ${host} (ECONNREFUSED); check OPENAI_BASE_URL`) as string,
    });
    expect(JSON.parse(ended.stdout)).toMatchObject({ spentNanos: '0', heldNanos: '0' });
  });

  test('what it says is not what was asked for: it is asked once more, then the run ends', async ({ provider, expect }) => {
    provider.answer = () => 'As a language model, I would rather talk about the weather.';
    const ended = await provider.ask(brief('--json', QUESTION));
    expect(ended.exitCode).toBe(1);
    expect(failureIn(ended).code).toBe('MODEL_BAD_REPLY');
    expect(provider.server.requests).toHaveLength(2);
    expect(provider.server.requests[1]!.body.messages.at(-1)!.content).toContain('# Correction');
  });

  test.for(['sk-wrong-0123456789abcdef', 'a key of another form'])(
    'it refuses the key %j, which is nowhere shown, though the provider repeats it',
    async (key, { desk, provider, expect }) => {
      const ended = await provider.ask(brief('--json', '--log', 'run.log', '--log-level', 'debug', QUESTION), key);
      expect(ended.exitCode).toBe(1);
      expect(failureIn(ended)).toMatchObject({ code: 'MODEL_UNAUTHORISED', message: expect.stringContaining('check OPENAI_API_KEY') as string });
      expect(provider.server.requests).toHaveLength(1);
      const log = readFileSync(join(desk.folder.path, 'run.log'), 'utf8');
      expect(log).toContain('MODEL_UNAUTHORISED');
      expect(ended.stdout + ended.stderr + log).not.toContain(key);
    },
  );

  test('it has too much to do: the call is made again, and the run is as any other', async ({ provider, expect }) => {
    const busy = { fault: 'status', status: 429, code: 'rate_limit_exceeded', headers: { 'retry-after-ms': '10' } } as const;
    provider.server.next(busy, busy);
    const ended = await provider.ask(brief('--json', QUESTION));
    expect(JSON.parse(ended.stdout)).toMatchObject({ status: 'completed', answer: ANSWER, heldNanos: '0' });
    const time = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`;
    expect(ended.stderr).toMatch(new RegExp(`^supervisor +planning, waiting until ${time} to try again: .* answered 429`, 'm'));
    expect(ended.stderr).toMatch(new RegExp(`^supervisor +closing until ${time} at most, for the account to be settled`, 'm'));
    expect(provider.server.requests.map(({ status }) => status)).toEqual([429, 429, ...Array.from({ length: 10 }, () => 200)]);
  });

  test.for(['docs/../secret.txt', '../secret.txt', '/etc/passwd', 'secret.txt'])(
    'it wants to read %s: the call is refused in words, and the run goes on',
    async (file, { desk, provider, expect }) => {
      let refusals = 0;
      provider.answer = (request) => {
        if (formatOf(request) !== 'report' || !request.tools?.length) return answerOf(request);
        const [system, task, called, refused, ...later] = request.messages;
        if (!called) return { calls: [{ name: 'read_file', arguments: { file } }] };
        if (/^The call failed: .*(is not in the open folders|there is no file)/.test(refused!.content!)) refusals++;
        return answerOf({ ...request, messages: [system!, task!, ...later] });
      };
      const ended = await provider.ask(brief('--json', QUESTION));
      expect(JSON.parse(ended.stdout)).toMatchObject({ status: 'completed', answer: ANSWER });
      expect(refusals).toBe(6);
      expect(JSON.stringify(provider.server.requests.map(({ body }) => body.messages))).not.toMatch(/4711|root:/);

      const records: { tool: string; ok: boolean; input: unknown; failure?: { code: string } }[] = [];
      const bus = await desk.openBus();
      try {
        for await (const { envelope } of bus.read(`${runIdIn(ended.stderr)}.>`)) {
          const { output } = envelope.data as { output?: (typeof records)[number] };
          if (output?.tool === 'read_file' && !output.ok) records.push(output);
        }
      } finally {
        await bus.close();
      }
      expect(records).toHaveLength(2);
      for (const record of records)
        expect(record).toMatchObject({ ok: false, input: { file }, failure: { code: expect.stringMatching(/^FILE_(OUTSIDE|NOT_FOUND)$/) as string } });
    },
  );

  describe('the reviewer rejects, and a person is asked', () => {
    const untilAsked = async (provider: Provider): Promise<{ run: string; approval: string }> => {
      provider.answer = (request) =>
        formatOf(request) === 'verdict' ? { json: { verdict: 'reject', reasons: ['it leaves out the letter'], confidence: 0.8 } } : answerOf(request);
      const ended = await provider.ask(['run', 'asking.yaml', '--json']);
      expect(ended.exitCode).toBe(4);
      const { run, status, questions } = JSON.parse(ended.stdout) as { run: string; status: string; questions: { approval: string; question: string }[] };
      expect({ status, questions: questions.length }).toEqual({ status: 'waiting', questions: 1 });
      const { approval } = questions[0]!;
      expect(ended.stderr).toContain('waiting for a person: Step look was not accepted');
      expect(ended.stderr).toContain(`troupe approve ${run} ${approval}`);
      expect(ended.stderr).toContain(`troupe resume ${run}`);
      return { run, approval };
    };

    test('the question can be read, a wrong one is told apart, and with approval the run ends well', async ({ provider, expect }) => {
      const { run, approval } = await untilAsked(provider);
      const calls = provider.server.requests.length;
      const listed = await provider.ask(['approve', run]);
      expect(listed.exitCode).toBe(0);
      expect(listed.stdout).toMatch(new RegExp(`^${approval}  Step look was not accepted`));
      expect(listed.stdout).toContain('it leaves out the letter');
      expect(listed.stdout).toMatch(/^ {2}until \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ, then "deny" counts$/m);
      const { questions } = JSON.parse((await provider.ask(['approve', run, '--json'])).stdout) as { questions: { approval: string; deadline: number }[] };
      expect(questions).toEqual([expect.objectContaining({ approval, deadline: expect.any(Number) as number, otherwise: 'deny' })]);
      const unknown = await provider.ask(['approve', run, 'step-other-1']);
      expect(unknown).toMatchObject({ exitCode: 2, stderr: expect.stringContaining(`open: ${approval} (APPROVAL_UNKNOWN)`) as string });
      // Nobody has answered yet, so it waits as before.
      expect((await provider.ask(['run', '--resume', run])).exitCode).toBe(4);

      const approved = await provider.ask(['approve', run, approval]);
      expect(approved).toMatchObject({ exitCode: 0, stderr: expect.stringContaining(`troupe resume ${run}`) as string });
      const resumed = await provider.ask(['run', '--resume', run]);
      expect(resumed.exitCode).toBe(0);
      expect(resumed.stdout).toMatch(/^When a payment fails, .*\[1\]\n\n\[1\] docs\/billing\.md:4 "/);
      expect(provider.server.requests).toHaveLength(calls);
      expect((await provider.ask(['approve', run])).stderr).toContain(`${run} asks nothing`);
    });

    test('with a denial it fails', async ({ provider, expect }) => {
      const { run, approval } = await untilAsked(provider);
      expect((await provider.ask(['approve', run, approval, '--deny', '--note', 'not good enough'])).exitCode).toBe(0);
      const resumed = await provider.ask(['run', '--resume', run, '--json']);
      expect(resumed.exitCode).toBe(1);
      expect(failureIn(resumed).code).toBe('STEP_REJECTED');
    });
  });
});
