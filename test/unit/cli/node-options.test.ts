/** Who starts Node on Troupe says the same. `troupe up`: test/e2e/processes.test.ts. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { NODE_OPTION, nodeOptions, V8_FLAG } from '../../../src/cli/node-options.ts';

const exec = promisify(execFile);
const read = (file: string): string => readFileSync(join(import.meta.dirname, '../../..', file), 'utf8');

test.each([
  { file: 'Dockerfile', says: `ENTRYPOINT ["node", "${NODE_OPTION}", "/troupe/bin/troupe.cjs"]` },
  { file: 'package.json', says: `"start": "node ${NODE_OPTION} bin/troupe.cjs ` },
  { file: 'docs/bus.md', says: `\`NODE_OPTIONS=${NODE_OPTION}\`` },
  { file: 'src/cli/main.ts', says: '\ntuneV8();\n' },
  { file: 'docs/bus.md', says: `\`node ${V8_FLAG} ${NODE_OPTION} app.js\`` },
])('$file says what `troupe up` says', ({ file, says }) => {
  expect(read(file)).toContain(says);
});

test('options that are there already come last, and so count', () => {
  expect(nodeOptions(undefined)).toBe(NODE_OPTION);
  expect(nodeOptions('')).toBe(NODE_OPTION);
  expect(nodeOptions('--max-semi-space-size=64')).toBe(`${NODE_OPTION} --max-semi-space-size=64`);
});

test("this Node's V8 knows the flag, or the process would end with 'bad option'", async () => {
  const { stdout } = await exec(process.execPath, [V8_FLAG, '--eval', 'console.log("it runs")']);
  expect(stdout).toBe('it runs\n');
});
