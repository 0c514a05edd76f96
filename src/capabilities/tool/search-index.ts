/**
 * A full text index over folders, by passages, kept up to date: before each search the files that changed since the last one
 * (by time and size) are read again.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import MiniSearch from 'minisearch';
import { isProse } from './blocks.ts';
import type { Excerpt } from './excerpt.ts';
import { filesOf, isRefusal, readLines, type FileList, type FolderFile } from './folder-files.ts';
import { leftOut, type LeftOut, type Unread } from './left-out.ts';
import { passagesOf } from './passages.ts';
import type { Folder } from '../../protocols/tool.ts';
import { contentTerms, termsOf } from './words.ts';

/** Where words explain and where they name things: an explanation comes first. */
const PROSE_BOOST = 1.5;

type Indexed = Excerpt & { readonly id: number; readonly path: string; readonly heading: string; readonly text: string };
type Known = { readonly stamp: string; readonly ids: readonly number[]; readonly unread?: Unread };

export type Hit = Excerpt & { readonly score: number };
export type SearchResult = {
  readonly hits: readonly Hit[];
  /** How many were searched. */ readonly files: number;
  /** Terms of the query that stand in no file. */ readonly absent: readonly string[];
  readonly leftOut?: LeftOut;
};

const LOOKED_AT_MAX = 100;
const CHARS_AT_ONCE = 100_000;
/** A line that goes on is found by its beginning: it is data, and of a longer one no more is shown anyway. */
const LINE_CHARS_MAX = 8_000;
const ALIKE = 0.7;

/** The first `limit` passages of which none says what an earlier one said: copies of a file show up once. */
const distinct = <T extends { readonly passage: Indexed }>(ranked: readonly T[], limit: number): T[] => {
  const kept: { one: T; terms: ReadonlySet<string> }[] = [];
  for (const one of ranked) {
    if (kept.length >= limit) break;
    const terms = new Set(termsOf(one.passage.text));
    const isKnown = kept.some((other) => [...terms].filter((term) => other.terms.has(term)).length > ALIKE * Math.max(terms.size, other.terms.size));
    if (!isKnown) kept.push({ one, terms });
  }
  return kept.map(({ one }) => one);
};

const bounded = (line: string): string => (line.length > LINE_CHARS_MAX ? line.slice(0, LINE_CHARS_MAX) : line);

export class SearchIndex {
  readonly #folders: readonly Folder[];
  readonly #passages = new Map<number, Indexed>();
  readonly #known = new Map<string, Known>();
  readonly #index = new MiniSearch<Indexed>({
    fields: ['text', 'heading', 'path'],
    tokenize: (text, field) => (field === undefined ? contentTerms(text) : termsOf(text)),
    processTerm: (term) => term,
  });
  #lists: readonly FileList[] = [];
  #refreshing: Promise<void> | undefined;
  #nextId = 0;

  constructor(folders: readonly Folder[]) {
    this.#folders = folders;
  }

  async search(query: string, limit: number, signal: AbortSignal): Promise<SearchResult> {
    // Searches that come at the same time share one refresh; it belongs to nobody's signal.
    this.#refreshing ??= this.#refresh().finally(() => (this.#refreshing = undefined));
    await this.#refreshing;
    signal.throwIfAborted();
    const terms = contentTerms(query);
    const found = this.#index.search(query, {
      boost: { heading: 1.6, path: 0.4 },
      prefix: (term) => term.length > 3,
      fuzzy: (term) => (term.length > 5 ? 0.15 : false),
      weights: { prefix: 0.4, fuzzy: 0.3 },
      boostDocument: (id) => (isProse(this.#passages.get(id as number)!.file) ? PROSE_BOOST : 1),
    });
    const present = new Set(found.flatMap(({ queryTerms }) => queryTerms));
    const ranked = found
      .map(({ id, score, queryTerms }) => ({ passage: this.#passages.get(id as number)!, score: score * (0.4 + (0.6 * queryTerms.length) / terms.length) }))
      .sort((a, b) => b.score - a.score || a.passage.id - b.passage.id)
      .slice(0, LOOKED_AT_MAX);
    const hits = distinct(ranked, limit).map(({ passage: { file, from, lines, total, headings }, score }) => ({ file, from, lines, total, headings, score }));
    const unread = [...this.#known].flatMap(([file, known]) => (known.unread ? [{ file, why: known.unread }] : []));
    const missing = leftOut(this.#lists, unread);
    const absent = terms.filter((term) => !present.has(term));
    return { hits, files: this.#known.size - unread.length, absent, ...(missing && { leftOut: missing }) };
  }

  async #refresh(): Promise<void> {
    const signal = new AbortController().signal;
    const present = new Map<string, FolderFile>();
    const lists: FileList[] = [];
    for (const folder of this.#folders) lists.push(await filesOf(folder, signal));
    this.#lists = lists;
    for (const { files } of lists) for (const file of files) present.set(file.file, file);
    for (const name of this.#known.keys()) if (!present.has(name)) this.#forget(name);
    for (const file of present.values()) {
      const stamp = `${file.modifiedMs} ${file.bytes}`;
      const known = this.#known.get(file.file);
      // What could not be opened may have been opened up since: its time does not show it.
      if (known?.stamp === stamp && known.unread !== 'unreadable') continue;
      this.#forget(file.file);
      const lines = await this.#linesOf(file, signal);
      this.#known.set(file.file, { stamp, ...(typeof lines === 'string' ? { ids: [], unread: lines } : { ids: await this.#add(file, lines) }) });
    }
  }

  /** The lines of a file, or why it has none to search. A file that is gone by now is as good as empty. */
  async #linesOf(file: FolderFile, signal: AbortSignal): Promise<readonly string[] | Unread> {
    try {
      // What has no size is not opened: it is empty, or no file at heart, such as what the system shows of itself.
      return file.bytes === 0 ? [] : await readLines(file, signal);
    } catch (thrown) {
      if (isRefusal(thrown)) return thrown.code === 'FILE_TOO_LARGE' ? 'tooLarge' : 'notText';
      const { code } = thrown as NodeJS.ErrnoException;
      if (code === undefined) throw thrown;
      return code === 'ENOENT' ? [] : 'unreadable';
    }
  }

  async #add(file: FolderFile, lines: readonly string[]): Promise<number[]> {
    const passages = passagesOf(file.file, lines.map(bounded)).map((passage): Indexed => ({
      ...passage,
      id: this.#nextId++,
      file: file.file,
      path: file.file,
      total: lines.length,
      heading: passage.headings.join(' '),
      text: passage.lines.join('\n'),
    }));
    for (const passage of passages) this.#passages.set(passage.id, passage);
    // A large file is thousands of passages: others run between some and the next.
    let chars = 0;
    for (const passage of passages) {
      if ((chars += passage.text.length) > CHARS_AT_ONCE) {
        chars = passage.text.length;
        await nextTurn();
      }
      this.#index.add(passage);
    }
    return passages.map(({ id }) => id);
  }

  #forget(file: string): void {
    for (const id of this.#known.get(file)?.ids ?? []) {
      this.#index.discard(id);
      this.#passages.delete(id);
    }
    this.#known.delete(file);
  }
}
