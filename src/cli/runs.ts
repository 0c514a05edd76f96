/** `troupe runs`: the runs on a bus, a line each. */
import { listRuns } from '../topology/remote.ts';
import { EXIT, print, printJson } from './exit.ts';
import { withBus } from './with-bus.ts';

export const runs = ({ bus: address, json }: { readonly bus: string; readonly json: boolean }): Promise<number> =>
  withBus(address, async (bus) => {
    const listed = await listRuns(bus);
    if (json) printJson({ runs: listed.map(({ id, team, status, startedAt }) => ({ run: id, team, status, startedAt })) });
    else for (const { id, team, startedAt, status } of listed) print(`${id}  ${new Date(startedAt).toISOString()}  ${status.padEnd(9)}  ${team}`);
    return EXIT.done;
  });
