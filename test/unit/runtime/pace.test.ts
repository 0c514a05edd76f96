import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openEmbeddedBus } from '../../../src/bus/embedded/bus.ts';
import type { Bus } from '../../../src/bus/port.ts';
import { Pace, type Passage, type RateLimit } from '../../../src/runtime/pace.ts';
import { Presence } from '../../../src/runtime/presence.ts';
import { eventually } from '../../support/eventually.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const MODEL = 'openai/gpt-4.1-mini';
const never = new AbortController().signal;

let bus: Bus;
let clock: ManualClock;
let paces: Pace[];
beforeEach(() => {
  bus = openEmbeddedBus({ path: ':memory:' });
  clock = new ManualClock();
  paces = [];
});
afterEach(async () => {
  for (const pace of paces) pace.close();
  await bus.close();
});

/** As each process has one. */
const paceOf = (hostId: string): Pace => {
  const pace = new Pace({ bus, clock, hostId });
  paces.push(pace);
  return pace;
};

/** A call that asks for its turn; `passage` once it has it. */
const ask = (pace: Pace, limit: RateLimit, { tokens = 0, signal = never } = {}): { passage: Passage | undefined; readonly done: Promise<void> } => {
  const asked: { passage: Passage | undefined; done: Promise<void> } = { passage: undefined, done: Promise.resolve() };
  asked.done = pace.pass(MODEL, limit, tokens, signal).then((passage) => void (asked.passage = passage));
  asked.done.catch(() => {});
  return asked;
};

/** Lets everything go on that can without time. */
const settle = async (): Promise<void> => {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
};

describe('a model that answered 429', () => {
  it('is left alone by every process until its retry-after has passed, and not longer (R1)', async () => {
    const [one, other] = [paceOf('h1'), paceOf('h2')];
    await ask(other, {}).done;
    await one.holdBack(MODEL, 30_000);
    await settle();
    const asked = ask(other, {});
    clock.advance(29_999);
    await settle();
    expect(asked.passage).toBeUndefined();
    clock.advance(1);
    await asked.done;
  });

  it('is held back for longer each time where the provider says no time, and once for calls that began together', async () => {
    const one = paceOf('h1');
    const heldFor = async (): Promise<number> => {
      await one.holdBack(MODEL, undefined);
      await one.holdBack(MODEL, undefined);
      await settle();
      const asked = ask(one, {});
      let ms = 0;
      for (; ms < 100_000 && !asked.passage; ms += 500) {
        clock.advance(500);
        await settle();
      }
      return ms;
    };
    await ask(one, {}).done;
    expect([await heldFor(), await heldFor(), await heldFor()]).toEqual([1_000, 2_000, 4_000]);
  });

  it('holds no other model up', async () => {
    const one = paceOf('h1');
    await one.holdBack('openai/another', 30_000);
    await settle();
    await ask(one, {}).done;
  });

  it('lets go of a call that is stopped while it waits', async () => {
    const one = paceOf('h1');
    await ask(one, {}).done;
    await one.holdBack(MODEL, 30_000);
    await settle();
    const stop = new AbortController();
    const asked = ask(one, {}, { signal: stop.signal });
    await settle();
    stop.abort();
    await expect(asked.done).rejects.toMatchObject({ code: 'EFFECT_STOPPED' });
    expect(clock.waiting).toBe(0);
  });
});

describe('max_parallel', () => {
  it('bounds the calls of all processes together, and a call that ends lets one in (R2)', async () => {
    const hosts = [await Presence.open({ bus, clock, id: 'h1' }), await Presence.open({ bus, clock, id: 'h2' })];
    const [one, other] = [paceOf('h1'), paceOf('h2')];
    const limit = { maxParallel: 3 };
    const calls = [one, other, one, other, one].map((pace) => ask(pace, limit));
    await settle();
    const passed = () => calls.filter(({ passage }) => passage);
    expect(passed()).toHaveLength(3);
    passed()[0]!.passage!.end();
    await eventually('another one may call', () => passed().length === 4);
    await settle();
    expect(passed()).toHaveLength(4);
    passed()[1]!.passage!.end();
    await eventually('the last one may call', () => passed().length === 5);
    await Promise.all(hosts.map((host) => host.close()));
  });

  it('counts nobody whose host is gone (R2)', async () => {
    const dead = await Presence.open({ bus, clock, id: 'h1' });
    await ask(paceOf('h1'), { maxParallel: 1 }).done;
    const asked = ask(paceOf('h2'), { maxParallel: 1 });
    clock.advance(10_000);
    await settle();
    expect(asked.passage).toBeUndefined();
    await dead.close();
    clock.advance(2_000);
    await eventually('its slot is free', () => asked.passage !== undefined);
  });
});

describe('rpm and tpm', () => {
  it('let a burst of ten seconds through, then one call each time that the rate allows, over all processes (R3)', async () => {
    const [one, other] = [paceOf('h1'), paceOf('h2')];
    const calls = Array.from({ length: 30 }, (_, index) => ask(index % 2 ? one : other, { rpm: 60 }));
    const passed = () => calls.filter(({ passage }) => passage).length;
    await settle();
    expect(passed()).toBe(11); // one now, and ten for the ten seconds that nobody used
    for (let second = 1; second <= 10; second++) {
      clock.advance(1_000);
      await settle();
      expect(passed()).toBe(11 + second);
    }
  });

  it('weigh a call by its tokens', async () => {
    const one = paceOf('h1');
    const calls = Array.from({ length: 4 }, () => ask(one, { tpm: 6_000 }, { tokens: 1_000 }));
    await settle();
    const passed = () => calls.filter(({ passage }) => passage).length;
    expect(passed()).toBe(2);
    clock.advance(10_000);
    await settle();
    expect(passed()).toBe(3);
  });
});
