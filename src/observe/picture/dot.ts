/** A drawing as DOT, for Graphviz, which places things itself. */
import { boxesIn, textOf, type Arrow, type Box, type Drawing } from './drawing.ts';
import { themes } from './theme.ts';

const theme = themes.light;
const FONT = 'fontname="Inter, Helvetica, sans-serif"';

export const dotOf = ({ title, boxes, arrows }: Drawing): string => {
  const all = new Map([...boxesIn(boxes)].map((box) => [box.id, box]));
  return [
    `digraph ${quoted(title)} {`,
    `  compound=true; rankdir=TB; nodesep=0.35; ranksep=0.4; label=${quoted(title)}; labelloc=t; fontsize=20; ${FONT};`,
    `  node [shape=box, style="rounded,filled", fillcolor="${theme.box}", color="${theme.boxBorder}", fontsize=12, ${FONT}];`,
    `  edge [color="${theme.line}", fontsize=10, ${FONT}];`,
    ...boxes.flatMap((box) => write(box, 1)),
    ...arrows.map((arrow) => `  ${writeArrow(arrow, all)}`),
    '}',
    '',
  ].join('\n');
};

const write = (box: Box, depth: number): string[] => {
  const indent = '  '.repeat(depth);
  const colour = colourOf(box);
  if (box.children.length === 0) return [`${indent}${quoted(box.id)} [${attributes(box, colour)}];`];
  return [
    `${indent}subgraph ${quoted(`cluster_${box.id}`)} {`,
    `${indent}  label=${quoted(wordsOf(box), '\\l')}; fontsize=12; style="rounded,filled${box.kind === 'region' ? ',dashed' : ''}"; fillcolor="${theme.holders[0]}"; color="${colour}";`,
    ...box.children.flatMap((child) => write(child, depth + 1)),
    `${indent}}`,
  ];
};

const attributes = (box: Box, colour: string): string => {
  switch (box.kind) {
    case 'initial':
      return `shape=circle, style=filled, label="", width=0.14, fillcolor="${theme.line}"`;
    case 'within':
      return `shape=circle, label="", width=0.14, color="${theme.line}"`;
    case 'history':
      return 'shape=circle, label="H", fontsize=9, width=0.2, fixedsize=true';
    default:
      return `label=${quoted(wordsOf(box), box.lines.length > 0 ? '\\l' : undefined)}, color="${colour}"${box.kind === 'final' ? ', peripheries=2' : ''}${box.accents.includes('active') ? `, fillcolor="${theme.activeFill}"` : ''}`;
  }
};

const colourOf = ({ kind, accents }: Pick<Box, 'kind' | 'accents'>): string => {
  if (accents.includes('active')) return theme.active;
  if (accents.includes('failure')) return theme.failure;
  if (accents.includes('taken')) return theme.taken;
  return kind === 'final' || accents.includes('done') ? theme.success : theme.boxBorder;
};

const wordsOf = ({ title, lines }: Box): string => [title, ...lines.map(textOf)].join('\n');

/** Graphviz joins nodes only: an arrow of a box that holds others is one of a node inside, cut off at the box. */
const writeArrow = ({ from, to, lines, accents, both }: Arrow, all: ReadonlyMap<string, Box>): string => {
  const [tail, head] = [all.get(from)!, all.get(to)!];
  const parts = [
    ...(lines.length > 0 ? [`label=${quoted(lines.map(textOf).join('\n'), '\\l')}`] : []),
    ...(tail.children.length > 0 ? [`ltail=${quoted(`cluster_${from}`)}`] : []),
    ...(head.children.length > 0 ? [`lhead=${quoted(`cluster_${to}`)}`] : []),
    ...(both ? ['dir=both'] : []),
    ...(accents.includes('taken') ? [`color="${theme.taken}", penwidth=2`] : accents.includes('failure') ? [`color="${theme.failure}"`] : []),
  ];
  return `${quoted(nodeIn(tail))} -> ${quoted(nodeIn(head))}${parts.length > 0 ? ` [${parts.join(', ')}]` : ''};`;
};

const nodeIn = (box: Box): string => (box.children.length > 0 ? nodeIn(box.children[0]!) : box.id);

/** `end`: how rows end, which also says on which side they stand; without it they stand in the middle. */
const quoted = (text: string, end = '\\n'): string =>
  `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\u00a0', ' ').split('\n').join(end)}${end === '\\l' ? end : ''}"`;
