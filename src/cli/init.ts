/** `troupe init`: a folder with a team that runs as it stands, and a test of it that needs no key and no network. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TroupeError } from '../protocols/failure.ts';
import { EXIT, print } from './exit.ts';
import { inShell } from './next-command.ts';

export type InitOptions = { readonly topology: string };

/** The `topology` block of each; the agents are the same under all of them. */
const TOPOLOGIES: Readonly<Record<string, string>> = {
  centralised: `# The supervisor makes the plan, gives its steps to the workers, and puts one answer together.
topology:
  kind: centralised
  supervisor: lead
  workers: [searcher, reader]
  reviewer: checker
`,
  workflow: `# The plan stands here. Steps that do not need each other run at the same time.
topology:
  kind: workflow
  supervisor: lead
  reviewer: checker
  steps:
    - { id: rules, agent: searcher, task: Find what the documents say about refunds. }
    - { id: hours, agent: reader, task: Find when the desk is open., on_failure: continue }
    - { id: answer, agent: searcher, task: Answer the question from the findings., needs: [rules, hours] }
`,
  hierarchical: `# A step may go to a team: the research below has a supervisor and workers of its own.
topology:
  kind: centralised
  supervisor: lead
  workers: [research, reader]
  reviewer: checker
`,
  router: `# The supervisor says whom the question is for, and that agent's answer is the answer.
topology:
  kind: router
  supervisor: lead
  reviewer: checker
  routes:
    - { agent: searcher, when: "questions about refunds, returns and receipts" }
    - { agent: reader, when: "questions about the desk itself: its hours and where it is" }
  fallback: searcher
`,
  peers: `# Nobody leads: the agents take positions, object to each other's, and vote.
topology:
  kind: peers
  peers: [searcher, reader]
  protocol: debate
  rounds: 2
`,
};

export const TOPOLOGY_NAMES = Object.keys(TOPOLOGIES);

/** For whom there is work where somebody leads. */
const LED = `
  lead:
    kind: supervisor
    role: the editor of a help desk
    goal: One short answer that a customer can trust, with the source of each statement.

  checker:
    kind: reviewer
    role: a fact checker
    tools: [check_quotes]
`;

/** The team within the team, beside the agents that all topologies have. */
const RESEARCH = `
  research:
    kind: team
    role: researchers who find what the documents say
    topology: { kind: workflow, supervisor: head, steps: [{ id: look, agent: searcher, task: Find what the documents say about the question. }] }

  head:
    kind: supervisor
    role: the head of research
`;

const teamFile = (topology: string): string => `# yaml-language-server: $schema=./node_modules/troupe/schema/team.schema.json
#
#   troupe run team.yaml
#   troupe run team.yaml "When is the desk open?"

name: help-desk
task: How long may a refund take, and when is the desk open?

inputs:
  docs: { folder: ./docs, description: The documents to read. }

# The first whose provider is ready. \`extractive\` needs no key and no network: it quotes what it finds.
models:
  default: [openai/gpt-4.1-mini, extractive/classic]

agents:
  searcher:
    kind: worker
    role: a researcher who searches before reading
    tools: [search_files, read_file]

  reader:
    kind: worker
    role: a clerk who knows the documents by their names
    tools: [list_files, read_file]
${topology === 'peers' ? '' : LED}${topology === 'hierarchical' ? RESEARCH : ''}
${TOPOLOGIES[topology]!}
# Dollars. No call is made that could go beyond the limit.
budget:
  limit: 0.05
`;

const DOCUMENT = `# The help desk

The desk is open on weekdays, from nine to five.

## Refunds

A refund is paid within 14 days of the return.
Without a receipt, a return is exchanged and not refunded.
`;

const TEST = `// The team offline, on the model that needs no key: node --test
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';

test('the team answers from its documents, within its budget', async () => {
  const env = { ...process.env, OPENAI_API_KEY: '' };
  const { stdout } = await promisify(execFile)('npx', ['troupe', 'run', 'team.yaml', '--json', '--quiet', '--bus', 'memory'], { cwd: import.meta.dirname, env });
  const { status, answer, citations, spentNanos, limitNanos } = JSON.parse(stdout);
  assert.equal(status, 'completed');
  assert.match(answer, /14 days/);
  assert.ok(citations.length > 0);
  assert.ok(BigInt(spentNanos) <= BigInt(limitNanos));
});
`;

/** Errors: USAGE, INIT_EXISTS (a file of that name is there already; nothing is overwritten). */
export const init = async (folder: string, { topology }: InitOptions): Promise<number> => {
  if (!Object.hasOwn(TOPOLOGIES, topology)) throw new TroupeError('USAGE', `unknown topology "${topology}"; known: ${TOPOLOGY_NAMES.join(', ')}`);
  const files = { 'team.yaml': teamFile(topology), 'team.test.mjs': TEST, 'docs/desk.md': DOCUMENT };
  await mkdir(join(folder, 'docs'), { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    try {
      await writeFile(join(folder, name), text, { flag: 'wx' });
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
      throw new TroupeError('INIT_EXISTS', `${join(folder, name)} is there already; name another folder`, { cause });
    }
  }
  print(
    [
      ...Object.keys(files).map((name) => join(folder, name)),
      '',
      `troupe run ${inShell(join(folder, 'team.yaml'))}`,
      `node --test ${inShell(join(folder, 'team.test.mjs'))}`,
    ].join('\n'),
  );
  return EXIT.done;
};
