/**
 * A drawing before anybody has decided where things stand: boxes in boxes, arrows between them, and what is written on both.
 * Every format is made from it: layout.ts places it and svg.ts draws it, mermaid.ts and dot.ts write it down.
 *
 * A new kind of picture is a function that returns a `Drawing`, in a file of its own beside actor-drawing.ts. It says what things
 * are (`kind`, `sign`, `accents`), never how they look: a new kind of box gets its measures in layout.ts and its look in svg.ts
 * and theme.ts, where the compiler asks for them, and legend.ts says in words what a sign means. Nothing but png.ts needs Node.
 */

/** What stands out in a phrase. */
export type Tone = 'name' | 'plain' | 'muted' | 'guard' | 'says' | 'failure';

/** Words that are not broken but at their spaces. */
export type Phrase = { readonly text: string; readonly tone: Tone };

/** The small picture before a line: what brings something about. */
export type Sign = 'message' | 'clock' | 'done' | 'failed' | 'effect' | 'always' | 'again' | 'entry' | 'exit' | 'says' | 'model' | 'tool' | 'money';

export type Line = { readonly sign?: Sign; readonly phrases: readonly Phrase[] };

/**
 * What a box is. `frame`: what is drawn as a whole. `state`: a box with a title, with or without others inside. `region`: of
 * several that are active at once. `final`: where it ends. `initial`, `history` and
 * `within` are marks without words; the last stands for all that its holder holds, whichever it is at.
 *
 * `party`: somebody who sends and hears messages. `group`: of several who are alike to the others; they stand in rows, and arrows
 * lead to the group, not into it. `step`: of a plan, or of a protocol.
 */
export type BoxKind = 'frame' | 'state' | 'region' | 'final' | 'initial' | 'history' | 'within' | 'party' | 'group' | 'step';

/** `failure`: not the way to success. `active`: here and now. `taken`: the way that led here. `done`: ended well. `skipped`: will not be done. */
export type Accent = 'failure' | 'active' | 'taken' | 'done' | 'skipped';

export type Box = {
  readonly id: string;
  readonly kind: BoxKind;
  readonly title: string;
  /** Written in the box, below its title. */
  readonly lines: readonly Line[];
  readonly children: readonly Box[];
  readonly accents: readonly Accent[];
};

/** All that leads from one box to another: one arrow, with a line for each reason. */
export type Arrow = {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly lines: readonly Line[];
  readonly accents: readonly Accent[];
  /** It leads back as well. */
  readonly both?: true;
};

export type Drawing = {
  readonly title: string;
  /** Written below the title. */
  readonly notes: readonly Line[];
  readonly boxes: readonly Box[];
  readonly arrows: readonly Arrow[];
};

export const phrase = (text: string, tone: Tone = 'plain'): Phrase => ({ text, tone });

/** A line as plain text, for formats that know no signs. */
export const textOf = ({ sign, phrases }: Line): string => {
  const [first = '', ...rest] = phrases.map(({ text }) => text.replaceAll('\u00a0', ' '));
  return [inWords(sign, first), ...rest].join(' ');
};

const inWords = (sign: Sign | undefined, cause: string): string => {
  switch (sign) {
    case 'done':
      return `${cause} is done`;
    case 'failed':
      return `${cause} failed`;
    case 'clock':
      return `after ${cause}`;
    default:
      return cause;
  }
};

/** All that is written in it but for titles. */
export const linesIn = ({ notes, boxes, arrows }: Drawing): Line[] => [
  ...notes,
  ...[...boxesIn(boxes)].flatMap((box) => box.lines),
  ...arrows.flatMap((arrow) => arrow.lines),
];

/** The boxes and all that stand in them, from the outside in. */
export function* boxesIn(boxes: readonly Box[]): Generator<Box> {
  for (const box of boxes) {
    yield box;
    yield* boxesIn(box.children);
  }
}
