/**
 * A provider's report of what was used, from a file: lines of one call each, or of all calls of a model in a span of time.
 *
 *   CSV    one line each, with a heading: a plain list (`id`, `time`, `model`, `input_tokens`, `output_tokens`, `amount`), or what
 *          OpenAI's dashboard exports for usage (`start_time`, `end_time`, `model`, ...) and for costs (`amount_value`, `line_item`)
 *   JSON   a list of such lines, or pages of buckets as OpenAI's usage and costs endpoints give them
 */
import { readFile } from 'node:fs/promises';
import { parse } from 'csv-parse/sync';
import { z } from 'zod';
import { TroupeError } from '../protocols/failure.ts';

export type ReportLine = {
  /** Where it stands, for people: `usage.csv:3`. */
  readonly where: string;
  /** The provider's own id of its answer, if the line is of one call. */
  readonly id: string | undefined;
  /** Milliseconds since 1970; both are the same if the line is of one call. */
  readonly from: number | undefined;
  readonly until: number | undefined;
  readonly model: string | undefined;
  /** In and out. */
  readonly tokens: bigint | undefined;
  readonly nanos: bigint | undefined;
};

/** What a field is called, the first that is there. */
const NAMES = {
  id: ['id', 'request_id', 'response_id'],
  from: ['start_time', 'time', 'timestamp', 'created', 'created_at', 'date'],
  until: ['end_time'],
  model: ['model', 'line_item'],
  input: ['input_tokens', 'prompt_tokens'],
  output: ['output_tokens', 'completion_tokens'],
  amount: ['amount', 'amount_value', 'cost', 'cost_usd', 'amount_usd'],
} as const;

type Row = Readonly<Record<string, unknown>>;

const Bucket = z.looseObject({ results: z.array(z.looseObject({})) });
const Page = z.looseObject({ data: z.array(Bucket) });

/** Errors: USAGE_REPORT_INVALID (it names the line), USAGE_REPORT_MISSING. */
export const readUsageReport = async (file: string): Promise<readonly ReportLine[]> => {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new TroupeError('USAGE_REPORT_MISSING', `${file} cannot be read: ${(cause as Error).message}`, { cause });
  });
  const lines = file.toLowerCase().endsWith('.json') ? jsonRows(file, text).map((row, index) => lineOf(`${file}[${index}]`, row)) : csvLines(file, text);
  // An export has a row for a span in which nothing was used, with nothing in it but the span.
  return lines.filter(({ id, model, tokens, nanos }) => (id ?? model ?? tokens ?? nanos) !== undefined);
};

const invalid = (where: string, expected: string): TroupeError => new TroupeError('USAGE_REPORT_INVALID', `${where}: expected ${expected}`);

const csvLines = (file: string, text: string): readonly ReportLine[] => {
  let rows: { readonly record: Row; readonly info: { readonly lines: number } }[];
  try {
    rows = parse(text, { columns: true, bom: true, trim: true, skip_empty_lines: true, info: true }) as unknown as typeof rows;
  } catch (cause) {
    throw new TroupeError('USAGE_REPORT_INVALID', `${file}: ${(cause as Error).message}`, { cause });
  }
  return rows.map(({ record, info }) => lineOf(`${file}:${info.lines}`, record));
};

/** A bucket's times are those of its results. */
const jsonRows = (file: string, text: string): readonly Row[] => {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new TroupeError('USAGE_REPORT_INVALID', `${file}: ${(cause as Error).message}`, { cause });
  }
  const pages = z.union([Page.transform((page) => [page]), z.array(Page)]).safeParse(value);
  if (pages.success) return pages.data.flatMap(({ data }) => data.flatMap(({ results, ...times }) => results.map((result): Row => ({ ...times, ...result }))));
  const rows = z.array(z.record(z.string(), z.unknown())).safeParse(value);
  if (!rows.success) throw invalid(file, 'a list of lines, or pages of buckets as the usage and costs endpoints give them');
  return rows.data;
};

const lineOf = (where: string, row: Row): ReportLine => {
  const text = (field: keyof typeof NAMES): string | undefined => {
    for (const name of NAMES[field]) {
      const value = row[name];
      const plain = typeof value === 'object' && value !== null && 'value' in value ? value.value : value;
      if ((typeof plain === 'string' && plain.trim() !== '') || typeof plain === 'number') return String(plain);
    }
    return undefined;
  };
  const whole = (field: 'input' | 'output'): bigint | undefined => {
    const value = text(field);
    if (value === undefined) return undefined;
    if (!/^\d{1,18}$/.test(value)) throw invalid(`${where} ${field} tokens`, `a whole number, found "${value}"`);
    return BigInt(value);
  };
  const [input, output] = [whole('input'), whole('output')];
  const from = timeOf(where, text('from'));
  return {
    where,
    id: text('id'),
    from,
    until: timeOf(where, text('until')) ?? from,
    model: text('model'),
    tokens: input === undefined && output === undefined ? undefined : (input ?? 0n) + (output ?? 0n),
    nanos: nanosOf(where, text('amount')),
  };
};

/** Seconds since 1970, or a date as text; one without a zone is UTC. */
const timeOf = (where: string, text: string | undefined): number | undefined => {
  if (text === undefined) return undefined;
  if (/^\d{9,10}(\.\d+)?$/.test(text)) return Number(text) * 1_000;
  const zoned = /[zZ]$|[+-]\d{2}:?\d{2}$/.test(text) || !text.includes(':') ? text : `${text.replace(' ', 'T')}Z`;
  const time = Date.parse(zoned);
  if (Number.isNaN(time)) throw invalid(where, `a time such as 2026-01-31T12:00:00Z or seconds since 1970, found "${text}"`);
  return time;
};

/** Dollars, with as many digits as there are, to nano-dollars; what is finer is rounded. */
const nanosOf = (where: string, text: string | undefined): bigint | undefined => {
  if (text === undefined) return undefined;
  const match = /^(\d{1,15})(?:\.(\d+))?(?:e([+-]?\d{1,2}))?$/i.exec(text.replace('$', ''));
  if (!match) throw invalid(where, `an amount in dollars, found "${text}"`);
  const [, whole, fraction = '', exponent = '0'] = match;
  const shift = 9 + Number(exponent) - fraction.length;
  const digits = BigInt(`${whole}${fraction}`);
  if (shift >= 0) return digits * 10n ** BigInt(shift);
  const unit = 10n ** BigInt(-shift);
  return (digits + unit / 2n) / unit;
};
