/** What peers come to under each protocol, in whatever order they are heard; who is silent, dies or is not heard stops nobody. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ranked } from '../../../../src/actors/peer/contract-net.ts';
import { tally } from '../../../../src/actors/peer/debate.ts';
import { factsIn, listeners, merged, roundsToAll } from '../../../../src/actors/peer/gossip.ts';
import { conflicts, standing, versionOf } from '../../../../src/actors/peer/refine.ts';
import type { Minute } from '../../../../src/actors/peer/table.ts';
import type { PeerRules } from '../../../../src/protocols/peer.ts';
import { tableOf, talk, type Mind } from './table-talk.ts';

const PEERS = ['anna', 'ben', 'cleo'];

const contract: PeerRules = { protocol: 'contract_net' };
const debate = (more: Partial<Extract<PeerRules, { protocol: 'debate' }>> = {}): Extract<PeerRules, { protocol: 'debate' }> => ({
  protocol: 'debate',
  rounds: 2,
  vote: 'majority',
  weights: {},
  quorum: 0.5,
  onTie: 'first',
  ...more,
});
const refine: PeerRules = { protocol: 'refine', rounds: 4 };
const gossip: PeerRules = { protocol: 'gossip', rounds: 4, fanout: 1 };

/** Confidence by the letter that a name begins with; everybody votes for the first by name, objects once, and adds its own name to the document. */
const mind: Mind = {
  work: (name, step) => (step === 'facts' ? `It is so.\n${name} saw it.` : `${name} says so`),
  answer: (name, { format, phase }, table) => {
    switch (format) {
      case 'bid':
        return { price: 0.01, confidence: { anna: 0.2, ben: 0.9, cleo: 0.5 }[name] ?? 0.1 };
      case 'critique':
        return {
          objections:
            phase === 'critique-1'
              ? table.minutes.flatMap(({ type, by }) => (type === 'debate.position' && by !== name ? [{ agent: by, text: 'why?' }] : []))
              : [],
        };
      case 'ballot':
        return { choice: table.minutes.flatMap(({ type, by }) => (type === 'debate.position' ? [by] : [])).toSorted()[0] };
      case 'edit': {
        const text = standing(table, 99)!.text;
        return text.includes(name) ? { accept: true } : { accept: false, text: `${text}\n${name} says so` };
      }
    }
  },
};

const ended = (conclusions: Readonly<Record<string, { readonly ended?: unknown; readonly answer?: string | undefined }>>) => Object.values(conclusions);

describe('contract net', () => {
  it('awards the work to the best confidence for the price', () => {
    const { conclusions } = talk(1, PEERS, contract, mind, { dismissed: true });
    expect(conclusions).toEqual({
      anna: { answer: 'ben says so', citations: [], ended: { by: 'award', rounds: 1, note: 'ben had the best of 3 bids, at award 1' } },
    });
  });

  it('ranks bids by confidence for the price, equals by name, and leaves out those without confidence', () => {
    const bid = (by: string, price: number, confidence: number): Minute<'contract.bid'> => ({
      type: 'contract.bid',
      by,
      manager: 'anna',
      price,
      confidence,
      approach: '',
    });
    const bids = [bid('dear', 2, 0.9), bid('cheap', 1, 0.9), bid('unable', 0, 0), bid('b', 1, 0.5), bid('a', 1, 0.5)];
    expect(ranked(bids).map(({ by }) => by)).toEqual(['cheap', 'a', 'b', 'dear']);
  });

  it('awards it to the next best when the winner fails', () => {
    const { conclusions } = talk(1, PEERS, contract, { ...mind, work: (name) => (name === 'ben' ? undefined : `${name} says so`) });
    expect(conclusions['anna']).toMatchObject({ answer: 'cleo says so', ended: { by: 'award', rounds: 2 } });
  });

  it('awards it to the next best when the winner dies with it', () => {
    const { conclusions, patienceEnded } = talk(1, PEERS, contract, mind, { deaths: { ben: 2 } });
    expect(conclusions['anna']).toMatchObject({ answer: 'cleo says so', ended: { by: 'award', rounds: 2 } });
    expect(patienceEnded).toBeGreaterThan(0);
  });

  it('goes on under another manager when the first one never speaks', () => {
    const { conclusions } = talk(1, PEERS, contract, mind, { deaths: { anna: 0 } });
    expect(conclusions['ben']).toMatchObject({ answer: 'ben says so', ended: { by: 'award' } });
  });

  it.each<[string, Mind, string]>([
    ['every peer has declined', { ...mind, answer: () => ({ price: 1, confidence: 0 }) }, 'PEERS_NO_BID'],
    ['every bidder has failed', { ...mind, work: () => undefined }, 'MODEL_REFUSED'],
    ['the only bidder has failed', { answer: (name) => ({ price: 1, confidence: name === 'ben' ? 1 : 0 }), work: () => undefined }, 'MODEL_REFUSED'],
  ])('ends for everybody at once when %s: nobody is waited for', (_, minds, code) => {
    for (let seed = 1; seed <= 20; seed++) {
      const { conclusions, patienceEnded } = talk(seed, PEERS, contract, minds);
      expect(patienceEnded).toBe(0);
      expect(Object.keys(conclusions).toSorted()).toEqual(PEERS);
      for (const { failure: why } of Object.values(conclusions)) expect(why).toMatchObject({ code });
    }
  });

  it('ends and says so when nobody bids', () => {
    const { conclusions } = talk(1, PEERS, contract, { ...mind, answer: () => ({ price: 1, confidence: 0 }) });
    expect(conclusions['anna']).toMatchObject({ failure: { code: 'PEERS_NO_BID' } });
  });
});

describe('debate', () => {
  it('ends by agreement when everybody votes for one, after the positions were taken again', () => {
    const { conclusions, tables } = talk(1, PEERS, debate(), mind);
    expect(Object.keys(conclusions)).toEqual(expect.arrayContaining(PEERS));
    for (const conclusion of ended(conclusions))
      expect(conclusion).toMatchObject({ answer: 'anna says so', ended: { by: 'agreement', rounds: 2, note: 'all of them for anna' } });
    expect(tables['ben']!.minutes.filter(({ type }) => type === 'debate.critique')).toHaveLength(3);
  });

  it('goes on without who is silent, and says that it was a vote', () => {
    const { conclusions } = talk(1, PEERS, debate(), mind, { deaths: { ben: 0 } });
    expect(conclusions['anna']).toMatchObject({ answer: 'anna says so', ended: { by: 'vote', note: 'anna 2 of 3' } });
  });

  it('waits for who is silent once, and not again in each phase', () => {
    const { patienceEnded } = talk(1, PEERS, debate({ rounds: 4 }), mind, { deaths: { ben: 0 } });
    expect(patienceEnded).toBe(2);
  });

  it('does not ask again what a vote for a stranger meant', () => {
    const { conclusions } = talk(1, PEERS, debate({ quorum: 0.9 }), {
      ...mind,
      answer: (name, move, table) => (move.format === 'ballot' && name === 'ben' ? { choice: 'zoe' } : mind.answer(name, move, table)),
    });
    expect(conclusions['anna']).toMatchObject({ answer: 'anna says so', failure: { code: 'PEERS_UNDECIDED' } });
  });

  const votes = (...choices: readonly string[]) => choices.map((choice, index) => ({ by: PEERS[index]!, choice }));
  it.each([
    ['a majority', {}, votes('ben', 'ben', 'anna'), 'elected', 'ben'],
    ['all for one', { vote: 'unanimous' }, votes('ben', 'ben', 'ben'), 'agreed', 'ben'],
    ['one against it where all must agree', { vote: 'unanimous' }, votes('ben', 'ben', 'anna'), 'undecided', 'ben'],
    ['three ways', {}, votes('cleo', 'ben', 'anna'), 'tied', 'anna'],
    ['weights', { vote: 'weighted', weights: { cleo: 3 } }, votes('anna', 'anna', 'ben'), 'elected', 'ben'],
    ['weights that count only in a weighted vote', { weights: { cleo: 3 } }, votes('anna', 'anna', 'ben'), 'elected', 'anna'],
    ['too few votes', { quorum: 0.9 }, votes('anna', 'anna'), 'no quorum', 'anna'],
    ['no votes', {}, [], 'no quorum', undefined],
  ] as const)('counts %s', (_, more, cast, outcome, first) => {
    const counted = tally(debate(more), PEERS, cast);
    expect([counted.outcome, counted.shares[0]?.name]).toEqual([outcome, first]);
  });

  it('leaves a tie to the first by name, or to a person', () => {
    const split: Mind = { ...mind, answer: (name, move, table) => (move.format === 'ballot' ? { choice: name } : mind.answer(name, move, table)) };
    expect(talk(1, ['ben', 'anna'], debate(), split).conclusions['ben']).toMatchObject({ answer: 'anna says so', ended: { by: 'vote' } });
    const asked = talk(1, ['ben', 'anna'], debate({ onTie: 'ask' }), split).conclusions['ben']!;
    expect(asked.question).toBe('The vote is tied (anna 1, ben 1 of 2). Take the position of anna?');
  });
});

describe('refine', () => {
  it('ends by agreement on a document that holds what each of them wrote, and edits that were in conflict were made again', () => {
    const { conclusions, tables } = talk(1, PEERS, refine, mind);
    const { answer, ended: how } = conclusions['anna']!;
    for (const name of PEERS) expect(answer).toContain(`${name} says so`);
    expect(how).toMatchObject({ by: 'agreement' });
    expect(conflicts(tables['anna']!, 4).length).toBeGreaterThan(0);
    expect(new Set(ended(conclusions).map((one) => one.answer)).size).toBe(1);
  });

  it('ends with its rounds, with the document as it stands', () => {
    const { conclusions } = talk(1, PEERS, { protocol: 'refine', rounds: 2 }, mind);
    expect(conclusions['anna']).toMatchObject({ ended: { by: 'rounds', rounds: 2 } });
  });

  it('takes one edit of a version, by an order that turns with the rounds', () => {
    const edit = (by: string, round: number, base: string): Minute => ({ type: 'document.edit', by, round, base, text: by, citations: [] });
    const minutes = [edit('ben', 1, '0'), edit('anna', 1, '0'), edit('anna', 2, '1-anna'), edit('ben', 2, '1-anna'), edit('cleo', 2, '1-ben')];
    const table = tableOf('cleo', PEERS, refine, minutes);
    expect(versionOf(standing(table, 1)!)).toBe('1-anna');
    expect(versionOf(standing(table, 2)!)).toBe('2-ben');
    expect(conflicts(table, 2).map(versionOf).toSorted()).toEqual(['1-ben', '2-anna', '2-cleo']);
  });
});

describe('gossip', () => {
  it('spreads every fact to everybody, each once, with all who found it', () => {
    const { conclusions } = talk(1, [...PEERS, 'dan'], gossip, mind);
    const { answer, ended: how } = conclusions['anna']!;
    expect(how).toEqual({ by: 'agreement', rounds: 4, note: '5 facts; nothing new was told' });
    expect(answer!.split('\n').toSorted()).toEqual([
      '- It is so. (anna, ben, cleo, dan)',
      '- anna saw it. (anna)',
      '- ben saw it. (ben)',
      '- cleo saw it. (cleo)',
      '- dan saw it. (dan)',
    ]);
  });

  it('says how many the facts are from when a peer is dead', () => {
    const { conclusions } = talk(1, [...PEERS, 'dan'], gossip, mind, { deaths: { dan: 0 } });
    for (const { ended: how } of Object.values(conclusions)) expect(how!.note).toMatch(/^\d facts from 3 of 4 peers; /);
  });

  it('takes facts with the same content for one, with the sources of both', () => {
    const citation = (line: number) => ({ file: 'a.md', line, quote: 'so' });
    expect(
      merged([
        { text: 'It is so.', citations: [citation(1)], by: ['ben'] },
        { text: '  it is SO', citations: [citation(1), citation(2)], by: ['anna'] },
      ]),
    ).toEqual([{ text: 'It is so.', citations: [citation(1), citation(2)], by: ['anna', 'ben'] }]);
  });

  it('reads the facts of a report with the sources that each one marks', () => {
    const citations = [1, 2].map((line) => ({ file: 'a.md', line, quote: 'so' }));
    expect(factsIn({ text: '- It is so [1][2]. It was not [9].\n---', citations }, { name: 'anna', tools: [] })).toEqual([
      { text: 'It is so.', citations, by: ['anna'] },
      { text: 'It was not.', citations: [], by: ['anna'] },
    ]);
    expect(factsIn({ text: 'It is so. [2] Nothing else was found.', citations }, { name: 'anna', tools: ['search_files'] })).toEqual([
      { text: 'It is so.', citations: [citations[1]], by: ['anna'] },
    ]);
  });

  it('reaches everybody in the rounds that it says (any number of peers, any fanout)', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 16 }), fc.integer({ min: 1, max: 15 }), (size, fanout) => {
        const peers = Array.from({ length: size }, (_, index) => `p${index}`);
        const knows = new Map(peers.map((name) => [name, new Set([name])]));
        for (let round = 1; round <= roundsToAll(size, fanout); round++) {
          const before = new Map([...knows].map(([name, known]) => [name, new Set(known)]));
          for (const teller of peers)
            for (const listener of listeners(peers, teller, round, fanout)) for (const fact of before.get(teller)!) knows.get(listener)!.add(fact);
        }
        for (const known of knows.values()) expect(known.size).toBe(size);
      }),
    );
  });
});

/** `gossipRounds`: at least so many. */
const anyRules = (gossipRounds: number) =>
  fc.oneof(
    fc.constant(contract),
    fc
      .record({
        rounds: fc.integer({ min: 1, max: 4 }),
        vote: fc.constantFrom('majority' as const, 'unanimous' as const),
        onTie: fc.constantFrom('first' as const, 'ask' as const),
      })
      .map(debate),
    fc.integer({ min: 1, max: 4 }).map((rounds): PeerRules => ({ protocol: 'refine', rounds })),
    fc
      .record({ rounds: fc.integer({ min: gossipRounds, max: 5 }), fanout: fc.integer({ min: 1, max: 3 }) })
      .map((more): PeerRules => ({ protocol: 'gossip', ...more })),
  );

/** Model calls and pieces of work that a peer may make at most. */
const callsMax = (rules: PeerRules, peers: number): number => {
  switch (rules.protocol) {
    case 'contract_net':
      return peers * 2; // each may have to manage
    case 'debate':
      return rules.rounds * 2;
    case 'refine':
      return rules.rounds;
    case 'gossip':
      return 1;
  }
};

describe('under every protocol', () => {
  const scene = fc.record({
    seed: fc.integer(),
    size: fc.integer({ min: 2, max: 5 }),
    rules: anyRules(1),
    deaths: fc.array(fc.option(fc.integer({ min: 0, max: 4 }), { nil: undefined }), { minLength: 5, maxLength: 5 }),
    lost: fc.constantFrom(0, 0, 0.1, 0.5, 1),
    doubled: fc.constantFrom(0, 0.3),
    haste: fc.constantFrom(0, 0.1, 0.5),
    fails: fc.boolean(),
  });
  const names = ['anna', 'ben', 'cleo', 'dan', 'eva'];
  const play = ({ seed, size, rules, deaths, fails, ...mishaps }: typeof scene extends fc.Arbitrary<infer S> ? S : never) => {
    const peers = names.slice(0, size);
    const dead = Object.fromEntries(peers.flatMap((name, index) => (deaths[index] === undefined ? [] : [[name, deaths[index]]])));
    const moody: Mind = { ...mind, work: (name, step, table) => (fails && name === 'anna' ? undefined : mind.work(name, step, table)) };
    return { peers, dead, talked: talk(seed, peers, rules, moody, { ...mishaps, deaths: dead }) };
  };

  it('everybody who lives comes to an end, within its bound of calls, whoever dies and whatever is lost or comes twice', () => {
    fc.assert(
      fc.property(scene, (given) => {
        const { peers, talked } = play(given);
        expect(talked.calls).toBeLessThanOrEqual(peers.length * callsMax(given.rules, peers.length));
        for (const conclusion of Object.values(talked.conclusions)) {
          expect(conclusion.failure !== undefined || (conclusion.ended !== undefined && conclusion.answer !== undefined)).toBe(true);
        }
      }),
      { numRuns: 400 },
    );
  });

  it('those who are not disturbed come to one answer, whatever the order', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 2, max: 5 }), anyRules(roundsToAll(5, 1)), fc.constantFrom(0, 0.3), (seed, size, rules, doubled) => {
        const { conclusions } = talk(seed, names.slice(0, size), rules, mind, { doubled, dismissed: rules.protocol === 'contract_net' });
        const answers = Object.values(conclusions).map(({ answer, ended: how, failure: why }) =>
          JSON.stringify([rules.protocol === 'gossip' ? answer?.split('\n').toSorted() : answer, how?.by, why?.code]),
        );
        expect(answers.length).toBeGreaterThan(0);
        expect(new Set(answers).size).toBe(1);
      }),
      { numRuns: 200 },
    );
  });
});
