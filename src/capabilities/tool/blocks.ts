/**
 * A text file as blocks: what a reader sees as one thing, with the headings it stands under. Markdown and plain prose are read
 * alike; in any other file a block is what stands between blank lines.
 */
export type BlockKind = 'heading' | 'paragraph' | 'item' | 'row' | 'code';

export type Block = {
  readonly kind: BlockKind;
  /** Number of the first line, from 1. */
  readonly from: number;
  readonly lines: readonly string[];
  /** Outermost first. */
  readonly headings: readonly string[];
  /** Of a table's row: the table's head. */
  readonly head?: { readonly line: number; readonly text: string };
};

const PROSE = /(?:^|\/)[^./]+$|\.(?:md|mdx|markdown|txt|text|rst|adoc|org)$/i;

export const isProse = (file: string): boolean => PROSE.test(file);

const FENCE = /^\s*(`{3,}|~{3,})/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$/;
const UNDERLINE = /^(={3,}|-{3,}|~{3,}|\^{3,})\s*$/;
const ITEM = /^\s*(?:[-*+]|\d{1,3}[.)])\s+\S/;
const ROW = /^\s*\|.*\|\s*$/;
const RULE_ROW = /^\s*\|[\s:|-]+\|\s*$/;

/** `outer`: headings above the first line, where only a part of the file is at hand. */
export const blocksOf = (file: string, lines: readonly string[], from = 1, outer: readonly string[] = []): Block[] =>
  isProse(file) ? proseBlocks(lines, from, outer) : plainBlocks(lines, from, outer);

/**
 * Whether a part of a file begins in the middle of fenced code: read as prose from its first line, it would have fences open
 * where code is already open, or end in code where its first lines look like code.
 */
const beginsInFence = (lines: readonly string[]): boolean => {
  const fences = lines.filter((line) => FENCE.test(line)).map((line) => !/^\s*[`~]+\s*$/.test(line));
  if (fences.length === 0) return false;
  const misfits = (offset: number): number => fences.filter((opens, index) => opens && (index + offset) % 2 === 1).length;
  if (misfits(0) !== misfits(1)) return misfits(1) < misfits(0);
  const before = lines
    .slice(
      0,
      lines.findIndex((line) => FENCE.test(line)),
    )
    .filter((line) => line.trim() !== '');
  return fences.length % 2 === 1 && before.filter((line) => LOOKS_LIKE_CODE.test(line)).length * 2 > before.length;
};

const LOOKS_LIKE_CODE = /[;{}(),[\]]\s*$|^\s*(?:[$>]\s|\/\/|import |const |let |\w+\(|\}|\w+:\s)|=>/;

const plainBlocks = (lines: readonly string[], from: number, headings: readonly string[]): Block[] => {
  const blocks: (Block & { lines: string[] })[] = [];
  let open = false;
  lines.forEach((line, index) => {
    if (line.trim() === '') open = false;
    else if (open) blocks.at(-1)!.lines.push(line);
    else open = blocks.push({ kind: 'code', from: from + index, lines: [line], headings }) > 0;
  });
  return blocks;
};

const proseBlocks = (lines: readonly string[], from: number, outer: readonly string[]): Block[] => {
  const blocks: (Block & { lines: string[] })[] = [];
  let headings: { level: number; text: string }[] = outer.map((text, index) => ({ level: index + 1, text }));
  let open: 'paragraph' | 'item' | undefined;
  let fence = beginsInFence(lines) ? '```' : undefined;
  let head: { line: number; text: string } | undefined;
  if (fence !== undefined) blocks.push({ kind: 'code', from, lines: [], headings: outer });
  const under = (): string[] => headings.map(({ text }) => text);
  const add = (kind: BlockKind, index: number, line: string): void => {
    blocks.push({ kind, from: from + index, lines: [line], headings: under(), ...(kind === 'row' && head && { head }) });
  };
  const addHeading = (level: number, text: string, index: number, line: string): void => {
    headings = headings.filter((heading) => heading.level < level);
    add('heading', index, line);
    headings.push({ level, text });
  };
  lines.forEach((line, index) => {
    const fenced = FENCE.exec(line)?.[1];
    if (fence !== undefined) {
      if (fenced !== undefined && fenced.startsWith(fence) && line.trim() === fenced) fence = undefined;
      else blocks.at(-1)!.lines.push(line);
      return;
    }
    if (fenced !== undefined) {
      [fence, open] = [fenced, undefined];
      // An empty block that the code's lines join: the fence itself is never shown.
      blocks.push({ kind: 'code', from: from + index + 1, lines: [], headings: under() });
      return;
    }
    const heading = HEADING.exec(line);
    const above = blocks.at(-1);
    if (!ROW.test(line)) head = undefined;
    if (line.trim() === '') open = undefined;
    else if (heading) {
      addHeading(heading[1]!.length, heading[2]!, index, line);
      open = undefined;
    } else if (UNDERLINE.test(line) && open === 'paragraph' && above?.lines.length === 1) {
      blocks.pop();
      addHeading(line.startsWith('=') ? 1 : 2, above.lines[0]!.trim(), index - 1, above.lines[0]!);
      open = undefined;
    } else if (ROW.test(line)) {
      if (head === undefined && RULE_ROW.test(lines[index + 1] ?? '')) head = { line: from + index, text: line };
      else if (!RULE_ROW.test(line)) add('row', index, line);
      open = undefined;
    } else if (ITEM.test(line)) {
      add('item', index, line);
      open = 'item';
    } else if (open !== undefined) above!.lines.push(line);
    else if (/^(?: {4}|\t)/.test(line)) {
      if (above?.kind === 'code' && above.from + above.lines.length === from + index) above.lines.push(line);
      else if (above?.kind === 'item') add('item', index, line);
      else add('code', index, line);
    } else {
      add('paragraph', index, line);
      open = 'paragraph';
    }
  });
  return blocks.filter((block) => block.lines.length > 0);
};
