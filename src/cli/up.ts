/** `troupe up`: every part of a team as a process of its own on this machine. One that dies is started again; one log for all. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { styleText } from 'node:util';
import { openBus } from '../bus/open.ts';
import { TroupeError } from '../protocols/failure.ts';
import { systemClock } from '../runtime/clock.ts';
import { standardModels, standardTools } from '../topology/standard.ts';
import { hostedAgents, type Team } from '../topology/team.ts';
import { Workshop } from '../topology/workshop.ts';
import { checkAgents } from './agent.ts';
import { EXIT, say } from './exit.ts';
import { busArgument, inShell } from './next-command.ts';
import { nodeOptions } from './node-options.ts';
import { BUDGET_SERVER } from './parts.ts';
import { refuseMemory, type ServeOptions } from './serve.ts';
import { hearSignals } from './signals.ts';
import { teamToPlay } from './team-of.ts';

export type UpOptions = ServeOptions & { readonly replicas?: Readonly<Record<string, string>>; readonly concurrency: number };

/** What is started: its name in the log, and the command. */
type Part = { readonly name: string; readonly args: readonly string[] };

const BUDGET_REPLICAS = 2;
const FIRST_PAUSE_MS = 1_000;
const LAST_PAUSE_MS = 30_000;
/** Who lived so long is started again as if it had never died. */
const HEALTHY_MS = 60_000;

const COLOURS = ['cyan', 'magenta', 'yellow', 'green', 'blue', 'cyanBright', 'magentaBright', 'yellowBright', 'greenBright', 'blueBright'] as const;

export const up = async (file: string, options: UpOptions): Promise<number> => {
  refuseMemory(options.bus);
  const team = await teamToPlay(file, options);
  const parts = partsOf(file, team, options);
  // What is wrong is said once, and not by each process.
  new Workshop({ models: standardModels(), tools: standardTools(), clock: systemClock }).chooseModels(team);
  await (await openBus(options.bus)).close();

  const signals = hearSignals();
  const write = merge(process.stderr, parts);
  const kept = parts.map((part) => new Kept(part, options.bus, write(part.name)));
  say(`${parts.length} processes play team ${team.name}; start a run with: troupe run ${inShell(file)} "<task>" --detach${busArgument(options.bus)}`);
  const unusable = Promise.race(kept.map(({ unusable: found }) => found));
  const why = await Promise.race([signals.first, unusable]);
  signals.stop();
  const impatient = hearSignals();
  say(
    typeof why === 'string'
      ? `${why}: all of them are told to stop; once more ends them at once`
      : `${why.name} cannot be started as it is: all are told to stop`,
  );
  void impatient.first.then(() => kept.forEach((one) => one.kill()));
  await Promise.all(kept.map((one) => one.stop()));
  impatient.stop();
  return typeof why === 'string' ? EXIT.done : EXIT.usage;
};

/** Error: USAGE. */
const partsOf = (file: string, team: Team, { replicas = {}, input = {}, drain, concurrency, log, logLevel }: UpOptions): Part[] => {
  const shared = [
    ...Object.entries(input).flatMap(([name, value]) => ['--input', `${name}=${value}`]),
    ...['--drain', String(drain), '--log-level', logLevel],
    ...(log === undefined ? [] : ['--log', log]),
  ];
  checkAgents(
    team,
    Object.keys(replicas).filter((name) => name !== BUDGET_SERVER),
  );
  const times = (name: string, standard: number, args: readonly string[]): Part[] => {
    const count = replicas[name] === undefined ? standard : replicasOf(name, replicas[name]);
    return Array.from({ length: count }, (_, index) => ({ name: count === 1 ? name : `${name}.${index + 1}`, args: [...args, ...shared] }));
  };
  return [
    ...hostedAgents(team).flatMap(({ name }) => times(name, 1, ['agent', file, '--agent', name, '--concurrency', String(concurrency)])),
    ...times(BUDGET_SERVER, BUDGET_REPLICAS, ['budget-server', file]),
  ];
};

const replicasOf = (name: string, given: string): number => {
  if (!/^\d{1,2}$/.test(given)) throw new TroupeError('USAGE', `--replicas ${name}=${given}: expected a whole number from 0 to 99`);
  return Number(given);
};

/** One log of many: each line with the name of its process before it, in a colour on a terminal. */
const merge = (stream: NodeJS.WriteStream, parts: readonly Part[]): ((name: string) => (line: string) => void) => {
  const width = Math.max(...parts.map(({ name }) => name.length));
  return (name) => {
    const index = parts.findIndex((part) => part.name === name);
    const prefix = styleText(COLOURS[index % COLOURS.length]!, `${name.padEnd(width)} |`, { stream });
    return (line) => void stream.write(`${prefix} ${line}\n`);
  };
};

/** A process that is started again when it dies, until it is told to stop. */
class Kept {
  readonly #part: Part;
  readonly #bus: string;
  readonly #write: (line: string) => void;
  #child: ChildProcess | undefined;
  #pauseMs = FIRST_PAUSE_MS;
  #waiting: NodeJS.Timeout | undefined;
  #isStopping = false;
  readonly unusable: Promise<Part>;
  #refuse!: (part: Part) => void;

  constructor(part: Part, bus: string, write: (line: string) => void) {
    this.#part = part;
    this.#bus = bus;
    this.#write = write;
    this.unusable = new Promise((resolve) => (this.#refuse = resolve));
    this.#start();
  }

  /** Tells it to drain; resolves when it has ended. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#waiting);
    const child = this.#child;
    if (!child) return;
    const ended = once(child, 'close');
    child.kill('SIGTERM');
    await ended;
  }

  /** At once. */
  kill(): void {
    this.#child?.kill('SIGKILL');
  }

  /** In a group of its own: Ctrl-C is for this process, which tells the others. The channel tells them when it is gone. */
  #start(): void {
    const startedAt = Date.now();
    const child = spawn(process.execPath, [...process.execArgv, process.argv[1]!, ...this.#part.args], {
      detached: true,
      // The address is not among the arguments, which everybody on the machine can read.
      env: { ...process.env, NODE_OPTIONS: nodeOptions(process.env['NODE_OPTIONS']), TROUPE_BUS: this.#bus },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    this.#child = child;
    for (const stream of [child.stdout!, child.stderr!]) createInterface({ input: stream }).on('line', this.#write);
    child.once('close', (code, signal) => {
      this.#child = undefined;
      if (this.#isStopping) return;
      const ended = signal ?? `exit code ${code}`;
      if (code === EXIT.usage) {
        this.#write(`ended with ${ended}`);
        return this.#refuse(this.#part);
      }
      if (Date.now() - startedAt >= HEALTHY_MS) this.#pauseMs = FIRST_PAUSE_MS;
      this.#write(`ended with ${ended}; it is started again in ${this.#pauseMs / 1_000} s`);
      this.#waiting = setTimeout(() => this.#start(), this.#pauseMs);
      this.#pauseMs = Math.min(this.#pauseMs * 2, LAST_PAUSE_MS);
    });
  }
}
