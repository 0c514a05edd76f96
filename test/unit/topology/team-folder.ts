/** A folder with a team file and documents, and what a small installation knows. */
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tokensCost } from '../../../src/protocols/money.ts';
import type { Catalogue } from '../../../src/topology/catalogue.ts';

export const catalogue: Catalogue = {
  tools: [
    { name: 'list_files', needsFolder: true },
    { name: 'search_files', needsFolder: true },
    { name: 'read_file', needsFolder: true },
    { name: 'check_quotes', needsFolder: true },
    { name: 'now', needsFolder: false },
  ],
  providers: ['openai', 'extractive'],
  models: (provider) => (provider === 'extractive' ? ['extractive/classic'] : undefined),
  price: (model) => {
    if (model === 'openai/gpt-4.1-mini') return { inputNanosPerMtok: '400000000', outputNanosPerMtok: '1600000000' };
    return model === 'extractive/classic' ? { inputNanosPerMtok: '0', outputNanosPerMtok: '0' } : undefined;
  },
  cheapestCall: (_, rates, maxTokens) =>
    tokensCost(100, BigInt(rates.inputNanosPerMtok)) + tokensCost(Math.min(64, maxTokens), BigInt(rates.outputNanosPerMtok)),
};

export const workflow = `name: compare
task: Compare what the documents say about {topic}.
inputs:
  docs: { folder: docs }
  topic: { text: budgets }
models:
  default: [openai/gpt-4.1-mini]
agents:
  lead:
    kind: supervisor
    role: an editor
  reader:
    kind: worker
    role: a researcher
    tools: [search_files, read_file]
  checker:
    kind: reviewer
    role: a fact checker
    tools: [check_quotes]
topology:
  kind: workflow
  supervisor: lead
  reviewer: checker
  steps:
    - id: find
      agent: reader
      task: Find what is said about {topic}.
    - id: compare
      agent: reader
      task: Compare it.
      needs: [find]
budget:
  limit: 0.05
`;

/** The text with its first \`from\` replaced; a text without it is a mistake of the test. */
export const edited = (text: string, from: string, to: string): string => {
  if (!text.includes(from)) throw new Error(`the text has no "${from}"`);
  return text.replace(from, () => to);
};

export const teamFolder = async (): Promise<{ path: string; write: (text: string) => Promise<void>; remove: () => Promise<void> }> => {
  const path = await realpath(await mkdtemp(join(tmpdir(), 'troupe-team-')));
  await mkdir(join(path, 'docs'));
  await writeFile(join(path, 'notes.md'), 'a file\n');
  return { path, write: (text) => writeFile(join(path, 'team.yaml'), text), remove: () => rm(path, { recursive: true }) };
};
