/** `troupe runs`: the runs on a bus, a line each. */
import { openBus } from '../bus/open.ts';
import { listRuns } from '../topology/remote.ts';
import { EXIT, print } from './exit.ts';

export const runs = async ({ bus: address }: { readonly bus: string }): Promise<number> => {
  const bus = await openBus(address);
  try {
    for (const { id, team, startedAt, status } of await listRuns(bus)) print(`${id}  ${new Date(startedAt).toISOString()}  ${status.padEnd(9)}  ${team}`);
    return EXIT.done;
  } finally {
    await bus.close();
  }
};
