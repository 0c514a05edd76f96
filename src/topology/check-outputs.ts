/** The schemas that agents answer by. Pure. */
import { schemaProblems } from '../protocols/output.ts';
import type { Hosted } from './hosted.ts';
import type { Issue } from './problem.ts';

/** A schema that answers cannot be checked by. */
export const outputIssues = ({ agents }: Hosted): Issue[] =>
  Object.entries(agents).flatMap(([name, agent]) =>
    agent.kind === 'reviewer' || !agent.output
      ? []
      : schemaProblems(agent.output.schema).map(({ path, problem }): Issue => ({
          code: 'OUTPUT_SCHEMA_INVALID',
          path: ['agents', name, 'output', 'schema', ...path],
          message: problem,
          hint: 'docs/team-file.md says what a schema may have',
        })),
  );
