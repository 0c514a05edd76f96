/**
 * A value against the team file's schema: what is wrong with its shape, in the words of the file. One mistake is one issue: a
 * mistyped key is not reported again as the missing key that it was meant to be.
 */
import { z } from 'zod';
import { show, sizeWords, typeWords, valueAt } from '../protocols/mismatch.ts';
import type { Issue, Path } from './problem.ts';
import { TeamFile } from './schema.ts';
import { knownHint, nearest } from './suggest.ts';

export type Shaped = { readonly ok: true; readonly file: TeamFile } | { readonly ok: false; readonly issues: readonly Issue[] };

export const shapeTeam = (value: unknown): Shaped => {
  const parsed = TeamFile.safeParse(value);
  const lost = lostKeys(value);
  if (parsed.success && lost.length === 0) return { ok: true, file: parsed.data };
  const issues = (parsed.error?.issues ?? []).flatMap((issue) => issuesOf(issue, value)).filter(({ path }) => path.at(-1) !== LOST);
  return { ok: false, issues: [...lost, ...oncePerMistake(issues)] };
};

/** The one key that a record drops without a word. */
const LOST = '__proto__';

/** A value that stands in several places is looked at in the first. */
const lostKeys = (value: unknown, path: Path = [], seen = new Set<unknown>()): Issue[] => {
  if (typeof value !== 'object' || value === null || seen.has(value)) return [];
  seen.add(value);
  if (Array.isArray(value)) return value.flatMap((item, index) => lostKeys(item, [...path, index], seen));
  return Object.keys(value).flatMap((key): Issue[] =>
    key === LOST
      ? [{ code: 'NAME_INVALID', path: [...path, key], onKey: true, message: `"${key}" cannot be a name`, hint: 'choose another' }]
      : lostKeys(value[key as keyof typeof value], [...path, key], seen),
  );
};

const issuesOf = (issue: z.core.$ZodIssue, root: unknown): Issue[] => {
  const path = issue.path as Path;
  const value = valueAt(root, path);
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => unknownKey([...path, key], keysAt(TeamFile, root, path)));
    case 'invalid_key':
      return [{ code: 'NAME_INVALID', path, onKey: true, message: `${issue.issues[0]?.message ?? issue.message}, found ${show(path.at(-1))}` }];
    case 'invalid_union':
      if ('discriminator' in issue && issue.discriminator !== undefined) return discriminated(issue, path, root);
      return withinMeant(issue, root) ?? [valueIssue(path, issue.message, value)];
    case 'invalid_type':
      if (value === undefined) return [missing(path, typeWords(issue.expected))];
      return [{ ...valueIssue(path, `expected ${typeWords(issue.expected)}`, value), code: 'VALUE_TYPE' }];
    case 'invalid_value': {
      const options = issue.values.map(String);
      if (value === undefined) return [missing(path, options.join(' | '))];
      return [{ ...valueIssue(path, `expected ${options.join(' | ')}`, value), hint: didYouMean(value, options) }];
    }
    case 'too_small':
      return [valueIssue(path, `expected ${sizeWords(issue.origin, 'at least', Number(issue.minimum))}`, value)];
    case 'too_big':
      return [valueIssue(path, `expected ${sizeWords(issue.origin, 'at most', Number(issue.maximum))}`, value)];
    case 'custom':
      return [value !== null && typeof value === 'object' ? { code: 'VALUE_INVALID', path, message: issue.message } : valueIssue(path, issue.message, value)];
    default:
      return [valueIssue(path, issue.message, value)];
  }
};

/** What is wrong inside of a map or a list, where no other of the shapes is one. */
const withinMeant = ({ errors, path }: z.core.$ZodIssueInvalidUnion, root: unknown): Issue[] | undefined => {
  const meant = errors.filter((issues) => issues.every((issue) => issue.path.length > 0 || issue.code === 'unrecognized_keys'));
  if (meant.length !== 1) return undefined;
  return meant[0]!.flatMap((issue) => issuesOf({ ...issue, path: [...path, ...issue.path] }, root));
};

/** Of several shapes it cannot be told which is meant: the key that tells is missing, or names none of them. */
const discriminated = (issue: z.core.$ZodIssueInvalidUnion, path: Path, root: unknown): Issue[] => {
  const parent = path.slice(0, -1);
  const options = ((issue as { options?: unknown[] }).options ?? []).map(String);
  const found = valueAt(root, path);
  if (found !== undefined) return [{ ...valueIssue(path, `expected ${options.join(' | ')}`, found), hint: didYouMean(found, options) }];
  const known = keysAt(TeamFile, root, parent);
  const strange = Object.keys(valueAt(root, parent) as object).filter((key) => !known.includes(key));
  return [missing(path, options.join(' | ')), ...strange.map((key) => unknownKey([...parent, key], known))];
};

const unknownKey = (path: Path, known: readonly string[]): Issue => {
  const key = String(path.at(-1));
  return { code: 'KEY_UNKNOWN', path, onKey: true, message: `unknown key "${key}"`, hint: knownHint(key, known) };
};

const missing = (path: Path, expected: string): Issue => ({ code: 'KEY_MISSING', path, message: `missing; expected ${expected}` });

const valueIssue = (path: Path, expected: string, value: unknown): Issue =>
  value === undefined ? missing(path, expected.replace(/^expected /, '')) : { code: 'VALUE_INVALID', path, message: `${expected}, found ${show(value)}` };

const didYouMean = (value: unknown, options: readonly string[]): string | undefined => {
  const near = typeof value === 'string' ? nearest(value, options) : undefined;
  return near === undefined ? undefined : `did you mean "${near}"?`;
};

const oncePerMistake = (issues: readonly Issue[]): Issue[] => {
  const strange = issues.filter(({ code }) => code === 'KEY_UNKNOWN');
  const meant = new Set(strange.map(({ path, hint }) => JSON.stringify([...path.slice(0, -1), /did you mean "(.*)"/.exec(hint ?? '')?.[1] ?? null])));
  const strangeMaps = new Set(strange.map(({ path }) => JSON.stringify(path.slice(0, -1))));
  return issues.filter(({ code, path }) => {
    if (code === 'KEY_MISSING') return !meant.has(JSON.stringify(path));
    return code === 'KEY_UNKNOWN' || !strangeMaps.has(JSON.stringify(path));
  });
};

// --- the schema at a path --------------------------------------------------------------------------------------------------

/** The keys that a map at `path` may have. */
const keysAt = (schema: z.core.$ZodType, value: unknown, path: Path): string[] => {
  const [key, ...rest] = path;
  if (key !== undefined) return inside(schema, value, key).flatMap((inner) => keysAt(inner, valueAt(value, [key]), rest));
  return [...new Set(objects(schema, value).flatMap((object) => Object.keys(object.shape)))];
};

const inside = (schema: z.core.$ZodType, value: unknown, key: string | number): z.core.$ZodType[] => {
  const bare = unwrap(schema);
  if (bare instanceof z.ZodRecord) return [bare.valueType];
  if (bare instanceof z.ZodArray) return [bare.element];
  return objects(bare, value).flatMap((object) => object.shape[key] ?? []);
};

/** The maps that a schema allows; of a union those that `value` says it is, or all. */
const objects = (schema: z.core.$ZodType, value: unknown): z.ZodObject[] => {
  const bare = unwrap(schema);
  if (bare instanceof z.ZodObject) return [bare];
  if (!(bare instanceof z.ZodDiscriminatedUnion)) return bare instanceof z.ZodUnion ? bare.options.flatMap((option) => objects(option, value)) : [];
  const options = bare.options as z.ZodObject[];
  const { discriminator } = bare.def;
  const said = options.filter(({ shape }) => shape[discriminator]!.safeParse(valueAt(value, [discriminator])).success);
  return said.length > 0 ? said : options;
};

const unwrap = (schema: z.core.$ZodType): z.core.$ZodType =>
  schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault ? unwrap(schema.unwrap()) : schema;
