/** What the signs of a drawing mean, in words: those that it has, in one order. */
import { phrase, type Line, type Sign } from './drawing.ts';

const MEANINGS: Readonly<Record<Sign, string>> = {
  message: 'a message comes',
  clock: 'time has passed',
  done: 'an effect is done',
  failed: 'an effect failed',
  always: 'at once, where the guard holds',
  effect: 'an effect runs while the state lasts',
  entry: 'on entry',
  exit: 'on leaving',
  again: 'begins again',
  says: 'a message goes out',
  model: 'the model that is asked',
  tool: 'tools',
  money: 'money',
};

export const legendOf = (lines: readonly Line[]): Line[] => {
  const used = new Set(lines.map(({ sign }) => sign));
  return (Object.keys(MEANINGS) as Sign[]).filter((sign) => used.has(sign)).map((sign) => ({ sign, phrases: [phrase(MEANINGS[sign], 'muted')] }));
};
