/** A step that is done once for each item of a list: what the list is made from, and how a text is read as one. Pure. */

export type FanOut = {
  /** The step whose result is the list, or the input. */
  readonly over: { readonly step: string } | { readonly input: string };
  /** The task around the item: it stands between each two of these. */
  readonly around: readonly string[];
  /** Items that are taken; the rest is left out, and said to be. */
  readonly max: number;
  /** Items that may be at work at the same time. */
  readonly concurrency: number;
};

const MARK = /^\s*(?:[-*+•]|\d{1,4}[.)])\s+/u;

/** A JSON list, in a code fence or not, or else the lines that are not empty, without the marks of a list. */
export const itemsOf = (text: string): readonly string[] => {
  const bare = /^\s*```(?:json)?\s*([\s\S]*?)\s*```\s*$/.exec(text)?.[1] ?? text;
  const list = jsonList(bare);
  if (list) return list.map((item) => (typeof item === 'string' ? item : JSON.stringify(item)));
  return bare
    .split(/\r?\n/)
    .map((line) => line.replace(MARK, '').trim())
    .filter((line) => line !== '');
};

const jsonList = (text: string): readonly unknown[] | undefined => {
  if (!text.trimStart().startsWith('[')) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value : undefined;
  } catch {
    return undefined; // lines that begin with a bracket
  }
};
