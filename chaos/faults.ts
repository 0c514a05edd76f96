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

/** The longest wait for a process to claim something. */
const CLAIM_MS = 5_000;
/** How late a process hears of its own claim that is about to be struck. */
const HEARING_MS = 100;

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

/** Waits for the next claim of a process; `undefined`: it wrote none for a while. */
const nextClaim = ({ witness, over }: Troubled, by: Post): Promise<Post | undefined> =>
  new Promise((resolve) => {
    const late = AbortSignal.any([over, AbortSignal.timeout(CLAIM_MS)]);
    const end = (post: Post | undefined): void => {
      leave();
      resolve(post);
    };
    const leave = witness.on('>', ({ envelope }) => {
      if (envelope.type === 'effect.claimed' && by.pid !== undefined && witness.pidOf((envelope.data as PayloadOf<'effect.claimed'>).host) === by.pid) end(by);
    });
    late.addEventListener('abort', () => end(undefined), { once: true });
  });

/** Any process that makes paid calls, just when it has claimed one and has not heard of that yet: its link is slow. */
const atClaim = async (stage: Troubled, strike: (post: Post) => Promise<void> | void): Promise<void> => {
  const post = oneOf(
    stage,
    stage.fleet.posts.filter(({ pid, isStopped, name }) => pid !== undefined && !isStopped && !name.startsWith('budget')),
  );
  if (!post) return;
  post.link.setDelay(HEARING_MS);
  if (await nextClaim(stage, post)) await strike(post);
  post.link.setDelay(0);
};

let serverIsDown = false;

const faults: readonly Fault[] = [
  { name: 'kill -9', weight: 6, strike: (stage) => kill9(stage, victim(stage)) },
  { name: 'kill -9 at a claim', weight: 3, strike: (stage) => atClaim(stage, (post) => kill9(stage, post)) },
  { name: 'stop', weight: 3, strike: (stage) => stopFor(victim(stage), between(stage, 500, 10_000)) },
  { name: 'stop at a claim', weight: 4, strike: (stage) => atClaim(stage, (post) => stopFor(post, between(stage, 7_000, 10_000))) },
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
      post.link.sever();
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

/** Each once, in any order; then by weight. */
const schedule = function* (stage: Stage): Generator<Fault, never> {
  const left = [...faults];
  while (left.length > 0) yield left.splice(Math.floor(stage.random() * left.length), 1)[0]!;
  for (;;) yield choose(stage);
};

const choose = (stage: Stage): Fault => {
  let at = stage.random() * faults.reduce((sum, { weight }) => sum + weight, 0);
  return faults.find(({ weight }) => (at -= weight) < 0) ?? faults[0]!;
};

/** Strikes until `over`; resolves with what struck how often once everything is mended. */
export const trouble = async (stage: Stage, over: AbortSignal, pauseMs: number): Promise<ReadonlyMap<string, number>> => {
  const forgetful = await openNatsBus({ servers: stage.server.url, limits: { knownIds: 1 } });
  const struck = new Map<string, number>();
  const open = new Set<Promise<void>>();
  for (const fault of schedule(stage)) {
    if (over.aborted) break;
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
