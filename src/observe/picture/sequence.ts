/**
 * A conversation before anybody has decided where things stand: who takes part, and what happens, from the top down. Every format
 * is made from it: sequence-layout.ts places it and sequence-svg.ts draws it, sequence-mermaid.ts writes it down.
 */
import type { Accent, Line } from './drawing.ts';

export type Lifeline = {
  readonly id: string;
  readonly title: string;
  /** Written below its title. */
  readonly lines: readonly Line[];
  readonly accents: readonly Accent[];
};

/** `message`: from one to another. `note`: what one does alone. `position` is shown beside it. */
export type Moment = { readonly position: number; readonly lines: readonly Line[]; readonly accents: readonly Accent[] } & (
  | { readonly kind: 'message'; readonly from: string; readonly to: string }
  | { readonly kind: 'note'; readonly of: string }
);

/** While one is at work: from a moment to a moment, by their index. Those of one lifeline may overlap. */
export type Activation = { readonly lifeline: string; readonly from: number; readonly to: number; readonly accents: readonly Accent[] };

export type Sequence = {
  readonly title: string;
  readonly notes: readonly Line[];
  readonly lifelines: readonly Lifeline[];
  readonly moments: readonly Moment[];
  readonly activations: readonly Activation[];
};

/** All that is written in it but for titles. */
export const linesOfSequence = ({ notes, lifelines, moments }: Sequence): Line[] => [...notes, ...[...lifelines, ...moments].flatMap(({ lines }) => lines)];
