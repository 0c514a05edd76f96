/** Who asks for what: the same calls for everybody who makes them, by one seed. */
import type { ModelRequest } from '../src/protocols/model.ts';
import { seeded } from '../test/support/simulation.ts';

export const PROCESSES = 8;
export const AGENTS = 64;
export const CALLS = 80;
/** Of one agent: 64 of them have over a thousand calls open. */
export const IN_FLIGHT = 20;
export const MODEL = 'openai/gpt-4o-mini';

export type Call = {
  readonly request: ModelRequest;
  /** What the model would like to say, in words of about two tokens: its cap may cut it. */
  readonly words: number;
  readonly tookMs: number;
};

/** The calls of each agent, in its order. */
export const scheduleOf = (seed: number): readonly (readonly Call[])[] => {
  const random = seeded(seed);
  const between = (least: number, most: number): number => least + Math.floor(random() * (most - least + 1));
  return Array.from({ length: AGENTS }, () =>
    Array.from({ length: CALLS }, (): Call => {
      const maxTokens = between(20, 400);
      const words = between(1, Math.floor(maxTokens / 2));
      const tookMs = between(2_000, 4_000);
      const text = `${words} words in ${tookMs} ms. ${'Consider this. '.repeat(between(1, 60))}`;
      return {
        request: { model: MODEL, messages: [{ role: 'user', text }], tools: [], maxTokens, minTokens: 16, timeoutMs: 60_000 },
        words,
        tookMs,
      };
    }),
  );
};

/** What a model server finds in a prompt. */
export const askedFor = (prompt: string): { readonly words: number; readonly tookMs: number } => {
  const [, words, tookMs] = /^(\d+) words in (\d+) ms/.exec(prompt)!;
  return { words: Number(words), tookMs: Number(tookMs) };
};
