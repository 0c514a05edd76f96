/** How the command ends: what its exit code says, and how a failure is told. */
import { failureOf, type Failure } from '../protocols/failure.ts';
import { oneLine, redact, safeJson } from './redact.ts';

export const EXIT = {
  done: 0,
  failed: 1,
  /** Wrong usage, or a file that cannot be run. */
  usage: 2,
  /** The budget does not reach, or is frozen. */
  budget: 3,
  /** Nothing goes on until a person answers. */
  waiting: 4,
} as const;

const USAGE_CODES = new Set([
  'USAGE',
  'TEAM_FILE_INVALID',
  'TEAM_FILE_MISSING',
  'INPUT_UNKNOWN',
  'INPUT_INVALID',
  'BUDGET_INVALID',
  'AGENT_EXTERNAL',
  'INIT_EXISTS',
  'TOPOLOGY_UNUSABLE',
  'SESSION_INVALID',
  'SESSION_UNKNOWN',
  'TASK_MISSING',
  'TASK_INVALID',
  'MODEL_SETTING_INVALID',
  'LOG_UNWRITABLE',
  'LEDGER_FILE_UNUSABLE',
  'USAGE_REPORT_INVALID',
  'USAGE_REPORT_MISSING',
  'BUS_ADDRESS_INVALID',
  'RUN_UNKNOWN',
  'RECORDING_INVALID',
  'CHART_UNKNOWN',
  'CHART_UNWRITABLE',
  'PLAN_UNKNOWN',
  'INSPECT_UNAVAILABLE',
  'APPROVAL_UNKNOWN',
  'APPROVAL_LATE',
  'PRICE_UNKNOWN',
  'ACCOUNT_UNKNOWN',
  'ACCOUNT_UNLIMITED',
  'ACCOUNT_CLOSED',
  'ACCOUNT_EXISTS',
  'ACCOUNT_INVALID',
]);

const BUDGET_CODES = new Set(['BUDGET_TOO_SMALL', 'BUDGET_EXHAUSTED', 'BUDGET_FROZEN', 'BUDGET_REVOKED', 'BUDGET_NOT_COVERED']);

export const exitCodeOf = ({ code, details }: Failure): number => {
  if (BUDGET_CODES.has(code)) return EXIT.budget;
  if (code === 'TEAM_FILE_INVALID' && onlyBudget(details)) return EXIT.budget;
  return USAGE_CODES.has(code) ? EXIT.usage : EXIT.failed;
};

/** Whether the file would run with more money. */
const onlyBudget = ({ problems }: Readonly<Record<string, unknown>>): boolean => {
  const errors = (problems as readonly { readonly code: string; readonly severity: string }[]).filter(({ severity }) => severity === 'error');
  return errors.length > 0 && errors.every(({ code }) => code === 'BUDGET_TOO_SMALL' || code === 'BUDGET_NOT_COVERED');
};

/** Everything for people but the answer. */
export const say = (line: string): void => void process.stderr.write(`${redact(line)}\n`);
/** What was asked for. */
export const print = (text: string): void => void process.stdout.write(`${redact(text)}\n`);

/** One value for a program to read. */
export const printJson = (value: unknown): void => void process.stdout.write(`${safeJson(value)}\n`);

export const tell = ({ code, message }: Failure): void => say(code === 'TEAM_FILE_INVALID' ? message : `troupe: ${oneLine(message)} (${code})`);

/** As it is printed for programs: whether it may be tried again is for charts. */
export const failureJson = ({ code, message, details }: Failure) => ({ code, message, details });

/** Tells a failure, to programs with whatever else there is to say; its stack only with TROUPE_DEBUG. Gives the exit code. */
export const fail = (thrown: unknown, { json, ...more }: { readonly json: boolean; readonly run?: string; readonly status?: string }): number => {
  const failure = failureOf(thrown);
  if (json) printJson({ status: 'failed', ...more, failure: failureJson(failure) });
  tell(failure);
  if (process.env['TROUPE_DEBUG'] && thrown instanceof Error) say(thrown.stack ?? '');
  return exitCodeOf(failure);
};

/** Runs a command to its end: a thrown failure is told. */
export const endWith = async (command: () => Promise<number>, { json = false }: { json?: boolean } = {}): Promise<void> => {
  try {
    process.exitCode = await command();
  } catch (thrown) {
    process.exitCode = fail(thrown, { json });
  }
  // What was asked for is done: a tool that goes on unheard must not keep the process.
  setTimeout(() => process.exit(), LINGER_MS).unref();
};

/** For output that is still on its way. */
const LINGER_MS = 500;
