/** What a plan shows of how it was carried out. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { textOf, type Box, type Drawing } from '../../../src/observe/picture/drawing.ts';
import { planOfRun } from '../../../src/observe/plan-drawing.ts';
import { Story } from '../../../src/observe/story.ts';
import { readRecording, replay } from '../../../src/topology/replay.ts';

const planOf = (name: string): Drawing => {
  const recording = readRecording(readFileSync(join(import.meta.dirname, `../../fixtures/recordings/${name}.jsonl`), 'utf8'));
  const story = new Story();
  replay(recording, undefined, (seen) => story.see(seen));
  return planOfRun(recording.run, recording.record.team.name, story)!;
};

const inside = ({ boxes }: Drawing, id: string): string[] => boxes.find((box) => box.id === id)!.children.map(({ title }) => title);
const words = ({ lines }: Box): string => lines.map(textOf).join('\n');

test('the items of a list stand in the step that is done for each', () => {
  expect(inside(planOf('workflow-map'), 'visit')).toEqual(['visit-1', 'visit-2', 'visit-3']);
});

test('the steps of a team stand in the step that the team does, and what they cost is a part of what it cost', () => {
  const plan = planOf('hierarchical');
  expect(inside(plan, 'study')).toEqual(['budget', 'host-lost']);
  const costs = (box: Box): number => Number(/\$(\d+\.\d+)/.exec(words(box))![1]);
  const study = plan.boxes.find(({ id }) => id === 'study')!;
  expect(study.children.reduce((sum, child) => sum + costs(child), 0)).toBeLessThan(costs(study));
});

test('the way back is drawn as taken once a step was done again, and the step says so', () => {
  const plan = planOf('workflow-loop');
  expect(plan.arrows.filter(({ id }) => id.includes(' back to '))).toMatchObject([{ from: 'critique', to: 'draft', accents: ['taken'] }]);
  expect(words(plan.boxes.find(({ id }) => id === 'draft')!)).toContain('visit 2');
});

test('a step that a revision dropped is obsolete, and no failure', () => {
  const plan = planOf('replan');
  const dropped = plan.boxes.find(({ id }) => id === 'unload')!;
  expect(dropped.accents).toEqual(['skipped']);
  expect(words(dropped)).toContain('obsolete');
});
