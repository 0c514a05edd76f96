/** A folder of files for a test, gone afterwards. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Folder } from '../../src/protocols/tool.ts';

export type TestFolder = Folder & {
  write(file: string, content: string | Uint8Array): void;
  remove(): void;
};

export const createFolder = (label: string, files: Readonly<Record<string, string>>): TestFolder => {
  const path = realpathSync(mkdtempSync(join(tmpdir(), 'troupe-folder-')));
  const write = (file: string, content: string | Uint8Array): void => {
    mkdirSync(dirname(join(path, file)), { recursive: true });
    writeFileSync(join(path, file), content);
  };
  for (const [file, content] of Object.entries(files)) write(file, content);
  return { name: label.replace(/\W/g, '') || 'folder', path, label, write, remove: () => rmSync(path, { recursive: true, force: true }) };
};
