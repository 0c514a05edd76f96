/**
 * The state of a plan that is written as a graph: named values that steps write, and how each takes what is written. Every
 * writing is kept with its step, so the state is a fold over the plan, and nothing beside the plan has to be stored. Pure.
 */
import { failure, type Failure } from '../../protocols/failure.ts';

/** `append`: a line more. `last`: instead of what was there. `merge`: a JSON object, whose keys replace those of the same name. */
export type Reducer = 'append' | 'last' | 'merge';

export type Writes = { readonly key: string; readonly by: Reducer };

/** What a step wrote; `order` counts the writings of the whole plan. */
export type Writing = { readonly order: number; readonly text: string };

type Writer = { readonly writes?: Writes | undefined; readonly written: readonly Writing[] };

const writingsOf = (steps: readonly Writer[], key: string) =>
  steps
    .filter(({ writes }) => writes?.key === key)
    .flatMap(({ writes, written }) => written.map((one) => ({ ...one, by: writes!.by })))
    .sort((one, other) => one.order - other.order);

/** The value now; empty before the first writing. */
export const stateOf = (steps: readonly Writer[], key: string): string => writingsOf(steps, key).reduce((value, { text, by }) => reduce(by, value, text), '');

const reduce = (by: Reducer, value: string, text: string): string => {
  switch (by) {
    case 'append':
      return value === '' ? text : `${value}\n${text}`;
    case 'last':
      return text;
    case 'merge':
      return JSON.stringify({ ...objectOf(value), ...objectOf(text) });
  }
};

/** The place of the next writing. */
export const nextOrder = (steps: readonly Writer[]): number => steps.reduce((count, { written }) => count + written.length, 0) + 1;

/** Why a result cannot be written, if it cannot. */
export const unwritable = ({ writes }: Pick<Writer, 'writes'>, text: string): Failure | undefined =>
  writes?.by === 'merge' && objectOf(text) === undefined
    ? failure('STEP_NOT_MERGEABLE', `state.${writes.key} takes JSON objects; found ${JSON.stringify(text.slice(0, 80))}`)
    : undefined;

const objectOf = (text: string): Readonly<Record<string, unknown>> | undefined => {
  try {
    const value: unknown = JSON.parse(/^\s*```(?:json)?\s*([\s\S]*?)\s*```\s*$/.exec(text)?.[1] ?? text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
};
