/** A list of names that has one of them twice. Pure. */
import type { Issue, Path } from './problem.ts';

export const duplicateIssues = (names: readonly string[], path: Path): Issue[] =>
  names.flatMap((name, index): Issue[] =>
    names.indexOf(name) < index ? [{ code: 'VALUE_DUPLICATE', path: [...path, index], message: `"${name}" is in the list already` }] : [],
  );
