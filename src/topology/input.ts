/** The inputs of a run: what the file says, unless whoever starts the run says otherwise. */
import { realpath, stat } from 'node:fs/promises';
import { isAbsolute, relative, resolve } from 'node:path';
import type { Folder } from '../protocols/tool.ts';
import { TroupeError } from '../protocols/failure.ts';
import type { Issue } from './problem.ts';
import type { TeamFile } from './schema.ts';
import { knownHint } from './suggest.ts';

export type Inputs = { readonly folders: readonly Folder[]; readonly texts: ReadonlyMap<string, string> };

export type InputPlaces = {
  /** The team file's folder: its own paths begin there. */
  readonly base: string;
  /** Where the command runs: given paths begin there, and so do the labels of all. */
  readonly cwd: string;
};

/**
 * The inputs, and what is wrong with those of the file. Throws INPUT_UNKNOWN and INPUT_INVALID for given ones: they are not the
 * file's mistakes.
 */
export const resolveInputs = async (
  file: TeamFile,
  given: Readonly<Record<string, string>>,
  { base, cwd }: InputPlaces,
): Promise<{ inputs: Inputs; issues: Issue[] }> => {
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(file.inputs, name))
      throw new TroupeError('INPUT_UNKNOWN', `team ${file.name} has no input "${name}"; ${knownHint(name, Object.keys(file.inputs))}`);
  }
  const folders: Folder[] = [];
  const texts = new Map<string, string>();
  const issues: Issue[] = [];
  for (const [name, input] of Object.entries(file.inputs)) {
    const own = Object.hasOwn(given, name) ? given[name] : undefined;
    if (input.folder === undefined) {
      texts.set(name, own ?? input.text!);
      continue;
    }
    if (own?.trim() === '') throw new TroupeError('INPUT_INVALID', `input ${name}: expected a folder, found no name of one; . is where the command runs`);
    const path = resolve(own === undefined ? base : cwd, own ?? input.folder);
    const kind = await kindOf(path);
    if (kind === 'folder') {
      folders.push({ name, path: await realpath(path), label: own !== undefined && isAbsolute(own) ? own : relative(cwd, path) || '.' });
      continue;
    }
    const code = kind === 'missing' ? 'FOLDER_MISSING' : 'FOLDER_IS_FILE';
    const message = `expected a folder, found ${kind === 'missing' ? 'nothing' : 'a file'} at ${path}`;
    if (own !== undefined) throw new TroupeError('INPUT_INVALID', `input ${name}: ${message}`);
    issues.push({ code, path: ['inputs', name, 'folder'], message, hint: `create it, or give another with --input ${name}=path` });
  }
  return { inputs: { folders, texts }, issues };
};

const kindOf = async (path: string): Promise<'folder' | 'file' | 'missing'> => {
  try {
    return (await stat(path)).isDirectory() ? 'folder' : 'file';
  } catch {
    return 'missing';
  }
};
