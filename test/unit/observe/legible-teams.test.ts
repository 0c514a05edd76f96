/** Pictures of teams, plans and conversations are legible, however large they are. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it, test } from 'vitest';
import type { PlannedStep } from '../../../src/actors/supervisor/plan.ts';
import { pictureOf, pictureOfSequence, type Picture } from '../../../src/observe/picture/picture.ts';
import { boxesIn, linesIn, phrase, type Line } from '../../../src/observe/picture/drawing.ts';
import type { Activation, Moment, Sequence } from '../../../src/observe/picture/sequence.ts';
import { planDrawing, planOfRun } from '../../../src/observe/plan-drawing.ts';
import { sequenceDrawing } from '../../../src/observe/sequence-drawing.ts';
import { Story, type Figure } from '../../../src/observe/story.ts';
import { teamDrawing } from '../../../src/observe/team-drawing.ts';
import { Address } from '../../../src/protocols/ids.ts';
import { readRecording, replay } from '../../../src/topology/replay.ts';
import { generatedTeam, TEAM_KINDS } from '../../support/generated-team.ts';
import { seeded } from '../../support/simulation.ts';
import { faultsOf } from '../../support/svg-overlaps.ts';

const faults = async (picture: Picture, theme: 'light' | 'dark' = 'light') => faultsOf(await picture.svg(theme));

describe.each(TEAM_KINDS)('a team of the kind: %s', (kind) => {
  it.each([3, 12, 100])('is legible with %i agents', async (agents) => {
    const team = generatedTeam(kind, agents);
    const drawing = teamDrawing(team);
    for (const theme of ['light', 'dark'] as const) expect(await faults(pictureOf(drawing), theme)).toEqual([]);
    const titles = new Set([...boxesIn(drawing.boxes)].map(({ title }) => title));
    expect(Object.keys(team.agents).filter((name) => !titles.has(name))).toEqual([]);
  });
});

const steps = (count: number, needsOf: (at: number) => readonly number[]): PlannedStep[] =>
  Array.from({ length: count }, (_, at) => ({
    id: `step-${at}`,
    agent: `worker-${at % 7}`,
    task: 'Find what answers the question, and report it with its source. '.repeat(1 + (at % 4)),
    needs: [...new Set(needsOf(at))].filter((need) => need < at && need >= 0).map((need) => `step-${need}`),
    onFailure: (['fail', 'skip', 'continue', 'default'] as const)[at % 4]!,
    default: 'nothing was found',
    ...(at % 9 === 4 && {
      map: { over: { step: `step-${at - 1}` }, around: ['Look at ', '.'], max: 20, concurrency: 4 },
      retry: { attempts: 3, backoffMs: 1_000 },
    }),
    ...(at % 9 === 5 && { when: `steps.step-${at - 1}.status == "completed" and contains(steps.step-${at - 1}.text, "found")`, join: 1, timeoutMs: 90_000 }),
    ...(at % 9 === 7 && { fallback: 'somebody-else', writes: { key: 'notes', by: 'append' as const }, reads: ['notes'] }),
    ...(at % 11 === 8 && { goto: [{ to: `step-${at - 2}`, when: 'starts_with(state.notes, "Again")', maxVisits: 3 }] }),
    ...(at % 11 === 3 && { goto: [{ to: `step-${at}`, maxVisits: 2 }] }),
  }));

const random = seeded(7);
const shapes: Readonly<Record<string, (count: number) => PlannedStep[]>> = {
  'one after the other': (count) => steps(count, (at) => [at - 1]),
  'side by side, then together': (count) => steps(count, (at) => (at === count - 1 ? Array.from({ length: at }, (_, need) => need) : [])),
  'a tree': (count) => steps(count, (at) => [Math.floor((at - 1) / 2)]),
  'a thicket': (count) => steps(count, (at) => [Math.floor(random() * at), at - 3]),
};

describe.each(Object.entries(shapes))('a plan whose steps stand %s', (_, shaped) => {
  it.each([1, 2, 5, 12, 30, 60])('is legible with %i', async (count) => {
    expect(await faults(pictureOf(planDrawing('generated', shaped(count))))).toEqual([]);
  });
});

/** Some talk to each other, some work alone, several tasks at once. */
const conversation = (messages: number, lifelines: number): Sequence => {
  const random = seeded(messages);
  const any = (): string => `agent-${Math.floor(random() * lifelines)}`;
  const moments = Array.from({ length: messages }, (_, at): Moment => {
    const moment = {
      position: at * 7,
      lines: [{ phrases: [phrase('task.assigned', 'name'), phrase(`step-${at} and more `.repeat(1 + (at % 4)).trim())] }],
      accents: [],
    };
    const [from, to] = [any(), any()];
    return from === to ? { ...moment, kind: 'note', of: from } : { ...moment, kind: 'message', from, to };
  });
  const activations = Array.from({ length: Math.ceil(messages / 4) }, (): Activation => {
    const from = Math.floor(random() * messages);
    return { lifeline: any(), from, to: Math.min(messages - 1, from + Math.floor(random() * 20)), accents: [] };
  });
  const lines = Array.from({ length: lifelines }, (_, at) => ({
    id: `agent-${at}`,
    title: `agent-${at}`,
    lines: [{ phrases: [phrase('worker')] }],
    accents: [],
  }));
  return { title: 'generated', notes: [], lifelines: lines, moments, activations };
};

describe.each([2, 4, 12])('a conversation of %i', (lifelines) => {
  it.each([5, 20, 60, 200])('is legible with %i messages', async (messages) => {
    const sequence = conversation(messages, lifelines);
    const svg = await pictureOfSequence(sequence).svg('light');
    expect(faultsOf(svg)).toEqual([]);
    expect(svg.match(/class="label /g)).toHaveLength(messages);
  });
});

const RECORDINGS = join(import.meta.dirname, '../../fixtures/recordings');
const recordings = readdirSync(RECORDINGS).map((file) => basename(file, '.jsonl'));

describe.each(recordings)('the recorded run %s', (name) => {
  const recording = readRecording(readFileSync(join(RECORDINGS, `${name}.jsonl`), 'utf8'));
  const { run, record, entries } = recording;
  const storyUpTo = (position?: number): Story => {
    const story = new Story();
    replay(recording, position, (seen) => story.see(seen));
    return story;
  };
  const middle = entries[Math.floor(entries.length / 2)]!.position;

  it.each(['light', 'dark'] as const)('is legible as a team, as a plan and as a conversation, in the middle and at its end, in the %s theme', async (theme) => {
    for (const position of [middle, undefined]) {
      const story = storyUpTo(position);
      expect(await faults(pictureOf(teamDrawing(record.team, story)), theme)).toEqual([]);
      const plan = planOfRun(run, record.team.name, story);
      expect(plan === undefined).toBe(record.team.topology.kind === 'peers');
      if (plan) expect(await faults(pictureOf(plan), theme)).toEqual([]);
      expect(await faults(pictureOfSequence(sequenceDrawing(run, record.team.name, story)), theme)).toEqual([]);
    }
  });

  test('every message of it may be sent, by the picture of its team', () => {
    const story = storyUpTo();
    const said = story.happenings.filter((happening) => happening.kind === 'said');
    // What is handed over goes by way of the supervisor.
    const drawing = teamDrawing(record.team, story);
    const passing = drawing.arrows.filter(({ id }) => id.includes(' hands over to '));
    const timesIn = (lines: readonly Line[]): number =>
      lines
        .flatMap(({ phrases }) => [
          ...phrases
            .map(({ text }) => text)
            .join(' ')
            .matchAll(/×(\d+)/g),
        ])
        .reduce((sum, [, times]) => sum + Number(times), 0);
    const told = timesIn(linesIn(drawing)) - timesIn(passing.flatMap(({ lines }) => lines));
    expect(timesIn(passing.flatMap(({ lines }) => lines))).toBe(said.filter(({ type }) => type === 'task.handed_over').length);
    expect(told).toBe(said.length);
  });

  test('what its calls cost stands in the conversation, and adds up to what was spent', () => {
    const story = storyUpTo();
    const { lifelines, moments } = sequenceDrawing(run, record.team.name, story);
    const bills = entries.flatMap(({ envelope }) => (envelope.type === 'budget.settle' ? [BigInt(envelope.data['spentNanos'] as string)] : []));
    expect(story.spentBy(() => true)).toBe(bills.reduce((sum, nanos) => sum + nanos, 0n));
    expect(moments.filter(({ lines }) => lines.some(({ sign }) => sign === 'money'))).toHaveLength(bills.length);
    const { topology } = record.team;
    expect(lifelines.map(({ title }) => title)).toEqual(
      expect.arrayContaining(['you', ...(topology.kind === 'peers' ? topology.peers : [topology.supervisor])]),
    );
  });
});

test('who hears something after the end is not at work again', () => {
  const story = new Story();
  const [lead, worker] = ['r-0000.supervisor', 'r-0000.worker.reader.find-1'].map((at) => Address.parse(at));
  const snapshot = { value: 'completed', context: {} } as unknown as Figure['snapshot'];
  for (const address of [lead!, worker!]) story.figures.set(address, { address, chart: 'worker', snapshot, ended: true });
  const said = { kind: 'said', position: 1, data: {} } as const;
  story.happenings.push(
    { ...said, from: lead!, to: worker!, type: 'task.assign' },
    { ...said, from: worker!, to: lead!, type: 'task.completed' },
    { kind: 'ended', position: 2, who: worker! },
    { ...said, from: lead!, to: worker!, type: 'task.cancel' },
  );
  const { activations } = sequenceDrawing('r-0000', 'team', story);
  expect(activations.filter(({ lifeline }) => lifeline === 'worker reader')).toEqual([{ lifeline: 'worker reader', from: 0, to: 1, accents: ['taken'] }]);
});
