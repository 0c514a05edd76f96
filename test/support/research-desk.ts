/**
 * What a model says for the team of the example, over the folder of documents.ts: it plans a step for each of two questions,
 * looks each up, opens the file, reports the line that it found, accepts what it checks, and puts the findings together. Its
 * answers follow from what it is asked alone, so the same run always ends with the same answer, in whatever order things happen.
 */
import type { Citation } from '../../src/protocols/formats.ts';
import type { Answer, ChatRequest } from './model-server.ts';

const tasks = [
  { id: 'failed', task: 'What happens when a payment fails?', query: 'payment fails retries', file: 'docs/billing.md', wanted: /When a payment fails.*/ },
  {
    id: 'opened',
    task: 'When is a suspended account opened again?',
    query: 'suspended account opened',
    file: 'docs/support.md',
    wanted: /A suspended account is opened.*/,
  },
] as const;

export const QUESTION = 'What happens when a payment fails, and when is a suspended account opened again?';

/** What every run of the desk comes to. */
export const ANSWER = [
  'When a payment fails, the system retries it three times within ten days. [1]',
  'A suspended account is opened again once the invoice is paid. [2]',
].join(' ');

/** Dollars for a million tokens, as the price list has it for the example's model. */
export const PRICE = { input: 400_000_000n, cachedInput: 100_000_000n, output: 1_600_000_000n };

export const formatOf = ({ response_format: format }: ChatRequest): string | undefined => format?.json_schema?.name;

export const answerOf = (request: ChatRequest): Answer => {
  switch (formatOf(request)) {
    case 'plan':
      return { json: { steps: tasks.map(({ id, task }) => ({ id, agent: 'searcher', task, needs: [] })) } };
    case 'verdict':
      return { json: { verdict: 'accept', reasons: [], confidence: 0.9 } };
    default:
      return asked(request).includes('# Findings') ? synthesis(request) : research(request);
  }
};

const asked = ({ messages }: ChatRequest): string => messages.find(({ role }) => role === 'user')!.content!;

const research = (request: ChatRequest): Answer => {
  const { query, file, wanted } = tasks.find(({ task }) => asked(request).includes(`# Task\n${task}`))!;
  const seen = request.messages.filter(({ role }) => role === 'tool').map(({ content }) => content!);
  if (seen.length === 0) return { calls: [{ name: 'search_files', arguments: { query } }] };
  if (seen.length === 1) return { calls: [{ name: 'read_file', arguments: { file } }] };
  const lines = seen[1]!.split('\n');
  const found = lines.find((line) => wanted.test(line));
  if (found === undefined) return { json: { text: `Not found in ${file}.`, citations: [] } };
  const quote = wanted.exec(found)![0];
  return { json: { text: `${quote} [1]`, citations: [{ file, line: Number(/\d+/.exec(found)![0]), quote }] } };
};

const synthesis = (request: ChatRequest): Answer => {
  const citations = [...asked(request).matchAll(/^\[\d+\] (\S+):(\d+) (".*")$/gm)].map(([, file, line, quote]): Citation => ({
    file: file!,
    line: Number(line),
    quote: JSON.parse(quote!) as string,
  }));
  return { json: { text: citations.map(({ quote }, index) => `${quote} [${index + 1}]`).join(' '), citations } };
};
