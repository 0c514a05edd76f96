/** A process that opens bus files when it is told: a line `path time` opens the file at that time (ms), writes, and prints `ok` or what went wrong. */
import { createInterface } from 'node:readline';
import { openEmbeddedBus } from '../../src/bus/embedded/bus.ts';

process.stdout.write('ready\n');
for await (const line of createInterface({ input: process.stdin })) {
  const [path, at] = line.split(' ') as [string, string];
  while (Date.now() < Number(at)); // two processes meet to the millisecond only if they are awake
  try {
    const bus = openEmbeddedBus({ path });
    await bus.put(`by-${process.pid}`, 'here');
    await bus.close();
    process.stdout.write('ok\n');
  } catch (thrown) {
    process.stdout.write(`${(thrown as Error).message}\n`);
  }
}
