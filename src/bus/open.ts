/** A bus by its address: a file of this machine, memory, or a server. */
import { TroupeError } from '../protocols/failure.ts';
import type { Bus } from './port.ts';

/** Where a run lives unless it is told otherwise, relative to the working directory. */
export const DEFAULT_BUS = 'embedded:.troupe/bus.db';

const EMBEDDED = 'embedded:';

/** Whether what is on the bus is gone with the process that opened it. */
export const isInMemory = (bus: string): boolean => bus === 'memory';

/**
 * `embedded:<file>`, `memory`, or `nats://host:port` (several, with commas; settings behind a `?`, nats/address.ts). Errors: BUS_ADDRESS_INVALID, BUS_UNAVAILABLE, and
 * for a server BUS_UNREACHABLE, BUS_NO_JETSTREAM, BUS_SERVER_TOO_OLD. Only what is used is loaded.
 */
export const openBus = async (bus: string): Promise<Bus> => {
  if (isInMemory(bus)) return (await import('./embedded/bus.ts')).openEmbeddedBus({ path: ':memory:' });
  if (bus.startsWith(EMBEDDED)) {
    const path = bus.slice(EMBEDDED.length);
    if (path === ':memory:') throw new TroupeError('BUS_ADDRESS_INVALID', `bus "${bus}": expected a file; a bus in memory is called memory`);
    if (path.includes('\0')) throw new TroupeError('BUS_ADDRESS_INVALID', `bus ${JSON.stringify(bus)}: expected a file, found a name that none can have`);
    if (path.trim() !== '') return (await import('./embedded/bus.ts')).openEmbeddedBus({ path });
  }
  if (/^(nats|tls|wss?):\/\//.test(bus)) {
    const [{ openNatsBus }, { natsOptionsOf }] = await Promise.all([import('./nats/bus.ts'), import('./nats/address.ts')]);
    return openNatsBus(natsOptionsOf(bus));
  }
  throw new TroupeError('BUS_ADDRESS_INVALID', `bus ${JSON.stringify(bus)}: expected embedded:<file>, memory or nats://<host>:<port>`);
};
