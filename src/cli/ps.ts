/** `troupe ps`: the processes on a bus and what they host; or the actors of one run. */
import { parseAddress } from '../protocols/ids.ts';
import type { HostRecord } from '../runtime/presence.ts';
import { leasesOn, listProcesses, type TroupeProcess } from '../topology/processes.ts';
import { BUDGET_PART } from '../topology/service.ts';
import { watchRun } from '../topology/watch-run.ts';
import { ago } from './ago.ts';
import { EXIT, print, printJson, say } from './exit.ts';
import { listParts, nameOf, shortHost } from './parts.ts';
import { table } from './table.ts';
import { withBus } from './with-bus.ts';

export type PsOptions = { readonly bus: string; readonly run?: string; readonly json: boolean };

export const ps = (options: PsOptions): Promise<number> => (options.run === undefined ? processes(options) : actors(options.run, options));

const processes = ({ bus: address, json }: PsOptions): Promise<number> =>
  withBus(address, async (bus) => {
    const now = Date.now();
    const listed = await listProcesses(bus, now);
    if (json) printJson({ processes: listed.map(processJson) });
    else if (listed.length === 0) say(`no process is on ${bus.name}`);
    else {
      const lines = table([
        ['HOST', 'PROCESS', 'PLAYS', 'LOAD', 'VERSION', 'TEAM', 'UP', 'HEARD', 'STATE'],
        ...listed.map(({ record, units, dead }) => rowOf(record, units.length, dead, now)),
      ]);
      print(lines[0]!);
      for (const [index, { units }] of listed.entries()) {
        print(lines[index + 1]!);
        for (const unit of units) print(`  ${unit}`);
      }
    }
    return EXIT.done;
  });

const rowOf = ({ id, pid, machine, startedAt, serves, version, draining, renewedAt }: HostRecord, load: number, dead: boolean, now: number): string[] => [
  shortHost(id),
  `${pid}@${machine}`,
  serves ? listParts(serves.agents) : 'whole runs',
  serves ? loadOf(serves, load) : String(load),
  version ?? '-',
  serves ? `${serves.team} ${serves.hash.slice(0, 8)}` : '-',
  ago(now - startedAt),
  renewedAt === undefined ? '-' : `${ago(now - renewedAt)} ago`,
  dead ? 'dead' : draining ? 'draining' : 'up',
];

/** Accounts are hosted by all budget servers at once, and count for none. */
const loadOf = ({ agents, concurrency }: NonNullable<HostRecord['serves']>, load: number): string =>
  agents.every((part) => part === BUDGET_PART) ? '-' : `${load}/${concurrency}`;

const processJson = ({ record: { id, serves, draining = false, ...rest }, dead, units }: TroupeProcess) => ({
  host: id,
  ...rest,
  ...(serves && { ...serves, agents: serves.agents.map(nameOf) }),
  state: dead ? 'dead' : draining ? 'draining' : 'up',
  hosts: units,
});

/** Folded from their logs, so that it is also known of those that nobody hosts. */
const actors = (run: string, { bus: address, json }: PsOptions): Promise<number> =>
  withBus(address, async (bus) => {
    const watch = await watchRun(bus, run);
    await watch.caughtUp;
    watch.stop();
    const leases = await leasesOn(bus, run);
    const listed = watch.actors().map(({ address: at, state, ended, effects }) => {
      const { role, agent, key } = parseAddress(at);
      const host = leases.get(at) ?? leases.get(run);
      return {
        actor: at,
        role,
        ...(agent !== undefined && { agent }),
        ...(key !== undefined && { key }),
        state,
        ended,
        calls: effects,
        ...(host !== undefined && { host }),
      };
    });
    if (json) printJson({ run, actors: listed });
    else
      for (const line of table([
        ['ROLE', 'AGENT', 'KEY', 'STATE', 'CALLS', 'HOST'],
        ...listed.map(({ role, agent = '-', key = '-', state, calls, ended, host }) => [
          role,
          agent,
          key,
          stateOf(state),
          String(calls),
          ended || host === undefined ? '-' : shortHost(host),
        ]),
      ]))
        print(line);
    return EXIT.done;
  });

/** `executing.calling`, as a chart's states are nested. */
const stateOf = (state: unknown): string => {
  if (typeof state !== 'object' || state === null) return String(state);
  return Object.entries(state)
    .map(([name, inner]) => `${name}.${stateOf(inner)}`)
    .join(' ');
};
