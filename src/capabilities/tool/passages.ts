/** A file as passages, the pieces that a search finds: neighbouring blocks under one heading, a screenful at most. */
import { blocksOf, type Block } from './blocks.ts';

export type Passage = { readonly from: number; readonly lines: readonly string[]; readonly headings: readonly string[] };

const LINES_MAX = 14;
const CHARS_MAX = 1_200;

export const passagesOf = (file: string, lines: readonly string[]): Passage[] => {
  const passages: Passage[] = [];
  let group: { from: number; to: number; headings: readonly string[] } | undefined;
  const close = (): void => {
    if (group) passages.push({ from: group.from, lines: lines.slice(group.from - 1, group.to), headings: group.headings });
    group = undefined;
  };
  for (const piece of blocksOf(file, lines).flatMap(pieces)) {
    const from = piece.kind === 'code' && isFence(lines[piece.from - 2]) ? piece.from - 1 : firstLineOf(piece);
    const end = piece.from + piece.lines.length - 1;
    const to = piece.kind === 'code' && isFence(lines[end]) ? end + 1 : end;
    if (piece.kind === 'heading' || (group && !fits(lines, group.from, to))) close();
    if (group) group.to = to;
    else group = { from, to, headings: piece.headings };
    if (piece.kind === 'heading') group.headings = [...piece.headings, titleOf(piece)];
  }
  close();
  return passages;
};

/** The first row of a table brings its head along; a later one would bring all rows between. */
const firstLineOf = ({ head, from }: Block): number => (head !== undefined && from - head.line <= 2 ? head.line : from);

const isFence = (line: string | undefined): boolean => line !== undefined && /^\s*(?:`{3}|~{3})/.test(line);

const titleOf = (block: Block): string => block.lines[0]!.replace(/^\s*#+\s*|\s*#+\s*$/g, '').trim();

const fits = (lines: readonly string[], from: number, to: number): boolean =>
  to - from < LINES_MAX && lines.slice(from - 1, to).reduce((sum, line) => sum + line.length + 1, 0) <= CHARS_MAX;

/** A block that is too long for one passage, in parts. */
const pieces = (block: Block): Block[] => {
  if (block.lines.length <= LINES_MAX) return [block];
  const parts: Block[] = [];
  for (let at = 0; at < block.lines.length; at += LINES_MAX) parts.push({ ...block, from: block.from + at, lines: block.lines.slice(at, at + LINES_MAX) });
  return parts;
};
