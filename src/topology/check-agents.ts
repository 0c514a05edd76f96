/**
 * The agents of a team file: names that must be there, kinds that must fit, handoffs that lead to somebody else, and what is
 * written for an agent that nobody asks or that has no use for it. Pure.
 */
import { duplicateIssues } from './check-duplicates.ts';
import { listIssues } from './check-topology.ts';
import { lookUp } from './look-up.ts';
import type { Issue } from './problem.ts';
import { isExternal, type AgentFile, type TeamFile } from './schema.ts';
import { knownHint } from './suggest.ts';
import { handoffsOf, pathOfHandoffs, places, uses } from './uses.ts';

export const roleIssues = (file: TeamFile): Issue[] => [
  ...uses(file).flatMap(({ path, name, kinds }): Issue[] => {
    const agent = lookUp(file.agents, name);
    if (!agent) return [{ code: 'AGENT_UNKNOWN', path, message: `unknown agent "${name}"`, hint: knownHint(name, ofKind(file, kinds)) }];
    if (kinds.includes(agent.kind)) return [];
    return [
      {
        code: 'AGENT_KIND',
        path,
        message: `expected an agent of kind ${kinds.join(' or ')}, found "${name}", a ${agent.kind}`,
        hint: `of that kind: ${ofKind(file, kinds).join(', ') || 'none'}`,
      },
    ];
  }),
  ...places(file).flatMap(listIssues),
  ...handoffIssues(file),
  ...misnamedIssues(file),
];

/** A list of agents that has the agent itself in it, or one twice; and one that nobody reads. */
const handoffIssues = (file: TeamFile): Issue[] =>
  Object.keys(file.agents).flatMap((name): Issue[] => {
    const to = handoffsOf(file, name);
    const path = pathOfHandoffs(file, name);
    const itself = to.indexOf(name);
    return [
      ...duplicateIssues(to, path),
      ...(itself < 0
        ? []
        : [
            {
              code: 'HANDOFF_TO_ITSELF' as const,
              path: [...path, itself],
              message: `${name} cannot hand its work over to itself`,
              hint: 'remove it from the list',
            },
          ]),
      ...(to.length > 0 && file.topology.kind === 'peers'
        ? [
            {
              code: 'HANDOFF_UNUSED' as const,
              severity: 'warning' as const,
              path: ['agents', name, 'handoffs'],
              onKey: true,
              message: 'peers do not hand their work over: they have a protocol',
              hint: 'remove it, or choose another topology',
            },
          ]
        : []),
    ];
  });

/** The supervisor's account is called `supervisor`, whatever the agent is. */
const misnamedIssues = ({ agents }: TeamFile): Issue[] => {
  const agent = lookUp(agents, 'supervisor');
  if (!agent || agent.kind === 'supervisor') return [];
  return [
    {
      code: 'NAME_INVALID',
      path: ['agents', 'supervisor'],
      onKey: true,
      message: `a ${agent.kind} cannot be called "supervisor"`,
      hint: 'give it a name of its own',
    },
  ];
};

const ofKind = ({ agents }: TeamFile, kinds: readonly AgentFile['kind'][]): string[] =>
  Object.keys(agents).filter((name) => kinds.includes(agents[name]!.kind));

export const unusedAgentIssues = (file: TeamFile): Issue[] => {
  const used = new Set(uses(file).map(({ name }) => name));
  return Object.keys(file.agents)
    .filter((name) => !used.has(name))
    .map((name) => ({
      code: 'AGENT_UNUSED',
      severity: 'warning',
      path: ['agents', name],
      onKey: true,
      message: 'nobody gives this agent anything to do',
      hint: 'name it under topology, or remove it',
    }));
};

/** What is written for an agent that has no use for it. */
export const externalIssues = (file: TeamFile): Issue[] =>
  Object.entries(file.agents).flatMap(([name, agent]): Issue[] => {
    if (!isExternal(agent)) return [];
    const unused = { model: agent.model !== 'default', cheaper_model: agent.cheaper_model !== undefined, tools: agent.tools.length > 0, budget: agent.budget };
    return Object.entries(unused)
      .filter(([, isWritten]) => isWritten)
      .map(([key]) => ({
        code: 'EXTERNAL_UNUSED',
        severity: 'warning',
        path: ['agents', name, key],
        onKey: true,
        message: `the process that plays an external agent is not given its ${key}`,
        hint: 'remove it, or remove external: true',
      }));
  });
