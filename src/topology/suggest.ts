/** Did you mean: the known word that a mistyped one is closest to. */
import { distance } from 'fastest-levenshtein';

/** The nearest of `known`, if so near that a slip explains it: two edits, or one for every three letters; one in a short word. */
export const nearest = (found: string, known: readonly string[]): string | undefined => {
  const reach = found.length < 4 ? 1 : Math.max(2, Math.floor(found.length / 3));
  const ranked = known.map((word) => ({ word, edits: distance(found.toLowerCase(), word.toLowerCase()) })).sort((a, b) => a.edits - b.edits);
  const [first] = ranked;
  return first && first.edits <= reach ? first.word : undefined;
};

const LISTED_MAX = 12;

/** `known: a, b; did you mean "a"?`, for the end of a message. */
export const knownHint = (found: string, known: readonly string[]): string => {
  const listed = known.length > LISTED_MAX ? `${known.slice(0, LISTED_MAX).join(', ')} and ${known.length - LISTED_MAX} more` : known.join(', ');
  const near = nearest(found, known);
  return `known: ${listed === '' ? 'none' : listed}${near === undefined ? '' : `; did you mean "${near}"?`}`;
};
