/** How teams stand inside each other: none in itself, none too deep, and nobody above the whole team. Pure. */
import { cyclesIn } from './check-steps.ts';
import { lookUp } from './look-up.ts';
import type { Issue } from './problem.ts';
import { DEPTH_MAX, type TeamFile, type TopologyFile } from './schema.ts';
import { memberUses, places, type Place, type Use } from './uses.ts';

/** The teams that a topology gives steps to. */
const teamsBelow = (file: TeamFile, topology: TopologyFile): Use[] => memberUses([], topology).filter(({ name }) => lookUp(file.agents, name)?.kind === 'team');

/** No team may work for itself, by whatever way: every cycle once. */
export const teamCycleIssues = (file: TeamFile): Issue[] => {
  const inside = places(file).filter(({ team }) => team !== undefined);
  return cyclesIn(inside.map(({ team, topology }) => ({ id: team!, needs: teamsBelow(file, topology).map(({ name }) => name) }))).map((cycle): Issue => {
    const { path, topology } = inside.find(({ team }) => team === cycle[0])!;
    return {
      code: 'TEAM_CYCLE',
      path: memberUses(path, topology).find(({ name }) => name === cycle[1])!.path,
      message: `these teams work for each other: ${cycle.join(' -> ')}`,
      hint: 'no team may have a part in itself',
    };
  });
};

/** How many teams stand inside each other below the file's own topology. */
export const depthIssues = (file: TeamFile): Issue[] => {
  const { depth } = file.limits;
  const tooDeep = ({ path, topology }: Pick<Place, 'path' | 'topology'>, teams: readonly string[]): Issue[] =>
    memberUses(path, topology).flatMap(({ path: at, name }): Issue[] => {
      const agent = lookUp(file.agents, name);
      if (agent?.kind !== 'team') return [];
      const inside = [...teams, name];
      if (inside.length >= depth) {
        const message = `${['the team', ...inside].join(' -> ')} is ${inside.length + 1} teams inside each other; at most ${depth} are allowed`;
        const flatter = 'put the work of two teams into one';
        const hint = depth < DEPTH_MAX ? `raise limits.depth, ${DEPTH_MAX} at most, or ${flatter}` : flatter;
        return [{ code: 'TEAM_TOO_DEEP', path: at, message, hint }];
      }
      return tooDeep({ path: ['agents', name, 'topology'], topology: agent.topology }, inside);
    });
  const issues = tooDeep({ path: ['topology'], topology: file.topology }, []);
  return issues.filter((issue, index) => issues.findIndex(({ path }) => path.join() === issue.path.join()) === index);
};

/** Nobody stands above the supervisor of the whole team. */
export const handUpIssues = ({ topology }: TeamFile): Issue[] =>
  topology.kind !== 'peers' && topology.on_rejected === 'hand_up'
    ? [
        {
          code: 'VALUE_INVALID',
          path: ['topology', 'on_rejected'],
          message: 'nobody is above this supervisor to hand work up to',
          hint: 'expected accept_with_note | fail | ask | take_over here; hand_up is for teams inside the team',
        },
      ]
    : [];
