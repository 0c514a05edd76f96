/**
 * Peers, as the picture of a team has them: who sits at the table, and beside it the protocol as the phases that they pass through,
 * each with who says what to whom in it. A new protocol is one more case of `phasesOf`.
 */
import type { MessageName } from '../protocols/catalogue.ts';
import type { PeerRules } from '../protocols/peer.ts';
import type { Topology } from '../topology/team.ts';
import { phrase, type Arrow, type Box, type Line } from './picture/drawing.ts';
import {
  accentsOf,
  alone,
  CONVENER,
  doingLines,
  party,
  saidBetween,
  seatTogether,
  spoken,
  talk,
  timesInWords,
  type Parts,
  type Scene,
  type Seat,
} from './team-scene.ts';

type Peers = Extract<Topology, { kind: 'peers' }>;

/** What is said in a phase, and by whom to whom. */
type Saying = readonly [who: string, ...says: MessageName[]];

type Phase = {
  readonly title: string;
  readonly does: string;
  readonly says: readonly Saying[];
  /** The phases that follow, and when. */
  readonly then: readonly (readonly [title: string, when?: string])[];
  readonly ends?: 'well' | 'badly';
};

export const atTheTable = (scene: Scene, { peers, rules, patienceMs }: Peers): Parts => {
  const convener = alone(CONVENER, 'convener');
  const [table] = seatTogether(scene, 'peers', peers);
  const ownWork = spoken(scene, 'each to the worker that it is', table, table, ['task.assign', 'task.cancel']);
  const ownResult = spoken(scene, 'and hears', table, table, ['task.completed', 'task.failed']);
  const [, boxes] = seatTogether(scene, 'peers', peers, [ownWork.line, ownResult.line]);
  const phases = phasesOf(rules, peers.length);
  const waits = `nobody is waited for longer than ${patienceMs / 1_000} s`;
  const protocol: Box = {
    id: '(protocol)',
    kind: 'frame',
    title: `protocol ${rules.protocol}`,
    lines: [
      { sign: 'clock', phrases: [phrase(waits)] },
      {
        sign: 'says',
        phrases: [
          phrase('who has nothing to say to a phase:', 'muted'),
          phrase(`peer.passed${timesInWords(saidBetween(scene, table, table, 'peer.passed').length)}`, 'name'),
        ],
      },
    ],
    children: phases.map((phase) => phaseBox(scene, table, phase)),
    accents: [],
  };
  return {
    how: `${peers.length} peers talk with each other directly; ${endOf(rules)}`,
    head: convener,
    all: [CONVENER, ...peers],
    asking: rules.protocol === 'debate' && rules.onTie === 'ask' ? [convener] : [],
    boxes: [
      party(
        convener,
        [{ phrases: [phrase('opens the talk and closes it, with no say in between')] }, ...doingLines(scene, convener)],
        accentsOf(scene, convener),
      ),
      ...boxes,
      protocol,
    ],
    arrows: [
      talk(scene, { from: convener, to: table, says: ['peer.convene', 'peer.dismiss', 'budget.paused', 'budget.raised'], hears: ['peer.concluded'] }),
      { id: '(under the protocol)', from: convener.box, to: protocol.id, lines: [{ phrases: [phrase('under the protocol')] }], accents: [] },
      ...phases.flatMap(phaseArrows),
    ],
  };
};

const phaseId = (title: string): string => `(protocol)/${title}`;

const phaseBox = (scene: Scene, table: Seat, { title, does, says, ends }: Phase): Box => {
  const told = says.map(([who, ...types]) => spoken(scene, who, table, table, types));
  return {
    id: phaseId(title),
    kind: 'step',
    title,
    lines: [{ phrases: [phrase(does)] }, ...told.map(({ line }): Line => ({ sign: 'says', ...line }))],
    children: [],
    accents: ends === undefined ? (told.some(({ wasSaid }) => wasSaid) ? ['taken'] : []) : [ends === 'well' ? 'done' : 'failure'],
  };
};

const phaseArrows = ({ title, then }: Phase): Arrow[] =>
  then.map(([next, when]) => ({
    id: `${phaseId(title)} to ${phaseId(next)}`,
    from: phaseId(title),
    to: phaseId(next),
    lines: when === undefined ? [] : [{ phrases: [phrase(when, 'guard')] }],
    accents: [],
  }));

const inRounds = (rounds: number): string => (rounds === 1 ? 'one round' : `${rounds} rounds at most`);

const endOf = (rules: PeerRules): string => {
  switch (rules.protocol) {
    case 'contract_net':
      return 'they bid, and the best bid does the work';
    case 'debate':
      return `${inRounds(rules.rounds)}, then a vote`;
    case 'refine':
      return `they write one document, in ${inRounds(rules.rounds)}`;
    case 'gossip':
      return `facts spread from each to ${rules.fanout} others, in ${inRounds(rules.rounds)}`;
  }
};

const VOTES = { majority: 'More than half of the votes', unanimous: 'All of the votes', weighted: 'More than half by weight' } as const;
const TO_ALL = 'each to all others';

const phasesOf = (rules: PeerRules, peers: number): Phase[] => {
  switch (rules.protocol) {
    case 'contract_net':
      return [
        {
          title: 'call',
          does: 'The first peer manages the contract; where it is silent the next one does.',
          says: [['the manager to all others', 'contract.call']],
          then: [['bid']],
        },
        { title: 'bid', does: 'Each names a price and how sure it is.', says: [['each to the manager', 'contract.bid']], then: [['award']] },
        {
          title: 'award',
          does: 'The best confidence for the price wins.',
          says: [
            ['the manager to the winner', 'contract.award'],
            ['the manager to the others', 'contract.reject'],
          ],
          then: [['work'], ['nobody delivers', 'no bid is left']],
        },
        {
          title: 'work',
          does: 'The winner does it, as the worker that it is.',
          says: [['the winner to the manager', 'contract.delivered']],
          then: [
            ['delivered', 'it delivers'],
            ['award', 'it fails or is silent: the next best'],
          ],
        },
        { title: 'delivered', does: 'The answer is what was delivered.', says: [], then: [], ends: 'well' },
        { title: 'nobody delivers', does: 'The run fails.', says: [], then: [], ends: 'badly' },
      ];
    case 'debate': {
      const { rounds, vote, weights, quorum, onTie } = rules;
      const weighty = Object.entries(weights).map(([name, weight]) => `${name} ${weight}`);
      const counting = [VOTES[vote], ...(vote === 'weighted' && weighty.length > 0 ? [`(${weighty.join(', ')}; others 1)`] : [])].join(' ');
      const tie = onTie === 'first' ? 'of a tie the first by name wins' : 'a tie is left to a person';
      return [
        {
          title: 'position',
          does: 'Each does the task, or answers the objections to it, as the worker that it is.',
          says: [[TO_ALL, 'debate.position']],
          then: rounds === 1 ? [['vote']] : [['critique'], ['vote', `after ${rounds} rounds`]],
        },
        ...(rounds === 1
          ? []
          : [
              {
                title: 'critique',
                does: 'Each says what is wrong with the others.',
                says: [[TO_ALL, 'debate.critique']],
                then: [
                  ['position', 'objections: the next round'],
                  ['vote', 'nobody objects'],
                ],
              } satisfies Phase,
            ]),
        {
          title: 'vote',
          does: `${counting} decide; ${Math.round(quorum * 100)} % must be given; ${tie}.`,
          says: [[TO_ALL, 'debate.vote']],
          then: [
            ['decided', 'a position wins'],
            ['undecided', 'none does'],
          ],
        },
        { title: 'decided', does: 'The answer is the position that won.', says: [], then: [], ends: 'well' },
        { title: 'undecided', does: 'The run fails, with what there is.', says: [], then: [], ends: 'badly' },
      ];
    }
    case 'refine':
      return [
        {
          title: 'edit',
          does: 'Each edits the version that stands, on its own copy, or accepts it. Of several edits one counts; the others are made again on it.',
          says: [
            [TO_ALL, 'document.edit'],
            [TO_ALL, 'document.accept'],
          ],
          then: [
            ['agreed', 'all accept it'],
            ['rounds used up', `after ${inRounds(rules.rounds)}`],
          ],
        },
        { title: 'agreed', does: 'The answer is the version that all accept.', says: [], then: [], ends: 'well' },
        { title: 'rounds used up', does: 'The answer is the version that stands.', says: [], then: [], ends: 'well' },
      ];
    case 'gossip':
      return [
        { title: 'find', does: 'Each looks for facts, as the worker that it is.', says: [], then: [['tell']] },
        {
          title: 'tell',
          does: 'Each tells all that it knows; of equal facts one is kept, with the sources of all.',
          says: [[`each to ${rules.fanout} of ${peers - 1} others`, 'gossip.facts']],
          then: [
            ['agreed', 'nobody hears anything new'],
            ['rounds used up', `after ${inRounds(rules.rounds)}`],
          ],
        },
        { title: 'agreed', does: 'The answer is all facts, each once.', says: [], then: [], ends: 'well' },
        { title: 'rounds used up', does: 'The answer is the facts that are known by then.', says: [], then: [], ends: 'well' },
      ];
  }
};
