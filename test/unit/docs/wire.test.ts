/** docs/wire.md against the code: numbers, names and headers that others build upon. */
import { expect, test } from 'vitest';
import { MAX_BATCH_ENTRIES, SHARDS } from '../../../src/bus/nats/batch.ts';
import { namesIn } from '../../../src/bus/nats/names.ts';
import { MAX_ENTRY_BYTES, MAX_LOG_ENTRIES } from '../../../src/bus/port.ts';
import { Envelope } from '../../../src/protocols/envelope.ts';
import { HostRecord, LEASE_MS } from '../../../src/runtime/presence.ts';
import { blocksOf, namesIn as wordsIn, readPage, rowsOf } from './pages.ts';

const page = readPage('docs/wire.md');
const grouped = (count: number): string => count.toLocaleString('en-US');
const names = namesIn('troupe');

test('the numbers on the page are those of the code', () => {
  expect(page.text).toContain(`in ${SHARDS} shards`);
  expect(page.text).toContain(`modulo ${SHARDS}`);
  expect(page.text).toContain(`A batch has ${grouped(MAX_BATCH_ENTRIES)} entries at most, and an entry has ${grouped(MAX_ENTRY_BYTES)} bytes at most.`);
  expect(page.text).toContain(`times ${grouped(MAX_BATCH_ENTRIES)} plus its line`);
  expect(page.text).toContain(`A log holds ${grouped(MAX_LOG_ENTRIES)} entries at most.`);
  expect(page.text).toContain(`not written for ${LEASE_MS / 1_000} seconds`);
  expect(page.text).toContain(`every ${Math.floor(LEASE_MS / 300) / 10} seconds`);
});

test('the subjects on the page are those of the adapter', () => {
  const streams = rowsOf(page).flatMap(([first]) => wordsIn(first!));
  expect(streams).toEqual(expect.arrayContaining([names.logStream, names.storeStream, names.queueStream, names.deadStream]));
  expect(page.text).toContain(`\`${names.key('lease.RUN.worker.counter.s1-1').replace('RUN', '<run>')}\``);
});

test('the fields of the envelope and of a host record are all explained', () => {
  const explained = rowsOf(page).flatMap(([first]) => wordsIn(first!));
  expect(explained).toEqual(expect.arrayContaining(Object.keys(Envelope.shape)));
  const { serves: _, version: __, ...plain } = HostRecord.shape;
  expect([...explained, 'startedAt']).toEqual(expect.arrayContaining(Object.keys(plain)));
});

test('the host record on the page is one', () => {
  const example = blocksOf(page).find(({ info }) => info[0] === 'json')!.code;
  expect(HostRecord.parse(JSON.parse(example))).toEqual(JSON.parse(example));
});
