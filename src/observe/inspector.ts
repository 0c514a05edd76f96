/**
 * An inspection stream of the actors that a process hosts, in the form of XState's inspector, on a port of this machine: Stately's
 * inspector shows it in a browser, and anything that speaks its WebSocket protocol can watch.
 *
 *   N1  It is heard on the loopback interface only, and a page from elsewhere is refused: what agents say is nobody else's business.
 *   N2  Whoever joins late is told of every actor as it is now.
 *   N3  Who reads too slowly is let go; a run waits for no onlooker.
 */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { createInspector, type StatelyInspectionEvent } from '@statelyai/inspect';
import type { ActorRefLike, AnyEventObject, AnyStateMachine } from 'xstate';
import { WebSocketServer, type WebSocket } from 'ws';
import { TroupeError } from '../protocols/failure.ts';
import { parseAddress, type Address } from '../protocols/ids.ts';
import type { Instance } from '../runtime/instance.ts';
import type { Observed } from '../runtime/host.ts';

export type InspectorOptions = {
  /** 0: any that is free. */
  readonly port: number;
  /** Writes down what goes out. */
  readonly toJson?: (value: unknown) => string;
};

type Ref = ActorRefLike & { readonly sessionId: string };
type Seen = {
  readonly ref: Ref;
  readonly snapshot: { readonly status: Instance['state']['snapshot']['status']; readonly value: unknown; readonly context: unknown };
};

const LOOPBACK = '127.0.0.1';
/** Actors that are remembered for those who join. */
const ACTORS_MAX = 1_000;
/** Bytes that one who watches may be behind. */
const BEHIND_MAX = 32 * 1024 * 1024;
/** For what is still on its way when it closes. */
const FAREWELL_MS = 1_000;
/** Charts are deeper than the inspector expects. */
const DEPTH = { serializationDepthLimit: 100 };

export class Inspector {
  readonly #http: Server;
  readonly #sockets: WebSocketServer;
  readonly #toJson: (value: unknown) => string;
  /** Resolves when the first one is connected. */
  readonly watched: Promise<void>;
  readonly #actors = new Map<Address, Seen>();
  readonly #inspector = createInspector({ send: (event) => this.#tellAll(event) }, DEPTH);

  private constructor(http: Server, sockets: WebSocketServer, toJson: (value: unknown) => string) {
    this.#http = http;
    this.#sockets = sockets;
    this.#toJson = toJson;
    this.watched = new Promise((resolve) => sockets.once('connection', () => resolve()));
    sockets.on('connection', (socket) => {
      socket.on('error', () => socket.terminate());
      const greeter = createInspector({ send: (event) => socket.send(this.#toJson(event)) }, DEPTH);
      for (const { ref, snapshot } of this.#actors.values()) greeter.actor(ref, snapshot);
    });
  }

  /** Error: INSPECT_UNAVAILABLE: the port is taken, or may not be used. */
  static async open({ port, toJson = jsonOf }: InspectorOptions): Promise<Inspector> {
    const http = createServer((_, response) => {
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(PAGE);
    });
    await new Promise<void>((resolve, reject) => {
      http.once('error', (cause) =>
        reject(new TroupeError('INSPECT_UNAVAILABLE', `--inspect ${port}: expected a port that is free: ${cause.message}; name another one`, { cause })),
      );
      http.listen(port, LOOPBACK, resolve);
    });
    // What keeps the process alive is the run.
    http.unref();
    return new Inspector(http, new WebSocketServer({ server: http, verifyClient: ({ req }: { req: IncomingMessage }) => isFromHere(req) }), toJson);
  }

  get port(): number {
    return (this.#http.address() as AddressInfo).port;
  }

  /** The page that shows it. */
  get url(): string {
    return `http://${LOOPBACK}:${this.port}`;
  }

  see({ instance, entry }: Observed): void {
    const { snapshot: now } = instance.state;
    const known = this.#actors.get(instance.address);
    const ref = known?.ref ?? refOf(instance, this.#parentOf(instance.address));
    const snapshot = { status: now.status, value: now.value as unknown, context: now.context as unknown };
    this.#actors.set(instance.address, { ref, snapshot });
    if (!known) {
      if (this.#actors.size > ACTORS_MAX) this.#actors.delete(this.#actors.keys().next().value!);
      this.#inspector.actor(ref, snapshot);
    }
    const event: AnyEventObject = { ...entry.message.data, type: entry.message.type };
    this.#inspector.event(ref, event, { source: this.#actors.get(entry.from)?.ref ?? entry.from });
    this.#inspector.snapshot(ref, snapshot, { event });
  }

  /** What was said reaches those who listen. */
  async close(): Promise<void> {
    const { clients } = this.#sockets;
    const left = [...clients].map((socket) => new Promise((resolve) => socket.once('close', resolve)));
    for (const socket of clients) socket.close(1001, 'the run is not hosted here any more');
    await Promise.race([Promise.all(left), setTimeout(FAREWELL_MS, undefined, { ref: false })]);
    for (const socket of clients) socket.terminate();
    this.#sockets.close();
    this.#http.closeAllConnections();
    await new Promise<void>((resolve) => this.#http.close(() => resolve()));
  }

  /** Of a run everybody stands below its supervisor. */
  #parentOf(address: Address): Ref | undefined {
    const { run, role } = parseAddress(address);
    return role === 'supervisor' ? undefined : this.#actors.get(`${run}.supervisor` as Address)?.ref;
  }

  #tellAll(event: StatelyInspectionEvent): void {
    if (this.#sockets.clients.size === 0) return;
    const json = this.#toJson(event);
    for (const socket of this.#sockets.clients) tell(socket, json);
  }
}

/** Money in a context is a bigint, which JSON does not know. */
const jsonOf = (value: unknown): string => JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? inner.toString() : inner));

const tell = (socket: WebSocket, json: string): void => {
  if (socket.bufferedAmount > BEHIND_MAX) socket.terminate();
  else if (socket.readyState === socket.OPEN) socket.send(json);
};

/** As the inspector knows actors. Its name for one is the id of its chart, so the chart is called as the actor is. */
const refOf = ({ address, definition }: Instance, parent: Ref | undefined): Ref => {
  const { role, agent, key } = parseAddress(address);
  const machine: AnyStateMachine = definition.chart.machine;
  const name = agent === undefined ? role : [agent, ...(key === undefined ? [] : [key])].join(' ');
  const ref = { sessionId: address, logic: { config: { ...(machine.config as object), id: name } }, ...(parent && { _parent: parent }) };
  return ref as unknown as Ref;
};

/** A program, or the page that is served here under a name of this machine; browsers say where a page is from. */
const isFromHere = ({ headers: { origin, host } }: IncomingMessage): boolean => {
  if (!host || !/^(127\.0\.0\.1|localhost)(:\d+)?$/.test(host)) return false;
  return origin === undefined || origin === `http://${host}`;
};

const INSPECTOR_ORIGIN = 'https://stately.ai';

/** Shows Stately's inspector and hands on to it what is heard here, from when it says that it is ready. */
const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <title>Troupe: inspect</title>
    <style>html, body, iframe { width: 100%; height: 100%; margin: 0; border: 0; display: block }</style>
  </head>
  <body>
    <iframe title="Stately inspector" src="${INSPECTOR_ORIGIN}/inspect"></iframe>
    <script>
      const shown = document.querySelector('iframe').contentWindow;
      let waiting = [];
      const show = (event) => shown.postMessage(event, '${INSPECTOR_ORIGIN}');
      addEventListener('message', ({ data, source }) => {
        if (source !== shown || data?.type !== '@statelyai.connected' || !waiting) return;
        waiting.forEach(show);
        waiting = undefined;
      });
      new WebSocket('ws://' + location.host).addEventListener('message', ({ data }) => {
        const event = JSON.parse(data);
        if (waiting) waiting.push(event);
        else show(event);
      });
    </script>
  </body>
</html>
`;
