/** A team of peers in a file: what is made of it, what is wrong with it, and who lives where. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { address, type RunId } from '../../../src/protocols/ids.ts';
import { castTeam, supervisorOf } from '../../../src/topology/cast.ts';
import { loadTeam } from '../../../src/topology/load.ts';
import { formatProblem, TeamFileError } from '../../../src/topology/problem.ts';
import { resolveTeam } from '../../../src/topology/resolve.ts';
import { catalogue, edited, teamFolder } from './team-folder.ts';

const peers = `name: second-opinion
task: What is said about budgets?
models:
  default: [extractive/classic]
agents:
  anna: { kind: worker, role: a reader }
  ben: { kind: worker, role: a reader }
  cleo: { kind: worker, role: a reader }
topology:
  kind: peers
  peers: [anna, ben, cleo]
  protocol: debate
  vote: weighted
  weights: { ben: 2 }
budget:
  limit: 0.05
`;

let folder: Awaited<ReturnType<typeof teamFolder>>;
beforeAll(async () => void (folder = await teamFolder()));
afterAll(() => folder.remove());

const load = async (text: string) => {
  await folder.write(text);
  return loadTeam('team.yaml', { cwd: folder.path, catalogue });
};

test('the rules are those of the protocol alone', async () => {
  const rulesOf = async (text: string) => {
    const { file, inputs } = await load(text);
    const { topology } = resolveTeam(file, inputs);
    return topology.kind === 'peers' && topology.rules;
  };
  expect(await rulesOf(peers)).toEqual({ protocol: 'debate', rounds: 3, vote: 'weighted', weights: { ben: 2 }, quorum: 0.5, onTie: 'first' });
  expect(await rulesOf(edited(edited(peers, 'debate', 'gossip'), '  vote: weighted\n  weights: { ben: 2 }\n', ''))).toEqual({
    protocol: 'gossip',
    rounds: 3,
    fanout: 2,
  });
});

test('each peer lives at an address of its own, works as a worker, and the convener lives where a run begins', async () => {
  const run = 'r-peers' as RunId;
  const { file, inputs } = await load(peers);
  const team = resolveTeam(file, inputs);
  const cast = castTeam(run, team, Object.fromEntries(Object.keys(team.agents).map((name) => [name, 'extractive/classic'])));
  expect(cast(supervisorOf(run))?.chart.name).toBe('convener');
  expect(cast(address(run, 'peer', 'ben'))).toMatchObject({ chart: { name: 'peer' }, input: { profile: { name: 'ben' }, peers: ['anna', 'ben', 'cleo'] } });
  expect(cast(address(run, 'worker', 'ben', 'peer-position-1'))?.chart.name).toBe('worker');
  expect(cast(address(run, 'peer', 'zoe'))).toBeUndefined();
});

describe('mistakes', () => {
  const problemsOf = async (text: string): Promise<string> => {
    try {
      return (await load(text)).warnings.map(formatProblem).join('\n');
    } catch (thrown) {
      expect(thrown).toBeInstanceOf(TeamFileError);
      return (thrown as TeamFileError).message;
    }
  };

  test.each([
    ['none', peers, ''],
    [
      'a peer that is not there',
      edited(peers, '[anna, ben, cleo]', '[anna, benn, cleo]'),
      'team.yaml:11:17 topology.peers[1]: unknown agent "benn"; known: anna, ben, cleo; did you mean "ben"?',
    ],
    [
      'a weight for somebody else',
      edited(peers, '{ ben: 2 }', '{ benn: 2 }'),
      'team.yaml:14:14 topology.weights.benn: "benn" is none of the peers; known: anna, ben, cleo; did you mean "ben"?',
    ],
    ['a peer twice', edited(peers, '[anna, ben, cleo]', '[anna, ben, cleo, ben]'), 'team.yaml:11:28 topology.peers[3]: "ben" is in the list already'],
    ['one peer alone', edited(peers, '[anna, ben, cleo]', '[ben]'), 'team.yaml:11:10 topology.peers: expected at least 2 entries, found a list of 1'],
    [
      'a peer that others play',
      edited(peers, 'cleo: { kind: worker,', 'cleo: { kind: worker, external: true,'),
      'team.yaml:11:22 topology.peers[2]: "cleo" is external, and a peer is played by Troupe; remove it, or external: true',
    ],
    [
      'a supervisor among them',
      edited(peers, 'cleo: { kind: worker,', 'cleo: { kind: supervisor,'),
      'team.yaml:11:22 topology.peers[2]: expected an agent of kind worker, found "cleo", a supervisor; of that kind: anna, ben',
    ],
    [
      'weights without a vote that weighs',
      edited(peers, '  vote: weighted\n', ''),
      'team.yaml:13:3 warning: topology.weights: weights count only in a debate with vote: weighted; write both, or remove them',
    ],
    [
      'too few rounds of gossip',
      edited(edited(peers, 'debate', 'gossip\n  rounds: 1\n  fanout: 1'), '  vote: weighted\n  weights: { ben: 2 }\n', ''),
      'team.yaml:13:11 warning: topology.rounds: a fact reaches 3 peers in 2 rounds with fanout 1, and there are 1; raise rounds or fanout',
    ],
    [
      'more patience than the run has time',
      edited(peers, 'debate', 'debate\n  reply_timeout_s: 900'),
      'team.yaml:13:20 warning: topology.reply_timeout_s: a peer that is silent is waited for 900 s, and the run ends after 900 s; lower it, or raise limits.deadline_s',
    ],
    [
      'money that is kept back for nobody',
      edited(peers, 'limit: 0.05', 'limit: 0.05\n  on_exhausted: answer\n  keep_back: 0.01'),
      'team.yaml:18:14 warning: budget.keep_back: nobody makes a closing answer among peers; remove it',
    ],
  ])('%s', async (_, text, said) => {
    expect(await problemsOf(text)).toBe(said);
  });
});
