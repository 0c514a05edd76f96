import { describe, expect, it } from 'vitest';
import type { WorkerContext } from '../../src/actors/worker/machine.ts';
import type { AgentProfile } from '../../src/protocols/agent.ts';
import type { Address } from '../../src/protocols/ids.ts';
import type { ChatMessage, ModelReply, ModelRequest } from '../../src/protocols/model.ts';
import type { PayloadOf } from '../../src/protocols/catalogue.ts';
import type { ToolRecord } from '../../src/protocols/tool.ts';
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
  type Moment,
  type Walk,
} from '../support/chart-walk.ts';

const LEAD = 'r-model.supervisor' as Address;
const ACCOUNT = 'r-model.budget' as Address;
const TURNS = 3;
const ATTEMPTS = 2;

const LIMITS = { turns: TURNS, maxTokens: 100, attempts: ATTEMPTS, timeoutMs: 60_000 };

const reply = (text: string, toolNames: readonly string[] = []): ModelReply => ({
  text,
  toolCalls: toolNames.map((name) => ({ id: name, name, input: {} })),
  finish: toolNames.length > 0 ? 'tools' : 'stop',
  usage: { inputTokens: 1, outputTokens: 1, cachedInputTokens: 0, reasoningTokens: 0 },
  model: 'm',
});

const replies = {
  'a report': reply('{"text": "It is so.", "citations": []}'),
  prose: reply('It is so.'),
  'two calls': reply('', ['left', 'right']),
};

const handing = {
  ...replies,
  'the work to billing': { ...reply('It is about money.', ['hand_over_to_billing']) },
  'a call and the work to billing': reply('', ['left', 'hand_over_to_billing', 'hand_over_to_desk']),
};

const record: ToolRecord = { callId: 'left', tool: 'left', input: {}, ok: true, text: 'read', ms: 1, time: 1 };

const contextOf = (moment: Moment): WorkerContext => moment.state.snapshot.context as WorkerContext;

const { chart, untaken, trapped } = watched(charts.worker);

const walkOf = (more: Partial<AgentProfile>, task: Partial<PayloadOf<'task.assign'>> = {}): Walk => ({
  address: 'r-model.worker.reader.s1-1' as Address,
  definition: {
    chart,
    input: {
      profile: {
        name: 'reader',
        role: 'a reader',
        goal: '',
        backstory: '',
        model: 'p/m',
        tools: ['left', 'right'],
        limits: LIMITS,
        ...more,
      },
    },
    account: ACCOUNT,
  },
  messages: () => [
    hears('task.assign', LEAD, 'task.assign', { step: 's1', attempt: 1, goal: 'why', instructions: 'look', findings: [], ...task }),
    hears('task.cancel', LEAD, 'task.cancel', { reason: 'enough' }),
    raised(ACCOUNT),
  ],
  results: ({ src }) => (src === 'model' ? (more.handoffs ? handing : replies) : { 'a record': record }),
  counters: (moment) => {
    const { turn, attempt, repairs, saves, records } = contextOf(moment);
    return [turn, attempt, repairs, saves, records.length];
  },
});

const walk = walkOf({});
/** Follows also the paths of the other one: what follows from an entry is in the state. */
const saving = walkOf({ cheaper: { model: 'p/cheap', fromLeftNanos: `${NEAR_END_NANOS}` } });
const savingPaths = pathsOf(saving);
const strategies = (['plan_execute', 'reflect'] as const).map((strategy) => walkOf({ strategy }));
const before: ChatMessage[] = [
  { role: 'assistant', text: '', toolCalls: [{ id: 'old', name: 'find', input: {} }] },
  { role: 'tool', callId: 'old', text: 'found', ok: true },
];
const HANDOFFS = { to: ['billing', 'desk'].map((agent) => ({ agent, description: 'a clerk' })), pass: 'all' as const };
/** Was given the task by one agent, and may hand it over to another. */
const handingPaths = pathsOf(walkOf({ handoffs: HANDOFFS }, { handover: { by: ['desk'], reason: 'it is for you', messages: before } }));
const paths = [...pathsOf(walk), ...savingPaths, ...strategies.flatMap((one) => pathsOf(one)), ...handingPaths];

const modelStarts = (moment: Moment) =>
  moment.taken.flatMap(({ outputs }) => outputs).filter((output) => output.kind === 'start' && output.effect.src === 'model');
/** The call was not made; the same one is asked for again, of another model or after a raise. */
const notMade = ['model is vetoed until a raise', 'model is granted near the end', 'model is too dear'];
const isPaused = (moment: Moment): boolean => moment.state.snapshot.value === 'paused';
const asked = (moment: Moment): boolean => happened(moment, 'task.assign') && moment.taken[0]!.entry.message.type === 'task.assign';

/** A request without what follows from the money: the note on what is left, and the model. */
const conversationIn = (input: unknown): unknown => {
  const { model: _, hasCheaper: __, ...request } = input as ModelRequest;
  return { ...request, messages: request.messages.filter(({ text }) => !text.startsWith('# Budget')) };
};

describe('the worker on every path', () => {
  it('takes each of its transitions', () => {
    expect(untaken()).toEqual([]);
    expect(paths.length).toBeGreaterThan(100);
  });

  it('leaves every state in which it waits by an error, a cancel or a deadline too', () => {
    expect(trapped()).toEqual([]);
  });

  it('ends every task with exactly one of task.completed, task.failed and task.handed_over, and says none before (W1)', () => {
    everyPath(paths, (moment) => {
      expect(countSent(moment, 'task.completed', 'task.failed', 'task.handed_over')).toBe(hasEnded(moment) && asked(moment) ? 1 : 0);
    });
  });

  it('answers whoever assigned the task, about that step and attempt (W1)', () => {
    everyPath(paths, (moment) => {
      for (const { type, to, data } of sentIn(moment)) {
        if (type.startsWith('task.')) expect({ to, step: data['step'], attempt: data['attempt'] }).toEqual({ to: LEAD, step: 's1', attempt: 1 });
      }
    });
  });

  it('has at most so many answers from its model as it has turns, and asks for the last one without tools (W2)', () => {
    everyPath(paths, (moment) => {
      expect(contextOf(moment).turn).toBeLessThanOrEqual(TURNS);
      if (contextOf(moment).turn === TURNS - 1) {
        const model = moment.state.effects['model'];
        if (model) expect((model.input as ModelRequest).tools).toEqual([]);
      }
    });
  });

  it('makes at most so many tries at one model call as it has attempts (W2)', () => {
    everyPath(paths, (moment) => {
      expect(contextOf(moment).attempt).toBeLessThanOrEqual(ATTEMPTS);
      const pauses = moment.taken.filter(({ happening }) => notMade.includes(happening)).length;
      expect(modelStarts(moment).filter((output) => output.kind === 'start' && output.effect.attempt === 1).length).toBeLessThanOrEqual(
        TURNS * ATTEMPTS + pauses,
      );
    });
  });

  it('never reports completion once it is cancelled (W3)', () => {
    everyPath(paths, (moment) => {
      const cancelled = moment.taken.findIndex(({ entry }) => entry.message.type === 'task.cancel');
      if (cancelled < 0) return;
      expect(hasEnded(moment)).toBe(true);
      expect(countSent(moment, 'task.completed', 'task.handed_over')).toBe(0);
    });
  });

  it('reads a tool call that failed instead of giving up (W4)', () => {
    everyPath(paths, (moment) => {
      const last = moment.taken.at(-1)!;
      if (last.entry.message.type === 'effect.failed' && last.happening.startsWith('tool.')) expect(hasEnded(moment)).toBe(false);
    });
  });

  it('gives its model an answer to each call that it asked for (W4)', () => {
    everyPath(paths, (moment) => {
      const model = moment.state.effects['model'];
      if (!model) return;
      const { messages } = model.input as ModelRequest;
      const calls = messages.flatMap((said) => (said.role === 'assistant' ? said.toolCalls.map(({ id }) => id) : []));
      expect(messages.flatMap((said) => (said.role === 'tool' ? [said.callId] : []))).toEqual(calls);
    });
  });

  it('hands over all that was said, each call with its result, and nothing of the handing over', () => {
    let handed = 0;
    everyPath(handingPaths, (moment) => {
      for (const { type, data } of sentIn(moment)) {
        if (type !== 'task.handed_over') continue;
        handed++;
        const { agent, messages } = data as PayloadOf<'task.handed_over'>;
        expect(agent).toBe('billing');
        expect(messages.slice(0, 2)).toEqual(before);
        const calls = messages.flatMap((said) => (said.role === 'assistant' ? said.toolCalls : []));
        expect(messages.flatMap((said) => (said.role === 'tool' ? [said.callId] : []))).toEqual(calls.map(({ id }) => id));
        expect(calls.filter(({ name }) => name.startsWith('hand_over'))).toEqual([]);
        const said = contextOf(moment).messages.filter(({ role }) => role === 'assistant' || role === 'tool');
        expect(messages).toEqual(expect.arrayContaining(said));
      }
    });
    expect(handed).toBeGreaterThan(3);
  });

  it('ends by its time-out wherever it waits, while the money is used up once it was raised (W5)', () => {
    everyPath(paths, (moment) => {
      if (!asked(moment)) return;
      const going = isPaused(moment) ? follow(walk, moment, raised(ACCOUNT)) : moment;
      expect(hasEnded(leftAlone(walk, going))).toBe(true);
    });
  });

  it('waits for a raise when its call is vetoed until there is one, and no time runs', () => {
    everyPath(paths, (moment) => {
      const last = moment.taken.at(-1)!;
      if (last.happening === 'model is vetoed until a raise') expect(isPaused(moment)).toBe(true);
      if (isPaused(moment)) expect([moment.state.effects, moment.state.timers, countSent(moment, 'task.completed', 'task.failed')]).toEqual([{}, {}, 0]);
    });
  });

  it('goes on after a raise with the call that was vetoed, and with all that it had', () => {
    everyPath(paths, (moment) => {
      if (!isPaused(moment)) return;
      const going = follow(walk, moment, raised(ACCOUNT));
      expect(going.state.snapshot.value).toEqual({ working: { thinking: 'reserving' } });
      expect(contextOf(going)).toEqual({ ...contextOf(moment), saves: false });
      const calls = modelStarts(going).map((output) => (output.kind === 'start' ? output.effect : undefined)!);
      expect(conversationIn(calls.at(-1)!.input)).toEqual(conversationIn(calls.at(-2)!.input));
      expect(calls.at(-1)!.key).not.toBe(calls.at(-2)!.key);
    });
  });

  it('has each call made by its cheaper model from the grant or the veto on that says the money nears its end, until a raise', () => {
    everyPath(savingPaths, (moment) => {
      let saves = false;
      for (const { happening, outputs } of moment.taken) {
        const asked = outputs.flatMap((output) => (output.kind === 'start' && output.effect.src === 'model' ? [output.effect.input as ModelRequest] : []));
        if (happening === 'model is granted near the end' || happening === 'model is too dear') {
          saves = true;
          expect(asked.length).toBe(1);
        }
        if (happening === 'budget.raised') saves &&= asked.length === 0;
        for (const { model, hasCheaper } of asked) expect([model, hasCheaper]).toEqual(saves ? ['p/cheap', undefined] : ['p/m', true]);
      }
    });
  });

  it('gives back the grant of a call that it has made by its cheaper model instead', () => {
    everyPath(savingPaths, (moment) => {
      const { happening, outputs } = moment.taken.at(-1)!;
      if (happening !== 'model is granted near the end') return;
      expect(outputs.map(({ kind }) => kind)).not.toContain('claim');
      expect(outputs.filter((output) => output.kind === 'send').map(({ type }) => type)).toEqual(['budget.release']);
    });
  });

  it('leaves no effect and no timer behind at its end', () => {
    everyPath(paths, (moment) => {
      if (hasEnded(moment)) expect([moment.state.effects, moment.state.timers]).toEqual([{}, {}]);
    });
  });
});
