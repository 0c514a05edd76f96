/** Lines set in type: broken where they are too long, each word at its place. Units are those of the SVG. */
import type { Line, Sign, Tone } from './drawing.ts';
import { CHARACTERS, REGULAR, SEMIBOLD } from './font-widths.ts';

export type Weight = 'regular' | 'semibold';

/** Words at their place: `x` from the left edge of the block, `row` from 0. */
export type SetWords = { readonly text: string; readonly tone: Tone; readonly x: number; readonly row: number; readonly width: number };
export type SetSign = { readonly sign: Sign; readonly row: number };
export type TextBlock = { readonly words: readonly SetWords[]; readonly signs: readonly SetSign[]; readonly width: number; readonly height: number };

export const FONT_SIZE = 12;
export const ROW_HEIGHT = 17;
/** What a sign takes before its line. */
export const SIGN_WIDTH = 17;
/** A line that goes on stands in by so much. */
const INDENT = 8;

const table = (widths: string): ReadonlyMap<string, number> => {
  const numbers = widths.split(' ').map(Number);
  return new Map([...CHARACTERS].map((character, index) => [character, numbers[index]! / 1000]));
};
const WIDTHS: Readonly<Record<Weight, ReadonlyMap<string, number>>> = { regular: table(REGULAR), semibold: table(SEMIBOLD) };
/** Of a character that the table does not know: no Latin letter is wider. */
const UNKNOWN_WIDTH = 1;

export const widthOf = (text: string, size = FONT_SIZE, weight: Weight = 'regular'): number => {
  let width = 0;
  for (const character of text) width += WIDTHS[weight].get(character) ?? UNKNOWN_WIDTH;
  return width * size;
};

export const weightOf = (tone: Tone): Weight => (tone === 'name' ? 'semibold' : 'regular');

/** Breaks lines between words, so that no row is wider than `maxWidth` unless a single word is. */
export const setLines = (lines: readonly Line[], maxWidth: number): TextBlock => {
  const words: SetWords[] = [];
  const signs: SetSign[] = [];
  let row = 0;
  for (const { sign, phrases } of lines) {
    if (sign) signs.push({ sign, row });
    const left = sign ? SIGN_WIDTH : 0;
    let x = left;
    let isFirst = true;
    for (const { text, tone } of phrases) {
      const space = widthOf(' ', FONT_SIZE, weightOf(tone));
      for (const word of text.split(' ')) {
        const width = widthOf(word, FONT_SIZE, weightOf(tone));
        if (!isFirst && x + space + width > maxWidth) {
          row++;
          x = left + INDENT;
        } else if (!isFirst) x += space;
        const before = words.at(-1);
        // Words of one phrase on one row are one piece of text.
        if (before && before.row === row && before.tone === tone && x - space <= before.x + before.width + 0.01 && !isFirst)
          words[words.length - 1] = { ...before, text: `${before.text} ${word}`, width: x + width - before.x };
        else words.push({ text: word, tone, x, row, width });
        x += width;
        isFirst = false;
      }
    }
    row++;
  }
  return { words, signs, width: Math.max(0, ...words.map(({ x, width }) => x + width)), height: row * ROW_HEIGHT };
};

/** The beginning of a text that is too long for a picture, up to a word's end. White space becomes single spaces. */
export const clip = (text: string, maxChars: number): string => {
  const plain = text.replaceAll(/\s+/g, ' ').trim();
  if (plain.length <= maxChars) return plain;
  const cut = plain.slice(0, maxChars);
  const end = cut.lastIndexOf(' ');
  return `${end > maxChars / 2 ? cut.slice(0, end) : cut} …`;
};
