/** A bus for the length of one command. */
import { isInMemory, openBus } from '../bus/open.ts';
import type { Bus } from '../bus/port.ts';
import { TroupeError } from '../protocols/failure.ts';

/** For commands that look at what other processes left. Error beside those of the bus: USAGE for a bus in memory, on which there is nothing. */
export const withBus = async <T>(address: string, use: (bus: Bus) => Promise<T>): Promise<T> => {
  if (isInMemory(address))
    throw new TroupeError('USAGE', 'a bus in memory is seen by the process that made it only: name a file or a server with --bus, or unset TROUPE_BUS');
  const bus = await openBus(address);
  try {
    return await use(bus);
  } finally {
    await bus.close();
  }
};
