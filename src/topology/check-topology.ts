/**
 * What is written in one topology: its lists of agents, its routes, its steps and its peers. Whether the agents named there
 * exist is asked where agents are checked, and how teams stand inside each other where teams are. Pure.
 */
import { roundsToAll } from '../actors/peer/gossip.ts';
import { duplicateIssues } from './check-duplicates.ts';
import { planIssues } from './check-steps.ts';
import { lookUp } from './look-up.ts';
import type { Issue, Path } from './problem.ts';
import { isExternal, type SupervisedFile, type TeamFile } from './schema.ts';
import { knownHint } from './suggest.ts';
import { places, type Place } from './uses.ts';

/** Lists of agents in a topology. */
export const listIssues = ({ path, topology }: Place): Issue[] =>
  topology.kind === 'peers' ? duplicateIssues(topology.peers, [...path, 'peers']) : leadListIssues(path, topology);

const leadListIssues = (path: Path, topology: SupervisedFile): Issue[] => [
  ...routeIssues(path, topology),
  ...(topology.kind === 'centralised' ? duplicateIssues(topology.workers, [...path, 'workers']) : []),
  ...duplicateIssues(topology.reviewers ?? [], [...path, 'reviewers']),
  ...(topology.reviewer !== undefined && topology.reviewers !== undefined
    ? [
        {
          code: 'VALUE_INVALID' as const,
          path: [...path, 'reviewer'],
          onKey: true,
          message: 'expected reviewer or reviewers, not both',
          hint: 'put it into the list',
        },
      ]
    : []),
];

/** Two routes to one agent would be one choice told twice; a fallback has to be there where it is asked for. */
const routeIssues = (path: Path, topology: SupervisedFile): Issue[] => {
  if (topology.kind !== 'router') return [];
  const { routes, on_unknown: onUnknown, fallback } = topology;
  const names = routes.map(({ agent }) => agent);
  return [
    ...names.flatMap((name, index): Issue[] =>
      names.indexOf(name) < index
        ? [
            {
              code: 'VALUE_DUPLICATE',
              path: [...path, 'routes', index, 'agent'],
              message: `"${name}" has a route already`,
              hint: 'say all that is for it in one `when`',
            },
          ]
        : [],
    ),
    ...(onUnknown === 'fallback' && fallback === undefined
      ? [
          {
            code: 'KEY_MISSING' as const,
            path: [...path, 'on_unknown'],
            message: 'no fallback is named for what is for nobody',
            hint: 'add fallback: with an agent, or write on_unknown: fail',
          },
        ]
      : []),
    ...(onUnknown === 'ask' && fallback === undefined
      ? [
          {
            code: 'KEY_MISSING' as const,
            path: [...path, 'on_unknown'],
            message: 'no fallback is named that a person could be asked about, where the task is for nobody',
            hint: 'add fallback: with an agent, or write on_unknown: fail',
          },
        ]
      : []),
    ...(onUnknown === 'fail' && fallback !== undefined
      ? [
          {
            code: 'VALUE_INVALID' as const,
            severity: 'warning' as const,
            path: [...path, 'fallback'],
            onKey: true,
            message: 'the fallback is never asked with on_unknown: fail',
            hint: 'remove one of them',
          },
        ]
      : []),
  ];
};

export const stepIssues = (file: TeamFile): Issue[] =>
  places(file).flatMap(({ path, topology }) =>
    topology.kind === 'workflow' ? planIssues({ steps: topology.steps, state: topology.state, inputs: file.inputs }, [...path, 'steps']) : [],
  );

export const peerIssues = ({ topology, agents, limits: { deadline_s: deadlineS } }: TeamFile): Issue[] => {
  if (topology.kind !== 'peers') return [];
  const { peers, protocol, rounds, fanout, vote, weights, reply_timeout_s: replyS } = topology;
  const external = peers.flatMap((name, index): Issue[] => {
    const agent = lookUp(agents, name);
    if (!agent || !isExternal(agent)) return [];
    return [
      {
        code: 'AGENT_KIND',
        path: ['topology', 'peers', index],
        message: `"${name}" is external, and a peer is played by Troupe`,
        hint: 'remove it, or external: true',
      },
    ];
  });
  const strangers = Object.keys(weights)
    .filter((name) => !peers.includes(name))
    .map((name): Issue => ({
      code: 'AGENT_UNKNOWN',
      path: ['topology', 'weights', name],
      onKey: true,
      message: `"${name}" is none of the peers`,
      hint: knownHint(name, peers),
    }));
  const isWeighted = protocol === 'debate' && vote === 'weighted';
  const unused: Issue[] =
    Object.keys(weights).length > 0 && !isWeighted
      ? [
          {
            code: 'PEERS_UNUSED',
            severity: 'warning',
            path: ['topology', 'weights'],
            onKey: true,
            message: 'weights count only in a debate with vote: weighted',
            hint: 'write both, or remove them',
          },
        ]
      : [];
  const needed = roundsToAll(peers.length, fanout);
  const few: Issue[] =
    protocol === 'gossip' && rounds < needed
      ? [
          {
            code: 'PEERS_TOO_FEW_ROUNDS',
            severity: 'warning',
            path: ['topology', 'rounds'],
            message: `a fact reaches ${peers.length} peers in ${needed} rounds with fanout ${fanout}, and there are ${rounds}`,
            hint: 'raise rounds or fanout',
          },
        ]
      : [];
  const patient: Issue[] =
    replyS >= deadlineS
      ? [
          {
            code: 'PEERS_TOO_PATIENT',
            severity: 'warning',
            path: ['topology', 'reply_timeout_s'],
            message: `a peer that is silent is waited for ${replyS} s, and the run ends after ${deadlineS} s`,
            hint: 'lower it, or raise limits.deadline_s',
          },
        ]
      : [];
  return [...external, ...strangers, ...unused, ...few, ...patient];
};
