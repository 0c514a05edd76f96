/** Handing over, from the file to the answer: on both buses, within its bound, and by what a strict provider is sent. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { createOpenAIAdapter, supervisor, team, tool, worker } from '../../src/index.ts';
import { testBuses, type TestBus } from '../support/cli.ts';
import { startModelServer, type ChatRequest } from '../support/model-server.ts';

const ROOT = join(import.meta.dirname, '../..');
const EXAMPLE = readFileSync(join(ROOT, 'examples/handoff/team.yaml'), 'utf8');

/** Neither of the two keeps a letter; `desk` lets it go round `max` times. */
const circle = (max: number, more = ''): string => `name: circle
task: Answer the letter.
scripts:
  desk: [{ repeat: true, calls: [{ name: hand_over_to_billing, input: { reason: not mine } }] }]
  billing: [{ repeat: true, calls: [{ name: hand_over_to_desk, input: { reason: nor mine } }] }]
  clerk: [{ repeat: true, json: { text: I do it myself., citations: [] } }]
agents:
  lead: { kind: supervisor, role: a head, model: scripted/clerk }
  desk: { kind: worker, role: a clerk, model: scripted/desk, handoffs: { to: [billing], max_handoffs: ${max} } }
  billing: { kind: worker, role: a clerk, model: scripted/billing, handoffs: { to: [desk], max_handoffs: 9 } }
  clerk: { kind: worker, role: a clerk, model: scripted/clerk }
topology:
  kind: workflow
  supervisor: lead
  steps: [{ id: answer, agent: desk, task: Answer., fallback: clerk, retry: { attempts: 3 } }]
budget: { limit: 0.01 }
${more}`;

describe.concurrent.each(['embedded', 'nats'] as const)('on the %s bus', (name) => {
  let bus: TestBus;
  beforeAll(async () => void (bus = await testBuses[name]()));
  afterAll(() => bus.dispose());

  const runOf = async (file: string, ...more: readonly string[]) => {
    const { exitCode, stdout, stderr } = await bus.desk({ 'team.yaml': file }).run(['run', 'team.yaml', '--json', ...more]);
    return { exitCode, stderr, said: JSON.parse(stdout) as { status: string; answer?: string; failure?: { code: string; message: string } } };
  };
  const docs = `docs=${join(ROOT, 'docs')}`;

  test('a letter goes from agent to agent with what was said, and the last one answers it', async () => {
    const { said, stderr } = await runOf(EXAMPLE, '--input', docs);
    expect(said).toMatchObject({ status: 'completed', answer: 'Dear Ada, the payment of the 5th is on its way back to you.' });
    expect([...stderr.matchAll(/^(\w+ answer-\d) +(handed over|completed)$/gm)].map(([, who, how]) => `${who} ${how}`)).toEqual([
      'desk answer-1 handed over',
      'billing answer-2 handed over',
      'refunds answer-3 completed',
    ]);
  });

  test('who can answer does, and hands nothing over', async () => {
    const { said, stderr } = await runOf(EXAMPLE, '--input', docs, '--input', 'letter=When do you open?');
    expect(said).toMatchObject({ status: 'completed', answer: 'We open at nine.' });
    expect(stderr).not.toContain('handed over');
  });

  test('a letter that goes round ends with a failure that names the way and the bound, and is not tried again', async () => {
    const { exitCode, said, stderr } = await runOf(circle(2).replace(' fallback: clerk,', ''));
    expect(exitCode).toBe(1);
    expect(said.failure).toMatchObject({
      code: 'STEP_HANDOFFS_MAX',
      message: 'step answer would be handed over in a circle once more, desk -> billing -> desk -> billing; agents.desk.handoffs.max_handoffs allows 2',
    });
    expect(stderr).not.toContain('answer-4');
  });

  test('its fallback does what went round', async () => {
    const { said, stderr } = await runOf(circle(1));
    expect(said).toMatchObject({ status: 'completed', answer: 'I do it myself.' });
    expect(stderr).toMatch(/clerk answer-4 +completed/);
  });
});

// --- what a provider is sent -----------------------------------------------------------------------------------------------

type Sent = ChatRequest['messages'];
type Call = { readonly id: string; readonly function: { readonly name: string } };

const callsOf = (message: Sent[number]): readonly Call[] => (message.tool_calls ?? []) as readonly Call[];

/** What the strictest providers refuse in a conversation. */
const refusals = (messages: Sent): string[] => {
  const problems: string[] = [];
  const [first, ...rest] = messages;
  if (first?.role !== 'system' || rest.some(({ role }) => role === 'system')) problems.push('one system message, and it comes first');
  let open: string[] = [];
  rest.forEach((message, index) => {
    const before = rest[index - 1]?.role ?? 'system';
    if (message.role === 'tool') {
      if (!open.includes(message.tool_call_id!)) problems.push(`a result of no call: ${message.tool_call_id}`);
      open = open.filter((id) => id !== message.tool_call_id);
      return;
    }
    if (open.length > 0) problems.push(`a call without its result: ${open.join()}`);
    if (message.role === before) problems.push(`two of role ${before} on end`);
    if (before === 'system' && message.role !== 'user') problems.push('the user speaks first');
    if (message.role === 'assistant' && (message.content ?? '') === '' && callsOf(message).length === 0) problems.push('an empty message');
    open = callsOf(message).map(({ id }) => id);
  });
  if (open.length > 0) problems.push(`a call without its result: ${open.join()}`);
  if (rest.at(-1)?.role === 'assistant') problems.push('nobody asks for the answer');
  return problems;
};

const look = tool({
  name: 'look',
  description: 'Looks a payment up.',
  input: z.object({ order: z.string() }),
  readOnly: true,
  run: ({ order }) => `${order}: paid twice`,
});
const pay = tool({ name: 'pay', description: 'Pays money back.', input: z.object({ order: z.string() }), run: () => 'paid' });

test('no rule of a strict provider is broken, through the official client, and nothing that was said is lost', async () => {
  const server = await startModelServer({
    answer: ({ messages }) => {
      const heard = messages.filter(({ role }) => role === 'assistant').length;
      if (messages[0]!.content!.startsWith('You are desk,')) {
        if (heard === 0) return { text: 'Let me look.', calls: ['A-17', 'A-18'].map((order) => ({ name: 'look', arguments: { order } })) };
        // In the same breath another call, which is not made.
        return {
          calls: [
            { name: 'pay', arguments: { order: 'A-17' } },
            { name: 'hand_over_to_billing', arguments: { reason: 'A-17 was paid twice' } },
          ],
        };
      }
      if (messages[0]!.content!.startsWith('You are billing,'))
        return { text: 'A refund it is.', calls: [{ name: 'hand_over_to_refunds', arguments: { reason: 'pay it back' } }] };
      return { json: { text: 'It is paid back.', citations: [] } };
    },
  });
  onTestFinished(() => server.stop());
  const model = createOpenAIAdapter({ provider: 'strict', baseURL: server.url, apiKey: 'key', env: {} });
  const office = team({
    name: 'office',
    models: { default: ['strict/gpt-4o-mini'] },
    prices: { 'strict/gpt-4o-mini': { input: 0.15, output: 0.6 } },
    agents: {
      lead: supervisor({ role: 'a head' }),
      desk: worker({ role: 'a clerk', tools: [look, pay], handoffs: ['billing'] }),
      billing: worker({ role: 'a clerk', tools: [look], handoffs: { to: ['refunds'] } }),
      refunds: worker({ role: 'a clerk', tools: [pay], budget: { limit: 0.05 } }),
    },
    topology: { kind: 'workflow', supervisor: 'lead', steps: [{ id: 'answer', agent: 'desk', task: 'Answer the letter.' }] },
    budget: { limit: 0.1 },
  });
  const ended = await office.run('Where is my money?', { bus: 'memory', models: [model] });
  if (ended.status !== 'completed') throw new Error(JSON.stringify(ended));
  expect(ended.answer).toBe('It is paid back.');
  expect(ended.steps).toEqual([{ step: 'answer', agent: 'refunds', handedOverBy: ['desk', 'billing'], status: 'completed', attempts: 3 }]);

  const bodies = server.requests.map(({ body }) => body);
  expect(bodies.map(({ messages }) => refusals(messages))).toEqual(bodies.map(() => []));
  const tools = bodies.map(({ tools: given = [] }) => given.map((one) => one.function.name));
  expect(tools).toEqual([['look', 'pay', 'hand_over_to_billing'], ['look', 'pay', 'hand_over_to_billing'], ['look', 'hand_over_to_refunds'], ['pay']]);

  const { messages } = bodies.at(-1)!;
  const last = JSON.stringify(messages);
  for (const part of [
    'Where is my money?',
    'Answer the letter.',
    'Let me look.',
    'A-17: paid twice',
    'A-18: paid twice',
    'not made: desk',
    'A-17 was paid twice',
    'A refund it is.',
    'pay it back',
  ])
    expect(last).toContain(part);
  expect(messages.flatMap(callsOf).map((call) => call.function.name)).toEqual(['look', 'look', 'pay']);
});
