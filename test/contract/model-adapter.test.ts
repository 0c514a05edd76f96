import { createOpenAIAdapter } from '../../src/capabilities/model/openai/adapter.ts';
import { createScriptedAdapter } from '../../src/capabilities/model/scripted/adapter.ts';
import type { Turn } from '../../src/capabilities/model/scripted/script.ts';
import type { FormatName } from '../../src/protocols/model.ts';
import { startModelServer } from '../support/model-server.ts';
import { modelAdapterSuite } from './model-adapter-suite.ts';

const ANSWER = 'Refunds are paid within 14 days — “at the latest” — and the desk is open on weekdays, from nine to five.';

const inFormat: Record<FormatName, unknown> = {
  plan: { steps: [{ id: 's1', agent: 'reader', task: 'Look it up.', needs: [] }] },
  revision: { steps: [{ id: 's2', agent: 'reader', task: 'Look again.', needs: ['s1'] }], cancel: [], reason: 'nothing was found' },
  route: { agent: 'reader', confidence: 1, reason: 'it is about reading' },
  report: { text: ANSWER, citations: [] },
  output: { output: { text: ANSWER }, citations: [] },
  verdict: { verdict: 'accept', reasons: [], confidence: 1 },
  bid: { price: 0.001, confidence: 0.5, approach: 'by reading' },
  critique: { objections: [{ agent: 'reader', text: 'It names no source.' }] },
  ballot: { choice: 'reader', reason: 'It names its source.' },
  edit: { accept: true, text: '', citations: [] },
};

modelAdapterSuite('scripted', () => {
  let next: Turn | undefined;
  const adapter = createScriptedAdapter((request) => {
    const turn = next ?? (request.format ? { json: inFormat[request.format] } : { text: ANSWER });
    next = undefined;
    return turn;
  });
  return {
    adapter,
    model: 'scripted/any',
    attempts: () => adapter.calls.length,
    hold: () => (next = { text: 'one two three', paceMs: 3_600_000 }),
  };
});

modelAdapterSuite('openai', async () => {
  const server = await startModelServer({
    apiKey: 'sk-suite-0123456789',
    answer: ({ response_format: format }) =>
      format?.json_schema ? { json: inFormat[format.json_schema.name as FormatName], cachedTokens: 16 } : { text: ANSWER },
  });
  return {
    adapter: createOpenAIAdapter({ apiKey: 'sk-suite-0123456789', baseURL: server.url, env: {} }),
    model: 'openai/gpt-4o-mini',
    attempts: () => server.requests.length,
    hold: () => server.next({ fault: 'stall', text: 'one two three', pieces: 2 }),
    stop: () => server.stop(),
  };
});
