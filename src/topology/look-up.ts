/** A record's own value by a name out of a file, which may be any word: `constructor` is found only where somebody wrote it. */

export const lookUp = <T>(record: Readonly<Record<string, T>>, name: string): T | undefined => (Object.hasOwn(record, name) ? record[name] : undefined);
