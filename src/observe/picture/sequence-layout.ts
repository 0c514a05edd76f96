/**
 * Where everything stands in a conversation. What is written has a row of its own, and stands in the gap beside whoever says it;
 * gaps are as wide as what stands in them, so nothing meets anything. What is too long for a slide goes on in a column beside.
 */
import { BAR_HEIGHT, BOX_PAD, PILL_PAD, SLIDE, TITLE_SIZE, type Point, type Rectangle } from './layout.ts';
import type { Activation, Lifeline, Moment, Sequence } from './sequence.ts';
import { setLines, widthOf, type TextBlock } from './text.ts';

type Placed<T> = Rectangle & { readonly of: T; readonly text: TextBlock };
/** In a column: `x` of the line, from `top` to `bottom`. */
type PlacedLine = { readonly column: number; readonly head: Placed<Lifeline>; readonly x: number; readonly top: number; readonly bottom: number };
/** A message has an arrow; the text of a note or of a message stands in `label`. */
type PlacedMoment = { readonly moment: Moment; readonly label: Placed<Moment>; readonly number: Point; readonly arrow?: readonly Point[] };
type PlacedActivation = Rectangle & { readonly activation: Activation };

export type SequenceLayout = {
  readonly width: number;
  readonly height: number;
  readonly lines: readonly PlacedLine[];
  readonly activations: readonly PlacedActivation[];
  readonly moments: readonly PlacedMoment[];
};

const TEXT_MAX = 215;
const HEAD_TEXT_MAX = 170;
const ROW_GAP = 9;
const HEAD_GAP = 18;
const COLUMN_GAP = 46;
/** Left of the first line, for the numbers of entries. */
const NUMBERS = 44;
/** Of a message's arrow on both sides of what is written on it: the head must be seen. */
const STUB = 16;
const BAR = 10;
/** Who does several things at once has bars beside each other, so far apart. */
const LANE = 6;
const LANES_MAX = 5;

type Row = { readonly moment: Moment; readonly text: TextBlock; readonly width: number; readonly height: number };

export const layOutSequence = (sequence: Sequence): SequenceLayout => {
  const rows = sequence.moments.map((moment): Row => {
    const text = setLines(moment.lines, TEXT_MAX);
    return { moment, text, width: Math.ceil(text.width) + 2 * PILL_PAD.x, height: text.height + 2 * PILL_PAD.y };
  });
  const lanes = lanesOf(sequence);
  const measures = measure(sequence, rows, lanes);
  const most = Math.min(8, Math.max(1, Math.ceil(rows.length / 6)));
  const layouts = Array.from({ length: most }, (_, index) => place(sequence, rows, lanes, measures, index + 1));
  const shrinkage = ({ width, height }: SequenceLayout): number => Math.max(width, height * SLIDE);
  return layouts.reduce((best, other) => (shrinkage(other) < shrinkage(best) ? other : best));
};

type Head = { readonly text: TextBlock; readonly width: number; readonly height: number };
type Measures = { readonly heads: readonly Head[]; readonly xs: readonly number[]; readonly width: number; readonly headHeight: number };

/** A bar's place among those that overlap it, from 0. */
const lanesOf = ({ activations }: Sequence): ReadonlyMap<Activation, number> => {
  const lanes = new Map<Activation, number>();
  for (const activation of activations.toSorted((a, b) => a.from - b.from)) {
    const busy = [...lanes].filter(([other]) => other.lifeline === activation.lifeline && other.to >= activation.from).map(([, lane]) => lane);
    let lane = 0;
    while (busy.includes(lane)) lane++;
    lanes.set(activation, Math.min(lane, LANES_MAX - 1));
  }
  return lanes;
};

/** Where the lines stand across. */
const measure = ({ lifelines }: Sequence, rows: readonly Row[], lanes: ReadonlyMap<Activation, number>): Measures => {
  const index = new Map(lifelines.map(({ id }, at) => [id, at]));
  const heads = lifelines.map(({ title, lines }): Head => {
    const text = setLines(lines, HEAD_TEXT_MAX);
    return {
      text,
      width: Math.ceil(Math.max(widthOf(title, TITLE_SIZE, 'semibold'), text.width)) + 2 * BOX_PAD.x,
      height: BAR_HEIGHT + (text.height > 0 ? text.height + 2 * BOX_PAD.y : 0),
    };
  });
  const barsAt = lifelines.map(({ id }) => Math.max(0, ...[...lanes].filter(([{ lifeline }]) => lifeline === id).map(([, lane]) => lane)) * LANE);
  const gaps = lifelines.map((_, at) => (at + 1 < lifelines.length ? (heads[at]!.width + heads[at + 1]!.width) / 2 + HEAD_GAP : heads[at]!.width / 2));
  for (const { moment, width } of rows) {
    const from = index.get(moment.kind === 'note' ? moment.of : moment.from)!;
    const to = moment.kind === 'note' ? from : index.get(moment.to)!;
    const gap = to < from ? from - 1 : from;
    gaps[gap] = Math.max(gaps[gap]!, width + 2 * STUB + BAR + barsAt[gap]!);
  }
  const xs: number[] = [];
  let x = NUMBERS + (heads[0]?.width ?? 0) / 2;
  for (const gap of gaps) {
    xs.push(x);
    x += gap;
  }
  return { heads, xs, width: x, headHeight: Math.max(0, ...heads.map(({ height }) => height)) };
};

/** In so many columns of about the same height. */
const place = (
  { lifelines, activations: bars }: Sequence,
  rows: readonly Row[],
  lanes: ReadonlyMap<Activation, number>,
  { heads, xs, width, headHeight }: Measures,
  columns: number,
): SequenceLayout => {
  const index = new Map(lifelines.map(({ id }, at) => [id, at]));
  const parts = split(rows, columns);
  const lines: PlacedLine[] = [];
  const moments: PlacedMoment[] = [];
  const activations: PlacedActivation[] = [];
  let height = 0;
  let first = 0;
  parts.forEach((part, column) => {
    const left = column * (width + COLUMN_GAP);
    const middles: { readonly top: number; readonly middle: number; readonly bottom: number }[] = [];
    let y = headHeight + ROW_GAP * 1.5;
    for (const row of part) {
      const middle = y + row.height / 2;
      middles.push({ top: y, middle, bottom: y + row.height });
      moments.push(placeRow(row, left, y, xs, index, lanesAt(bars, lanes, first + middles.length - 1)));
      y += row.height + ROW_GAP;
    }
    const last = first + part.length - 1;
    for (const activation of bars) {
      if (activation.from > last || activation.to < first) continue;
      const top = activation.from < first ? headHeight + 4 : middles[activation.from - first]!.middle;
      const bottom = activation.to > last ? y : middles[activation.to - first]!.middle;
      const x = left + xs[index.get(activation.lifeline)!]! - BAR / 2 + lanes.get(activation)! * LANE;
      activations.push({ activation, x, y: top - 3, width: BAR, height: bottom - top + 6 });
    }
    lifelines.forEach((lifeline, at) => {
      const { text, width: headWidth, height: ownHeight } = heads[at]!;
      const x = left + xs[at]!;
      const head = { of: lifeline, text, x: x - headWidth / 2, y: headHeight - ownHeight, width: headWidth, height: ownHeight };
      lines.push({ column, head, x, top: headHeight, bottom: y + 4 });
    });
    first += part.length;
    height = Math.max(height, y + 4);
  });
  return { width: parts.length * (width + COLUMN_GAP) - COLUMN_GAP, height, lines, activations, moments };
};

/** Into parts whose heights are about the same; none is empty. */
const split = (rows: readonly Row[], columns: number): Row[][] => {
  const whole = rows.reduce((sum, { height }) => sum + height + ROW_GAP, 0);
  const parts: Row[][] = [[]];
  let so = 0;
  for (const row of rows) {
    if (so >= (whole * parts.length) / columns && parts.at(-1)!.length > 0) parts.push([]);
    parts.at(-1)!.push(row);
    so += row.height + ROW_GAP;
  }
  return parts;
};

/** How far the bars of a line reach to its right at a moment. */
const lanesAt =
  (bars: readonly Activation[], lanes: ReadonlyMap<Activation, number>, moment: number) =>
  (lifeline: string): number =>
    Math.max(-1, ...bars.filter((bar) => bar.lifeline === lifeline && bar.from <= moment && moment <= bar.to).map((bar) => lanes.get(bar)!));

const placeRow = (
  { moment, text, width, height }: Row,
  left: number,
  y: number,
  xs: readonly number[],
  index: ReadonlyMap<string, number>,
  laneAt: (lifeline: string) => number,
): PlacedMoment => {
  const middle = y + height / 2;
  const rightOf = (id: string): number => {
    const lane = laneAt(id);
    return left + xs[index.get(id)!]! + (lane < 0 ? 0 : BAR / 2 + lane * LANE);
  };
  const leftOf = (id: string): number => left + xs[index.get(id)!]! - (laneAt(id) < 0 ? 0 : BAR / 2);
  const number = { x: left, y: middle };
  if (moment.kind === 'note') return { moment, number, label: { of: moment, text, x: rightOf(moment.of) + STUB / 2, y, width, height } };
  const isForward = index.get(moment.to)! >= index.get(moment.from)!;
  const start = isForward ? rightOf(moment.from) : leftOf(moment.from);
  const end = isForward ? leftOf(moment.to) : rightOf(moment.to);
  const x = isForward ? start + STUB : start - STUB - width;
  return {
    moment,
    number,
    label: { of: moment, text, x, y, width, height },
    arrow: [
      { x: start, y: middle },
      { x: end, y: middle },
    ],
  };
};
