/**
 * Conditions of a plan: a closed language over what is known when a step might begin. Nothing in it can fail, loop or call out,
 * and kinds are checked when it is read, so a condition that was read has a value whatever the steps said.
 *
 *   any       = all { "or" all }
 *   all       = denied { "and" denied }
 *   denied    = "not" denied | compared
 *   compared  = value [ ( "==" | "!=" | "<" | "<=" | ">" | ">=" ) value ]
 *   value     = "text" | number | true | false | name { "." name } | function "(" any { "," any } ")" | "(" any ")"
 *
 * Names: `steps.<id>.status`, `.text` and `.attempts`, `inputs.<name>`, `state.<name>`. A text that is compared with a number,
 * or by its size, is read as a number; of one that is no number every such comparison is false.
 */
export type Value = string | number | boolean;
type Kind = 'text' | 'number' | 'boolean';

export type Condition =
  | { readonly is: 'value'; readonly kind: Kind; readonly value: Value }
  | { readonly is: 'name'; readonly kind: Kind; readonly path: readonly string[] }
  | { readonly is: 'call'; readonly kind: Kind; readonly of: string; readonly args: readonly Condition[] };

export type ReadCondition =
  | { readonly ok: true; readonly condition: Condition }
  /** `problem` says at which character. */
  | { readonly ok: false; readonly problem: string };

type Operation = { readonly takes: readonly (readonly Kind[])[]; readonly gives: Kind; readonly run: (...values: never[]) => Value };

const numberOf = (value: Value): number => (typeof value === 'string' && value.trim() === '' ? Number.NaN : Number(value));
const same = (one: Value, other: Value): boolean => (typeof one === typeof other ? one === other : numberOf(one) === numberOf(other));
const sizes: readonly Kind[] = ['number', 'text'];
const bySize = (holds: (one: number, other: number) => boolean): Operation => ({
  takes: [sizes, sizes],
  gives: 'boolean',
  run: (one: Value, other: Value) => holds(numberOf(one), numberOf(other)),
});
const logic = (takes: number, run: (...values: never[]) => boolean): Operation => ({
  takes: Array.from({ length: takes }, () => ['boolean']),
  gives: 'boolean',
  run,
});
const anything: readonly Kind[] = ['text', 'number', 'boolean'];

const OPERATIONS: Readonly<Record<string, Operation>> = {
  and: logic(2, (one: boolean, other: boolean) => one && other),
  or: logic(2, (one: boolean, other: boolean) => one || other),
  not: logic(1, (one: boolean) => !one),
  '==': { takes: [anything, anything], gives: 'boolean', run: same },
  '!=': { takes: [anything, anything], gives: 'boolean', run: (one: Value, other: Value) => !same(one, other) },
  '<': bySize((one, other) => one < other),
  '<=': bySize((one, other) => one <= other),
  '>': bySize((one, other) => one > other),
  '>=': bySize((one, other) => one >= other),
  contains: { takes: [['text'], ['text']], gives: 'boolean', run: (text: string, part: string) => text.includes(part) },
  starts_with: { takes: [['text'], ['text']], gives: 'boolean', run: (text: string, part: string) => text.startsWith(part) },
  lower: { takes: [['text']], gives: 'text', run: (text: string) => text.toLowerCase() },
  length: { takes: [['text']], gives: 'number', run: (text: string) => text.length },
};
const FUNCTIONS = Object.keys(OPERATIONS).filter((name) => /^[a-z_]{4,}$/.test(name));
const COMPARISONS = ['==', '!=', '<', '<=', '>', '>='];

const NAMES = 'steps.<id>.status, steps.<id>.text, steps.<id>.attempts, inputs.<name> or state.<name>';
const isName = ([root, , field, ...more]: readonly string[]): boolean =>
  more.length === 0 &&
  (root === 'steps' ? field === 'status' || field === 'text' || field === 'attempts' : (root === 'inputs' || root === 'state') && field === undefined);

type Token = { readonly text: string; readonly at: number };
const TOKEN = /\s*("(?:[^"\\]|\\.)*"|'[^']*'|-?\d+(?:\.\d+)?|[A-Za-z][\w-]*(?:\.[A-Za-z][\w-]*)*|[=!<>]=|[<>(),]|$|.)/suy;

const tokensOf = (source: string): Token[] => {
  const tokens: Token[] = [];
  for (let end = 0; tokens.at(-1)?.text !== '';) {
    TOKEN.lastIndex = end;
    const [whole, text] = TOKEN.exec(source)!;
    tokens.push({ text: text!, at: end + whole.length - text!.length });
    end += whole.length;
  }
  return tokens;
};

class Misread extends Error {}

/** The condition that a text says, or what is wrong with it and where. */
export const readCondition = (source: string): ReadCondition => {
  const tokens = tokensOf(source);
  let next = 0;
  const expected = (what: string, { text, at } = tokens[next]!): Misread =>
    new Misread(`expected ${what} at character ${at + 1}, found ${text === '' ? 'the end' : text}`);
  const take = (): Token => tokens[next++]!;
  const takeIf = (...texts: readonly string[]): Token | undefined => (texts.includes(tokens[next]!.text) ? take() : undefined);
  const demand = (text: string): void => {
    if (!takeIf(text)) throw expected(`"${text}"`);
  };
  const call = (of: Token, args: readonly Condition[]): Condition => {
    const { takes, gives } = OPERATIONS[of.text]!;
    if (args.length !== takes.length) throw expected(`${takes.length} values for ${of.text}`, { text: String(args.length), at: of.at });
    args.forEach(({ kind }, index) => {
      if (!takes[index]!.includes(kind)) throw new Misread(`"${of.text}" at character ${of.at + 1} takes a ${takes[index]!.join(' or a ')}, found a ${kind}`);
    });
    return { is: 'call', kind: gives, of: of.text, args };
  };
  const chain = (of: string, part: () => Condition): Condition => {
    let left = part();
    for (let word = takeIf(of); word; word = takeIf(of)) left = call(word, [left, part()]);
    return left;
  };
  const any = (): Condition => chain('or', () => chain('and', denied));
  const denied = (): Condition => {
    const word = takeIf('not');
    return word ? call(word, [denied()]) : compared();
  };
  const compared = (): Condition => {
    const left = value();
    const sign = takeIf(...COMPARISONS);
    return sign ? call(sign, [left, value()]) : left;
  };
  const value = (): Condition => {
    if (takeIf('(')) {
      const inner = any();
      demand(')');
      return inner;
    }
    const token = tokens[next]!;
    const { text } = token;
    if (text === 'true' || text === 'false') return (take(), { is: 'value', kind: 'boolean', value: text === 'true' });
    if (/^-?\d/.test(text)) return (take(), { is: 'value', kind: 'number', value: Number(text) });
    if (/^'.*'$/su.test(text)) return (take(), { is: 'value', kind: 'text', value: text.slice(1, -1) });
    if (/^".+$/su.test(text)) return (take(), { is: 'value', kind: 'text', value: text.slice(1, -1).replaceAll(/\\(.)/gsu, '$1') });
    if (FUNCTIONS.includes(text)) return functionCall(take());
    const path = text.split('.');
    if (!isName(path)) throw expected(/^[A-Za-z]/.test(text) ? `${NAMES}, or one of ${FUNCTIONS.join(', ')}` : 'a value');
    take();
    return { is: 'name', kind: path[2] === 'attempts' ? 'number' : 'text', path };
  };
  const functionCall = (of: Token): Condition => {
    demand('(');
    const args = [any()];
    while (takeIf(',')) args.push(any());
    demand(')');
    return call(of, args);
  };
  try {
    const condition = any();
    if (tokens[next]!.text !== '') throw expected('"and", "or", a comparison or the end');
    if (condition.kind !== 'boolean')
      throw new Misread(`expected something that is true or false, found a ${condition.kind}; compare it, as in steps.find.status == "completed"`);
    return { ok: true, condition };
  } catch (thrown) {
    if (thrown instanceof Misread) return { ok: false, problem: thrown.message };
    throw thrown;
  }
};

/** Every name in a condition, as its parts. */
export const namesIn = (condition: Condition): readonly (readonly string[])[] =>
  condition.is === 'name' ? [condition.path] : condition.is === 'call' ? condition.args.flatMap(namesIn) : [];

/** What a status may be in a condition. */
export const STATUSES: readonly string[] = ['pending', 'running', 'completed', 'failed', 'skipped'];

/** Every value that a status is compared with and that none can be: such a comparison says the same whatever the steps do. */
export const strangeStatusesIn = (condition: Condition): readonly Value[] => {
  if (condition.is !== 'call') return [];
  const { of, args } = condition;
  const asksStatus = (of === '==' || of === '!=') && args.some((arg) => arg.is === 'name' && arg.path[2] === 'status');
  const strange = asksStatus ? args.flatMap((arg) => (arg.is === 'value' && !STATUSES.includes(String(arg.value)) ? [arg.value] : [])) : [];
  return [...strange, ...args.flatMap(strangeStatusesIn)];
};

/** What a condition comes to. `lookUp` gives what a name stands for. */
export const evaluate = (condition: Condition, lookUp: (path: readonly string[]) => Value): Value => {
  switch (condition.is) {
    case 'value':
      return condition.value;
    case 'name':
      return lookUp(condition.path);
    case 'call':
      return OPERATIONS[condition.of]!.run(...(condition.args.map((arg) => evaluate(arg, lookUp)) as never[]));
  }
};
