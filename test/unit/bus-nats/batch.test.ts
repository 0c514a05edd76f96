import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeLine, endOf, lineOf, linesOf, MAX_BATCH_ENTRIES, positionOf, seqOf, SHARDS, shardOf, textOf } from '../../../src/bus/nats/batch.ts';
import type { Envelope } from '../../../src/protocols/envelope.ts';
import type { Address } from '../../../src/protocols/ids.ts';

const envelope = (id: string, text: string): Envelope => ({ id, type: 'timer.fired', v: 1, from: 'r-test.worker' as Address, time: 0, data: { text } });

test('a batch gives back its entries, whatever text they hold', () => {
  const entry = fc.record({
    log: fc.stringMatching(/^[a-z]{1,8}(\.[a-z0-9-]{1,8}){0,3}$/),
    id: fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' }),
    text: fc.string({ unit: 'grapheme' }),
  });
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 20 }), (entries) => {
      const payload = Buffer.from(entries.map(({ log, id, text }) => lineOf(log, JSON.stringify(envelope(id, text)))).join(''));
      const read = linesOf(payload).map((line) => ({ log: line.log, decoded: decodeLine(line) }));
      expect(read).toEqual(entries.map(({ log, id, text }) => ({ log, decoded: { ok: true, envelope: envelope(id, text) } })));
    }),
  );
});

test('a batch that was stored once is read by every later version', () => {
  const stored = 'r-1.a {"id":"x","type":"timer.fired","v":1,"from":"r-test.worker","time":0,"data":{"text":""}}\n';
  expect(linesOf(Buffer.from(stored)).map(decodeLine)).toEqual([{ ok: true, envelope: envelope('x', '') }]);
  expect(SHARDS).toBe(16);
  expect(['r-1.a', 'r-2.a', 'r-0k3v9t2mqa.supervisor', 'org.budget'].map(shardOf)).toEqual([11, 14, 14, 9]);
});

test('any bytes are lines, and what is no entry says why', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => linesOf(bytes).every((line) => decodeLine(line).ok || textOf(line.body).length >= 0)));
  const [text, binary, nothing] = linesOf(Buffer.concat([Buffer.from('r-1.a {"id":\n'), Buffer.from('r-1.a '), Buffer.of(0xff, 10), Buffer.from('word')]));
  expect(decodeLine(text!)).toMatchObject({ ok: false, reason: expect.stringContaining('no JSON') as string });
  expect(decodeLine(binary!)).toMatchObject({ ok: false, reason: expect.stringContaining('no UTF-8') as string });
  expect(textOf(binary!.body)).toBe('base64:/w==');
  expect(nothing).toMatchObject({ log: '', body: 'word' });
});

test('logs with the same first token share a shard, and tokens spread over all of them', () => {
  expect(shardOf('r-1.worker.reader.s1')).toBe(shardOf('r-1.supervisor'));
  expect(shardOf('r-1')).toBe(shardOf('r-1.supervisor'));
  const used = new Set(Array.from({ length: 400 }, (_, index) => shardOf(`r-0k3v9t${index}.supervisor`)));
  expect(used.size).toBe(SHARDS);
});

test('positions rise with the message and the line, and lead back to the message', () => {
  expect(positionOf(7, 0)).toBeGreaterThan(endOf(6));
  expect(endOf(7)).toBe(positionOf(7, MAX_BATCH_ENTRIES - 1));
  for (const line of [0, 1, MAX_BATCH_ENTRIES - 1]) expect(seqOf(positionOf(123_456, line))).toBe(123_456);
  expect(Number.isSafeInteger(positionOf(8_000_000_000_000, 0))).toBe(true);
});
