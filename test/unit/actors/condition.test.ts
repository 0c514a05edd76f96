import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { evaluate, namesIn, readCondition, type Value } from '../../../src/actors/supervisor/condition.ts';

const known: Readonly<Record<string, Value>> = {
  'steps.find.status': 'completed',
  'steps.find.text': 'Yes, it is "so"',
  'steps.score.text': ' 8 ',
  'steps.score.attempts': 2,
  'inputs.mode': 'fast',
  'state.notes': 'one\ntwo',
};
const valueOf = (source: string): Value => {
  const read = readCondition(source);
  if (!read.ok) throw new Error(read.problem);
  return evaluate(read.condition, (path) => known[path.join('.')]!);
};
const problemOf = (source: string): string | undefined => {
  const read = readCondition(source);
  return read.ok ? undefined : read.problem;
};

describe('a condition', () => {
  it.each<[string, boolean]>([
    ['true', true],
    ['steps.find.status == "completed"', true],
    ["steps.find.status == 'failed'", false],
    ['steps.find.status != "failed"', true],
    ['contains(steps.find.text, "Yes")', true],
    ['contains(steps.find.text, "yes")', false],
    ['contains(lower(steps.find.text), "yes")', true],
    ['contains(steps.find.text, "\\"so\\"")', true],
    ['starts_with(inputs.mode, "fa")', true],
    ['steps.score.text >= 7', true],
    ['steps.score.text == 8', true],
    ['steps.score.text < 7.5', false],
    ['steps.find.text > 1', false],
    ['steps.find.text <= 1', false],
    ['steps.score.attempts == 2', true],
    ['length(inputs.mode) == 4', true],
    ['-1 < 0', true],
    ['contains(state.notes, "two")', true],
    ['not steps.find.status == "failed"', true],
    ['false and false or true', true],
    ['false and (false or true)', false],
    ['not true or true', true],
    ['not (true or true)', false],
    ['true == false', false],
  ])('%s is %s', (source, expected) => {
    expect(valueOf(source)).toBe(expected);
  });

  it('of a text that is empty is no number', () => {
    const read = readCondition('inputs.mode == 0');
    expect(read.ok && evaluate(read.condition, () => '')).toBe(false);
  });

  it.each([
    ['', 'expected a value at character 1, found the end'],
    ['steps.find.status ==', 'expected a value at character 21, found the end'],
    ['steps.find.status = "x"', 'expected "and", "or", a comparison or the end at character 19, found ='],
    ['steps.find.state == "x"', /^expected steps\.<id>\.status, .* or one of contains, starts_with, lower, length at character 1, found steps\.find\.state$/],
    ['steps.find == "x"', /at character 1, found steps\.find$/],
    ['true and process.exit', /at character 10, found process\.exit$/],
    ['(true', 'expected ")" at character 6, found the end'],
    ['true true', 'expected "and", "or", a comparison or the end at character 6, found true'],
    ['"open', 'expected a value at character 1, found "'],
    ['contains(inputs.mode)', 'expected 2 values for contains at character 1, found 1'],
    ['contains(inputs.mode, 3)', '"contains" at character 1 takes a text, found a number'],
    ['inputs.mode and true', '"and" at character 13 takes a boolean, found a text'],
    ['true < 1', '"<" at character 6 takes a number or a text, found a boolean'],
    ['inputs.mode', 'expected something that is true or false, found a text; compare it, as in steps.find.status == "completed"'],
    ['1 == 1 == 1', 'expected "and", "or", a comparison or the end at character 8, found =='],
    ['and(true, true)', /found and$/],
    ['🙂', 'expected a value at character 1, found 🙂'],
  ])('that reads %j is refused with its place', (source, problem) => {
    if (typeof problem === 'string') expect(problemOf(source)).toBe(problem);
    else expect(problemOf(source)).toMatch(problem);
  });

  it('says which names it asks for', () => {
    const read = readCondition('contains(steps.find.text, inputs.mode) and not state.notes == "x"');
    expect(read.ok && namesIn(read.condition)).toEqual([
      ['steps', 'find', 'text'],
      ['inputs', 'mode'],
      ['state', 'notes'],
    ]);
  });

  it('is read or refused, whatever the text, and what is read is true or false', () => {
    const words = fc.constantFrom('true', 'and', 'or', 'not', '(', ')', ',', '==', '<', '"a"', '7', 'steps.a.text', 'inputs.b', 'contains', 'lower', '.', '"');
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(words, { maxLength: 12 }).map((all) => all.join(' ')),
        ),
        (source) => {
          const read = readCondition(source);
          if (read.ok) expect(typeof evaluate(read.condition, () => 'a')).toBe('boolean');
          else expect(read.problem).not.toBe('');
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
