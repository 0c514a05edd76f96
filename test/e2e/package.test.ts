/** What people install: packed, put into an empty folder, and used from there; and what an old Node is told. */
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };
import { startCli, type Ended } from '../support/cli.ts';
import { documents, stands } from '../support/documents.ts';
import { createFolder, type TestFolder } from '../support/folder.ts';

const ROOT = join(import.meta.dirname, '../..');
const execute = promisify(execFile);

/** Packs a copy of what the package is made of, so that whoever works in the checkout does not notice. Gives the tarball's path. */
const pack = async (into: string): Promise<{ tarball: string; files: readonly string[] }> => {
  const skipped = new Set(['node_modules', '.git', '.troupe', 'dist', 'test', 'bench'].map((name) => join(ROOT, name)));
  const copy = join(into, 'copy');
  cpSync(ROOT, copy, { recursive: true, filter: (path) => !skipped.has(path) });
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  const { stdout } = await execute('npm', ['pack', '--json', '--silent', '--pack-destination', into], { cwd: copy });
  const [packed] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }];
  return { tarball: join(into, packed.filename), files: packed.files.map(({ path }) => path) };
};

describe('the package, installed into an empty folder', () => {
  let into: string;
  let files: readonly string[];
  let folder: TestFolder;
  const troupe = (...args: readonly string[]): Promise<Ended> => startCli(folder.path, args, { bin: join(folder.path, 'node_modules/.bin/troupe') }).ended;

  beforeAll(async () => {
    into = mkdtempSync(join(tmpdir(), 'troupe-pack-'));
    folder = createFolder('installed', { ...documents, 'package.json': '{ "private": true, "type": "module" }' });
    const packed = await pack(into);
    ({ files } = packed);
    await execute('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', '--prefix', folder.path, packed.tarball], { cwd: folder.path });
  }, 180_000);
  afterAll(() => {
    rmSync(into, { recursive: true, force: true });
    folder.remove();
  });

  test('it holds what was compiled and what is read at run time, and neither sources nor tests', () => {
    expect(files).toEqual(
      expect.arrayContaining(['bin/troupe.cjs', 'dist/cli/main.js', 'dist/index.d.ts', 'schema/team.schema.json', 'examples/brief/team.yaml', 'package.json']),
    );
    expect(files.filter((file) => /^(src|test|scripts|bench)\//.test(file) || /\.(db|log)$/.test(file))).toEqual([]);
  });

  test('it knows its version and its charts', async () => {
    expect(await troupe('--version')).toEqual({ exitCode: 0, stdout: `${packageJson.version}\n`, stderr: '' });
    const { exitCode, stdout } = await troupe('chart', 'worker');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^stateDiagram-v2/m);
    expect(stdout).toContain('thinking');
  });

  test('it runs its example over a folder of documents', async () => {
    const example = 'node_modules/troupe/examples/brief/team.yaml';
    const { exitCode, stdout, stderr } = await troupe('run', example, '--input', 'docs=docs', '--json', 'What happens when a payment fails?');
    expect(exitCode, stderr).toBe(0);
    const { answer, citations } = JSON.parse(stdout) as { answer: string; citations: { file: string; line: number; quote: string }[] };
    expect(answer).toContain('retries it three times within ten days');
    expect(citations.length).toBeGreaterThan(0);
    for (const citation of citations) expect(citation).toSatisfy(stands);
  });

  test('it can be imported, and nothing of it but what it exports', async () => {
    writeFileSync(
      join(folder.path, 'library.js'),
      "import { openBus, Troupe } from 'troupe'; const bus = await openBus('memory'); console.log(typeof bus.append, typeof Troupe.open); await bus.close();",
    );
    expect((await execute(process.execPath, ['library.js'], { cwd: folder.path })).stdout).toBe('function function\n');
    writeFileSync(join(folder.path, 'inside.js'), "import 'troupe/dist/cli/main.js';");
    await expect(execute(process.execPath, ['inside.js'], { cwd: folder.path })).rejects.toThrow('ERR_PACKAGE_PATH_NOT_EXPORTED');
  });
});

test.each(['18.20.4', '20.20.2', '22.17.1'])('Node %s is told in one line what is needed', async (found) => {
  const folder = createFolder('old', {
    'old-node.cjs': `
      Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${found}' } });
      Object.defineProperty(process, 'version', { value: 'v${found}' });
      require(${JSON.stringify(join(ROOT, 'bin/troupe.cjs'))});`,
  });
  try {
    const { exitCode, stdout, stderr } = await startCli(folder.path, ['--version'], { bin: join(folder.path, 'old-node.cjs') }).ended;
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toMatch(new RegExp(`^troupe needs Node 22\\.18 or newer, found v${found.replaceAll('.', '\\.')}: .+\\n$`));
  } finally {
    folder.remove();
  }
});
