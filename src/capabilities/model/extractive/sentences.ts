/** Prose as sentences. A full stop ends one only where a reader would say so: not in `e.g.`, `Dr.`, `v1.2` or `file.ts`. */
const END = /([.!?]+["'”’)\]*_]*)\s+(?=["'“‘([*_`]*[\p{Lu}\p{N}`])|[。！？]/gu;
const ABBREVIATION =
  /(?:\b(?:e\.g|i\.e|etc|vs|cf|approx|incl|resp|Mr|Mrs|Ms|Dr|Prof|St|No|Nos|Fig|Sec|Ch|p|pp|Vol|Inc|Ltd|Co|Jr|Sr|a\.m|p\.m|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sep|Sept|Oct|Nov|Dec|[A-Z])|(?:^|\s)\d{1,2})\.$/;

export type Span = { readonly start: number; readonly end: number };

/** Where the sentences of a text lie, without the white space between them. */
export const sentenceSpans = (text: string): Span[] => {
  const spans: Span[] = [];
  let start = 0;
  const close = (end: number): void => {
    const lead = /^\s*/.exec(text.slice(start, end))![0].length;
    const body = text.slice(start + lead, end).trimEnd();
    if (body !== '') spans.push({ start: start + lead, end: start + lead + body.length });
    start = end;
  };
  for (const match of text.matchAll(END)) {
    const end = match.index + (match[1]?.length ?? match[0].length);
    if (match[1] !== undefined && ABBREVIATION.test(text.slice(start, match.index + 1)) && match[1].startsWith('.')) continue;
    close(end);
  }
  close(text.length);
  return spans;
};

export const sentencesOf = (text: string): string[] => sentenceSpans(text).map(({ start, end }) => text.slice(start, end));
