/** What goes wrong, one thing after the other, by the seed. */
import { setTimeout as timer } from 'node:timers/promises';
import { openNatsBus } from '../src/bus/nats/bus.ts';
import type { Bus } from '../src/bus/port.ts';
import type { PayloadOf } from '../src/protocols/catalogue.ts';
import type { NatsServer } from '../test/support/nats-server.ts';
import type { Fleet, Post } from './fleet.ts';
import type { Witness } from './witness.ts';

export type Stage = { readonly fleet: Fleet; readonly server: NatsServer; readonly witness: Witness; readonly random: () => number };

/** A fault goes on by itself once it has struck; what it gives resolves when it is over. */
type Fault = { readonly name: string; readonly weight: number; readonly strike: (stage: Troubled) => Promise<void> | void };

type Troubled = Stage & { readonly forgetful: Bus; readonly over: AbortSignal };

const between = ({ random }: Stage, least: number, most: number): number => least + random() * (most - least);
const oneOf = <T>({ random }: Stage, from: readonly T[]): T | undefined => from[Math.floor(random() * from.length)];

/** Any process that runs. */
const victim = (stage: Stage): Post | undefined =>
  oneOf(
    stage,
    stage.fleet.posts.filter(({ pid, isStopped }) => pid !== undefined && !isStopped),
  );

const kill9 = ({ witness }: Stage, post: Post | undefined): void => {
  if (post?.pid === undefined) return;
  witness.killed(post.pid);
  post.kill9();
};

const stopFor = async (post: Post | undefined, ms: number): Promise<void> => {
  if (!post) return;
  post.stop();
  await timer(ms);
  post.goOn();
};

/** The process that writes the next claim, as soon as it is written. */
const nextClaimant = ({ witness, fleet, over }: Troubled): Promise<Post | undefined> =>
  new Promise((resolve) => {
    const end = (post: Post | undefined): void => {
      leave();
      over.removeEventListener('abort', abort);
      resolve(post);
    };
    const abort = (): void => end(undefined);
    const leave = witness.on('>', ({ envelope }) => {
      if (envelope.type !== 'effect.claimed') return;
      const pid = witness.pidOf((envelope.data as PayloadOf<'effect.claimed'>).host);
      const post = pid === undefined ? undefined : fleet.byPid(pid);
      if (post && !post.isStopped) end(post);
    });
    over.addEventListener('abort', abort);
  });

let serverIsDown = false;

const faults: readonly Fault[] = [
  { name: 'kill -9', weight: 6, strike: (stage) => kill9(stage, victim(stage)) },
  { name: 'kill -9 at a claim', weight: 3, strike: async (stage) => kill9(stage, await nextClaimant(stage)) },
  { name: 'stop', weight: 3, strike: (stage) => stopFor(victim(stage), between(stage, 500, 10_000)) },
  { name: 'stop at a claim', weight: 3, strike: async (stage) => stopFor(await nextClaimant(stage), between(stage, 6_000, 10_000)) },
  {
    name: 'server kill -9',
    weight: 1,
    strike: (stage) => {
      if (serverIsDown) return;
      serverIsDown = true;
      return stage.server
        .kill9()
        .then(() => timer(between(stage, 0, 3_000)))
        .then(() => stage.server.restart())
        .finally(() => (serverIsDown = false));
    },
  },
  {
    name: 'cut',
    weight: 3,
    strike: async (stage) => {
      const post = oneOf(stage, stage.fleet.posts)!;
      post.link.cut();
      await timer(between(stage, 50, 8_000));
      post.link.mend();
    },
  },
  {
    name: 'slow',
    weight: 3,
    strike: async (stage) => {
      const post = oneOf(stage, stage.fleet.posts)!;
      post.link.setDelay(between(stage, 50, 400));
      await timer(between(stage, 1_000, 6_000));
      post.link.setDelay(0);
    },
  },
  {
    name: 'duplicate',
    weight: 6,
    strike: (stage) => {
      const entry = oneOf(stage, stage.witness.recent);
      return entry && stage.forgetful.append(entry.log, entry.envelope).then(() => {});
    },
  },
  { name: 'terminate', weight: 2, strike: (stage) => victim(stage)?.terminate() },
];

const choose = (stage: Stage): Fault => {
  let at = stage.random() * faults.reduce((sum, { weight }) => sum + weight, 0);
  return faults.find(({ weight }) => (at -= weight) < 0) ?? faults[0]!;
};

/** Strikes until `over`; resolves with what struck how often once everything is mended. */
export const trouble = async (stage: Stage, over: AbortSignal, pauseMs: number): Promise<ReadonlyMap<string, number>> => {
  const forgetful = await openNatsBus({ servers: stage.server.url, limits: { knownIds: 1 } });
  const struck = new Map<string, number>();
  const open = new Set<Promise<void>>();
  while (!over.aborted) {
    const fault = choose(stage);
    const striking = fault.strike({ ...stage, forgetful, over });
    struck.set(fault.name, (struck.get(fault.name) ?? 0) + 1);
    if (striking) {
      const done: Promise<void> = striking.finally(() => open.delete(done));
      open.add(done);
    }
    await timer(between(stage, 0, 2 * pauseMs), undefined, { signal: over }).catch(() => {});
  }
  await Promise.all(open);
  await forgetful.close();
  return struck;
};
