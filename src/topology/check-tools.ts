/** The tools of agents: known, of use to whom they are given, and given what they read. Pure. */
import { EVIDENCE_TOOL } from '../actors/reviewer/policy.ts';
import type { Catalogue } from './catalogue.ts';
import { duplicateIssues } from './check-duplicates.ts';
import { toolsOf, type Hosted } from './hosted.ts';
import type { Issue } from './problem.ts';
import { knownHint } from './suggest.ts';

export const toolIssues = (file: Hosted, { tools: known }: Catalogue): Issue[] => {
  const hasFolder = Object.values(file.inputs).some(({ folder }) => folder !== undefined);
  return Object.entries(file.agents).flatMap(([agentName, agent]) => [
    ...toolsOf(agent).flatMap((name, index): Issue[] => {
      const path = ['agents', agentName, 'tools', index];
      const tool = known.find((one) => one.name === name);
      if (!tool)
        return [
          {
            code: 'TOOL_UNKNOWN',
            path,
            message: `unknown tool "${name}"`,
            hint: knownHint(
              name,
              known.map((one) => one.name),
            ),
          },
        ];
      if (agent.kind === 'reviewer' && name !== EVIDENCE_TOOL) {
        return [
          { code: 'TOOL_UNUSED', severity: 'warning', path, message: `a reviewer never calls ${name}`, hint: `the one tool of a reviewer is ${EVIDENCE_TOOL}` },
        ];
      }
      if (!tool.needsFolder || hasFolder) return [];
      return [
        {
          code: 'TOOL_NEEDS_FOLDER',
          path,
          message: `${name} reads folders, and no input is one`,
          hint: 'add one, such as inputs: { docs: { folder: ./docs } }',
        },
      ];
    }),
    ...duplicateIssues(toolsOf(agent), ['agents', agentName, 'tools']),
  ]);
};
