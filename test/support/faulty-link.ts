/** A TCP link to a server that a test can make deaf or cut: what a network does to a client whose requests do arrive. */
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
  const listener = createServer((client) => {
    if (isSevered) return void client.destroy();
    const server = connect(port, '127.0.0.1');
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        server.destroy();
      });
    }
    client.pipe(server);
    server.on('data', (chunk) => {
      heard += chunk.length;
      if (!isDeaf) client.write(chunk);
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
