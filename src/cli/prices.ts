/** `troupe prices`: what models cost, where that stands, and what a call of a model comes to. */
import { readFile } from 'node:fs/promises';
import { TroupeError } from '../protocols/failure.ts';
import { formatDollars, noUsage, type Rates } from '../protocols/money.ts';
import { parseTeam } from '../topology/parse.ts';
import { ratesOf } from '../topology/resolve.ts';
import { standardPrices } from '../topology/standard.ts';
import { EXIT, print, printJson } from './exit.ts';

type Prices = ReturnType<typeof standardPrices>;

export type PricesOptions = { readonly team?: string; readonly json: boolean };

/** Of all models, or of one. Errors: PRICE_UNKNOWN, TEAM_FILE_MISSING, TEAM_FILE_INVALID. */
export const prices = async (model: string | undefined, { team, json }: PricesOptions): Promise<number> => {
  const known = await pricesWith(team);
  const { version, effective, source, hash } = known;
  if (json) {
    const found =
      model === undefined
        ? { models: known.known.map((name) => known.get(name)) }
        : { model, ...known.get(model), exampleNanos: example(known, model).toString() };
    printJson({ version, effective, source, hash, ...found });
  } else if (model === undefined) {
    list(known, team);
  } else {
    explain(known, model, team);
  }
  return EXIT.done;
};

/** The file need not be ready to run: a model without a price may be why someone looks here. */
const pricesWith = async (team: string | undefined): Promise<Prices> => {
  if (team === undefined) return standardPrices();
  const text = await readFile(team, 'utf8').catch((cause: Error) => {
    throw new TroupeError('TEAM_FILE_MISSING', `cannot read the team file ${team}: ${cause.message}`, { cause });
  });
  const { file } = parseTeam(text, team);
  return standardPrices().with(Object.fromEntries(Object.entries(file.prices).map(([name, price]) => [name, ratesOf(price)])));
};

const EXAMPLE = { ...noUsage, inputTokens: 1_000, outputTokens: 500 };

const example = (known: Prices, model: string): bigint => known.cost(model, EXAMPLE);

const list = (known: Prices, team: string | undefined): void => {
  const rows = known.known.map((name) => {
    const { rates, long, from } = known.get(name);
    const notes = [
      long ? `dearer from ${count(long.fromInputTokens)} tokens of input on` : '',
      rates.perCallNanos === undefined ? '' : `${dollars(rates.perCallNanos)} a call`,
      from === 'team' ? team! : '',
    ];
    return [
      name,
      dollars(rates.inputNanosPerMtok),
      dollars(rates.cachedInputNanosPerMtok ?? rates.inputNanosPerMtok),
      dollars(rates.outputNanosPerMtok),
      notes.filter(Boolean).join(', '),
    ];
  });
  for (const line of aligned([['dollars per million tokens', 'input', 'cached', 'output', ''], ...rows])) print(line);
  print(`${rows.length} prices, ${listOf(known)}`);
  print(`hash ${known.hash}`);
};

const explain = (known: Prices, model: string, team: string | undefined): void => {
  const { rates, long, name, from } = known.get(model);
  print(model);
  for (const line of aligned(linesOf(rates))) print(`  ${line}`);
  if (long) {
    print(`  from ${count(long.fromInputTokens)} tokens of input on, for the whole call`);
    for (const line of aligned(linesOf(long.rates))) print(`    ${line}`);
  }
  print(`  a call of ${count(EXAMPLE.inputTokens)} tokens in and ${EXAMPLE.outputTokens} out costs ${formatDollars(example(known, model))}`);
  print(`  stands under ${name} in ${from === 'team' ? team! : listOf(known)}`);
  print(`  hash ${known.hash}`);
};

/** Where there is no other price for cached input, it costs what other input costs. */
const linesOf = ({ inputNanosPerMtok: input, cachedInputNanosPerMtok: cached, outputNanosPerMtok: output, perCallNanos: perCall }: Rates): string[][] => [
  ['input', dollars(input), 'per million tokens'],
  ...(cached === undefined ? [] : [['cached input', dollars(cached), 'per million tokens']]),
  ['output', dollars(output), 'per million tokens, thoughts included'],
  ...(perCall === undefined ? [] : [['each call', dollars(perCall), 'whatever its size']]),
];

const listOf = ({ version, effective, source }: Prices): string => `the list of ${version}, in effect on ${effective} (${source})`;

const dollars = (nanos: string): string => formatDollars(BigInt(nanos));

const count = (tokens: number): string => tokens.toLocaleString('en');

/** The first column and the last begin where those above do, amounts end there. */
const aligned = (rows: readonly (readonly string[])[]): string[] => {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const isAmount = (column: number): boolean => column > 0 && column < widths.length - 1;
  return rows.map((row) =>
    row
      .map((cell, column) => (isAmount(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join('  ')
      .trimEnd(),
  );
};
