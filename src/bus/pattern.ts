/** Names and patterns of logs, queues and events: dotted tokens; `*` is one token, a last `>` is one or more. */
import { TroupeError } from '../protocols/failure.ts';

const NAME = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/;
const PATTERN = /^(?:(?:[A-Za-z0-9_-]+|\*)(?:\.(?:[A-Za-z0-9_-]+|\*))*(?:\.>)?|>)$/;

export const checkName = (name: string): string => {
  if (NAME.test(name) && name.length <= 300) return name;
  throw new TroupeError('BUS_NAME_INVALID', `bus name ${JSON.stringify(name)}: expected dotted tokens of letters, digits, - and _ (300 at most)`);
};

/** The pattern as a predicate over names. */
export const matcher = (pattern: string): ((name: string) => boolean) => {
  if (!PATTERN.test(pattern))
    throw new TroupeError('BUS_NAME_INVALID', `bus pattern ${JSON.stringify(pattern)}: expected dotted tokens, * for one of them, > as the last`);
  if (pattern === '>') return () => true;
  if (pattern.endsWith('.>') && !pattern.includes('*')) {
    const prefix = pattern.slice(0, -1);
    return (name) => name.startsWith(prefix);
  }
  if (!pattern.includes('*')) return (name) => name === pattern;
  const source = pattern
    .split('.')
    .map((token) => (token === '*' ? '[^.]+' : token === '>' ? '.+' : token))
    .join('\\.');
  const regex = new RegExp(`^${source}$`);
  return (name) => regex.test(name);
};

/** What every match begins with: the tokens before the first wildcard. */
export const fixedPrefix = (pattern: string): string => {
  const wild = pattern.search(/[*>]/);
  return wild < 0 ? pattern : pattern.slice(0, wild);
};
