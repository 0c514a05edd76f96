/** `npm run bench`: every figure beside a baseline that was measured in the same run. Nothing here can fail on speed. */
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEmbeddedBus } from '../src/bus/embedded/bus.ts';
import { openNatsBus } from '../src/bus/nats/bus.ts';
import type { Bus } from '../src/bus/port.ts';
import { tuneV8 } from '../src/cli/node-options.ts';
import { startNatsServer } from '../test/support/nats-server.ts';
import { measureBus } from './bus.ts';
import { measureColdStart } from './cold.ts';
import { measureDag } from './dag.ts';
import { heading } from './measure.ts';
import { measureProcesses } from './processes.ts';
import { measureMany, measureReact } from './runs.ts';
import { measureStep } from './step.ts';

tuneV8(); // as the command does

const wanted = process.argv.slice(2);
const asked = (part: string): boolean => wanted.length === 0 || wanted.includes(part);

const onBus = async (bus: Bus, name: string, address: string): Promise<void> => {
  if (asked('bus')) await measureBus(name, bus);
  if (asked('react')) await measureReact(name, bus);
  if (asked('many')) await measureMany(name, address);
  if (asked('dag')) await measureDag(name, bus);
};

console.log(`node ${process.version}, ${cpus().length} cores`);
const folder = await mkdtemp(join(tmpdir(), 'troupe-bench-'));
try {
  if (asked('step')) {
    heading('the fold');
    measureStep();
  }
  heading('the embedded bus, a file, every commit on the disk');
  const embedded = openEmbeddedBus({ path: join(folder, 'bus.db') });
  await onBus(embedded, 'embedded', `embedded:${join(folder, 'many.db')}`);
  await embedded.close();
  if (!wanted.includes('embedded')) {
    heading('NATS, one server on this machine, sync_interval: always');
    const server = await startNatsServer();
    const nats = await openNatsBus({ servers: server.url });
    await onBus(nats, 'nats', server.url);
    await nats.close();
    await server.dispose();
  }
  if (asked('processes')) await measureProcesses();
  if (asked('cold')) {
    heading('the command');
    await measureColdStart();
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
