/** A bus by its address: a file of this machine, memory, or a server. */
import { TroupeError } from '../protocols/failure.ts';
import type { Bus } from './port.ts';

/** Where a run lives unless it is told otherwise, relative to the working directory. */
export const DEFAULT_BUS = 'embedded:.troupe/bus.db';

/**
 * `embedded:<file>`, `memory`, or `nats://host:port` (several, with commas). Errors: BUS_ADDRESS_INVALID, BUS_UNAVAILABLE, and
 * for a server BUS_UNREACHABLE, BUS_NO_JETSTREAM, BUS_SERVER_TOO_OLD. Only what is used is loaded.
 */
export const openBus = async (bus: string): Promise<Bus> => {
  if (bus === 'memory') return (await import('./embedded/bus.ts')).openEmbeddedBus({ path: ':memory:' });
  if (bus.startsWith('embedded:') && bus.length > 'embedded:'.length)
    return (await import('./embedded/bus.ts')).openEmbeddedBus({ path: bus.slice('embedded:'.length) });
  if (/^(nats|tls|wss?):\/\//.test(bus)) return (await import('./nats/bus.ts')).openNatsBus({ servers: bus });
  throw new TroupeError('BUS_ADDRESS_INVALID', `bus ${JSON.stringify(bus)}: expected embedded:<file>, memory or nats://<host>:<port>`);
};
