/** A TCP link to a server that can be made slow, deaf or cut: what a network does to a client whose requests may well arrive. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export type FaultyLink = {
  readonly url: string;
  /** From now on nothing that the server says arrives; what is said to it does. */
  deafen(): void;
  /** As `deafen`, from when the server has said this. */
  deafenAfter(said: string): void;
  /** What the server has said so far. */
  heardBytes(): number;
  /** How long everything takes from now on, each way. */
  setDelay(ms: number): void;
  /** Cuts every connection; new ones hear again. */
  cut(): void;
  /** Cuts every connection and takes no new one, until `mend`. */
  sever(): void;
  mend(): void;
  close(): Promise<void>;
};

export const faultyLinkTo = async (port: number): Promise<FaultyLink> => {
  const sockets = new Set<Socket>();
  let isDeaf = false;
  let lastHeard: string | undefined;
  let isSevered = false;
  let heard = 0;
  let delayMs = 0;
  /** In order, however the delay changes and however late its timers are. */
  const carry = (from: Socket, take: (chunk: Buffer) => void): void => {
    const waiting: { readonly chunk: Buffer; readonly due: number }[] = [];
    const pass = (): void => {
      for (let next = waiting[0]; next && next.due <= Date.now(); next = waiting[0]) {
        waiting.shift();
        take(next.chunk);
      }
      if (waiting[0]) setTimeout(pass, Math.max(1, waiting[0].due - Date.now()));
    };
    from.on('data', (chunk: Buffer) => {
      waiting.push({ chunk, due: Math.max(waiting.at(-1)?.due ?? 0, Date.now() + delayMs) });
      if (waiting.length === 1) pass();
    });
  };
  const listener = createServer((client) => {
    if (isSevered) return void client.destroy();
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
    carry(client, (chunk) => void (server.destroyed || server.write(chunk)));
    carry(server, (chunk) => {
      heard += chunk.length;
      if (!isDeaf && !client.destroyed) client.write(chunk);
      if (lastHeard !== undefined && chunk.includes(lastHeard)) isDeaf = true;
    });
  });
  const destroyAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return {
    url: `nats://127.0.0.1:${(listener.address() as AddressInfo).port}`,
    deafen: () => void (isDeaf = true),
    deafenAfter: (said) => void (lastHeard = said),
    heardBytes: () => heard,
    setDelay: (ms) => void (delayMs = ms),
    cut: () => {
      destroyAll();
      isDeaf = false;
    },
    sever: () => {
      isSevered = true;
      destroyAll();
    },
    mend: () => void (isSevered = false),
    close: async () => {
      destroyAll();
      listener.close();
      await once(listener, 'close');
    },
  };
};
