/** `troupe validate`: every mistake of a team file, and what it comes to if there is none. */
import { formatDollars } from '../protocols/money.ts';
import { formatProblem } from '../topology/problem.ts';
import { loadTeam } from '../topology/load.ts';
import { resolveTeam } from '../topology/resolve.ts';
import { standardCatalogue } from '../topology/standard.ts';
import { EXIT, print, printJson, say } from './exit.ts';

export type ValidateOptions = { readonly input?: Readonly<Record<string, string>>; readonly json: boolean };

export const validate = async (path: string, { input, json }: ValidateOptions): Promise<number> => {
  const { file, inputs, warnings } = await loadTeam(path, { cwd: process.cwd(), catalogue: standardCatalogue(), ...(input && { inputs: input }) });
  for (const warning of warnings) say(formatProblem(warning));
  const { agents, topology, budget, hash } = resolveTeam(file, inputs, file.task ?? '(given when it is run)');
  if (json) {
    const { name: team } = file;
    printJson({
      file: path,
      status: 'valid',
      team,
      topology: topology.kind,
      agents: Object.keys(agents),
      limitNanos: budget.limitNanos,
      hash,
      problems: warnings,
    });
    return EXIT.done;
  }
  const count = Object.keys(agents).length;
  print(
    `${path}: valid; team ${file.name}, ${topology.kind}, ${count} ${count === 1 ? 'agent' : 'agents'}, budget ${formatDollars(BigInt(budget.limitNanos))}, hash ${hash.slice(0, 12)}`,
  );
  return EXIT.done;
};
