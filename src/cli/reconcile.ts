/** `troupe budget reconcile`: the ledger against a provider's own report. */
import type { LedgerLine } from '../protocols/ledger.ts';
import { formatDollars } from '../protocols/money.ts';
import { booksOf } from '../topology/remote.ts';
import { EXIT, print, printJson } from './exit.ts';
import { readUsageReport, type ReportLine } from './usage-report.ts';
import { withBus } from './with-bus.ts';

/** Calls that belong together: one, by the provider's id, or all of a model in the span of a report's line. */
export type Match = {
  readonly what: string;
  readonly by: 'id' | 'model and time';
  readonly lines: readonly number[];
  readonly ledgerNanos: bigint;
  readonly reportNanos: bigint | undefined;
  readonly ledgerTokens: bigint;
  readonly reportTokens: bigint | undefined;
};

export type Reconciled = {
  readonly matches: readonly Match[];
  /** Lines of the ledger, by their number, that are nowhere in the report. */
  readonly onlyInLedger: readonly { readonly line: number; readonly model: string | undefined; readonly nanos: bigint }[];
  readonly onlyInReport: readonly ReportLine[];
};

/** Of every call the last word, as it was booked. Tools and what was given back are on nobody's bill. */
const billedIn = (lines: readonly LedgerLine[]): readonly LedgerLine[] => {
  const last = new Map<string, LedgerLine>();
  for (const line of lines) if (['settle', 'charge', 'release'].includes(line.kind)) last.set(line.grant ?? `line ${line.seq}`, line);
  return [...last.values()].filter(({ kind, model, amounts }) => kind !== 'release' && !model?.startsWith('tool:') && isBilled(amounts));
};

const isBilled = ({ money, tokens }: LedgerLine['amounts']): boolean => money !== undefined || tokens !== undefined;

const amount = (line: LedgerLine, measure: 'money' | 'tokens'): bigint => BigInt(line.amounts[measure] ?? 0);

/** Without the provider's name before it, and without what follows a name in a costs report: `gpt-5-mini, input`. */
const plainModel = (model: string): string =>
  model
    .slice(model.indexOf('/') + 1)
    .split(',')[0]!
    .trim()
    .toLowerCase();

const sum = <T>(all: readonly T[], of: (one: T) => bigint | undefined): bigint | undefined =>
  all.reduce<bigint | undefined>((total, one) => {
    const value = of(one);
    return value === undefined ? total : (total ?? 0n) + value;
  }, undefined);

export const reconcileLines = (lines: readonly LedgerLine[], report: readonly ReportLine[]): Reconciled => {
  const open = new Set(billedIn(lines));
  const matches: Match[] = [];
  const onlyInReport: ReportLine[] = [];
  const take = (what: string, by: Match['by'], ours: readonly LedgerLine[], theirs: readonly ReportLine[]): void => {
    for (const line of ours) open.delete(line);
    matches.push({
      what,
      by,
      lines: ours.map(({ seq }) => seq),
      ledgerNanos: sum(ours, (line) => amount(line, 'money')) ?? 0n,
      reportNanos: sum(theirs, ({ nanos }) => nanos),
      ledgerTokens: sum(ours, (line) => amount(line, 'tokens')) ?? 0n,
      reportTokens: sum(theirs, ({ tokens }) => tokens),
    });
  };
  const byResponse = Map.groupBy(open, ({ response }) => response);
  const theirs = Map.groupBy(report, ({ id }) => (id !== undefined && byResponse.has(id) ? id : undefined));
  for (const [id, same] of theirs) if (id !== undefined) take(id, 'id', byResponse.get(id)!, same);
  // A line of a costs report is of one kind of token only: those of one model and span belong together.
  for (const [what, same] of Map.groupBy(theirs.get(undefined) ?? [], spanOf)) {
    const inSpan = [...open].filter((line) => isIn(line, same[0]!));
    const ours = same[0]!.from !== undefined && same[0]!.from === same[0]!.until ? nearest(inSpan, same) : inSpan;
    if (ours.length > 0) take(what, 'model and time', ours, same);
    else onlyInReport.push(...same.filter(({ nanos, tokens }) => (nanos ?? 0n) !== 0n || (tokens ?? 0n) !== 0n));
  }
  return { matches, onlyInReport, onlyInLedger: [...open].map((line) => ({ line: line.seq, model: line.model, nanos: amount(line, 'money') })) };
};

/** What is reported at a moment is one call: of those around it the one that cost as much, or else the nearest. */
const nearest = (around: readonly LedgerLine[], reported: readonly ReportLine[]): readonly LedgerLine[] => {
  const nanos = sum(reported, (line) => line.nanos);
  const distance = ({ at }: LedgerLine): number => Math.abs(at - reported[0]!.from!);
  const sorted = around.toSorted((a, b) => distance(a) - distance(b));
  return (sorted.some((line) => amount(line, 'money') === nanos) ? sorted.filter((line) => amount(line, 'money') === nanos) : sorted).slice(0, 1);
};

const iso = (time: number | undefined): string => (time === undefined ? '' : new Date(time).toISOString());

const spanOf = ({ model, from, until }: ReportLine): string =>
  [model === undefined ? 'all models' : plainModel(model), ...(from === until ? [iso(from)] : [iso(from), 'to', iso(until)])].filter(Boolean).join(' ');

/** A call is booked when it has ended, and reported when it began or ended: a moment stands for the minute around it. */
const MOMENT_MS = 60_000;

const isIn = ({ model = '', at }: LedgerLine, { model: theirs, from, until }: ReportLine): boolean => {
  const ours = plainModel(model);
  // A report names the version that answered: gpt-5-mini-2025-08-07.
  const isModel =
    theirs === undefined || ours === plainModel(theirs) || plainModel(theirs).startsWith(`${ours}-2`) || ours.startsWith(`${plainModel(theirs)}-2`);
  if (!isModel || from === undefined) return isModel;
  return from === until ? Math.abs(at - from) <= MOMENT_MS : at >= from && at < until!;
};

const driftOf = ({ reportNanos, ledgerNanos, reportTokens, ledgerTokens }: Match) => ({
  nanos: reportNanos === undefined ? undefined : ledgerNanos - reportNanos,
  tokens: reportTokens === undefined ? undefined : ledgerTokens - reportTokens,
});

const isDrifting = (match: Match): boolean => Object.values(driftOf(match)).some((drift) => drift !== undefined && drift !== 0n);

const signed = (nanos: bigint): string => `${nanos > 0n ? '+' : ''}${formatDollars(nanos)}`;

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

/** The last line: how high the ledger is against the report where both have a call, and what only one of them has. */
export const summaryOf = ({ matches, onlyInLedger, onlyInReport }: Reconciled): string => {
  const drift = sum(matches, (match) => driftOf(match).nanos);
  const height =
    drift === undefined ? 'the report says no amounts of money' : `the ledger is ${drift === 0n ? 'as high as' : `${signed(drift)} against`} the report`;
  const ledgerNanos = sum(onlyInLedger, ({ nanos }) => nanos) ?? 0n;
  const reportNanos = sum(onlyInReport, ({ nanos }) => nanos);
  return [
    matches.length === 0 ? 'no call is in both' : `${matches.length - matches.filter(isDrifting).length} of ${matches.length} matches agree; ${height}`,
    ...(onlyInLedger.length > 0 ? [`${counted(onlyInLedger.length, 'line')} with ${formatDollars(ledgerNanos)} only in the ledger`] : []),
    ...(onlyInReport.length > 0
      ? [`${counted(onlyInReport.length, 'line')}${reportNanos === undefined ? '' : ` with ${formatDollars(reportNanos)}`} only in the report`]
      : []),
  ].join('; ');
};

type Options = { readonly bus: string; readonly report: string; readonly json: boolean };

/** Exit code 1: the ledger and the report differ. */
export const reconcile = (run: string, { bus, report: file, json }: Options): Promise<number> =>
  withBus(bus, async (open) => {
    const { lines, before } = await booksOf(open, run);
    const report = await readUsageReport(file);
    const { matches, onlyInLedger, onlyInReport } = reconcileLines(lines, report);
    const drifting = matches.filter(isDrifting);
    const drift = sum(matches, (match) => driftOf(match).nanos) ?? 0n;
    const agrees = drifting.length + onlyInLedger.length + onlyInReport.length === 0;
    if (json) {
      const told = matches.map((match) => ({ ...match, drift: driftOf(match) }));
      printJson({ account: run, agrees, driftNanos: drift, matches: told, onlyInLedger, onlyInReport, cutBehind: before.seq });
      return agrees ? EXIT.done : EXIT.failed;
    }
    for (const match of drifting) {
      const { nanos, tokens } = driftOf(match);
      const said = [nanos === undefined ? '' : signed(nanos), tokens === undefined ? '' : `${tokens > 0n ? '+' : ''}${tokens} tokens`]
        .filter(Boolean)
        .join(', ');
      print(
        `differs         ${match.what}  ${said}  (${match.lines.length === 1 ? `line ${match.lines[0]}` : `${match.lines.length} lines`}, matched by ${match.by})`,
      );
    }
    for (const { line, model = 'unknown', nanos } of onlyInLedger) print(`only in ledger  line ${line}  ${model}  ${formatDollars(nanos)}`);
    for (const { where, model = '', nanos } of onlyInReport) print(`only in report  ${where}  ${model}  ${nanos === undefined ? '' : formatDollars(nanos)}`);
    if (before.seq > 0) print(`the ledger was cut behind line ${before.seq}: calls before that are only in the report`);
    print(summaryOf({ matches, onlyInLedger, onlyInReport }));
    return agrees ? EXIT.done : EXIT.failed;
  });
