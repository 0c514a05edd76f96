/** A process that plays parts of a team until it is told to stop: what `troupe agent` and `troupe budget-server` have in common. */
import { isInMemory, openBus } from '../bus/open.ts';
import { TroupeError } from '../protocols/failure.ts';
import { Service, type ServiceChange } from '../topology/service.ts';
import { standardModels, standardTools } from '../topology/standard.ts';
import type { Team } from '../topology/team.ts';
import { EXIT, say } from './exit.ts';
import { logStep, openLog, type LogOptions } from './log.ts';
import { listParts, shortHost } from './parts.ts';
import { hearSignals } from './signals.ts';
import { version } from './version.ts';

export type ServeOptions = LogOptions & {
  readonly input?: Readonly<Record<string, string>>;
  readonly bus: string;
  /** Seconds that what is under way has to end when the process is told to stop. */
  readonly drain: number;
};

/** Beyond the deadline, for what was broken off to be written down; a bus that is away is not waited for any longer. */
const GRACE_MS = 5_000;

/** Ends with exit code 0 when it was told to stop. Errors: USAGE, MODEL_NOT_READY, ACCOUNT_UNKNOWN, BUS_*. */
export const serve = async (team: Team, plays: readonly string[], concurrency: number, options: ServeOptions): Promise<number> => {
  refuseMemory(options.bus);
  const log = openLog(options);
  const signals = hearSignals();
  const bus = await openBus(options.bus);
  const service = await Service.open({
    bus,
    team,
    plays,
    concurrency,
    version,
    models: standardModels(),
    tools: standardTools(),
    observe: (seen) => logStep(log, seen),
    onChange: (change) => say(lineOf(change)),
  });
  const atOnce = plays.some((part) => Object.hasOwn(team.agents, part)) ? `, ${concurrency} actors at once` : '';
  say(`${shortHost(service.id)}: plays ${listParts(plays)} of team ${team.name}${modelsOf(service.models)}${atOnce}, bus ${bus.name}`);
  const why = await Promise.race([signals.first, orphaned(), service.failed]);
  const { load } = service;
  say(load === 0 ? `${why}: stops` : `${why}: takes nothing on any more; ${load} under way, ${options.drain} s to end`);
  const left = service.close(options.drain * 1_000).then(() => bus.close());
  await Promise.race([left, service.failed, later(options.drain * 1_000 + GRACE_MS)]);
  if (load > 0) say('stopped; what had not ended is handed over');
  return EXIT.done;
};

/** Error: USAGE. */
export const refuseMemory = (bus: string): void => {
  if (isInMemory(bus))
    throw new TroupeError('USAGE', 'processes of their own need a bus that all of them reach: a file or a server with --bus, and not memory');
};

const modelsOf = (models: Readonly<Record<string, string>>): string => {
  const named = [...new Set(Object.values(models))];
  return named.length === 0 ? '' : ` on ${named.join(', ')}`;
};

/** Whoever started the process for itself, as `troupe up` does, is gone. */
const orphaned = (): Promise<string> =>
  new Promise((resolve) => {
    if (!process.channel) return;
    process.once('disconnect', () => resolve('whoever started this process is gone'));
    process.channel.unref();
  });

const later = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms).unref());

const lineOf = (change: ServiceChange): string => {
  switch (change.kind) {
    case 'taken':
      return `took ${change.unit}${change.from === undefined ? '' : ` over from ${shortHost(change.from)}`}`;
    case 'let go':
      return `let go ${change.unit}`;
    case 'silent':
      return `${shortHost(change.host)} is silent or dead: what it had is free`;
    case 'fenced':
      return 'this process was silent for too long: others have what it had';
    case 'back':
      return 'takes part again';
    case 'bus away':
      return 'the bus does not answer: nothing is begun until it does';
    case 'bus back':
      return 'the bus answers again';
    case 'run ended':
      return `${change.run} has ended`;
  }
};
