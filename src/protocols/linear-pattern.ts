/**
 * Patterns of answers' schemas, matched by RE2: in time that grows with the answer and no faster. The engine of JavaScript tries
 * every way to split an answer, so that a pattern such as `^(a+)+$` could hold the process for good, and no deadline ends that.
 */
import { RE2JS } from 're2js';
import type { z } from 'zod';

/** A pattern as zod takes one; only `test` is asked of it. */
class LinearPattern extends RegExp {
  readonly #engine: RE2JS;

  constructor(source: string) {
    super(source);
    this.#engine = RE2JS.compile(RE2JS.translateRegExp(source));
  }

  override test(text: string): boolean {
    return this.#engine.test(text);
  }
}

/** Why a pattern cannot be used: it is none, or it has what takes more than linear time, such as a look-ahead. */
export const patternProblem = (source: unknown): string | undefined => {
  if (typeof source !== 'string') return 'expected a pattern as text';
  try {
    return (new LinearPattern(source), undefined);
  } catch (thrown) {
    return `pattern ${JSON.stringify(source)} cannot be used: ${(thrown as Error).message}; patterns are those of RE2, without look-around and back-references`;
  }
};

type Checked = { readonly _zod: { readonly def: Record<string, unknown> } };
const isChecked = (value: unknown): value is Checked => typeof value === 'object' && value !== null && '_zod' in value;

/** Has every pattern in a schema matched in linear time, whatever it is inside of. Error: a pattern that RE2 does not know. */
export const matchLinearly = <T extends z.ZodType>(schema: T): T => {
  const seen = new Set<unknown>();
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null || seen.has(value)) return;
    seen.add(value);
    if (!isChecked(value)) return Object.values(value).forEach(visit);
    const {
      _zod: { def },
    } = value;
    if (def['check'] === 'string_format' && def['format'] === 'regex') def['pattern'] = new LinearPattern((def['pattern'] as RegExp).source);
    if (def['type'] === 'lazy') visit((def['getter'] as () => unknown)());
    visit(def);
  };
  visit(schema);
  return schema;
};
