/** What a run asks a person, as it is shown: to programs, and in a line. */
import type { Waiting } from '../topology/start.ts';

type Question = Waiting['questions'][number];

export const questionJson = ({ approval, question, details, deadline, otherwise }: Question) => ({ approval, question, details, deadline, otherwise });

/** `until 2026-11-21T10:45:00Z, then "deny" counts`. */
export const deadlineOf = ({ deadline, otherwise }: Question): string => {
  const until = new Date(deadline).toISOString().replace(/\.\d+Z$/, 'Z');
  return deadline <= Date.now() ? `its time ended at ${until}: "${otherwise}" counts when the run is resumed` : `until ${until}, then "${otherwise}" counts`;
};
