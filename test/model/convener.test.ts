import { describe, expect, it } from 'vitest';
import type { ConvenerContext } from '../../src/actors/convener/machine.ts';
import { failure } from '../../src/protocols/failure.ts';
import { address, type RunId } from '../../src/protocols/ids.ts';
import { charts } from '../../src/topology/charts.ts';
import {
  countSent,
  everyPath,
  follow,
  happened,
  hasEnded,
  hears,
  leftAlone,
  pathsOf,
  raised,
  sentIn,
  watched,
  type Moment,
  type Walk,
} from '../support/chart-walk.ts';

const run = 'r-model' as RunId;
const CLIENT = address(run, 'client');
const ACCOUNT = address(run, 'budget');
const APPROVER = address(run, 'approver');
const PEERS = ['anna', 'ben'] as const;
const at = (name: (typeof PEERS)[number]) => address(run, 'peer', name);

const { chart, untaken, trapped } = watched(charts.convener);
const contextOf = (moment: Moment): ConvenerContext => moment.state.snapshot.context as ConvenerContext;

const ended = { by: 'vote' as const, rounds: 2, note: 'anna 2 of 2' };
const shared = { citations: [], peers: [{ step: 'debate', agent: 'anna', status: 'completed' }] };
const refused = failure('BUDGET_EXHAUSTED', 'no money', { details: { pause: true } });

const walk: Walk = {
  address: address(run, 'supervisor'),
  definition: {
    chart,
    input: { run, peers: PEERS, account: ACCOUNT, approver: APPROVER, deadlineMs: 900_000, askMs: 300_000, patienceMs: 5_000 },
  },
  messages: (moment) => [
    hears('run.start', CLIENT, 'run.start', { goal: 'why' }),
    hears('run.cancel', CLIENT, 'run.cancel', { reason: 'enough' }),
    ...PEERS.flatMap((name) => [
      hears(`${name} has an answer`, at(name), 'peer.concluded', { ...shared, answer: `${name} says so`, ended }),
      hears(`${name} has none`, at(name), 'peer.concluded', { ...shared, failure: failure('PEERS_UNDECIDED', `${name} does not know`) }),
    ]),
    hears('anna leaves it to a person', at('anna'), 'peer.concluded', { ...shared, answer: 'anna says so', ended, question: 'Take it?' }),
    hears('a person approves', APPROVER, 'approval.decided', { approval: 'peers', decision: 'approve', by: 'ann', note: '' }),
    hears('a person denies', APPROVER, 'approval.decided', { approval: 'peers', decision: 'deny', by: 'ann', note: '' }),
    hears('the money is used up', ACCOUNT, 'budget.paused', { account: run, failure: refused }),
    raised(ACCOUNT),
    ...(countSent(moment, 'budget.close') > 0 ? [hears('budget.closed', ACCOUNT, 'budget.closed', { limitNanos: '9', spentNanos: '3', heldNanos: '0' })] : []),
  ],
  results: () => ({}),
  counters: (moment) => {
    const { concluded, conclusion, failure: why } = contextOf(moment);
    return [concluded, conclusion?.answer, conclusion?.failure?.message, why?.code];
  },
};

const paths = pathsOf(walk);
/** Before it was cancelled. */
const started = (moment: Moment): boolean =>
  moment.taken.find(({ entry }) => entry.message.type === 'run.start' || entry.message.type === 'run.cancel')?.entry.message.type === 'run.start';
const stateOf = (moment: Moment): string => JSON.stringify(moment.state.snapshot.value);

describe('the convener on every path', () => {
  it('takes each of its transitions', () => {
    expect(untaken()).toEqual([]);
    expect(paths.length).toBeGreaterThan(100);
  });

  it('leaves every state in which it waits by an error, a cancel or a deadline too', () => {
    expect(trapped()).toEqual([]);
  });

  it('ends every run with exactly one of run.completed and run.failed, after the account was asked to close (N1)', () => {
    everyPath(paths, (moment) => {
      expect(countSent(moment, 'run.completed', 'run.failed')).toBe(hasEnded(moment) ? 1 : 0);
      const types = sentIn(moment).map(({ type }) => type);
      if (hasEnded(moment)) expect(types.indexOf('budget.close')).toBeLessThan(types.findIndex((type) => type.startsWith('run.')));
    });
  });

  it('ends as cancelled, and convenes nobody, when it is cancelled before it is started (N1)', () => {
    everyPath(paths, (moment) => {
      if (!happened(moment, 'run.cancel') || started(moment)) return;
      expect(contextOf(moment)).toMatchObject({ failure: { code: 'RUN_CANCELLED' }, client: CLIENT });
      expect(sentIn(leftAlone(walk, moment)).at(-1)).toMatchObject({ type: 'run.failed', to: CLIENT });
      expect(countSent(moment, 'peer.convene')).toBe(0);
    });
  });

  it('believes the first peer that has an answer, and the first failure only without one (N2)', () => {
    everyPath(paths, (moment) => {
      if (!hasEnded(moment)) return;
      const said = moment.taken.map(({ happening }) => happening);
      const end = sentIn(moment).at(-1)!;
      const answer = said.find((happening) => happening.endsWith('has an answer') || happening === 'anna leaves it to a person');
      if (end.type === 'run.completed') {
        expect(answer).toContain((end.data['answer'] as string).replace(' says so', ''));
        expect(end.data['ended']).toMatchObject(
          said.includes('a person approves') && answer === 'anna leaves it to a person' ? { by: 'person' } : { by: 'vote', rounds: 2 },
        );
      } else if ((end.data['failure'] as { code: string }).code === 'PEERS_UNDECIDED' && answer === undefined) {
        const first = said.find((happening) => happening.endsWith('has none'))!;
        expect((end.data['failure'] as { message: string }).message).toBe(first.replace('has none', 'does not know'));
      }
    });
  });

  it('convenes every peer once, and dismisses each before the account is closed (N3)', () => {
    everyPath(paths, (moment) => {
      const sent = sentIn(moment);
      expect(sent.filter(({ type }) => type === 'peer.convene').map(({ to }) => to)).toEqual(started(moment) ? PEERS.map(at) : []);
      const close = sent.findIndex(({ type }) => type === 'budget.close');
      if (close < 0) return;
      const dismissed = sent.slice(0, close).filter(({ type }) => type === 'peer.dismiss');
      expect(new Set(dismissed.map(({ to }) => to))).toEqual(new Set(PEERS.map(at)));
    });
  });

  it('tells every peer when the money is used up, and when it goes on', () => {
    const toldOf = ({ taken }: Moment, type: string) =>
      taken.at(-1)!.outputs.flatMap((output) => (output.kind === 'send' && output.type === type ? [output.to] : []));
    everyPath(paths, (moment) => {
      if (stateOf(moment) !== '"paused"') return;
      const paused = sentIn(moment).filter(({ type }) => type === 'budget.paused');
      expect(paused.slice(-PEERS.length).map(({ to }) => to)).toEqual(PEERS.map(at));
      expect(toldOf(follow(walk, moment, raised(ACCOUNT)), 'budget.raised')).toEqual(PEERS.map(at));
    });
  });

  it('ends by a time-out wherever it waits, while the money is used up once it was raised (N4)', () => {
    everyPath(paths, (moment) => {
      if (!happened(moment, 'run.start')) return;
      const going = stateOf(moment) === '"paused"' ? follow(walk, moment, raised(ACCOUNT)) : moment;
      expect(hasEnded(leftAlone(walk, going))).toBe(true);
    });
  });
});
