/** `troupe runs`: the runs on a bus, a line each. */
import { formatDollars } from '../protocols/money.ts';
import { listRuns } from '../topology/remote.ts';
import { ago } from './ago.ts';
import { EXIT, print, printJson } from './exit.ts';
import { table } from './table.ts';
import { withBus } from './with-bus.ts';

export const runs = ({ bus: address, json }: { readonly bus: string; readonly json: boolean }): Promise<number> =>
  withBus(address, async (bus) => {
    const listed = await listRuns(bus);
    const now = Date.now();
    if (json) printJson({ runs: listed.map(({ id, ...rest }) => ({ run: id, ...rest })) });
    else
      for (const line of table(
        listed.map(({ id, team, startedAt, status, hosting, spentNanos }) => [
          id,
          new Date(startedAt).toISOString(),
          `${ago(now - startedAt)} ago`,
          status,
          hosting,
          spentNanos === undefined ? '-' : formatDollars(BigInt(spentNanos)),
          team,
        ]),
      ))
        print(line);
    return EXIT.done;
  });
