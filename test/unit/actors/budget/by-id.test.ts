/** Values by id against a Map, which keeps the order of arrival as well. */
import { expect, test } from 'vitest';
import fc from 'fast-check';
import { entriesOf, get, has, none, put, valuesOf, without, type ById } from '../../../../src/actors/budget/by-id.ts';

const id = fc.nat({ max: 200 }).map((number) => `org/r-${number}`);
const change = fc.oneof(
  fc.record({ id, value: fc.nat() }),
  id.map((gone) => ({ id: gone, value: undefined })),
);

test('holds what a Map holds, in the same order, and leaves what it was made from as it was', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 400 }), (changes) => {
      const expected = new Map<string, number>();
      let all: ById<number> = none;
      for (const { id: changed, value } of changes) {
        const before = entriesOf(all);
        const next: ById<number> = value === undefined ? without(all, changed) : put(all, changed, value);
        expect(entriesOf(all)).toEqual(before);
        if (value === undefined) expected.delete(changed);
        else expected.set(changed, value);
        all = next;
      }
      expect(entriesOf(all)).toEqual([...expected]);
      expect(all.size).toBe(expected.size);
      expect(new Set(valuesOf(all))).toEqual(new Set(expected.values()));
      expect(entriesOf(all, (_, value) => value % 2 === 0)).toEqual([...expected].filter(([, value]) => value % 2 === 0));
      for (const { id: asked } of changes) {
        expect(get(all, asked)).toBe(expected.get(asked));
        expect(has(all, asked)).toBe(expected.has(asked));
      }
    }),
    { numRuns: 60 },
  );
});
