/**
 * What tools did not read of the open folders, and why. A result that lacks something says so in one line, so that nobody takes
 * "nothing found" for "nothing there". That line can be read back, as excerpts can (excerpt.ts).
 */
import { isProse } from './blocks.ts';
import { FILE_BYTES_MAX, FOLDER_FILES_MAX, FOLDERS_MAX, type FileList } from './folder-files.ts';

/** How many, and the first of them by name. */
export type Some = { readonly count: number; readonly names: readonly string[] };

export type LeftOut = {
  readonly tooLarge: Some;
  readonly notText: Some;
  readonly unreadable: Some;
  /** Folders that hold more than is looked at. */
  readonly cutOff: Some;
};

/** Why a file was not read. */
export type Unread = Exclude<keyof LeftOut, 'cutOff'>;

const NAMES_MAX = 3;
const NAME_CHARS_MAX = 100;

/** `undefined`: nothing was left out. Texts are named before pictures and the like. */
export const leftOut = (lists: readonly FileList[], unread: readonly { readonly file: string; readonly why: Unread }[]): LeftOut | undefined => {
  const files = (why: Unread): string[] => unread.filter((one) => one.why === why).map(({ file }) => file);
  const all = {
    tooLarge: some(files('tooLarge')),
    notText: some(files('notText')),
    unreadable: some([...files('unreadable'), ...lists.flatMap(({ closed }) => closed)]),
    cutOff: some(lists.filter(({ more }) => more).map(({ folder }) => folder)),
  };
  return Object.values(all).some(({ count }) => count > 0) ? all : undefined;
};

const some = (names: readonly string[]): Some => {
  const first = [...names.filter(isProse), ...names.filter((name) => !isProse(name))].slice(0, NAMES_MAX);
  return { count: names.length, names: first.map(shortened) };
};

/** The end of a path says more than its beginning. No name breaks the line. */
const shortened = (name: string): string => {
  const line = name.replace(/\s+/g, ' ');
  return line.length > NAME_CHARS_MAX ? `…${line.slice(-NAME_CHARS_MAX)}` : line;
};

const LEAD = 'Not read: ';

/** One line, some 1,500 characters at most: `Not read: 1 file is larger than 2,000,000 bytes (docs/big.md)`. */
export const renderLeftOut = ({ tooLarge, notText, unreadable, cutOff }: LeftOut): string => {
  const said = (what: Some, one: string, many: string): string[] =>
    what.count === 0 ? [] : [`${what.count} ${what.count === 1 ? one : many} (${what.names.join(', ')}${what.count > what.names.length ? ', …' : ''})`];
  return `${LEAD}${[
    ...said(tooLarge, `file is larger than ${digits(FILE_BYTES_MAX)} bytes`, `files are larger than ${digits(FILE_BYTES_MAX)} bytes`),
    ...said(notText, 'file is not UTF-8 text', 'files are not UTF-8 text'),
    ...said(unreadable, 'file or folder cannot be opened', 'files or folders cannot be opened'),
    ...said(cutOff, `folder holds ${TOO_MANY}`, `folders hold ${TOO_MANY}`),
  ].join('; ')}`;
};

const digits = (count: number): string => count.toLocaleString('en-US');
const TOO_MANY = `more than ${digits(FOLDER_FILES_MAX)} files or ${digits(FOLDERS_MAX)} folders, and no more are looked at`;

/** What `renderLeftOut` said in a text, without repetition. */
export const leftOutIn = (text: string): string[] => [...new Set(text.split('\n').filter(isLeftOutLine))];

export const isLeftOutLine = (line: string): boolean => line.startsWith(LEAD);
