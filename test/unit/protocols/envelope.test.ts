import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Envelope } from '../../../src/protocols/envelope.ts';
import { Address } from '../../../src/protocols/ids.ts';

const whole = { id: 'e1', type: 'task.assign', v: 1, from: 'r-0k3v.supervisor', time: 1, data: {} };

describe('the envelope', () => {
  it('says nothing about its payload', () => {
    fc.assert(
      // A key that would change the record itself is dropped on purpose.
      fc.property(
        fc.dictionary(
          fc.string().filter((key) => key !== '__proto__'),
          fc.jsonValue().filter((value) => !JSON.stringify(value).includes('__proto__')),
        ),
        (data) => {
          const sent = JSON.parse(JSON.stringify({ ...whole, data })) as unknown;
          expect(Envelope.parse(sent)).toEqual({ ...whole, from: Address.parse(whole.from), data: (sent as { data: unknown }).data });
        },
      ),
    );
  });

  it.each(['id', 'type', 'v', 'from', 'time', 'data'])('needs %s', (field) => {
    const { [field as 'id']: _, ...rest } = whole;
    expect(Envelope.safeParse(rest).success).toBe(false);
  });

  it.each([
    ['an empty id', { id: '' }],
    ['an id that is too long', { id: 'x'.repeat(513) }],
    ['version 0', { v: 0 }],
    ['a version that is no whole number', { v: 1.5 }],
    ['a sender that is no address', { from: 'me' }],
    ['a time in words', { time: 'noon' }],
    ['a payload that is no record', { data: [] }],
    ['a payload that is nothing', { data: null }],
    ['a cause that is no id', { causation: 7 }],
  ])('refuses %s', (_, change) => {
    expect(Envelope.safeParse({ ...whole, ...change }).success).toBe(false);
  });
});
