/**
 * Runs that were recorded are folded again by the charts as they are now: same messages, same ids. A recording of a released
 * version stays; where a chart's version rises, its recordings are refused (RUN_VERSION) and new ones are added.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { TroupeError } from '../../src/protocols/failure.ts';
import { readRecording, replay, writeRecording, type Recording } from '../../src/topology/replay.ts';

const FOLDER = join(import.meta.dirname, '../fixtures/recordings');
const files = readdirSync(FOLDER).filter((file) => file.endsWith('.jsonl'));

const load = (file: string): Recording => readRecording(readFileSync(join(FOLDER, file), 'utf8'));

describe.each(files)('the recording %s', (file) => {
  it('is folded to the same messages', () => {
    const { differences, messages, actors } = replay(load(file));
    expect(differences).toEqual([]);
    expect(messages).toBeGreaterThan(10);
    // Those that serve the run as long as anybody asks.
    expect(actors.filter(({ ended }) => !ended).every(({ address }) => /\.(budget|approver)$/.test(address))).toBe(true);
  });

  it('is the same when it is written and read again', () => {
    const recording = load(file);
    expect(readRecording(writeRecording(recording))).toEqual(recording);
  });

  it('differs where an entry is changed', () => {
    const recording = load(file);
    const at = recording.entries.findIndex(({ envelope }) => envelope.type === 'task.completed');
    const changed = recording.entries.map((entry, index) =>
      index === at ? { ...entry, envelope: { ...entry.envelope, data: { ...entry.envelope.data, text: 'something else' } } } : entry,
    );
    expect(replay({ ...recording, entries: changed }).differences.length).toBeGreaterThan(0);
  });

  it('stands where it stood when it is folded up to an entry only', () => {
    const recording = load(file);
    const middle = recording.entries[Math.floor(recording.entries.length / 2)]!;
    const { entries, actors, differences } = replay(recording, middle.position);
    expect(entries).toBe(recording.entries.filter(({ position }) => position <= middle.position).length);
    expect(actors.some(({ ended }) => !ended)).toBe(true);
    expect(differences).toEqual([]);
  });
});

it('there are some', () => expect(files.length).toBeGreaterThanOrEqual(2));

it('a recording of charts that are not here is refused', () => {
  const [head, ...rest] = readFileSync(join(FOLDER, files[0]!), 'utf8').split('\n');
  const { run, record } = JSON.parse(head!) as { run: string; record: { charts: Record<string, number> } };
  const other = JSON.stringify({ run, record: { ...record, charts: { ...record.charts, worker: 999 } } });
  expect(() => readRecording([other, ...rest].join('\n'))).toThrow(expect.objectContaining({ code: 'RUN_VERSION' }) as TroupeError);
});

it('a line that cannot be read is named', () => {
  const text = readFileSync(join(FOLDER, files[0]!), 'utf8').replace(/\n[^\n]+\n/, '\n{"log":1}\n');
  expect(() => readRecording(text)).toThrow(/line 2 of the recording/);
});
