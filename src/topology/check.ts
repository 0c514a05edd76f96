/**
 * What the parts of a team file mean to each other: names that must be there, kinds that must fit, plans that must end, money
 * that must reach. Pure, over the file's shape and what this installation knows; nothing is called and nothing is spent.
 *
 * An error keeps the team from running. A warning is something that was probably meant otherwise.
 */
import type { Catalogue } from './catalogue.ts';
import { externalIssues, roleIssues, unusedAgentIssues } from './check-agents.ts';
import { budgetIssues, grantIssues } from './check-budget.ts';
import { placeholderIssues, unusedInputIssues } from './check-inputs.ts';
import { cheaperIssues, modelIssues } from './check-models.ts';
import { outputIssues } from './check-outputs.ts';
import { depthIssues, handUpIssues, teamCycleIssues } from './check-teams.ts';
import { toolIssues } from './check-tools.ts';
import { peerIssues, stepIssues } from './check-topology.ts';
import { hostedIn, withoutExternals } from './hosted.ts';
import { orElse, type Issue } from './problem.ts';
import type { TeamFile } from './schema.ts';

export const checkTeam = (file: TeamFile, catalogue: Catalogue): Issue[] => {
  const hosted = hostedIn(file);
  return [
    ...orElse([...roleIssues(file), ...teamCycleIssues(file)], () => [
      ...unusedAgentIssues(file),
      ...depthIssues(file),
      ...handUpIssues(file),
      ...peerIssues(file),
    ]),
    ...externalIssues(file),
    ...stepIssues(file),
    ...toolIssues(hosted, catalogue),
    ...outputIssues(hosted),
    ...orElse(modelIssues(hosted, catalogue), () => cheaperIssues(hosted, catalogue)),
    ...budgetIssues(withoutExternals(file), hosted, catalogue),
    ...grantIssues(hosted),
    ...orElse(placeholderIssues(file), () => unusedInputIssues(hosted, file, catalogue)),
  ];
};
