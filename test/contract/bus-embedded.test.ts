/** The bus contract on a file, on memory, and what only a file that several processes share can get wrong. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openEmbeddedBus } from '../../src/bus/embedded/bus.ts';
import type { Bus, Entry } from '../../src/bus/port.ts';
import type { Envelope } from '../../src/protocols/envelope.ts';
import type { Address } from '../../src/protocols/ids.ts';
import { eventually } from '../support/eventually.ts';
import { busContract } from './bus-suite.ts';

const envelope = (id: string): Envelope => ({ id, type: 'timer.fired', v: 1, from: 'r-test.worker' as Address, time: 0, data: {} });

const newFolder = () => mkdtemp(join(tmpdir(), 'troupe-bus-'));

busContract('embedded, a file', async (limits) => {
  const folder = await newFolder();
  const path = join(folder, 'bus.db');
  const open: Bus[] = [];
  return {
    open: async () => {
      const bus = openEmbeddedBus({ path, ...(limits && { limits }) });
      open.push(bus);
      return bus;
    },
    injectGarbage: async (log, bytes) => {
      const db = new DatabaseSync(path, { timeout: 5_000 });
      db.prepare('INSERT INTO log (name) VALUES (?) ON CONFLICT DO NOTHING').run(log);
      db.prepare('INSERT INTO entry (log, id, at, envelope) SELECT number, ?, 0, ? FROM log WHERE name = ?').run(`garbage-${Math.random()}`, bytes, log);
      db.close();
    },
    interrupt: async () => {},
    dispose: async () => {
      await Promise.all(open.map((bus) => bus.close()));
      await rm(folder, { recursive: true, force: true });
    },
  };
});

const scratch = async (): Promise<string> => {
  const folder = await newFolder();
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return join(folder, 'bus.db');
};

const opened = (options: Parameters<typeof openEmbeddedBus>[0]): Bus => {
  const bus = openEmbeddedBus(options);
  onTestFinished(() => bus.close());
  return bus;
};

const entriesOf = async (bus: Bus, log: string): Promise<Entry[]> => {
  const entries: Entry[] = [];
  for await (const entry of bus.read(log)) entries.push(entry);
  return entries;
};

/** A process of its own that appends to a log, `count` entries or until it is killed, and says each one that is durable. */
const writer = (path: string, log: string, prefix: string, count: number) => {
  const child = spawn(process.execPath, [join(import.meta.dirname, '../support/embedded-writer.ts'), path, log, prefix, String(count)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const acknowledged: string[] = [];
  let rest = '';
  child.stdout.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop()!;
    acknowledged.push(...lines);
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  return { child, acknowledged, ended: once(child, 'close') };
};

const opener = () => {
  const child = spawn(process.execPath, [join(import.meta.dirname, '../support/embedded-opener.ts')], { stdio: ['pipe', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
};

describe('the embedded bus', () => {
  test('memory keeps what it was given, in order', async () => {
    const bus = opened({ path: ':memory:' });
    await Promise.all(['a', 'b', 'c'].map((id) => bus.append('r-m.worker', envelope(id))));
    expect((await entriesOf(bus, 'r-m.worker')).map(({ envelope: { id } }) => id)).toEqual(['a', 'b', 'c']);
  });

  test('two processes may open a new file at the same moment', async () => {
    const folder = dirname(await scratch());
    const openers = [1, 2].map(() => {
      const { stdin, stdout } = opener();
      const lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
      return { tell: (line: string) => stdin.write(`${line}\n`), heard: async () => (await lines.next()).value };
    });
    expect(await Promise.all(openers.map(({ heard }) => heard()))).toEqual(['ready', 'ready']);
    for (let round = 0; round < 40; round++) {
      const at = Date.now() + 5;
      for (const { tell } of openers) tell(`${join(folder, `${round}.db`)} ${at}`);
      expect(await Promise.all(openers.map(({ heard }) => heard()))).toEqual(['ok', 'ok']);
    }
  });

  test('what kill -9 leaves of a writer is everything that it was told is durable (B1)', async () => {
    const path = await scratch();
    const { child, acknowledged, ended } = writer(path, 'r-k.worker', 'k', 1_000_000);
    await eventually('two hundred appends are durable', () => acknowledged.length >= 200);
    child.kill('SIGKILL');
    await ended;
    const ids = (await entriesOf(opened({ path }), 'r-k.worker')).map(({ envelope: { id } }) => id);
    expect(ids.slice(0, acknowledged.length)).toEqual(acknowledged);
  });

  test('two processes that write into one log are one order for a third that follows (B3, B4)', async () => {
    const path = await scratch();
    const bus = opened({ path });
    const live: Entry[] = [];
    const { caughtUp } = bus.follow('r-t.>', 0, (entry) => live.push(entry));
    await caughtUp;
    const writers = [writer(path, 'r-t.worker', 'one', 300), writer(path, 'r-t.worker', 'two', 300)];
    for (let i = 0; i < 100; i++) await bus.append('r-t.worker', envelope(`own-${i}`));
    await Promise.all(writers.map(({ ended }) => ended));
    await eventually('all are there', () => live.length === 700);
    const read = await entriesOf(bus, 'r-t.worker');
    expect(live).toEqual(read);
    for (const prefix of ['one', 'two', 'own']) {
      const numbers = read
        .map(({ envelope: { id } }) => id.split('-'))
        .filter(([of]) => of === prefix)
        .map(([, number]) => Number(number));
      expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
    }
  });

  test('an entry of another process is handed over within a tenth of a second', async () => {
    const path = await scratch();
    const [here, there] = [opened({ path }), opened({ path })];
    const seen: number[] = [];
    here.follow('r-l.worker', 0, () => seen.push(performance.now()));
    const said: number[] = [];
    for (let i = 0; i < 5; i++) {
      said.push(performance.now());
      await there.append('r-l.worker', envelope(`l${i}`));
      await eventually('it is seen', () => seen.length > i);
    }
    const delays = seen.map((at, index) => at - said[index]!).toSorted((a, b) => a - b);
    expect(delays[0]).toBeLessThan(100);
  });

  test('a cascade of appends is one commit: followers hear before it, and durable() waits for it', async () => {
    const bus = opened({ path: await scratch() });
    const order: string[] = [];
    bus.follow('r-c.>', 0, ({ log }) => {
      order.push(log);
      const hop = Number(log.split('.')[1]);
      if (hop < 5) void bus.append(`r-c.${hop + 1}`, envelope(`hop-${hop + 1}`)).then(() => order.push(`durable ${hop + 1}`));
    });
    void bus.append('r-c.0', envelope('hop-0')).then(() => order.push('durable 0'));
    await new Promise<void>((resolve) => setImmediate(resolve));
    await bus.durable();
    expect(order.slice(0, 6)).toEqual(['r-c.0', 'r-c.1', 'r-c.2', 'r-c.3', 'r-c.4', 'r-c.5']);
    expect(order.slice(6).toSorted()).toEqual(['durable 0', 'durable 1', 'durable 2', 'durable 3', 'durable 4', 'durable 5']);
  });

  test('a write that the disk refuses ends the bus: nothing after it seems to work', async () => {
    const path = await scratch();
    const bus = opened({ path });
    await bus.append('r-d.worker', envelope('before'));
    // Another connection fills the file up to a bound that this one then meets.
    const other = new DatabaseSync(path);
    other.exec('DROP TABLE entry');
    other.close();
    await expect(bus.append('r-d.worker', envelope('after'))).rejects.toMatchObject({ code: 'BUS_UNAVAILABLE' });
    await expect(bus.durable()).rejects.toMatchObject({ code: 'BUS_UNAVAILABLE' });
    await expect(bus.get('anything')).rejects.toMatchObject({ code: 'BUS_UNAVAILABLE' });
  });

  test('a log that was emptied begins anew, also for a process that knew it before', async () => {
    const path = await scratch();
    const [one, other] = [openEmbeddedBus({ path }), openEmbeddedBus({ path })];
    onTestFinished(async () => void (await Promise.all([one.close(), other.close()])));
    const last = await one.append('r-1.a', envelope('x'));
    await other.append('r-1.a', envelope('y'));
    await one.cut('r-1.a', (await one.head()) + 1);
    await other.append('r-2.a', envelope('z'));
    expect(await one.append('r-1.a', envelope('x'))).toBeGreaterThan(last);
    const seen: string[] = [];
    for await (const { log, envelope: said } of other.read('>')) seen.push(`${log} ${said.id}`);
    expect(seen).toEqual(['r-2.a z', 'r-1.a x']);
  });

  test('a follower that is stopped by another one is not handed the entry that both were to get', async () => {
    const bus = opened({ path: await scratch() });
    const seen: string[] = [];
    bus.follow('r-1.a', 0, () => {
      seen.push('first');
      second.stop();
    });
    const second = bus.follow('r-1.a', 0, () => seen.push('second'));
    await bus.append('r-1.a', envelope('x'));
    expect(seen).toEqual(['first']);
  });

  test('no position is given twice, however often everything is cut away and the file is opened again (B3)', async () => {
    const path = await scratch();
    let last = 0;
    for (const id of ['x', 'y', 'z']) {
      const bus = openEmbeddedBus({ path });
      const position = await bus.append('r-1.a', envelope(id));
      expect(position).toBeGreaterThan(last);
      last = position;
      await bus.cut('r-1.a', last + 1);
      expect(await entriesOf(bus, '>')).toEqual([]);
      expect(await bus.head()).toBe(last);
      await bus.close();
    }
    const db = new DatabaseSync(path);
    expect(db.prepare('SELECT count(*) AS rows FROM entry').get()).toEqual({ rows: 1 });
    db.close();
  });

  test.each([
    ['a file of another format is refused by name', 'CREATE TABLE log (name); PRAGMA user_version = 99', /written in format 99, expected 4/],
    ['a database of something else is refused', 'CREATE TABLE mine (name)', /a database of something else, and was left as it is/],
  ])('%s, left as it is, and not locked', async (_, sql, why) => {
    const path = await scratch();
    const maker = new DatabaseSync(path);
    maker.exec(sql);
    maker.close();
    const before = await readFile(path);
    expect(() => openEmbeddedBus({ path })).toThrow(why);
    expect(await readFile(path)).toEqual(before);
    const owner = new DatabaseSync(path, { timeout: 0 });
    onTestFinished(() => owner.close());
    expect(() => owner.exec('CREATE TABLE another (name)')).not.toThrow();
  });

  test('a path that is no file is a clear error', () => {
    expect(() => openEmbeddedBus({ path: '/dev/null/bus.db' })).toThrow(/embedded:\/dev\/null\/bus.db cannot be opened/);
  });
});
