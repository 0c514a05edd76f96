/**
 * Where everything stands: ELK places the boxes and leads the arrows around them, for each of several ways to arrange them; the
 * one that is largest on a slide is kept. Every measure of a box is made here, of text that text.ts has set.
 */
import Elk, { type ElkExtendedEdge, type ElkNode, type LayoutOptions } from 'elkjs/lib/elk.bundled.js';
import type { Arrow, Box, BoxKind, Drawing } from './drawing.ts';
import { setLines, widthOf, type TextBlock } from './text.ts';

export type Point = { readonly x: number; readonly y: number };
export type Rectangle = Point & { readonly width: number; readonly height: number };

export type PlacedBox = Rectangle & { readonly box: Box; readonly depth: number; readonly holds: boolean; readonly text: TextBlock };
export type PlacedArrow = { readonly arrow: Arrow; readonly points: readonly Point[]; readonly label?: Rectangle & { readonly text: TextBlock } };

/** In units of the SVG, from the top left corner. Outer boxes come before those that stand in them. */
export type Layout = { readonly width: number; readonly height: number; readonly boxes: readonly PlacedBox[]; readonly arrows: readonly PlacedArrow[] };

export const TITLE_SIZE = 13;
export const BAR_HEIGHT = 26;
export const BOX_PAD = { x: 12, y: 7 } as const;
export const PILL_PAD = { x: 8, y: 3 } as const;
const MARK_SIZE = 14;
const BOX_TEXT_MAX = 250;
const PILL_TEXT_MAX = 210;
const INSIDE = 16;

const ON_THE_LINE: LayoutOptions = { 'elk.edgeLabels.inline': 'true', 'elk.edgeLabels.placement': 'CENTER' };

/** A slide: so much wider than it is high. */
const SLIDE = 16 / 9;

type Measures = { readonly text: TextBlock; readonly width: number; readonly height: number };

const measure = (box: Box, textMax: number): Measures => {
  if (isMark(box.kind)) return { text: setLines([], 0), width: MARK_SIZE, height: MARK_SIZE };
  const text = setLines(box.lines, textMax);
  const title = widthOf(box.title, TITLE_SIZE, 'semibold');
  return {
    text,
    width: Math.ceil(Math.max(title, text.width) + 2 * BOX_PAD.x),
    height: BAR_HEIGHT + (text.height > 0 ? text.height + 2 * BOX_PAD.y : 0),
  };
};

/** How much an arrow wants to point onwards. */
const forwardness = ({ lines, accents }: Arrow): number => (lines.length === 0 ? 10 : accents.includes('failure') ? 1 : 3);

const isMark = (kind: BoxKind): boolean => kind === 'initial' || kind === 'history' || kind === 'within';

const common: LayoutOptions = {
  'elk.algorithm': 'layered',
  'elk.hierarchyHandling': 'INCLUDE_CHILDREN',
  'elk.edgeRouting': 'ORTHOGONAL',
  'elk.json.shapeCoords': 'ROOT',
  'elk.json.edgeCoords': 'ROOT',
  'elk.layered.nodePlacement.strategy': 'NETWORK_SIMPLEX',
  'elk.layered.spacing.nodeNodeBetweenLayers': '16',
  'elk.layered.spacing.edgeNodeBetweenLayers': '10',
  'elk.layered.spacing.edgeEdgeBetweenLayers': '8',
  'elk.spacing.nodeNode': '22',
  'elk.spacing.edgeNode': '14',
  'elk.spacing.edgeEdge': '10',
  'elk.spacing.edgeLabel': '4',
  'elk.spacing.labelNode': '8',
};

/** Across; down; down, with the part that is too long beside the rest. */
const ways: readonly LayoutOptions[] = [
  { 'elk.direction': 'RIGHT' },
  { 'elk.direction': 'DOWN' },
  { 'elk.direction': 'DOWN', 'elk.layered.wrapping.strategy': 'MULTI_EDGE', 'elk.aspectRatio': String(SLIDE) },
];

export const layOut = async (drawing: Drawing): Promise<Layout> => {
  const tried = await Promise.allSettled(ways.map((way) => arrange(drawing, { ...common, ...way })));
  // ELK gives up on some ways to arrange some charts: those are no candidates.
  const layouts = tried.filter((one) => one.status === 'fulfilled').map(({ value }) => value);
  if (layouts.length === 0) throw (tried[0] as PromiseRejectedResult).reason;
  return layouts.reduce((best, other) => (shrinkage(other) < shrinkage(best) ? other : best));
};

/** How much smaller it becomes on a slide. */
const shrinkage = ({ width, height }: Layout): number => Math.max(width, height * SLIDE);

const arrange = async (drawing: Drawing, options: LayoutOptions): Promise<Layout> => {
  const measures = new Map<string, Measures>();
  const labels = new Map<string, TextBlock>();

  const nodeOf = (box: Box): ElkNode => {
    const size = measure(box, BOX_TEXT_MAX);
    measures.set(box.id, size);
    const { width, height } = size;
    if (box.children.length === 0) return { id: box.id, width, height };
    return {
      id: box.id,
      layoutOptions: {
        ...options,
        'elk.padding': `[top=${height + INSIDE},left=${INSIDE},bottom=${INSIDE},right=${INSIDE}]`,
        'elk.nodeSize.constraints': 'MINIMUM_SIZE',
        'elk.nodeSize.minimum': `(${width}, ${height})`,
      },
      children: box.children.map(nodeOf),
    };
  };
  const edgeOf = (arrow: Arrow): ElkExtendedEdge => {
    const edge: ElkExtendedEdge = {
      id: arrow.id,
      sources: [arrow.from],
      targets: [arrow.to],
      layoutOptions: { 'elk.layered.priority.direction': String(forwardness(arrow)) },
    };
    if (arrow.lines.length === 0) return edge;
    const text = setLines(arrow.lines, PILL_TEXT_MAX);
    labels.set(arrow.id, text);
    return {
      ...edge,
      labels: [
        { id: `${arrow.id} label`, text: '.', layoutOptions: ON_THE_LINE, width: Math.ceil(text.width) + 2 * PILL_PAD.x, height: text.height + 2 * PILL_PAD.y },
      ],
    };
  };

  const graph: ElkNode = {
    id: '(drawing)',
    layoutOptions: { ...options, 'elk.padding': '[top=4,left=4,bottom=4,right=4]' },
    children: drawing.boxes.map(nodeOf),
    edges: drawing.arrows.map(edgeOf),
  };
  const placed = await new Elk.default().layout(graph);

  const found = new Map<string, ElkNode>();
  const look = (node: ElkNode): void => {
    found.set(node.id, node);
    for (const child of node.children ?? []) look(child);
  };
  look(placed);

  const boxes: PlacedBox[] = [];
  const place = (box: Box, depth: number): void => {
    const { x = 0, y = 0, width = 0, height = 0 } = found.get(box.id)!;
    boxes.push({ box, depth, holds: box.children.length > 0, text: measures.get(box.id)!.text, x, y, width, height });
    for (const child of box.children) place(child, depth + 1);
  };
  for (const box of drawing.boxes) place(box, 0);

  const edges = new Map((placed.edges ?? []).map((edge) => [edge.id, edge]));
  const arrows = drawing.arrows.map((arrow): PlacedArrow => {
    const { sections = [], labels: [label] = [] } = edges.get(arrow.id)!;
    const points = sections.flatMap(({ startPoint, bendPoints = [], endPoint }) => [startPoint, ...bendPoints, endPoint]);
    if (!label) return { arrow, points };
    const { x = 0, y = 0, width = 0, height = 0 } = label;
    return { arrow, points, label: { x, y, width, height, text: labels.get(arrow.id)! } };
  });
  return { width: placed.width ?? 0, height: placed.height ?? 0, boxes, arrows };
};
