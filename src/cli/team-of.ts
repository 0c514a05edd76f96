/** The team file that a command names, with its inputs filled in. */
import { formatProblem } from '../topology/problem.ts';
import { loadTeam } from '../topology/load.ts';
import { resolveTeam } from '../topology/resolve.ts';
import { standardCatalogue } from '../topology/standard.ts';
import type { Team } from '../topology/team.ts';
import { say } from './exit.ts';

export type TeamOptions = { readonly input?: Readonly<Record<string, string>>; readonly budget?: string; readonly quiet?: boolean };

/** With the warnings told. Errors: as those of `loadTeam` and `resolveTeam`. */
export const teamOf = async (file: string, task: string | undefined, { input, budget, quiet = false }: TeamOptions): Promise<Team> => {
  const loaded = await loadTeam(file, { cwd: process.cwd(), catalogue: standardCatalogue(), ...(input && { inputs: input }), budget });
  if (!quiet) for (const warning of loaded.warnings) say(formatProblem(warning));
  return resolveTeam(loaded.file, loaded.inputs, task);
};

/** For a process that plays parts of the team: the tasks come with the runs. */
export const teamToPlay = async (file: string, { input }: TeamOptions): Promise<Team> => {
  const loaded = await loadTeam(file, { cwd: process.cwd(), catalogue: standardCatalogue(), ...(input && { inputs: input }) });
  return resolveTeam(loaded.file, loaded.inputs, loaded.file.task === undefined ? 'as each run says' : undefined);
};
