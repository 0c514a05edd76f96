/** The pictures of a team: who may say what to whom, its plan, and what was said in a run. */
import { planDrawing, planOfRun } from '../observe/plan-drawing.ts';
import { pictureOf, pictureOfSequence, type Picture } from '../observe/picture/picture.ts';
import { sequenceDrawing } from '../observe/sequence-drawing.ts';
import { Story } from '../observe/story.ts';
import { teamDrawing } from '../observe/team-drawing.ts';
import { TroupeError } from '../protocols/failure.ts';
import { replay } from '../topology/replay.ts';
import type { Team } from '../topology/team.ts';
import { loadRecording, position } from './replay.ts';
import { teamToPlay } from './team-of.ts';

export const VIEWS = ['team', 'plan', 'sequence'] as const;
export type View = (typeof VIEWS)[number];

export type TeamPictureOptions = {
  readonly as?: View;
  readonly run?: string;
  readonly at?: string;
  readonly bus: string;
  readonly input?: Readonly<Record<string, string>>;
};

/** Of a team file. Errors: as those of the file, and of the run; PLAN_UNKNOWN. */
export const teamPicture = async (file: string, options: TeamPictureOptions): Promise<Picture> => {
  const { as = 'team', run, at, input } = options;
  const team = await teamToPlay(file, { ...(input && { input }) });
  if (run !== undefined) return runPicture(run, options, team);
  if (at !== undefined || as === 'sequence')
    throw new TroupeError('USAGE', `${at === undefined ? '--as sequence' : `--at ${at}`}: of which run? Add --run <run>`);
  if (as === 'team') return pictureOf(teamDrawing(team));
  if (team.topology.kind === 'workflow') return pictureOf(planDrawing(team.name, team.topology.steps));
  throw new TroupeError('PLAN_UNKNOWN', withoutPlan(team) ?? `team ${team.name} has no plan before it runs: its supervisor makes one; add --run <run>`);
};

const withoutPlan = ({ name, topology }: Team): string | undefined =>
  topology.kind === 'peers' ? `team ${name} has no plan: its peers talk with each other; --as sequence draws what they said` : undefined;

/** Of a run as it is, or as it was at an entry. `expected`: whose it has to be. */
export const runPicture = async (run: string, { as = 'team', at, bus }: TeamPictureOptions, expected?: Team): Promise<Picture> => {
  const recording = await loadRecording(run, bus);
  const { team } = recording.record;
  if (expected && expected.name !== team.name) throw new TroupeError('USAGE', `${recording.run} is a run of team ${team.name}, and not of ${expected.name}`);
  const story = new Story();
  replay(recording, position(at), (seen) => story.see(seen));
  switch (as) {
    case 'team':
      return pictureOf(teamDrawing(team, story));
    case 'sequence':
      return pictureOfSequence(sequenceDrawing(recording.run, team.name, story));
    case 'plan': {
      const drawing = planOfRun(recording.run, team.name, story);
      if (drawing) return pictureOf(drawing);
      throw new TroupeError('PLAN_UNKNOWN', withoutPlan(team) ?? `${recording.run} has no plan${at === undefined ? ' yet' : ` up to entry ${at}`}`);
    }
  }
};
