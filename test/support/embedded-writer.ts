/** A process that appends to a log of a bus file and prints the id of each entry that is durable: `path log prefix count`. */
import { openEmbeddedBus } from '../../src/bus/embedded/bus.ts';
import type { Address } from '../../src/protocols/ids.ts';

const [path, log, prefix, count] = process.argv.slice(2) as [string, string, string, string];
const bus = openEmbeddedBus({ path });
for (let i = 0; i < Number(count); i++) {
  const id = `${prefix}-${i}`;
  await bus.append(log, { id, type: 'timer.fired', v: 1, from: 'r-test.worker' as Address, time: 0, data: {} });
  process.stdout.write(`${id}\n`);
}
await bus.close();
