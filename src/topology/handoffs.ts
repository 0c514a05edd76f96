/** Whom a worker may hand its work over to: the keys in the file, what a run has of them, and whom that reaches. */
import { z } from 'zod';
import { Pass } from '../protocols/agent.ts';
import { Name } from '../protocols/ids.ts';
import type { Path } from './problem.ts';

const MAX_DEFAULT = 4;

const Agents = z.array(Name).min(1).max(16);

export const HandoffsFile = z.union([
  Agents,
  z.strictObject({
    to: Agents.describe('The agents of kind worker that it may hand its work over to.'),
    pass: Pass.default('all').describe(
      'What of the conversation goes along: all, without_tools for what was said without calls of tools and their results, or { last: n } for the last messages.',
    ),
    max_handoffs: z.number().int().min(1).max(32).default(MAX_DEFAULT).describe('Times that a step may be handed over, by this agent or before it came to it.'),
  }),
]);
export type HandoffsFile = z.infer<typeof HandoffsFile>;

/** As a run has them. */
export const TeamHandoffs = z.object({ to: z.array(Name), pass: Pass, max: z.number().int().positive() });

export const resolveHandoffs = (written: HandoffsFile): z.infer<typeof TeamHandoffs> =>
  Array.isArray(written) ? { to: written, pass: 'all', max: MAX_DEFAULT } : { to: written.to, pass: written.pass, max: written.max_handoffs };

/** Where the list of agents stands below `handoffs`. */
export const pathToAgents = (written: HandoffsFile): Path => (Array.isArray(written) ? [] : ['to']);

/** The agents, and all that work can come to from them, once each. */
export const reachedFrom = (names: readonly string[], handoffsOf: (name: string) => readonly string[]): string[] => {
  const reached = new Set(names);
  for (const name of reached) for (const next of handoffsOf(name)) reached.add(next);
  return [...reached];
};
