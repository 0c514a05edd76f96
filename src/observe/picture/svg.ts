/** A placed drawing as SVG. */
import { linesIn, type Accent, type Drawing } from './drawing.ts';
import { block, escaped, round, words } from './ink.ts';
import { BAR_HEIGHT, BOX_PAD, PILL_PAD, TITLE_SIZE, type Layout, type PlacedArrow, type PlacedBox, type Point, type Rectangle } from './layout.ts';
import { sheetOf } from './sheet.ts';
import { widthOf } from './text.ts';
import { themes, type Theme, type ThemeName } from './theme.ts';

export const svgOf = (drawing: Drawing, layout: Layout, themeName: ThemeName = 'light'): string => {
  const theme = themes[themeName];
  return sheetOf(
    { title: drawing.title, notes: drawing.notes, lines: linesIn(drawing) },
    [
      ...layout.boxes.filter(({ holds }) => holds).map((box) => boxOf(box, theme)),
      ...byWeight(layout.arrows).map((arrow) => lineOf(arrow, theme)),
      ...layout.boxes.filter(({ holds }) => holds).map((box) => inscriptionOf(box, theme)),
      ...layout.boxes.filter(({ holds }) => !holds).flatMap((box) => [boxOf(box, theme), inscriptionOf(box, theme)]),
      ...byWeight(layout.arrows).map((arrow) => pillOf(arrow, theme)),
    ],
    layout,
    theme,
  );
};

/** What was taken is drawn over what was not, and what fails below the rest. */
const byWeight = (arrows: readonly PlacedArrow[]): PlacedArrow[] => {
  const weight = ({ arrow: { accents } }: PlacedArrow): number => (accents.includes('taken') ? 2 : accents.includes('failure') ? 0 : 1);
  return [...arrows].sort((a, b) => weight(a) - weight(b));
};

const boxOf = (placed: PlacedBox, theme: Theme): string => {
  const { box, x, y, width, height, text, holds } = placed;
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
    case 'party':
    case 'group':
    case 'step':
    case 'final': {
      const hasBar = holds || text.height > 0;
      return [
        `<g class="box ${box.kind}${holds ? ' holds' : ''}" data-id="${escaped(box.id)}">`,
        `<rect ${at} rx="9" fill="${look.fill}" stroke="${look.border}" stroke-width="${look.stroke}"${box.kind === 'region' || box.accents.includes('skipped') ? ' stroke-dasharray="6 4"' : ''}/>`,
        hasBar ? `<path d="${barPath(placed)}" fill="${look.bar}"/>` : '',
        box.kind === 'final'
          ? `<rect x="${round(x + 3.5)}" y="${round(y + 3.5)}" width="${round(width - 7)}" height="${round(height - 7)}" rx="6" fill="none" stroke="${look.border}"/>`
          : '',
        '</g>',
      ].join('');
    }
  }
};

/** What is written in a box: on a ground of its own where arrows may lead behind it. */
const inscriptionOf = (placed: PlacedBox, theme: Theme): string => {
  const { box, x, y, width, text, holds } = placed;
  if (box.title === '') return '';
  const look = looks(placed, theme);
  const titleWidth = widthOf(box.title, TITLE_SIZE, 'semibold');
  const titleX = x + (width - titleWidth) / 2;
  const ground = (at: Rectangle, fill: string): string =>
    `<rect x="${round(at.x)}" y="${round(at.y)}" width="${round(at.width)}" height="${round(at.height)}" rx="3" fill="${fill}"/>`;
  const [textX, textY] = [x + BOX_PAD.x, y + BAR_HEIGHT + BOX_PAD.y];
  return [
    `<g class="inscription" data-id="${escaped(box.id)}">`,
    holds ? ground({ x: titleX - 4, y: y + 3, width: titleWidth + 8, height: BAR_HEIGHT - 4 }, look.bar) : '',
    holds && text.height > 0 ? ground({ x: textX - 3, y: textY - 2, width: text.width + 6, height: text.height + 4 }, look.fill) : '',
    words(box.title, titleX, y + 17.5, TITLE_SIZE, 'semibold', look.ink),
    block(text, textX, textY, theme),
    '</g>',
  ].join('');
};

const barPath = ({ x, y, width }: PlacedBox): string => {
  const [left, right, top, bottom] = [x + 0.75, x + width - 0.75, y + 0.75, y + BAR_HEIGHT];
  return `M${round(left)} ${round(bottom)}V${round(top + 8)}Q${round(left)} ${round(top)} ${round(left + 8)} ${round(top)}H${round(right - 8)}Q${round(right)} ${round(top)} ${round(right)} ${round(top + 8)}V${round(bottom)}Z`;
};

type Look = { readonly border: string; readonly fill: string; readonly bar: string; readonly ink: string; readonly stroke: number };

const looks = ({ box: { kind, accents }, depth, holds }: PlacedBox, theme: Theme): Look => {
  const fill = holds ? theme.holders[Math.min(depth, theme.holders.length - 1)]! : theme.box;
  const plain = { border: theme.boxBorder, fill, bar: holds ? theme.holderBar : theme.bar, ink: theme.ink, stroke: 1.25 };
  if (accents.includes('active')) return { ...plain, border: theme.active, fill: holds ? fill : theme.activeFill, bar: theme.activeFill, stroke: 2.5 };
  if (accents.includes('failure')) return { ...plain, border: theme.failure, fill: theme.failureFill, bar: theme.failureFill, ink: theme.failure };
  if (accents.includes('skipped')) return { ...plain, bar: theme.box, ink: theme.muted };
  if (kind === 'final' || accents.includes('done'))
    return { ...plain, border: theme.success, fill: theme.successFill, bar: theme.successFill, ink: theme.success };
  if (accents.includes('taken')) return { ...plain, border: theme.taken, stroke: 2 };
  return kind === 'initial' || kind === 'within' ? { ...plain, border: theme.line } : plain;
};

const colourOf = (accents: readonly Accent[], theme: Theme): string =>
  accents.includes('taken') ? theme.taken : accents.includes('failure') ? theme.failure : theme.line;

const lineOf = ({ arrow: { id, accents, both }, points }: PlacedArrow, theme: Theme): string => {
  if (points.length < 2) return '';
  const colour = colourOf(accents, theme);
  const taken = accents.includes('taken');
  return [
    `<g class="arrow" data-id="${escaped(id)}">`,
    `<path d="${roundedPath(points)}" fill="none" stroke="${colour}" stroke-width="${taken ? 2.5 : 1.25}"${accents.includes('failure') && !taken ? ' stroke-opacity="0.75"' : ''}/>`,
    `<path d="${headPath(points, taken ? 9 : 7.5)}" fill="${colour}"/>`,
    both ? `<path d="${headPath(points.toReversed(), taken ? 9 : 7.5)}" fill="${colour}"/>` : '',
    '</g>',
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

export const headPath = (points: readonly Point[], size: number): string => {
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

const at = ({ x, y }: Point): string => `${round(x)} ${round(y)}`;
