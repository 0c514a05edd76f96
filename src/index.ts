/** The library: what a program needs to run teams itself. docs/library.md shows it at work. */
export { openBus } from './bus/open.ts';
export type { Bus, Entry } from './bus/port.ts';
export { createExtractiveAdapter } from './capabilities/model/extractive/adapter.ts';
export { createOpenAIAdapter } from './capabilities/model/openai/adapter.ts';
export { ModelError, type ModelAdapter } from './capabilities/model/port.ts';
export { createScriptedAdapter } from './capabilities/model/scripted/adapter.ts';
export { createFileTools } from './capabilities/tool/file-tools.ts';
export type { Tool, ToolContext } from './capabilities/tool/port.ts';
export { Progress } from './observe/progress.ts';
export { TroupeError, type Failure } from './protocols/failure.ts';
export { loadTeam } from './topology/load.ts';
export { resolveTeam } from './topology/resolve.ts';
export { answerQuestion, booksOf, freezeBudget, listRuns, openQuestions, raiseBudget, verifyLedger } from './topology/remote.ts';
export {
  catalogueOf,
  standardCatalogue,
  standardModels,
  standardTools,
  Troupe,
  type Paused,
  type Run,
  type RunResult,
  type TroupeOptions,
  type Waiting,
} from './topology/start.ts';
export { TeamFileError, type Problem } from './topology/problem.ts';
export type { Team } from './topology/team.ts';
export type { ModelReply, ModelRequest } from './protocols/model.ts';
export type { Observed } from './runtime/host.ts';
