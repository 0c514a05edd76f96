/** The ledger against reports as providers give them. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { reconcileLines, summaryOf } from '../../../src/cli/reconcile.ts';
import { readUsageReport } from '../../../src/cli/usage-report.ts';
import type { LedgerLine } from '../../../src/protocols/ledger.ts';

const DAY = Date.UTC(2026, 0, 31);
const NOON = DAY + 12 * 3_600_000;

let seq = 0;
const line = (change: Partial<LedgerLine>): LedgerLine => ({
  seq: ++seq,
  at: NOON,
  kind: 'settle',
  account: 'r-1',
  grant: `g-${seq}`,
  model: 'gpt-5-mini',
  amounts: { money: '420000', tokens: '600' },
  spentNanos: '0',
  heldNanos: '0',
  previous: '',
  hash: '',
  ...change,
});

let folder: string;
beforeEach(async () => {
  seq = 0;
  folder = await mkdtemp(join(tmpdir(), 'report-'));
});
afterEach(() => rm(folder, { recursive: true }));

const read = async (name: string, text: string) => {
  const file = join(folder, name);
  await writeFile(file, text);
  return readUsageReport(file);
};

describe('a plain list', () => {
  const HEAD = 'id,time,model,input_tokens,output_tokens,amount\n';

  it('is matched by the id of the answer, whatever the times', async () => {
    const report = await read('usage.csv', `${HEAD}resp-1,2020-01-01T00:00:00Z,gpt-5-mini-2025-08-07,400,200,0.00042\n`);
    expect(reconcileLines([line({ response: 'resp-1' })], report)).toEqual({
      matches: [{ what: 'resp-1', by: 'id', lines: [1], ledgerNanos: 420_000n, reportNanos: 420_000n, ledgerTokens: 600n, reportTokens: 600n }],
      onlyInLedger: [],
      onlyInReport: [],
    });
  });

  it('has lines that differ, that are missing, and that nobody booked', async () => {
    const report = await read('usage.csv', `${HEAD}resp-1,${NOON / 1_000},gpt-5-mini,400,200,$0.0005\nresp-9,${DAY / 1_000},gpt-5-mini,1,1,0.1\n`);
    const { matches, onlyInLedger, onlyInReport } = reconcileLines([line({ response: 'resp-1' }), line({ response: 'resp-2', model: 'gpt-5' })], report);
    expect(matches).toMatchObject([{ ledgerNanos: 420_000n, reportNanos: 500_000n }]);
    expect(onlyInLedger).toEqual([{ line: 2, model: 'gpt-5', nanos: 420_000n }]);
    expect(onlyInReport).toMatchObject([{ id: 'resp-9', where: expect.stringMatching(/usage\.csv:3$/), nanos: 100_000_000n }]);
  });

  it('without ids is matched by model, and by the minute around the time', async () => {
    const report = await read('usage.csv', 'time,model,amount\n2026-01-31 12:00:30,openai/gpt-5-mini,0.00042\n2026-01-31T15:00:00Z,gpt-5-mini,0.001\n');
    const { matches, onlyInReport } = reconcileLines([line({ model: 'openai/gpt-5-mini' })], report);
    expect(matches).toMatchObject([{ by: 'model and time', lines: [1], ledgerNanos: 420_000n, reportNanos: 420_000n, reportTokens: undefined }]);
    expect(onlyInReport).toMatchObject([{ nanos: 1_000_000n }]);
  });

  it('without ids is matched call by call, also where many fall into one minute', async () => {
    const report = await read(
      'usage.csv',
      'time,model,amount\n2026-01-31T12:00:01Z,gpt-5-mini,0.0003\n2026-01-31T12:00:02Z,gpt-5-mini,0.0001\n2026-01-31T12:00:04Z,gpt-5-mini,0.0009\n',
    );
    const cost = (money: string, seconds: number) => line({ at: NOON + seconds * 1_000, amounts: { money } });
    const { matches, onlyInLedger, onlyInReport } = reconcileLines([cost('100000', 1), cost('300000', 2), cost('800000', 3), cost('50000', 50)], report);
    expect(matches.map(({ lines, reportNanos }) => [lines, reportNanos])).toEqual([
      [[2], 300_000n],
      [[1], 100_000n],
      [[3], 900_000n],
    ]);
    expect(onlyInLedger).toMatchObject([{ line: 4 }]);
    expect(onlyInReport).toEqual([]);
  });

  it('is a mistake with its line where a field cannot be read', async () => {
    for (const [row, said] of [
      ['r,yesterday,m,1,1,1', 'usage.csv:2: expected a time'],
      ['r,2026-01-31,m,1.5,1,1', 'input tokens: expected a whole number'],
      ['r,2026-01-31,m,1,1,free', 'expected an amount in dollars'],
    ] as const) {
      await expect(read('usage.csv', `${HEAD}${row}\n`)).rejects.toThrow(said);
    }
    await expect(read('usage.json', '{"data": 1}')).rejects.toMatchObject({ code: 'USAGE_REPORT_INVALID' });
    await expect(readUsageReport(join(folder, 'none.csv'))).rejects.toMatchObject({ code: 'USAGE_REPORT_MISSING' });
  });
});

describe("OpenAI's reports", () => {
  const calls = () => [line({}), line({ at: DAY }), line({ at: DAY - 1 }), line({ model: 'gpt-5' })];

  it('of usage, as JSON pages: all calls of a model in a bucket', async () => {
    const results = [
      { object: 'organization.usage.completions.result', input_tokens: 800, output_tokens: 400, num_model_requests: 2, model: 'gpt-5-mini-2025-08-07' },
    ];
    const data = [{ object: 'bucket', start_time: DAY / 1_000, end_time: DAY / 1_000 + 86_400, results }];
    const report = await read('usage.json', JSON.stringify({ object: 'page', data, has_more: false, next_page: null }));
    const { matches, onlyInLedger } = reconcileLines(calls(), report);
    expect(matches).toMatchObject([{ lines: [1, 2], ledgerTokens: 1_200n, reportTokens: 1_200n, reportNanos: undefined }]);
    expect(onlyInLedger.map((one) => one.line)).toEqual([3, 4]);
  });

  it('of costs, as JSON pages: the kinds of tokens of one model belong together, and an amount has any number of digits', async () => {
    const result = (item: string, value: number) => ({
      object: 'organization.costs.result',
      amount: { value, currency: 'usd' },
      line_item: item,
      project_id: null,
    });
    const data = [
      { start_time: DAY / 1_000, end_time: DAY / 1_000 + 86_400, results: [result('gpt-5-mini, input', 0.00024), result('gpt-5-mini, output', 6e-4)] },
    ];
    const { matches } = reconcileLines(calls(), await read('costs.json', JSON.stringify([{ data }])));
    expect(matches).toMatchObject([{ lines: [1, 2], ledgerNanos: 840_000n, reportNanos: 840_000n, reportTokens: undefined }]);
  });

  it('of costs, as the dashboard exports them: a day without costs is nothing', async () => {
    const row = (from: number, amount: string) => `${from / 1_000},${from / 1_000 + 86_400},${new Date(from).toISOString()},,${amount},usd,,,org-1,Personal`;
    const head = 'start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,project_id,organization_id,organization_name';
    const report = await read('costs.csv', `\uFEFF${[head, row(DAY, '0.0012600000000000'), row(DAY + 86_400_000, '')].join('\n')}\n`);
    const { matches, onlyInReport } = reconcileLines(calls(), report);
    expect(matches).toMatchObject([{ lines: [1, 2, 4], ledgerNanos: 1_260_000n, reportNanos: 1_260_000n }]);
    expect(onlyInReport).toEqual([]);
  });
});

describe('of the ledger', () => {
  it('the last word on a grant counts, and neither tools nor what was given back are on a bill', () => {
    const lines = [
      line({ kind: 'hold', grant: 'a' }),
      line({ kind: 'charge', grant: 'a', amounts: { money: '900000', tokens: '900' } }),
      line({ grant: 'a' }),
      line({ grant: 'b', model: 'tool:search', amounts: {} }),
      line({ kind: 'release', grant: 'c' }),
      line({ kind: 'raise', grant: 'd' }),
    ];
    expect(reconcileLines(lines, []).onlyInLedger).toEqual([{ line: 3, model: 'gpt-5-mini', nanos: 420_000n }]);
  });
});

describe('the last line', () => {
  const summary = async (csv: string, ...lines: readonly LedgerLine[]) => summaryOf(reconcileLines(lines, await read('usage.csv', csv)));
  const reported = (...rows: readonly string[]) => ['id,model,input_tokens,output_tokens,amount', ...rows, ''].join('\n');

  it('says of an empty report that no call is in both, and what the ledger has', async () => {
    expect(await summary(reported(), line({}), line({}))).toBe('no call is in both; 2 lines with $0.00084 only in the ledger');
    expect(await summary(reported())).toBe('no call is in both');
  });

  it('says how high the ledger is where both have a call, and what only one of them has', async () => {
    const lines = [line({ response: 'a' }), line({ response: 'b' }), line({ response: 'c', model: 'gpt-5' })];
    expect(await summary(reported('a,gpt-5-mini,400,200,0.00042', 'b,gpt-5-mini,400,200,0.00042'), ...lines.slice(0, 2))).toBe(
      '2 of 2 matches agree; the ledger is as high as the report',
    );
    expect(await summary(reported('a,gpt-5-mini,400,200,0.0004', 'z,o3,1,1,0.1'), lines[0]!, lines[2]!)).toBe(
      '0 of 1 matches agree; the ledger is +$0.00002 against the report; 1 line with $0.00042 only in the ledger; 1 line with $0.1000 only in the report',
    );
  });

  it('says of a report without amounts that there are none', async () => {
    expect(await summary(reported('a,gpt-5-mini,400,200,', 'z,o3,1,1,'), line({ response: 'a' }))).toBe(
      '1 of 1 matches agree; the report says no amounts of money; 1 line only in the report',
    );
  });
});
