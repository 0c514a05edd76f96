/** A conversation as a Mermaid sequence diagram. */
import { textOf, type Line } from './drawing.ts';
import type { Sequence } from './sequence.ts';

export const sequenceMermaidOf = ({ lifelines, moments, activations }: Sequence): string => {
  const names = new Map(lifelines.map(({ id }, index) => [id, `p${index}`]));
  const lines = moments.flatMap((moment, index) => [
    moment.kind === 'note'
      ? `Note right of ${names.get(moment.of)}: ${written(moment.lines)}`
      : `${names.get(moment.from)}${moment.accents.includes('failure') ? '-x' : '->>'}${names.get(moment.to)}: ${written(moment.lines)}`,
    ...activations.filter(({ from }) => from === index).map(({ lifeline }) => `activate ${names.get(lifeline)}`),
    ...activations.filter(({ to }) => to === index).map(({ lifeline }) => `deactivate ${names.get(lifeline)}`),
  ]);
  return [
    'sequenceDiagram',
    ...[
      ...lifelines.map(({ id, title, lines: below }) => `participant ${names.get(id)} as ${written([{ phrases: [{ text: title, tone: 'name' }] }, ...below])}`),
      ...lines,
    ].map((line) => `  ${line}`),
  ].join('\n');
};

/** What has a meaning in Mermaid is written by its number. */
const written = (lines: readonly Line[]): string =>
  lines.map((line) => textOf(line).replaceAll(/[#;<>"`:]/g, (character) => `#${character.codePointAt(0)};`)).join('<br/>');
