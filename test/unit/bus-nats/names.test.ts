import fc from 'fast-check';
import { expect, test } from 'vitest';
import { namesIn, tokenOf } from '../../../src/bus/nats/names.ts';

test('any text is one legible token of a subject, and different texts are different tokens', () => {
  expect(tokenOf('s2-1')).toBe('s2-1');
  expect(tokenOf('lease.r-1')).toBe('lease=2er-1');
  expect(tokenOf('ü')).toBe('=c3=bc');
  expect(tokenOf('=2e')).toBe('=3d2e');
  expect(tokenOf('')).toMatch(/^==/);
  expect(tokenOf('x'.repeat(301))).toMatch(/^==/);
  const text = fc.string({ unit: 'grapheme', maxLength: 400 });
  fc.assert(
    fc.property(text, text, (a, b) => {
      expect(tokenOf(a)).toMatch(/^[A-Za-z0-9_=-]{1,300}$/);
      expect(tokenOf(a) === tokenOf(b)).toBe(a === b);
    }),
  );
});

test('a key is found by what is before its first two dots', () => {
  const { key, keys } = namesIn('t');
  expect(key('lease.r-1')).toBe('t.store.lease.r-1');
  expect(key('snapshot.r-1.worker.reader.s1')).toBe('t.store.snapshot.r-1.worker=2ereader=2es1');
  expect(key('k')).toBe('t.store.k');
  expect(keys('')).toBe('t.store.>');
  expect(keys('lease')).toBe('t.store.>');
  expect(keys('lease.r')).toBe('t.store.lease.>');
  expect(keys('snapshot.r-1.worker')).toBe('t.store.snapshot.r-1.>');
});

test('every key lies below what its beginnings are looked for, and different keys have different subjects', () => {
  const { key, keys } = namesIn('t');
  const text = fc.string({ unit: fc.constantFrom('.', 'a', 'ü', '*'), maxLength: 12 });
  fc.assert(
    fc.property(text, text, fc.nat(12), (one, other, length) => {
      const filter = keys(one.slice(0, length));
      expect(key(one).startsWith(filter.slice(0, -1))).toBe(true);
      expect(key(one).length).toBeGreaterThan(filter.length - 1);
      expect(key(one) === key(other)).toBe(one === other);
    }),
  );
});
