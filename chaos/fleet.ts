/** The processes of a chaos run, each behind a link of its own; one that ends is started again. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, type WriteStream } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as timer } from 'node:timers/promises';
import { promisify } from 'node:util';
import { faultyLinkTo, type FaultyLink } from '../test/support/faulty-link.ts';
import { SERVED, teamPath } from './teams.ts';

const run = promisify(execFile);

const BIN = join(import.meta.dirname, '../bin/troupe.cjs');

/** Who is started how often, by which command. */
const PARTS: readonly (readonly [name: string, replicas: number, args: (team: string) => readonly string[]])[] = [
  ['lead', 2, (team) => ['agent', team, '--agent', 'lead']],
  ['reader', 3, (team) => ['agent', team, '--agent', 'reader']],
  ['checker', 2, (team) => ['agent', team, '--agent', 'checker']],
  ['budget', 2, (team) => ['budget-server', team]],
];
const DRAIN_S = 5;

/** How a process ends that finds no server, or loses it for too long: whoever looks after it starts it again. */
const BUS_IS_AWAY = /BUS_(UNREACHABLE|UNAVAILABLE|CLOSED)/;

const RESTART_MS = 250;

const children = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

export type Sample = { readonly at: number; readonly megabytes: number };

/** One place in the fleet: whatever process has it at the moment. */
export class Post {
  readonly name: string;
  readonly link: FaultyLink;
  /** Of every process that ever had it: how it ended, when nobody had asked it to. */
  readonly accidents: string[] = [];
  readonly memory: Sample[] = [];
  isStopped = false;
  #child: ChildProcess | undefined;
  #asked = false;
  #closed = false;
  #startedAt = 0;
  readonly #start: (link: FaultyLink) => ChildProcess;

  constructor(name: string, link: FaultyLink, start: (link: FaultyLink) => ChildProcess) {
    this.name = name;
    this.link = link;
    this.#start = start;
  }

  get pid(): number | undefined {
    return this.#child?.exitCode === null && this.#child.signalCode === null ? this.#child.pid : undefined;
  }

  get ageMs(): number {
    return Date.now() - this.#startedAt;
  }

  begin(): void {
    if (this.#closed) return;
    const child = this.#start(this.link);
    this.#child = child;
    this.#startedAt = Date.now();
    this.#asked = false;
    this.isStopped = false;
    children.add(child);
    let said = '';
    child.stderr!.on('data', (text: Buffer) => (said = (said + text.toString()).slice(-2_000)));
    child.once('exit', (code, signal) => {
      children.delete(child);
      const wasAsked = this.#asked && (code === 0 || signal !== null);
      if (!wasAsked && !BUS_IS_AWAY.test(said)) this.accidents.push(`${this.name} (pid ${child.pid}) ended with ${code ?? signal}: ${said.slice(-300)}`);
      void timer(RESTART_MS).then(() => this.begin());
    });
  }

  kill9(): void {
    this.#asked = true;
    this.#child?.kill('SIGKILL');
  }

  /** Drains it, and resolves when another process has its place. */
  terminate(): void {
    this.#asked = true;
    this.#child?.kill('SIGTERM');
  }

  stop(): void {
    this.isStopped = true;
    this.#child?.kill('SIGSTOP');
  }

  goOn(): void {
    this.isStopped = false;
    this.#child?.kill('SIGCONT');
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.pid !== undefined) {
      const ended = once(this.#child!, 'exit');
      this.kill9();
      await ended;
    }
    await this.link.close();
  }
}

export class Fleet {
  readonly posts: readonly Post[];
  readonly #log: WriteStream;
  #watching: NodeJS.Timeout | undefined;

  private constructor(posts: readonly Post[], log: WriteStream) {
    this.posts = posts;
    this.#log = log;
  }

  /** `folder`: where the teams are; what processes say goes to `agents.log` in it. */
  static async open(folder: string, serverPort: number, modelUrl: string): Promise<Fleet> {
    const log = createWriteStream(join(folder, 'agents.log'));
    const env = { PATH: process.env['PATH'], HOME: folder, OPENAI_BASE_URL: modelUrl };
    const names = PARTS.flatMap(([name, replicas, args]) =>
      Array.from({ length: replicas }, (_, number) => [`${name}-${number + 1}`, args(teamPath(folder, SERVED))] as const),
    );
    const posts = await Promise.all(
      names.map(async ([name, args]) => {
        const start = (link: FaultyLink): ChildProcess => {
          const child = spawn(process.execPath, [BIN, ...args, '--bus', link.url, '--drain', String(DRAIN_S)], {
            cwd: folder,
            env,
            stdio: ['ignore', 'pipe', 'pipe'],
          });
          for (const stream of [child.stdout, child.stderr])
            stream.on('data', (text: Buffer) => log.write(text.toString().replaceAll(/^(?=.)/gm, `${name} ${child.pid} `)));
          return child;
        };
        return new Post(name, await faultyLinkTo(serverPort), start);
      }),
    );
    const fleet = new Fleet(posts, log);
    for (const post of posts) post.begin();
    fleet.#watching = setInterval(() => void fleet.#weigh(), 2_000);
    return fleet;
  }

  byPid(pid: number): Post | undefined {
    return this.posts.find((post) => post.pid === pid);
  }

  async #weigh(): Promise<void> {
    const byPid = new Map(this.posts.flatMap((post) => (post.pid === undefined ? [] : [[post.pid, post] as const])));
    if (byPid.size === 0) return;
    const { stdout } = await run('ps', ['-o', 'pid=,rss=', '-p', [...byPid.keys()].join(',')]).catch(({ stdout: said = '' }: { stdout?: string }) => ({
      stdout: said,
    }));
    for (const line of stdout.trim().split('\n')) {
      const [pid, kilobytes] = line.trim().split(/\s+/).map(Number);
      if (kilobytes !== undefined) byPid.get(pid!)?.memory.push({ at: Date.now(), megabytes: kilobytes / 1024 });
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#watching);
    await Promise.all(this.posts.map((post) => post.close()));
    this.#log.end();
  }
}
