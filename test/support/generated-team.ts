/** A team of any size, from the schema of the team file. */
import { resolveTeam } from '../../src/topology/resolve.ts';
import { TeamFile } from '../../src/topology/schema.ts';
import type { Team } from '../../src/topology/team.ts';

/** One supervises, one reviews, the others work; some have money of their own. */
export const generatedTeam = (kind: 'centralised' | 'workflow', agents: number): Team => {
  const workers = Array.from({ length: agents - 2 }, (_, at) => `worker-${at}`);
  const common = { supervisor: 'lead', reviewer: 'checker', on_rejected: 'ask' };
  const file = TeamFile.parse({
    name: `generated-${agents}`,
    description: `A team of ${agents}.`,
    models: { default: ['openai/gpt-4.1-mini', 'extractive/classic'] },
    agents: {
      lead: { kind: 'supervisor', role: 'the editor of a research desk' },
      checker: { kind: 'reviewer', role: 'a fact checker', tools: ['check_quotes'], accept_from: 0.7, budget: { slice: 0.003 } },
      ...Object.fromEntries(
        workers.map((name, at) => [
          name,
          {
            kind: 'worker',
            role: 'a researcher who reads before writing',
            tools: ['list_files', 'search_files', 'read_file'].slice(at % 3),
            ...(at % 5 === 0 && { budget: { limit: 0.02, calls: 20 } }),
          },
        ]),
      ),
    },
    topology:
      kind === 'centralised'
        ? { kind, ...common, workers }
        : { kind, ...common, steps: workers.map((agent, at) => ({ id: `step-${at}`, agent, task: 'Look it up.', needs: at === 0 ? [] : [`step-${at - 1}`] })) },
    budget: { limit: 0.05, tokens: 100_000 },
  });
  return resolveTeam(file, { folders: [], texts: new Map() }, 'What is it about?');
};
