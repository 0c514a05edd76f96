/**
 * Writes docs/protocol from the messages' schemas and the bus's names: `node scripts/protocol-docs.ts`.
 * With `--check` it writes nothing and fails when a file there does not say what the schemas say.
 */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { publishedProtocol } from '../src/protocols/json-schema.ts';
import { asyncApiYaml } from './asyncapi.ts';

const folder = fileURLToPath(new URL('../docs/protocol', import.meta.url));
const shown = relative(process.cwd(), folder);
const wanted = new Map([...publishedProtocol(), ['asyncapi.yaml', asyncApiYaml()]]);

const found = new Map<string, string>();
for (const name of await readdir(folder).catch((): string[] => [])) found.set(name, await readFile(`${folder}/${name}`, 'utf8'));
const unknown = [...found.keys()].filter((name) => !wanted.has(name));
const stale = [...wanted].filter(([name, text]) => found.get(name) !== text);

if (process.argv.includes('--check')) {
  for (const name of unknown) console.error(`${shown}/${name} is nothing that is published: run node scripts/protocol-docs.ts`);
  for (const [name] of stale) console.error(`${shown}/${name} ${found.has(name) ? 'is stale' : 'is missing'}: run node scripts/protocol-docs.ts`);
  if (unknown.length + stale.length > 0) process.exitCode = 1;
} else {
  await mkdir(folder, { recursive: true });
  for (const name of unknown) await rm(`${folder}/${name}`);
  for (const [name, text] of stale) await writeFile(`${folder}/${name}`, text);
  console.log(`${shown}: ${stale.length} written, ${unknown.length} removed, ${wanted.size} in all`);
}
