/** The text of a team file as a `TeamFile`, with the places of its values for later checks. */
import { sortProblems, TeamFileError, type Issue, type Problem } from './problem.ts';
import type { TeamFile } from './schema.ts';
import { shapeTeam } from './shape.ts';
import { readSource } from './source.ts';

export type ParsedTeam = {
  readonly file: TeamFile;
  /** An issue as a problem with its place in the file. */
  readonly locate: (issue: Issue) => Problem;
};

/** `name` is the file as people write it. Throws a `TeamFileError` with every mistake of syntax and shape. */
export const parseTeam = (text: string, name: string): ParsedTeam => {
  const source = readSource(text, name);
  const shaped = shapeTeam(source.value);
  const problems = sortProblems([...source.problems, ...(shaped.ok ? [] : shaped.issues.map(source.locate))]);
  if (!shaped.ok || problems.length > 0) throw new TeamFileError(problems);
  return { file: shaped.file, locate: source.locate };
};
