/** The runs on a bus, as they are listed. */
import { expect, onTestFinished, test } from 'vitest';
import { openBus } from '../../../src/bus/open.ts';
import { listRuns } from '../../../src/topology/remote.ts';

test('runs are listed by when they were started, also within a second, where their ids say nothing about it', async () => {
  const bus = await openBus('memory');
  onTestFinished(() => bus.close());
  const started = { 'r-1ng38awzzzzzzzzzz': 1_000, 'r-1ng38aw0000000000': 1_700, 'r-1ng38awmmmmmmmmmm': 1_300, 'r-1ng38av5555555555': 900 };
  for (const [run, startedAt] of Object.entries(started)) await bus.put(`run.${run}`, JSON.stringify({ team: { name: 'desk' }, startedAt }));
  expect((await listRuns(bus)).map(({ startedAt }) => startedAt)).toEqual([900, 1_000, 1_300, 1_700]);
});
