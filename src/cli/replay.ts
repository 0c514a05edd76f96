/** `troupe replay`: folds a recorded run again, without a call, and compares it with what happened. */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { TroupeError } from '../protocols/failure.ts';
import { readRecording, recordingOf, replay as fold, writeRecording, type Recording } from '../topology/replay.ts';
import { EXIT, print, printJson, say } from './exit.ts';
import { withBus } from './with-bus.ts';

export type ReplayOptions = { readonly bus: string; readonly at?: string; readonly save?: string; readonly json: boolean };

export const replay = async (from: string, { bus, at, save, json }: ReplayOptions): Promise<number> => {
  const upTo = position(at);
  const recording = await loadRecording(from, bus);
  if (save !== undefined) writeFileSync(save, writeRecording(recording));
  const { entries, messages, actors, differences } = fold(recording, upTo);
  if (json) printJson({ run: recording.run, entries, messages, actors, differences });
  else {
    for (const { address, state } of actors) print(`${address.slice(recording.run.length + 1).padEnd(40)} ${stateText(state)}`);
    for (const { actor, position, what } of differences) say(`entry ${position}, ${actor}: ${what}`);
  }
  const verdict = differences.length === 0 ? 'the same as what was recorded' : `${differences.length} are not as recorded`;
  say(`${entries} entries folded, ${messages} messages: ${verdict}${save === undefined ? '' : `; saved to ${save}`}`);
  return differences.length === 0 ? EXIT.done : EXIT.failed;
};

/** Of an entry, as `--at` takes it. */
export const position = (at: string | undefined): number | undefined => {
  const upTo = at === undefined ? undefined : Number(at);
  if (upTo !== undefined && !Number.isSafeInteger(upTo)) throw new TroupeError('USAGE', `--at ${at}: expected the position of an entry, a whole number`);
  return upTo;
};

/** A run on the bus, or one in a file. */
export const loadRecording = (from: string, bus: string): Promise<Recording> =>
  existsSync(from) && statSync(from).isFile()
    ? Promise.resolve(readRecording(readFileSync(from, 'utf8')))
    : withBus(bus, (opened) => recordingOf(opened, from));

const stateText = (state: unknown): string => (typeof state === 'string' ? state : JSON.stringify(state));
