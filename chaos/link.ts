/** The network between one process and the server: late, slow, or cut. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export type Link = {
  readonly url: string;
  /** How long everything takes, each way. */
  setDelay(ms: number): void;
  /** Cuts every connection, and refuses new ones until it is mended. */
  cut(): void;
  mend(): void;
  close(): Promise<void>;
};

export const openLink = async (port: number): Promise<Link> => {
  const sockets = new Set<Socket>();
  let delayMs = 0;
  let isCut = false;
  /** In order, however the delay changes and however late its timers are. */
  const carry = (from: Socket, to: Socket): void => {
    const waiting: { readonly chunk: Buffer; readonly due: number }[] = [];
    const pass = (): void => {
      for (let next = waiting[0]; next && next.due <= Date.now(); next = waiting[0]) {
        waiting.shift();
        if (!to.destroyed) to.write(next.chunk);
      }
      if (waiting[0]) setTimeout(pass, Math.max(1, waiting[0].due - Date.now()));
    };
    from.on('data', (chunk: Buffer) => {
      waiting.push({ chunk, due: Math.max(waiting.at(-1)?.due ?? 0, Date.now() + delayMs) });
      if (waiting.length === 1) pass();
    });
  };
  const listener = createServer((client) => {
    if (isCut) return void client.destroy();
    const server = connect(port, '127.0.0.1');
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        server.destroy();
      });
    }
    carry(client, server);
    carry(server, client);
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const cutAll = (): void => sockets.forEach((socket) => socket.destroy());
  return {
    url: `nats://127.0.0.1:${(listener.address() as AddressInfo).port}`,
    setDelay: (ms) => void (delayMs = ms),
    cut: () => {
      isCut = true;
      cutAll();
    },
    mend: () => void (isCut = false),
    close: async () => {
      cutAll();
      listener.close();
      await once(listener, 'close');
    },
  };
};
