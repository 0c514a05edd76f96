/**
 * YAML text as data, with the place of every value in it. One document of plain data: anchors, aliases and merge keys are
 * followed; tags, keys that are not text, duplicate keys and tabs are mistakes; what could exhaust the process is refused.
 */
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, visit, type Document, type Node, type Pair, type YAMLError, type YAMLMap } from 'yaml';
import { showPath, sortProblems, TeamFileError, type Issue, type Path, type Problem, type ProblemCode } from './problem.ts';

const BYTES_MAX = 1_000_000;
const ALIASES_MAX = 100;

export type Source = {
  /** The file, as people write it. */
  readonly name: string;
  readonly value: unknown;
  /** What does not keep the value from being read: duplicate keys, tags. */
  readonly problems: readonly Problem[];
  readonly locate: (issue: Issue) => Problem;
};

/** Reads a team file's text. Throws a `TeamFileError` if it is no YAML. */
export const readSource = (text: string, name: string): Source => {
  const lines = new LineCounter();
  const problemAt = (offset: number, code: ProblemCode, message: string, hint?: string): Problem => {
    const { line, col } = lines.linePos(offset);
    return { severity: 'error', code, file: name, line: Math.max(1, line), column: Math.max(1, col), path: '', message, ...(hint !== undefined && { hint }) };
  };
  if (Buffer.byteLength(text) > BYTES_MAX)
    throw new TeamFileError([problemAt(0, 'YAML_SIZE', `expected at most ${BYTES_MAX} bytes, found ${Buffer.byteLength(text)}`)]);

  const doc = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'error', merge: true, stringKeys: true, resolveKnownTags: false });
  const broken = [...doc.errors, ...doc.warnings].map((error) => problemAt(placeOf(error, text), codeOf(error), ...explain(error, text)));
  const unresolved = unresolvedAliases(doc).map(({ offset, alias }) => problemAt(offset, 'YAML_ALIAS', `no anchor &${alias} stands before *${alias}`));
  const problems = sortProblems([...firstSyntax(broken), ...unresolved]);
  if (problems.some(({ code }) => code !== 'YAML_DUPLICATE_KEY' && code !== 'YAML_TAG')) throw new TeamFileError(problems);

  const value = valueOf(doc, problemAt);
  if (value === null || value === undefined) throw new TeamFileError([problemAt(0, 'YAML_EMPTY', 'expected a team, found nothing', 'begin with `name:`')]);
  const locate = ({ code, path, message, hint, severity = 'error', onKey = false }: Issue): Problem => ({
    ...problemAt(offsetOf(doc, path, onKey), code, message, hint),
    severity,
    path: showPath(path),
  });
  return { name, value, problems, locate };
};

/** How deep is too deep is the stack's to say: only the line can be told. */
const placeOf = ({ code, pos: [at] }: YAMLError, text: string): number => (code === 'RESOURCE_EXHAUSTION' ? text.lastIndexOf('\n', at) + 1 : at);

const codeOf = ({ code }: YAMLError): ProblemCode => {
  switch (code) {
    case 'DUPLICATE_KEY':
      return 'YAML_DUPLICATE_KEY';
    case 'TAB_AS_INDENT':
      return 'YAML_TAB';
    case 'MULTIPLE_DOCS':
      return 'YAML_DOCUMENTS';
    case 'TAG_RESOLVE_FAILED':
      return 'YAML_TAG';
    case 'RESOURCE_EXHAUSTION':
      return 'YAML_DEPTH';
    default:
      return 'YAML_SYNTAX';
  }
};

const explain = (error: YAMLError, text: string): [message: string, hint?: string] => {
  const found = text.slice(...error.pos);
  switch (error.code) {
    case 'DUPLICATE_KEY':
      return [`the key "${/^[^:\s]*/.exec(text.slice(error.pos[0]))![0]}" stands twice in one map`, 'remove or rename one'];
    case 'TAB_AS_INDENT':
      return ['a tab indents this line', 'use spaces'];
    case 'MULTIPLE_DOCS':
      return ['a second document begins here', 'a team is one document: remove the line of dashes'];
    case 'TAG_RESOLVE_FAILED':
      return ['a tag stands here', 'only plain values are allowed'];
    case 'RESOURCE_EXHAUSTION':
      return ['nested too deeply'];
    case 'MISSING_CHAR':
      return [/quote/.test(error.message) ? 'a quote is opened and never closed' : lowered(error.message)];
    case 'NON_STRING_KEY':
      return ['expected a key that is text'];
    case 'BAD_SCALAR_START':
      return [`text cannot begin with ${found.slice(0, 1)}`, 'put it in quotes'];
    case 'BLOCK_AS_IMPLICIT_KEY':
      return ['a second colon, or a wrong indentation', 'put text with a colon in quotes'];
    default:
      return [lowered(error.message)];
  }
};

const lowered = (message: string): string => message.charAt(0).toLowerCase() + message.slice(1).replace(/\s+/g, ' ');

/** A mistake of syntax makes others behind it: only the first problem can be trusted to be one. */
const firstSyntax = (problems: readonly Problem[]): Problem[] => sortProblems(problems).filter(({ code }, index) => index === 0 || code !== 'YAML_SYNTAX');

const unresolvedAliases = (doc: Document): { offset: number; alias: string }[] => {
  const found: { offset: number; alias: string }[] = [];
  visit(doc, {
    Alias: (_, alias) => {
      if (alias.resolve(doc) === undefined) found.push({ offset: alias.range![0], alias: alias.source });
    },
  });
  return found;
};

const valueOf = (doc: Document, problemAt: (offset: number, code: ProblemCode, message: string, hint?: string) => Problem): unknown => {
  try {
    return doc.toJS({ maxAliasCount: ALIASES_MAX });
  } catch (thrown) {
    if (thrown instanceof RangeError) throw new TeamFileError([problemAt(0, 'YAML_DEPTH', 'nested too deeply')]);
    if (thrown instanceof ReferenceError)
      throw new TeamFileError([problemAt(0, 'YAML_ALIAS', 'aliases stand for more than a file may hold', 'write the values out')]);
    throw thrown;
  }
};

// --- places ----------------------------------------------------------------------------------------------------------------

/** Where the value at `path` begins, or its key; for what is not there, the key of the deepest map or list that is. */
const offsetOf = (doc: Document, path: Path, onKey: boolean): number => {
  let node = doc.contents;
  let keyOffset = 0;
  let valueOffset = 0;
  for (const key of path) {
    const inner = child(doc, node, key);
    if (!inner) return keyOffset;
    node = inner.value;
    keyOffset = inner.key?.range?.[0] ?? node?.range?.[0] ?? keyOffset;
    valueOffset = node?.range?.[0] ?? keyOffset;
  }
  return onKey ? keyOffset : valueOffset;
};

type Child = { readonly key: Node | undefined; readonly value: Node | null };

const child = (doc: Document, parent: Node | null, key: string | number): Child | undefined => {
  const node = isAlias(parent) ? (parent.resolve(doc) ?? null) : parent;
  if (isSeq(node)) return typeof key === 'number' && key < node.items.length ? { key: undefined, value: node.items[key] as Node } : undefined;
  if (!isMap(node)) return undefined;
  const pairs = node.items as Pair<Node, Node | null>[];
  const own = pairs.find((pair) => keyText(pair) === String(key));
  if (own) return { key: own.key, value: own.value };
  return pairs
    .filter((pair) => keyText(pair) === '<<')
    .flatMap((pair) => mergedMaps(doc, pair.value))
    .map((merged) => child(doc, merged, key))
    .find((found) => found !== undefined);
};

const keyText = ({ key }: Pair<Node, Node | null>): string | undefined =>
  isScalar(key) ? (typeof key.value === 'symbol' ? '<<' : String(key.value)) : undefined;

const mergedMaps = (doc: Document, value: Node | null): YAMLMap[] => {
  const node = isAlias(value) ? value.resolve(doc) : value;
  if (isMap(node)) return [node];
  return isSeq(node) ? node.items.flatMap((item) => mergedMaps(doc, item as Node)) : [];
};
