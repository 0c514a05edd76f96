/** The parts of a team in words, and the commands that bring somebody to play them. */
import { BUDGET_PART } from '../topology/service.ts';
import { busArgument, inShell } from './next-command.ts';

/** As people name the part that grants the money, beside the agents. */
export const BUDGET_SERVER = 'budget-server';

export const nameOf = (part: string): string => (part === BUDGET_PART ? BUDGET_SERVER : part);

/** `lead, searcher, budget-server`. */
export const listParts = (parts: readonly string[]): string => parts.map(nameOf).join(', ');

/** A host's id, as far as people need it to tell hosts apart. */
export const shortHost = (id: string): string => id.slice(0, 10);

/** Plays these parts of a file's team in one process. */
export const agentCommand = (file: string, parts: readonly string[], bus: string): string => {
  const agents = parts.filter((part) => part !== BUDGET_PART).map((agent) => ` --agent ${agent}`);
  if (agents.length === 0) return `troupe budget-server ${inShell(file)}${busArgument(bus)}`;
  return `troupe agent ${inShell(file)}${agents.join('')}${parts.includes(BUDGET_PART) ? ' --budget-server' : ''}${busArgument(bus)}`;
};
