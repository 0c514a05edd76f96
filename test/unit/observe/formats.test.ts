/** Other tools take what is written for them: Mermaid, Graphviz, and XState for what Stately's editor imports. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Graphviz } from '@hpcc-js/wasm-graphviz';
import { JSDOM } from 'jsdom';
import type { Mermaid } from 'mermaid';
import { beforeAll, describe, expect, it } from 'vitest';
import { createMachine, type AnyStateMachine } from 'xstate';
import { actorDrawing } from '../../../src/observe/actor-drawing.ts';
import { chartJson } from '../../../src/observe/chart-json.ts';
import { dotOf } from '../../../src/observe/picture/dot.ts';
import { boxesIn, phrase } from '../../../src/observe/picture/drawing.ts';
import { mermaidOf } from '../../../src/observe/picture/mermaid.ts';
import { sequenceMermaidOf } from '../../../src/observe/picture/sequence-mermaid.ts';
import { planDrawing } from '../../../src/observe/plan-drawing.ts';
import { sequenceDrawing } from '../../../src/observe/sequence-drawing.ts';
import { Story } from '../../../src/observe/story.ts';
import { teamDrawing } from '../../../src/observe/team-drawing.ts';
import { charts } from '../../../src/topology/charts.ts';
import { readRecording, replay } from '../../../src/topology/replay.ts';
import type { Team } from '../../../src/topology/team.ts';
import { generatedTeam, TEAM_KINDS } from '../../support/generated-team.ts';

/** Characters that are written by their number. */
const decoded = (svg: string): string => svg.replaceAll(/&#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code)));

const workflowSteps = ({ topology }: Team) => (topology.kind === 'workflow' ? topology.steps : []);

let mermaid: Mermaid;
let graphviz: Graphviz;

beforeAll(async () => {
  const { window } = new JSDOM('<body></body>', { pretendToBeVisual: true });
  // Mermaid asks a browser how large things are; where nothing is shown, any size will do.
  const box = () => ({ x: 0, y: 0, width: 80, height: 20 });
  Object.assign(window.SVGElement.prototype, { getBBox: box, getComputedTextLength: () => 80 });
  Object.assign(globalThis, { window, document: window.document, CSSStyleSheet: window.CSSStyleSheet });
  ({ default: mermaid } = await import('mermaid'));
  mermaid.initialize({ startOnLoad: false, securityLevel: 'loose' });
  graphviz = await Graphviz.load();
});

describe.each(Object.values(charts))('the chart of the $name', ({ machine }) => {
  const drawing = actorDrawing({ machine, says: [] });
  const titles = [...boxesIn(drawing.boxes)].map(({ title }) => title).filter((title) => title !== '');

  it('is drawn by Mermaid, with every state', async () => {
    const text = mermaidOf(drawing);
    expect(await mermaid.parse(text)).toMatchObject({ diagramType: 'stateDiagram' });
    const { svg } = await mermaid.render('drawn', text);
    for (const title of titles) expect(svg).toContain(title);
  });

  it('is drawn by Graphviz, with every state', () => {
    const svg = graphviz.dot(dotOf(drawing));
    for (const title of titles) expect(svg).toContain(`>${title}<`);
    expect(svg.match(/class="edge"/g)).toHaveLength(drawing.arrows.length);
  });

  it('is the same chart when XState reads it back from JSON', () => {
    const read = createMachine(JSON.parse(JSON.stringify(chartJson(machine))) as never);
    expect(shapeOf(read)).toEqual(shapeOf(machine));
    expect(new Set(read.events)).toEqual(new Set(machine.events));
  });
});

describe.each([
  ...TEAM_KINDS.map((kind) => [`a team of the kind: ${kind}`, teamDrawing(generatedTeam(kind, 12))] as const),
  ['a plan', planDrawing('generated', workflowSteps(generatedTeam('workflow', 12)))] as const,
])('%s', (_, drawing) => {
  const titles = [...boxesIn(drawing.boxes)].map(({ title }) => title);

  it('is drawn by Mermaid', async () => {
    const text = mermaidOf(drawing);
    expect(await mermaid.parse(text)).toMatchObject({ diagramType: 'flowchart-v2' });
    for (const title of titles) expect(text).toContain(title);
  });

  it('is drawn by Graphviz', () => {
    const svg = decoded(graphviz.dot(dotOf(drawing)));
    for (const title of titles) expect(svg).toContain(`>${title}<`);
    expect(svg.match(/class="edge"/g)).toHaveLength(drawing.arrows.length);
  });
});

it.each(['paused-and-raised', 'debate', 'handoff', 'hierarchical'])(
  'the conversation %s is drawn by Mermaid, with every message and who works when',
  async (name) => {
    const recording = readRecording(readFileSync(join(import.meta.dirname, `../../fixtures/recordings/${name}.jsonl`), 'utf8'));
    const story = new Story();
    replay(recording, undefined, (seen) => story.see(seen));
    const { moments, lifelines, ...sequence } = sequenceDrawing(recording.run, name, story);
    const odd = {
      kind: 'note',
      of: lifelines[0]!.id,
      position: 1,
      accents: [],
      lines: [{ phrases: [phrase('semi; colon: "quote" #hash <b> %% {x}')] }],
    } as const;
    const { svg } = await mermaid.render(`conversation-${name}`, sequenceMermaidOf({ ...sequence, lifelines, moments: [...moments, odd] }));
    expect(svg.match(/class="messageLine\d/g)).toHaveLength(moments.filter(({ kind }) => kind === 'message').length);
    expect(svg.match(/class="activation\d/g)).toHaveLength(sequence.activations.length);
    expect(decoded(svg)).toContain('semi; colon: "quote" #hash <b> %% {x}');
  },
);

/** Everything that a picture shows but for what actions do. */
const shapeOf = (machine: AnyStateMachine) => {
  const { boxes, arrows } = actorDrawing({ machine, says: [] });
  const causes = (lines: readonly { readonly sign?: string; readonly phrases: readonly { readonly text: string; readonly tone: string }[] }[]) =>
    lines.map(({ sign, phrases }) => [
      sign,
      ...phrases.filter(({ tone }) => tone === 'name' || tone === 'guard' || tone === 'failure').map(({ text }) => text),
    ]);
  return {
    boxes: [...boxesIn(boxes)].map(({ id, kind, accents }) => ({ id, kind, accents })),
    arrows: arrows.map(({ id, accents, lines }) => ({ id, accents, causes: causes(lines) })),
  };
};
