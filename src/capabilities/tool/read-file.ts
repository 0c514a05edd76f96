/** The tool `read_file`: lines of a file, numbered. */
import { z } from 'zod';
import { TroupeError } from '../../protocols/failure.ts';
import { numbered, renderExcerpt, type Excerpt } from './excerpt.ts';
import { findFile, readLines } from './folder-files.ts';
import type { Tool } from './port.ts';

const LINES_MAX = 1_000;
/** Below what the toolbox lets through, so that an answer ends between two lines and says where to go on. */
const CHARS_MAX = 18_000;

const Input = z.object({
  file: z.string().min(1).describe('a name as list_files and search_files give it'),
  from_line: z.number().int().positive().default(1).describe('the first line, from 1'),
  lines: z.number().int().positive().default(300).describe(`how many lines, at most ${LINES_MAX}`),
});

export const readFileTool: Tool<typeof Input, Excerpt> = {
  name: 'read_file',
  description: 'Reads lines of a text file. Each line comes behind its number, so that it can be cited as file:line.',
  input: Input,
  timeoutMs: 15_000,
  readOnly: true,
  needsFolder: true,
  async run({ file, from_line: from, lines: count }, { folders, signal }) {
    const found = await findFile(file, folders);
    const lines = await readLines(found, signal);
    if (lines.length === 0) throw new TroupeError('FILE_EMPTY', `${found.file} is empty`);
    if (from > lines.length) throw new TroupeError('FILE_TOO_SHORT', `${found.file} has ${lines.length} lines; from_line ${from} is behind its end`);
    return { file: found.file, from, lines: shown(lines.slice(from - 1, from - 1 + Math.min(count, LINES_MAX)), from), total: lines.length, headings: [] };
  },
  render(excerpt) {
    const next = excerpt.from + excerpt.lines.length;
    return renderExcerpt(excerpt) + (next <= excerpt.total ? `\nThe file goes on: ask with from_line ${next} for more.` : '');
  },
};

/** As many lines as may be shown at once, one at least. */
const shown = (lines: readonly string[], from: number): string[] => {
  let chars = 0;
  const end = lines.findIndex((line, index) => (chars += numbered([line], from + index).length + 1) > CHARS_MAX);
  return lines.slice(0, end < 0 ? lines.length : Math.max(1, end));
};
