/** A picture in every format that it is asked for. What is made from a `Drawing` has them all; a conversation is no graph, so it has no DOT. */
import { dotOf } from './dot.ts';
import type { Drawing } from './drawing.ts';
import { layOut } from './layout.ts';
import { mermaidOf } from './mermaid.ts';
import { layOutSequence } from './sequence-layout.ts';
import { sequenceMermaidOf } from './sequence-mermaid.ts';
import { sequenceSvgOf } from './sequence-svg.ts';
import type { Sequence } from './sequence.ts';
import { svgOf } from './svg.ts';
import type { ThemeName } from './theme.ts';

export type Picture = {
  readonly svg: (theme: ThemeName) => Promise<string>;
  readonly mermaid: () => string;
  readonly dot?: () => string;
  /** As data for other tools. */
  readonly json: () => unknown;
};

export const pictureOf = (drawing: Drawing, json: () => unknown = () => drawing): Picture => ({
  svg: async (theme) => svgOf(drawing, await layOut(drawing), theme),
  mermaid: () => mermaidOf(drawing),
  dot: () => dotOf(drawing),
  json,
});

export const pictureOfSequence = (sequence: Sequence): Picture => ({
  svg: (theme) => Promise.resolve(sequenceSvgOf(sequence, layOutSequence(sequence), theme)),
  mermaid: () => sequenceMermaidOf(sequence),
  json: () => sequence,
});
