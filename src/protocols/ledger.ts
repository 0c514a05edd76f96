/**
 * The ledger: a line for everything that changed a book, each with the hash of the one before it. The lines follow from the
 * account's log; grants, vetoes and the account's end carry the hash that stood then into other logs. So nobody can change,
 * drop or repeat an entry unseen without changing all of them.
 */
import { hash as digest } from 'node:crypto';
import { z } from 'zod';
import { Measure, type Amounts } from './account.ts';
import { mismatches } from './mismatch.ts';

export type LineKind = 'open' | 'hold' | 'veto' | 'settle' | 'release' | 'charge' | 'ask' | 'raise' | 'freeze' | 'thaw' | 'close' | 'checkpoint';

export type NewLine = {
  readonly kind: LineKind;
  readonly account: string;
  readonly amounts: Amounts;
  readonly grant?: string;
  readonly holder?: string;
  readonly model?: string;
  readonly note?: string;
  /** The provider's own id of its answer. */
  readonly response?: string;
};

export type LedgerLine = Omit<NewLine, 'amounts'> & {
  readonly seq: number;
  /** The log's time, milliseconds since 1970. */
  readonly at: number;
  readonly amounts: Readonly<Record<string, string>>;
  /** Of the root, afterwards. */
  readonly spentNanos: string;
  readonly heldNanos: string;
  readonly previous: string;
  readonly hash: string;
};

export type Chain = { readonly seq: number; readonly hash: string };

const MEASURES = Measure.options.toSorted();

const inText = (amounts: Amounts): Record<string, string> => {
  const text: Record<string, string> = {};
  for (const measure of MEASURES) if (amounts[measure] !== 0n) text[measure] = amounts[measure].toString();
  return text;
};

export const append = ({ seq, hash }: Chain, line: NewLine & { readonly at: number; readonly spentNanos: string; readonly heldNanos: string }): LedgerLine => {
  const unsealed = { seq: seq + 1, ...line, amounts: inText(line.amounts), previous: hash };
  return { ...unsealed, hash: hashOf(unsealed) };
};

/** Of everything in the line but its own hash; fields and measures in order, so that a copy of a line has the same one. */
export const hashOf = (line: Omit<LedgerLine, 'hash'>): string => {
  const fields: [name: string, value: unknown][] = [];
  for (const field of HASHED) {
    const value = line[field];
    if (value !== undefined) fields.push([field, typeof value === 'object' ? inOrder(value) : value]);
  }
  return digest('sha256', JSON.stringify(fields));
};

/** Of plain data; fields in order, so that a copy has the same one. */
export const digestOf = (data: unknown): string =>
  digest(
    'sha256',
    JSON.stringify(data, (_, value: unknown) =>
      typeof value === 'object' && value !== null && !Array.isArray(value)
        ? Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
        : value,
    ),
  );

const HASHED = ['account', 'amounts', 'at', 'grant', 'heldNanos', 'holder', 'kind', 'model', 'note', 'previous', 'response', 'seq', 'spentNanos'] as const;

const inOrder = (amounts: LedgerLine['amounts']): [measure: string, amount: string][] => {
  const ordered: [string, string][] = [];
  for (const measure of MEASURES) if (amounts[measure] !== undefined) ordered.push([measure, amounts[measure]]);
  return ordered;
};

/** Before the first line. */
export const BEGINNING: Chain = { seq: 0, hash: '' };

/** The first line that does not follow from the one before it, and why. `after`: the line behind which the ledger was cut. */
export const firstBreak = (lines: readonly LedgerLine[], after = BEGINNING): { readonly index: number; readonly why: string } | undefined => {
  let before = after;
  for (const [index, line] of lines.entries()) {
    if (line.seq !== before.seq + 1)
      return { index, why: `expected line ${before.seq + 1}, found ${line.seq}: ${line.seq <= before.seq ? 'one is there twice' : 'one is missing'}` };
    if (line.previous !== before.hash) return { index, why: `line ${line.seq} does not follow from line ${before.seq}: one of them was changed` };
    const { hash, ...unsealed } = line;
    if (hashOf(unsealed) !== hash) return { index, why: `line ${line.seq} was changed` };
    before = line;
  }
  return undefined;
};

/** A line of an exported ledger. Error text, or the line. */
export const parseLine = (text: string): LedgerLine | string => {
  try {
    const line: unknown = JSON.parse(text);
    const parsed = Line.safeParse(line);
    return parsed.success ? (parsed.data as LedgerLine) : mismatches(parsed.error, line, 'line');
  } catch (thrown) {
    return (thrown as Error).message;
  }
};

/** Strict: what is no field of a line is in no hash. */
const Line = z.strictObject({
  seq: z.number().int().positive(),
  at: z.number(),
  kind: z.string(),
  account: z.string(),
  amounts: z.partialRecord(Measure, z.string()),
  grant: z.string().optional(),
  holder: z.string().optional(),
  model: z.string().optional(),
  note: z.string().optional(),
  response: z.string().optional(),
  spentNanos: z.string(),
  heldNanos: z.string(),
  previous: z.string(),
  hash: z.string(),
});

export type Share = { readonly calls: number; readonly nanos: bigint; readonly tokens: bigint };

/** What was spent, by whatever `of` makes of a line: agent, step, model. The dearest first. Of a grant the last word counts. */
export const breakdown = (lines: readonly LedgerLine[], of: (line: LedgerLine) => string): readonly (readonly [name: string, share: Share])[] => {
  const last = new Map<string, LedgerLine>();
  for (const line of lines) if (ENDS.has(line.kind)) last.set(line.grant ?? `line ${line.seq}`, line);
  const shares = new Map<string, Share>();
  for (const line of last.values()) {
    if (line.kind === 'release') continue;
    const name = of(line);
    const { calls, nanos, tokens } = shares.get(name) ?? { calls: 0, nanos: 0n, tokens: 0n };
    shares.set(name, { calls: calls + 1, nanos: nanos + BigInt(line.amounts['money'] ?? 0), tokens: tokens + BigInt(line.amounts['tokens'] ?? 0) });
  }
  return [...shares].sort(([, a], [, b]) => (b.nanos > a.nanos ? 1 : b.nanos < a.nanos ? -1 : 0));
};

const ENDS: ReadonlySet<LineKind> = new Set(['settle', 'charge', 'release']);
