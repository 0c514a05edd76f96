/**
 * What is wrong with the placing in a picture, read off its SVG: words that touch other words or stick out, labels and boxes that
 * lie on each other, arrows that run through a box. Text is measured as it is drawn, not by the table that the layout was
 * made with.
 */
import { Resvg } from '@resvg/resvg-js';
import { JSDOM } from 'jsdom';
import { FONT_FILES } from '../../src/observe/picture/png.ts';

type Area = { readonly what: string; readonly left: number; readonly top: number; readonly right: number; readonly bottom: number };

const font = { fontFiles: Object.values(FONT_FILES), loadSystemFonts: false, defaultFontFamily: 'Inter' };
const drawnWidths = new Map<string, number>();

/** From the first ink to the last. */
const drawnWidth = (text: Element): number => {
  const [size, weight] = [text.getAttribute('font-size')!, text.getAttribute('font-weight') ?? '400'];
  const key = `${size} ${weight} ${text.textContent}`;
  const alone = text.cloneNode(true) as Element;
  for (const name of ['textLength', 'lengthAdjust']) alone.removeAttribute(name);
  alone.setAttribute('x', '10');
  alone.setAttribute('y', '50');
  const width =
    drawnWidths.get(key) ??
    new Resvg(`<svg xmlns="http://www.w3.org/2000/svg" width="2000" height="100" font-family="Inter">${alone.outerHTML}</svg>`, { font }).innerBBox()?.width ??
    0;
  drawnWidths.set(key, width);
  return width;
};

/** A hair: lines are as wide as that. */
const SLACK = 0.75;
/** By so much a text may be drawn apart or together: kerning and the white before and after its ink are not in the table. */
const STRETCH = { share: 0.06, more: 2.5 };

const number = (element: Element, name: string): number => Number(element.getAttribute(name) ?? 0);

const moved = (element: Element): readonly [number, number] => {
  let [x, y] = [0, 0];
  for (let at: Element | null = element; at; at = at.parentElement) {
    const [, dx, dy] = /translate\((\S+) (\S+)\)/.exec(at.getAttribute('transform') ?? '') ?? [];
    x += Number(dx ?? 0);
    y += Number(dy ?? 0);
  }
  return [x, y];
};

const rectangle = (rect: Element, what: string): Area => {
  const [dx, dy] = moved(rect);
  const [left, top] = [number(rect, 'x') + dx, number(rect, 'y') + dy];
  return { what, left, top, right: left + number(rect, 'width'), bottom: top + number(rect, 'height') };
};

const textArea = (text: Element): Area => {
  const [dx, dy] = moved(text);
  const size = number(text, 'font-size');
  const left = number(text, 'x') + dx;
  const baseline = number(text, 'y') + dy;
  return { what: `"${text.textContent}"`, left, top: baseline - 0.76 * size, right: left + number(text, 'textLength'), bottom: baseline + 0.22 * size };
};

const overlap = (a: Area, b: Area): boolean => a.left < b.right - SLACK && b.left < a.right - SLACK && a.top < b.bottom - SLACK && b.top < a.bottom - SLACK;
const within = (inner: Area, outer: Area): boolean =>
  inner.left >= outer.left - SLACK && inner.right <= outer.right + SLACK && inner.top >= outer.top - SLACK && inner.bottom <= outer.bottom + SLACK;

function* pairs<T>(all: readonly T[]): Generator<readonly [T, T]> {
  for (const [index, one] of all.entries()) for (const other of all.slice(index + 1)) yield [one, other];
}

/** The straight pieces of an arrow; around a corner it is shorter than these. */
const piecesOf = (path: Element, what: string): Area[] => {
  const [dx, dy] = moved(path);
  const numbers = [...(path.getAttribute('d') ?? '').matchAll(/-?\d+(?:\.\d+)?/g)].map(Number);
  const points = Array.from({ length: numbers.length / 2 }, (_, index) => [numbers[2 * index]! + dx, numbers[2 * index + 1]! + dy] as const);
  return points.slice(1).map(([x, y], index) => {
    const [fromX, fromY] = points[index]!;
    return { what, left: Math.min(x, fromX), right: Math.max(x, fromX), top: Math.min(y, fromY), bottom: Math.max(y, fromY) };
  });
};

const crosses = (piece: Area, box: Area): boolean =>
  piece.left < box.right - 2 && piece.right > box.left + 2 && piece.top < box.bottom - 2 && piece.bottom > box.top + 2;

/** Every fault, in words; none: the picture is legible. */
export const faultsOf = (svg: string): string[] => {
  const { document } = new JSDOM(svg, { contentType: 'image/svg+xml' }).window;
  const all = (selector: string): Element[] => [...document.querySelectorAll(selector)];
  const id = (element: Element): string => element.getAttribute('data-id') ?? '';
  const faults: string[] = [];

  const root = document.documentElement;
  const sheet: Area = { what: 'the sheet', left: 0, top: 0, right: number(root, 'width'), bottom: number(root, 'height') };
  const boxes = all('g.box').map((box) => ({
    area: rectangle(box.querySelector('rect')!, `box ${id(box)}`),
    id: id(box),
    holds: box.classList.contains('holds'),
  }));
  const labels = all('g.label').map((label) => ({
    area: rectangle(label.querySelector('rect')!, `label ${id(label)}`),
    texts: [...label.querySelectorAll('text')],
  }));
  const inscriptions = all('g.inscription').map((group) => ({ id: id(group), texts: [...group.querySelectorAll('text')] }));
  const texts = all('text');

  for (const text of texts) {
    const area = textArea(text);
    if (!within(area, sheet)) faults.push(`${area.what} sticks out of the sheet`);
    const width = drawnWidth(text);
    const given = number(text, 'textLength');
    if (Math.abs(width - given) > STRETCH.share * width + STRETCH.more)
      faults.push(`${area.what} is ${width.toFixed(1)} wide and is drawn ${given.toFixed(1)} wide`);
  }
  for (const [a, b] of pairs(texts.map(textArea))) if (overlap(a, b)) faults.push(`${a.what} and ${b.what} overlap`);
  for (const { area, texts: inside } of labels)
    for (const text of inside.map(textArea)) if (!within(text, area)) faults.push(`${text.what} sticks out of ${area.what}`);
  for (const { id: of, texts: inside } of inscriptions) {
    const box = boxes.find((one) => one.id === of);
    for (const text of inside.map(textArea)) if (box && !within(text, box.area)) faults.push(`${text.what} sticks out of ${box.area.what}`);
    for (const text of inside.map(textArea)) for (const { area } of labels) if (overlap(text, area)) faults.push(`${area.what} lies on ${text.what}`);
  }
  const bars = all('rect.activation').map((bar, index) => rectangle(bar, `bar ${index}`));
  for (const bar of bars) {
    if (!within(bar, sheet)) faults.push(`${bar.what} sticks out of the sheet`);
    for (const { area } of labels) if (overlap(bar, area)) faults.push(`${area.what} lies on ${bar.what}`);
  }
  for (const [{ area: a }, { area: b }] of pairs(labels)) if (overlap(a, b)) faults.push(`${a.what} and ${b.what} overlap`);
  for (const [{ area: a }, { area: b }] of pairs(boxes)) if (overlap(a, b) && !within(a, b) && !within(b, a)) faults.push(`${a.what} and ${b.what} overlap`);
  for (const { area: box, holds } of boxes) {
    if (!within(box, sheet)) faults.push(`${box.what} sticks out of the sheet`);
    if (holds) continue;
    for (const { area } of labels) if (overlap(area, box)) faults.push(`${area.what} lies on ${box.what}`);
    for (const arrow of all('g.arrow')) {
      if (piecesOf(arrow.querySelector('path')!, id(arrow)).some((piece) => crosses(piece, box))) faults.push(`arrow ${id(arrow)} runs through ${box.what}`);
    }
  }
  return faults;
};
