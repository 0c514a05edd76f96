/** What is stored of a run under `run.<id>`, so that any process can go on with it. */
import { z } from 'zod';
import { Team } from './team.ts';

export const RunRecord = z.object({ team: Team, models: z.record(z.string(), z.string()), startedAt: z.number() });
export type RunRecord = z.infer<typeof RunRecord>;
