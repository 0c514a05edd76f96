import fc from 'fast-check';
import { expect, test } from 'vitest';
import { tokenOf } from '../../../src/bus/nats/names.ts';

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
