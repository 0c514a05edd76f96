/**
 * What every bus promises (B1 to B6 in src/bus/port.ts), as tests against the port alone. An adapter passes when
 * `busContract(name, makeWorld)` does; nothing here knows which one it is.
 */
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { MAX_ENTRY_BYTES, type Bus, type Entry, type LogPattern, type Position, type QueueItem, type StoreChange } from '../../src/bus/port.ts';
import type { Envelope } from '../../src/protocols/envelope.ts';
import { TroupeError } from '../../src/protocols/failure.ts';
import type { Address } from '../../src/protocols/ids.ts';
import { eventually } from '../support/eventually.ts';

export type BusLimits = { readonly entriesPerLog?: number; readonly queueItems?: number };

/** One storage, empty at first. */
export type BusWorld = {
  /** A connection of its own to this world's storage. */
  open(): Promise<Bus>;
  /** Puts bytes where the entries of a log are, past every check. */
  injectGarbage(log: string, bytes: Uint8Array): Promise<void>;
  /** Loses every connection, or the server itself, and restores it; nothing where there is none to lose. */
  interrupt(): Promise<void>;
  /** Closes what is still open and removes the storage. */
  dispose(): Promise<void>;
};

const envelope = (id: string, data: Record<string, unknown> = {}): Envelope => ({
  id,
  type: 'timer.fired',
  v: 1,
  from: 'r-test.worker' as Address,
  time: 1_700_000_000_000,
  data,
});

/** An envelope whose JSON has exactly so many bytes. */
const envelopeOfBytes = (id: string, bytes: number): Envelope => {
  const empty = Buffer.byteLength(JSON.stringify(envelope(id, { text: 'ü' })));
  return envelope(id, { text: `ü${'x'.repeat(bytes - empty)}` });
};

const readAll = async (bus: Bus, pattern: LogPattern, from?: Position): Promise<Entry[]> => {
  const entries: Entry[] = [];
  for await (const entry of bus.read(pattern, from)) entries.push(entry);
  return entries;
};

const idsOf = (entries: readonly Entry[]): string[] => entries.map(({ envelope: { id } }) => id);
const numbered = (count: number, prefix = 'e'): string[] => Array.from({ length: count }, (_, index) => `${prefix}${index}`);
const expectRising = (entries: readonly Entry[]): void => {
  for (const [index, { position }] of entries.entries()) if (index > 0) expect(position).toBeGreaterThan(entries[index - 1]!.position);
};

const following = (bus: Bus, pattern: LogPattern, from: Position = 0) => {
  const seen: Entry[] = [];
  const { caughtUp, stop } = bus.follow(pattern, from, (entry) => seen.push(entry));
  return { seen, caughtUp, stop };
};

/** Takes from a queue and keeps what it was handed, oldest first. */
const taking = (bus: Bus, queue: string, leaseMs = 60_000, concurrency = 1) => {
  const items: QueueItem[] = [];
  const { stop } = bus.take(queue, { leaseMs, concurrency }, (item) => items.push(item));
  const nth = async (number: number): Promise<QueueItem> => {
    await eventually(`item ${number} of ${queue}`, () => items.length >= number);
    return items[number - 1]!;
  };
  return { items, nth, stop };
};

export const busContract = (name: string, makeWorld: (limits?: BusLimits) => Promise<BusWorld>): void => {
  describe(`the bus contract: ${name}`, () => {
    const worlds: BusWorld[] = [];
    const world = async (limits?: BusLimits): Promise<BusWorld> => {
      const made = await makeWorld(limits);
      worlds.push(made);
      return made;
    };
    const one = async (limits?: BusLimits): Promise<Bus> => (await world(limits)).open();
    const two = async (limits?: BusLimits): Promise<[Bus, Bus]> => {
      const { open } = await world(limits);
      return [await open(), await open()];
    };
    afterEach(async () => {
      for (const made of worlds.splice(0)) await made.dispose();
    });

    describe('logs', () => {
      test('a log gives its entries in the order in which they were appended, with rising positions (B1, B3)', async () => {
        const bus = await one();
        const positions: Position[] = [];
        for (const id of numbered(5)) positions.push(await bus.append('r-1.a', envelope(id, { id })));
        const entries = await readAll(bus, 'r-1.a');
        expect(idsOf(entries)).toEqual(numbered(5));
        expect(entries.map(({ position }) => position)).toEqual(positions);
        expectRising(entries);
        expect(positions[0]).toBeGreaterThan(0);
        expect(entries[3]!.envelope).toEqual(envelope('e3', { id: 'e3' }));
        expect(entries[3]!.log).toBe('r-1.a');
      });

      test('an entry has the same position and time for every reader (B3)', async () => {
        const [a, b] = await two();
        const before = Date.now();
        await a.append('r-1.a', envelope('x'));
        await b.append('r-1.a', envelope('y'));
        const entries = await readAll(a, 'r-1.a');
        expect(await readAll(b, 'r-1.a')).toEqual(entries);
        for (const { at } of entries) expect(Math.abs(at - before)).toBeLessThan(60_000);
      });

      test('positions rise over the whole bus, whichever connection appends to whichever log (B3)', async () => {
        const [a, b] = await two();
        const positions: Position[] = [];
        for (const [index, id] of numbered(6).entries()) positions.push(await (index % 2 ? a : b).append(`r-1.l${index % 3}`, envelope(id)));
        expect(positions).toEqual([...positions].sort((x, y) => x - y));
        expect(new Set(positions).size).toBe(6);
        expect(idsOf(await readAll(a, 'r-1.>'))).toEqual(numbered(6));
      });

      test('appends that are made at once land in the order of the calls within each log (B3)', async () => {
        const bus = await one();
        const ids = numbered(300);
        const positions = await Promise.all(ids.map((id, index) => bus.append(`r-1.l${index % 7}`, envelope(id))));
        const entries = await readAll(bus, 'r-1.>');
        expectRising(entries);
        expect(entries).toHaveLength(300);
        for (let log = 0; log < 7; log++) {
          const own = entries.filter((entry) => entry.log === `r-1.l${log}`);
          expect(idsOf(own)).toEqual(ids.filter((_, index) => index % 7 === log));
        }
        const byId = new Map(entries.map((entry) => [entry.envelope.id, entry.position]));
        expect(positions).toEqual(ids.map((id) => byId.get(id)));
      });

      test('appending an id again changes nothing and gives the first position (B2)', async () => {
        const bus = await one();
        const first = await bus.append('r-1.a', envelope('x', { try: 1 }));
        await bus.append('r-1.a', envelope('y'));
        expect(await bus.append('r-1.a', envelope('x', { try: 2 }))).toBe(first);
        const entries = await readAll(bus, 'r-1.a');
        expect(idsOf(entries)).toEqual(['x', 'y']);
        expect(entries[0]!.envelope.data).toEqual({ try: 1 });
      });

      test('the same id may stand in different logs (B2)', async () => {
        const bus = await one();
        const a = await bus.append('r-1.a', envelope('x'));
        const b = await bus.append('r-1.b', envelope('x'));
        expect(b).not.toBe(a);
        expect(idsOf(await readAll(bus, 'r-1.>'))).toEqual(['x', 'x']);
      });

      test('an id that is appended many times at once is taken once, from two connections as well (B2)', async () => {
        const [a, b] = await two();
        const { seen, caughtUp } = following(b, 'r-1.>');
        await caughtUp;
        const ids = numbered(40);
        const rounds = [a, b, a, b, b, a].map((bus) => Promise.all(ids.map((id) => bus.append('r-1.a', envelope(id)))));
        const [first, ...others] = await Promise.all(rounds);
        for (const other of others) expect(other).toEqual(first);
        const entries = await readAll(a, 'r-1.a');
        expect(idsOf(entries).sort()).toEqual([...ids].sort());
        const last = await a.append('r-1.end', envelope('end'));
        await eventually('the follower sees the end', () => seen.at(-1)?.position === last);
        expect(seen.slice(0, -1)).toEqual(entries);
      });

      test('an id that another connection appended long before is known to a new one (B2)', async () => {
        const { open } = await world();
        const a = await open();
        const positions = await Promise.all(numbered(50).map((id) => a.append('r-1.a', envelope(id))));
        const b = await open();
        expect(await b.append('r-1.a', envelope('e0'))).toBe(positions[0]);
        expect(await b.append('r-1.a', envelope('e37'))).toBe(positions[37]);
        expect(await readAll(b, 'r-1.a')).toHaveLength(50);
      });

      test('a conditional append goes through when the last position is the expected one, and into an empty log at 0', async () => {
        const bus = await one();
        const first = await bus.append('r-1.a', envelope('x'), { expect: 0 });
        const second = await bus.append('r-1.a', envelope('y'), { expect: first });
        await bus.append('r-1.b', envelope('elsewhere'));
        await bus.append('r-1.a', envelope('z'), { expect: second });
        expect(idsOf(await readAll(bus, 'r-1.a'))).toEqual(['x', 'y', 'z']);
      });

      test('a conditional append that is not met changes nothing and names the last position', async () => {
        const [a, b] = await two();
        const first = await a.append('r-1.a', envelope('x'));
        const last = await a.append('r-1.a', envelope('y'));
        await expect(b.append('r-1.a', envelope('z'), { expect: first })).rejects.toMatchObject({ code: 'BUS_CONFLICT', details: { last } });
        await expect(b.append('r-1.a', envelope('z'), { expect: 0 })).rejects.toMatchObject({ code: 'BUS_CONFLICT', details: { last } });
        await expect(b.append('r-1.empty', envelope('z'), { expect: first })).rejects.toMatchObject({ code: 'BUS_CONFLICT', details: { last: 0 } });
        expect(idsOf(await readAll(a, 'r-1.>'))).toEqual(['x', 'y']);
      });

      test('of conditional appends at once exactly one goes through', async () => {
        const [a, b] = await two();
        const last = await a.append('r-1.a', envelope('x'));
        const outcomes = await Promise.allSettled([a, b, a, b].map((bus, index) => bus.append('r-1.a', envelope(`next${index}`), { expect: last })));
        const won = outcomes.filter(({ status }) => status === 'fulfilled');
        expect(won).toHaveLength(1);
        for (const outcome of outcomes)
          if (outcome.status === 'rejected')
            expect(outcome.reason).toMatchObject({ code: 'BUS_CONFLICT', details: { last: (won[0] as PromiseFulfilledResult<Position>).value } });
        expect(await readAll(a, 'r-1.a')).toHaveLength(2);
      });

      test('a conditional append that is made again after it went through gives the first position (B2)', async () => {
        const [a, b] = await two();
        const first = await a.append('r-1.a', envelope('x'), { expect: 0 });
        expect(await a.append('r-1.a', envelope('x'), { expect: 0 })).toBe(first);
        expect(await b.append('r-1.a', envelope('x'), { expect: 0 })).toBe(first);
      });

      test('reading begins after the given position', async () => {
        const bus = await one();
        const positions = await Promise.all(numbered(10).map((id) => bus.append('r-1.a', envelope(id))));
        expect(idsOf(await readAll(bus, 'r-1.a', positions[3]))).toEqual(numbered(10).slice(4));
        for (const [index, position] of positions.entries()) expect(await readAll(bus, 'r-1.a', position)).toHaveLength(9 - index);
      });

      test('reading gives what stood there when it was called, however much is appended meanwhile', async () => {
        const bus = await one();
        await Promise.all(numbered(20).map((id) => bus.append('r-1.a', envelope(id))));
        const read: string[] = [];
        for await (const entry of bus.read('r-1.>')) {
          read.push(entry.envelope.id);
          await bus.append('r-1.a', envelope(`more-${entry.envelope.id}`));
        }
        expect(read).toEqual(numbered(20));
      });

      test('a log that was cut begins at the position, for every reader; what is left is what it was (B3)', async () => {
        const [a, b] = await two();
        const positions: Position[] = [];
        for (const id of numbered(6)) {
          positions.push(await a.append('r-1.a', envelope(id)));
          await b.append('r-1.b', envelope(`beside-${id}`));
        }
        await Promise.all(numbered(20, 'more').map((id) => a.append('r-1.a', envelope(id))));
        const before = await readAll(b, 'r-1.a');
        await a.cut('r-1.a', positions[4]!);
        for (const bus of [a, b]) {
          expect(await readAll(bus, 'r-1.a')).toEqual(before.slice(4));
          expect(await readAll(bus, 'r-1.a', positions[1])).toEqual(before.slice(4));
          expect(await readAll(bus, 'r-1.a', positions[4])).toEqual(before.slice(5));
          expect(idsOf(await readAll(bus, 'r-1.b'))).toEqual(numbered(6, 'beside-e'));
          expect(idsOf(await readAll(bus, '>')).filter((id) => !id.startsWith('beside'))).toEqual(idsOf(before.slice(4)));
          const { seen, caughtUp, stop } = following(bus, 'r-1.>');
          await caughtUp;
          stop();
          expect(seen.filter(({ log }) => log === 'r-1.a')).toEqual(before.slice(4));
        }
      });

      test('a log that was cut goes on: conditions hold, its bound counts what is left, and an id that was removed may come again (B2)', async () => {
        const [a, b] = await two({ entriesPerLog: 6 });
        const positions = await Promise.all(numbered(6).map((id) => a.append('r-1.a', envelope(id))));
        await expect(b.append('r-1.a', envelope('x'))).rejects.toMatchObject({ code: 'BUS_LOG_FULL' });
        await a.cut('r-1.a', positions[4]!);
        const next = await a.append('r-1.a', envelope('next'), { expect: positions[5]! });
        expect(await a.append('r-1.a', envelope('e4'))).toBe(positions[4]);
        await eventually('the other process knows of the cut', async () => (await b.append('r-1.a', envelope('e0')).catch(() => 0)) > next);
        expect(idsOf(await readAll(a, 'r-1.a'))).toEqual(['e4', 'e5', 'next', 'e0']);
        await Promise.all([a.append('r-1.a', envelope('y')), b.append('r-1.a', envelope('z'))]);
        for (const bus of [a, b]) await expect(bus.append('r-1.a', envelope('over'))).rejects.toMatchObject({ code: 'BUS_LOG_FULL' });
      });

      test('a log may be cut to nothing, again, before where it was cut, and when there is none', async () => {
        const [a, b] = await two();
        await a.cut('r-1.none', 100);
        const positions = await Promise.all(numbered(4).map((id) => a.append('r-1.a', envelope(id))));
        await b.cut('r-1.a', positions[2]!);
        await a.cut('r-1.a', positions[1]!);
        expect(idsOf(await readAll(b, 'r-1.a'))).toEqual(['e2', 'e3']);
        const head = await a.head();
        await Promise.all([a.cut('r-1.a', head + 1), b.cut('r-1.b', head + 1)]);
        expect(await readAll(b, '>')).toEqual([]);
        const { seen, caughtUp, stop } = following(b, 'r-1.a');
        await caughtUp;
        const position = await a.append('r-1.a', envelope('e0'));
        await eventually('the follower has what came after', () => seen.length === 1);
        stop();
        expect(position).toBeGreaterThan(positions[3]!);
      });

      test('reading an empty log gives nothing', async () => {
        const bus = await one();
        expect(await readAll(bus, 'r-1.a')).toEqual([]);
        expect(await readAll(bus, '>')).toEqual([]);
        await bus.append('r-1.a', envelope('x'));
        expect(await readAll(bus, 'r-1.b')).toEqual([]);
      });

      test('a pattern is a name, a prefix with > or a name with * for single tokens', async () => {
        const bus = await one();
        const logs = [
          'r-1.worker.reader.s1',
          'r-1.worker.reader.s2',
          'r-1.worker.writer.s1',
          'r-1.supervisor',
          'r-2.worker.reader.s1',
          'r-1x.supervisor',
          'r-1',
        ];
        for (const log of logs) await bus.append(log, envelope(log));
        const expected: Record<string, string[]> = {
          'r-1.supervisor': ['r-1.supervisor'],
          'r-1': ['r-1'],
          'r-1.>': logs.filter((log) => log.startsWith('r-1.')),
          'r-1.worker.>': logs.filter((log) => log.startsWith('r-1.worker.')),
          '*.worker.reader.*': ['r-1.worker.reader.s1', 'r-1.worker.reader.s2', 'r-2.worker.reader.s1'],
          'r-1.*.*.s1': ['r-1.worker.reader.s1', 'r-1.worker.writer.s1'],
          '*.worker.>': logs.filter((log) => log.includes('.worker.')),
          '*': ['r-1'],
          '>': logs,
        };
        for (const [pattern, matched] of Object.entries(expected)) {
          expect(idsOf(await readAll(bus, pattern)), `read ${pattern}`).toEqual(matched);
          const { seen, caughtUp, stop } = following(bus, pattern);
          await caughtUp;
          expect(idsOf(seen), `follow ${pattern}`).toEqual(matched);
          stop();
        }
      });

      test('a follower is handed the history, then each new entry (B4)', async () => {
        const [a, b] = await two();
        for (const id of numbered(30)) await a.append('r-1.a', envelope(id));
        const { seen, caughtUp } = following(b, 'r-1.>');
        await caughtUp;
        expect(idsOf(seen)).toEqual(numbered(30));
        await Promise.all(numbered(30, 'new').map((id, index) => (index % 2 ? a : b).append('r-1.b', envelope(id))));
        await eventually('the new entries', () => seen.length >= 60);
        expect(seen).toEqual(await readAll(a, 'r-1.>'));
      });

      test('a follower that begins in the middle is handed what comes after it (B4)', async () => {
        const [a, b] = await two();
        const positions = await Promise.all(numbered(30).map((id) => a.append(`r-1.l${Number(id.slice(1)) % 3}`, envelope(id))));
        const middle = [...positions].sort((x, y) => x - y)[14]!;
        const { seen, caughtUp } = following(b, 'r-1.>', middle);
        await caughtUp;
        await a.append('r-1.a', envelope('last'));
        await eventually('the last entry', () => idsOf(seen).includes('last'));
        expect(seen).toEqual((await readAll(a, 'r-1.>')).filter(({ position }) => position > middle));
        expect(seen).toHaveLength(16);
      });

      test('a follower that begins while others append misses nothing and sees nothing twice (B4)', async () => {
        const [a, b] = await two();
        const appends = numbered(200).map((id, index) => a.append(`r-1.l${index % 5}`, envelope(id)));
        const early = following(b, 'r-1.>');
        const own = following(a, 'r-1.>');
        await Promise.all(appends.slice(0, 100));
        const late = following(b, 'r-1.>');
        await Promise.all(appends);
        const entries = await readAll(b, 'r-1.>');
        expect(entries).toHaveLength(200);
        for (const { seen } of [early, own, late]) {
          await eventually('all entries', () => seen.length >= 200);
          expect(seen).toEqual(entries);
        }
      });

      test('a stopped follower is handed nothing more', async () => {
        const bus = await one();
        const stopped = following(bus, 'r-1.>');
        const other = following(bus, 'r-1.>');
        await bus.append('r-1.a', envelope('x'));
        await eventually('the first entry', () => stopped.seen.length === 1 && other.seen.length === 1);
        stopped.stop();
        await bus.append('r-1.a', envelope('y'));
        await eventually('the second entry at the other follower', () => other.seen.length === 2);
        expect(idsOf(stopped.seen)).toEqual(['x']);
      });

      test('a follower may stop itself at an entry and sees none after it', async () => {
        const bus = await one();
        await Promise.all(numbered(10).map((id) => bus.append('r-1.a', envelope(id))));
        const seen: string[] = [];
        const self = bus.follow('r-1.a', 0, (entry) => {
          seen.push(entry.envelope.id);
          if (seen.length === 4) self.stop();
        });
        const other = following(bus, 'r-1.a');
        await other.caughtUp;
        expect(seen).toEqual(numbered(4));
      });

      test('entries that a follower appends keep the order of positions for every follower, and it is never called within itself (B4)', async () => {
        const [a, b] = await two();
        const away = following(b, 'r-1.>');
        const before = following(a, 'r-1.>');
        let inside = false;
        let nested = 0;
        const appends: Promise<Position>[] = [];
        a.follow('r-1.>', 0, ({ envelope: { data } }) => {
          if (inside) nested += 1;
          inside = true;
          const depth = data['depth'] as number;
          if (depth < 6)
            for (const side of ['x', 'y'])
              appends.push(
                a.append(`r-1.${side}`, envelope(`${data['path'] as string}${side}`, { depth: depth + 1, path: `${data['path'] as string}${side}` })),
              );
          inside = false;
        });
        const after = following(a, 'r-1.>');
        await a.append('r-1.a', envelope('root', { depth: 0, path: '' }));
        const total = 2 ** 7 - 1;
        for (const { seen } of [away, before, after]) {
          await eventually('the whole cascade', () => seen.length >= total);
          expect(seen).toHaveLength(total);
          expectRising(seen);
        }
        await Promise.all(appends);
        expect(nested).toBe(0);
        expect(idsOf(before.seen)).toEqual(idsOf(away.seen));
        expect(idsOf(after.seen)).toEqual(idsOf(away.seen));
      });

      test('a follower loses nothing and sees nothing twice across an interruption (B4)', async () => {
        const made = await world();
        const [a, b] = [await made.open(), await made.open()];
        const { seen, caughtUp } = following(b, 'r-1.>');
        await caughtUp;
        await Promise.all(numbered(50, 'before').map((id, index) => a.append(`r-1.l${index % 3}`, envelope(id))));
        const during = numbered(50, 'during').map((id, index) => a.append(`r-1.l${index % 3}`, envelope(id)));
        await Promise.all([made.interrupt(), ...during]);
        await Promise.all(numbered(50, 'after').map((id, index) => a.append(`r-1.l${index % 3}`, envelope(id))));
        await eventually('every entry', () => seen.length >= 150);
        const entries = await readAll(a, 'r-1.>');
        expect(entries).toHaveLength(150);
        expect(seen).toEqual(entries);
      });

      test('what was handed over is there for others once durable() resolves (B1)', async () => {
        const [a, b] = await two();
        const checked: Promise<string[]>[] = [];
        const { caughtUp } = a.follow('r-1.>', 0, (entry) => {
          checked.push(a.durable().then(async () => idsOf((await readAll(b, 'r-1.>')).filter(({ position }) => position === entry.position))));
        });
        await caughtUp;
        await Promise.all(numbered(10).map((id) => a.append('r-1.a', envelope(id))));
        await eventually('ten entries', () => checked.length === 10);
        expect(await Promise.all(checked)).toEqual(numbered(10).map((id) => [id]));
      });

      test('the head is at or after every earlier entry and before every later one', async () => {
        const [a, b] = await two();
        expect(await a.head()).toBeGreaterThanOrEqual(0);
        const earlier = await a.append('r-1.a', envelope('x'));
        const heads = [await a.head(), await b.head()];
        const later = await a.append('r-1.b', envelope('y'));
        for (const head of heads) {
          expect(head).toBeGreaterThanOrEqual(earlier);
          expect(head).toBeLessThan(later);
          expect(idsOf(await readAll(b, '>', head))).toEqual(['y']);
        }
      });

      test('what was appended is there, in the same order and place, when everyone has gone and comes back (B1)', async () => {
        const { open } = await world();
        const first = await open();
        await Promise.all(numbered(40).map((id, index) => first.append(`r-1.l${index % 4}`, envelope(id))));
        const entries = await readAll(first, 'r-1.>');
        await first.close();
        const second = await open();
        expect(await readAll(second, 'r-1.>')).toEqual(entries);
        const next = await second.append('r-1.l0', envelope('next'));
        expect(next).toBeGreaterThan(entries.at(-1)!.position);
        expect(await second.append('r-1.l0', envelope('e0'))).toBe(entries[0]!.position);
      });

      test('every follower sees one sequence, with each id once, whoever appends what how often (B2, B3, B4)', async () => {
        const [a, b] = await two();
        let round = 0;
        const append = fc.record({ by: fc.nat(1), log: fc.nat(2), id: fc.nat(9), pause: fc.boolean() });
        await fc.assert(
          fc.asyncProperty(fc.array(append, { minLength: 1, maxLength: 40 }), async (appends) => {
            const prefix = `p-${round++}`;
            const followers = [a, b].map((bus) => following(bus, `${prefix}.>`));
            const given = new Map<string, Set<Position>>();
            const waiting: Promise<void>[] = [];
            for (const { by, log, id, pause } of appends) {
              const key = `${prefix}.l${log}/e${id}`;
              const done = (by ? a : b)
                .append(`${prefix}.l${log}`, envelope(`e${id}`))
                .then((position) => void given.set(key, (given.get(key) ?? new Set()).add(position)));
              waiting.push(done);
              if (pause) await done;
            }
            await Promise.all(waiting);
            const entries = await readAll(b, `${prefix}.>`);
            expectRising(entries);
            expect(new Map(entries.map(({ log, envelope: { id }, position }) => [`${log}/${id}`, new Set([position])]))).toEqual(given);
            expect(entries).toHaveLength(given.size);
            for (const { seen, stop } of followers) {
              await eventually('all entries of the round', () => seen.length >= entries.length);
              expect(seen).toEqual(entries);
              stop();
            }
          }),
          { numRuns: 25 },
        );
      });

      test('a log that is full pushes back, and still knows what it has (B2)', async () => {
        const bus = await one({ entriesPerLog: 5 });
        const positions: Position[] = [];
        for (const id of numbered(5)) positions.push(await bus.append('r-1.a', envelope(id)));
        await expect(bus.append('r-1.a', envelope('more'))).rejects.toMatchObject({ code: 'BUS_LOG_FULL', retryable: true });
        expect(await bus.append('r-1.a', envelope('e2'))).toBe(positions[2]);
        await bus.append('r-1.b', envelope('elsewhere'));
        expect(idsOf(await readAll(bus, 'r-1.a'))).toEqual(numbered(5));
      });

      test('a log that is full takes what makes room in it, on the condition that it names', async () => {
        const [a, b] = await two({ entriesPerLog: 3 });
        const positions: Position[] = [];
        for (const id of numbered(3)) positions.push(await a.append('r-1.a', envelope(id)));
        await expect(b.append('r-1.a', envelope('late'), { expect: positions[1]!, makesRoom: true })).rejects.toMatchObject({ code: 'BUS_CONFLICT' });
        const state = await b.append('r-1.a', envelope('state'), { expect: positions[2]!, makesRoom: true });
        await expect(b.append('r-1.a', envelope('more'))).rejects.toMatchObject({ code: 'BUS_LOG_FULL' });
        await b.cut('r-1.a', state);
        await b.append('r-1.a', envelope('more'));
        expect(idsOf(await readAll(b, 'r-1.a'))).toEqual(['state', 'more']);
      });

      test('of many appends at once a log takes no more than its bound, and all that it took', async () => {
        const [a, b] = await two({ entriesPerLog: 10 });
        const outcomes = await Promise.allSettled(numbered(40).map((id, index) => (index % 2 ? a : b).append('r-1.a', envelope(id))));
        const taken = outcomes.filter((outcome): outcome is PromiseFulfilledResult<Position> => outcome.status === 'fulfilled');
        for (const outcome of outcomes) if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'BUS_LOG_FULL' });
        const entries = await readAll(a, 'r-1.a');
        expect(entries).toHaveLength(10);
        expect(entries.map(({ position }) => position)).toEqual(taken.map(({ value }) => value).sort((x, y) => x - y));
      });

      test('an entry of the largest size passes whole, and one byte more is refused', async () => {
        const [a, b] = await two();
        const largest = envelopeOfBytes('largest', MAX_ENTRY_BYTES);
        expect(Buffer.byteLength(JSON.stringify(largest))).toBe(MAX_ENTRY_BYTES);
        const { seen } = following(b, 'r-1.>');
        await a.append('r-1.a', largest);
        await expect(a.append('r-1.a', envelopeOfBytes('larger', MAX_ENTRY_BYTES + 1))).rejects.toMatchObject({ code: 'BUS_ENTRY_TOO_LARGE' });
        await a.append('r-1.a', envelope('small'));
        await eventually('both entries', () => seen.length === 2);
        expect(seen[0]!.envelope).toEqual(largest);
        expect(idsOf(await readAll(b, 'r-1.a'))).toEqual(['largest', 'small']);
      });

      test('large entries at once all pass, in order', async () => {
        const bus = await one();
        const ids = numbered(8);
        await Promise.all(ids.map((id) => bus.append('r-1.a', envelopeOfBytes(id, 700_000))));
        expect(idsOf(await readAll(bus, 'r-1.a'))).toEqual(ids);
      });

      test('names and patterns outside the grammar are refused', async () => {
        const bus = await one();
        for (const wrong of ['', ' ', 'a b', 'a..b', '.a', 'a.', 'ü', 'a/b', '*', 'a.*', '>', 'a.>', 'x'.repeat(301)]) {
          await expect(async () => bus.append(wrong, envelope('x')), wrong).rejects.toMatchObject({ code: 'BUS_NAME_INVALID' });
          await expect(async () => bus.offer(wrong, 'x', {}), wrong).rejects.toMatchObject({ code: 'BUS_NAME_INVALID' });
          await expect(async () => bus.ask(wrong, {}, 100), wrong).rejects.toMatchObject({ code: 'BUS_NAME_INVALID' });
        }
        for (const wrong of ['', 'a b', 'a..b', 'a.>.b', '>.a', 'a*', 'a.b>', '$x.>']) {
          await expect(async () => bus.follow(wrong, 0, () => {}), wrong).rejects.toMatchObject({ code: 'BUS_NAME_INVALID' });
          await expect(async () => readAll(bus, wrong), wrong).rejects.toMatchObject({ code: 'BUS_NAME_INVALID' });
          await expect(async () => bus.watch(wrong, () => {}), wrong).rejects.toMatchObject({ code: 'BUS_NAME_INVALID' });
        }
      });

      test('ids may hold any characters (B2)', async () => {
        const bus = await one();
        const ids = ['r-1.worker.reader.s2-1/17/0.model#2', 'with space', 'ünï→cødé', 'line\nbreak', '*', '>', `"quoted"\\`, 'x'.repeat(512)];
        const positions: Position[] = [];
        for (const id of ids) positions.push(await bus.append('r-1.a', envelope(id)));
        for (const [index, id] of ids.entries()) expect(await bus.append('r-1.a', envelope(id))).toBe(positions[index]);
        expect(idsOf(await readAll(bus, 'r-1.a'))).toEqual(ids);
      });
    });

    describe('dead letters', () => {
      test('bytes that are no JSON, no UTF-8 or no envelope go to the dead letters, once, with the reason (B6)', async () => {
        const made = await world();
        const [a, b] = [await made.open(), await made.open()];
        const early = following(a, 'r-1.>');
        await early.caughtUp;
        await a.append('r-1.a', envelope('before'));
        await made.injectGarbage('r-1.a', Buffer.from('{"id": broken'));
        await made.injectGarbage('r-1.a', Buffer.from(JSON.stringify({ id: 'no-envelope', type: 'x' })));
        await made.injectGarbage('r-1.b', Uint8Array.of(0xff, 0xfe, 0x00, 0x80));
        await a.append('r-1.a', envelope('after'));
        const late = following(b, 'r-1.>');
        await late.caughtUp;
        await eventually('the entry after the garbage', () => early.seen.length === 2);
        for (const { seen } of [early, late]) expect(idsOf(seen)).toEqual(['before', 'after']);
        for (const bus of [a, b]) expect(idsOf(await readAll(bus, '>'))).toEqual(['before', 'after']);
        await eventually('three letters', async () => (await b.deadLetters()).length >= 3);
        const letters = await a.deadLetters();
        expect(letters.map(({ source, body }) => ({ source, body }))).toEqual([
          { source: 'r-1.a', body: '{"id": broken' },
          { source: 'r-1.a', body: JSON.stringify({ id: 'no-envelope', type: 'x' }) },
          { source: 'r-1.b', body: `base64:${Buffer.from([0xff, 0xfe, 0x00, 0x80]).toString('base64')}` },
        ]);
        for (const { reason, at } of letters) {
          expect(reason).not.toBe('');
          expect(Math.abs(at - Date.now())).toBeLessThan(60_000);
        }
      });

      test('what lies alone in its log, or last, is buried as well when it is read (B6)', async () => {
        const made = await world();
        const [a, b] = [await made.open(), await made.open()];
        const before = following(a, 'r-9.>');
        await before.caughtUp;
        before.stop();
        await a.append('r-7.a', envelope('settled'));
        await made.injectGarbage('r-9.a', Buffer.from('alone'));
        const sentinel = following(a, 'r-8.>');
        await b.append('r-8.a', envelope('sentinel'));
        await eventually('the sentinel', () => sentinel.seen.length === 1);
        expect(await readAll(a, 'r-9.>')).toEqual([]);
        await eventually('the letter', async () => (await b.deadLetters()).length > 0);
        expect(await readAll(b, 'r-9.>')).toEqual([]);
        expect(await a.deadLetters()).toMatchObject([{ source: 'r-9.a', body: 'alone' }]);
      });

      test('an addressee buries what it cannot decode (B6)', async () => {
        const [a, b] = await two();
        expect(await a.deadLetters()).toEqual([]);
        await a.bury({ source: 'r-1.a', reason: 'MESSAGE_UNKNOWN: no message is called x', body: '{}' });
        await b.bury({ source: 'r-1.b', reason: 'another', body: 'text' });
        for (const bus of [a, b]) {
          expect((await bus.deadLetters()).map(({ source, reason, body }) => ({ source, reason, body }))).toEqual([
            { source: 'r-1.a', reason: 'MESSAGE_UNKNOWN: no message is called x', body: '{}' },
            { source: 'r-1.b', reason: 'another', body: 'text' },
          ]);
        }
      });
    });

    describe('queues', () => {
      test('of two takers one holds an item, and each item is worked on once (B5)', async () => {
        const [a, b] = await two();
        const handed: string[] = [];
        const done: Promise<boolean>[] = [];
        for (const bus of [a, b]) {
          bus.take('work', { leaseMs: 60_000, concurrency: 3 }, (item) => {
            handed.push(`${item.id} ${item.delivery} ${item.data['n'] as number}`);
            done.push(item.finish());
          });
        }
        await Promise.all(numbered(30).map((id, n) => (n % 2 ? a : b).offer('work', id, { n })));
        await eventually('every item', () => handed.length >= 30);
        expect(new Set(await Promise.all(done))).toEqual(new Set([true]));
        expect(handed.sort()).toEqual(
          numbered(30)
            .map((id, n) => `${id} 1 ${n}`)
            .sort(),
        );
      });

      test('an item waits for a taker, also while nobody is there (B1)', async () => {
        const { open } = await world();
        const first = await open();
        await first.offer('work', 'x', { deep: { list: [1, 'two'] } });
        await first.close();
        const { nth } = taking(await open(), 'work');
        const item = await nth(1);
        expect(item).toMatchObject({ id: 'x', delivery: 1, data: { deep: { list: [1, 'two'] } } });
        expect(await item.finish()).toBe(true);
      });

      test('an item whose lease ran out is offered again, and who lost it is told (B5)', async () => {
        const [a, b] = await two();
        const lost = taking(a, 'work', 200);
        await a.offer('work', 'x', {});
        const first = await lost.nth(1);
        lost.stop();
        const again = taking(b, 'work', 60_000);
        const second = await again.nth(1);
        expect(second).toMatchObject({ id: 'x', delivery: 2 });
        expect(await first.extend()).toBe(false);
        expect(await first.finish()).toBe(false);
        expect(await second.finish()).toBe(true);
        await a.offer('work', 'sentinel', {});
        expect((await again.nth(2)).id).toBe('sentinel');
      });

      test('a taker that lost an item may be handed it again, in the slot that it freed (B5)', async () => {
        const bus = await one();
        const { nth, items } = taking(bus, 'work', 150);
        await bus.offer('work', 'x', {});
        const first = await nth(1);
        const second = await nth(2);
        expect([first.delivery, second.delivery]).toEqual([1, 2]);
        expect(await first.finish()).toBe(false);
        expect(await second.finish()).toBe(true);
        expect(items).toHaveLength(2);
      });

      test('who returns what it had lost takes it from nobody (B5)', async () => {
        const [a, b] = await two();
        const lost = taking(a, 'work', 150);
        await a.offer('work', 'x', {});
        const first = await lost.nth(1);
        lost.stop();
        const again = taking(b, 'work', 60_000);
        const second = await again.nth(1);
        await first.return();
        await first.bury('too late');
        expect(await second.extend()).toBe(true);
        expect(await second.finish()).toBe(true);
        expect(await b.deadLetters()).toEqual([]);
        await a.offer('work', 'sentinel', {});
        expect((await again.nth(2)).id).toBe('sentinel');
      });

      test('a lease that is extended stays with its holder (B5)', async () => {
        const [a, b] = await two();
        const holder = taking(a, 'work', 300);
        await a.offer('work', 'x', {});
        const item = await holder.nth(1);
        const other = taking(b, 'work', 300);
        const until = Date.now() + 1_200;
        let next = 0;
        await eventually('four leases long', async () => {
          if (Date.now() >= next) {
            next = Date.now() + 60;
            expect(await item.extend()).toBe(true);
          }
          return Date.now() >= until;
        });
        expect(other.items).toHaveLength(0);
        expect(await item.finish()).toBe(true);
        await a.offer('work', 'y', {});
        await eventually('the next item', () => holder.items.length + other.items.length === 2);
        expect([...holder.items, ...other.items].map(({ id }) => id).sort()).toEqual(['x', 'y']);
      });

      test('an item that is returned is offered again, after its delay at the earliest', async () => {
        const bus = await one();
        const { nth } = taking(bus, 'work');
        await bus.offer('work', 'x', { n: 1 });
        await (await nth(1)).return();
        const second = await nth(2);
        expect(second).toMatchObject({ id: 'x', delivery: 2, data: { n: 1 } });
        const returned = Date.now();
        await second.return(250);
        const third = await nth(3);
        expect(Date.now() - returned).toBeGreaterThanOrEqual(200);
        expect(third.delivery).toBe(3);
        expect(await third.finish()).toBe(true);
        expect(await second.finish()).toBe(false);
      });

      test('an item that is buried lies in the dead letters and is not offered again (B6)', async () => {
        const [a, b] = await two();
        const { nth, items } = taking(a, 'work.pdf');
        await a.offer('work.pdf', 'x', { page: 7 });
        await (await nth(1)).bury('the file is no PDF');
        await a.offer('work.pdf', 'x', { page: 7 });
        await a.offer('work.pdf', 'sentinel', {});
        expect((await nth(2)).id).toBe('sentinel');
        expect(items).toHaveLength(2);
        const letters = await b.deadLetters();
        expect(letters).toHaveLength(1);
        expect(letters[0]).toMatchObject({ source: 'work.pdf', reason: 'the file is no PDF' });
        expect(letters[0]!.body).toContain('"page":7');
      });

      test('an id that is offered again while it waits, is held or is finished changes nothing (B2)', async () => {
        const [a, b] = await two();
        await Promise.all([a.offer('work', 'x', { n: 1 }), b.offer('work', 'x', { n: 1 }), a.offer('work', 'x', { n: 1 })]);
        const { nth, items } = taking(b, 'work', 60_000, 5);
        const item = await nth(1);
        await a.offer('work', 'x', { n: 2 });
        expect(await item.finish()).toBe(true);
        await a.offer('work', 'x', { n: 3 });
        await b.offer('work', 'x', { n: 4 });
        await a.offer('work', 'sentinel', {});
        const last = await nth(2);
        expect(last.id).toBe('sentinel');
        expect(await last.finish()).toBe(true);
        expect(items).toHaveLength(2);
        expect(items[0]!.data).toEqual({ n: 1 });
      });

      test('queues do not mix, and the same id may stand in different ones', async () => {
        const bus = await one();
        await bus.offer('work.a', 'x', { q: 'a' });
        await bus.offer('work.b', 'x', { q: 'b' });
        await bus.offer('work', 'x', { q: 'work' });
        for (const [queue, q] of [
          ['work', 'work'],
          ['work.a', 'a'],
          ['work.b', 'b'],
        ] as const) {
          const item = await taking(bus, queue).nth(1);
          expect(item.data).toEqual({ q });
          expect(await item.finish()).toBe(true);
        }
      });

      test('a queue that is full pushes back until an item is finished', async () => {
        const bus = await one({ queueItems: 3 });
        for (const id of numbered(3)) await bus.offer('work', id, {});
        await expect(bus.offer('work', 'more', {})).rejects.toMatchObject({ code: 'BUS_QUEUE_FULL', retryable: true });
        await bus.offer('work', 'e1', {});
        await bus.offer('elsewhere', 'more', {});
        const { nth } = taking(bus, 'work');
        expect(await (await nth(1)).finish()).toBe(true);
        await eventually('room for one more', () =>
          bus.offer('work', 'more', {}).then(
            () => true,
            () => false,
          ),
        );
      });

      test('a taker holds as many items as it may and no more, and a slot is free again when its item is done', async () => {
        const bus = await one();
        const held = new Set<QueueItem>();
        let most = 0;
        let handed = 0;
        bus.take('work', { leaseMs: 60_000, concurrency: 2 }, (item) => {
          held.add(item);
          handed += 1;
          most = Math.max(most, held.size);
        });
        await Promise.all(numbered(8).map((id) => bus.offer('work', id, {})));
        const ends: ((item: QueueItem) => Promise<unknown>)[] = [
          (item) => item.finish(),
          (item) => item.bury('bad'),
          (item) => item.return(60_000),
          (item) => item.finish(),
        ];
        for (let done = 0; done < 8; done++) {
          await eventually('two are held, or the last one', () => held.size === Math.min(2, 8 - done));
          const [item] = held;
          held.delete(item!);
          await ends[done % 4]!(item!);
        }
        expect(most).toBe(2);
        expect(handed).toBe(8);
      });

      test('a taker that stopped is handed nothing more, and may finish what it holds', async () => {
        const [a, b] = await two();
        const first = taking(a, 'work', 60_000, 1);
        await a.offer('work', 'x', {});
        const item = await first.nth(1);
        first.stop();
        await a.offer('work', 'y', {});
        expect(await item.finish()).toBe(true);
        expect((await taking(b, 'work').nth(1)).id).toBe('y');
        expect(first.items).toHaveLength(1);
      });
    });

    describe('ask and announce', () => {
      /** A subscription may take a moment to reach whoever asks. */
      const answered = async (bus: Bus, subject: string, data: Record<string, unknown> = {}): Promise<Readonly<Record<string, unknown>>> => {
        let answer: Readonly<Record<string, unknown>> = {};
        await eventually(`an answerer of ${subject}`, async () => {
          try {
            answer = await bus.ask(subject, data, 5_000);
            return true;
          } catch (thrown) {
            if (thrown instanceof TroupeError && thrown.code === 'BUS_NO_ANSWERER') return false;
            throw thrown;
          }
        });
        return answer;
      };

      test('a question is answered, across connections and within one', async () => {
        const [a, b] = await two();
        a.answer('agents.info', async ({ who }) => ({ hello: who, list: [1, 2] }));
        expect(await answered(b, 'agents.info', { who: 'b' })).toEqual({ hello: 'b', list: [1, 2] });
        expect(await answered(a, 'agents.info', { who: 'a' })).toEqual({ hello: 'a', list: [1, 2] });
        const many = await Promise.all(numbered(50).map((who) => b.ask('agents.info', { who }, 10_000)));
        expect(many.map(({ hello }) => hello)).toEqual(numbered(50));
      });

      test('a question that nobody answers fails as such', async () => {
        const [a, b] = await two();
        await expect(b.ask('agents.info', {}, 5_000)).rejects.toMatchObject({ code: 'BUS_NO_ANSWERER' });
        const { stop } = a.answer('agents.info', async () => ({}));
        await answered(b, 'agents.info');
        stop();
        await eventually('nobody answers any more', () =>
          b.ask('agents.info', {}, 300).then(
            () => false,
            ({ code }: TroupeError) => code === 'BUS_NO_ANSWERER',
          ),
        );
      });

      test('a question has a deadline', async () => {
        const [a, b] = await two();
        let letGo = (_: Record<string, unknown>): void => {};
        a.answer('slow', ({ wait }) => (wait === true ? new Promise((resolve) => (letGo = resolve)) : Promise.resolve({})));
        await answered(b, 'slow');
        await expect(b.ask('slow', { wait: true }, 300)).rejects.toMatchObject({ code: 'BUS_TIMEOUT', retryable: true });
        letGo({});
        expect(await b.ask('slow', {}, 5_000)).toEqual({});
      });

      test('what an answerer throws crosses with its code', async () => {
        const [a, b] = await two();
        a.answer('fails', async ({ how }) => {
          if (how === 'bug') throw new Error('a bug');
          throw new TroupeError('RUN_UNKNOWN', 'no run is called r-9', { retryable: true, details: { run: 'r-9' } });
        });
        a.answer('ready', async () => ({}));
        await answered(b, 'ready');
        const failed = b.ask('fails', {}, 5_000);
        await expect(failed).rejects.toBeInstanceOf(TroupeError);
        await expect(failed).rejects.toMatchObject({ code: 'RUN_UNKNOWN', message: 'no run is called r-9', retryable: true, details: { run: 'r-9' } });
        await expect(b.ask('fails', { how: 'bug' }, 5_000)).rejects.toMatchObject({ code: 'INTERNAL_ERROR', message: 'a bug' });
      });

      test('of several answerers one answers each question', async () => {
        const [a, b] = await two();
        let calls = 0;
        for (const bus of [a, b]) {
          bus.answer('count', async ({ n }) => {
            calls += 1;
            return { n };
          });
        }
        await answered(a, 'count');
        const before = calls;
        expect(await Promise.all([1, 2, 3, 4, 5, 6].map(async (n) => (await b.ask('count', { n }, 10_000))['n']))).toEqual([1, 2, 3, 4, 5, 6]);
        expect(calls - before).toBe(6);
      });

      test('an event reaches everyone who watches its subject, the announcer too, in order', async () => {
        const [a, b] = await two();
        const seen: Record<string, string[]> = {};
        const watch = (bus: Bus, who: string, pattern: string) => bus.watch(pattern, (subject, { n }) => (seen[who] ??= []).push(`${subject} ${String(n)}`));
        watch(a, 'own', 'runs.>');
        watch(b, 'other', 'runs.>');
        watch(b, 'one', 'runs.r-1.step');
        watch(b, 'star', 'runs.*.step');
        await eventually('all watch', () => {
          a.announce('runs.r-1.step', { n: 'probe' });
          return ['own', 'other', 'one', 'star'].every((who) => seen[who] !== undefined);
        });
        for (let n = 0; n < 5; n++) {
          a.announce('runs.r-1.step', { n });
          a.announce('runs.r-2.step', { n });
          a.announce('runs.r-2.end', { n });
        }
        a.announce('runs.r-1.step', { n: 'end' });
        const ended = (who: string): boolean => seen[who]!.at(-1) === 'runs.r-1.step end';
        await eventually('all have seen the end', () => ['own', 'other', 'one', 'star'].every(ended));
        const heard = (who: string): string[] => seen[who]!.filter((event) => !/probe|end$/.test(event));
        const all = [0, 1, 2, 3, 4].flatMap((n) => [`runs.r-1.step ${n}`, `runs.r-2.step ${n}`, `runs.r-2.end ${n}`]);
        expect(heard('own')).toEqual(all);
        expect(heard('other')).toEqual(all);
        expect(heard('one')).toEqual(all.filter((event) => event.startsWith('runs.r-1.step')));
        expect(heard('star')).toEqual(all.filter((event) => event.includes('.step')));
      });

      test('who stopped watching sees nothing more', async () => {
        const bus = await one();
        let stopped = 0;
        let others = 0;
        const { stop } = bus.watch('runs.>', () => (stopped += 1));
        bus.watch('runs.>', () => (others += 1));
        await eventually('both watch', () => {
          bus.announce('runs.a', {});
          return stopped > 0 && others > 0;
        });
        stop();
        const [before, reached] = [stopped, others];
        bus.announce('runs.a', {});
        await eventually('the other has seen it', () => others > reached);
        expect(stopped).toBe(before);
      });
    });

    describe('the store', () => {
      test('a value that was put is there for everyone, under a revision that rises', async () => {
        const [a, b] = await two();
        expect(await a.get('lease.r-1')).toBeUndefined();
        const first = await a.put('lease.r-1', 'mine');
        expect(first).toBeGreaterThan(0);
        expect(await b.get('lease.r-1')).toEqual({ key: 'lease.r-1', value: 'mine', revision: first });
        const second = await b.put('lease.r-1', '');
        expect(second).toBeGreaterThan(first);
        expect(await a.get('lease.r-1')).toEqual({ key: 'lease.r-1', value: '', revision: second });
      });

      test('a lazy put is known at once, and durable with what is written after it', async () => {
        const [a, b] = await two();
        const first = await a.put('run.r-1', 'begun', { expect: 0, lazy: true });
        expect(await a.get('run.r-1')).toEqual({ key: 'run.r-1', value: 'begun', revision: first });
        await a.append('r-1.a', envelope('x'));
        expect(await b.get('run.r-1')).toEqual({ key: 'run.r-1', value: 'begun', revision: first });
        const second = await b.put('run.r-1', 'ended', { lazy: true });
        await b.durable();
        expect(await a.get('run.r-1')).toEqual({ key: 'run.r-1', value: 'ended', revision: second });
        await expect(a.put('run.r-1', 'begun', { expect: first, lazy: true })).rejects.toMatchObject({ code: 'BUS_CONFLICT' });
      });

      test('a put or delete that expects another revision fails and changes nothing', async () => {
        const [a, b] = await two();
        const first = await a.put('k', '1', { expect: 0 });
        await expect(b.put('k', '2', { expect: 0 })).rejects.toMatchObject({ code: 'BUS_CONFLICT' });
        await expect(b.put('none', '2', { expect: first })).rejects.toMatchObject({ code: 'BUS_CONFLICT' });
        const second = await b.put('k', '2', { expect: first });
        await expect(a.put('k', '3', { expect: first })).rejects.toMatchObject({ code: 'BUS_CONFLICT' });
        await expect(a.delete('k', { expect: first })).rejects.toMatchObject({ code: 'BUS_CONFLICT' });
        expect(await a.get('k')).toEqual({ key: 'k', value: '2', revision: second });
        await a.delete('k', { expect: second });
        expect(await b.get('k')).toBeUndefined();
      });

      test('of puts at once that expect the same revision exactly one goes through', async () => {
        const [a, b] = await two();
        for (let round = 0; round < 5; round++) {
          const expected = (await a.get('k'))?.revision ?? 0;
          const outcomes = await Promise.allSettled([a, b, a, b].map((bus, index) => bus.put('k', `${round}.${index}`, { expect: expected })));
          expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
          const winner = outcomes.findIndex(({ status }) => status === 'fulfilled');
          expect((await b.get('k'))?.value).toBe(`${round}.${winner}`);
        }
      });

      test('a deleted key is gone, may be created anew, and deleting what is not there is no error', async () => {
        const [a, b] = await two();
        await a.put('k', '1');
        await b.delete('k');
        await b.delete('k');
        await a.delete('never');
        expect(await a.get('k')).toBeUndefined();
        expect(await a.keys('')).toEqual([]);
        const again = await a.put('k', '2', { expect: 0 });
        expect(await b.get('k')).toEqual({ key: 'k', value: '2', revision: again });
      });

      test('keys are found by what they begin with, and may hold any characters', async () => {
        const [a, b] = await two();
        const keys = [
          'snapshot.r-1.supervisor',
          'snapshot.r-1.worker.reader.s2-1',
          'snapshot.r-12.supervisor',
          'lease/r-1',
          'with space',
          'ünï→cødé',
          'a..b',
          '.a',
          '*',
          '>',
          'A=b%20_',
        ];
        for (const key of keys) await a.put(key, `value of ${key}`);
        for (const key of keys) expect(await b.get(key)).toMatchObject({ key, value: `value of ${key}` });
        const found = async (prefix: string): Promise<string[]> => [...(await b.keys(prefix))].sort();
        expect(await found('')).toEqual([...keys].sort());
        expect(await found('snapshot.r-1.')).toEqual(keys.slice(0, 2));
        expect(await found('snapshot.r-1')).toEqual(keys.slice(0, 3));
        expect(await found('lease')).toEqual(['lease/r-1']);
        expect(await found('nothing')).toEqual([]);
      });

      test('a watcher is told what is there, then each change', async () => {
        const [a, b] = await two();
        const first = await a.put('presence.a', '1');
        const gone = await a.put('presence.gone', '1');
        await a.delete('presence.gone', { expect: gone });
        await a.put('other', '1');
        const told: StoreChange[] = [];
        const { stop } = b.watchStore('presence.', (change) => told.push(change));
        await eventually('what is there', () => told.length >= 1);
        expect(told).toEqual([{ key: 'presence.a', value: '1', revision: first }]);
        const second = await a.put('presence.b', '2');
        const third = await b.put('presence.a', '3');
        await a.put('other', '2');
        await a.delete('presence.b');
        await eventually('every change', () => told.length >= 4);
        expect(told.slice(1, 3)).toEqual([
          { key: 'presence.b', value: '2', revision: second },
          { key: 'presence.a', value: '3', revision: third },
        ]);
        expect(told[3]).toMatchObject({ key: 'presence.b' });
        expect(told[3]).not.toHaveProperty('value');
        expect(told[3]!.revision).toBeGreaterThan(third);
        stop();
        let others = 0;
        b.watchStore('presence.', () => (others += 1));
        await a.put('presence.c', '1');
        await eventually('the other watcher is told', () => others >= 2);
        expect(told).toHaveLength(4);
      });
    });

    describe('closing', () => {
      test('closing waits for what is under way, and a second time does nothing', async () => {
        const { open } = await world();
        const bus = await open();
        const appends = numbered(50).map((id) => bus.append('r-1.a', envelope(id)));
        const offered = bus.offer('work', 'x', {});
        const put = bus.put('k', 'v');
        await bus.close();
        await bus.close();
        await Promise.all([...appends, offered, put]);
        const other = await open();
        expect(await readAll(other, 'r-1.a')).toHaveLength(50);
        expect((await other.get('k'))?.value).toBe('v');
        expect((await taking(other, 'work').nth(1)).id).toBe('x');
      });

      test('every call after closing fails as such', async () => {
        const bus = await one();
        await bus.close();
        const calls: Record<string, () => unknown> = {
          append: () => bus.append('r-1.a', envelope('x')),
          read: () => readAll(bus, 'r-1.a'),
          follow: () => bus.follow('r-1.a', 0, () => {}),
          durable: () => bus.durable(),
          head: () => bus.head(),
          offer: () => bus.offer('work', 'x', {}),
          take: () => bus.take('work', { leaseMs: 1_000, concurrency: 1 }, () => {}),
          ask: () => bus.ask('subject', {}, 100),
          answer: () => bus.answer('subject', async () => ({})),
          announce: () => bus.announce('subject', {}),
          watch: () => bus.watch('subject', () => {}),
          get: () => bus.get('k'),
          put: () => bus.put('k', 'v'),
          delete: () => bus.delete('k'),
          keys: () => bus.keys(''),
          watchStore: () => bus.watchStore('', () => {}),
          bury: () => bus.bury({ source: 'a', reason: 'b', body: 'c' }),
          deadLetters: () => bus.deadLetters(),
        };
        for (const [call, make] of Object.entries(calls)) await expect(async () => make(), call).rejects.toMatchObject({ code: 'BUS_CLOSED' });
      });

      test('nothing is handed over after closing', async () => {
        const { open } = await world();
        const [a, b] = [await open(), await open()];
        const gone = following(a, 'r-1.>');
        const taken = taking(a, 'work');
        const stays = following(b, 'r-1.>');
        await Promise.all([gone.caughtUp, stays.caughtUp]);
        await a.close();
        await b.append('r-1.a', envelope('x'));
        await b.offer('work', 'x', {});
        await eventually('the entry at the one that stays', () => stays.seen.length === 1);
        expect((await taking(b, 'work').nth(1)).id).toBe('x');
        expect(gone.seen).toHaveLength(0);
        expect(taken.items).toHaveLength(0);
      });
    });
  });
};
