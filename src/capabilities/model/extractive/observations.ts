/** What the conversation has brought so far: the tools' answers, read as a model reads them. */
import type { ChatMessage, ToolCall } from '../../../protocols/model.ts';
import { parseExcerpts, type Excerpt } from '../../tool/excerpt.ts';
import { leftOutIn } from '../../tool/left-out.ts';

export type Observations = {
  /** Answers with tool calls so far. */
  readonly rounds: number;
  readonly calls: readonly (ToolCall & { readonly ok: boolean; readonly text: string })[];
  readonly excerpts: readonly Excerpt[];
  /** Excerpts that searches gave, the best first. */
  readonly hits: readonly Excerpt[];
  readonly listed: readonly string[];
  /** What the tools did not read, in their words. */
  readonly unread: readonly string[];
};

/** The tools that look through all files; others show one, whose own lines may say anything. */
const LOOKS_THROUGH = new Set(['search_files', 'list_files']);

export const observationsOf = (messages: readonly ChatMessage[]): Observations => {
  const asked = messages.flatMap((message) => (message.role === 'assistant' ? message.toolCalls : []));
  const calls = messages.flatMap((message) => {
    const call = message.role === 'tool' ? asked.findLast(({ id }) => id === message.callId) : undefined;
    return message.role === 'tool' && call ? [{ ...call, ok: message.ok, text: message.text }] : [];
  });
  const good = calls.filter(({ ok }) => ok);
  const searches = good.filter(({ name }) => name === 'search_files').map(({ text }) => parseExcerpts(text));
  return {
    rounds: messages.filter((message) => message.role === 'assistant' && message.toolCalls.length > 0).length,
    calls,
    excerpts: good.flatMap(({ text }) => parseExcerpts(text)),
    hits: byRank(searches),
    listed: good.filter(({ name }) => name === 'list_files').flatMap(({ text }) => [...text.matchAll(/^(.+) \(\d+ bytes\)$/gm)].map(([, file]) => file!)),
    unread: [...new Set(good.filter(({ name }) => LOOKS_THROUGH.has(name)).flatMap(({ text }) => leftOutIn(text)))],
  };
};

/** The first of each search, then the second of each, without repetition. */
const byRank = (lists: readonly (readonly Excerpt[])[]): Excerpt[] => {
  const seen = new Map<string, Excerpt>();
  const longest = Math.max(0, ...lists.map(({ length }) => length));
  for (let place = 0; place < longest; place++) {
    for (const list of lists) {
      const hit = list[place];
      if (hit && !seen.has(`${hit.file}:${hit.from}`)) seen.set(`${hit.file}:${hit.from}`, hit);
    }
  }
  return [...seen.values()];
};
