/**
 * `troupe budget reconcile` on a run that was really made and booked, against reports that are made from the provider's own count,
 * in the forms in which OpenAI gives them: the exports of usage and of costs, the pages of the two endpoints, and a list of calls.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LedgerLine } from '../../src/protocols/ledger.ts';
import { BRIEF, testBuses, type Desk, type TestBus } from '../support/cli.ts';
import { documents } from '../support/documents.ts';
import { startModelServer, type LoggedRequest } from '../support/model-server.ts';
import { answerOf, PRICE, QUESTION } from '../support/research-desk.ts';

const DAY_S = 86_400;
/** The model by the name under which the server answers, which is the name on its bill. */
const VERSION = 'gpt-4.1-mini-served';

let bus: TestBus;
let desk: Desk;
let run: string;
let requests: readonly LoggedRequest[];
let billed: readonly LedgerLine[];
/** The span of the report, two days, so that a run may go on past midnight. */
let from: number;

beforeAll(async () => {
  from = Math.floor(Date.now() / 1_000 / DAY_S) * DAY_S;
  bus = await testBuses.embedded();
  desk = bus.desk(documents);
  const server = await startModelServer({ price: PRICE, answer: answerOf });
  const env = { OPENAI_BASE_URL: server.url, OPENAI_API_KEY: 'a-key' };
  const ended = await desk.run(['run', BRIEF, '--input', 'docs=docs', QUESTION, '--json', '--quiet'], { env });
  expect(ended.exitCode, ended.stderr).toBe(0);
  run = (JSON.parse(ended.stdout) as { run: string }).run;
  requests = server.requests;
  await server.stop();
  const { stdout } = await desk.run(['budget', 'ledger', run, '--json']);
  billed = (JSON.parse(stdout) as { lines: LedgerLine[] }).lines.filter(({ kind, model }) => kind === 'settle' && !model!.startsWith('tool:'));
  expect(billed).toHaveLength(requests.length);
});
afterAll(() => bus.dispose());

const total = (of: (billed: LoggedRequest['billed']) => number): number => requests.reduce((sum, one) => sum + of(one.billed), 0);
const inputTokens = (): number => total((one) => one.inputTokens);
const cachedTokens = (): number => total((one) => one.cachedTokens);
const outputTokens = (): number => total((one) => one.outputTokens);

/** What was spent on each kind of token, in dollars. */
const costs = (): readonly (readonly [item: string, dollars: number])[] => {
  const dollars = (tokens: number, nanosPerMtok: bigint): number => (tokens * Number(nanosPerMtok)) / 1e15;
  return [
    [`${VERSION}, input`, dollars(inputTokens() - cachedTokens(), PRICE.input)],
    [`${VERSION}, cached input`, dollars(cachedTokens(), PRICE.cachedInput)],
    [`${VERSION}, output`, dollars(outputTokens(), PRICE.output)],
  ];
};

const isoOf = (seconds: number): string => new Date(seconds * 1_000).toISOString().replace('.000Z', '+00:00');
const spanOf = (at: number, days: number): string => [at, at + days * DAY_S, isoOf(at), isoOf(at + days * DAY_S)].join(',');

/** As the dashboard exports usage: a day without any has a row of its own. */
const usageCsv = (more = 0): string =>
  [
    'start_time,end_time,start_time_iso,end_time_iso,project_id,num_model_requests,user_id,api_key_id,model,batch,service_tier,input_tokens,output_tokens,input_cached_tokens',
    `${spanOf(from - DAY_S, 1)},,,,,,,,,,`,
    `${spanOf(from, 2)},proj_1,${requests.length},,,${VERSION},False,default,${inputTokens() + more},${outputTokens()},${cachedTokens()}`,
    '',
  ].join('\n');

const costsCsv = (): string =>
  [
    'start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,project_id,organization_id,organization_name',
    ...costs().map(([item, dollars]) => `${spanOf(from, 2)},${dollars.toFixed(18)},usd,"${item}",proj_1,org-1,Personal`),
    `${spanOf(from + 2 * DAY_S, 1)},,,,,,`,
    '',
  ].join('\n');

const page = (results: readonly object[]): string =>
  JSON.stringify({
    object: 'page',
    data: [
      { object: 'bucket', start_time: from - DAY_S, end_time: from, results: [] },
      { object: 'bucket', start_time: from, end_time: from + 2 * DAY_S, results },
    ],
    has_more: false,
    next_page: null,
  });

const usagePage = (): string =>
  page([
    {
      object: 'organization.usage.completions.result',
      input_tokens: inputTokens(),
      output_tokens: outputTokens(),
      input_cached_tokens: cachedTokens(),
      num_model_requests: requests.length,
      project_id: null,
      user_id: null,
      api_key_id: null,
      model: VERSION,
      batch: null,
    },
  ]);

const costsPage = (more = 0): string =>
  page(
    costs().map(([item, value]) => ({
      object: 'organization.costs.result',
      amount: { value: item.endsWith(', output') ? value + more : value, currency: 'usd' },
      line_item: item,
      project_id: null,
    })),
  );

type Call = { readonly id: string; readonly time: string; readonly nanos: bigint; readonly tokens: string };
const callsOf = (): Call[] =>
  billed.map(({ response, at, amounts }) => ({
    id: response!,
    time: new Date(at).toISOString(),
    nanos: BigInt(amounts['money']!),
    tokens: amounts['tokens']!,
  }));
const listOf = (calls: readonly Call[]): string =>
  [
    'id,time,model,input_tokens,output_tokens,amount',
    ...calls.map(({ id, time, nanos, tokens }) => `${id},${time},${VERSION},${tokens},0,${Number(nanos) / 1e9}`),
  ].join('\n');

const reconcile = async (name: string, report: string, ...more: readonly string[]) => {
  writeFileSync(join(desk.folder.path, name), report);
  return desk.run(['budget', 'reconcile', run, '--report', name, ...more]);
};
type Told = {
  readonly agrees: boolean;
  readonly driftNanos: string;
  readonly matches: readonly { readonly what: string; readonly by: string; readonly lines: readonly number[]; readonly drift: Record<string, string> }[];
  readonly onlyInLedger: readonly { readonly line: number }[];
  readonly onlyInReport: readonly { readonly where: string }[];
};
const told = async (name: string, report: string): Promise<{ exitCode: number | null; told: Told }> => {
  const { exitCode, stdout } = await reconcile(name, report, '--json');
  return { exitCode, told: JSON.parse(stdout) as Told };
};

describe('the ledger of a run', () => {
  test.for([
    ['the usage export', 'usage.csv', () => usageCsv(), 'the report says no amounts of money'],
    ['the costs export', 'costs.csv', () => costsCsv(), 'the ledger is as high as the report'],
    ['the pages of the usage endpoint', 'usage.json', () => usagePage(), 'the report says no amounts of money'],
    ['the pages of the costs endpoint', 'costs.json', () => costsPage(), 'the ledger is as high as the report'],
    ['several pages of it, as a list', 'pages.json', () => `[${page([])},${costsPage()}]`, 'the ledger is as high as the report'],
    ['a list of calls', 'calls.csv', () => listOf(callsOf()), 'the ledger is as high as the report'],
  ] as const)('agrees with %s', async ([, name, report, height]) => {
    const { exitCode, stdout, stderr } = await reconcile(name, report());
    expect({ exitCode, stderr }, stdout).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toMatch(new RegExp(String.raw`^(\d+) of \1 matches agree; ${height}$`, 'm'));
  });

  test('differs where tokens were billed and not booked: by how many, of which model and day', async () => {
    const { exitCode, stdout } = await reconcile('more.csv', usageCsv(7));
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(new RegExp(`^differs +${VERSION} \\S+ to \\S+  -7 tokens  \\(${requests.length} lines, matched by model and time\\)$`, 'm'));
    expect(stdout).toContain('0 of 1 matches agree');
  });

  test('differs where money was billed and not booked: by how much', async () => {
    const { exitCode, told: said } = await told('more.json', costsPage(0.000_002));
    expect(exitCode).toBe(1);
    expect(said).toMatchObject({ agrees: false, driftNanos: '-2000', matches: [{ by: 'model and time', drift: { nanos: '-2000' } }] });
  });

  test('differs from a list of calls by the one that differs, the one that is missing and the one that nobody made', async () => {
    const [first, second, ...others] = callsOf();
    const stranger = { ...first!, id: 'resp-of-nobody', time: isoOf(from - 9 * DAY_S) };
    const report = listOf([{ ...first!, nanos: first!.nanos + 5n }, ...others, stranger]);
    const { exitCode, told: said } = await told('calls.csv', report);
    expect(exitCode).toBe(1);
    expect(said.matches.filter(({ drift }) => drift['nanos'] !== '0')).toMatchObject([
      { what: first!.id, by: 'id', lines: [billed[0]!.seq], drift: { nanos: '-5' } },
    ]);
    expect(said.onlyInLedger.map(({ line }) => line)).toEqual([billed[1]!.seq]);
    expect(second!.id).toBe(billed[1]!.response);
    expect(said.onlyInReport.map(({ where }) => where)).toEqual([`calls.csv:${requests.length + 1}`]);
    const { stdout } = await reconcile('calls.csv', report);
    expect(stdout).toContain(`only in ledger  line ${billed[1]!.seq}  `);
    expect(stdout).toContain(`only in report  calls.csv:${requests.length + 1}  `);
  });

  test('is alone with its calls where the report has days on which nothing was used', async () => {
    const [head] = usageCsv().split('\n');
    const { exitCode, told: said } = await told('empty.csv', `${head}\n${spanOf(from, 2)},,,,,,,,,,\n`);
    expect(exitCode).toBe(1);
    expect(said).toMatchObject({ agrees: false, matches: [], onlyInReport: [] });
    expect(said.onlyInLedger).toHaveLength(billed.length);
  });

  test.for([
    ['no report', 'broken.json', '{"object":"page"}', /broken\.json: expected a list of lines, or pages of buckets.*\(USAGE_REPORT_INVALID\)/],
    [
      'an amount that is none',
      'broken.csv',
      'time,model,amount\n2026-01-31T12:00:00Z,m,lots\n',
      /broken\.csv:2.*expected an amount in dollars, found "lots".*\(USAGE_REPORT_INVALID\)/,
    ],
  ] as const)('is not compared with %s: wrong usage, with the place', async ([, name, report, said]) => {
    const { exitCode, stderr } = await reconcile(name, report);
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(said);
  });
});
