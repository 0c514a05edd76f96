/** What does not fit a schema, in our words: expected and found. zod's own texts are for those who write schemas. */
import type { z } from 'zod';

type Issue = z.core.$ZodIssue;

/** `citations.0.line: expected a number, found "four"`; `whole` is what the value is called where all of it is wrong. */
export const mismatches = ({ issues }: z.core.$ZodError, value: unknown, whole: string): string =>
  issues
    .flatMap(fitting)
    .map((issue) => `${issue.path.join('.') || whole}: ${mismatch(issue, valueAt(value, issue.path))}`)
    .join('; ');

/** Of what may be one of several, the mistakes in the one that it was meant to be: a map with a wrong field is no wrong text. */
const fitting = (issue: Issue): Issue[] => {
  if (issue.code !== 'invalid_union') return [issue];
  const meant = issue.errors.find((errors) => errors.every(({ path, code }) => path.length > 0 || code === 'unrecognized_keys'));
  return meant?.flatMap((inner) => fitting({ ...inner, path: [...issue.path, ...inner.path] })) ?? [issue];
};

const mismatch = (issue: Issue, value: unknown): string => {
  switch (issue.code) {
    case 'invalid_type':
      return `expected ${typeWords(issue.expected)}, found ${show(value)}`;
    case 'invalid_value':
      return `expected ${issue.values.map(String).join(' | ')}, found ${show(value)}`;
    case 'too_small':
      return `expected ${sizeWords(issue.origin, 'at least', Number(issue.minimum))}, found ${show(value)}`;
    case 'too_big':
      return `expected ${sizeWords(issue.origin, 'at most', Number(issue.maximum))}, found ${show(value)}`;
    case 'unrecognized_keys':
      return `unknown key "${issue.keys.join('", "')}"`;
    case 'custom':
      return issue.message;
    case 'invalid_key':
      return `${ownWords(issue.issues[0]) ?? 'expected another key'}, found ${show(issue.path.at(-1))}`;
    default:
      return `${ownWords(issue) ?? 'expected another value'}, found ${show(value)}`;
  }
};

/** A schema that has a message of its own says in it what it expects. */
const ownWords = (issue: Issue | undefined): string | undefined => (issue?.message.startsWith('expected ') ? issue.message : undefined);

export const valueAt = (root: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>((value, key) => (value === null || typeof value !== 'object' ? undefined : (value as Record<PropertyKey, unknown>)[key]), root);

export const typeWords = (type: string): string => {
  switch (type) {
    case 'object':
    case 'record':
      return 'a map';
    case 'array':
      return 'a list';
    case 'string':
      return 'text';
    case 'number':
      return 'a number';
    case 'int':
      return 'a whole number';
    default:
      return type;
  }
};

export const sizeWords = (origin: string, bound: string, size: number): string => {
  if (origin === 'string') return size === 1 ? 'text' : `${bound} ${size} characters`;
  if (origin === 'array') return `${bound} ${size} ${size === 1 ? 'entry' : 'entries'}`;
  return `${bound} ${size}`;
};

const SHOWN_CHARS_MAX = 60;

/** A value in a few characters. What is no finite number is written as YAML has it: JSON has no word for it. */
export const show = (value: unknown): string => {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : `a list of ${value.length}`;
  if (typeof value === 'object') return 'a map';
  if (typeof value === 'number' && !Number.isFinite(value)) return Number.isNaN(value) ? '.nan' : value > 0 ? '.inf' : '-.inf';
  const shown = JSON.stringify(value) ?? typeof value;
  return shown.length > SHOWN_CHARS_MAX ? `${shown.slice(0, SHOWN_CHARS_MAX - 3)}…"` : shown;
};
