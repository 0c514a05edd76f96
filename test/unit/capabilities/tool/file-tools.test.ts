import { chmodSync, mkdirSync, symlinkSync } from 'node:fs';
import { join, parse } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkQuotes } from '../../../../src/capabilities/tool/check-quotes.ts';
import { parseExcerpts } from '../../../../src/capabilities/tool/excerpt.ts';
import { FILE_BYTES_MAX, filesOf, FOLDER_FILES_MAX, FOLDERS_MAX } from '../../../../src/capabilities/tool/folder-files.ts';
import { globMatcher } from '../../../../src/capabilities/tool/glob.ts';
import { leftOutIn } from '../../../../src/capabilities/tool/left-out.ts';
import { listFiles } from '../../../../src/capabilities/tool/list-files.ts';
import type { Folder } from '../../../../src/protocols/tool.ts';
import { readFileTool } from '../../../../src/capabilities/tool/read-file.ts';
import { createSearchFiles } from '../../../../src/capabilities/tool/search-files.ts';
import { createFolder, type TestFolder } from '../../../support/folder.ts';

let docs: TestFolder;
let other: TestFolder;

beforeEach(() => {
  docs = createFolder('docs', {
    'guide.md': '# Ferry\n\nThe ferry leaves at nine.\nIt crosses in forty\nminutes.\n\n## Tickets\n\nA ticket costs 12 crowns. Children travel free.\n',
    'deep/notes.txt': 'Dogs must be on a lead.\n',
    '.secret': 'password',
    'node_modules/x/readme.md': 'installed',
  });
  other = createFolder('./more', { 'guide.md': 'Another guide.\n' });
});

afterEach(() => {
  docs.remove();
  other.remove();
});

const context = (...folders: Folder[]) => ({ folders, signal: new AbortController().signal });
const read = (file: string, more: { from_line?: number; lines?: number } = {}, ...folders: Folder[]) =>
  readFileTool.run({ from_line: 1, lines: 300, ...more, file }, context(...(folders.length > 0 ? folders : [docs])));
const search = (query: string, tool = createSearchFiles()) => tool.run({ query, limit: 8 }, context(docs));

describe('list_files', () => {
  it('lists what may be read, under the name that people use', async () => {
    expect((await listFiles.run({}, context(docs, other))).files.map(({ file }) => file)).toEqual(['docs/deep/notes.txt', 'docs/guide.md', './more/guide.md']);
  });

  it('narrows to a folder and to a pattern', async () => {
    expect((await listFiles.run({ folder: 'docs/deep' }, context(docs))).files).toEqual([{ file: 'docs/deep/notes.txt', bytes: 24 }]);
    expect((await listFiles.run({ glob: '*.md' }, context(docs, other))).total).toBe(2);
    expect((await listFiles.run({ glob: 'docs/**' }, context(docs, other))).total).toBe(2);
  });

  it('says when nothing fits', async () => {
    expect(listFiles.render(await listFiles.run({ glob: '*.pdf' }, context(docs)))).toMatch(/^No file fits/);
  });
});

describe('glob', () => {
  it.each([
    ['*.md', 'a/b.md', true],
    ['a/*.md', 'a/b/c.md', false],
    ['a/**/*.md', 'a/c.md', true],
    ['**/*.{md,txt}', 'a/c.txt', true],
    ['?.md', 'ab.md', false],
    ['a+b.md', 'aab.md', false],
    ['[a].md', 'a.md', false],
  ])('%s on %s: %s', (pattern, path, fits) => {
    expect(globMatcher(pattern)(path)).toBe(fits);
  });
});

describe('read_file', () => {
  it('shows lines behind their numbers and says how to go on', async () => {
    const excerpt = await read('docs/guide.md', { from_line: 3, lines: 2 });
    expect(readFileTool.render(excerpt)).toBe(
      'docs/guide.md:3-4 of 9\n3| The ferry leaves at nine.\n4| It crosses in forty\nThe file goes on: ask with from_line 5 for more.',
    );
  });

  it('takes a bare path when one folder is open, and asks for the folder when there are more', async () => {
    expect((await read('guide.md')).file).toBe('docs/guide.md');
    await expect(read('guide.md', {}, docs, other)).rejects.toMatchObject({ code: 'FILE_OUTSIDE', message: expect.stringContaining('./more') });
    expect((await read('./more/guide.md', {}, docs, other)).lines).toEqual(['Another guide.']);
  });

  it.each(['docs/../etc/passwd', '../docs/guide.md', '/etc/passwd', 'docs/deep/../../x', 'docs/.secret', 'docs/node_modules/x/readme.md'])(
    'refuses %s (F1, F2)',
    async (file) => {
      await expect(read(file)).rejects.toMatchObject({ code: 'FILE_OUTSIDE' });
    },
  );

  it('does not follow a link that leads out, and follows one that stays inside (F1)', async () => {
    symlinkSync(join(other.path, 'guide.md'), join(docs.path, 'out.md'));
    symlinkSync(other.path, join(docs.path, 'outside'));
    symlinkSync(join(docs.path, 'guide.md'), join(docs.path, 'in.md'));
    symlinkSync(join(docs.path, '.secret'), join(docs.path, 'open.txt'));
    for (const file of ['docs/out.md', 'docs/outside/guide.md', 'docs/open.txt']) await expect(read(file)).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
    expect((await read('docs/in.md')).total).toBe(9);
    expect((await listFiles.run({}, context(docs))).files.map(({ file }) => file)).toEqual(['docs/deep/notes.txt', 'docs/guide.md', 'docs/in.md']);
  });

  it('reads below the root of the file system as below any folder', async () => {
    const root = { name: 'all', label: '/', path: parse(docs.path).root };
    const file = join(docs.path, 'guide.md');
    expect(await read(file, {}, root)).toMatchObject({ file, total: 9 });
  });

  it('refuses what is no text, what is too large, and a line behind the end', async () => {
    docs.write('image.png', new Uint8Array([137, 80, 78, 71, 0, 1]));
    docs.write('latin.txt', new Uint8Array([0x67, 0xfc, 0x6e]));
    docs.write('huge.txt', 'x'.repeat(FILE_BYTES_MAX + 1));
    await expect(read('docs/image.png')).rejects.toMatchObject({ code: 'FILE_BINARY' });
    await expect(read('docs/latin.txt')).rejects.toMatchObject({ code: 'FILE_BINARY' });
    await expect(read('docs/huge.txt')).rejects.toMatchObject({ code: 'FILE_TOO_LARGE' });
    await expect(read('docs/guide.md', { from_line: 10 })).rejects.toMatchObject({ code: 'FILE_TOO_SHORT' });
    mkdirSync(join(docs.path, 'folder.md'));
    await expect(read('docs/folder.md')).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
  });

  it('ends between two lines when there is too much to show at once', async () => {
    docs.write('long.txt', Array.from({ length: 900 }, (_, n) => `line ${n + 1} ${'x'.repeat(60)}`).join('\n'));
    const text = readFileTool.render(await read('docs/long.txt', { lines: 1000 }));
    expect(text.length).toBeLessThan(20_000);
    const [excerpt] = parseExcerpts(text);
    expect(text).toContain(`ask with from_line ${excerpt!.lines.length + 1} for more`);
  });

  it('shows lines that can be read back without loss', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.string({ unit: 'grapheme' }).map((line) => line.replace(/[\r\n]/g, '')),
          { minLength: 1 },
        ),
        fc.integer({ min: 1, max: 9_999 }),
        (lines, from) => {
          const excerpt = { file: 'a b/c.md', from, lines, total: from + lines.length, headings: ['One (1)', 'Two'] };
          expect(parseExcerpts(`[3] ${readFileTool.render(excerpt)}`)).toEqual([excerpt]);
        },
      ),
      { examples: [[['one\u2028line', '', '12| not a number of ours'], 1]] },
    );
  });
});

describe('search_files', () => {
  it('finds a passage by other forms of its words, with its place and headings', async () => {
    const { hits } = await search('how much does one ticket cost?');
    expect(hits[0]).toMatchObject({
      file: 'docs/guide.md',
      from: 7,
      headings: ['Ferry', 'Tickets'],
      lines: ['## Tickets', '', 'A ticket costs 12 crowns. Children travel free.'],
    });
  });

  it('says which words stand nowhere', async () => {
    expect((await search('ferry parking')).absent).toEqual(['park']);
  });

  it('finds nothing in what is left out', async () => {
    const tool = createSearchFiles();
    expect(tool.render(await search('password installed', tool))).toMatch(/^Nothing found for "password installed" in 2 files/);
  });

  it('sees files that were added, changed and removed since the last search', async () => {
    const tool = createSearchFiles();
    expect((await search('parking', tool)).hits).toEqual([]);
    docs.write('new.md', 'Parking is behind the church.\n');
    expect((await search('parking', tool)).hits).toHaveLength(1);
    docs.write('new.md', 'Swimming is behind the church, too.\n');
    expect((await search('parking', tool)).hits).toEqual([]);
    docs.remove();
    mkdirSync(docs.path);
    expect(await search('ferry', tool)).toMatchObject({ hits: [], files: 0 });
  });

  it('finds a line that goes on and on by its beginning', async () => {
    docs.write('data.json', `{"harbour": [${'"quay", '.repeat(230_000)}"lighthouse"]}`);
    expect((await search('harbour')).hits[0]).toMatchObject({ file: 'docs/data.json', from: 1, total: 1 });
    expect((await search('lighthouse')).hits).toEqual([]);
  });

  it('lets others run while it reads a large file', async () => {
    docs.write('long.txt', `${'the ferry leaves at nine, '.repeat(300)}\n\n`.repeat(240));
    let turns = 0;
    let done = false;
    const turn = (): void => {
      turns++;
      if (!done) setImmediate(turn);
    };
    setImmediate(turn);
    const before = await search('ferry').finally(() => (done = true));
    expect(before.hits.length).toBeGreaterThan(0);
    expect(turns).toBeGreaterThan(15);
  });

  it('shows passages as read_file shows lines', async () => {
    const tool = createSearchFiles();
    const result = await search('ticket', tool);
    expect(parseExcerpts(tool.render(result))).toEqual(result.hits.map(({ file, from, lines, total, headings }) => ({ file, from, lines, total, headings })));
  });
});

describe('what was not read', () => {
  const latin = new Uint8Array([0x67, 0xfc, 0x6e]);
  const nothing = 'Nothing found for "lighthouse" in 2 files. Try other words, or list_files.';

  it('is not mentioned where everything was (F3)', async () => {
    const tool = createSearchFiles();
    const found = await search('lighthouse', tool);
    expect(found).not.toHaveProperty('leftOut');
    expect(tool.render(found)).toBe(nothing);
    expect(await listFiles.run({}, context(docs))).not.toHaveProperty('leftOut');
  });

  it('is said with the reason when nothing is found, a few by name, texts first (F3)', async () => {
    docs.write('huge.txt', 'x'.repeat(FILE_BYTES_MAX + 1));
    for (const file of ['a.png', 'b.png', 'c.png', 'old.txt']) docs.write(file, latin);
    const tool = createSearchFiles();
    const found = await search('lighthouse', tool);
    expect(found.leftOut).toMatchObject({ tooLarge: { count: 1 }, notText: { count: 4 } });
    expect(tool.render(found)).toBe(
      `${nothing}\nNot read: 1 file is larger than 2,000,000 bytes (docs/huge.txt); 4 files are not UTF-8 text (docs/old.txt, docs/a.png, docs/b.png, …)`,
    );
    docs.write('huge.txt', 'x');
    docs.write('old.txt', 'The lighthouse.');
    expect(leftOutIn(tool.render(await search('lighthouse', tool)))).toEqual(['Not read: 3 files are not UTF-8 text (docs/a.png, docs/b.png, docs/c.png)']);
  });

  it('is said above what was found, and does not disturb it (F3)', async () => {
    docs.write('old.txt', latin);
    const tool = createSearchFiles();
    const result = await search('ticket', tool);
    const text = tool.render(result);
    expect(text).toMatch(/^Not read: 1 file is not UTF-8 text \(docs\/old.txt\)\n\n\[1\] docs\/guide.md/);
    expect(parseExcerpts(text)).toHaveLength(result.hits.length);
  });

  it('is said by a list of files too: files that are too large to read (F3)', async () => {
    docs.write('huge.txt', 'x'.repeat(FILE_BYTES_MAX + 1));
    expect(listFiles.render(await listFiles.run({}, context(docs)))).toMatch(/\nNot read: 1 file is larger than 2,000,000 bytes \(docs\/huge.txt\)$/);
    expect(listFiles.render(await listFiles.run({ folder: 'docs/deep' }, context(docs)))).not.toContain('Not read');
  });

  it('is bounded in length, and keeps to its line, whatever the files are called', async () => {
    for (let n = 0; n < 20; n++) docs.write(`${String(n).repeat(100)}/${'x'.repeat(200)}\n.txt`, latin);
    const tool = createSearchFiles();
    const [line] = leftOutIn(tool.render(await search('lighthouse', tool)));
    expect(line).toMatch(/20 files are not UTF-8 text .*, …\)$/);
    expect(line!.length).toBeLessThan(400);
  });

  it('holds the files beyond those that are looked at, and walking ends there (F3)', async () => {
    for (let n = 0; n <= FOLDER_FILES_MAX; n++) symlinkSync('nowhere', join(docs.path, `a${n}`));
    const { files, more } = await filesOf(docs, new AbortController().signal);
    expect([files, more]).toEqual([[], true]);
    const tool = createSearchFiles();
    expect(leftOutIn(tool.render(await search('ferry', tool)))).toEqual([
      'Not read: 1 folder holds more than 20,000 files or 20,000 folders, and no more are looked at (docs)',
    ]);
    expect(listFiles.render(await listFiles.run({}, context(docs)))).toMatch(/Not read: 1 folder holds more than 20,000 files/);
  });

  it('holds the folders beyond those that are looked at (F3)', async () => {
    for (let n = 0; n < FOLDERS_MAX; n++) mkdirSync(join(docs.path, `a${n}`));
    docs.write('z/last.txt', 'The lighthouse.');
    const { files, more } = await filesOf(docs, new AbortController().signal);
    expect([files.map(({ file }) => file), more]).toEqual([['docs/guide.md'], true]);
  });

  it('holds what may not be opened, until it may (F3)', async () => {
    docs.write('closed.txt', 'The lighthouse.');
    docs.write('deep/notes.txt', 'The lighthouse, too.');
    const [file, folder] = [join(docs.path, 'closed.txt'), join(docs.path, 'deep')];
    chmodSync(docs.path, 0o755);
    for (const path of [file, folder]) chmodSync(path, 0);
    const root = process.geteuid!() === 0;
    const tool = createSearchFiles();
    try {
      // Nothing is closed to the administrator.
      if (root) process.seteuid!(65_534);
      expect(leftOutIn(tool.render(await search('lighthouse', tool)))).toEqual(['Not read: 2 files or folders cannot be opened (docs/closed.txt, docs/deep)']);
    } finally {
      if (root) process.seteuid!(0);
      chmodSync(file, 0o644);
      chmodSync(folder, 0o755);
    }
    const found = await search('lighthouse', tool);
    expect(found.hits.map((hit) => hit.file).toSorted()).toEqual(['docs/closed.txt', 'docs/deep/notes.txt']);
    expect(found).not.toHaveProperty('leftOut');
  });
});

describe('check_quotes', () => {
  const check = async (line: number, quote: string, file = 'docs/guide.md') =>
    (await checkQuotes.run({ citations: [{ file, line, quote }] }, context(docs)))[0]!;

  it('accepts what stands word for word where it is said to stand', async () => {
    expect(await check(3, 'The ferry leaves at nine.')).toMatchObject({
      result: 'ok',
      around: { from: 2, lines: ['', 'The ferry leaves at nine.', 'It crosses in forty'] },
    });
    expect(await check(9, 'Children travel free.')).toMatchObject({ result: 'ok' });
  });

  it('takes white space for the same, also across lines', async () => {
    expect(await check(4, 'crosses   in forty minutes.')).toMatchObject({ result: 'ok' });
    expect(await check(5, 'crosses in forty minutes.')).toMatchObject({ result: 'moved', foundAt: 4 });
  });

  it('says where a quote stands if not at its line', async () => {
    const moved = await check(1, 'A ticket costs 12 crowns.');
    expect(moved).toMatchObject({ result: 'moved', foundAt: 9 });
    expect(checkQuotes.render([moved])).toContain('[1] moved docs/guide.md:1: the quote stands at line 9');
  });

  it('names the nearest line of those that hold a quote', async () => {
    const word = fc.constantFrom('', ' ', 'a', 'ab', 'a a', 'b');
    await fc.assert(
      fc.asyncProperty(
        fc.array(word, { minLength: 1, maxLength: 12 }),
        fc.constantFrom('a', 'b', 'a a', 'ab a', 'b b a'),
        fc.integer({ min: 1, max: 14 }),
        async (lines, quote, line) => {
          docs.write('drawn.txt', `${lines.join('\n')}\n`);
          const squeezed = (from: number) => lines.slice(from).join(' ').replace(/\s+/g, ' ').trim();
          const begins = (from: number): boolean => {
            for (let at = squeezed(from).indexOf(quote); at >= 0; at = squeezed(from).indexOf(quote, at + 1))
              if (squeezed(from).length - at > squeezed(from + 1).length) return true;
            return false;
          };
          const holding = lines.map((_, index) => index + 1).filter((number) => begins(number - 1));
          const nearest = holding.sort((one, other) => Math.abs(one - line) - Math.abs(other - line) || one - other)[0];
          const found = await check(line, quote, 'docs/drawn.txt');
          expect([found.result, found.foundAt]).toEqual(
            nearest === undefined ? ['missing', undefined] : nearest === line ? ['ok', undefined] : ['moved', nearest],
          );
        },
      ),
      { numRuns: 300, endOnFailure: true },
    );
  });

  it('looks through a large file that says one thing over and over as quickly for the last quote as for the first', async () => {
    const line = 'The same was said again.';
    docs.write('same.txt', `${line}\n`.repeat(FILE_BYTES_MAX / (line.length + 1)));
    const citations = Array.from({ length: 50 }, (_, n) => ({
      file: 'docs/same.txt',
      line: 1_500 * n + 1,
      quote: n % 2 === 0 ? line : 'The same was said once.',
    }));
    const found = await checkQuotes.run({ citations }, context(docs));
    expect(found.map(({ result }) => result)).toEqual(citations.map((_, n) => (n % 2 === 0 ? 'ok' : 'missing')));
  });

  it('says when a quote stands nowhere, with the lines that do stand there', async () => {
    const missing = await check(9, 'A ticket costs 13 crowns.');
    expect(missing.result).toBe('missing');
    expect(checkQuotes.render([missing])).toContain('9| A ticket costs 12 crowns. Children travel free.');
    expect(await check(90, 'nothing')).toMatchObject({ result: 'missing' });
  });

  it('counts a quote from a file that cannot be read as missing', async () => {
    expect(await check(1, 'root', '../../etc/passwd')).toMatchObject({ result: 'missing' });
    expect(await check(1, 'x', 'docs/none.md')).toMatchObject({ result: 'missing', why: expect.stringContaining('there is no file') });
  });
});
