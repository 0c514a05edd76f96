/** The tools that read the open folders. */
import { checkQuotes } from './check-quotes.ts';
import { listFiles } from './list-files.ts';
import type { Tool } from './port.ts';
import { readFileTool } from './read-file.ts';
import { createSearchFiles } from './search-files.ts';

export const createFileTools = (): Tool[] => [listFiles, readFileTool, createSearchFiles(), checkQuotes];
