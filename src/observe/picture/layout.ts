/**
 * Where everything stands: ELK places the boxes and leads the arrows around them, for each of several ways to arrange them; the
 * one that is largest on a slide is kept. Every measure of a box is made here, of text that text.ts has set.
 */
import Elk, { type ElkExtendedEdge, type ElkNode, type LayoutOptions } from 'elkjs/lib/elk.bundled.js';
import { boxesIn, type Arrow, type Box, type BoxKind, type Drawing } from './drawing.ts';
import { gridOf, type Grid } from './grid.ts';
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
export const SLIDE = 16 / 9;

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

/** Across; down; down, with the part that is too long beside the rest, which is worth long detours only where it gains much. */
type Way = { readonly options: LayoutOptions; readonly worth: number };
const ways: readonly Way[] = [
  { options: { 'elk.direction': 'RIGHT' }, worth: 1 },
  { options: { 'elk.direction': 'DOWN' }, worth: 1 },
  { options: { 'elk.direction': 'DOWN', 'elk.layered.wrapping.strategy': 'MULTI_EDGE', 'elk.aspectRatio': String(SLIDE) }, worth: 0.85 },
];

/** Of arrows without words that lead one way only: on in a line; down, in rows of so many abreast; on, with what is too long below. */
const waysOfPlan = (steps: number): readonly Way[] => {
  const quick = { 'elk.layered.nodePlacement.strategy': 'BRANDES_KOEPF' };
  const abreast = String(Math.max(2, Math.ceil(Math.sqrt(steps * STEPS_ABREAST))));
  const inRows = { 'elk.layered.layering.strategy': 'COFFMAN_GRAHAM', 'elk.layered.layering.coffmanGraham.layerBound': abreast };
  return [
    { options: { ...quick, 'elk.direction': 'RIGHT' }, worth: 1 },
    { options: { ...quick, 'elk.direction': 'DOWN', ...inRows }, worth: 1 },
    { options: { ...quick, 'elk.direction': 'RIGHT', 'elk.layered.wrapping.strategy': 'MULTI_EDGE', 'elk.aspectRatio': String(SLIDE) }, worth: 0.85 },
  ];
};
/** As many as make rows of a slide's form, of boxes that are about three times as wide as high. */
const STEPS_ABREAST = SLIDE / 3;

const waysOf = ({ boxes }: Drawing): readonly Way[] => (boxes.every(({ kind }) => kind === 'step' || kind === 'group') ? waysOfPlan(boxes.length) : ways);

export const layOut = async (drawing: Drawing): Promise<Layout> => {
  const tried = await Promise.allSettled(
    waysOf(drawing).map(async ({ options, worth }) => ({ worth, layout: await arrange(drawing, { ...common, ...options }) })),
  );
  // ELK gives up on some ways to arrange some charts, or loses a piece of an arrow: those are no candidates.
  const candidates = tried.flatMap((one) => (one.status === 'fulfilled' && isWhole(one.value.layout) ? [one.value] : []));
  if (candidates.length === 0) throw tried.find((one) => one.status === 'rejected')?.reason ?? new Error(`${drawing.title} cannot be laid out`);
  const size = ({ layout, worth }: (typeof candidates)[number]): number => shrinkage(layout) / worth;
  return candidates.reduce((best, other) => (size(other) < size(best) ? other : best)).layout;
};

/** Each arrow leads from one of its boxes to the other, straight or around corners. */
const isWhole = ({ boxes, arrows }: Layout): boolean => {
  const byId = new Map(boxes.map((placed) => [placed.box.id, placed]));
  const touches = ({ x, y, width, height }: Rectangle, point: Point): boolean => {
    const [across, down] = [point.x - x, point.y - y];
    return across > -TOLERANCE && across < width + TOLERANCE && down > -TOLERANCE && down < height + TOLERANCE;
  };
  return arrows.every(({ arrow: { from, to }, points }) => {
    const isStraight = points.every(
      (point, at) => at === 0 || Math.min(Math.abs(point.x - points[at - 1]!.x), Math.abs(point.y - points[at - 1]!.y)) < TOLERANCE,
    );
    return isStraight && touches(byId.get(from)!, points[0]!) && touches(byId.get(to)!, points.at(-1)!);
  });
};
const TOLERANCE = 1.5;

/** How much smaller it becomes on a slide. */
const shrinkage = ({ width, height }: Layout): number => Math.max(width, height * SLIDE);

/** In a group nothing leads into a box, so a box there that holds others is placed as a picture of its own. */
const picturesIn = async ({ boxes, arrows }: Drawing, options: LayoutOptions): Promise<ReadonlyMap<string, Layout>> => {
  const holders = (box: Box): Box[] => box.children.flatMap((child) => (box.kind === 'group' && child.children.length > 0 ? [child] : holders(child)));
  const pictures = boxes.flatMap(holders).map(async (box): Promise<[string, Layout]> => {
    const inside = new Set([...boxesIn([box])].map(({ id }) => id));
    const within = arrows.filter(({ from, to }) => inside.has(from) && inside.has(to));
    return [box.id, await arrange({ title: '', notes: [], boxes: [box], arrows: within }, options)];
  });
  return new Map(await Promise.all(pictures));
};

const moved = <T extends Point>(thing: T, by: Point): T => ({ ...thing, x: thing.x + by.x, y: thing.y + by.y });

const arrange = async (drawing: Drawing, options: LayoutOptions): Promise<Layout> => {
  const pictures = await picturesIn(drawing, options);
  const measures = new Map<string, Measures>();
  const labels = new Map<string, TextBlock>();
  const grids = new Map<string, Grid>();

  const nodeOf = (box: Box): ElkNode => {
    const picture = pictures.get(box.id);
    if (picture) return { id: box.id, width: picture.width, height: picture.height };
    const size = measure(box, BOX_TEXT_MAX);
    measures.set(box.id, size);
    const { width, height } = size;
    if (box.children.length === 0) return { id: box.id, width, height };
    const children = box.children.map(nodeOf);
    if (box.kind === 'group') {
      const grid = gridOf(
        children.map((child) => ({ width: child.width!, height: child.height! })),
        INSIDE / 2,
        SLIDE,
      );
      grids.set(box.id, grid);
      return { id: box.id, width: Math.max(width, grid.width + 2 * INSIDE), height: height + grid.height + 2 * INSIDE };
    }
    return {
      id: box.id,
      layoutOptions: {
        ...options,
        'elk.padding': `[top=${height + INSIDE},left=${INSIDE},bottom=${INSIDE},right=${INSIDE}]`,
        'elk.nodeSize.constraints': 'MINIMUM_SIZE',
        // Of a box that holds others ELK turns the graph, but not this.
        'elk.nodeSize.minimum': options['elk.direction'] === 'DOWN' ? `(${height}, ${width})` : `(${width}, ${height})`,
      },
      children,
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

  const placedApart = new Set([...pictures.values()].flatMap(({ arrows }) => arrows.map(({ arrow }) => arrow.id)));
  const graph: ElkNode = {
    id: '(drawing)',
    layoutOptions: { ...options, 'elk.padding': '[top=4,left=4,bottom=4,right=4]' },
    children: drawing.boxes.map(nodeOf),
    edges: drawing.arrows.filter(({ id }) => !placedApart.has(id)).map(edgeOf),
  };
  const placed = await new Elk.default().layout(graph);

  const found = new Map<string, ElkNode>();
  const look = (node: ElkNode): void => {
    found.set(node.id, node);
    for (const child of node.children ?? []) look(child);
  };
  look(placed);

  const boxes: PlacedBox[] = [];
  const apart: PlacedArrow[] = [];
  const place = (box: Box, depth: number): void => {
    const { x = 0, y = 0, width = 0, height = 0 } = found.get(box.id)!;
    boxes.push({ box, depth, holds: box.children.length > 0, text: measures.get(box.id)!.text, x, y, width, height });
    const grid = grids.get(box.id);
    if (!grid) for (const child of box.children) place(child, depth + 1);
    grid?.cells.forEach((cell, index) => {
      const child = box.children[index]!;
      const at = { x: x + (width - grid.width) / 2 + cell.x, y: y + measures.get(box.id)!.height + INSIDE + cell.y };
      const picture = pictures.get(child.id);
      if (picture) {
        boxes.push(...picture.boxes.map((placed) => ({ ...moved(placed, at), depth: depth + 1 + placed.depth })));
        apart.push(
          ...picture.arrows.map(({ points, label, ...placed }) => ({
            ...placed,
            points: points.map((point) => moved(point, at)),
            ...(label && { label: moved(label, at) }),
          })),
        );
        return;
      }
      boxes.push({ box: child, depth: depth + 1, holds: false, text: measures.get(child.id)!.text, ...at, width: cell.width, height: cell.height });
    });
  };
  for (const box of drawing.boxes) place(box, 0);

  const edges = new Map((placed.edges ?? []).map((edge) => [edge.id, edge]));
  const arrows = drawing.arrows
    .filter(({ id }) => !placedApart.has(id))
    .map((arrow): PlacedArrow => {
      const { sections = [], labels: [label] = [] } = edges.get(arrow.id)!;
      const points = sections.flatMap(({ startPoint, bendPoints = [], endPoint }) => [startPoint, ...bendPoints, endPoint]);
      if (!label) return { arrow, points };
      const { x = 0, y = 0, width = 0, height = 0 } = label;
      return { arrow, points, label: { x, y, width, height, text: labels.get(arrow.id)! } };
    });
  return { width: placed.width ?? 0, height: placed.height ?? 0, boxes, arrows: [...arrows, ...apart] };
};
