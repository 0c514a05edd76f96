/**
 * A placed drawing as SVG: self-contained, without scripts, style sheets or fonts. Each piece of text says how long it is, so that
 * it stands where it was placed in whatever font the viewer has.
 */
import type { Accent, Drawing, Line, Sign, Tone } from './drawing.ts';
import { BAR_HEIGHT, BOX_PAD, PILL_PAD, TITLE_SIZE, type Layout, type PlacedArrow, type PlacedBox, type Point } from './layout.ts';
import { legendOf } from './legend.ts';
import { FONT_SIZE, ROW_HEIGHT, setLines, weightOf, widthOf, type TextBlock, type Weight } from './text.ts';
import { themes, type Theme, type ThemeName } from './theme.ts';

const MARGIN = 28;
const HEADING_SIZE = 22;
const HEADING_HEIGHT = 34;
/** Below a title, a picture that is narrow is made so wide. */
const WIDTH_MIN = 640;

export const svgOf = (drawing: Drawing, layout: Layout, themeName: ThemeName = 'light'): string => {
  const theme = themes[themeName];
  const inner = Math.max(WIDTH_MIN, layout.width);
  const notes = setLines(drawing.notes, inner);
  const legend = setLegend(legendOf(drawing), inner);
  const top = MARGIN + HEADING_HEIGHT + notes.height + 16;
  const width = Math.ceil(inner + 2 * MARGIN);
  const height = Math.ceil(top + layout.height + 18 + legend.height + MARGIN);
  const left = MARGIN + (inner - layout.width) / 2;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" font-family="Inter, 'Helvetica Neue', Arial, sans-serif">`,
    `<title>${escaped(drawing.title)}</title>`,
    `<rect width="${width}" height="${height}" fill="${theme.paper}"/>`,
    `<g class="heading">`,
    words(drawing.title, MARGIN, MARGIN + HEADING_SIZE - 2, HEADING_SIZE, 'semibold', theme.ink),
    block(notes, MARGIN, MARGIN + HEADING_HEIGHT, theme),
    `</g>`,
    `<g transform="translate(${round(left)} ${round(top)})">`,
    ...layout.boxes.filter(({ holds }) => holds).map((box) => boxOf(box, theme)),
    ...byWeight(layout.arrows).map((arrow) => lineOf(arrow, theme)),
    ...layout.boxes.filter(({ holds }) => !holds).map((box) => boxOf(box, theme)),
    ...byWeight(layout.arrows).map((arrow) => pillOf(arrow, theme)),
    `</g>`,
    `<g class="legend">`,
    ...legend.entries.map(({ x, row, text }) => block(text, MARGIN + x, top + layout.height + 18 + row * LEGEND_ROW, theme)),
    `</g>`,
    '</svg>',
    '',
  ]
    .filter((part) => part !== '')
    .join('\n');
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

/** What was taken is drawn over what was not, and what fails below the rest. */
const byWeight = (arrows: readonly PlacedArrow[]): PlacedArrow[] => {
  const weight = ({ arrow: { accents } }: PlacedArrow): number => (accents.includes('taken') ? 2 : accents.includes('failure') ? 0 : 1);
  return [...arrows].sort((a, b) => weight(a) - weight(b));
};

const boxOf = (placed: PlacedBox, theme: Theme): string => {
  const { box, x, y, width, height, text, depth, holds } = placed;
  const look = looks(placed, theme);
  const at = `x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}"`;
  switch (box.kind) {
    case 'initial':
      return `<circle cx="${round(x + width / 2)}" cy="${round(y + height / 2)}" r="5.5" fill="${look.border}"/>`;
    case 'within':
      return `<circle cx="${round(x + width / 2)}" cy="${round(y + height / 2)}" r="5" fill="${theme.paper}" stroke="${look.border}" stroke-width="1.5"/>`;
    case 'history':
      return [
        `<g class="mark"><circle cx="${round(x + width / 2)}" cy="${round(y + height / 2)}" r="8" fill="${theme.box}" stroke="${theme.line}"/>`,
        words('H', x + width / 2 - widthOf('H', 10, 'semibold') / 2, y + height / 2 + 3.6, 10, 'semibold', theme.muted),
        '</g>',
      ].join('');
    case 'frame':
    case 'state':
    case 'region':
    case 'final': {
      const fill = holds && !box.accents.includes('active') ? theme.holders[Math.min(depth, theme.holders.length - 1)]! : look.fill;
      const hasBar = holds || text.height > 0;
      return [
        `<g class="box ${box.kind}${holds ? ' holds' : ''}" data-id="${escaped(box.id)}">`,
        `<rect ${at} rx="9" fill="${fill}" stroke="${look.border}" stroke-width="${look.stroke}"${box.kind === 'region' ? ' stroke-dasharray="6 4"' : ''}/>`,
        hasBar ? `<path d="${barPath(placed)}" fill="${look.bar}"/>` : '',
        box.kind === 'final'
          ? `<rect x="${round(x + 3.5)}" y="${round(y + 3.5)}" width="${round(width - 7)}" height="${round(height - 7)}" rx="6" fill="none" stroke="${look.border}"/>`
          : '',
        words(box.title, x + (width - widthOf(box.title, TITLE_SIZE, 'semibold')) / 2, y + 17.5, TITLE_SIZE, 'semibold', look.ink),
        block(text, x + BOX_PAD.x, y + BAR_HEIGHT + BOX_PAD.y, theme),
        '</g>',
      ].join('');
    }
  }
};

const barPath = ({ x, y, width }: PlacedBox): string => {
  const [left, right, top, bottom] = [x + 0.75, x + width - 0.75, y + 0.75, y + BAR_HEIGHT];
  return `M${round(left)} ${round(bottom)}V${round(top + 8)}Q${round(left)} ${round(top)} ${round(left + 8)} ${round(top)}H${round(right - 8)}Q${round(right)} ${round(top)} ${round(right)} ${round(top + 8)}V${round(bottom)}Z`;
};

type Look = { readonly border: string; readonly fill: string; readonly bar: string; readonly ink: string; readonly stroke: number };

const looks = ({ box: { kind, accents }, holds }: PlacedBox, theme: Theme): Look => {
  const plain = { border: theme.boxBorder, fill: theme.box, bar: holds ? theme.holderBar : theme.bar, ink: theme.ink, stroke: 1.25 };
  if (accents.includes('active')) return { ...plain, border: theme.active, fill: theme.activeFill, bar: theme.activeFill, stroke: 2.5 };
  if (accents.includes('failure')) return { ...plain, border: theme.failure, fill: theme.failureFill, bar: theme.failureFill, ink: theme.failure };
  if (kind === 'final') return { ...plain, border: theme.success, fill: theme.successFill, bar: theme.successFill, ink: theme.success };
  if (accents.includes('taken')) return { ...plain, border: theme.taken, stroke: 2 };
  return kind === 'initial' || kind === 'within' ? { ...plain, border: theme.line } : plain;
};

const colourOf = (accents: readonly Accent[], theme: Theme): string =>
  accents.includes('taken') ? theme.taken : accents.includes('failure') ? theme.failure : theme.line;

const lineOf = ({ arrow: { accents }, points }: PlacedArrow, theme: Theme): string => {
  if (points.length < 2) return '';
  const colour = colourOf(accents, theme);
  const taken = accents.includes('taken');
  return [
    `<path d="${roundedPath(points)}" fill="none" stroke="${colour}" stroke-width="${taken ? 2.5 : 1.25}"${accents.includes('failure') && !taken ? ' stroke-opacity="0.75"' : ''}/>`,
    `<path d="${headPath(points, taken ? 9 : 7.5)}" fill="${colour}"/>`,
  ].join('');
};

const pillOf = ({ arrow: { id, accents }, label }: PlacedArrow, theme: Theme): string => {
  if (!label) return '';
  const { x, y, width, height, text } = label;
  const border = accents.includes('taken') ? theme.taken : accents.includes('failure') ? theme.failure : theme.pillBorder;
  const fill = accents.includes('taken') ? theme.takenFill : accents.includes('failure') ? theme.failureFill : theme.pill;
  return [
    `<g class="label" data-id="${escaped(id)}">`,
    `<rect x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}" rx="${round(Math.min(height / 2, 9))}" fill="${fill}" stroke="${border}"${accents.includes('failure') ? ' stroke-opacity="0.55"' : ''}/>`,
    block(text, x + PILL_PAD.x, y + PILL_PAD.y, theme),
    '</g>',
  ].join('');
};

/** Bends are rounded as far as there is room. */
const CORNER = 7;
const roundedPath = (points: readonly Point[]): string => {
  const parts = [`M${at(points[0]!)}`];
  for (let index = 1; index < points.length - 1; index++) {
    const [before, bend, after] = [points[index - 1]!, points[index]!, points[index + 1]!];
    const radius = Math.min(CORNER, distance(before, bend) / 2, distance(bend, after) / 2);
    parts.push(`L${at(towards(bend, before, radius))}Q${at(bend)} ${at(towards(bend, after, radius))}`);
  }
  parts.push(`L${at(points.at(-1)!)}`);
  return parts.join('');
};

const headPath = (points: readonly Point[], size: number): string => {
  const tip = points.at(-1)!;
  const from = points.at(-2)!;
  const length = distance(from, tip) || 1;
  const [dx, dy] = [(tip.x - from.x) / length, (tip.y - from.y) / length];
  const base = { x: tip.x - dx * size, y: tip.y - dy * size };
  const half = size * 0.45;
  return `M${at(tip)}L${at({ x: base.x - dy * half, y: base.y + dx * half })}L${at({ x: base.x + dy * half, y: base.y - dx * half })}Z`;
};

const distance = (a: Point, b: Point): number => Math.hypot(a.x - b.x, a.y - b.y);
const towards = (from: Point, to: Point, by: number): Point => {
  const length = distance(from, to) || 1;
  return { x: from.x + ((to.x - from.x) / length) * by, y: from.y + ((to.y - from.y) / length) * by };
};

const block = ({ words: set, signs }: TextBlock, x: number, y: number, theme: Theme): string =>
  [
    ...signs.map(({ sign, row }) => signAt(sign, x, y + row * ROW_HEIGHT + ROW_HEIGHT / 2, theme)),
    ...set.map((one) => words(one.text, x + one.x, y + one.row * ROW_HEIGHT + 12.7, FONT_SIZE, weightOf(one.tone), toneColour(one.tone, theme))),
  ].join('');

const toneColour = (tone: Tone, theme: Theme): string => {
  switch (tone) {
    case 'name':
    case 'plain':
      return theme.ink;
    case 'muted':
      return theme.muted;
    case 'guard':
      return theme.guard;
    case 'says':
      return theme.says;
  }
};

const words = (text: string, x: number, y: number, size: number, weight: Weight, colour: string): string =>
  text === ''
    ? ''
    : `<text x="${round(x)}" y="${round(y)}" font-size="${size}"${weight === 'semibold' ? ' font-weight="600"' : ''} fill="${colour}" textLength="${round(widthOf(text, size, weight))}" lengthAdjust="spacingAndGlyphs">${escaped(text)}</text>`;

/** Signs are drawn, twelve wide around their middle: a font may lack them. */
const signAt = (sign: Sign, x: number, middle: number, theme: Theme): string => {
  const { path, colour, filled } = signs(theme)[sign];
  const paint = filled ? `fill="${colour}"` : `fill="none" stroke="${colour}" stroke-width="1.4" stroke-linecap="round" stroke-linejoin="round"`;
  return `<path transform="translate(${round(x)} ${round(middle - 6)})" d="${path}" ${paint}/>`;
};

const signs = (theme: Theme): Readonly<Record<Sign, { readonly path: string; readonly colour: string; readonly filled?: boolean }>> => ({
  message: { path: 'M.8 2.2h10.4v7.6H.8zM1 2.6l5 4.1 5-4.1', colour: theme.taken },
  says: { path: 'M2 10 10 2M4.2 2H10v5.8', colour: theme.says },
  clock: { path: 'M11.2 6A5.2 5.2 0 1 1 .8 6a5.2 5.2 0 0 1 10.4 0M6 2.8V6l2.2 1.5', colour: theme.active },
  done: { path: 'M1.6 6.6 4.6 9.6 10.4 2.8', colour: theme.success },
  failed: { path: 'M2.4 2.4l7.2 7.2M9.6 2.4 2.4 9.6', colour: theme.failure },
  effect: { path: 'M6.9.6 2 7h3.2L4.6 11.4 9.8 4.8H6.4z', colour: theme.active, filled: true },
  always: { path: 'M1.4 6h8.4M6.6 2.8 9.8 6 6.6 9.2', colour: theme.muted },
  again: { path: 'M10 6a4 4 0 1 1-1.3-3M10.2 1v2.6H7.6', colour: theme.muted },
  entry: { path: 'M1 6h6M4.6 3.4 7.2 6 4.6 8.6M8 1.4h2.6v9.2H8', colour: theme.muted },
  exit: { path: 'M4.6 6h6.2M8.2 3.4 10.8 6 8.2 8.6M4 1.4H1.4v9.2H4', colour: theme.muted },
});

const at = ({ x, y }: Point): string => `${round(x)} ${round(y)}`;
const round = (value: number): number => Math.round(value * 100) / 100;
const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
