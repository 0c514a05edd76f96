/** Where those live that a supervisor speaks to, and which accounts pay for what they do. Pure. */
import { address, keyWithin, type Address, type RunId } from '../../protocols/ids.ts';
import type { PayloadOf } from '../../protocols/catalogue.ts';

/** What the supervisor above has given a team to do. */
export type Assignment = PayloadOf<'task.assign'>;

/** A supervisor's own place: of the run, or of a team inside it. */
export type Place = {
  readonly run: RunId;
  /** The team inside the run's that it leads; without one it leads the run. */
  readonly team?: { readonly name: string; readonly key: string } | undefined;
  /** Those of its agents that are teams themselves. */
  readonly teams: readonly string[];
  /** Teams that may stand inside each other, the run's being the first. */
  readonly maxDepth: number;
  readonly profile: { readonly name: string };
  readonly assignment?: Assignment | undefined;
};

/** An attempt at a step. With `takenOver` the supervisor makes it itself: as a worker, by its own name. */
type Attempt = { readonly id: string; readonly attempt: number; readonly agent: string; readonly takenOver?: boolean | undefined };

export const keyOf = ({ team }: Pick<Place, 'team'>, { id, attempt }: Pick<Attempt, 'id' | 'attempt'>): string => keyWithin(team?.key ?? '', id, attempt);

export const isTeams = ({ teams }: Pick<Place, 'teams'>, { agent, takenOver }: Attempt): boolean => !takenOver && teams.includes(agent);

/** Whoever makes the attempt: a worker, or the supervisor of a team. */
export const assigneeOf = (place: Place, attempt: Attempt): Address => {
  const { run, profile } = place;
  const key = keyOf(place, attempt);
  if (attempt.takenOver) return address(run, 'worker', profile.name, key);
  return address(run, isTeams(place, attempt) ? 'supervisor' : 'worker', attempt.agent, key);
};

export const reviewerAt = (place: Place, attempt: Attempt, reviewer: string): Address => address(place.run, 'reviewer', reviewer, keyOf(place, attempt));

/** What the account of a supervisor is called, whatever its own name is. */
const OWN_ACCOUNT = 'supervisor';

/** The accounts, below the run's, of the teams that work is done for; for what it does itself, its own as well. */
export const payerOf = ({ team, assignment }: Pick<Place, 'team' | 'assignment'>, itself = false): readonly string[] => [
  ...(assignment?.payer ?? []),
  ...(team ? [team.name] : []),
  ...(itself ? [OWN_ACCOUNT] : []),
];

/** How many teams stand above one that this supervisor gives work to. */
export const depthBelow = ({ assignment }: Pick<Place, 'assignment'>): number => (assignment?.depth ?? 0) + 1;

export const isTooDeep = ({ maxDepth }: Pick<Place, 'maxDepth'>, { depth = 1 }: Assignment): boolean => depth >= maxDepth;
