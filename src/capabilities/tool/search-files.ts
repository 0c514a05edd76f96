/** The tool `search_files`: the passages that fit a query best. */
import { z } from 'zod';
import { renderExcerpt } from './excerpt.ts';
import { renderLeftOut } from './left-out.ts';
import type { Tool } from './port.ts';
import { SearchIndex, type SearchResult } from './search-index.ts';

const Input = z.object({
  query: z.string().min(1).max(1_000).describe('words that the passage should hold; no operators'),
  limit: z.number().int().min(1).max(20).default(8).describe('how many passages'),
});

const INDEXES_MAX = 8;

/** Each tool keeps its indexes, one for each list of folders, for as long as it lives. */
export const createSearchFiles = (): Tool<typeof Input, SearchResult & { readonly query: string }> => {
  const indexes = new Map<string, SearchIndex>();
  return {
    name: 'search_files',
    description: 'Finds passages in the files by their words and shows them best first, each line behind its number, so that it can be cited as file:line.',
    input: Input,
    timeoutMs: 60_000,
    readOnly: true,
    needsFolder: true,
    async run({ query, limit }, { folders, signal }) {
      const key = JSON.stringify(folders.map(({ path, label }) => [path, label]));
      const index = indexes.get(key) ?? new SearchIndex(folders);
      indexes.delete(key);
      indexes.set(key, index);
      if (indexes.size > INDEXES_MAX) indexes.delete(indexes.keys().next().value!);
      return { query, ...(await index.search(query, limit, signal)) };
    },
    render({ query, hits, files, absent, leftOut }) {
      const unread = leftOut ? [renderLeftOut(leftOut)] : [];
      if (hits.length === 0) return [`Nothing found for "${query}" in ${files} files. Try other words, or list_files.`, ...unread].join('\n');
      const note = absent.length > 0 ? [`No file holds: ${absent.join(', ')}`] : [];
      return [...note, ...unread, ...hits.map((hit, index) => `[${index + 1}] ${renderExcerpt(hit)}`)].join('\n\n');
    },
  };
};
