/** What the contract cannot ask of every bus: a server that dies, sleeps, is too old or is not there, and a link that fails half-way. */
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { connect } from 'nats';
import { expect, onTestFinished, test } from 'vitest';
import { openNatsBus, type NatsBusOptions } from '../../src/bus/nats/bus.ts';
import { namesIn } from '../../src/bus/nats/names.ts';
import type { Bus, Entry, Position, QueueItem, StoreChange } from '../../src/bus/port.ts';
import type { Envelope } from '../../src/protocols/envelope.ts';
import { TroupeError } from '../../src/protocols/failure.ts';
import type { Address } from '../../src/protocols/ids.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { fence, listHosts, Presence } from '../../src/runtime/presence.ts';
import { eventually } from '../support/eventually.ts';
import { faultyLinkTo, type FaultyLink } from '../support/faulty-link.ts';
import { startNatsServer, type NatsServer, type NatsServerOptions } from '../support/nats-server.ts';

const envelope = (id: string): Envelope => ({ id, type: 'timer.fired', v: 1, from: 'r-test.worker' as Address, time: 0, data: {} });

const started = async (options?: NatsServerOptions): Promise<NatsServer> => {
  const server = await startNatsServer(options);
  onTestFinished(() => server.dispose());
  return server;
};

const opened = async (options: NatsBusOptions): Promise<Bus> => {
  const bus = await openNatsBus(options);
  onTestFinished(() => bus.close());
  return bus;
};

const linked = async (server: NatsServer): Promise<FaultyLink> => {
  const link = await faultyLinkTo(server.port);
  onTestFinished(() => link.close());
  return link;
};

const readAll = async (bus: Bus, pattern: string): Promise<Entry[]> => {
  const entries: Entry[] = [];
  for await (const entry of bus.read(pattern)) entries.push(entry);
  return entries;
};

/** Says that it is a server, and nothing else. */
const pretended = async (info: Record<string, unknown>): Promise<string> => {
  const listener = createServer((socket) => {
    socket.on('error', () => {});
    socket.write(
      `INFO ${JSON.stringify({ server_id: 'X', proto: 1, headers: true, max_payload: 2_097_152, jetstream: true, version: '2.10.27', ...info })}\r\n`,
    );
    socket.on('data', (chunk) => {
      if (chunk.includes('PING')) socket.write('PONG\r\n');
    });
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  onTestFinished(() => void listener.close());
  return `nats://127.0.0.1:${(listener.address() as AddressInfo).port}`;
};

test('without a server it fails at once, and says where it looked and what to do', async () => {
  const opening = openNatsBus({ servers: 'nats://127.0.0.1:1' });
  await expect(opening).rejects.toMatchObject({ code: 'BUS_UNREACHABLE' });
  await expect(opening).rejects.toThrow(/nats:\/\/127\.0\.0\.1:1.*nats-server -c nats\.conf/);
});

test('a server that cannot carry the bus is refused by name', async () => {
  await expect(openNatsBus({ servers: await pretended({ version: '2.8.4' }) })).rejects.toMatchObject({
    code: 'BUS_SERVER_TOO_OLD',
    message: expect.stringContaining('2.8.4') as string,
  });
  await expect(openNatsBus({ servers: await pretended({ max_payload: 65_536 }) })).rejects.toMatchObject({
    code: 'BUS_SERVER_TOO_SMALL',
    message: expect.stringContaining('65536') as string,
  });
  await expect(openNatsBus({ servers: await pretended({ jetstream: false }) })).rejects.toMatchObject({ code: 'BUS_NO_JETSTREAM' });
  await expect(openNatsBus({ servers: 'nats://127.0.0.1:1', namespace: 'a.b' })).rejects.toMatchObject({ code: 'BUS_NAME_INVALID' });
});

test('namespaces on one server know nothing of each other', async () => {
  const { url } = await started();
  const [a, b] = [await opened({ servers: url, namespace: 'one' }), await opened({ servers: url, namespace: 'two' })];
  await a.append('r-1.a', envelope('x'));
  await a.offer('work', 'x', {});
  await a.put('k', 'v');
  await a.bury({ source: 'r-1.a', reason: 'test', body: '' });
  expect(await readAll(b, '>')).toEqual([]);
  expect(await b.keys('')).toEqual([]);
  expect(await b.deadLetters()).toEqual([]);
  expect(await readAll(a, '>')).toHaveLength(1);
});

test('every connected process answers discovery with its name', async () => {
  const { url } = await started();
  for (const name of ['writer-1', 'writer-2']) await opened({ servers: url, name, namespace: 'found' });
  const nats = await connect({ servers: url });
  onTestFinished(() => nats.close());
  const answers: unknown[] = [];
  for await (const { metadata } of await nats.services.client().info('troupe')) answers.push(metadata);
  expect(answers).toHaveLength(2);
  expect(answers).toEqual(expect.arrayContaining(['writer-1', 'writer-2'].map((process) => ({ process, namespace: 'found' }))));
});

test('a process on show says what it is and what it does, until it stops', async () => {
  const { url } = await started();
  const bus = await opened({ servers: url, name: 'agent-1', namespace: 'shown' });
  let actors = 3;
  const shown = bus.present({ host: 'h-1', team: 'brief', plays: 'lead writer' }, () => ({ actors, inFlight: 1 }));
  const nats = await connect({ servers: url });
  onTestFinished(() => nats.close());
  const client = nats.services.client();
  const all = async <T>(answers: Promise<AsyncIterable<T>>): Promise<T[]> => {
    const found: T[] = [];
    try {
      for await (const answer of await answers) found.push(answer);
    } catch (thrown) {
      if (!String(thrown).includes('503')) throw thrown; // nobody is there to answer
    }
    return found;
  };
  await eventually('it is on show', async () => (await all(client.info('troupe-host')))[0]?.endpoints?.length === 1);
  expect((await all(client.info('troupe-host')))[0]).toMatchObject({ metadata: { process: 'agent-1', host: 'h-1', team: 'brief', plays: 'lead writer' } });
  expect((await all(client.stats('troupe-host')))[0]!.endpoints![0]).toMatchObject({ data: { actors: 3, inFlight: 1 } });
  actors = 4;
  expect(JSON.parse((await nats.request('shown.host.h-1.stats')).string())).toEqual({ actors: 4, inFlight: 1 });
  shown.stop();
  await eventually('it is no longer', async () => (await all(client.info('troupe-host'))).length === 0);
});

test('what was acknowledged is there once and in order, however often the server is killed (B1, B2, B4)', async () => {
  const server = await started();
  const [a, b] = [await opened({ servers: server.url }), await opened({ servers: server.url })];
  const seen: Entry[] = [];
  await b.follow('>', 0, (entry) => seen.push(entry)).caughtUp;
  const acknowledged = new Map<string, Position>();
  const total = 6_000;
  let next = 0;
  const writers = Array.from({ length: 60 }, async (_, writer) => {
    while (next < total) {
      const id = `e${next++}`;
      acknowledged.set(id, await (writer % 2 ? a : b).append(`r-${Number(id.slice(1)) % 7}.worker`, envelope(id)));
    }
  });
  for (const share of [0.2, 0.4, 0.6]) {
    await eventually(`${share} of the appends`, () => acknowledged.size >= total * share);
    await server.kill9();
    await server.restart();
  }
  await Promise.all(writers);
  const entries = await readAll(a, '>');
  expect(new Map(entries.map(({ envelope: { id }, position }) => [id, position]))).toEqual(acknowledged);
  expect(entries).toHaveLength(total);
  await eventually('the follower has seen them', () => seen.length >= total);
  expect(seen).toEqual(entries);
});

test('an append whose answer is lost on the way happens once (B2)', async () => {
  const server = await started();
  const link = await linked(server);
  const cutOff = await opened({ servers: link.url, requestMs: 400 });
  const watcher = await opened({ servers: server.url });
  const first = await cutOff.append('r-1.a', envelope('before'));
  const seen: string[] = [];
  await watcher.follow('r-1.>', first, ({ envelope: { id } }) => seen.push(id)).caughtUp;
  link.deafen();
  const ids = ['x', 'y', 'z'];
  const appends = ids.map((id) => cutOff.append('r-1.a', envelope(id)));
  const offers = ids.map((id) => cutOff.offer('work', id, {}));
  const puts = cutOff.put('k', 'mine', { expect: 0 });
  await eventually('they have happened', () => seen.length === 3);
  await eventually('so has the put', async () => (await watcher.get('k')) !== undefined);
  // Another one writes on meanwhile, and says one of them as well.
  const again = await watcher.append('r-1.a', envelope('y'));
  await watcher.append('r-1.a', envelope('after'));
  link.cut();
  const positions = await Promise.all(appends);
  await Promise.all(offers);
  expect(await puts).toBe((await watcher.get('k'))!.revision);
  expect(positions[1]).toBe(again);
  const entries = await readAll(watcher, 'r-1.a');
  expect(entries.map(({ envelope: { id } }) => id)).toEqual(['before', 'x', 'y', 'z', 'after']);
  expect(positions).toEqual(entries.slice(1, 4).map(({ position }) => position));
});

test('while the server sleeps an append fails at its deadline, and can be made again afterwards (B2)', async () => {
  const server = await started();
  const bus = await opened({ servers: server.url, deadlineMs: 1_000, requestMs: 300 });
  await bus.append('r-1.a', envelope('before'));
  await server.pause();
  const outcomes = await Promise.allSettled([
    bus.append('r-1.a', envelope('x')),
    bus.append('r-2.a', envelope('x')),
    bus.put('k', 'v'),
    bus.offer('work', 'x', {}),
  ]);
  for (const outcome of outcomes) expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'BUS_UNAVAILABLE', retryable: true } });
  server.resume();
  const retried = async (): Promise<Position> => {
    try {
      return await bus.append('r-1.a', envelope('x'));
    } catch (thrown) {
      if (thrown instanceof TroupeError && thrown.retryable) return retried();
      throw thrown;
    }
  };
  const position = await retried();
  const entries = await readAll(bus, 'r-1.a');
  expect(entries.map(({ envelope: { id } }) => id)).toEqual(['before', 'x']);
  expect(entries[1]!.position).toBe(position);
});

test('a follower that is told nothing any more begins again where it was (B4)', async () => {
  const server = await started();
  const link = await linked(server);
  const [deaf, writer] = [await opened({ servers: link.url }), await opened({ servers: server.url })];
  const seen: string[] = [];
  await deaf.follow('>', 0, ({ envelope: { id } }) => seen.push(id)).caughtUp;
  link.deafen();
  const ids = Array.from({ length: 500 }, (_, index) => `e${index}`);
  await Promise.all(ids.map((id) => writer.append('r-1.a', envelope(id))));
  link.cut();
  await eventually('what it missed', () => seen.length >= 500);
  expect(seen).toEqual(ids);
});

test('a consumer that the server forgot is replaced (B4)', async () => {
  const { url } = await started();
  const bus = await opened({ servers: url, namespace: 'forgetful' });
  const seen: string[] = [];
  await bus.follow('>', 0, ({ envelope: { id } }) => seen.push(id)).caughtUp;
  await bus.append('r-1.a', envelope('x'));
  await eventually('the first', () => seen.length === 1);
  const nats = await connect({ servers: url });
  onTestFinished(() => nats.close());
  const manager = await nats.jetstreamManager();
  for await (const { name } of manager.consumers.list('FORGETFUL_LOG')) await manager.consumers.delete('FORGETFUL_LOG', name);
  await bus.append('r-1.a', envelope('y'));
  await eventually('the second', () => seen.length === 2);
  expect(seen).toEqual(['x', 'y']);
});

test('of two that write into one log without a pause both come through (B2, B3)', async () => {
  const { url } = await started();
  const buses = [await opened({ servers: url }), await opened({ servers: url })];
  const ids = Array.from({ length: 3_000 }, (_, index) => `e${index}`);
  const given = await Promise.all(
    buses.map(async (bus, index) => {
      const positions = new Map<string, Position>();
      const own = [...ids.map((id) => `${index}-${id}`), ...ids];
      let next = 0;
      const append = async (): Promise<void> => {
        for (let id = own[next++]; id !== undefined; id = own[next++]) positions.set(id, await bus.append('r-1.account', envelope(id)));
      };
      await Promise.all(Array.from({ length: 20 }, append));
      return positions;
    }),
  );
  const entries = await readAll(buses[0]!, '>');
  expect(entries).toHaveLength(9_000);
  expect(new Map(entries.map(({ envelope: { id }, position }) => [id, position]))).toEqual(new Map(given.flatMap((positions) => [...positions])));
});

test('ids that were forgotten to make room are read again (B2)', async () => {
  const { url } = await started();
  const bus = await opened({ servers: url, limits: { knownIds: 50, entriesPerLog: 30 } });
  const log = (index: number): string => `r-${index % 10}.worker`;
  const append = (index: number): Promise<Position> => bus.append(log(index), envelope(`e${index}`));
  const indices = Array.from({ length: 300 }, (_, index) => index);
  const positions: Position[] = [];
  for (const index of indices) positions.push(await append(index));
  expect(await Promise.all(indices.map(append))).toEqual(positions);
  expect(await readAll(bus, '>')).toHaveLength(300);
  await expect(bus.append(log(0), envelope('more'))).rejects.toMatchObject({ code: 'BUS_LOG_FULL' });
});

/** Messages in the stream that holds the store. */
const stored = async (url: string, namespace: string): Promise<number> => {
  const nats = await connect({ servers: url });
  try {
    return (await (await nats.jetstreamManager()).streams.info(namesIn(namespace).storeStream)).state.messages;
  } finally {
    await nats.close();
  }
};

test('keys that were deleted leave nothing behind, whoever deleted them', async () => {
  const { url } = await started();
  const open = (tombstoneMs: number): Promise<Bus> => opened({ servers: url, namespace: 'tidy', tombstoneMs });
  const [tidy, leaving] = [await open(0), await open(60_000)];
  const change = (keys: readonly string[], each: (key: string) => Promise<unknown>): Promise<unknown> => Promise.all(keys.map(each));
  const keys = Array.from({ length: 5_000 }, (_, index) => `lease.r-${index}.worker`);
  await tidy.put('run.r-1', 'stays');
  await change(keys, (key) => tidy.put(key, 'h-1'));
  await change(keys, (key) => tidy.delete(key));
  await eventually('its own are gone', async () => {
    await tidy.put('lease.again', 'h-1');
    await tidy.delete('lease.again');
    return (await stored(url, 'tidy')) <= 2; // with the tombstone of this one
  });
  await change(keys.slice(0, 100), (key) => leaving.put(key, 'h-2'));
  await change(keys.slice(0, 100), (key) => leaving.delete(key));
  await leaving.close();
  expect(await tidy.keys('')).toEqual(['run.r-1']);
  await eventually('those of another one are gone', async () => {
    await tidy.put('lease.again', 'h-1');
    await tidy.delete('lease.again');
    return (await stored(url, 'tidy')) <= 2;
  });
  expect(await tidy.keys('')).toEqual(['run.r-1']);
});

test('a list of keys brings no values, and no keys of another kind', async () => {
  const server = await started();
  const link = await linked(server);
  const [a, b] = [await opened({ servers: server.url }), await opened({ servers: link.url })];
  await Promise.all(Array.from({ length: 50 }, (_, index) => a.put(`snapshot.r-${index % 5}.worker.s${index}`, 'x'.repeat(50_000))));
  await Promise.all(Array.from({ length: 500 }, (_, index) => a.put(`lease.r-${index}`, 'h-1')));
  const before = link.heardBytes();
  expect(await b.keys('snapshot.r-3.')).toHaveLength(10);
  expect(link.heardBytes() - before).toBeLessThan(10_000);
});

test.each([
  ['still has its tombstone', 60_000],
  ['has left nothing behind', 0],
])('a watcher that was cut off is told of a key that was deleted meanwhile and %s', async (_, tombstoneMs) => {
  const server = await started();
  const link = await linked(server);
  const [cutOff, other] = [await opened({ servers: link.url, requestMs: 400 }), await opened({ servers: server.url, namespace: 'troupe', tombstoneMs })];
  for (const key of ['lease.a', 'lease.b', 'lease.c']) await other.put(key, 'h-1');
  const told: StoreChange[] = [];
  cutOff.watchStore('lease.', (change) => told.push(change));
  await eventually('what is there', () => told.length === 3);
  link.deafen();
  await other.delete('lease.a');
  await other.delete('lease.b');
  const revision = await other.put('lease.b', 'h-2');
  if (tombstoneMs === 0) {
    await eventually('the tombstone is gone', async () => {
      await other.put('x', '');
      await other.delete('x');
      return (await stored(server.url, 'troupe')) <= 3; // lease.b, lease.c and the last tombstone of x
    });
  }
  link.cut();
  await eventually('both changes', () => told.length >= 5);
  expect(told.slice(3).toSorted((a, b) => (a.key < b.key ? -1 : 1))).toEqual([
    { key: 'lease.a', revision: expect.any(Number) as number },
    { key: 'lease.b', value: 'h-2', revision },
  ]);
  await other.put('lease.c', 'h-3');
  await eventually('what comes then', () => told.at(-1)?.key === 'lease.c');
  expect(told).toHaveLength(6);
});

/** Three servers that are one: each knows the routes to the others. */
const startedCluster = async (): Promise<readonly NatsServer[]> => {
  const ports = await freePorts(3);
  const routes = ports.map((port) => `nats://127.0.0.1:${port}`).join(', ');
  return Promise.all(
    ports.map((port, index) => started({ config: `server_name: n${index}\ncluster { name: c, listen: "127.0.0.1:${port}", routes: [${routes}] }` })),
  );
};

const freePorts = async (count: number): Promise<readonly number[]> => {
  const listeners = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(listeners.map((listener) => once(listener, 'listening')));
  const ports = listeners.map((listener) => (listener.address() as AddressInfo).port);
  await Promise.all(listeners.map((listener) => once(listener.close(), 'close')));
  return ports;
};

test('a cluster whose leader is killed has lost nothing of what was acknowledged, and goes on (B1, B2, B3, B4)', { timeout: 120_000 }, async () => {
  const servers = await startedCluster();
  const urls = servers.map(({ url }) => url).join(',');
  const [writer, reader] = [await opened({ servers: urls, replicas: 3 }), await opened({ servers: urls, replicas: 3 })];
  const seen: Entry[] = [];
  await reader.follow('>', 0, (entry) => seen.push(entry)).caughtUp;
  const changes: StoreChange[] = [];
  reader.watchStore('lease.', (change) => changes.push(change));
  const total = 2_000;
  const acknowledged = new Map<string, Position>();
  let next = 0;
  const appending = Array.from({ length: 40 }, async () => {
    while (next < total) {
      const id = `e${next++}`;
      acknowledged.set(id, await writer.append(`r-${Number(id.slice(1)) % 5}.worker`, envelope(id)));
    }
  });
  const revision = await writer.put('lease.r-1', 'h-1');
  await eventually('half of the appends', () => acknowledged.size >= total / 2);
  const nats = await connect({ servers: urls.split(',') });
  const { cluster } = await (await nats.jetstreamManager()).streams.info('TROUPE_LOG');
  await nats.close();
  const leader = servers[Number(cluster!.leader!.slice(1))]!;
  await leader.kill9();
  await Promise.all(appending);
  expect(acknowledged.size).toBe(total);
  await writer.put('lease.r-1', 'h-2', { expect: revision });
  await leader.restart();
  const entries = await readAll(writer, '>');
  expect(new Map(entries.map(({ envelope: { id }, position }) => [id, position]))).toEqual(acknowledged);
  expect(entries).toHaveLength(total);
  await eventually('the follower has seen them', () => seen.length >= total);
  expect(seen).toEqual(entries);
  await eventually('the watcher as well', () => changes.length >= 2);
  expect(changes.map(({ value }) => value)).toEqual(['h-1', 'h-2']);
});

test('a stream that is full says so, keeps what it has, and takes more when there is room (B1, B2)', async () => {
  const { url } = await started();
  const nats = await connect({ servers: url });
  onTestFinished(() => nats.close());
  const [bus, other] = [await opened({ servers: url }), await opened({ servers: url })];
  const { streams } = await nats.jetstreamManager();
  const seen: string[] = [];
  await other.follow('>', 0, ({ envelope: { id } }) => seen.push(id)).caughtUp;
  await bus.append('r-1.a', envelope('first'));
  const { config } = await streams.info('TROUPE_LOG');
  await streams.update('TROUPE_LOG', { ...config, max_bytes: 20_000 });
  const taken: string[] = ['first'];
  const fill = async (): Promise<void> => {
    for (let index = 0; ; index++) {
      await bus.append('r-1.a', { ...envelope(`e${index}`), data: { text: 'x'.repeat(1_000) } });
      taken.push(`e${index}`);
    }
  };
  await expect(fill()).rejects.toMatchObject({
    code: 'BUS_UNAVAILABLE',
    retryable: true,
    message: expect.stringMatching(/refused: maximum bytes exceeded: make room/) as string,
  });
  const refused = { ...envelope(`e${taken.length - 1}`), data: { text: 'x'.repeat(1_000) } };
  await expect(bus.append('r-2.a', refused)).rejects.toMatchObject({ code: 'BUS_UNAVAILABLE' });
  // What it knows is still answered.
  await expect(bus.append('r-1.a', envelope('first'))).resolves.toBeGreaterThan(0);
  await streams.update('TROUPE_LOG', { ...config, max_bytes: -1 });
  await bus.append('r-1.a', refused);
  taken.push(refused.id);
  expect((await readAll(other, '>')).map(({ envelope: { id } }) => id)).toEqual(taken);
  await eventually('the follower has seen them', () => seen.length >= taken.length);
  expect(seen).toEqual(taken);
});

test('a server that stands still for seconds does all that was asked meanwhile, once (B2, B4)', async () => {
  const server = await started();
  const bus = await opened({ servers: server.url, requestMs: 1_000 });
  const seen: string[] = [];
  await bus.follow('>', 0, ({ envelope: { id } }) => seen.push(id)).caughtUp;
  await bus.append('r-1.a', envelope('before'));
  const revision = await bus.put('k', '1');
  await server.pause();
  const ids = Array.from({ length: 50 }, (_, index) => `e${index}`);
  const appends = ids.map((id) => bus.append('r-1.a', envelope(id)));
  const put = bus.put('k', '2', { expect: revision });
  const offer = bus.offer('work', 'x', {});
  await expect(bus.ask('nobody', {}, 3_000)).rejects.toMatchObject({ code: 'BUS_TIMEOUT' });
  server.resume();
  const positions = await Promise.all(appends);
  await offer;
  expect(await bus.get('k')).toEqual({ key: 'k', value: '2', revision: await put });
  const entries = await readAll(bus, 'r-1.a');
  expect(entries.map(({ envelope: { id } }) => id)).toEqual(['before', ...ids]);
  expect(entries.slice(1).map(({ position }) => position)).toEqual(positions);
  await eventually('the follower has seen them', () => seen.length >= entries.length);
  expect(seen).toEqual(['before', ...ids]);
});

test('who is cut off for longer than a lease has lost what it held, and all that it asked meanwhile happens once (B2, B4, B5)', async () => {
  const server = await started();
  const link = await linked(server);
  const [cutOff, other] = [await opened({ servers: link.url, requestMs: 500 }), await opened({ servers: server.url })];
  const presence = await Presence.open({ bus: cutOff, clock: systemClock, id: 'h-cut-off', leaseMs: 300 });
  onTestFinished(() => presence.close());
  const seen: string[] = [];
  await cutOff.follow('>', 0, ({ envelope: { id } }) => seen.push(id)).caughtUp;
  const [held, again] = [Promise.withResolvers<QueueItem>(), Promise.withResolvers<QueueItem>()];
  cutOff.take('work', { leaseMs: 300, concurrency: 1 }, held.resolve);
  await other.offer('work', 'x', {});
  const lost = await held.promise;
  link.sever();
  const append = cutOff.append('r-1.a', envelope('late'));
  other.take('work', { leaseMs: 60_000, concurrency: 1 }, again.resolve);
  const item = await again.promise;
  await eventually('it is fenced', async () => {
    const [host] = await listHosts(other, Date.now());
    return host === undefined || (!presence.holds() && fence(other, host));
  });
  await other.append('r-1.a', envelope('meanwhile'));
  expect(seen).toEqual([]);
  link.mend();
  await append;
  expect(await presence.confirm()).toBe(false);
  expect(presence.fenced).toBe(true);
  expect(await lost.finish()).toBe(false);
  expect(await item.finish()).toBe(true);
  await eventually('what it missed', () => seen.length >= 2);
  expect(seen).toEqual(['meanwhile', 'late']);
});
