/** How long the command takes to be there. */
import { execFile, spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { median, tell, timed } from './measure.ts';

const exec = promisify(execFile);
const root = join(import.meta.dirname, '..');
const troupe = join(root, 'bin/troupe.cjs');

/** From the start of `troupe run` to the moment at which its first model call reaches a server. */
const toFirstCall = async (): Promise<number> => {
  const folder = await mkdtemp(join(tmpdir(), 'troupe-bench-'));
  const { promise: called, resolve } = Promise.withResolvers<void>();
  const server = createServer((_, response) => {
    resolve();
    response.writeHead(401, { 'content-type': 'application/json' }).end('{"error":{"message":"no"}}');
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  const env = { ...process.env, OPENAI_API_KEY: 'bench', OPENAI_BASE_URL: `http://127.0.0.1:${port}/v1` };
  const began = performance.now();
  const child = spawn(process.execPath, [troupe, 'run', join(root, 'examples/brief/team.yaml'), 'What is this?'], { cwd: folder, env, stdio: 'ignore' });
  await called;
  const ms = performance.now() - began;
  await new Promise((ended) => child.once('close', ended));
  server.close();
  await rm(folder, { recursive: true, force: true });
  return ms;
};

export const measureColdStart = async (): Promise<void> => {
  const bare = await timed(() => exec(process.execPath, ['-e', '0']), 9);
  tell('troupe --help', await timed(() => exec(process.execPath, [troupe, '--help']), 9), 'ms', { what: 'node alone', value: bare });
  const calls: number[] = [];
  for (let i = 0; i < 7; i++) calls.push(await toFirstCall());
  tell('troupe run, to the first model call', median(calls), 'ms', { what: 'node alone', value: bare });
};
