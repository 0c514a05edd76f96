/**
 * Writes schema/team.schema.json from the team file's schema, for editors: `node scripts/team-schema.ts`.
 * With `--check` it writes nothing and fails when the file does not say what the schema says.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { teamJsonSchema } from '../src/topology/json-schema.ts';

const path = fileURLToPath(new URL('../schema/team.schema.json', import.meta.url));
const shown = relative(process.cwd(), path);
const wanted = `${JSON.stringify(teamJsonSchema(), null, 2)}\n`;

if (process.argv.includes('--check')) {
  const found = await readFile(path, 'utf8').catch(() => undefined);
  if (found !== wanted) {
    console.error(`${shown} ${found === undefined ? 'is missing' : 'is stale'}: run node scripts/team-schema.ts`);
    process.exitCode = 1;
  }
} else {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, wanted);
  console.log(`wrote ${shown}`);
}
