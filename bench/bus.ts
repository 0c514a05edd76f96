/** Durable steps a second: many actors that each answer the next one, every step an entry that is on the disk before it counts. */
import { assign, emit, setup } from 'xstate';
import type { Bus } from '../src/bus/port.ts';
import type { Envelope } from '../src/protocols/envelope.ts';
import { address, type Address, type RunId } from '../src/protocols/ids.ts';
import { defineChart } from '../src/runtime/chart.ts';
import { systemClock } from '../src/runtime/clock.ts';
import { Host } from '../src/runtime/host.ts';
import { tell } from './measure.ts';

const ACTORS = 500;
const HOPS = 60;

type Event = { type: 'task.cancel'; reason: string; from: Address; at: number };

/** Passes a counter on until it is used up: `reason` is the counter. */
const relay = defineChart(
  'relay',
  1,
  setup({
    types: {
      context: {} as { next: Address; seen: number },
      input: {} as { next: Address },
      events: {} as Event,
      emitted: {} as { type: 'task.cancel'; to: Address; reason: string },
    },
    guards: { goesOn: (_, { reason }: Event) => Number(reason) > 0 },
    actions: {
      count: assign(({ context }) => ({ seen: context.seen + 1 })),
      pass: emit(({ context }, { reason }: Event) => ({ type: 'task.cancel' as const, to: context.next, reason: String(Number(reason) - 1) })),
    },
  }).createMachine({
    context: ({ input }) => ({ next: input.next, seen: 0 }),
    on: {
      'task.cancel': [
        { guard: { type: 'goesOn', params: ({ event }) => event }, actions: ['count', { type: 'pass', params: ({ event }) => event }] },
        { actions: 'count' },
      ],
    },
  }),
);

const relayRun = async (bus: Bus, round: number): Promise<number> => {
  const run = `r-relay${round}${Math.random().toString(36).slice(2, 8)}` as RunId;
  const at = (index: number) => address(run, 'relay', `a${index % ACTORS}`);
  let steps = 0;
  const { promise: done, resolve } = Promise.withResolvers<void>();
  const host = new Host({
    bus,
    id: `h-${run}`,
    clock: systemClock,
    runners: {},
    resolve: (address) => ({ chart: relay, input: { next: at(Number(address.slice(address.lastIndexOf('a') + 1)) + 1) } }),
    observe: () => ++steps === ACTORS * (HOPS + 1) && resolve(),
  });
  await host.adopt(run, { fresh: true });
  const began = performance.now();
  for (let i = 0; i < ACTORS; i++) void host.tell(at(i), at(i), `start-${i}`, 'task.cancel', { reason: String(HOPS) });
  await Promise.race([done, host.failed]);
  await bus.durable();
  await host.settled(run);
  const perSecond = (steps * 1_000) / (performance.now() - began);
  await host.stop();
  return perSecond;
};

/** The bus alone: as many entries into as many logs, all at once. */
const appendRun = async (bus: Bus): Promise<number> => {
  const run = `r-append${Math.random().toString(36).slice(2, 8)}`;
  const envelope = (id: string): Envelope => ({ id, type: 'task.cancel', v: 1, from: address(run as RunId, 'client'), time: 0, data: { reason: '1' } });
  const began = performance.now();
  for (let hop = 0; hop < HOPS; hop++)
    await Promise.all(Array.from({ length: ACTORS }, (_, index) => bus.append(`${run}.relay.a${index}`, envelope(`e${hop}`))));
  return (ACTORS * HOPS * 1_000) / (performance.now() - began);
};

export const measureBus = async (name: string, bus: Bus): Promise<void> => {
  await relayRun(bus, 0);
  const steps: number[] = [];
  const appends: number[] = [];
  for (let round = 1; round <= 3; round++) {
    steps.push(await relayRun(bus, round));
    appends.push(await appendRun(bus));
  }
  tell(`durable steps on ${name}, ${ACTORS} actors`, steps.toSorted((a, b) => a - b)[1]!, 'a second', {
    what: 'appends alone',
    value: appends.toSorted((a, b) => a - b)[1]!,
  });
};
