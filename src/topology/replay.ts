/**
 * A recorded run folded again, offline and at no cost, and compared with what happened. The charts that are here now must say
 * what those said that recorded it: to whom, what, and under which ids.
 */
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import type { Bus, Entry } from '../bus/port.ts';
import { decode } from '../protocols/catalogue.ts';
import { Envelope } from '../protocols/envelope.ts';
import { TroupeError } from '../protocols/failure.ts';
import { parseAddress, RunId, type Address } from '../protocols/ids.ts';
import type { Output } from '../runtime/fold.ts';
import type { Observed } from '../runtime/host.ts';
import { Instance, type Retired } from '../runtime/instance.ts';
import { castTeam } from './cast.ts';
import { readRecord, type RunRecord } from './run-record.ts';
import { unknownRun } from './unknown-run.ts';

/** A run as a file holds it: one JSON line for the record, then one for each entry, in order of position. */
export type Recording = { readonly run: RunId; readonly record: RunRecord; readonly entries: readonly Entry[] };

export type Replay = {
  readonly entries: number;
  readonly messages: number;
  /** Where each actor stood after the last entry. */
  readonly actors: readonly { readonly address: Address; readonly state: unknown; readonly ended: boolean }[];
  readonly differences: readonly Difference[];
};

export type Difference = {
  readonly kind: 'not said' | 'said otherwise' | 'refused';
  readonly actor: Address;
  /** Of the entry at which the fold and the recording part. */
  readonly position: number;
  readonly what: string;
};

/** Error: RUN_UNKNOWN, RUN_UNREADABLE, RUN_VERSION. */
export const recordingOf = async (bus: Bus, run: string): Promise<Recording> => {
  const id = RunId.safeParse(run);
  const stored = id.success ? await bus.get(`run.${run}`) : undefined;
  if (!id.success || !stored) throw unknownRun(bus, run);
  const entries: Entry[] = [];
  for await (const entry of bus.read(`${run}.>`)) entries.push(entry);
  return { run: id.data, record: readRecord(run, stored.value), entries };
};

const Line = z.object({ log: z.string(), position: z.number(), at: z.number(), envelope: Envelope });

export const writeRecording = ({ run, record, entries }: Recording): string =>
  [{ run, record }, ...entries].map((line) => `${JSON.stringify(line)}\n`).join('');

/** Error: RECORDING_INVALID; it names the line. */
export const readRecording = (text: string): Recording => {
  const lines = text.split('\n').filter((line) => line !== '');
  const parse = <T>(index: number, as: (value: unknown) => T): T => {
    try {
      return as(JSON.parse(lines[index] ?? ''));
    } catch (thrown) {
      if (thrown instanceof TroupeError) throw thrown;
      throw new TroupeError('RECORDING_INVALID', `line ${index + 1} of the recording: ${(thrown as Error).message}`, { cause: thrown });
    }
  };
  const head = parse(0, (value) => z.object({ run: RunId, record: z.unknown() }).parse(value));
  return {
    run: head.run,
    record: readRecord(head.run, JSON.stringify(head.record)),
    entries: lines.slice(1).map((_, index) => parse(index + 1, (value) => Line.parse(value) as Entry)),
  };
};

/**
 * Folds every actor of the run, up to the entry at `upTo`, and compares what they say with what was recorded. `observe` sees each
 * entry as those see it that look at a run while it goes on.
 */
export const replay = ({ run, record, entries }: Recording, upTo = Number.POSITIVE_INFINITY, observe?: (seen: Observed) => void): Replay => {
  const cast = castTeam(run, record.team, record.models);
  const actors = new Map<Address, Instance | Retired>();
  const recorded = new Map(entries.map((entry) => [`${entry.log} ${entry.envelope.id}`, entry]));
  const differences: Difference[] = [];
  const ended = new Map<Address, unknown>();
  let folded = 0;
  let messages = 0;

  const compare = (actor: Address, position: number, outputs: readonly Output[]): void => {
    for (const output of outputs) {
      if (output.kind !== 'send' || parseAddress(output.to).run !== run) continue;
      messages++;
      const { id, to, type, data } = output;
      const found = recorded.get(`${to} ${id}`);
      if (!found) differences.push({ kind: 'not said', actor, position, what: `${type} to ${to} is not in the recording` });
      else if (found.envelope.type !== type || !isDeepStrictEqual(found.envelope.data, JSON.parse(JSON.stringify(data))))
        differences.push({ kind: 'said otherwise', actor, position, what: `${type} to ${to} says something else in the recording` });
    }
  };

  for (const { log, position, at, envelope } of entries) {
    if (position > upTo) break;
    folded++;
    const address = log as Address;
    const definition = cast(address);
    if (!definition) continue; // the client's
    let actor = actors.get(address);
    if (!actor) {
      const [begun, outputs] = Instance.begin(address, definition, at);
      actors.set(address, (actor = begun));
      compare(address, position, outputs);
    }
    const decoded = decode(envelope);
    if (!decoded.ok) {
      differences.push({ kind: 'refused', actor: address, position, what: `${decoded.code}: ${decoded.reason}` });
      continue;
    }
    try {
      const entry = { position, at, id: envelope.id, from: envelope.from, message: decoded.message };
      const outputs = actor.apply(entry);
      compare(address, position, outputs);
      if (actor instanceof Instance) observe?.({ instance: actor, entry, outputs, replayed: true });
    } catch (thrown) {
      differences.push({ kind: 'refused', actor: address, position, what: (thrown as Error).message });
    }
    if (actor instanceof Instance && actor.ended) {
      ended.set(actor.address, actor.state.snapshot.value);
      actors.set(address, actor.retire());
    }
  }
  return {
    entries: folded,
    messages,
    differences,
    actors: [...actors].map(([address, actor]) => ({
      address,
      state: actor instanceof Instance ? actor.state.snapshot.value : ended.get(address),
      ended: !(actor instanceof Instance),
    })),
  };
};
