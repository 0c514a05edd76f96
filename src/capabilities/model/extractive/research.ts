/** Looking things up: which tools to call next, until what they brought is enough or nothing more is to be had. */
import type { ModelRequest, ToolCall } from '../../../protocols/model.ts';
import { termsOf } from '../../tool/words.ts';
import type { Answer } from './answer.ts';
import { alikeTerms } from './lexicon.ts';
import type { Observations } from './observations.ts';
import { isSubject, keywords, type Query } from './query.ts';

const ROUNDS_MAX = 4;
const SEARCHES_MAX = 4;
const READS_MAX = 4;
const HITS = 10;
/** Of a longer list of words the first ones: every word costs a walk through the index, and `search_files` takes no more than 1,000. */
const SEARCH_CHARS_MAX = 600;
/** A file so short is read whole; of a longer one, the lines around a hit. */
const SHORT_FILE = 200;
const LINES_BEFORE = 16;
const LINES_READ = 80;
const GOOD_COVERAGE = 0.75;

type Call = Omit<ToolCall, 'id'>;

/** The calls to make now; none when it is time to answer. `read` is the answer that what was read so far gives. */
export const nextCalls = (request: ModelRequest, queries: readonly Query[], seen: Observations, read: Answer): ToolCall[] => {
  if (seen.rounds >= ROUNDS_MAX) return [];
  const can = (name: string): boolean => request.tools.includes(name);
  const calls =
    can('search_files') && !searchIsBroken(seen)
      ? bySearch(queries, seen, can('read_file'), read.coverage < GOOD_COVERAGE)
      : can('list_files') || can('read_file')
        ? byName(queries, seen, can)
        : [];
  return calls.map((call, index) => ({ id: `call-${seen.rounds + 1}-${index + 1}`, ...call }));
};

const searchIsBroken = ({ calls }: Observations): boolean => {
  const searches = calls.filter(({ name }) => name === 'search_files');
  return searches.length >= 2 && searches.every(({ ok }) => !ok);
};

const bySearch = (queries: readonly Query[], seen: Observations, canRead: boolean, isWeak: boolean): Call[] => {
  const searched = new Set(seen.calls.filter(({ name, ok }) => name === 'search_files' && ok).map(({ input }) => input['query']));
  if (searched.size === 0) return searches(queries, new Set());
  const reads = canRead ? readsAround(seen) : [];
  if (seen.rounds === 1) return reads.length > 0 ? reads : searches(queries, searched, true);
  return isWeak ? [...searches(queries, searched, true), ...reads].slice(0, READS_MAX + 2) : [];
};

const searches = (queries: readonly Query[], before: ReadonlySet<unknown>, otherWords = false): Call[] => {
  const wanted = queries.flatMap((query) =>
    otherWords
      ? otherwise(query)
      : [
          keywords(query.text).join(' '),
          query.terms
            .filter(isSubject)
            .map(({ term }) => term)
            .join(' '),
        ],
  );
  const unique = [...new Map(wanted.map(searchable).map((text) => [termsOf(text).sort().join(' '), text])).values()].filter(
    (text) => text !== '' && !before.has(text),
  );
  return unique.slice(0, SEARCHES_MAX).map((query) => ({ name: 'search_files', input: { query, limit: HITS } }));
};

const searchable = (words: string): string => (words.length <= SEARCH_CHARS_MAX ? words : words.slice(0, SEARCH_CHARS_MAX).replace(/\s+\S*$/, ''));

/** The same question in words that mean nearly the same, and by its names alone. */
const otherwise = ({ terms }: Query): string[] => {
  const strong = terms.filter(isSubject);
  const alike = strong.flatMap(({ term }) => alikeTerms(term));
  const names = strong.filter(({ isName }) => isName).map(({ term }) => term);
  return [...(alike.length > 0 ? [[...new Set([...strong.map(({ term }) => term), ...alike])].join(' ')] : []), names.join(' ')];
};

const readsAround = ({ hits, excerpts, calls }: Observations): Call[] => {
  const reads: Call[] = [];
  const asked = calls
    .filter(({ name }) => name === 'read_file')
    .map(({ input }) => ({ file: String(input['file']), from: Number(input['from_line'] ?? 1), lines: Number(input['lines'] ?? 300) }));
  const isAsked = (file: string, line: number): boolean => asked.some((read) => read.file === file && line >= read.from && line < read.from + read.lines);
  for (const { file, from, lines, total } of hits) {
    if (reads.length >= READS_MAX) break;
    if (isAsked(file, from) && isAsked(file, from + lines.length - 1)) continue;
    const window = total <= SHORT_FILE ? { from_line: 1, lines: total } : { from_line: Math.max(1, from - LINES_BEFORE), lines: LINES_READ };
    if (
      excerpts.some(
        (excerpt) =>
          excerpt.file === file &&
          excerpt.from <= window.from_line &&
          excerpt.from + excerpt.lines.length >= Math.min(total + 1, window.from_line + window.lines),
      )
    )
      continue;
    asked.push({ file, from: window.from_line, lines: window.lines });
    reads.push({ name: 'read_file', input: { file, ...window } });
  }
  return reads;
};

/** Without a search: the files whose names fit best, from their beginning. */
const byName = (queries: readonly Query[], seen: Observations, can: (name: string) => boolean): Call[] => {
  if (seen.listed.length === 0) return can('list_files') && !seen.calls.some(({ name }) => name === 'list_files') ? [{ name: 'list_files', input: {} }] : [];
  if (!can('read_file') || seen.calls.some(({ name }) => name === 'read_file')) return [];
  const terms = new Set(queries.flatMap((query) => query.terms.flatMap(({ term, alike }) => [term, ...alike])));
  const fit = (file: string): number => termsOf(file).filter((term) => terms.has(term)).length + (/\.(?:md|txt|rst|adoc)$/i.test(file) ? 0.5 : 0);
  return [...seen.listed]
    .sort((a, b) => fit(b) - fit(a))
    .slice(0, READS_MAX * 2)
    .map((file) => ({ name: 'read_file', input: { file } }));
};
