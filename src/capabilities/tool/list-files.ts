/** The tool `list_files`: which files there are. */
import { z } from 'zod';
import { FILE_BYTES_MAX, filesOf, placeOf, type FileList, type FolderFile } from './folder-files.ts';
import { globMatcher } from './glob.ts';
import { leftOut, renderLeftOut, type LeftOut } from './left-out.ts';
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
  readonly leftOut?: LeftOut;
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
    const lists: FileList[] = [];
    for (const one of place ? [place.folder] : folders) {
      const listed = await filesOf(one, signal);
      lists.push(listed);
      const prefix = one.label.replace(/\/+$/, '').length + 1;
      const below = place && place.relative !== '' ? `${place.relative}/` : '';
      found.push(...listed.files.filter(({ file }) => file.slice(prefix).startsWith(below) && (fits(file.slice(prefix)) || fits(file))));
    }
    // Whether a file is text shows when it is read.
    const unread = found.filter(({ bytes }) => bytes > FILE_BYTES_MAX).map(({ file }) => ({ file, why: 'tooLarge' as const }));
    const missing = leftOut(lists, unread);
    const files = found.slice(0, SHOWN_MAX).map(({ file, bytes }) => ({ file, bytes }));
    return { files, total: found.length, more: lists.some((list) => list.more), ...(missing && { leftOut: missing }) };
  },
  render({ files, total, leftOut: missing }) {
    const unread = missing ? [renderLeftOut(missing)] : [];
    if (total === 0) return ['No file fits. Ask without folder and glob to see all.', ...unread].join('\n');
    const notes = [...(total > files.length ? [`${files.length} of ${total} files are shown: ask for a folder or a glob to see the others.`] : []), ...unread];
    return [...files.map(({ file, bytes }) => `${file} (${bytes} bytes)`), ...notes].join('\n');
  },
};
