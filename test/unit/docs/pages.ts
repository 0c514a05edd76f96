/** The README and the pages of docs/, and the blocks of code in them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '../../..');

export type Page = { readonly file: string; readonly text: string };

export type Block = {
  /** `docs/budget.md:12`, for people. */
  readonly at: string;
  /** What follows the fence: `yaml team clock.yaml`. */
  readonly info: readonly string[];
  readonly code: string;
  /** The comment on the line before the fence. */
  readonly mark: string | undefined;
};

export const readPage = (file: string): Page => ({ file, text: readFileSync(join(ROOT, file), 'utf8') });

/** Everything that people write; what is generated is its generator's to check. */
export const pages = (): Page[] => [
  ...['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md'].map(readPage),
  ...readdirSync(join(ROOT, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .sort()
    .map((name) => readPage(`docs/${name}`)),
];

const BLOCK = /^(?:<!-- (?<mark>.*) -->\n)?```(?<info>[^\n]+)\n(?<code>[\s\S]*?)^```$/gm;

export const blocksOf = ({ file, text }: Page): Block[] =>
  [...text.matchAll(BLOCK)].map(({ index, groups }) => ({
    at: `${file}:${text.slice(0, index).split('\n').length}`,
    info: groups!['info']!.split(' '),
    code: groups!['code']!,
    mark: groups!['mark'],
  }));

/** The cells of a page's tables, without the heads and the rules below them. */
export const rowsOf = ({ text }: Page): string[][] =>
  text
    .split('\n')
    .filter((line, index, lines) => line.startsWith('|') && !line.startsWith('|-') && !(lines[index + 1] ?? '').startsWith('|-'))
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    );

/** What stands between backticks in a text. */
export const namesIn = (text: string): string[] => [...text.matchAll(/`([^`]+)`/g)].map(([, name]) => name!);
