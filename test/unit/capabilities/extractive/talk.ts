/** Plays a worker's loop against the model: the real conversation, the real tools, no runtime. */
import { request } from '../../../../src/actors/conversation.ts';
import * as reviewer from '../../../../src/actors/reviewer/policy.ts';
import * as worker from '../../../../src/actors/worker/policy.ts';
import { createExtractiveAdapter, EXTRACTIVE_MODEL } from '../../../../src/capabilities/model/extractive/adapter.ts';
import { createFileTools } from '../../../../src/capabilities/tool/file-tools.ts';
import type { Folder } from '../../../../src/protocols/tool.ts';
import { createToolbox, type Toolbox } from '../../../../src/capabilities/tool/toolbox.ts';
import type { AgentProfile } from '../../../../src/protocols/agent.ts';
import { parseFormat, type Report, type Verdict } from '../../../../src/protocols/formats.ts';
import { Grant } from '../../../../src/protocols/grant.ts';
import type { ModelReply, ModelRequest, ToolCall } from '../../../../src/protocols/model.ts';

export const NOW = 1_000;
export const model = createExtractiveAdapter({ now: () => NOW });

export const grant = (maxTokens = 4_000): Grant => Grant.from({ grant: 'g', maxTokens, amountNanos: '0', deadline: NOW + 1, leftNanos: '0' });

export const profile = (
  tools: readonly string[] = ['list_files', 'search_files', 'read_file'],
  limits: Partial<AgentProfile['limits']> = {},
): AgentProfile => ({
  name: 'reader',
  role: 'a reader',
  goal: '',
  backstory: '',
  model: EXTRACTIVE_MODEL,
  tools: [...tools],
  limits: { turns: 8, maxTokens: 2_000, attempts: 1, timeoutMs: 60_000, ...limits },
});

export const toolboxFor = (...folders: Folder[]): Toolbox => {
  const tools = createFileTools();
  return createToolbox({ tools, folders, allowed: { reader: tools.map(({ name }) => name) }, now: () => NOW });
};

export const say = (request: ModelRequest, toolbox?: Toolbox): Promise<ModelReply> =>
  model.call(request, grant(request.maxTokens), { signal: new AbortController().signal, tools: toolbox?.specs(request.tools) ?? [] });

export type Outcome = { readonly report: Report; readonly turns: number; readonly calls: readonly ToolCall[]; readonly finish: string };

export const work = async (toolbox: Toolbox, task: Partial<worker.Task> & { instructions: string }, as = profile()): Promise<Outcome> => {
  const assigned: worker.Task = { step: 's', attempt: 1, goal: task.instructions, findings: [], ...task };
  const messages = worker.opening(as, assigned);
  const calls: ToolCall[] = [];
  for (let turn = 1; ; turn++) {
    const reply = await say(worker.nextRequest(as, messages, turn), toolbox);
    if (reply.toolCalls.length === 0) {
      const parsed = parseFormat('report', reply.text);
      if (!parsed.ok) throw new Error(`no report: ${parsed.problem} in ${reply.text} (${reply.finish})`);
      return { report: parsed.value, turns: turn, calls, finish: reply.finish };
    }
    calls.push(...reply.toolCalls);
    messages.push(
      worker.said(reply),
      ...worker.observed(reply, await Promise.all(reply.toolCalls.map((call) => toolbox.run({ call, agent: as.name }, new AbortController().signal)))),
    );
  }
};

/** What a reviewer says to a report, with the quotes checked by the tool. */
export const review = async (toolbox: Toolbox, question: string, report: Report): Promise<Verdict> => {
  const as = profile([reviewer.EVIDENCE_TOOL]);
  const given: reviewer.Work = { step: 's', attempt: 1, goal: question, instructions: question, ...report };
  const evidence = reviewer.looksForEvidence(as, given) ? await toolbox.run(reviewer.evidenceRequest(as, given), new AbortController().signal) : undefined;
  const parsed = parseFormat('verdict', (await say(request(as, reviewer.opening(as, given, evidence), 'verdict'))).text);
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.value;
};
