/** Inputs in texts: `{topic}` stands for the input of that name, `{{topic}}` for the word in braces itself. Other braces mean nothing. */

const PLACEHOLDER = /\{\{([A-Za-z][A-Za-z0-9_-]*)\}\}|\{([A-Za-z][A-Za-z0-9_-]*)\}/g;

/** The names that `text` has placeholders for. */
export const placeholders = (text: string): string[] => [...text.matchAll(PLACEHOLDER)].flatMap(([, , name]) => name ?? []);

/** `text` with its placeholders filled in. Every one has a value: the file was checked. */
export const fill = (text: string, values: ReadonlyMap<string, string>): string =>
  text.replace(PLACEHOLDER, (whole, literal: string | undefined, name: string) => (literal === undefined ? (values.get(name) ?? whole) : `{${literal}}`));

/** What stands between the placeholders of one name: one text more than there are placeholders. */
export const between = (text: string, name: string): string[] => {
  const parts: string[] = [];
  let end = 0;
  for (const match of text.matchAll(PLACEHOLDER)) {
    if (match[2] !== name) continue;
    parts.push(text.slice(end, match.index));
    end = match.index + match[0].length;
  }
  return [...parts, text.slice(end)];
};
