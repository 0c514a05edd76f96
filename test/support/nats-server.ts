/** A nats-server of a test's own: the repository's nats.conf, a free port, a store folder that goes when it is disposed of. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { natsServerPath } from '../../scripts/nats-server.ts';
import { eventually } from './eventually.ts';

const run = promisify(execFile);

const CONFIG = join(import.meta.dirname, '../../nats.conf');

export type NatsServer = {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** As a crash does it: nothing is flushed, nobody is told. */
  kill9(): Promise<void>;
  stop(): Promise<void>;
  /** On the same port and store; stops it first if it runs. */
  restart(): Promise<void>;
  /** It holds its connections and does nothing, until `resume`. */
  pause(): Promise<void>;
  resume(): void;
  /** Stops it and removes its store. */
  dispose(): Promise<void>;
};

export type NatsServerOptions = {
  /** Added to nats.conf; a block that stands there already is replaced. */
  readonly config?: string;
  readonly port?: number;
  /** Where the server runs, with its store below; kept by `dispose` when it is given. */
  readonly storeDir?: string;
};

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Also when this process is killed and can do nothing any more: a shell notices that its input ends. */
const killWithThisProcess = (pid: number): (() => void) => {
  if (process.platform === 'win32') return () => {};
  const guard = spawn('sh', ['-c', `read -r _; kill -9 ${pid} 2>/dev/null`], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  guard.unref();
  (guard.stdin as Socket).unref();
  return () => void guard.kill('SIGKILL');
};

export const startNatsServer = async ({ config, port: wanted, storeDir }: NatsServerOptions = {}): Promise<NatsServer> => {
  const binary = await natsServerPath();
  const folder = await mkdtemp(join(tmpdir(), 'troupe-nats-'));
  const file = join(folder, 'nats.conf');
  await writeFile(file, `${await readFile(CONFIG, 'utf8')}\n${config ?? ''}\n`);

  // nats.conf names its store relative to where the server runs.
  const start = async (port: number): Promise<{ child: ChildProcess; url: string }> => {
    const child = spawn(binary, ['-c', file, '-p', String(port), '--ports_file_dir', folder], { cwd: storeDir ?? folder, stdio: ['ignore', 'ignore', 'pipe'] });
    running.add(child);
    const letGo = killWithThisProcess(child.pid!);
    child.once('exit', () => {
      running.delete(child);
      letGo();
    });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-4_000)));
    const ports = join(folder, `nats-server_${child.pid}.ports`);
    let url: string | undefined;
    await eventually('the server listens', async () => {
      if (child.exitCode !== null) throw new Error(`${binary} ended with ${child.exitCode}:\n${said}`);
      // It may be there and not be written yet.
      const text = await readFile(ports, 'utf8').catch(() => '');
      url = text.endsWith('}') ? (JSON.parse(text) as { nats: string[] }).nats[0] : undefined;
      return url !== undefined;
    });
    return { child, url: url! };
  };

  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const { child } = current;
    if (!running.has(child)) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    child.kill('SIGCONT');
    await exited;
  };

  let current = await start(wanted ?? -1);
  const { url } = current;
  const port = Number(new URL(url).port);
  return {
    url,
    port,
    get pid() {
      return current.child.pid!;
    },
    kill9: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
    restart: async () => {
      await end('SIGTERM');
      current = await start(port);
    },
    pause: async () => {
      const { child } = current;
      child.kill('SIGSTOP');
      await eventually('the server has stopped', async () => (await run('ps', ['-o', 'state=', '-p', String(child.pid)])).stdout.startsWith('T'));
    },
    resume: () => void current.child.kill('SIGCONT'),
    dispose: async () => {
      await end('SIGKILL');
      await rm(folder, { recursive: true, force: true });
    },
  };
};
