/**
 * A drawing as Mermaid: charts as a state diagram, everything else as a flowchart. Mermaid places things itself, so of the look
 * only the colours of failure and success, and of where an actor is, go with it.
 */
import { boxesIn, textOf, type Accent, type Arrow, type Box, type Drawing } from './drawing.ts';

export const mermaidOf = (drawing: Drawing): string => {
  const boxes = [...boxesIn(drawing.boxes)];
  const isChart = boxes.some(({ kind }) => kind === 'state' || kind === 'final');
  return `${(isChart ? stateDiagram(drawing) : flowchart(drawing)).join('\n')}\n`;
};

const CLASSES: readonly (readonly [name: Accent | 'final', style: string])[] = [
  ['failure', 'stroke:#b3443f,color:#b3443f'],
  ['final', 'stroke:#2c7a4b,color:#2c7a4b'],
  ['done', 'stroke:#2c7a4b,color:#2c7a4b'],
  ['active', 'stroke:#d98a00,stroke-width:3px'],
  ['taken', 'stroke:#2457d6,stroke-width:2px'],
  ['skipped', 'stroke-dasharray:4 4'],
];

const classesOf = (boxes: readonly Box[], name: (box: Box) => string): string[] =>
  CLASSES.flatMap(([accent, style]) => {
    const of = boxes.filter(({ kind, accents }) => classOf(kind, accents) === accent);
    return of.length === 0 ? [] : [`  classDef ${accent} ${style}`, `  class ${of.map(name).join(',')} ${accent}`];
  });

const classOf = (kind: Box['kind'], accents: readonly Accent[]): string | undefined =>
  accents.includes('active') ? 'active' : (accents[0] ?? (kind === 'final' ? 'final' : undefined));

/** Mermaid knows boxes by words, so every other character becomes part of one. */
const nameOf = (id: string): string => id.replaceAll(/[^A-Za-z0-9]+/g, '_').replace(/_$/, '');

const stateDiagram = ({ boxes, arrows }: Drawing): string[] => {
  const all = [...boxesIn(boxes)];
  const kinds = new Map(all.map(({ id, kind }) => [id, kind]));
  const firsts = new Map(arrows.filter(({ from }) => kinds.get(from) === 'initial').map(({ from, to }) => [from, to]));
  /** The way in of a state cannot be pointed at: what it leads to can. */
  const target = (id: string): string => nameOf(firsts.get(id) ?? id);

  const write = (box: Box, depth: number): string[] => {
    const indent = '  '.repeat(depth);
    const name = nameOf(box.id);
    switch (box.kind) {
      case 'initial':
        return [`${indent}[*] --> ${target(box.id)}`];
      case 'within':
        return [`${indent}state ${name} <<choice>>`];
      case 'history':
        return [`${indent}state "H" as ${name}`];
      default:
        return [
          ...(box.children.length > 0
            ? [`${indent}state "${plain(box.title)}" as ${name} {`, ...inside(box, depth + 1), `${indent}}`]
            : [`${indent}state "${[box.title, ...box.lines.map(textOf)].map(plain).join('<br/>')}" as ${name}`]),
          ...(box.kind === 'final' ? [`${indent}${name} --> [*]`] : []),
          ...(box.children.length > 0 && box.lines.length > 0
            ? [`${indent}note right of ${name}`, ...box.lines.map((line) => `${indent}  ${plain(textOf(line))}`), `${indent}end note`]
            : []),
        ];
    }
  };
  const inside = ({ children }: Box, depth: number): string[] =>
    children.flatMap((child, index) => [...(index > 0 && child.kind === 'region' ? [`${'  '.repeat(depth)}--`] : []), ...write(child, depth)]);

  return [
    'stateDiagram-v2',
    ...boxes.flatMap((box) => write(box, 1)),
    ...arrows.filter(({ from }) => !firsts.has(from)).map(({ from, to, lines }) => `  ${nameOf(from)} --> ${target(to)} : ${labelOf(lines) || 'always'}`),
    ...classesOf(all, ({ id }) => nameOf(id)),
  ];
};

const flowchart = ({ boxes, arrows }: Drawing): string[] => {
  const write = (box: Box, depth: number): string[] => {
    const indent = '  '.repeat(depth);
    const text = `["${[box.title, ...box.lines.map(textOf)].map(plain).join('<br/>')}"]`;
    return box.children.length === 0
      ? [`${indent}${nameOf(box.id)}${text}`]
      : [`${indent}subgraph ${nameOf(box.id)}${text}`, ...box.children.flatMap((child) => write(child, depth + 1)), `${indent}end`];
  };
  const arrow = ({ from, to, lines, both }: Arrow): string => {
    const label = labelOf(lines);
    return `  ${nameOf(from)} ${both ? '<-->' : '-->'}${label === '' ? '' : `|"${label}"|`} ${nameOf(to)}`;
  };
  return ['flowchart TB', ...boxes.flatMap((box) => write(box, 1)), ...arrows.map(arrow), ...classesOf([...boxesIn(boxes)], ({ id }) => nameOf(id))];
};

const labelOf = (lines: Arrow['lines']): string => lines.map((line) => plain(textOf(line))).join('<br/>');

/** Without what Mermaid reads as its own. */
const plain = (text: string): string => text.replaceAll(/["#;:<>{}]/g, (character) => `#${character.codePointAt(0)};`);
