/** The team file's schema as JSON Schema draft-07, which editors read. It knows shapes and words, not what parts mean to each other. */
import { z } from 'zod';
import { TeamFile } from './schema.ts';

export const teamJsonSchema = (): Record<string, unknown> => z.toJSONSchema(TeamFile, { target: 'draft-7', io: 'input' });
