/** What a signal means to a command that has something to bring to an end first. */
import { expect, test } from 'vitest';
import { hearSignals } from '../../../src/cli/signals.ts';

test('a terminal that closes may say so twice: the second time ends nothing, and is no impatience', async () => {
  const before = process.listenerCount('SIGHUP');
  const { first } = hearSignals();
  process.emit('SIGHUP', 'SIGHUP');
  expect(await first).toBe('SIGHUP');
  expect(process.listenerCount('SIGHUP')).toBeGreaterThan(before);
  const impatient = hearSignals();
  process.emit('SIGHUP', 'SIGHUP');
  process.emit('SIGINT', 'SIGINT');
  expect(await impatient.first).toBe('SIGINT');
});
