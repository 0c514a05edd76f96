/**
 * The wire format of the logs: one message holds a batch of entries, one a line.
 *
 *   <log> <envelope as JSON>\n
 *
 * JSON has no raw line feed and a log's name no space, so a batch is split without being parsed, and a reader parses only the
 * lines that it wants. All logs whose names have the same first token lie in one shard, so a run is read from one subject.
 * An entry's position is its message's sequence in the stream times 1024 plus its line.
 */
import { isUtf8 } from 'node:buffer';
import { Envelope } from '../../protocols/envelope.ts';
import { mismatches } from '../../protocols/mismatch.ts';
import type { Position } from '../port.ts';

/** Fewer shards fill their batches better, more shards make reading one run cheaper. Never change it: it is how stored logs are found. */
export const SHARDS = 16;
export const MAX_BATCH_ENTRIES = 1_024;

/** FNV-1a over the name's first token. */
export const shardOf = (log: string): number => {
  let hash = 0x811c9dc5;
  for (let at = 0; at < log.length; at++) {
    const code = log.charCodeAt(at);
    if (code === 46) break;
    hash = Math.imul(hash ^ code, 0x01000193);
  }
  return (hash >>> 0) % SHARDS;
};

export const positionOf = (seq: number, line: number): Position => seq * MAX_BATCH_ENTRIES + line;
export const seqOf = (position: Position): number => Math.floor(position / MAX_BATCH_ENTRIES);
/** After every entry of the message and before any of the next. */
export const endOf = (seq: number): Position => positionOf(seq, MAX_BATCH_ENTRIES - 1);

export const lineOf = (log: string, json: string): string => `${log} ${json}\n`;

/** One line, not parsed yet. */
export type Line = { readonly log: string; readonly body: string | Uint8Array };

const LINE_FEED = 10;
const SPACE = 32;

export const linesOf = (data: Uint8Array): Line[] => {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const lines: Line[] = [];
  for (let start = 0; start < bytes.length;) {
    const found = bytes.indexOf(LINE_FEED, start);
    const end = found < 0 ? bytes.length : found;
    const line = bytes.subarray(start, end);
    const space = line.indexOf(SPACE);
    const body = line.subarray(space + 1);
    lines.push({ log: space < 0 ? '' : line.toString('latin1', 0, space), body: isUtf8(body) ? body.toString() : body });
    start = end + 1;
  }
  return lines;
};

export type Decoded = { readonly ok: true; readonly envelope: Envelope } | { readonly ok: false; readonly reason: string };

export const decodeLine = ({ body }: Line): Decoded => {
  if (typeof body !== 'string') return { ok: false, reason: 'ENTRY_INVALID: the entry is no UTF-8 text' };
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch (thrown) {
    return { ok: false, reason: `ENTRY_INVALID: the entry is no JSON: ${(thrown as Error).message}` };
  }
  const parsed = Envelope.safeParse(value);
  if (parsed.success) return { ok: true, envelope: parsed.data };
  return { ok: false, reason: `ENTRY_INVALID: the entry is no envelope: ${mismatches(parsed.error, value, 'entry')}` };
};

export const textOf = (body: string | Uint8Array): string => (typeof body === 'string' ? body : `base64:${Buffer.from(body).toString('base64')}`);
