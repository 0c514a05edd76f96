/**
 * An agent process as `troupe agent` is one, from the compiled package, with a model in the process that takes no time (or never
 * answers: HELD=1). It plays what its arguments name, and says on stdout when it has joined.
 *
 *   node bench/agent-process.js <nats url> <team as JSON> <concurrency> <part> ...
 */
import { openNatsBus } from '../dist/bus/nats/bus.js';
import { tuneV8 } from '../dist/cli/node-options.js';
import { Service } from '../dist/topology/service.js';
import { z } from 'zod';

tuneV8(); // as the command does

const [url, teamJson, concurrency, ...plays] = process.argv.slice(2);
const usage = { inputTokens: 100, outputTokens: 20, cachedInputTokens: 0, reasoningTokens: 0 };
const CALLS = 2;

/** Asks for a tool twice, then answers. */
const reply = ({ messages, model }) => {
  const turn = messages.filter(({ role }) => role === 'assistant').length;
  if (turn >= CALLS) return { text: '{"text":"done","citations":[]}', toolCalls: [], finish: 'stop', usage, model };
  return { text: '', toolCalls: [{ id: `call-${turn}`, name: 'nothing', input: { turn } }], finish: 'tools', usage, model };
};

const instant = {
  provider: 'instant',
  inputTokenBound: () => 1_000,
  async call(request, grant, { signal }) {
    grant.use(Date.now());
    if (process.env['HELD']) await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
    return reply(request);
  },
};

const nothing = {
  name: 'nothing',
  description: 'Does nothing.',
  input: z.object({ turn: z.number() }),
  timeoutMs: 10_000,
  readOnly: true,
  run: async () => 'nothing',
  render: () => 'nothing',
};

const bus = await openNatsBus({ servers: url });
const service = await Service.open({ bus, team: JSON.parse(teamJson), models: [instant], tools: [nothing], plays, concurrency: Number(concurrency) });
console.log('joined');
process.once('SIGTERM', async () => {
  await service.close(1_000);
  await bus.close();
});
