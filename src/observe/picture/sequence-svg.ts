/** A placed conversation as SVG. */
import type { Accent } from './drawing.ts';
import { block, escaped, round, words } from './ink.ts';
import { BAR_HEIGHT, BOX_PAD, PILL_PAD, TITLE_SIZE } from './layout.ts';
import type { SequenceLayout } from './sequence-layout.ts';
import { linesOfSequence, type Sequence } from './sequence.ts';
import { sheetOf } from './sheet.ts';
import { headPath } from './svg.ts';
import { widthOf } from './text.ts';
import { themes, type Theme, type ThemeName } from './theme.ts';

const NUMBER_SIZE = 10;

export const sequenceSvgOf = (sequence: Sequence, layout: SequenceLayout, themeName: ThemeName = 'light'): string => {
  const theme = themes[themeName];
  return sheetOf(
    { title: sequence.title, notes: sequence.notes, lines: linesOfSequence(sequence) },
    [
      ...layout.lines.map(({ x, top, bottom }) => lineAt(x, top, bottom, theme)),
      ...layout.activations.map((placed) => activationAt(placed, theme)),
      ...layout.lines.map((line) => headAt(line, theme)),
      ...layout.moments.map((placed, index) => momentAt(placed, index, theme)),
    ],
    layout,
    theme,
  );
};

const lineAt = (x: number, top: number, bottom: number, theme: Theme): string =>
  `<path d="M${round(x)} ${round(top)}V${round(bottom)}" fill="none" stroke="${theme.boxBorder}" stroke-dasharray="3 4"/>`;

const activationAt = ({ activation, x, y, width, height }: SequenceLayout['activations'][number], theme: Theme): string => {
  const { fill, line } = paint(activation.accents, theme);
  return `<rect class="activation" x="${round(x)}" y="${round(y)}" width="${width}" height="${round(height)}" rx="3" fill="${fill}" stroke="${line}"/>`;
};

const headAt = ({ column, head: { of, text, x, y, width, height } }: SequenceLayout['lines'][number], theme: Theme): string => {
  const id = escaped(column === 0 ? of.id : `${of.id}, column ${column + 1}`);
  const { line } = paint(of.accents, theme);
  const radius = 9;
  const bottom = text.height > 0 ? y + BAR_HEIGHT : y + height;
  return [
    `<g class="box lifeline" data-id="${id}">`,
    `<rect x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}" rx="${radius}" fill="${text.height > 0 ? theme.box : theme.bar}" stroke="${line}" stroke-width="1.25"/>`,
    text.height > 0
      ? `<path d="M${round(x + 0.75)} ${round(bottom)}V${round(y + radius)}Q${round(x + 0.75)} ${round(y + 0.75)} ${round(x + radius)} ${round(y + 0.75)}H${round(x + width - radius)}Q${round(x + width - 0.75)} ${round(y + 0.75)} ${round(x + width - 0.75)} ${round(y + radius)}V${round(bottom)}Z" fill="${theme.bar}"/>`
      : '',
    '</g>',
    `<g class="inscription" data-id="${id}">`,
    words(of.title, x + (width - widthOf(of.title, TITLE_SIZE, 'semibold')) / 2, y + 17.5, TITLE_SIZE, 'semibold', theme.ink),
    block(text, x + BOX_PAD.x, y + BAR_HEIGHT + BOX_PAD.y, theme),
    '</g>',
  ].join('');
};

const momentAt = ({ moment, label, number, arrow }: SequenceLayout['moments'][number], index: number, theme: Theme): string => {
  const { line, fill, border } = paint(moment.accents, theme);
  const { x, y, width, height, text } = label;
  const isNote = moment.kind === 'note';
  return [
    words(String(moment.position), number.x, number.y + 3.5, NUMBER_SIZE, 'regular', theme.muted),
    arrow
      ? `<g class="arrow" data-id="${index}"><path d="M${round(arrow[0]!.x)} ${round(arrow[0]!.y)}L${round(arrow[1]!.x)} ${round(arrow[1]!.y)}" fill="none" stroke="${line}" stroke-width="1.5"/><path d="${headPath(arrow, 8)}" fill="${line}"/></g>`
      : '',
    `<g class="label ${moment.kind}" data-id="${index}">`,
    `<rect x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}" rx="${isNote ? 4 : round(Math.min(height / 2, 9))}" fill="${isNote && moment.accents.length === 0 ? theme.holders[0] : fill}" stroke="${isNote ? theme.holderBar : border}"/>`,
    block(text, x + PILL_PAD.x, y + PILL_PAD.y, theme),
    '</g>',
  ].join('');
};

const paint = (accents: readonly Accent[], theme: Theme): { readonly line: string; readonly fill: string; readonly border: string } => {
  if (accents.includes('failure')) return { line: theme.failure, fill: theme.failureFill, border: theme.failure };
  if (accents.includes('active')) return { line: theme.active, fill: theme.activeFill, border: theme.active };
  if (accents.includes('done')) return { line: theme.success, fill: theme.successFill, border: theme.success };
  if (accents.includes('taken')) return { line: theme.taken, fill: theme.takenFill, border: theme.taken };
  return { line: theme.line, fill: theme.pill, border: theme.pillBorder };
};
