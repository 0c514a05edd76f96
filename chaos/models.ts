/** The provider of a chaos run: slow, moody by the seed, and with a book of its own of what it was asked, when, and what that costs. */
import { createHash } from 'node:crypto';
import { setTimeout as timer } from 'node:timers/promises';
import { startModelServer, type Behaviour, type ChatRequest, type LoggedRequest, type ModelServer } from '../test/support/model-server.ts';
import { PRICE } from '../test/support/research-desk.ts';
import { seeded } from '../test/support/simulation.ts';
import { answerOf } from './teams.ts';

/** One physical attempt, as the provider has it. */
export type Call = { readonly grant: string; readonly arrivedAt: number; readonly nanos: bigint };

export type Models = {
  readonly url: string;
  readonly calls: () => readonly Call[];
  /** How often it failed, by what it did. */
  readonly moods: ReadonlyMap<string, number>;
  /** From now on it answers what it is asked, or fails as providers do. */
  setMoody(moody: boolean): void;
  idle(): Promise<void>;
  stop(): Promise<void>;
};

const SLOWEST_MS = 500;

const hashOf = (request: ChatRequest): number => createHash('sha256').update(JSON.stringify(request.messages)).digest().readUInt32LE();

/** Of a request the same, whatever else goes on: its `nth` call is as slow and as moody in every run of a seed. */
const moodOf = (random: () => number): Behaviour | undefined => {
  const mood = random();
  if (mood < 0.04) return { fault: 'status', status: 429, code: 'rate_limit_exceeded', headers: { 'retry-after': '1' } };
  if (mood < 0.07) return { fault: 'status', status: 500 };
  if (mood < 0.1) return { fault: 'cut', text: 'the page is not what you thi', pieces: 3 };
  if (mood < 0.12) return { fault: 'unfinished' };
  return undefined;
};

const nameOf = (mood: Behaviour): string => (typeof mood === 'object' && 'fault' in mood ? ('status' in mood ? String(mood.status) : mood.fault) : 'answer');

export const startModels = async (seed: number): Promise<Models> => {
  const asked = new Map<number, number>();
  const moods = new Map<string, number>();
  let moody = false;
  const server: ModelServer = await startModelServer({
    price: PRICE,
    answer: async (request) => {
      const hash = hashOf(request);
      const nth = (asked.get(hash) ?? 0) + 1;
      asked.set(hash, nth);
      const random = seeded(seed ^ hash ^ Math.imul(nth, 0x9e3779b1));
      await timer(random() * SLOWEST_MS);
      const mood = moody ? moodOf(random) : undefined;
      if (!mood) return answerOf(request);
      moods.set(nameOf(mood), (moods.get(nameOf(mood)) ?? 0) + 1);
      return mood;
    },
  });
  return {
    url: server.url,
    moods,
    setMoody: (now) => void (moody = now),
    calls: () => callsOf(server.requests),
    idle: () => server.idle(),
    stop: () => server.stop(),
  };
};

export const callsOf = (requests: readonly LoggedRequest[]): readonly Call[] =>
  requests.map(({ attempt, arrivedAt, billed }) => ({ grant: attempt ?? '', arrivedAt, nanos: costOf(billed) }));

/** Rounded down: a ledger that rounds up is never below. */
const costOf = ({ inputTokens, outputTokens }: { readonly inputTokens: number; readonly outputTokens: number }): bigint =>
  (BigInt(inputTokens) * PRICE.input + BigInt(outputTokens) * PRICE.output) / 1_000_000n;
