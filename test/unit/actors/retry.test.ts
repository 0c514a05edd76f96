import { expect, it } from 'vitest';
import { backoffMs } from '../../../src/actors/retry.ts';
import { failure } from '../../../src/protocols/failure.ts';

const asking = (retryAfterMs: unknown) => failure('MODEL_LIMITED', 'slow down', { details: { retryAfterMs } });

it.each([
  ['half a second at first', 1, undefined, 500],
  ['twice as long each time', 3, undefined, 2_000],
  ['half a minute at most', 30, undefined, 30_000],
  ['as long as the provider asks for', 1, asking(12_345), 12_345],
  ['no time when the provider asks for none', 5, asking(0), 0],
  ['five minutes at most, whatever it asks for', 1, asking(86_400_000), 300_000],
  ['as ever when it asks for nonsense', 2, asking('soon'), 1_000],
  ['as ever when it asks for the past', 2, asking(-5), 1_000],
])('waits %s', (_, attempt, why, ms) => {
  expect(backoffMs(attempt, why)).toBe(ms);
});
