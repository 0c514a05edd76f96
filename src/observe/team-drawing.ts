/**
 * The drawing of a team: who is in it, what each may use and spend, and who may send what to whom. With a story, what was sent and
 * who is at work. A new kind of topology is one more case of `partsOf`, which says who stands there and what they say to each other.
 */
import { formatDollars } from '../protocols/money.ts';
import type { Team, Topology } from '../topology/team.ts';
import { phrase, type Arrow, type Drawing, type Line } from './picture/drawing.ts';
import type { Story } from './story.ts';
import { atTheTable } from './team-peers.ts';
import { alone, APPROVER, BUDGET, CLIENT, limitInWords, party, talk, type Channel, type Parts, type Scene } from './team-scene.ts';
import { supervised } from './team-supervised.ts';

const WHOLE = '(team)';

export const teamDrawing = (team: Team, story?: Story): Drawing => {
  const scene: Scene = { team, story, within: '' };
  const parts = partsOf(scene, team.topology);
  const asking = [...new Map(parts.asking.map((seat) => [seat.box, seat])).values()];
  const client = alone(CLIENT, 'you');
  const budget = alone(BUDGET, 'budget');
  const approver = alone(APPROVER, 'approver');
  const channel = (one: Channel): Arrow => talk(scene, one);
  return {
    title: `team ${team.name}`,
    notes: [
      ...(team.description === '' ? [] : [{ phrases: [phrase(team.description)] }]),
      { phrases: [phrase(team.topology.kind, 'name'), phrase(parts.how, 'muted')] },
      ...(story ? [spendingLine(story)] : []),
    ],
    boxes: [
      party(client, [{ phrases: [phrase('whoever starts the run')] }]),
      { id: WHOLE, kind: 'frame', title: team.name, lines: [], children: parts.boxes, accents: [] },
      party(budget, accountLines(team)),
      ...(asking.length > 0 ? [party(approver, [{ phrases: [phrase('holds what a person must decide')] }])] : []),
    ],
    arrows: [
      channel({
        from: client,
        to: parts.head,
        says: ['run.start', 'run.cancel'],
        hears: ['run.completed', 'run.failed', ...(mayRevise(team.topology) ? (['plan.revised'] as const) : [])],
      }),
      ...parts.arrows,
      channel({
        from: { box: WHOLE, title: 'all', names: parts.all },
        to: budget,
        says: ['budget.reserve', 'budget.settle', 'budget.release', 'budget.extend', 'budget.orphaned', 'budget.close'],
        hears: ['budget.granted', 'budget.vetoed', 'budget.paused', 'budget.raised', 'budget.revoked', 'budget.closed'],
      }),
      channel({ from: client, to: budget, says: ['budget.raise', 'budget.freeze'], hears: ['budget.paused', 'budget.threshold'] }),
      ...asking.map((from) => channel({ from, to: approver, says: ['approval.request'], hears: ['approval.decided'] })),
      ...(asking.length > 0 ? [channel({ from: client, to: approver, says: ['approval.answer'], hears: [] })] : []),
    ],
  };
};

const partsOf = (scene: Scene, topology: Topology): Parts => {
  switch (topology.kind) {
    case 'centralised':
    case 'workflow':
    case 'router':
      return supervised(scene, topology);
    case 'peers':
      return atTheTable(scene, topology);
  }
};

const mayRevise = (topology: Topology): boolean => topology.kind === 'centralised' && (topology.replans ?? 0) > 0;

const accountLines = ({ budget }: Team): Line[] => [
  { sign: 'money', phrases: [phrase(formatDollars(BigInt(budget.limitNanos)), 'name'), phrase('for a run')] },
  ...(budget.limits.length === 0 ? [] : [{ phrases: [phrase(budget.limits.map(limitInWords).join(', '))] }]),
  ...(budget.account === undefined ? [] : [{ phrases: [phrase('from the account', 'muted'), phrase(budget.account)] }]),
  { phrases: [phrase('when it is used up:', 'muted'), phrase(budget.onExhausted)] },
  ...(budget.keptBackNanos === '0'
    ? []
    : [{ phrases: [phrase(formatDollars(BigInt(budget.keptBackNanos))), phrase('kept back for the closing answer', 'muted')] }]),
];

const spendingLine = (story: Story): Line => ({
  sign: 'money',
  phrases: [phrase(formatDollars(story.spentBy(() => true)), 'name'), phrase(`spent after ${story.entries} entries`, 'muted')],
});
