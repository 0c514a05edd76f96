/** The command line as people meet it: a process of its own, in a folder of its own, without the keys of whoever runs the tests. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { openBus } from '../../src/bus/open.ts';
import type { Bus } from '../../src/bus/port.ts';
import { eventually } from './eventually.ts';
import { createFolder, type TestFolder } from './folder.ts';
import { startNatsServer } from './nats-server.ts';

const ROOT = join(import.meta.dirname, '../..');

export type Ended = { readonly exitCode: number | null; readonly stdout: string; readonly stderr: string };

export type CliProcess = {
  /** What it has said so far. */
  readonly stdout: string;
  readonly stderr: string;
  readonly ended: Promise<Ended>;
  kill(signal: NodeJS.Signals): void;
  /** Resolves when stderr has so many lines, or the process has ended. */
  lines(count: number): Promise<void>;
};

export type CliOptions = {
  /** Environment variables beside PATH. */
  readonly env?: Readonly<Record<string, string>>;
  readonly bin?: string;
};

const processes = new Set<CliProcess>();
process.once('exit', () => {
  for (const one of processes) one.kill('SIGKILL');
});

const countLines = (text: string): number => text.split('\n').length - 1;

export const startCli = (cwd: string, args: readonly string[], { env = {}, bin = join(ROOT, 'bin/troupe.cjs') }: CliOptions = {}): CliProcess => {
  const child = spawn(process.execPath, [bin, ...args], { cwd, env: { PATH: process.env['PATH'], HOME: cwd, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8');
    child[stream].on('data', (text: string) => (said[stream] += text));
  }
  let over = false;
  const ended = once(child, 'close').then(([exitCode]): Ended => {
    over = true;
    processes.delete(running);
    return { exitCode: exitCode as number | null, ...said };
  });
  const running: CliProcess = {
    get stdout() {
      return said.stdout;
    },
    get stderr() {
      return said.stderr;
    },
    ended,
    kill: (signal) => void child.kill(signal),
    lines: (count) => eventually(`${count} lines on stderr`, () => over || countLines(said.stderr) >= count, 60_000),
  };
  processes.add(running);
  return running;
};

/** A working folder in which commands run, on one bus. */
export type Desk = {
  readonly folder: TestFolder;
  /** For whoever has to tell a command: nothing for the default. */
  readonly busArgs: readonly string[];
  start(args: readonly string[], options?: CliOptions): CliProcess;
  run(args: readonly string[], options?: CliOptions): Promise<Ended>;
  /** The bus as another process sees it. */
  openBus(): Promise<Bus>;
};

/** A bus on which runs can live; each desk has a folder of its own, and so, for the embedded one, a file of its own. */
export type TestBus = { desk(files: Readonly<Record<string, string>>): Desk; dispose(): Promise<void> };

const deskWith = (files: Readonly<Record<string, string>>, busArgs: readonly string[], address: (folder: string) => string): Desk => {
  const folder = createFolder('desk', files);
  const start: Desk['start'] = (args, options) => startCli(folder.path, [...args, ...busArgs], options);
  return { folder, busArgs, start, run: (args, options) => start(args, options).ended, openBus: () => openBus(address(folder.path)) };
};

export const testBuses: Readonly<Record<'embedded' | 'nats', () => Promise<TestBus>>> = {
  embedded: async () => {
    const desks: Desk[] = [];
    return {
      desk: (files) => {
        const desk = deskWith(files, [], (folder) => `embedded:${join(folder, '.troupe/bus.db')}`);
        desks.push(desk);
        return desk;
      },
      dispose: async () => desks.forEach(({ folder }) => folder.remove()),
    };
  },
  nats: async () => {
    const server = await startNatsServer();
    const desks: Desk[] = [];
    return {
      desk: (files) => {
        const desk = deskWith(files, ['--bus', server.url], () => server.url);
        desks.push(desk);
        return desk;
      },
      dispose: async () => {
        desks.forEach(({ folder }) => folder.remove());
        await server.dispose();
      },
    };
  },
};

/** The id of the run that a command speaks of, as soon as it does. */
export const runIdIn = (stderr: string): string | undefined => /\br-[a-z0-9]{4,32}\b/.exec(stderr)?.[0];

/** The team file of the example, where commands that run elsewhere find it. */
export const BRIEF = join(ROOT, 'examples/brief/team.yaml');
if (!existsSync(BRIEF)) throw new Error(`${BRIEF} is gone`);
