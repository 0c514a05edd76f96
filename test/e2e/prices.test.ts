/** `troupe prices`: what models cost, for people and for programs. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { priceList } from '../../src/capabilities/model/price-list.ts';
import { createPrices } from '../../src/capabilities/model/prices.ts';
import { startCli } from '../support/cli.ts';
import { createFolder } from '../support/folder.ts';

/** Not ready to run: one of its models has no price. */
const team = `
name: desk
task: Say something.
models:
  default: [openai/unheard-of]
prices:
  openai/gpt-4o: { input: 3, output: 12, per_call: 0.001 }
  local/*: { input: 0, output: 0 }
agents:
  lead: { kind: supervisor, role: the editor }
  writer: { kind: worker, role: a writer }
topology: { kind: centralised, supervisor: lead, workers: [writer] }
budget: { limit: 0.05 }
`;

const folder = createFolder('prices', { 'team.yaml': team, 'broken.yaml': 'name: [desk\n' });
afterAll(() => folder.remove());

const prices = (...args: readonly string[]) => startCli(folder.path, ['prices', ...args]).ended;

test('the list has its version, day, source and hash, and every model that has a price', async () => {
  const { stdout, exitCode } = await prices();
  expect(exitCode).toBe(0);
  for (const said of [priceList.version, priceList.effective, priceList.source, createPrices().hash]) expect(stdout).toContain(said);
  for (const name of createPrices().known) expect(stdout).toContain(`\n${name} `);
  expect(stdout).toMatch(/^openai\/gpt-4o-mini +\$0\.1500 +\$0\.0750 +\$0\.6000$/m);
});

test('one model is explained: rates, whence, and what a call costs', async () => {
  const { stdout, exitCode } = await prices('openai/gpt-5.4');
  expect(exitCode).toBe(0);
  expect(stdout).toContain('from 272,000 tokens of input on');
  expect(stdout).toContain('a call of 1,000 tokens in and 500 out costs $0.0100\n');
  expect(stdout).toContain(`stands under openai/gpt-5.4 in the list of ${priceList.version}`);
  expect((await prices('extractive/classic')).stdout).toContain('stands under extractive/* in the list');
});

test("a team file's prices go before the list, and have another hash", async () => {
  const { stdout } = await prices('openai/gpt-4o', '--team', 'team.yaml');
  expect(stdout).toContain('each call');
  expect(stdout).toContain('costs $0.0100\n');
  expect(stdout).toContain('stands under openai/gpt-4o in team.yaml');
  expect(stdout).not.toContain(createPrices().hash);
  const listed = await prices('--team', 'team.yaml');
  expect(listed.stdout).toMatch(/^openai\/gpt-4o +\$3\.0000 +\$3\.0000 +\$12\.0000 {2}\$0\.0010 a call, team\.yaml$/m);
  expect(listed.stdout).toMatch(/^local\/\* .*team\.yaml$/m);
});

test('programs get nano-dollars', async () => {
  const one = JSON.parse((await prices('local/llama', '--team', 'team.yaml', '--json')).stdout) as unknown;
  expect(one).toMatchObject({
    model: 'local/llama',
    name: 'local/*',
    from: 'team',
    rates: { inputNanosPerMtok: '0', outputNanosPerMtok: '0' },
    exampleNanos: '0',
  });
  const all = JSON.parse((await prices('--json')).stdout) as { models: unknown[] };
  expect(all).toMatchObject({ version: priceList.version, effective: priceList.effective, source: priceList.source, hash: createPrices().hash });
  expect(all.models).toHaveLength(createPrices().known.length);
});

test('a model without a price is refused with the nearest, as wrong usage', async () => {
  const { stderr, stdout, exitCode } = await prices('openai/gpt-4o-mni');
  expect(exitCode).toBe(2);
  expect(stdout).toBe('');
  expect(stderr).toContain('nearest: openai/gpt-4o-mini');
  expect(stderr).toContain('(PRICE_UNKNOWN)');
  const asked = await prices('openai/gpt-4o-mni', '--json');
  expect(asked.exitCode).toBe(2);
  expect(JSON.parse(asked.stdout)).toMatchObject({ failure: { code: 'PRICE_UNKNOWN' } });
});

test.each([
  ['nothere.yaml', 'TEAM_FILE_MISSING'],
  ['broken.yaml', 'broken.yaml:'],
])('a team file that cannot be read is wrong usage: %s', async (file, said) => {
  const { stderr, exitCode } = await prices('--team', file);
  expect(exitCode).toBe(2);
  expect(stderr).toContain(said);
});

test('a reader that has read enough is no failure', async () => {
  const child = spawn(process.execPath, [join(import.meta.dirname, '../../bin/troupe.cjs'), 'prices'], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  expect(await once(child, 'close')).toEqual([0, null]);
  expect(said).toBe('');
});
