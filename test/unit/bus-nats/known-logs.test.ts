import { expect, test } from 'vitest';
import { KnownLogs } from '../../../src/bus/nats/known-logs.ts';

test('what is noted twice, or out of order, counts once', () => {
  const known = new KnownLogs(100);
  for (const [id, position] of [
    ['b', 20],
    ['a', 10],
    ['b', 20],
    ['c', 30],
  ] as const)
    known.note('r-1.a', id, position);
  expect(known.use('r-1.a')).toMatchObject({ count: 3, last: 30 });
  expect(known.use('r-1.a')!.ids!.get('a')).toBe(10);
  expect(known.use('r-1.b')).toBeUndefined();
});

test('the span of a first token covers all its logs, and what is no entry', () => {
  const known = new KnownLogs(100);
  known.note('r-1.a', 'a', 30);
  known.note('r-1.b', 'a', 10);
  known.note('r-2.a', 'a', 5);
  known.widen('r-1.garbage', 40);
  expect(known.span('r-1')).toEqual({ first: 10, last: 40 });
  expect(known.span('r-2')).toEqual({ first: 5, last: 5 });
  expect(known.span('r-3')).toBeUndefined();
});

test('the logs that were used the longest time ago lose their ids, keep their size, and can be read again', () => {
  const known = new KnownLogs(10);
  for (let index = 0; index < 8; index++) known.note('r-1.old', `e${index}`, 1 + index);
  for (let index = 0; index < 2; index++) known.note('r-1.used', `e${index}`, 20 + index);
  known.use('r-1.old');
  known.use('r-1.used');
  known.note('r-1.new', 'e', 30);
  expect(known.use('r-1.old')).toEqual({ count: 8, last: 8, ids: undefined });
  expect(known.use('r-1.used')!.ids!.size).toBe(2);
  known.note('r-1.old', 'e8', 40);
  expect(known.use('r-1.old')).toEqual({ count: 9, last: 40, ids: undefined });
  known.recall('r-1.old');
  for (let index = 0; index < 9; index++) known.note('r-1.old', `e${index}`, index < 8 ? 1 + index : 40);
  expect(known.use('r-1.old')).toMatchObject({ count: 9, last: 40 });
  expect(known.use('r-1.old')!.ids!.size).toBe(9);
});
