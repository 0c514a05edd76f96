/** A team file from the disk, checked as a whole: from here on it can be run. */
import { readFile, stat } from 'node:fs/promises';
import { dirname, relative, resolve } from 'node:path';
import { TroupeError } from '../protocols/failure.ts';
import { parseDollars } from '../protocols/money.ts';
import type { Catalogue } from './catalogue.ts';
import { checkTeam } from './check.ts';
import { resolveInputs, type Inputs } from './input.ts';
import { parseTeam } from './parse.ts';
import { showPath, sortProblems, TeamFileError, type Issue, type Problem } from './problem.ts';
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
 * TEAM_FILE_MISSING, and for what was given beside it INPUT_UNKNOWN, INPUT_INVALID, BUDGET_INVALID, BUDGET_TOO_SMALL or
 * BUDGET_NOT_COVERED.
 */
export const loadTeam = async (path: string, { cwd, catalogue, inputs: given = {}, budget }: LoadOptions): Promise<LoadedTeam> => {
  const absolute = resolve(cwd, path);
  const { file: written, locate } = parseTeam(await textOf(absolute), relative(cwd, absolute));
  const file = budget === undefined ? written : withBudget(written, budget);
  const { inputs, issues } = await resolveInputs(file, given, { base: dirname(absolute), cwd });
  const found = [...checkTeam(file, catalogue), ...issues];
  const byOption = budget === undefined ? [] : causedByBudget(found, checkTeam(written, catalogue));
  const problems = sortProblems(found.filter((issue) => !byOption.includes(issue)).map(locate));
  if (problems.some(({ severity }) => severity === 'error')) throw new TeamFileError(problems);
  if (byOption.length > 0) throw optionError(budget!, byOption[0]!);
  return { file, inputs, warnings: problems };
};

const textOf = async (path: string): Promise<string> => {
  try {
    // Whoever opens a pipe waits for someone who writes into it.
    const found = await stat(path);
    if (!found.isFile()) throw new Error(`expected a file, found ${found.isDirectory() ? 'a folder' : 'a pipe or a device'}`);
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new TroupeError('TEAM_FILE_MISSING', `cannot read the team file ${path}: ${(cause as Error).message}`, { cause });
  }
};

/** The errors that the file has with the given budget only, and whatever is wrong with the limit itself. */
const causedByBudget = (found: readonly Issue[], before: readonly Issue[]): Issue[] => {
  const placeOf = ({ code, path }: Issue): string => `${code} ${showPath(path)}`;
  const known = new Set(before.map(placeOf));
  return found.filter((issue) => issue.severity !== 'warning' && (showPath(issue.path) === 'budget.limit' || !known.has(placeOf(issue))));
};

const optionError = (budget: string, { code, path, message, hint }: Issue): TroupeError => {
  const where = showPath(path) === 'budget.limit' ? '' : `${showPath(path)}: `;
  return new TroupeError(code, `--budget ${budget}: ${where}${message}${hint === undefined ? '' : `; ${hint}`}`);
};

const withBudget = (file: TeamFile, limit: string): TeamFile => {
  if (parseDollars(limit) === undefined)
    throw new TroupeError('BUDGET_INVALID', `--budget ${limit}: expected dollars such as 0.05, with nine decimals at most`);
  return { ...file, budget: { ...file.budget, limit } };
};
