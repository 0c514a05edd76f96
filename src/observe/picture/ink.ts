/** Text and signs as SVG. Each piece of text says how long it is, so that it stands where it was placed in whatever font the viewer has. */
import type { Sign, Tone } from './drawing.ts';
import { FONT_SIZE, ROW_HEIGHT, weightOf, widthOf, type TextBlock, type Weight } from './text.ts';
import type { Theme } from './theme.ts';

export const block = ({ words: set, signs }: TextBlock, x: number, y: number, theme: Theme): string =>
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
    case 'failure':
      return theme.failure;
  }
};

export const words = (text: string, x: number, y: number, size: number, weight: Weight, colour: string): string =>
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
  model: { path: 'M6 .8 7.3 4.7 11.2 6 7.3 7.3 6 11.2 4.7 7.3.8 6l3.9-1.3z', colour: theme.guard },
  tool: { path: 'M1.6 10.4 6 6M10.8 3.2A2.9 2.9 0 1 1 8.8 1.2L7.6 3.2l1.2 1.2z', colour: theme.taken },
  money: {
    path: 'M11.2 6A5.2 5.2 0 1 1 .8 6a5.2 5.2 0 0 1 10.4 0M7.8 4.3C7.3 3.4 4.4 3.3 4.4 4.8c0 1.7 3.4.8 3.4 2.5 0 1.6-3 1.5-3.6.4M6 2.4v7.2',
    colour: theme.success,
  },
  clock: { path: 'M11.2 6A5.2 5.2 0 1 1 .8 6a5.2 5.2 0 0 1 10.4 0M6 2.8V6l2.2 1.5', colour: theme.active },
  done: { path: 'M1.6 6.6 4.6 9.6 10.4 2.8', colour: theme.success },
  failed: { path: 'M2.4 2.4l7.2 7.2M9.6 2.4 2.4 9.6', colour: theme.failure },
  effect: { path: 'M6.9.6 2 7h3.2L4.6 11.4 9.8 4.8H6.4z', colour: theme.active, filled: true },
  always: { path: 'M1.4 6h8.4M6.6 2.8 9.8 6 6.6 9.2', colour: theme.muted },
  again: { path: 'M10 6a4 4 0 1 1-1.3-3M10.2 1v2.6H7.6', colour: theme.muted },
  entry: { path: 'M1 6h6M4.6 3.4 7.2 6 4.6 8.6M8 1.4h2.6v9.2H8', colour: theme.muted },
  exit: { path: 'M4.6 6h6.2M8.2 3.4 10.8 6 8.2 8.6M4 1.4H1.4v9.2H4', colour: theme.muted },
});

export const round = (value: number): number => Math.round(value * 100) / 100;
export const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
