/** Pictures are legible: nothing that is written is cut, or lies on anything else, in any chart and in both themes. */
import { describe, expect, it, test } from 'vitest';
import { createMachine } from 'xstate';
import { actorDrawing } from '../../../src/observe/actor-drawing.ts';
import type { Drawing } from '../../../src/observe/picture/drawing.ts';
import { layOut } from '../../../src/observe/picture/layout.ts';
import { pngOf } from '../../../src/observe/picture/png.ts';
import { svgOf } from '../../../src/observe/picture/svg.ts';
import { saidBy } from '../../../src/protocols/json-schema.ts';
import { charts } from '../../../src/topology/charts.ts';
import { faultsOf } from '../../support/svg-overlaps.ts';

const drawn = async (drawing: Drawing, theme: 'light' | 'dark' = 'light') => svgOf(drawing, await layOut(drawing), theme);

describe.each(Object.values(charts))('the picture of the $name', ({ name, machine }) => {
  const drawing = actorDrawing({ machine, says: saidBy(name) });

  it.each(['light', 'dark'] as const)('is legible in the %s theme', async (theme) => {
    expect(faultsOf(await drawn(drawing, theme))).toEqual([]);
  });

  it('is the same when it is made again', async () => {
    expect(await drawn(drawing)).toBe(await drawn(drawing));
  });
});

const twoAtOnce = createMachine({
  id: 'player',
  initial: 'playing',
  states: {
    playing: {
      type: 'parallel',
      states: {
        sound: { initial: 'loud', states: { loud: { on: { mute: 'silent' } }, silent: { on: { unmute: 'loud' } } } },
        picture: { initial: 'moving', states: { moving: { on: { 'a rather long name of an event that nobody would ever choose': 'still' } }, still: {} } },
      },
      on: { stop: 'stopped' },
    },
    stopped: { type: 'final' },
  },
});

test('regions that are active at once are legible', async () => {
  const svg = await drawn(actorDrawing({ machine: twoAtOnce, says: [] }));
  expect(faultsOf(svg)).toEqual([]);
  expect(svg.match(/class="box region/g)).toHaveLength(2);
});

test('a state is as wide as what is written in it, however little stands in it', async () => {
  const holder = { initial: 'c', on: { 'a message with a long name': { actions: 'doSomething' } }, states: { c: { on: { go: 'd' } }, d: {} } };
  const names = ['one', 'two', 'three', 'four', 'five', 'six'];
  const machine = createMachine({
    id: 'a',
    initial: 'idle',
    states: {
      idle: { on: Object.fromEntries(names.map((name) => [name, name])) },
      ...Object.fromEntries(names.map((name) => [name, { ...holder, on: { ...holder.on, [`back from ${name}`]: 'idle' } }])),
    },
  });
  expect(faultsOf(await drawn(actorDrawing({ machine, says: [] })))).toEqual([]);
});

test('what is marked < or & is written as it is', async () => {
  const svg = await drawn(actorDrawing({ machine: createMachine({ id: 'a<b', initial: 'x&y', states: { 'x&y': {} } }), says: [] }));
  expect(faultsOf(svg)).toEqual([]);
});

/** The worker's picture, spoiled. */
const spoiled = async (spoil: (svg: string) => string): Promise<string[]> => {
  const svg = await drawn(actorDrawing({ machine: charts.worker.machine, says: saidBy('worker') }));
  const other = spoil(svg);
  expect(other).not.toBe(svg);
  return faultsOf(other);
};

describe('a fault is found', () => {
  it('where a label is moved onto a box', async () => {
    const faults = await spoiled((svg) => {
      const [, x, y] = /data-id="worker.idle"><rect x="(\S+)" y="(\S+)"/.exec(svg)!;
      return svg.replace(/(data-id="worker.idle worker.working"><rect) x="\S+" y="\S+"/, `$1 x="${x}" y="${y}"`);
    });
    expect(faults).toContainEqual('label worker.idle worker.working lies on box worker.idle');
  });

  it('where a text is longer than it was measured', async () => {
    const faults = await spoiled((svg) =>
      svg.replace('>reportCompletion<', '>reportCompletionToWhomeverAsked<').replace('reportCompletion<', 'reportCompletionToWhomeverAsked<'),
    );
    expect(faults).toContainEqual(expect.stringMatching(/reportCompletionToWhomeverAsked" is .* wide and is drawn/));
  });

  it('where the sheet is too narrow', async () => {
    expect(await spoiled((svg) => svg.replace(/ width="\d+"/, ' width="300"'))).toContainEqual(expect.stringContaining('sticks out of the sheet'));
  });
});

test('a PNG has two pixels for each unit of the picture, and its words are drawn', async () => {
  const svg = await drawn(actorDrawing({ machine: charts.approver.machine, says: [] }));
  const png = pngOf(svg);
  const [, width, height] = /width="(\d+)" height="(\d+)"/.exec(svg)!.map(Number);
  expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([width! * 2, height! * 2]);
  expect(png.length).toBeGreaterThan(1.5 * pngOf(svg.replaceAll(/<text[^]*?<\/text>/g, '')).length);
});
