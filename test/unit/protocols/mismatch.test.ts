/** What does not fit a schema is said as expected and found, and never in the words of the schema's library. */
import { expect, test } from 'vitest';
import { z } from 'zod';
import { decode } from '../../../src/protocols/catalogue.ts';
import { mismatches } from '../../../src/protocols/mismatch.ts';
import { parseFormat } from '../../../src/protocols/formats.ts';
import { readRecord } from '../../../src/topology/run-record.ts';

const Shape = z.strictObject({
  name: z.string().min(1).optional(),
  kind: z.enum(['a', 'b']).optional(),
  list: z.array(z.int()).max(1).optional(),
  size: z.number().max(9).optional(),
  either: z.union([z.string(), z.strictObject({ text: z.string() })]).optional(),
  role: z.discriminatedUnion('is', [z.object({ is: z.literal('x') }), z.object({ is: z.literal('y') })]).optional(),
  amount: z.string().regex(/^\d+$/).optional(),
  nanos: z.string().regex(/^\d+$/, 'expected nano-dollars').optional(),
  byName: z.record(z.string().regex(/^[a-z]+$/, 'expected a name'), z.unknown()).optional(),
});

test.each([
  [5, 'answer: expected a map, found 5'],
  [{ name: 5 }, 'name: expected text, found 5'],
  [{ name: '' }, 'name: expected text, found ""'],
  [{ name: null }, 'name: expected text, found nothing'],
  [{ kind: 'c' }, 'kind: expected a | b, found "c"'],
  [{ list: [1.5] }, 'list.0: expected a whole number, found 1.5'],
  [{ list: [1, 2] }, 'list: expected at most 1 entry, found a list of 2'],
  [{ size: Number.NaN }, 'size: expected a number, found .nan'],
  [{ size: Number.POSITIVE_INFINITY }, 'size: expected a number, found .inf'],
  [{ either: { text: 1 } }, 'either.text: expected text, found 1'],
  [{ either: { txt: 'x', text: '' } }, 'either: unknown key "txt"'],
  [{ either: 7 }, 'either: expected another value, found 7'],
  [{ role: { is: 'z' } }, 'role.is: expected another value, found "z"'],
  [{ amount: 'x' }, 'amount: expected another value, found "x"'],
  [{ nanos: 'x' }, 'nanos: expected nano-dollars, found "x"'],
  [{ byName: { '0': 1 } }, 'byName.0: expected a name, found "0"'],
  [{ extra: 1, size: 10 }, 'size: expected at most 9, found 10; answer: unknown key "extra"'],
])('%j', (value, said) => {
  const { error } = Shape.safeParse(value);
  expect(mismatches(error!, value, 'answer')).toBe(said);
});

test('a model is told so, and so is who reads what it failed for', () => {
  expect(parseFormat('verdict', '{"verdict":"perhaps"}')).toMatchObject({
    ok: false,
    problem: expect.stringMatching(/^verdict: expected .*, found "perhaps"/) as string,
  });
});

test('a message that is buried says so', () => {
  expect(decode({ type: 'budget.release', v: 1, data: { grant: 5 } })).toMatchObject({
    ok: false,
    reason: 'grant: expected text, found 5; reason: expected text, found nothing',
  });
});

test.each([
  ['{', /^what the bus has of r-0000000 cannot be read: /],
  ['{}', /: team: expected a map, found nothing; models: expected a map, found nothing; startedAt: expected a number, found nothing; use the troupe/],
])('a stored run that cannot be read says why: %s', (stored, said) => {
  expect(() => readRecord('r-0000000', stored)).toThrow(expect.objectContaining({ code: 'RUN_UNREADABLE', message: expect.stringMatching(said) as string }));
});
