/** The tool `check_quotes`: whether quotes stand word for word where they are said to stand. White space is all that may differ. */
import { setImmediate as turn } from 'node:timers/promises';
import { z } from 'zod';
import { Citation } from '../../protocols/formats.ts';
import { numbered } from './excerpt.ts';
import { findFile, isRefusal, readLines } from './folder-files.ts';
import type { Tool, ToolContext } from './port.ts';

const Input = z.object({ citations: z.array(Citation).min(1).max(200) });

export type CheckedQuote = Citation & {
  /** `moved`: it stands in the file, at `foundAt` and not at `line`. */
  readonly result: 'ok' | 'moved' | 'missing';
  readonly foundAt?: number;
  readonly why?: string;
  /** The lines around the place, as evidence. */
  readonly around: { readonly from: number; readonly lines: readonly string[] };
};

const AROUND = 1;

export const checkQuotes: Tool<typeof Input, readonly CheckedQuote[]> = {
  name: 'check_quotes',
  description: 'Compares quotes with the files they come from: for each ok, moved (it stands at another line) or missing, with the lines around the place.',
  input: Input,
  timeoutMs: 30_000,
  readOnly: true,
  needsFolder: true,
  async run({ citations }, context) {
    const sources = new Map<string, Source | string>();
    const checked: CheckedQuote[] = [];
    for (const citation of citations) {
      if (!sources.has(citation.file)) sources.set(citation.file, await sourceOf(citation.file, context));
      checked.push(check(citation, sources.get(citation.file)!));
      // A quote that stands nowhere costs a walk through the whole file, and there may be many.
      await turn();
      context.signal.throwIfAborted();
    }
    return checked;
  },
  render(checked) {
    return checked
      .map((one, index) => `[${index + 1}] ${say(one)}${one.around.lines.length > 0 ? `\n${numbered(one.around.lines, one.around.from)}` : ''}`)
      .join('\n\n');
  },
};

const say = ({ result, file, line, quote, foundAt, why }: CheckedQuote): string => {
  switch (result) {
    case 'ok':
      return `ok ${file}:${line}`;
    case 'moved':
      return `moved ${file}:${line}: the quote stands at line ${foundAt}`;
    case 'missing':
      return `missing ${file}:${line}: ${why ?? 'the file does not hold'} ${JSON.stringify(quote)}`;
  }
};

/** A file as one line of text with single spaces, the same from its end to its beginning, and where in the text each line begins. */
type Source = { readonly lines: readonly string[]; readonly text: string; readonly backwards: string; readonly starts: readonly number[] };

const reversed = (text: string): string => text.split('').toReversed().join('');

const squeeze = (text: string): string => text.replace(/\s+/g, ' ').trim();

const sourceOf = async (file: string, { folders, signal }: ToolContext): Promise<Source | string> => {
  try {
    const lines = await readLines(await findFile(file, folders), signal);
    const starts: number[] = [];
    let text = '';
    for (const line of lines.map(squeeze)) {
      if (text !== '' && line !== '') text += ' ';
      starts.push(text.length);
      text += line;
    }
    return { lines, text, backwards: reversed(text), starts };
  } catch (thrown) {
    if (isRefusal(thrown)) return `${thrown.message}; it was to hold`;
    throw thrown;
  }
};

const check = (citation: Citation, source: Source | string): CheckedQuote => {
  if (typeof source === 'string') return { ...citation, result: 'missing', why: source, around: { from: 1, lines: [] } };
  const foundAt = lineOf(squeeze(citation.quote), source, citation.line);
  if (foundAt === citation.line) return { ...citation, result: 'ok', around: around(source, foundAt) };
  if (foundAt === undefined) return { ...citation, result: 'missing', around: around(source, citation.line) };
  return { ...citation, result: 'moved', foundAt, around: around(source, foundAt) };
};

/** The line in which the quote begins: of several the one nearest to `cited`, of two at the same distance the earlier. */
const lineOf = (quote: string, { text, backwards, starts }: Source, cited: number): number | undefined => {
  if (quote === '') return undefined;
  const start = starts[cited - 1] ?? text.length;
  const next = lineAt(starts, text.indexOf(quote, start));
  if (next === cited) return cited;
  // `lastIndexOf` compares letter by letter at every place; `indexOf` leaps, so it is given the text from its end.
  const behind = start === 0 ? -1 : backwards.indexOf(reversed(quote), text.length - start - quote.length + 1);
  const previous = behind < 0 ? undefined : lineAt(starts, text.length - behind - quote.length);
  if (next === undefined || previous === undefined) return next ?? previous;
  return next - cited < cited - previous ? next : previous;
};

/** The number of the line that a place in the text belongs to: the last that begins there or before. */
const lineAt = (starts: readonly number[], at: number): number | undefined => {
  if (at < 0) return undefined;
  let [low, high] = [0, starts.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (starts[middle]! <= at) low = middle + 1;
    else high = middle;
  }
  return low;
};

const around = ({ lines }: Source, line: number): CheckedQuote['around'] => {
  const from = Math.max(1, line - AROUND);
  return { from, lines: lines.slice(from - 1, line + AROUND) };
};
