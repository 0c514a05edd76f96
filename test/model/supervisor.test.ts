import { describe, expect, it } from 'vitest';
import type { SupervisorContext, SupervisorInput } from '../../src/actors/supervisor/machine.ts';
import type { OnFailure, Plan, PlannedStep } from '../../src/actors/supervisor/plan.ts';
import type { AgentProfile } from '../../src/protocols/agent.ts';
import { failure } from '../../src/protocols/failure.ts';
import type { Address, RunId } from '../../src/protocols/ids.ts';
import type { ModelReply, ModelRequest } from '../../src/protocols/model.ts';
import { charts } from '../../src/topology/charts.ts';
import {
  countSent,
  everyPath,
  follow,
  happened,
  hasEnded,
  hears,
  NEAR_END_NANOS,
  leftAlone,
  pathsOf,
  raised,
  sentIn,
  watched,
  type Happening,
  type Moment,
  type Walk,
} from '../support/chart-walk.ts';

const CLIENT = 'r-model.client' as Address;
const ACCOUNT = 'r-model.budget' as Address;
const APPROVER = 'r-model.approver' as Address;
const AGENT = 'r-model.worker.reader.any' as Address;
const reviewer = (name: string): Address => `r-model.reviewer.${name}.any` as Address;
const CHECKER = reviewer('checker');
const ATTEMPTS = 2;

const reply = (body: unknown): ModelReply => ({
  text: typeof body === 'string' ? body : JSON.stringify(body),
  toolCalls: [],
  finish: 'stop',
  usage: { inputTokens: 1, outputTokens: 1, cachedInputTokens: 0, reasoningTokens: 0 },
  model: 'm',
});

const brought = { file: 'a.md', line: 1, quote: 'so it is' };
const invented = { file: 'b.md', line: 9, quote: 'never read' };

const drafts = {
  'a plan of one step': reply({ steps: [{ id: 'only', agent: 'reader', task: 'look' }] }),
  'a plan of two steps': reply({
    steps: [
      { id: 'left', agent: 'reader', task: 'look' },
      { id: 'right', agent: 'reader', task: 'compare', needs: ['left'] },
    ],
  }),
  'a plan for nobody': reply({ steps: [{ id: 'only', agent: 'ghost', task: 'look' }] }),
};

const answers = {
  'an answer': reply({ text: 'So it is [1], and more [2].', citations: [invented, brought] }),
  prose: reply('So it is.'),
};

const routes = {
  'a sure route': reply({ agent: 'reader', confidence: 0.9 }),
  'an unsure route': reply({ agent: 'reader', confidence: 0.1 }),
  'no route': reply({ agent: null, confidence: 1 }),
  'a route to nobody': reply({ agent: 'ghost', confidence: 1 }),
};

const revisions = {
  'other work': reply({ steps: [{ id: 'new', agent: 'reader', task: 'look elsewhere' }], cancel: [], reason: 'it is elsewhere' }),
  'less work': reply({ steps: [], cancel: ['beside'] }),
  'the plan as it is': reply({ steps: [{ id: 'then', agent: 'reader', task: 'do then', needs: ['first'] }] }),
  'work that was begun': reply({ steps: [{ id: 'first', agent: 'reader', task: 'look' }] }),
};

const contextOf = (moment: Moment): SupervisorContext => moment.state.snapshot.context as SupervisorContext;

const { chart, untaken, trapped } = watched(charts.supervisor);

/** What may be said about each step now, and about an attempt that is not the present one. */
const words = (moment: Moment): Happening[] =>
  contextOf(moment).steps.flatMap(({ id, agent, status, attempt, takenOver }): Happening[] => {
    const { reviewers, teams: below } = contextOf(moment);
    const said = { step: id, attempt };
    const stale = { step: id, attempt: attempt + 1 };
    switch (status) {
      case 'running':
        return [
          hears(`${id} is completed`, AGENT, 'task.completed', { ...said, text: 'found [1]', citations: [brought], turns: 1 }),
          hears(`${id} fails`, AGENT, 'task.failed', { ...said, failure: failure('TASK_TIMEOUT', 'too slow') }),
          hears(`${id} finds no money`, AGENT, 'task.failed', { ...said, failure: failure('BUDGET_EXHAUSTED', 'no money') }),
          ...(below.includes(agent) && !takenOver
            ? [
                hears(`${id} is handed up`, AGENT, 'task.failed', {
                  ...said,
                  failure: failure('STEP_HANDED_UP', 'nobody accepts it'),
                  partial: { text: 'found [1]', citations: [brought] },
                  steps: [{ step: 'inner', agent: 'reader', status: 'failed' }],
                }),
              ]
            : []),
          ...Object.keys(contextOf(moment).handoffs ?? {}).map((name) =>
            hears(`${id} is handed over to ${name}`, AGENT, 'task.handed_over', { ...said, agent: name, reason: 'it is for you', messages: [], turns: 1 }),
          ),
          hears(`another attempt at ${id} is completed`, AGENT, 'task.completed', { ...stale, text: 'stale', citations: [], turns: 1 }),
          hears(`another attempt at ${id} is accepted`, CHECKER, 'review.verdict', { ...stale, verdict: 'accept', reasons: [], confidence: 1 }),
        ];
      case 'reviewing':
        return [
          ...reviewers.flatMap((name) => [
            hears(`${id} is accepted by ${name}`, reviewer(name), 'review.verdict', { ...said, verdict: 'accept', reasons: [], confidence: 1 }),
            hears(`${id} is to be revised, says ${name}`, reviewer(name), 'review.verdict', {
              ...said,
              verdict: 'revise',
              reasons: ['cite it'],
              confidence: 1,
            }),
            hears(`${id} cannot be reviewed by ${name}`, reviewer(name), 'review.failed', { ...said, failure: failure('REVIEW_TIMEOUT', 'too slow') }),
          ]),
          ...(reviewers.length > 1
            ? [hears(`${id} cannot be reviewed for want of money`, CHECKER, 'review.failed', { ...said, failure: failure('BUDGET_EXHAUSTED', 'no money') })]
            : []),
          hears(`${id} is completed again`, AGENT, 'task.completed', { ...said, text: 'twice', citations: [], turns: 1 }),
        ];
      case 'asking':
        return (['approve', 'deny'] as const).map((decision) =>
          hears(`a person says ${decision} of ${id}`, APPROVER, 'approval.decided', { approval: `step-${id}-${attempt}`, decision, by: 'ann', note: '' }),
        );
      default:
        return [];
    }
  });

const NO_MONEY = failure('BUDGET_EXHAUSTED', 'no money', { details: { pause: true } });

const planned = (id: string, onFailure: OnFailure, ...needs: string[]): PlannedStep => ({ id, agent: 'reader', task: `do ${id}`, needs, onFailure });

const lead: AgentProfile = {
  name: 'lead',
  role: 'a lead',
  goal: '',
  backstory: '',
  model: 'p/m',
  tools: [],
  limits: { turns: 3, maxTokens: 100, attempts: ATTEMPTS, timeoutMs: 60_000 },
};

const walkOf = (team: Partial<SupervisorInput>): Walk => ({
  address: 'r-model.supervisor' as Address,
  definition: {
    chart,
    input: {
      run: 'r-model' as RunId,
      profile: lead,
      agents: [{ name: 'reader', description: 'reads' }],
      teams: [],
      maxDepth: 2,
      reviewers: [],
      merge: 'all',
      plan: undefined,
      inputs: {},
      maxSteps: 2,
      concurrency: 2,
      reviewRounds: 1,
      onRejected: 'ask',
      deadlineMs: 600_000,
      askMs: 1_000,
      account: ACCOUNT,
      approver: APPROVER,
      answersPartly: false,
      ...team,
    } satisfies SupervisorInput,
    account: ACCOUNT,
  },
  messages: (moment) => [
    hears('run.start', CLIENT, 'run.start', { goal: 'why?' }),
    hears('run.cancel', CLIENT, 'run.cancel', { reason: 'enough' }),
    hears('budget.closed', ACCOUNT, 'budget.closed', { limitNanos: '9', spentNanos: '7', heldNanos: '0' }),
    hears('budget.paused', ACCOUNT, 'budget.paused', { account: 'r-model', failure: NO_MONEY }),
    raised(ACCOUNT),
    ...(JSON.stringify(moment.state.snapshot.value).includes('choosing')
      ? (['approve', 'deny'] as const).map((decision) =>
          hears(`a person says ${decision} of the route`, APPROVER, 'approval.decided', { approval: 'route', decision, by: 'ann', note: '' }),
        )
      : []),
    ...words(moment),
  ],
  results: ({ child }) => ({ plan: drafts, route: routes, revision: revisions, answer: answers, closing: answers })[child]!,
  counters: (moment) => {
    const { steps, attempt, repairs, saves, failure: why, answer, teamPaused, route, considered, revisions: made } = contextOf(moment);
    return [
      attempt,
      repairs,
      saves,
      why?.code,
      answer,
      teamPaused,
      route?.agent,
      considered,
      made.length,
      steps.map((step) => [
        step.id,
        step.status,
        step.attempt,
        step.failure?.code,
        step.due === undefined,
        step.status === 'reviewing' && step.reviews,
        step.takenOver,
      ]),
    ];
  },
});

const ROUTING = { routes: [{ agent: 'reader', when: 'it is to be read' }], confidenceFrom: 0.5 };

const teams = {
  'that plans by itself': walkOf({}),
  'that has a cheaper model': walkOf({ profile: { ...lead, cheaper: { model: 'p/cheap', fromLeftNanos: `${NEAR_END_NANOS}` } }, concurrency: 1 }),
  'with one step that is reviewed': walkOf({ plan: [planned('only', 'fail')], reviewers: ['checker'] }),
  'with reviewed steps that takes work with a note': walkOf({
    plan: [planned('left', 'continue'), planned('right', 'continue', 'left')],
    reviewers: ['checker'],
    onRejected: 'accept_with_note',
  }),
  'with a team below it and two reviewers, that takes over': walkOf({
    plan: [{ ...planned('only', 'fail'), agent: 'deep' }],
    agents: [{ name: 'deep', description: 'digs' }],
    teams: ['deep'],
    reviewers: ['checker', 'critic'],
    onRejected: 'take_over',
  }),
  'with steps that need each other': walkOf({
    plan: [planned('left', 'skip'), planned('right', 'continue'), planned('both', 'continue', 'left', 'right')],
    concurrency: 1,
  }),
  'with steps that are tried again, by somebody else in the end': walkOf({
    plan: [
      { ...planned('slow', 'default'), retry: { attempts: 2, backoffMs: 1_000 }, timeoutMs: 90_000, fallback: 'other', default: 'nothing' },
      planned('quick', 'skip'),
      { ...planned('next', 'continue', 'quick'), timeoutMs: 30_000 },
    ],
    agents: ['reader', 'other'].map((name) => ({ name, description: 'reads' })),
  }),
  'that routes, with a fallback': walkOf({
    profile: { ...lead, cheaper: { model: 'p/cheap', fromLeftNanos: `${NEAR_END_NANOS}` } },
    routing: { ...ROUTING, fallback: 'reader', onUnknown: 'fallback' },
  }),
  'that routes, and asks where it is not sure': walkOf({
    routing: { ...ROUTING, fallback: 'other', onUnknown: 'ask' },
    agents: ['reader', 'other'].map((name) => ({ name, description: 'reads' })),
  }),
  'with agents that hand over to each other': walkOf({
    plan: [planned('only', 'fail')],
    handoffs: { reader: { to: ['other'], max: 2 }, other: { to: ['reader'], max: 2 } },
    agents: ['reader', 'other'].map((name) => ({ name, description: 'reads' })),
  }),
  'with nothing to do': walkOf({
    plan: [
      { ...planned('never', 'fail'), when: "inputs.part == 'all of it'" },
      { ...planned('each', 'fail'), map: { over: { input: 'parts' }, around: ['read ', ''], max: 5, concurrency: 2 } },
    ],
  }),
  'that answers with what it has': walkOf({ plan: [planned('left', 'fail'), planned('right', 'fail', 'left')], answersPartly: true }),
} satisfies Record<string, Walk>;

const USUAL = /^(run\.start|budget\.(closed|raised)|(first|beside|then|new) is completed|first fails|(plan|answer) (is granted|is claimed|gives .*))$/;
const WHILE_REVISING = /^(revision .*|timer .*|budget\.paused|another attempt at (beside is accepted|first is .*)|a person decides .*)$/;

/** Only what bears on the plan happens to it: the rest of a supervisor's life is that of the others. */
const replanning = (profile: AgentProfile, made: Partial<typeof revisions>, ...ids: readonly ('first' | 'beside' | 'then')[]): Walk => {
  const walk = walkOf({ profile, replans: 1, maxSteps: 4 });
  const written = { first: { task: 'look' }, beside: { task: 'look' }, then: { task: 'do then', needs: ['first'] } };
  const plan = reply({ steps: ids.map((id) => ({ id, agent: 'reader', ...written[id] })) });
  const said: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
    plan: { 'a plan': plan },
    revision: made,
    answer: { 'an answer': answers['an answer'] },
  };
  const isRevising = (moment: Moment): boolean => JSON.stringify(moment.state.snapshot.value).includes('revising');
  const stale = { step: 'first', attempt: 9 };
  return {
    ...walk,
    messages: (moment) => [
      ...walk.messages(moment),
      hears('another attempt at first is not reviewed', CHECKER, 'review.failed', { ...stale, failure: failure('REVIEW_TIMEOUT', 'too slow') }),
      hears('another attempt at first is handed over', AGENT, 'task.handed_over', { ...stale, agent: 'reader', reason: '', messages: [], turns: 1 }),
      hears('a person decides on something else', APPROVER, 'approval.decided', { approval: 'step-else-1', decision: 'approve', by: 'ann', note: '' }),
    ],
    happens: (happening, moment) => USUAL.test(happening) || (isRevising(moment) && WHILE_REVISING.test(happening)),
    results: ({ child }) => said[child]!,
  };
};

const cheaply: AgentProfile = { ...lead, cheaper: { model: 'p/cheap', fromLeftNanos: `${NEAR_END_NANOS}` } };

const walked = Object.entries({
  ...teams,
  'that changes its plan': replanning({ ...lead, limits: { ...lead.limits, attempts: 1 } }, revisions, 'first', 'beside', 'then'),
  'that looks at its plan with a cheaper model': replanning(cheaply, { 'other work': revisions['other work'] }, 'first', 'then'),
}).map(([team, walk]) => ({ team, walk, paths: pathsOf(walk) }));

const isPaused = (moment: Moment): boolean => moment.state.snapshot.value === 'paused';
/** Someone gives more when the money is used up. */
const raisedIfPaused = (walk: Walk, moment: Moment): Moment => (isPaused(moment) ? follow(walk, moment, raised(ACCOUNT)) : moment);
/** Before it was cancelled. */
const started = (moment: Moment): boolean =>
  moment.taken.find(({ entry }) => entry.message.type === 'run.start' || entry.message.type === 'run.cancel')?.entry.message.type === 'run.start';

describe('the supervisor on every path', () => {
  it('takes each of its transitions', () => {
    expect(untaken()).toEqual([]);
  });

  it('leaves every state in which it waits by an error, a cancel or a deadline too', () => {
    expect(trapped()).toEqual([]);
  });
});

describe.each(walked)('a supervisor $team, on every path', ({ walk, paths }) => {
  it('ends with exactly one of run.completed and run.failed, and says neither before (S1)', () => {
    everyPath(paths, (moment) => {
      expect(countSent(moment, 'run.completed', 'run.failed')).toBe(hasEnded(moment) ? 1 : 0);
      for (const { type, to } of sentIn(moment)) if (type.startsWith('run.')) expect(to).toBe(CLIENT);
    });
  });

  it('ends as cancelled, and begins nothing, when it is cancelled before it is started (S1)', () => {
    everyPath(paths, (moment) => {
      if (!happened(moment, 'run.cancel') || started(moment)) return;
      expect(contextOf(moment)).toMatchObject({ failure: { code: 'RUN_CANCELLED' }, steps: [], client: CLIENT });
      expect(new Set(sentIn(leftAlone(walk, moment)).map(({ type }) => type))).toEqual(new Set(['budget.close', 'run.failed']));
    });
  });

  it('asks its account to close, once, before it says how the run ended (S1)', () => {
    everyPath(paths, (moment) => {
      const types = sentIn(moment).map(({ type }) => type);
      const closing = types.indexOf('budget.close');
      expect(types.lastIndexOf('budget.close')).toBe(closing);
      const said = types.findIndex((type) => type.startsWith('run.'));
      if (said >= 0) expect(closing >= 0 && closing < said).toBe(true);
    });
  });

  it('assigns nothing after it asked its account to close (S1)', () => {
    everyPath(paths, (moment) => {
      const types = sentIn(moment).map(({ type }) => type);
      const closing = types.indexOf('budget.close');
      if (closing >= 0) expect(types.slice(closing).filter((type) => type === 'task.assign' || type === 'review.request')).toEqual([]);
    });
  });

  it('lets its model put an answer right once, and assigns no step of a plan that does not fit (S2)', () => {
    everyPath(paths, (moment) => {
      const misfits = (child: string, misfit: string) => moment.taken.filter(({ happening }) => happening === `${child} gives ${misfit}`).length;
      expect(misfits('plan', 'a plan for nobody')).toBeLessThanOrEqual(2);
      expect(misfits('answer', 'prose')).toBeLessThanOrEqual(2);
      for (const { type, to } of sentIn(moment)) if (type === 'task.assign') expect(to).toMatch(/^r-model\.(worker\.(reader|other|lead)|supervisor\.deep)\./);
    });
  });

  it('runs a step only when all that it needs has ended, and never more at once than it may (S3, P1)', () => {
    everyPath(paths, (moment) => {
      const { steps, concurrency } = contextOf(moment);
      const active = steps.filter(({ status }) => status === 'running' || status === 'reviewing' || status === 'asking');
      expect(active.length).toBeLessThanOrEqual(concurrency);
      for (const step of active) {
        for (const need of step.needs) expect(['completed', 'failed']).toContain(steps.find(({ id }) => id === need)!.status);
      }
    });
  });

  it('leaves no step waiting when the run is completed (S3, P2)', () => {
    everyPath(paths, (moment) => {
      if (countSent(moment, 'run.completed') === 0) return;
      for (const { status } of contextOf(moment).steps) expect(['completed', 'failed', 'skipped']).toContain(status);
    });
  });

  it('assigns a step once and once more for each round of review, and for each time that it is handed over (S3, P3)', () => {
    everyPath(paths, (moment) => {
      const { steps, plan, reviewRounds, onRejected } = contextOf(moment);
      for (const { id, attempt, handover } of steps) {
        const written = plan?.find((step) => step.id === id);
        const tries = (written?.retry?.attempts ?? 1) * (written?.fallback === undefined ? 1 : 2);
        const attempts = sentIn(moment)
          .filter(({ type, data }) => type === 'task.assign' && data['step'] === id)
          .map(({ data }) => data['attempt']);
        expect(attempts).toEqual(Array.from({ length: attempt }, (_, index) => index + 1));
        const lastWord = onRejected === 'take_over' ? 1 : 0;
        expect(attempt).toBeLessThanOrEqual(tries * (1 + reviewRounds) + lastWord + (handover?.by.length ?? 0));
      }
    });
  });

  it('does not listen to what is said about another attempt (S3, P4)', () => {
    everyPath(paths, (moment) => {
      const { happening, outputs } = moment.taken.at(-1)!;
      if (happening.startsWith('another attempt') || happening.endsWith('again')) expect(outputs).toEqual([]);
    });
  });

  it('cites no source but those that its steps brought (S4)', () => {
    everyPath(paths, (moment) => {
      const said = sentIn(moment).find(({ type }) => type === 'run.completed');
      if (!said) return;
      expect(said.data['citations']).toEqual(contextOf(moment).steps.some(({ status, text }) => status === 'completed' && text !== '') ? [brought] : []);
      expect(said.data['answer']).not.toContain('[2]');
    });
  });

  it('ends by its deadline wherever it waits, while the money is used up once it was raised (S5)', () => {
    everyPath(paths, (moment) => {
      if (!started(moment)) return;
      const left = leftAlone(walk, raisedIfPaused(walk, moment)); // its own call may end before it pauses for its team
      expect(hasEnded(leftAlone(walk, raisedIfPaused(walk, left)))).toBe(true);
    });
  });

  it('waits for a raise when a call of its own or of its team is vetoed until there is one, and no time runs', () => {
    everyPath(paths, (moment) => {
      const { happening, outputs } = moment.taken.at(-1)!;
      if (happening.endsWith('is vetoed until a raise') && !happening.startsWith('closing')) expect(isPaused(moment)).toBe(true);
      if (happening === 'budget.paused')
        expect(outputs.filter((output) => output.kind !== 'disarm' && !(output.kind === 'send' && output.type === 'budget.paused'))).toEqual([]); // nothing that may be paid is broken off
      if (isPaused(moment)) expect([moment.state.timers, countSent(moment, 'budget.close', 'run.completed', 'run.failed')]).toEqual([{}, 0]);
    });
  });

  it('goes on after a raise where it was: no step is lost or made twice, and its own call is asked for again', () => {
    everyPath(paths, (moment) => {
      if (!isPaused(moment)) return;
      const before = contextOf(moment);
      const going = follow(walk, moment, raised(ACCOUNT));
      expect(isPaused(going)).toBe(false);
      const { steps } = contextOf(going);
      expect(JSON.stringify(going.state.snapshot.value)).not.toContain('calling'); // it waits for a grant first, and not for ever
      const vetoed = moment.taken
        .findLast(({ happening }) => happening.endsWith('is vetoed until a raise') || happening === 'budget.paused')!
        .happening.split(' ')[0];
      const calls = going.taken
        .flatMap(({ outputs }) => outputs)
        .flatMap((output) => (output.kind === 'start' && output.effect.child === vetoed ? [output.effect.input] : []));
      expect((calls.at(-1) as ModelRequest | undefined)?.messages).toEqual((calls.at(-2) as ModelRequest | undefined)?.messages);
      for (const step of before.steps) {
        const { due, ...kept } = step; // the time that an attempt has begins anew
        if (step.status !== 'pending')
          expect(steps.find(({ id }) => id === step.id)).toEqual({ ...kept, ...(due !== undefined && { due: expect.any(Number) as number }) });
      }
    });
  });

  it('asks for a closing answer once, only when the money ran out with something found, and only that call may use what is kept back', () => {
    everyPath(paths, (moment) => {
      const starts = moment.taken
        .flatMap(({ outputs }) => outputs)
        .flatMap((output) => (output.kind === 'start' && output.effect.src === 'model' ? [output.effect] : []));
      const closing = starts.filter(({ child, attempt }) => child === 'closing' && attempt === 1);
      for (const { child, input } of starts) expect((input as ModelRequest).purpose).toBe(child === 'closing' ? 'closing' : undefined);
      if (closing.length === 0) return;
      const { answersPartly, steps, failure: why } = contextOf(moment);
      expect([closing.length, answersPartly]).toEqual([1, true]);
      expect(steps.some(({ status }) => status === 'completed')).toBe(true);
      const answered = moment.taken.some(({ happening }) => happening === 'closing gives an answer');
      const whole = answered && steps.every(({ status }) => status === 'completed');
      expect(whole ? [undefined] : ['BUDGET_EXHAUSTED', 'RUN_CANCELLED']).toContain(why?.code);
      const said = sentIn(moment).find(({ type }) => type === 'run.failed' || type === 'run.completed');
      if (!said) return;
      expect(said.type).toBe(whole ? 'run.completed' : 'run.failed'); // what is missing is said, whatever was answered
      expect([said.data['answer'] !== undefined, said.data['citations']]).toEqual([answered, answered ? [brought] : []]);
    });
  });

  it('makes its calls with its cheaper model once the money nears its end, and with its own after a raise', () => {
    everyPath(paths, (moment) => {
      const { happening, outputs } = moment.taken.at(-1)!;
      const asked = outputs.flatMap((output) =>
        output.kind === 'start' && output.effect.src === 'model' ? [(output.effect.input as ModelRequest).model] : [],
      );
      if (happening.endsWith('is granted near the end') || happening.endsWith('is too dear')) expect(asked).toEqual(['p/cheap']);
      if (happening === 'budget.raised') expect(asked).not.toContain('p/cheap');
    });
  });

  it('says of a plan that could not be carried out what is wrong with it', () => {
    everyPath(paths, (moment) => {
      const why = contextOf(moment).failure;
      if (why?.code !== 'MODEL_BAD_REPLY' || !moment.taken.some(({ happening }) => happening === 'plan gives a plan for nobody')) return;
      if (contextOf(moment).steps.length > 0) return; // what could not be used was the answer
      expect(why.message).toContain('no agent is called "ghost"; there are reader');
      expect(why.details['problem']).toContain('no agent is called "ghost"');
    });
  });

  it('calls everybody back who is at work when it is cancelled (S5)', () => {
    everyPath(paths, (moment) => {
      const { happening, outputs } = moment.taken.at(-1)!;
      if (happening !== 'run.cancel' || outputs.length === 0) return;
      const cancelled = outputs.flatMap((output) => (output.kind === 'send' && output.type === 'task.cancel' ? [output.to] : []));
      const { steps, reviewers } = contextOf(moment);
      const atWork = steps.flatMap(({ id, agent, status, attempt, reviews, takenOver }) => {
        const who = takenOver ? 'worker.lead' : agent === 'deep' ? 'supervisor.deep' : `worker.${agent}`;
        if (status === 'running') return [`r-model.${who}.${id}-${attempt}`];
        if (status !== 'reviewing') return [];
        return reviewers.filter((name) => reviews.every((review) => review.reviewer !== name)).map((name) => `r-model.reviewer.${name}.${id}-${attempt}`);
      });
      expect(cancelled).toEqual(atWork);
    });
  });
});

describe('a supervisor with a team below it and two reviewers, on every path', () => {
  const { paths } = walked.find(({ team }) => team === 'with a team below it and two reviewers, that takes over')!;

  it('completes a step only when both accept, or when it has done it itself, and then without a review', () => {
    everyPath(paths, (moment) => {
      const [only] = contextOf(moment).steps;
      if (only?.status !== 'completed') return;
      if (only.takenOver) expect(sentIn(moment).filter(({ type, data }) => type === 'review.request' && data['attempt'] === only.attempt)).toEqual([]);
      else expect(only.reviews.map(({ verdict }) => verdict)).toEqual(['accept', 'accept']);
    });
  });

  it('hands the objections of each reviewer on under its name, also to itself', () => {
    everyPath(paths, (moment) => {
      const { outputs } = moment.taken.at(-1)!;
      for (const output of outputs) {
        if (output.kind !== 'send' || output.type !== 'task.assign' || output.data['attempt'] === 1) continue;
        const { reasons } = output.data['feedback'] as { reasons: string[] };
        for (const reason of reasons) expect(reason).toMatch(/^(checker|critic): |nobody accepts it/);
      }
    });
  });

  it('does itself what the team below hands up, and says how the steps of that team ended', () => {
    everyPath(paths, (moment) => {
      const { happening, outputs } = moment.taken.at(-1)!;
      if (happening === 'only is handed up' && !isPaused(moment) && countSent(moment, 'budget.close') === 0)
        expect(outputs).toMatchObject([{ type: 'task.assign', to: expect.stringMatching(/^r-model\.worker\.lead\./), data: { payer: ['supervisor'] } }]);
      const said = sentIn(moment).find(({ type }) => type.startsWith('run.'));
      if (said && contextOf(moment).steps[0]?.steps) expect(said.data['steps']).toMatchObject([{ step: 'only' }, { step: 'only/inner', status: 'failed' }]);
    });
  });

  it('tells the team below when the money is used up, and when there is more', () => {
    everyPath(paths, (moment) => {
      const { happening, outputs } = moment.taken.at(-1)!;
      const { status, takenOver, attempt } = contextOf(moment).steps[0] ?? {};
      if (outputs.length === 0 || status !== 'running' || takenOver || (happening !== 'budget.paused' && happening !== 'budget.raised')) return;
      expect(outputs).toContainEqual(expect.objectContaining({ type: happening, to: `r-model.supervisor.deep.only-${attempt}` }));
    });
  });
});

const ABOVE = 'r-model.supervisor' as Address;
const TASK = { step: 'survey', attempt: 1, goal: 'why?', instructions: 'survey it', findings: [], payer: ['outer'], deadline: 1_300_000 };

/** A team inside the run's, with a team of its own. */
const within = (team: Partial<SupervisorInput>): Walk => {
  const walk = walkOf({
    team: { name: 'survey', key: 'survey-1' },
    agents: ['reader', 'deep'].map((name) => ({ name, description: 'reads' })),
    teams: ['deep'],
    onRejected: 'hand_up',
    ...team,
  });
  return {
    ...walk,
    address: 'r-model.supervisor.survey.survey-1' as Address,
    messages: (moment) => [
      hears('task.assign', ABOVE, 'task.assign', { ...TASK, depth: 1 }),
      hears('task.assign too deep', ABOVE, 'task.assign', { ...TASK, depth: 2 }),
      hears('task.cancel', ABOVE, 'task.cancel', { reason: 'enough' }),
      hears('budget.paused', ACCOUNT, 'budget.paused', { account: 'r-model', failure: NO_MONEY }),
      raised(ACCOUNT),
      ...words(moment),
    ],
  };
};

const inside = Object.entries({
  'plans by itself': within({}),
  'has a plan that is reviewed': within({
    plan: [planned('only', 'continue'), { ...planned('dig', 'continue'), agent: 'deep' }],
    reviewers: ['checker'],
    reviewRounds: 0,
  }),
  routes: within({ routing: { ...ROUTING, onUnknown: 'ask' } }),
  'answers with what it has': within({ plan: [planned('left', 'fail'), planned('right', 'fail', 'left')], answersPartly: true }),
}).map(([what, walk]) => ({ what, walk, paths: pathsOf(walk) }));

describe.each(inside)('a team inside the run that $what, on every path', ({ walk, paths }) => {
  it('answers its task exactly once, to whoever gave it, and leaves the account of the run alone (S1)', () => {
    everyPath(paths, (moment) => {
      const answered = sentIn(moment).filter(({ type }) => type === 'task.completed' || type === 'task.failed');
      expect(answered.length).toBe(hasEnded(moment) && happened(moment, 'task.assign') ? 1 : 0);
      for (const { to, data } of answered) expect([to, data['step'], data['attempt']]).toEqual([ABOVE, 'survey', 1]);
      expect(countSent(moment, 'run.completed', 'run.failed', 'budget.close')).toBe(0);
    });
  });

  it('gives work under keys that begin with its own, from its own account, and within the time that it has', () => {
    everyPath(paths, (moment) => {
      for (const { type, to, data } of sentIn(moment)) {
        if (type !== 'task.assign' && type !== 'review.request') continue;
        expect(to).toMatch(/^r-model\.(worker\.reader|supervisor\.deep|reviewer\.checker)\.survey-1-/);
        expect(data['payer']).toEqual(['outer', 'survey']);
        if (type === 'task.assign') expect(data['depth']).toBe(to.includes('.supervisor.') ? 2 : undefined);
        if (type === 'task.assign' && !happened(moment, 'budget.raised')) expect(data['deadline']).toBe(TASK.deadline);
      }
      for (const { outputs } of moment.taken)
        for (const output of outputs)
          if (output.kind === 'start' && output.effect.src === 'model') expect((output.effect.input as ModelRequest).payer).toEqual(['outer', 'survey']);
    });
  });

  it('begins nothing where it would stand deeper than is allowed (S6)', () => {
    everyPath(paths, (moment) => {
      if (!moment.taken.some(({ happening }) => happening === 'task.assign too deep') || moment.taken[0]!.happening !== 'task.assign too deep') return;
      expect(sentIn(moment).map(({ type, data }) => [type, (data['failure'] as { code: string }).code])).toEqual([['task.failed', 'TEAM_TOO_DEEP']]);
    });
  });

  it('ends when its time is over or it is cancelled, wherever it waits, and calls back who is at work (S5)', () => {
    everyPath(paths, (moment) => {
      if (hasEnded(moment) || !happened(moment, 'task.assign')) return;
      expect(hasEnded(leftAlone(walk, raisedIfPaused(walk, moment)))).toBe(true);
      const cancelled = follow(walk, moment, hears('task.cancel', ABOVE, 'task.cancel', { reason: 'enough' }));
      expect(hasEnded(cancelled)).toBe(true);
      expect(contextOf(cancelled).failure?.code).toMatch(/^(TASK_CANCELLED|BUDGET_EXHAUSTED)$/);
    });
  });

  it('hands up what no review accepts, with the work itself', () => {
    everyPath(paths, (moment) => {
      const said = sentIn(moment).find(({ type }) => type === 'task.failed');
      if ((said?.data['failure'] as { code: string } | undefined)?.code !== 'STEP_HANDED_UP') return;
      expect(said!.data['partial']).toEqual({ text: 'found [1]', citations: [brought] });
    });
  });
});

describe('a supervisor that changes its plan, on every path', () => {
  const { paths } = walked.find(({ team }) => team === 'that changes its plan')!;
  const gave = (moment: Moment, what: string): boolean => moment.taken.at(-1)!.happening === `revision gives ${what}`;
  const before = (moment: Moment): Plan => contextOf(moment).steps;

  it('changes it no more often than it may, and says each change to its client', () => {
    everyPath(paths, (moment) => {
      expect(contextOf(moment).revisions.length).toBeLessThanOrEqual(1);
      expect(countSent(moment, 'plan.revised')).toBe(contextOf(moment).revisions.length);
      if (gave(moment, 'the plan as it is')) expect(contextOf(moment).revisions).toEqual([]);
    });
  });

  it('keeps what was done, drops what is obsolete, and calls back who is at work on it', () => {
    everyPath(paths, (moment) => {
      const { outputs } = moment.taken.at(-1)!;
      const steps = Object.fromEntries(before(moment).map((step) => [step.id, step]));
      if (gave(moment, 'other work')) {
        if (steps['then']!.attempt === 0) expect(steps['then']).toMatchObject({ status: 'skipped', failure: { code: 'STEP_OBSOLETE' } });
        expect(steps['first']!.status).not.toBe('skipped');
      }
      if (gave(moment, 'less work') && contextOf(moment).revisions.length === 1) {
        expect(steps['beside']!.status).toBe('skipped');
        expect(outputs).toContainEqual(expect.objectContaining({ type: 'task.cancel', to: 'r-model.worker.reader.beside-1' }));
      }
    });
  });

  it('begins nothing while its model looks at the plan', () => {
    everyPath(paths, (moment) => {
      if (!JSON.stringify(moment.state.snapshot.value).includes('revising')) return;
      expect(moment.taken.at(-1)!.outputs.filter((output) => output.kind === 'send' && output.type === 'task.assign')).toEqual([]);
    });
  });

  it('goes on with the plan as it is where it cannot be changed', () => {
    everyPath(paths, (moment) => {
      if (moment.taken.at(-1)!.happening !== 'revision fails for good') return;
      expect(hasEnded(moment)).toBe(false);
      expect(contextOf(moment).failure).toBeUndefined();
    });
  });
});

describe('a supervisor with nothing to do, on every path', () => {
  const { paths } = walked.find(({ team }) => team === 'with nothing to do')!;

  it('asks nobody and its model nothing, and its answer says why', () => {
    everyPath(paths, (moment) => {
      expect(countSent(moment, 'task.assign', 'budget.reserve')).toBe(0);
      if (!started(moment)) return;
      expect(contextOf(moment)).toMatchObject({
        failure: undefined,
        answer: "Nothing was to be done: step never runs only when inputs.part == 'all of it'; step each found no item in inputs.parts, and did nothing.",
      });
    });
  });
});

describe('a router, on every path', () => {
  const routers = walked.filter(({ team }) => team.startsWith('that routes'));

  it('gives the whole task to one agent of its list, and answers with what that one says', () => {
    for (const { paths } of routers)
      everyPath(paths, (moment) => {
        const { steps } = contextOf(moment);
        expect(steps.length).toBeLessThanOrEqual(1);
        for (const step of steps) expect(step).toMatchObject({ agent: expect.stringMatching(/^(reader|other)$/) as string, task: 'why?' });
        if (countSent(moment, 'run.completed') === 1) expect(contextOf(moment).answer).toBe('found [1]');
      });
  });

  it('asks a person only where it is not sure of one; without a yes the fallback does it, and nobody where the question was about the fallback', () => {
    for (const { paths } of routers)
      everyPath(paths, (moment) => {
        const { happening } = moment.taken.at(-1)!;
        const { route, steps, failure: why } = contextOf(moment);
        if (countSent(moment, 'approval.request') > 0) expect(route).toMatchObject(route!.agent === null ? {} : { agent: 'reader', confidence: 0.1 });
        if (happening === 'a person says approve of the route') expect(steps).toMatchObject([{ agent: route!.agent ?? 'other' }]);
        if (happening !== 'a person says deny of the route') return;
        if (route!.agent === null) expect(why?.code).toBe('ROUTE_UNKNOWN');
        else expect(steps).toMatchObject([{ agent: 'other', status: 'running' }]);
      });
  });
});

describe('a supervisor whose agents hand over to each other, on every path', () => {
  const { paths } = walked.find(({ team }) => team === 'with agents that hand over to each other')!;

  it('gives the step to whom it is handed over, and calls back whoever has it', () => {
    everyPath(paths, (moment) => {
      const { happening, outputs } = moment.taken.at(-1)!;
      const sent = outputs.filter((output) => output.kind === 'send');
      const assigned = sentIn(moment).findLast(({ type }) => type === 'task.assign');
      if (assigned) expect(assigned.to).toContain(`.worker.${contextOf(moment).steps[0]!.agent}.`);
      if (happening === 'run.cancel' && sent.some(({ type }) => type === 'task.cancel')) expect(sent.map(({ to }) => to)).toContain(assigned!.to);
    });
  });

  it('fails what is handed over once too often, with its bound', () => {
    let failed = 0;
    everyPath(paths, (moment) => {
      const [step] = contextOf(moment).steps;
      if (step) expect(step.handover?.by.length ?? 0).toBeLessThanOrEqual(2);
      if (step?.failure?.code !== 'STEP_HANDOFFS_MAX') return;
      failed++;
      expect(step.handover!.by).toEqual(['reader', 'other']);
      expect(step.failure.message).toContain('agents.reader.handoffs.max_handoffs allows 2');
    });
    expect(failed).toBeGreaterThan(0);
  });
});
