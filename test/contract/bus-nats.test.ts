/** The bus contract on a real server. */
import { randomUUID } from 'node:crypto';
import { connect } from 'nats';
import { afterAll, beforeAll } from 'vitest';
import { shardOf } from '../../src/bus/nats/batch.ts';
import { openNatsBus } from '../../src/bus/nats/bus.ts';
import { namesIn } from '../../src/bus/nats/names.ts';
import type { Bus } from '../../src/bus/port.ts';
import { startNatsServer, type NatsServer } from '../support/nats-server.ts';
import { busContract } from './bus-suite.ts';

let server: NatsServer;
beforeAll(async () => {
  server = await startNatsServer();
});
afterAll(() => server.dispose());

busContract('nats', async (limits) => {
  const namespace = `t-${randomUUID().slice(0, 8)}`;
  const open: Bus[] = [];
  return {
    open: async () => {
      const bus = await openNatsBus({ servers: server.url, namespace, ...(limits && { limits }) });
      open.push(bus);
      return bus;
    },
    injectGarbage: async (log, bytes) => {
      const nats = await connect({ servers: server.url });
      await nats.jetstream().publish(namesIn(namespace).shard(shardOf(log)), Buffer.concat([Buffer.from(`${log} `), bytes]));
      await nats.close();
    },
    interrupt: async () => {
      await server.kill9();
      await server.restart();
    },
    dispose: async () => {
      await Promise.all(open.map((bus) => bus.close()));
    },
  };
});
