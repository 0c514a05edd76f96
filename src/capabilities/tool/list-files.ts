/** The tool `list_files`: which files there are. */
import { z } from 'zod';
import { filesOf, placeOf, type FolderFile } from './folder-files.ts';
import { globMatcher } from './glob.ts';
import type { Tool } from './port.ts';

const SHOWN_MAX = 400;

const Input = z.object({
  folder: z.string().optional().describe('only below this folder, such as docs or docs/guide'),
  glob: z.string().optional().describe('only files whose path fits, such as **/*.md'),
});

export type ListedFiles = {
  readonly files: readonly Pick<FolderFile, 'file' | 'bytes'>[];
  readonly total: number;
  /** A folder has more files than are looked at. */ readonly more: boolean;
};

export const listFiles: Tool<typeof Input, ListedFiles> = {
  name: 'list_files',
  description: 'Lists the files that may be read, with their sizes. Use it to learn what there is; search_files finds things by what they say.',
  input: Input,
  timeoutMs: 20_000,
  readOnly: true,
  needsFolder: true,
  async run({ folder, glob }, { folders, signal }) {
    const place = folder === undefined || folder === '' || folder === '.' ? undefined : placeOf(folder, folders);
    const fits = glob === undefined ? () => true : globMatcher(glob);
    const found: FolderFile[] = [];
    let more = false;
    for (const one of place ? [place.folder] : folders) {
      const listed = await filesOf(one, signal);
      more ||= listed.more;
      const prefix = one.label.replace(/\/+$/, '').length + 1;
      const below = place && place.relative !== '' ? `${place.relative}/` : '';
      found.push(...listed.files.filter(({ file }) => file.slice(prefix).startsWith(below) && (fits(file.slice(prefix)) || fits(file))));
    }
    return { files: found.slice(0, SHOWN_MAX).map(({ file, bytes }) => ({ file, bytes })), total: found.length, more };
  },
  render({ files, total, more }) {
    if (total === 0) return 'No file fits. Ask without folder and glob to see all.';
    const notes = [
      ...(total > files.length ? [`${files.length} of ${total} files are shown: ask for a folder or a glob to see the others.`] : []),
      ...(more ? ['A folder has more files than tools look at; the rest is left out.'] : []),
    ];
    return [...files.map(({ file, bytes }) => `${file} (${bytes} bytes)`), ...notes].join('\n');
  },
};
