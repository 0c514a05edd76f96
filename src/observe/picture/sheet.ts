/** The sheet that a picture stands on, as SVG: its title, its notes, and what its signs mean. Self-contained, without scripts, style sheets or fonts. */
import type { Line } from './drawing.ts';
import { block, escaped, round, words } from './ink.ts';
import { legendOf } from './legend.ts';
import { ROW_HEIGHT, setLines } from './text.ts';
import type { Theme } from './theme.ts';

const MARGIN = 28;
const HEADING_SIZE = 22;
const HEADING_HEIGHT = 34;
/** Below a title, a picture that is narrow is made so wide. */
const WIDTH_MIN = 640;

/** What stands around a picture; `lines` are all that are in it. */
export type Caption = { readonly title: string; readonly notes: readonly Line[]; readonly lines: readonly Line[] };
type Size = { readonly width: number; readonly height: number };

/** `parts`: the picture, from its own top left corner. */
export const sheetOf = (caption: Caption, parts: readonly string[], picture: Size, theme: Theme): string => {
  const inner = Math.max(WIDTH_MIN, picture.width);
  const notes = setLines(caption.notes, inner);
  const legend = setLegend(legendOf(caption.lines), inner);
  const top = MARGIN + HEADING_HEIGHT + notes.height + 16;
  const width = Math.ceil(inner + 2 * MARGIN);
  const height = Math.ceil(top + picture.height + 18 + legend.height + MARGIN);
  const left = MARGIN + (inner - picture.width) / 2;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" font-family="Inter, 'Helvetica Neue', Arial, sans-serif">`,
    `<title>${escaped(caption.title)}</title>`,
    `<rect width="${width}" height="${height}" fill="${theme.paper}"/>`,
    `<g class="heading">`,
    words(caption.title, MARGIN, MARGIN + HEADING_SIZE - 2, HEADING_SIZE, 'semibold', theme.ink),
    block(notes, MARGIN, MARGIN + HEADING_HEIGHT, theme),
    `</g>`,
    `<g transform="translate(${round(left)} ${round(top)})">`,
    ...parts,
    `</g>`,
    `<g class="legend">`,
    ...legend.entries.map(({ x, row, text }) => block(text, MARGIN + x, top + picture.height + 18 + row * LEGEND_ROW, theme)),
    `</g>`,
    '</svg>',
  ]
    .filter((part) => part !== '')
    .map((part) => `${part}\n`)
    .join('');
};

const LEGEND_ROW = ROW_HEIGHT + 3;
const LEGEND_GAP = 22;

const setLegend = (lines: readonly Line[], width: number) => {
  let x = 0;
  let row = 0;
  const entries = lines.map((line) => {
    const text = setLines([line], width);
    if (x > 0 && x + text.width > width) {
      x = 0;
      row++;
    }
    const entry = { x, row, text };
    x += text.width + LEGEND_GAP;
    return entry;
  });
  return { entries, height: entries.length === 0 ? 0 : (row + 1) * LEGEND_ROW };
};
