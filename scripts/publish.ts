/** Generated files of one folder: written, or with `--check` on the command line only compared with what is there. */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * `folder` is as the repository names it, `wanted` all that is to be in it, by name. With `--check` the process fails when
 * something there is missing, stale, or not wanted.
 */
export const publish = async (folder: string, wanted: ReadonlyMap<string, string>): Promise<void> => {
  const path = fileURLToPath(new URL(`../${folder}`, import.meta.url));
  const command = `node ${relative(process.cwd(), process.argv[1]!)}`;
  const found = new Map<string, string>();
  for (const name of await readdir(path).catch((): string[] => [])) found.set(name, await readFile(`${path}/${name}`, 'utf8'));
  const unknown = [...found.keys()].filter((name) => !wanted.has(name));
  const stale = [...wanted].filter(([name, text]) => found.get(name) !== text);

  if (process.argv.includes('--check')) {
    for (const name of unknown) console.error(`${folder}/${name} is nothing that is published: run ${command}`);
    for (const [name] of stale) console.error(`${folder}/${name} ${found.has(name) ? 'is stale' : 'is missing'}: run ${command}`);
    if (unknown.length + stale.length > 0) process.exitCode = 1;
  } else {
    await mkdir(path, { recursive: true });
    for (const name of unknown) await rm(`${path}/${name}`);
    for (const [name, text] of stale) await writeFile(`${path}/${name}`, text);
    console.log(`${folder}: ${stale.length} written, ${unknown.length} removed, ${wanted.size} in all`);
  }
};
