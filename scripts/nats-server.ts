/**
 * Brings a nats-server and prints its path: `node scripts/nats-server.ts`. Looks, in this order, at
 *
 *   1. TROUPE_NATS_SERVER, a path
 *   2. the PATH
 *   3. the cache: $XDG_CACHE_HOME/troupe or ~/.cache/troupe
 *   4. on Debian and its kin: the distribution's package, unpacked into that cache
 *
 * The fourth needs no root and changes nothing of the system: apt runs with lists, state and cache of its own. Its signature
 * checks are on, with the machine's own Debian keyring. Debian 12 has a server that is too old, so there the package comes from
 * Debian 13 by the same mirror; the server is one static binary and runs on both.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

const OLDEST = [2, 10] as const;
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

const HELP = `no nats-server ${OLDEST.join('.')} or newer was found, and none could be fetched. Any of these brings one:
  macOS            brew install nats-server
  Windows          winget install NATSAuthors.NATSServer, or scoop install nats-server, or choco install nats-server
  Debian, Ubuntu   apt-get install nats-server (Debian 13, Ubuntu 24.04 or newer)
  Go               go install github.com/nats-io/nats-server/v2@latest
  Docker           docker cp "$(docker create nats:2.10)":/nats-server .
Then put it on the PATH, or set TROUPE_NATS_SERVER to its path.`;

let found: Promise<string> | undefined;

/** The path of a server that is new enough; fetches it when the machine has none. The error says how to get one. */
export const natsServerPath = (): Promise<string> => (found ??= find());

const find = async (): Promise<string> => {
  const given = process.env['TROUPE_NATS_SERVER'];
  if (given !== undefined && given !== '') {
    if (await isUsable(given)) return given;
    throw new Error(
      `TROUPE_NATS_SERVER=${given}: expected a nats-server ${OLDEST.join('.')} or newer, found ${(await versionOf(given))?.join('.') ?? 'none that runs'}`,
    );
  }
  const file = process.platform === 'win32' ? 'nats-server.exe' : 'nats-server';
  const cached = join(cacheFolder(), file);
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  for (const path of [...folders.map((folder) => join(folder, file)), cached]) {
    if (existsSync(path) && (await isUsable(path))) return path;
  }
  try {
    await fetchPackage(cached);
  } catch (cause) {
    throw new Error(`${HELP}\n\nFetching failed: ${cause instanceof Error ? cause.message.trim() : String(cause)}`, { cause });
  }
  if (await isUsable(cached)) return cached;
  throw new Error(`${HELP}\n\nThe distribution's package has version ${(await versionOf(cached))?.join('.') ?? 'unknown'}.`);
};

const cacheFolder = (): string => join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'troupe');

const versionOf = async (path: string): Promise<[number, number, number] | undefined> => {
  const output = await run(path, ['--version']).then(
    ({ stdout }) => stdout,
    () => '',
  );
  const match = /v(\d+)\.(\d+)\.(\d+)/.exec(output);
  return match ? [Number(match[1]), Number(match[2]), Number(match[3])] : undefined;
};

const isUsable = async (path: string): Promise<boolean> => {
  const version = await versionOf(path);
  return version !== undefined && (version[0] > OLDEST[0] || (version[0] === OLDEST[0] && version[1] >= OLDEST[1]));
};

/** The work is done in a folder beside the target and the result renamed into place, so any number of processes may do it at once. */
const fetchPackage = async (target: string): Promise<void> => {
  if (!existsSync('/usr/bin/apt-get')) throw new Error('this machine has no apt-get');
  process.stderr.write('nats-server: fetching the Debian package into the cache, once\n');
  await mkdir(cacheFolder(), { recursive: true });
  const folder = await mkdtemp(join(cacheFolder(), 'fetch-'));
  try {
    const options = await aptOptions(folder);
    const apt = (...args: string[]) => run('apt-get', [...options, ...args], { cwd: folder, maxBuffer: 16_777_216 });
    await apt('update');
    await apt('download', 'nats-server');
    const archive = (await readdir(folder)).find((file) => file.endsWith('.deb'));
    if (archive === undefined) throw new Error('apt-get download nats-server left no package');
    await run('dpkg', ['-x', archive, 'unpacked'], { cwd: folder });
    const binaries = ['usr/sbin', 'usr/bin'].map((place) => join(folder, 'unpacked', place, 'nats-server'));
    const ready = join(folder, 'nats-server');
    await copyFile(binaries.find(existsSync) ?? binaries[0]!, ready);
    await chmod(ready, 0o755);
    await rename(ready, target);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

/** An apt that keeps everything it writes in `folder`. */
const aptOptions = async (folder: string): Promise<string[]> => {
  for (const each of ['lists/partial', 'cache/archives/partial']) await mkdir(join(folder, each), { recursive: true });
  await writeFile(join(folder, 'status'), '');
  const settings: Record<string, string> = {
    'Dir::State': folder,
    'Dir::State::lists': join(folder, 'lists'),
    'Dir::State::status': join(folder, 'status'),
    'Dir::Cache': join(folder, 'cache'),
    'Debug::NoLocking': 'true',
    'Acquire::Languages': 'none',
    // Otherwise apt run by root hands the download to a user who may not write here.
    ...(process.getuid?.() === 0 && { 'APT::Sandbox::User': 'root' }),
    ...(await sourcesFor(folder)),
  };
  return Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
};

/** The machine's own sources, but on a Debian before 13 that release's, by the machine's mirror. */
const sourcesFor = async (folder: string): Promise<Record<string, string>> => {
  const system = await readFile('/etc/os-release', 'utf8');
  const release = Number(/^VERSION_ID="?(\d+)/m.exec(system)?.[1]);
  if (!/^ID="?debian"?$/m.test(system) || !(release < 13)) return {};
  const list = join(folder, 'sources.list');
  await writeFile(list, `deb [signed-by=${KEYRING}] ${await debianMirror()} trixie main\n`);
  return { 'Dir::Etc::sourcelist': list, 'Dir::Etc::sourceparts': '-' };
};

const debianMirror = async (): Promise<string> => {
  const parts = await readdir('/etc/apt/sources.list.d').catch(() => []);
  const files = ['/etc/apt/sources.list', ...parts.map((part) => join('/etc/apt/sources.list.d', part))];
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch(() => '');
    const mirror = (file.endsWith('.sources') ? urisOfStanzas(text) : urisOfLines(text)).find((uri) => /^https?:\/\/.*\/debian\/?$/.test(uri));
    if (mirror !== undefined) return mirror;
  }
  throw new Error('no Debian mirror is named in /etc/apt/sources.list or sources.list.d');
};

/** `deb [options] uri suite component…`, one a line. */
export const urisOfLines = (text: string): string[] => [...text.matchAll(/^\s*deb\s+(?:\[[^\]]*\]\s*)?(\S+)/gm)].map((match) => match[1]!);

/** Stanzas of `Field: value`, as in *.sources; comments and disabled stanzas do not count. */
export const urisOfStanzas = (text: string): string[] =>
  text
    .replaceAll(/^#.*\n?/gm, '')
    .split(/\n\s*\n/)
    .filter((stanza) => /^Types:.*\bdeb\b(?!-)/im.test(stanza) && !/^Enabled:\s*(no|false|0)/im.test(stanza))
    .flatMap((stanza) => /^URIs:((?:.*)(?:\n[ \t]+.*)*)/im.exec(stanza)?.[1]?.trim().split(/\s+/) ?? []);

if (import.meta.main) {
  try {
    process.stdout.write(`${await natsServerPath()}\n`);
  } catch (thrown) {
    process.stderr.write(`${thrown instanceof Error ? thrown.message : String(thrown)}\n`);
    process.exitCode = 1;
  }
}
