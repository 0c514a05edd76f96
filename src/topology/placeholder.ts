/** Inputs in texts: `{topic}` stands for the input of that name, `{{topic}}` for the word in braces itself. Other braces mean nothing. */

const PLACEHOLDER = /\{\{([A-Za-z][A-Za-z0-9_-]*)\}\}|\{([A-Za-z][A-Za-z0-9_-]*)\}/g;

/** The names that `text` has placeholders for. */
export const placeholders = (text: string): string[] => [...text.matchAll(PLACEHOLDER)].flatMap(([, , name]) => name ?? []);

/** `text` with its placeholders filled in. Every one has a value: the file was checked. */
export const fill = (text: string, values: ReadonlyMap<string, string>): string =>
  text.replace(PLACEHOLDER, (whole, literal: string | undefined, name: string) => (literal === undefined ? (values.get(name) ?? whole) : `{${literal}}`));
