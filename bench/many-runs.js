/**
 * Many runs at once in a process of its own, from the compiled package: `node bench/many-runs.js <bus> <team as JSON> <runs>`.
 * Prints `{ ms, peakBytes, idleBytes }`. Plain JavaScript, because Node's own handling of TypeScript takes 50 MB that no user pays.
 */
import { z } from 'zod';
import { tuneV8 } from '../dist/cli/node-options.js';
import { openBus, Troupe } from '../dist/index.js';

tuneV8(); // as the command does

const [, , address, teamJson, count] = process.argv;
const team = JSON.parse(teamJson);
const runs = Number(count);
const usage = { inputTokens: 100, outputTokens: 20, cachedInputTokens: 0, reasoningTokens: 0 };

/** Takes no time: asks for the tool twice, then answers. */
const model = {
  provider: 'instant',
  inputTokenBound: () => 1_000,
  async call({ messages, model: name }, grant) {
    grant.use(Date.now());
    const turn = messages.filter(({ role }) => role === 'assistant').length;
    if (turn >= 2) return { text: '{"text":"done","citations":[]}', toolCalls: [], finish: 'stop', usage, model: name };
    return { text: '', toolCalls: [{ id: `call-${turn}`, name: 'nothing', input: { turn } }], finish: 'tools', usage, model: name };
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

const bus = await openBus(address);
const troupe = await Troupe.open({ bus, models: [model], tools: [nothing], manyRuns: true, snapshotEvery: 0 });

const all = async (number) => {
  const started = await Promise.all(Array.from({ length: number }, () => troupe.start(team)));
  for (const { status, failure } of await Promise.all(started.map(({ result }) => result))) if (status !== 'completed') throw new Error(failure?.message);
};

const idleBytes = process.memoryUsage.rss();
for (let i = 0; i < 4; i++) await all(250); // V8 has compiled what matters
let peakBytes = 0;
const look = () => (peakBytes = Math.max(peakBytes, process.memoryUsage.rss()));
const watch = setInterval(look, 5);
const began = performance.now();
await all(runs);
const ms = performance.now() - began;
look();
clearInterval(watch);
await troupe.close();
await bus.close();
console.log(JSON.stringify({ ms, peakBytes, idleBytes }));
