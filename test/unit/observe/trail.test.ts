/** What became of an actor in a run, read off the run's log: where it is, and the way that led there. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { actorDrawing } from '../../../src/observe/actor-drawing.ts';
import { boxesIn, type Accent } from '../../../src/observe/picture/drawing.ts';
import { followTrail } from '../../../src/observe/trail.ts';
import { charts } from '../../../src/topology/charts.ts';
import { readRecording, replay } from '../../../src/topology/replay.ts';

const load = (name: string) => readRecording(readFileSync(join(import.meta.dirname, `../../fixtures/recordings/${name}.jsonl`), 'utf8'));

const drawn = (recording: string, actor: keyof typeof charts, upTo?: number) => {
  const run = load(recording);
  const trail = followTrail(
    (address) => address.startsWith(`${run.run}.${actor}`),
    (observe) => replay(run, upTo, observe),
  );
  const { boxes, arrows, notes } = actorDrawing({ machine: charts[actor].machine, says: [], trail, run: run.run });
  const marked = (accent: Accent) => (one: { readonly accents: readonly Accent[] }) => one.accents.includes(accent);
  return {
    active: [...boxesIn(boxes)].filter(marked('active')).map(({ id }) => id),
    entered: [...boxesIn(boxes)].filter(marked('taken')).map(({ id }) => id),
    taken: arrows.filter(marked('taken')).map(({ id }) => id),
    notes: notes.map(({ phrases }) => phrases.map(({ text }) => text).join(' ')),
  };
};

/** Of the entry that brought a message of this type to the actor's log. */
const positionOf = (recording: string, actor: string, type: string): number =>
  load(recording).entries.find(({ log, envelope }) => log.includes(`.${actor}`) && envelope.type === type)!.position;

describe('the trail of an actor', () => {
  it('leads from its beginning to where it is', () => {
    const { active, entered, taken } = drawn('brief', 'worker');
    expect(active).toEqual(['worker.completed']);
    expect(entered).toEqual(expect.arrayContaining(['worker.idle', 'worker.working', 'worker.working.thinking.calling']));
    expect(taken).toEqual(expect.arrayContaining(['worker.(initial) worker.idle', 'worker.idle worker.working', 'worker.working.thinking worker.completed']));
    expect(taken).not.toContain('worker.idle worker.dismissed');
  });

  it('ends at the entry that is asked for', () => {
    const { active, taken, notes } = drawn('brief', 'worker', positionOf('brief', 'worker', 'task.assign'));
    expect(active).toEqual(['worker.working', 'worker.working.thinking', 'worker.working.thinking.reserving']);
    expect(taken).toContain('worker.idle worker.working');
    expect(taken).not.toContain('worker.working.thinking worker.completed');
    expect(notes.at(-1)).toMatch(/^worker\.\S+ working\.thinking\.reserving$/);
  });

  it('says of a state only that it began at its beginning where it did', () => {
    const { entered, taken } = drawn('brief', 'supervisor');
    expect(entered).toContain('supervisor.working.executing');
    expect(taken).toContain('supervisor.working.planning supervisor.working.executing');
    expect(taken).not.toContain('supervisor.working.(initial) supervisor.working.executing');
  });

  it('shows a way that was not success, also where a large chart only writes it', () => {
    const ways = (['worker', 'reviewer', 'supervisor'] as const).flatMap((actor) => drawn('paused-and-raised', actor).taken);
    expect(ways.some((way) => way.endsWith('.paused'))).toBe(true);
  });

  it('is empty for an actor that the run has not begun', () => {
    expect(drawn('brief', 'worker', 0).active).toEqual([]);
  });
});
