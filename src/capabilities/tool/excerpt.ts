/**
 * How tools show a part of a file: a head that says which lines of which file, then the lines word for word, each behind its
 * number. What is shown so can be cited as `file:line`, and read back without loss.
 *
 *   docs/guide.md:12-13 of 80 (Guide > Install)
 *   12| Run the installer.
 *   13| It asks for nothing.
 */
export type Excerpt = {
  readonly file: string;
  /** Of the first line, from 1. */
  readonly from: number;
  readonly lines: readonly string[];
  /** Lines of the whole file. */
  readonly total: number;
  /** The headings that the excerpt stands under, outermost first. */
  readonly headings: readonly string[];
};

const LINE_CHARS_MAX = 2_000;
const CUT = ' … (the line goes on)';
const HEADING_SEPARATOR = ' > ';

export const numbered = (lines: readonly string[], from: number): string =>
  lines.map((line, index) => `${from + index}| ${line.length > LINE_CHARS_MAX ? line.slice(0, LINE_CHARS_MAX) + CUT : line}`).join('\n');

export const renderExcerpt = ({ file, from, lines, total, headings }: Excerpt): string =>
  [`${file}:${from}-${from + lines.length - 1} of ${total}${headings.length > 0 ? ` (${headings.join(HEADING_SEPARATOR)})` : ''}`, numbered(lines, from)].join(
    '\n',
  );

const HEAD = /^(?:\[\d+\] )?(.+):(\d+)-(\d+) of (\d+)(?: \((.*)\))?$/;
const LINE = /^(\d+)\| ?(.*)$/s;

/** The excerpts in a text; whatever else it says is passed over. */
export const parseExcerpts = (text: string): Excerpt[] => {
  const excerpts: (Excerpt & { lines: string[] })[] = [];
  for (const line of text.split('\n')) {
    const current = excerpts.at(-1);
    const content = LINE.exec(line);
    if (content && current && Number(content[1]) === current.from + current.lines.length) current.lines.push(withoutCut(content[2]!));
    else {
      const head = HEAD.exec(line);
      if (head) excerpts.push({ file: head[1]!, from: Number(head[2]), lines: [], total: Number(head[4]), headings: head[5]?.split(HEADING_SEPARATOR) ?? [] });
    }
  }
  return excerpts.filter(({ lines }) => lines.length > 0);
};

const withoutCut = (line: string): string => (line.endsWith(CUT) ? line.slice(0, -CUT.length) : line);
