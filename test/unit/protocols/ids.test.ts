import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Address, address, effectOfGrant, grantId, Name, newRunId, parseAddress, RunId, runOf } from '../../../src/protocols/ids.ts';

const token = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/);
const runId = fc.stringMatching(/^r-[a-z0-9]{4,32}$/).map((text) => RunId.parse(text));

describe('ids', () => {
  it('makes run ids that are run ids, at any time', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4_102_444_800_000 }), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (now, random) => {
        expect(RunId.safeParse(newRunId(now, () => random)).success).toBe(true);
      }),
    );
  });

  it('makes run ids that sort by the second in which they were made', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4_102_444_800 }), fc.integer({ min: 1, max: 4_102_444_800 }), (second, later) => {
        const early = newRunId(second * 1_000, () => 0.999);
        const late = newRunId((second + later) * 1_000, () => 0);
        expect(early < late).toBe(true);
      }),
    );
  });

  it('takes an address apart as it was put together', () => {
    fc.assert(
      fc.property(runId, token, fc.option(token, { nil: undefined }), fc.option(token, { nil: undefined }), (run, role, agent, key) => {
        const parts = { run, role, ...(agent !== undefined && { agent }), ...(agent !== undefined && key !== undefined && { key }) };
        const made = address(run, role, parts.agent, parts.key);
        expect(Address.safeParse(made).success).toBe(true);
        expect(parseAddress(made)).toEqual(parts);
        expect(runOf(made)).toBe(run);
      }),
    );
  });

  it.each([
    '',
    'r-1',
    'r-0k3v.',
    '.worker',
    'r-0k3v..worker',
    'r-0k3v.a b',
    'r-0k3v.*',
    'r-0k3v.>',
    'r-0k3v/worker',
    'a.b.c.d.e.f',
    `r-0k3v.${'x'.repeat(65)}`,
  ])('refuses %j as an address', (text) => {
    expect(Address.safeParse(text).success).toBe(false);
  });

  it.each(['', '1st', '-a', 'two words', 'ä', 'a.b', 'x'.repeat(49)])('refuses %j as a name', (text) => {
    expect(Name.safeParse(text).success).toBe(false);
  });

  it('finds the effect and the attempt in the id of a grant, also when a name holds the same sign', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.integer({ min: 1, max: 1_000 }), (effect, attempt) => {
        expect(effectOfGrant(grantId(effect, attempt))).toEqual({ effect, attempt });
      }),
    );
  });
});
