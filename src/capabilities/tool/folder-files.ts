/**
 * The files that tools may read, and the way from a name to a file.
 *
 *   F1  Nothing outside the folders is read: no `..`, no absolute path, no link that leads out.
 *   F2  Hidden files, what was installed or built, and what is no text are left out everywhere: listing, reading, searching.
 *   F3  Sizes are bounded, and whoever meets a bound is told.
 */
import type { Dirent } from 'node:fs';
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { TroupeError } from '../../protocols/failure.ts';
import type { Folder } from '../../protocols/tool.ts';

export const FILE_BYTES_MAX = 2_000_000;
export const FOLDER_FILES_MAX = 20_000;
export const FOLDERS_MAX = 20_000;

const LEFT_OUT = new Set(['node_modules', 'dist']);
const isLeftOut = (segment: string): boolean => segment.startsWith('.') || LEFT_OUT.has(segment);

/** A file by its name for people (`label/path`) and by its real place. */
export type FolderFile = { readonly file: string; readonly path: string; readonly bytes: number; readonly modifiedMs: number };

export type FileList = {
  /** The folder, as people write it. */ readonly folder: string;
  readonly files: readonly FolderFile[];
  /** There is more than the first FOLDER_FILES_MAX files in FOLDERS_MAX folders. */ readonly more: boolean;
  /** Folders below it that cannot be read. */ readonly closed: readonly string[];
};

/**
 * Every file of a folder, sorted by name. Linked files count when they stay inside; linked folders are not entered. What is
 * nearer to the top comes first where there is too much; links that lead nowhere are looked at too, so they count.
 */
export const filesOf = async (folder: Folder, signal: AbortSignal): Promise<FileList> => {
  const files: FolderFile[] = [];
  const closed: string[] = [];
  const waiting = [''];
  const list = (more: boolean): FileList => ({ folder: folder.label, files: sorted(files), more, closed });
  let looked = 0;
  for (let at = 0; at < waiting.length; at++) {
    if (at >= FOLDERS_MAX) return list(true);
    signal.throwIfAborted();
    const below = waiting[at]!;
    const entries = await entriesOf(folder, below);
    if (!entries) closed.push(nameIn(folder, below));
    for (const entry of entries ?? []) {
      if (isLeftOut(entry.name)) continue;
      const relative = below === '' ? entry.name : `${below}/${entry.name}`;
      if (entry.isDirectory()) waiting.push(relative);
      else if (entry.isFile() || entry.isSymbolicLink()) {
        if (++looked > FOLDER_FILES_MAX) return list(true);
        const found = await inside(folder, relative);
        if (found) files.push(found);
      }
    }
  }
  return list(false);
};

/** `undefined`: a folder below that cannot be read. The folder itself is what was asked about. Error: FOLDER_UNREADABLE. */
const entriesOf = async (folder: Folder, below: string): Promise<Dirent[] | undefined> => {
  try {
    return (await readdir(join(folder.path, below), { withFileTypes: true })).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (cause) {
    if (below !== '') return (cause as NodeJS.ErrnoException).code === 'ENOENT' ? [] : undefined;
    throw new TroupeError('FOLDER_UNREADABLE', `folder ${folder.label} cannot be read: ${(cause as Error).message}`, { cause });
  }
};

const sorted = (files: FolderFile[]): FolderFile[] => files.sort((a, b) => (a.file < b.file ? -1 : 1));

/** The file at `relative`, unless it is none or lies elsewhere (F1). */
const inside = async (folder: Folder, relative: string): Promise<FolderFile | undefined> => {
  try {
    const path = await realpath(join(folder.path, relative));
    // The root of a file system ends in the separator already.
    const top = folder.path.endsWith(sep) ? folder.path : folder.path + sep;
    if (!path.startsWith(top) || path.slice(top.length).split(sep).some(isLeftOut)) return undefined;
    const stats = await stat(path);
    return stats.isFile() ? { file: nameIn(folder, relative), path, bytes: stats.size, modifiedMs: stats.mtimeMs } : undefined;
  } catch {
    return undefined;
  }
};

const nameIn = (folder: Folder, relative: string): string => `${folder.label.replace(/\/+$/, '')}/${relative}`;

export type Place = { readonly folder: Folder; /** Below the folder; empty for the folder itself. */ readonly relative: string };

/** Which folder a name speaks of. A bare path will do when there is one folder. Errors: FILE_OUTSIDE. */
export const placeOf = (name: string, folders: readonly Folder[]): Place => {
  const byLabel = folders
    .flatMap((folder) => [folder.label, folder.name].map((prefix) => ({ folder, prefix: prefix.replace(/\/+$/, '') })))
    .sort((a, b) => b.prefix.length - a.prefix.length)
    .find(({ prefix }) => name === prefix || name.startsWith(`${prefix}/`));
  const [only, ...others] = folders;
  const place = byLabel
    ? { folder: byLabel.folder, relative: name.slice(byLabel.prefix.length) }
    : only && others.length === 0 && { folder: only, relative: name };
  if (!place) throw outside(name, `a name begins with its folder: ${folders.map(({ label }) => label).join(', ') || 'none is open'}`);
  const segments = (byLabel ? place.relative.replace(/^\/+/, '') : place.relative).split('/').filter((segment) => segment !== '.');
  if (segments.includes('..') || (!byLabel && name.startsWith('/')))
    throw outside(name, 'paths with .. and absolute paths are refused; use a name from list_files');
  if (segments.some(isLeftOut)) throw outside(name, 'hidden files, node_modules and dist are not open to tools');
  return { folder: place.folder, relative: segments.filter(Boolean).join('/') };
};

const outside = (name: string, why: string): TroupeError => new TroupeError('FILE_OUTSIDE', `"${name}" is not in the open folders: ${why}`);

/** Errors: FILE_OUTSIDE, FILE_NOT_FOUND. */
export const findFile = async (name: string, folders: readonly Folder[]): Promise<FolderFile> => {
  const { folder, relative } = placeOf(name, folders);
  const found = relative === '' ? undefined : await inside(folder, relative);
  if (!found) throw new TroupeError('FILE_NOT_FOUND', `there is no file "${name}" in ${folder.label}; list_files or search_files shows what there is`);
  return found;
};

/** The lines of a text file. Errors: FILE_TOO_LARGE, FILE_BINARY. */
export const readLines = async ({ file, path, bytes }: FolderFile, signal: AbortSignal): Promise<string[]> => {
  if (bytes > FILE_BYTES_MAX)
    throw new TroupeError('FILE_TOO_LARGE', `${file} has ${bytes} bytes, more than the ${FILE_BYTES_MAX} that tools read; look for the answer in another file`);
  const text = decode(await readFile(path, { signal }));
  if (text === undefined) throw new TroupeError('FILE_BINARY', `${file} is not UTF-8 text; look for the answer in another file`);
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === '') lines.pop();
  return lines;
};

const decode = (bytes: Uint8Array): string | undefined => {
  if (bytes.subarray(0, 8_192).includes(0)) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
};

export const isRefusal = (thrown: unknown): thrown is TroupeError =>
  thrown instanceof TroupeError && ['FILE_OUTSIDE', 'FILE_NOT_FOUND', 'FILE_TOO_LARGE', 'FILE_BINARY'].includes(thrown.code);
