/** A team file from the disk, checked as a whole: from here on it can be run. */
import { readFile } from 'node:fs/promises';
import { dirname, relative, resolve } from 'node:path';
import { TroupeError } from '../protocols/failure.ts';
import { parseDollars } from '../protocols/money.ts';
import { checkTeam, type Catalogue } from './check.ts';
import { resolveInputs, type Inputs } from './input.ts';
import { parseTeam } from './parse.ts';
import { sortProblems, TeamFileError, type Problem } from './problem.ts';
import type { TeamFile } from './schema.ts';

export type LoadOptions = {
  /** Where the command runs. */
  readonly cwd: string;
  readonly catalogue: Catalogue;
  /** In place of the file's inputs. */
  readonly inputs?: Readonly<Record<string, string>>;
  /** Dollars, in place of the file's `budget.limit`. */
  readonly budget?: string | undefined;
};

export type LoadedTeam = { readonly file: TeamFile; readonly inputs: Inputs; readonly warnings: readonly Problem[] };

/**
 * Reads `path`, relative to `options.cwd`. Throws TEAM_FILE_INVALID (a `TeamFileError`) with all that is wrong with the file,
 * TEAM_FILE_MISSING, and INPUT_UNKNOWN, INPUT_INVALID or BUDGET_INVALID for what was given beside it.
 */
export const loadTeam = async (path: string, { cwd, catalogue, inputs: given = {}, budget }: LoadOptions): Promise<LoadedTeam> => {
  const absolute = resolve(cwd, path);
  const { file: written, locate } = parseTeam(await textOf(absolute), relative(cwd, absolute));
  const file = budget === undefined ? written : withBudget(written, budget);
  const { inputs, issues } = await resolveInputs(file, given, { base: dirname(absolute), cwd });
  const problems = sortProblems([...checkTeam(file, catalogue), ...issues].map(locate));
  if (problems.some(({ severity }) => severity === 'error')) throw new TeamFileError(problems);
  return { file, inputs, warnings: problems };
};

const textOf = async (path: string): Promise<string> => {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new TroupeError('TEAM_FILE_MISSING', `cannot read the team file ${path}: ${(cause as Error).message}`, { cause });
  }
};

const withBudget = (file: TeamFile, limit: string): TeamFile => {
  if (parseDollars(limit) === undefined) throw new TroupeError('BUDGET_INVALID', `expected a budget in dollars such as 0.05, found "${limit}"`);
  return { ...file, budget: { ...file.budget, limit } };
};
