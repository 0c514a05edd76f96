/**
 * What is wrong with a team file, and where. Reading and checking collect issues by path; with the source's places they become
 * problems that an editor or a person can jump to. All problems of a file are reported at once, in its order.
 */
import { TroupeError } from '../protocols/failure.ts';

/** The way to a value: keys and list positions from the top of the file. */
export type Path = readonly (string | number)[];

export type Severity = 'error' | 'warning';

export type ProblemCode =
  | 'YAML_SYNTAX'
  | 'YAML_DUPLICATE_KEY'
  | 'YAML_TAB'
  | 'YAML_DOCUMENTS'
  | 'YAML_ALIAS'
  | 'YAML_TAG'
  | 'YAML_DEPTH'
  | 'YAML_SIZE'
  | 'YAML_EMPTY'
  | 'KEY_UNKNOWN'
  | 'KEY_MISSING'
  | 'NAME_INVALID'
  | 'VALUE_TYPE'
  | 'VALUE_INVALID'
  | 'VALUE_DUPLICATE'
  | 'AGENT_UNKNOWN'
  | 'AGENT_KIND'
  | 'AGENT_UNUSED'
  | 'EXTERNAL_UNUSED'
  | 'TOOL_UNKNOWN'
  | 'TOOL_UNUSED'
  | 'TOOL_NEEDS_FOLDER'
  | 'OUTPUT_SCHEMA_INVALID'
  | 'MODEL_UNKNOWN'
  | 'MODEL_NOT_CHEAPER'
  | 'PRICE_UNKNOWN'
  | 'STEP_UNKNOWN'
  | 'STEP_DUPLICATE'
  | 'STEP_NEEDS_ITSELF'
  | 'STEP_CYCLE'
  | 'STEP_INVALID'
  | 'CONDITION_INVALID'
  | 'STATE_UNKNOWN'
  | 'HANDOFF_TO_ITSELF'
  | 'HANDOFF_UNUSED'
  | 'TEAM_CYCLE'
  | 'TEAM_TOO_DEEP'
  | 'PEERS_UNUSED'
  | 'PEERS_TOO_FEW_ROUNDS'
  | 'PEERS_TOO_PATIENT'
  | 'INPUT_UNKNOWN'
  | 'INPUT_UNUSED'
  | 'FOLDER_MISSING'
  | 'FOLDER_IS_FILE'
  | 'BUDGET_TOO_SMALL'
  | 'BUDGET_NOT_COVERED'
  | 'BUDGET_UNUSED'
  | 'GRANT_TOO_SHORT';

/** A problem before its place in the text is known. */
export type Issue = {
  readonly code: ProblemCode;
  readonly path: Path;
  /** What is wrong, with expected and found. */
  readonly message: string;
  /** The next step. */
  readonly hint?: string | undefined;
  readonly severity?: Severity;
  /** The key is what is wrong, not its value. */
  readonly onKey?: boolean;
};

/** What follows from other mistakes is looked for when there are none: who mistypes a name has not left its bearer out. */
export const orElse = (issues: Issue[], others: () => Issue[]): Issue[] => (issues.length > 0 ? issues : others());

export type Problem = {
  readonly severity: Severity;
  readonly code: ProblemCode;
  readonly file: string;
  /** From 1, as is `column`. */
  readonly line: number;
  readonly column: number;
  /** `agents.writer.model`; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
  readonly hint?: string;
};

const PLAIN_KEY = /^[A-Za-z_][A-Za-z0-9_-]*$/;

/** `topology.steps[1].needs[0]`, `prices["openai/gpt-4.1"].input`. */
export const showPath = (path: Path): string =>
  path.reduce<string>((shown, key) => {
    if (typeof key === 'number') return `${shown}[${key}]`;
    if (!PLAIN_KEY.test(key)) return `${shown}[${JSON.stringify(key)}]`;
    return shown === '' ? key : `${shown}.${key}`;
  }, '');

/** `team.yaml:14:12 agents.writer.model: unknown model "gpt-x"; known: openai/*; did you mean "gpt"?` */
export const formatProblem = ({ severity, file, line, column, path, message, hint }: Problem): string =>
  `${file.replaceAll(/[\n\r]+/g, ' ')}:${line}:${column} ${severity === 'warning' ? 'warning: ' : ''}${path === '' ? '' : `${path}: `}${message}${hint === undefined ? '' : `; ${hint}`}`;

/** In the file's order. */
export const sortProblems = (problems: readonly Problem[]): Problem[] => problems.toSorted((a, b) => a.line - b.line || a.column - b.column);

/** A team file that cannot be run. `problems` has its warnings too. */
export class TeamFileError extends TroupeError {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super('TEAM_FILE_INVALID', problems.map(formatProblem).join('\n'), { details: { problems } });
    this.name = 'TeamFileError';
    this.problems = problems;
  }
}
