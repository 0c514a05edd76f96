/**
 * What tools showed, as statements that an answer can be made of: a sentence, a list item, a row of a table, a few lines of
 * code. Each knows the lines that it stands on, so that it can be cited word for word.
 */
import type { Citation } from '../../../protocols/formats.ts';
import { blocksOf, isProse, type Block, type BlockKind } from '../../tool/blocks.ts';
import type { Excerpt } from '../../tool/excerpt.ts';
import { termsOf } from '../../tool/words.ts';
import { sentenceSpans } from './sentences.ts';

export type Unit = {
  readonly kind: BlockKind;
  /** For people: without markup. */
  readonly text: string;
  readonly sequence: readonly string[];
  readonly terms: ReadonlySet<string>;
  /** The lines that it stands on, as quotes. */
  readonly sources: readonly Citation[];
  readonly headings: readonly string[];
  /** The heading right above, where its line was shown. */
  readonly heading?: Citation;
  readonly file: string;
  readonly line: number;
  /** Units of the same block have the same number. */
  readonly block: number;
};

const QUOTE_MAX = 300;
const CODE_LINES_MAX = 5;
const ITEM_CHARS_MAX = 320;

export const unitsOf = (excerpts: readonly Excerpt[]): Unit[] => {
  const units: Unit[] = [];
  let number = 0;
  for (const { file, from, lines, headings } of joined(excerpts)) {
    let heading: Citation | undefined;
    for (const block of blocksOf(file, lines, from, headings)) {
      number++;
      if (block.kind === 'heading') heading = quoteOf(file, block.from, block.lines[0]!.replace(/^\s*#+\s*|\s*#+\s*$/g, ''));
      else units.push(...blockUnits(file, block).map((unit) => ({ ...unit, block: number, ...(heading && { heading }) })));
    }
  }
  return units.filter(isStatement);
};

/** Excerpts of a file that touch or overlap as one, in the order of their first mention by file. */
const joined = (excerpts: readonly Excerpt[]): Excerpt[] => {
  const result: Excerpt[] = [];
  for (const file of new Set(excerpts.map((excerpt) => excerpt.file))) {
    const ofFile = excerpts.filter((excerpt) => excerpt.file === file).sort((a, b) => a.from - b.from || b.headings.length - a.headings.length);
    let current: (Excerpt & { lines: string[] }) | undefined;
    for (const excerpt of ofFile) {
      const end = current ? current.from + current.lines.length : 0;
      if (current && excerpt.from <= end) current.lines.push(...excerpt.lines.slice(end - excerpt.from));
      else result.push((current = { ...excerpt, lines: [...excerpt.lines] }));
    }
  }
  return result;
};

type Draft = Omit<Unit, 'block' | 'heading'>;

const blockUnits = (file: string, block: Block): Draft[] => {
  if (block.kind === 'code') return isProse(file) ? codeUnits(file, block) : sourceUnits(file, block);
  if (block.kind === 'row') return [rowUnit(file, block)];
  return proseUnits(file, block);
};

const draft = (file: string, { kind, headings }: Block, sources: readonly Citation[], text: string): Draft => {
  const shown = kind === 'code' ? text : withoutMarkup(text);
  const sequence = termsOf(shown);
  return { kind, text: shown, sequence, terms: new Set(sequence), sources, headings, file, line: sources[0]!.line };
};

const piece = (file: string, line: number, quote: string): Citation => ({
  file,
  line,
  quote: quote.length <= QUOTE_MAX ? quote : quote.slice(0, QUOTE_MAX).replace(/\s+\S*$/, ''),
});

const quoteOf = (file: string, line: number, text: string): Citation | undefined => (text.trim() === '' ? undefined : piece(file, line, text.trim()));

/** A paragraph's sentences. A list item stays whole unless it is long. */
const proseUnits = (file: string, block: Block, marker = /^\s*(?:(?:[-*+]|\d{1,3}[.)])\s+(?:\[[ xX]\]\s+)?|>\s?)?/): Draft[] => {
  // The lines as one text, and where in it each begins.
  const lines = block.lines.map((line, index) => {
    const lead = index === 0 || line.trimStart().startsWith('>') ? marker.exec(line)![0].length : /^\s*/.exec(line)![0].length;
    return line.slice(lead).trimEnd();
  });
  const starts: number[] = [];
  let text = '';
  for (const line of lines) {
    if (text !== '') text += ' ';
    starts.push(text.length);
    text += line;
  }
  const spans = block.kind === 'item' && text.length <= ITEM_CHARS_MAX ? [{ start: 0, end: text.length }] : sentenceSpans(text);
  return spans.flatMap(({ start, end }) => {
    const sources = lines.flatMap((line, index) => {
      const quote = line.slice(Math.max(0, start - starts[index]!), Math.max(0, end - starts[index]!)).trim();
      return quote === '' ? [] : [piece(file, block.from + index, quote)];
    });
    return sources.length === 0 ? [] : [draft(file, block, sources, text.slice(start, end))];
  });
};

/** A row with the names of its columns, so that it can be read without the table. */
const rowUnit = (file: string, block: Block): Draft => {
  const row = block.lines[0]!;
  const source = piece(file, block.from, row.trim());
  const cells = cellsOf(row);
  const names = block.head ? cellsOf(block.head.text) : [];
  if (!block.head || names.length !== cells.length || names.every((name) => name === ''))
    return draft(file, block, [source], cells.filter(Boolean).join(' | '));
  const named = cells.map((cell, index) => (names[index] === '' || cell === '' ? cell : `${names[index]}: ${cell}`)).filter(Boolean);
  return draft(file, block, [source, piece(file, block.head.line, block.head.text.trim())], named.join('; '));
};

const cellsOf = (row: string): string[] =>
  row
    .trim()
    .replace(/^\||\|$/g, '')
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim());

const codeUnits = (file: string, block: Block): Draft[] => {
  const units: Draft[] = [];
  let group: { line: number; text: string }[] = [];
  const close = (): void => {
    group = trimmed(group);
    if (group.length > 0)
      units.push(
        draft(
          file,
          block,
          group.map(({ line, text }) => piece(file, line, text.trim())),
          dedented(group.map(({ text }) => text)),
        ),
      );
    group = [];
  };
  block.lines.forEach((text, index) => {
    if (text.trim() === '' || group.length === CODE_LINES_MAX) close();
    if (text.trim() !== '') group.push({ line: block.from + index, text });
  });
  close();
  return units;
};

/** Without lines at either end that only close or open something. */
const trimmed = <T extends { readonly text: string }>(lines: readonly T[]): T[] => {
  const says = ({ text }: T): boolean => /[\p{L}\p{N}]/u.test(text);
  return lines.slice(Math.max(0, lines.findIndex(says)), lines.findLastIndex(says) + 1);
};

const dedented = (lines: readonly string[]): string => {
  const indent = Math.min(...lines.map((line) => /^\s*/.exec(line)![0].length));
  return lines.map((line) => line.slice(indent).trimEnd()).join('\n');
};

const COMMENT = /^\s*(?:\/\/+|\/?\*+|#+|--|;+|%|<!--|"""|''')\s?/;

/** Comments in source files are prose; what is between them is code. */
const sourceUnits = (file: string, block: Block): Draft[] => {
  const units: Draft[] = [];
  for (let at = 0; at < block.lines.length;) {
    const isComment = COMMENT.test(block.lines[at]!);
    let end = at + 1;
    while (end < block.lines.length && COMMENT.test(block.lines[end]!) === isComment) end++;
    const part: Block = { ...block, from: block.from + at, lines: block.lines.slice(at, end) };
    if (isComment) units.push(...commentUnits(file, part));
    else units.push(...codeUnits(file, part));
    at = end;
  }
  return units;
};

/** The paragraphs of a comment; a tag such as `@param` begins a new one. */
const commentUnits = (file: string, block: Block): Draft[] => {
  const lines = block.lines.map((line) => line.replace(COMMENT, '').replace(/\s*(?:\*\/|-->|^\/)\s*$/, ''));
  const starts = lines.map((line, index) => index === 0 || /^\s*@\w/.test(line) || (line.trim() !== '' && lines[index - 1]!.trim() === ''));
  return lines.flatMap((_, index) => {
    if (!starts[index]) return [];
    const next = starts.indexOf(true, index + 1);
    const paragraph = lines.slice(index, next < 0 ? undefined : next);
    return proseUnits(file, { ...block, kind: 'paragraph', from: block.from + index, lines: paragraph }, /^\s*(?:@\w+\s*)?/).filter(({ text }) =>
      /\p{L}{2}/u.test(text),
    );
  });
};

/** Markdown and HTML taken off; code marks stay. */
export const withoutMarkup = (text: string): string =>
  text
    .replace(/!\[[^\]]*\](?:\([^)]*\)|\[[^\]]*\])/g, '')
    .replace(/\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])/g, '$1')
    .split(/(`[^`]*`)/)
    .map((part, index) => (index % 2 === 1 ? part : plain(part)))
    .join('')
    .replace(/\s+/g, ' ')
    .trim();

const plain = (text: string): string =>
  text
    .replace(/<\/?[a-z][^<>]*>/gi, '')
    .replace(/(\*\*|__)(?=\S)(.*?)(?<=\S)\1/g, '$2')
    .replace(/\\([\\`*_{}[\]()#+.!|<>-])/g, '$1');

/** Something is said: no badge, no bare link, no rule, no line of a table of contents. */
const isStatement = ({ text, kind, sources }: Unit): boolean => {
  if (!/[\p{L}\p{N}]{2}/u.test(text)) return false;
  if (kind === 'code') return true;
  const raw = sources.map(({ quote }) => quote).join(' ');
  return !/^\[[^\]]*\]\(#[^)]*\)$/.test(raw) && !/^\[[^\]]+\]:\s/.test(raw) && !/^(?:https?:\S+|<[^>]*>)$/.test(raw);
};
