/** `troupe budget-server`: grants the money of every run of a team. Any number may do so; all of them decide alike. */
import { BUDGET_PART } from '../topology/service.ts';
import { serve, type ServeOptions } from './serve.ts';
import { teamToPlay } from './team-of.ts';

export const budgetServer = async (file: string, options: ServeOptions): Promise<number> => serve(await teamToPlay(file, options), [BUDGET_PART], 1, options);
