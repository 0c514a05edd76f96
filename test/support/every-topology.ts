/**
 * The same agents and the same question under every topology: one team file that differs in its `topology` alone, and a model
 * that plays each duty of it. What the model says follows from what it is asked alone, and a finding that is lost or doubled on
 * the way is lost or doubled in the answer.
 */
import type { Citation } from '../../src/protocols/formats.ts';
import type { PeerProtocol } from '../../src/protocols/peer.ts';
import type { Answer, ChatRequest } from './model-server.ts';
import { ANSWER, formatOf, QUESTION } from './research-desk.ts';

/** What bounds a run of any of them. */
export const LIMIT_NANOS = 50_000_000n;
export const DEADLINE_S = 100;
export const ROUNDS = 3;

/** `agents`: those that only this topology has. `answer`: what every run of it comes to. */
type Case = { readonly topology: string; readonly agents?: string; readonly answer: string };

const RULES = `
  concurrency: 2
  reviewer: checker`;

const peers = (protocol: PeerProtocol, answer = ANSWER): Case => ({
  topology: `
  kind: peers
  peers: [ann, bob]
  protocol: ${protocol}
  rounds: ${ROUNDS}
  reply_timeout_s: 60`,
  answer,
});

const TASKS = { failed: 'What happens when a payment fails?', opened: 'When is a suspended account opened again?' };

export const cases = {
  centralised: {
    topology: `
  kind: centralised
  supervisor: lead
  workers: [ann, bob]${RULES}`,
    answer: ANSWER,
  },
  hierarchical: {
    topology: `
  kind: centralised
  supervisor: lead
  workers: [desk, bob]${RULES}`,
    agents: `
  head: { kind: supervisor, role: the head of a desk }
  desk:
    kind: team
    topology: { kind: centralised, supervisor: head, workers: [ann], reviewer: checker }
    budget: { limit: 0.03 }`,
    answer: ANSWER,
  },
  workflow: {
    topology: `
  kind: workflow
  supervisor: lead${RULES}
  steps:
    - { id: failed, agent: ann, task: "${TASKS.failed}" }
    - { id: opened, agent: bob, task: "${TASKS.opened}" }`,
    answer: ANSWER,
  },
  router: {
    topology: `
  kind: router
  supervisor: lead${RULES}
  routes:
    - { agent: bob, when: it is about backups }
    - { agent: ann, when: it is about payments and accounts }`,
    answer: ANSWER,
  },
  'peers: contract_net': peers('contract_net'),
  'peers: debate': peers('debate'),
  'peers: refine': peers('refine'),
  'peers: gossip': peers(
    'gossip',
    '- When a payment fails, the system retries it three times within ten days. [1] (ann, bob)\n' +
      '- A suspended account is opened again once the invoice is paid. [2] (ann, bob)',
  ),
} as const satisfies Record<string, Case>;

export type TopologyName = keyof typeof cases;
export const topologyNames = Object.keys(cases) as TopologyName[];

/** Warns of those who have no part in the topology, and of nothing else. */
export const fileOf = (name: TopologyName): string => {
  const { topology, agents = '' }: Case = cases[name];
  return `name: desk
task: ${QUESTION}
inputs: { docs: { folder: docs } }
models: { default: [openai/gpt-4.1-mini] }
agents:
  lead: { kind: supervisor, role: an editor, limits: { attempts: 6 } }
  ann: { kind: worker, role: a searcher, tools: [search_files, read_file], limits: { attempts: 6 } }
  bob: { kind: worker, role: a searcher, tools: [search_files, read_file], limits: { attempts: 6 } }
  checker: { kind: reviewer, role: a checker, tools: [check_quotes], limits: { attempts: 6 } }${agents}
topology:${topology}
budget: { limit: 0.05 }
limits: { deadline_s: ${DEADLINE_S} }
`;
};

// --- the model ---------------------------------------------------------------------------------------------------------------

const topics = [
  { id: 'failed', known: /payment fails/, query: 'payment fails retries', file: 'docs/billing.md', wanted: /When a payment fails.*/ },
  { id: 'opened', known: /suspended account/, query: 'suspended account opened', file: 'docs/support.md', wanted: /A suspended account is opened.*/ },
] as const;

const asked = ({ messages }: ChatRequest): string => messages.find(({ role }) => role === 'user')!.content!;
const section = (request: ChatRequest, title: string): string => new RegExp(`# ${title}\n([^]*?)(?=\n\n# |$)`).exec(asked(request))?.[1] ?? '';
const topicsIn = (text: string) => topics.filter(({ known }) => known.test(text));
const report = (citations: readonly Citation[]): Answer => ({
  json: { text: citations.map(({ quote }, index) => `${quote} [${index + 1}]`).join(' '), citations },
});

/** What a model says to one of these teams that works as it should. */
export const sayFor = (request: ChatRequest): Answer => {
  const positions = [...section(request, 'Positions').matchAll(/^## position \((\w+)\)$/gm)].map(([, name]) => name!);
  switch (formatOf(request)) {
    case 'plan':
      return plan(request);
    case 'route':
      return { json: { agent: 'ann', confidence: 0.9, reason: 'it is about payments' } };
    case 'verdict':
      return { json: { verdict: 'accept', reasons: [], confidence: 0.9 } };
    case 'bid':
      return { json: { price: 0.001, confidence: request.messages[0]!.content!.startsWith('You are ann,') ? 0.9 : 0.5, approach: '' } };
    case 'critique':
      return { json: { objections: [] } };
    case 'ballot':
      return { json: { choice: positions.toSorted()[0], reason: '' } };
    case 'edit':
      return { json: { accept: true, text: '', citations: [] } };
    default:
      return section(request, 'Findings') === '' ? research(request) : report(sourcesIn(section(request, 'Findings')));
  }
};

/** A step for each topic, for one agent after the other. */
const plan = (request: ChatRequest): Answer => {
  const agents = [...section(request, 'Agents').matchAll(/^- (\w+):/gm)].map(([, name]) => name!);
  const steps = topicsIn(section(request, 'Question')).map(({ id }, index) => ({ id, agent: agents[index % agents.length], task: TASKS[id], needs: [] }));
  return { json: { steps } };
};

/** Searches, opens what it has found, and reports the lines. */
const research = (request: ChatRequest): Answer => {
  const mine = topicsIn(section(request, 'Task'));
  const seen = request.messages.filter(({ role }) => role === 'tool').map(({ content }) => content!);
  if (seen.length === 0) return { calls: mine.map(({ query }) => ({ name: 'search_files', arguments: { query } })) };
  if (seen.length === mine.length) return { calls: mine.map(({ file }) => ({ name: 'read_file', arguments: { file } })) };
  const lines = seen.slice(mine.length).flatMap((page) => page.split('\n'));
  return report(
    mine.flatMap(({ file, wanted }): Citation[] => {
      const line = lines.find((one) => wanted.test(one));
      return line === undefined ? [] : [{ file, line: Number(/\d+/.exec(line)![0]), quote: wanted.exec(line)![0] }];
    }),
  );
};

const sourcesIn = (findings: string): Citation[] =>
  [...findings.matchAll(/^\[\d+\] (\S+):(\d+) (".*")$/gm)].map(([, file, line, quote]) => ({
    file: file!,
    line: Number(line),
    quote: JSON.parse(quote!) as string,
  }));
