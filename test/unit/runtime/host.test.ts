import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openEmbeddedBus } from '../../../src/bus/embedded/bus.ts';
import type { Bus, Entry } from '../../../src/bus/port.ts';
import type { Envelope } from '../../../src/protocols/envelope.ts';
import { TroupeError } from '../../../src/protocols/failure.ts';
import { address, type Address, type RunId } from '../../../src/protocols/ids.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import type { EffectContext, EffectResult, Runners } from '../../../src/runtime/effects.ts';
import { Host, type HostOptions } from '../../../src/runtime/host.ts';
import { SHARED_LEASE } from '../../../src/runtime/lease.ts';
import type { Grant } from '../../../src/protocols/grant.ts';
import { company, Provider, runners } from '../../support/company.ts';
import { eventually } from '../../support/eventually.ts';

const run = 'r-hosted' as RunId;
const client = address(run, 'client');
const lead = address(run, 'supervisor');
const worker = address(run, 'worker', 'reader', 's1-1');
const assignment = { step: 's1', attempt: 1, goal: 'why', instructions: 'look', findings: [] };

let bus: Bus;
let provider: Provider;
const hosts: Host[] = [];
const heldModels: HeldModel[] = [];
beforeEach(() => {
  bus = openEmbeddedBus({ path: ':memory:' });
  provider = new Provider();
});
afterEach(async () => {
  const stopping = hosts.splice(0).map((host) => host.stop());
  for (const { calls } of heldModels.splice(0)) for (const { grant, end } of calls) end(billed(grant));
  await Promise.all(stopping);
  await bus.close();
});

const hostOf = (id: string, more: Partial<HostOptions> = {}): Host => {
  const host = new Host({ bus, id, clock: systemClock, runners: runners(provider, Date.now), resolve: company({ run }), ...more });
  hosts.push(host);
  return host;
};

const entries = async (pattern = `${run}.>`): Promise<Entry[]> => {
  const all: Entry[] = [];
  for await (const entry of bus.read(pattern)) all.push(entry);
  return all;
};
const typesIn = async (log: string): Promise<string[]> => (await entries(log)).map(({ envelope }) => envelope.type);

const said = (id: string, type: string, data: Record<string, unknown>, from: Address = client): Envelope => ({ id, type, v: 1, from, time: 0, data });

/** What the client hears at the end. */
const endOf = (host: Host): Promise<{ readonly type: string; readonly data: unknown }> =>
  new Promise((resolve) => host.inbox(client, ({ message }) => resolve(message)));

/** A model whose calls end when the test says so. */
class HeldModel {
  readonly calls: { readonly grant: string; readonly signal: AbortSignal; readonly end: (result: EffectResult) => void }[] = [];

  constructor() {
    heldModels.push(this);
  }

  get runners(): Runners {
    const free = runners(provider, Date.now);
    return {
      ...free,
      model: {
        ...free['model']!,
        run: (_: never, { signal }: EffectContext, grant: Grant) => new Promise<EffectResult>((end) => this.calls.push({ grant: grant.id, signal, end })),
      } as Runners[string],
    };
  }
}

const billed = (grant: string): EffectResult => ({
  ok: false,
  failure: { code: 'MODEL_ABORTED', message: 'stopped', retryable: false, details: {} },
  bill: { grant, spentNanos: '7', usage: { inputTokens: 1, outputTokens: 1, cachedInputTokens: 0, reasoningTokens: 0 }, model: 'm' },
});

describe('a host', () => {
  it.each([
    ['following each unit by itself', false],
    ['following all of them at once', true],
  ])('carries one actor alone when it adopts its address, %s', async (_, atOnce) => {
    const account = address(run, 'budget');
    const quote = { model: 'm', fixedNanos: '1', outputNanosPerMtok: '0', maxTokens: 1, minTokens: 1, inputTokens: 1, priceHash: '' };
    const ask = (grant: string): Promise<unknown> => bus.append(account, said(grant, 'budget.reserve', { grant, quote }, worker));
    await ask('before');
    await bus.append(lead, said('start', 'run.start', { goal: 'What do the pages say?' }));
    const host = hostOf('h1', { snapshotEvery: 1 });
    if (atOnce) await host.start('>');
    await host.adopt(account);
    await ask('after');
    await eventually('both are answered', async () => (await typesIn(worker)).length === 2);
    await host.settled(account);
    expect(await typesIn(lead), 'what is not adopted is left alone').toEqual(['run.start']);

    const again: string[] = [];
    const second = hostOf('h2', { observe: ({ outputs }) => again.push(...outputs.map(({ kind }) => kind)) });
    await second.adopt(account);
    expect(again, 'it goes on from its snapshot').toEqual([]);
    expect(second.instance(account)!.state.position).toBe(host.instance(account)!.state.position);
  });

  it('writes snapshots of a large state less often: together they are no longer than its log', async () => {
    const account = address(run, 'budget');
    const quote = { model: 'm', fixedNanos: '1', outputNanosPerMtok: '0', maxTokens: 1, minTokens: 1, inputTokens: 1, priceHash: '' };
    const written: number[] = [];
    const counting: Bus = Object.create(bus, {
      put: {
        value: (key: string, value: string, ...more: []) => {
          written.push(value.length);
          return bus.put(key, value, ...more);
        },
      },
    });
    const host = hostOf('h1', { bus: counting, snapshotEvery: 5 });
    await host.adopt(account, { fresh: true });
    const asked = 200;
    for (let grant = 0; grant < asked; grant++) await bus.append(account, said(`${grant}`, 'budget.reserve', { grant: `${grant}`, quote }, worker));
    await eventually('all are answered', async () => (await typesIn(worker)).length === asked);
    await host.settled(account);
    expect(written.length).toBeGreaterThan(3);
    const last = written.pop()!;
    expect(last, 'the state is large').toBeGreaterThan(20_000);
    expect(written.reduce((sum, length) => sum + length, 0)).toBeLessThanOrEqual(asked * 1_000);
  });

  it.each([
    ['following each unit by itself', false],
    ['following all of them at once', true],
  ])('carries a run through, %s', async (_, atOnce) => {
    const host = hostOf('h1');
    if (atOnce) await host.start('>');
    const end = endOf(host);
    await host.adopt(run, { fresh: true });
    await host.tell(lead, client, 'start', 'run.start', { goal: 'What do the pages say?' });
    expect(await end).toMatchObject({ type: 'run.completed' });
    await host.settled(run);
    expect(await bus.deadLetters()).toEqual([]);
    expect((await typesIn(client)).length).toBe(1);
  });

  it('takes a run up that began before it, at whatever place', async () => {
    await bus.append(lead, said('start', 'run.start', { goal: 'What do the pages say?' }));
    const first = hostOf('h1', { snapshotEvery: 2 });
    await first.adopt(run);
    await eventually('two calls were paid', () => provider.calls.length >= 2);
    await first.stop();
    const second = hostOf('h2', { snapshotEvery: 2 });
    const end = endOf(second);
    await second.adopt(run);
    expect(await end).toMatchObject({ type: 'run.completed' });
    expect(new Set(provider.calls.map(({ grant }) => grant)).size).toBe(provider.calls.length);
  });

  it('folds what comes while it reads the history after the history, and only once', async () => {
    const reading = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    const slow: Bus = Object.create(bus, {
      read: {
        value: async function* (...args: Parameters<Bus['read']>) {
          for await (const entry of bus.read(...args)) {
            reading.resolve();
            await goOn.promise;
            yield entry;
          }
        },
      },
    }) as Bus;
    await bus.append(worker, said('assign', 'task.assign', assignment, lead));
    const seen: string[] = [];
    const host = hostOf('h1', { bus: slow, observe: ({ entry }) => void seen.push(entry.id), runners: new HeldModel().runners });
    const adopting = host.adopt(run);
    await reading.promise;
    await bus.append(worker, said('cancel', 'task.cancel', { reason: 'enough' }, lead));
    goOn.resolve();
    await adopting;
    await eventually('it has ended', async () => (await typesIn(lead)).includes('task.failed'));
    expect(seen.filter((id) => id === 'assign' || id === 'cancel')).toEqual(['assign', 'cancel']);
    expect(host.instance(worker)).toBeUndefined();
  });

  it('does not touch what belongs to another unit', async () => {
    const seen: string[] = [];
    const host = hostOf('h1', { observe: ({ instance }) => void seen.push(instance.address), runners: new HeldModel().runners });
    await host.start('>');
    await host.adopt(run, { fresh: true });
    await bus.append('r-other.supervisor', said('start', 'run.start', { goal: 'why' }));
    await bus.append(worker, said('assign', 'task.assign', assignment, lead));
    await eventually('its own is folded', () => seen.length > 0);
    expect([seen.filter((at) => !at.startsWith(run)), await typesIn('r-other.>')]).toEqual([[], ['run.start']]);
  });
});

describe('an entry that cannot be taken', () => {
  it.each([
    ['nobody lives at its address', address(run, 'juggler'), said('e', 'run.start', { goal: 'why' }), 'nobody lives at r-hosted.juggler'],
    ['nobody knows its type', lead, said('e', 'run.paint', {}), 'MESSAGE_UNKNOWN: no message is called run.paint'],
    ['nobody knows its version', lead, { ...said('e', 'run.start', { goal: 'why' }), v: 9 }, 'MESSAGE_UNKNOWN: run.start has no version 9'],
    ['its payload does not fit', lead, said('e', 'run.start', { goal: 7 }), 'MESSAGE_INVALID: goal: '],
  ])('is buried with the reason when %s, and the rest goes on', async (_, to, envelope, reason) => {
    await bus.append(to, envelope);
    const host = hostOf('h1');
    const end = endOf(host);
    await host.adopt(run);
    await host.tell(lead, client, 'start', 'run.start', { goal: 'What do the pages say?' });
    expect(await end).toMatchObject({ type: 'run.completed' });
    const [letter, ...others] = await bus.deadLetters();
    expect(letter).toMatchObject({ source: to, body: JSON.stringify(envelope) });
    expect(letter!.reason).toContain(reason);
    expect(others).toEqual([]);
  });

  it('is buried when its chart throws, and the actor goes on as if it had not come', async () => {
    const model = new HeldModel();
    const host = hostOf('h1', { runners: model.runners });
    await host.adopt(run, { fresh: true });
    await bus.append(worker, said('assign', 'task.assign', assignment, lead));
    await eventually('its model is called', () => model.calls.length === 1);
    const [effect] = Object.values(host.instance(worker)!.state.effects);
    await bus.append(worker, said('odd', 'effect.completed', { effect: effect!.key, attempt: 1, output: null }, worker));
    await eventually('it is buried', async () => (await bus.deadLetters()).length === 1);
    expect((await bus.deadLetters())[0]!.reason).toContain('worker could not take it: ');
    expect(Object.values(host.instance(worker)!.state.effects)).toEqual([effect]);
  });
});

describe('an effect', () => {
  it('is refused when nobody can perform it, and its actor is told', async () => {
    const { tool } = runners(provider, Date.now);
    const host = hostOf('h1', { runners: { tool: tool! } });
    await host.adopt(run, { fresh: true });
    await bus.append(worker, said('assign', 'task.assign', assignment, lead));
    await eventually('it fails', async () => (await typesIn(lead)).includes('task.failed'));
    expect((await entries(lead)).at(-1)!.envelope.data['failure']).toMatchObject({ code: 'EFFECT_UNKNOWN' });
  });

  it('is refused when it costs money and its actor has no account', async () => {
    const homes = company({ run });
    const resolve = (at: Address) => {
      const home = homes(at);
      return home && { chart: home.chart, input: home.input };
    };
    const host = hostOf('h1', { resolve });
    await host.adopt(run, { fresh: true });
    await bus.append(worker, said('assign', 'task.assign', assignment, lead));
    await eventually('it fails', async () => (await typesIn(lead)).includes('task.failed'));
    expect((await entries(lead)).at(-1)!.envelope.data['failure']).toMatchObject({ code: 'BUDGET_NONE' });
    expect(provider.calls).toEqual([]);
  });

  it('is refused with the reason when its price is not known', async () => {
    const { model, tool } = runners(provider, Date.now);
    const quote = () => {
      throw new TroupeError('PRICE_UNKNOWN', 'no price');
    };
    const host = hostOf('h1', { runners: { tool: tool!, model: { ...model!, quote } } });
    await host.adopt(run, { fresh: true });
    await bus.append(worker, said('assign', 'task.assign', assignment, lead));
    await eventually('it fails', async () => (await typesIn(lead)).includes('task.failed'));
    expect((await entries(lead)).at(-1)!.envelope.data['failure']).toMatchObject({ code: 'PRICE_UNKNOWN' });
  });

  it('is made by one of two hosts that both believe that they own it (H3)', async () => {
    const models = [new HeldModel(), new HeldModel()];
    const both = models.map((model, index) => hostOf(`h${index}`, { runners: model.runners }));
    await Promise.all(both.map((host) => host.adopt(run, { fresh: true })));
    await bus.append(worker, said('assign', 'task.assign', assignment, lead));
    await eventually('both have claimed it', async () => (await typesIn(worker)).filter((type) => type === 'effect.claimed').length === 2);
    await eventually('one makes it', () => models.flatMap(({ calls }) => calls).length === 1);
    await Promise.all(both.map((host) => host.tell(worker, lead, 'cancel', 'task.cancel', { reason: 'enough' })));
    const [call] = models.flatMap(({ calls }) => calls);
    await eventually('it is stopped', () => call!.signal.aborted);
    call!.end(billed(call!.grant));
    await eventually('its bill is paid', async () => (await typesIn(address(run, 'budget'))).includes('budget.settle'));
    expect(models.flatMap(({ calls }) => calls).length).toBe(1);
  });

  it('that a lost host had claimed is made again under another grant (H3)', async () => {
    const [lost, next] = [new HeldModel(), new HeldModel()];
    const first = hostOf('h1', { runners: lost.runners });
    await first.adopt(run, { fresh: true });
    await bus.append(worker, said('assign', 'task.assign', assignment, lead));
    await eventually('it is called', () => lost.calls.length === 1);
    const letGo = first.release(run);
    const second = hostOf('h2', { runners: next.runners });
    await second.adopt(run);
    await eventually('it is called again', () => next.calls.length === 1);
    expect([lost.calls[0]!.grant.endsWith('#1'), next.calls[0]!.grant.endsWith('#2')]).toEqual([true, true]);
    expect(await typesIn(worker)).toContain('effect.lost');
    for (const { grant, end } of [...lost.calls, ...next.calls]) end(billed(grant));
    await letGo;
    await eventually('both bills are paid', async () => {
      const settled = (await entries(address(run, 'budget'))).filter(({ envelope }) => envelope.type === 'budget.settle');
      return new Set(settled.map(({ envelope }) => envelope.data['grant'])).size === 2;
    });
  });
});

describe('a call of an actor that the host has let go', () => {
  const budget = address(run, 'budget');
  const bills = async () => (await entries(budget)).filter(({ envelope }) => envelope.type === 'budget.settle');

  const letGoInMidCall = async (model: HeldModel): Promise<{ readonly host: Host; readonly letGo: Promise<void> }> => {
    const host = hostOf('h1', { runners: model.runners });
    await host.adopt(run, { fresh: true });
    await bus.append(worker, said('assign', 'task.assign', assignment, lead));
    await eventually('it is called', () => model.calls.length === 1);
    return { host, letGo: host.release(run) };
  };

  it('and that nobody has taken over is answered: what it cost is said as the actor would say it, once (H4)', async () => {
    const model = new HeldModel();
    const { letGo } = await letGoInMidCall(model);
    const { grant, end } = model.calls[0]!;
    const output = { text: 'late', toolCalls: [], finish: 'stop', usage: { inputTokens: 1, outputTokens: 1, cachedInputTokens: 0, reasoningTokens: 0 } };
    end({ ok: true, output, bill: billed(grant).bill! });
    await letGo;
    const completed = (await entries(worker)).find(({ envelope }) => envelope.type === 'effect.completed')!;
    const [bill, ...more] = await bills();
    expect(bill!.envelope).toMatchObject({ id: `${worker}/${completed.position}/0`, causation: completed.envelope.id, data: { grant, spentNanos: '7' } });
    const next = hostOf('h2', { runners: new HeldModel().runners });
    await next.adopt(run);
    await next.said(run);
    expect([more, (await bills()).length]).toEqual([[], 1]);
  });

  it('has its bill written before the host stops (H4)', async () => {
    const model = new HeldModel();
    const { host, letGo } = await letGoInMidCall(model);
    const stopped = host.stop();
    const { grant, end } = model.calls[0]!;
    end(billed(grant));
    await Promise.all([stopped, letGo]);
    expect((await bills()).map(({ envelope }) => envelope.data['grant'])).toEqual([grant]);
  });
});

/** Right behind every grant, a claim by a host that was fenced before it could write it. */
const withStaleClaims = (of: Bus, host: string): Bus =>
  Object.create(of, {
    append: {
      value: async (log: string, envelope: Envelope) => {
        const appended = of.append(log, envelope);
        const grant = envelope.data['grant'];
        if (envelope.type === 'budget.granted' && String(grant).endsWith('#1')) {
          const claim = { effect: String(grant).slice(0, -2), attempt: 1, host };
          await of.append(log, { ...said('stale', 'effect.claimed', claim, worker) });
        }
        return appended;
      },
    },
  }) as Bus;

describe('an effect that a fenced host claims after its unit was taken from it', () => {
  it('is made by the owner, under another grant (H3)', async () => {
    const model = new HeldModel();
    const owner = hostOf('h2', { runners: model.runners, bus: withStaleClaims(bus, 'h1') });
    await owner.adopt(run, { fresh: true, lease: { ...SHARED_LEASE, isSole: true } });
    await bus.append(worker, said('assign', 'task.assign', assignment, lead));
    await eventually('it is called', () => model.calls.length === 1);
    expect(model.calls[0]!.grant.endsWith('#2')).toBe(true);
    expect((await typesIn(worker)).filter((type) => type === 'effect.lost')).toEqual(['effect.lost']);
    expect(await typesIn(address(run, 'budget')), 'the grant that the other one may have used is not given back').toContain('budget.orphaned');
    model.calls[0]!.end(billed(model.calls[0]!.grant));
  });
});

describe('a unit that is let go', () => {
  it('has its calls aborted: what they cost is booked, and none of them is an answer (H4)', async () => {
    const model = new HeldModel();
    const host = hostOf('h1', { runners: model.runners });
    await host.adopt(run, { fresh: true });
    await bus.append(worker, said('assign', 'task.assign', assignment, lead));
    await eventually('it is called', () => model.calls.length === 1);
    const releasing = host.release(run);
    const [call] = model.calls;
    expect(call!.signal.aborted).toBe(true);
    call!.end(billed(call!.grant));
    await releasing;
    expect((await entries(address(run, 'budget'))).at(-1)!.envelope).toMatchObject({ type: 'budget.settle', data: { spentNanos: '7' } });
    expect((await entries(worker)).at(-1)!.envelope.type).toBe('effect.claimed');
    expect(host.instance(worker)).toBeUndefined();
  });

  it('is left by all its calls, also by those that wait for their turn', async () => {
    const runs = Array.from({ length: 100 }, (_, index) => `r-many${index}` as RunId);
    const { promise: released, resolve } = Promise.withResolvers<unknown>();
    let calls = 0;
    const free = runners(provider, Date.now);
    const run = async (_: never, __: EffectContext, grant: Grant): Promise<EffectResult> => {
      if (calls++ === 0) resolve(Promise.all(runs.map((id) => host.release(id))));
      return billed(grant.id);
    };
    const model = { ...free['model']!, run } as Runners[string];
    const host = hostOf('h1', { runners: { ...free, model }, resolve: (at) => company({ run: at.slice(0, at.indexOf('.')) as RunId })(at) });
    await host.start('>');
    await Promise.all(runs.map((id) => host.adopt(id, { fresh: true })));
    for (const id of runs) void host.tell(address(id, 'worker', 'reader', 's1-1'), address(id, 'supervisor'), 'assign', 'task.assign', assignment);
    await released;
    expect(calls, 'nothing begins after it').toBe(1);
  });

  it('is not acted for any more', async () => {
    const host = hostOf('h1', { runners: new HeldModel().runners });
    await host.start('>');
    await host.adopt(run, { fresh: true });
    await host.release(run);
    await bus.append(worker, said('assign', 'task.assign', assignment, lead));
    await host.adopt('r-marker', { fresh: true });
    await bus.append('r-marker.juggler', said('e', 'run.start', { goal: 'why' }));
    await eventually('what came later was seen', async () => (await bus.deadLetters()).length === 1);
    expect(await typesIn(`${run}.>`)).toEqual(['task.assign']);
  });

  it('is let go by itself when its lease is lost, and then performs nothing', async () => {
    let holds = true;
    const model = new HeldModel();
    const host = hostOf('h1', { runners: model.runners });
    await host.adopt(run, { fresh: true, lease: { ...SHARED_LEASE, holds: () => holds, confirm: async () => holds } });
    await bus.append(worker, said('assign', 'task.assign', assignment, lead));
    await eventually('it is called', () => model.calls.length === 1);
    holds = false;
    await bus.append(worker, said('cancel', 'task.cancel', { reason: 'enough' }, lead));
    await eventually('its call is aborted', () => model.calls[0]!.signal.aborted);
    expect(host.instance(worker)).toBeUndefined();
    expect(await typesIn(lead)).toEqual([]);
    model.calls[0]!.end(billed(model.calls[0]!.grant));
  });
});

describe('a host whose bus cannot be written to', () => {
  it('says so once, stops its calls and appends nothing more', async () => {
    let broken = false;
    let appends = 0;
    const failing: Bus = Object.create(bus, {
      append: {
        value: (...args: Parameters<Bus['append']>) => {
          appends++;
          return broken ? Promise.reject(new TroupeError('BUS_UNAVAILABLE', 'the disk is full')) : bus.append(...args);
        },
      },
    }) as Bus;
    const model = new HeldModel();
    const host = hostOf('h1', { bus: failing, runners: model.runners });
    await host.adopt(run, { fresh: true });
    await bus.append(worker, said('assign', 'task.assign', assignment, lead));
    await eventually('it is called', () => model.calls.length === 1);
    broken = true;
    await bus.append(worker, said('cancel', 'task.cancel', { reason: 'enough' }, lead));
    await expect(host.failed).rejects.toMatchObject({ code: 'BUS_UNAVAILABLE' });
    expect(model.calls[0]!.signal.aborted).toBe(true);
    const before = appends;
    model.calls[0]!.end(billed(model.calls[0]!.grant));
    await bus.append(address(run, 'worker', 'reader', 's2-1'), said('assign', 'task.assign', assignment, lead));
    await host.stop();
    expect(appends).toBe(before);
  });
});
