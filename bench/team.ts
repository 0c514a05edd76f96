/** A team for measuring: one worker, a model in the process that takes no time, a tool that does nothing. */
import { z } from 'zod';
import type { ModelAdapter } from '../src/capabilities/model/port.ts';
import type { Tool } from '../src/capabilities/tool/port.ts';
import type { ModelReply, ModelRequest } from '../src/protocols/model.ts';
import { withHash, type Team } from '../src/topology/team.ts';

const usage = { inputTokens: 100, outputTokens: 20, cachedInputTokens: 0, reasoningTokens: 0 };

/** Asks for a tool `calls` times, then answers. */
export const reply = ({ messages, model }: Pick<ModelRequest, 'messages' | 'model'>, calls: number): ModelReply => {
  const turn = messages.filter(({ role }) => role === 'assistant').length;
  if (turn >= calls) return { text: '{"text":"done","citations":[]}', toolCalls: [], finish: 'stop', usage, model };
  return { text: '', toolCalls: [{ id: `call-${turn}`, name: 'nothing', input: { turn } }], finish: 'tools', usage, model };
};

export const instantModel = (calls: number): ModelAdapter => ({
  provider: 'instant',
  inputTokenBound: () => 1_000,
  async call(request, grant) {
    grant.use(Date.now());
    return reply(request, calls);
  },
});

export const nothing: Tool = {
  name: 'nothing',
  description: 'Does nothing.',
  input: z.object({ turn: z.number() }),
  timeoutMs: 10_000,
  readOnly: true,
  run: async () => 'nothing',
  render: () => 'nothing',
};

const agent = {
  role: 'a worker',
  goal: 'to be measured',
  backstory: '',
  models: ['instant/model'],
  limits: { turns: 20, maxTokens: 200, attempts: 3, timeoutMs: 600_000 },
};

export const benchTeam: Team = withHash({
  name: 'bench',
  description: '',
  task: 'Do nothing, ten times.',
  folders: [],
  texts: {},
  prices: { 'instant/*': { inputNanosPerMtok: '20000000', outputNanosPerMtok: '80000000' } },
  rateLimits: {},
  agents: { lead: { kind: 'supervisor', name: 'lead', tools: [], ...agent }, worker: { kind: 'worker', name: 'worker', tools: ['nothing'], ...agent } },
  topology: {
    kind: 'workflow',
    supervisor: 'lead',
    concurrency: 1,
    reviewRounds: 0,
    onRejected: 'fail',
    reviewers: [],
    merge: 'all',
    steps: [{ id: 'only', agent: 'worker', task: 'Do nothing.', needs: [], onFailure: 'fail' }],
  },
  budget: {
    limitNanos: '1000000000',
    limits: [],
    onExhausted: 'fail',
    keptBackNanos: '0',
    orphans: 'charge',
    thresholds: [],
    grantMs: 600_000,
    waitMs: 60_000,
  },
  limits: { deadlineMs: 600_000, askMs: 600_000, depth: 1 },
});

/** The same work with nothing around it: what a run costs without a journal, money or actors. */
export const bareLoop = async (calls: number): Promise<string> => {
  const messages: ModelRequest['messages'] = [{ role: 'user', text: benchTeam.task }];
  for (;;) {
    const said = await Promise.resolve(reply({ messages, model: 'instant/model' }, calls));
    messages.push({ role: 'assistant', text: said.text, toolCalls: said.toolCalls });
    if (said.toolCalls.length === 0) return said.text;
    for (const { id } of said.toolCalls) messages.push({ role: 'tool', callId: id, ok: true, text: await Promise.resolve('nothing') });
  }
};
