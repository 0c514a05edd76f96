/** The forms that a team asks of answers: what fits, what is wrong in which words, and schemas that would not hold. */
import { describe, expect, it } from 'vitest';
import { answerShape, readOutput, schemaProblems } from '../../../src/protocols/output.ts';

const LETTER = {
  type: 'object',
  properties: {
    order: { type: 'string', pattern: '^[A-Z]-[0-9]+$' },
    euros: { type: 'number', minimum: 0 },
    wish: { enum: ['refund', 'exchange'] },
    items: { type: 'array', items: { $ref: '#/definitions/item' }, maxItems: 2 },
  },
  required: ['order', 'euros'],
  additionalProperties: false,
  definitions: { item: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] } },
};

describe('a value', () => {
  it.each([[{ order: 'A-1', euros: 4 }], [{ order: 'A-1', euros: 0, wish: 'refund', items: [{ name: 'a' }] }]])('that fits is the value: %j', (value) => {
    expect(readOutput(LETTER, value)).toEqual({ ok: true, value });
  });

  it.each([
    [{ order: 'A-1' }, 'output.euros: expected a number, found nothing'],
    [{ order: 'A-1', euros: '4' }, 'output.euros: expected a number, found "4"'],
    [{ order: 'A-1', euros: -4 }, 'output.euros: expected at least 0, found -4'],
    [{ order: 'A-1', euros: 4, wish: 'money' }, 'output.wish: expected refund | exchange, found "money"'],
    [{ order: 'A-1', euros: 4, items: [{ name: 1 }] }, 'output.items.0.name: expected text, found 1'],
    [{ order: 'A-1', euros: 4, tip: 1 }, 'output: unknown key "tip"'],
    ['A-1', 'output: expected a map, found "A-1"'],
  ])('that does not fit is told with its place: %j', (value, problem) => {
    expect(readOutput(LETTER, value)).toEqual({ ok: false, problem });
  });
});

describe('a pattern', () => {
  const LONG = `${'a'.repeat(100_000)}!`;
  const slow = { type: 'string', pattern: '^(a+)+$' };

  it.each([
    ['in a map', { type: 'object', properties: { a: slow } }, { a: LONG }],
    ['in a list', { type: 'array', items: slow }, [LONG]],
    ['in one of several', { anyOf: [slow, { type: 'number' }] }, LONG],
    ['in all of several', { allOf: [slow, { type: 'string', description: 'letters' }] }, LONG],
    ['of a definition', { type: 'array', items: { $ref: '#/definitions/a' }, definitions: { a: slow } }, [LONG]],
    [
      'of a definition that holds itself',
      { $ref: '#/definitions/a', definitions: { a: { type: 'object', properties: { text: slow, next: { $ref: '#/definitions/a' } } } } },
      { next: { text: LONG } },
    ],
    ['of what may be absent', { type: ['string', 'null'], pattern: slow.pattern }, LONG],
  ])('%s takes time that grows with the answer, and no faster', (_, schema, value) => {
    expect(schemaProblems(schema)).toEqual([]);
    expect(readOutput(schema, value)).toMatchObject({ ok: false });
    expect(readOutput(schema, JSON.parse(JSON.stringify(value).replace('!', '')))).toMatchObject({ ok: true });
  });

  it.each([
    [{ type: 'string', pattern: '^(?=.*a)' }, ['pattern'], '"^(?=.*a)" cannot be used'],
    [{ type: 'object', properties: { a: { type: 'string', pattern: '(a)\\1' } } }, ['properties', 'a', 'pattern'], 'cannot be used'],
    [{ type: 'string', pattern: '(' }, ['pattern'], 'cannot be used'],
    [{ type: 'object', propertyNames: { pattern: '^(a+)+$' } }, ['propertyNames', 'pattern'], 'names of properties'],
    [{ type: 'object', patternProperties: { '^(a+)+$': {} } }, ['patternProperties'], 'no keyword'],
    [{ type: 'array', contains: slow }, ['contains'], 'no keyword'],
  ])('that could not be matched so is told at its place: %j', (schema, path, problem) => {
    expect(schemaProblems(schema)).toEqual([{ path, problem: expect.stringContaining(problem) }]);
  });
});

describe('a schema', () => {
  it('that can be held has no problems', () => {
    expect(schemaProblems(LETTER)).toEqual([]);
  });

  it.each([
    [{ type: 'object', propertys: {} }, ['propertys']],
    [{ type: 'object', properties: { a: { typ: 'string' } } }, ['properties', 'a', 'typ']],
    [{ type: 'array', items: { if: {} } }, ['items', 'if']],
    [{ anyOf: [{ type: 'string' }, { typo: 1 }] }, ['anyOf', 1, 'typo']],
    [{ $ref: '#/definitions/gone' }, []],
  ])('that would not hold is told at its place: %j', (schema, path) => {
    expect(schemaProblems(schema).map((problem) => problem.path)).toEqual([path]);
  });

  it('asks for the reasoning before the answer, and for nothing but the parts of the answer', () => {
    const shape = answerShape({ schema: LETTER, repairs: 1 }, true);
    expect(Object.keys(shape['properties'] as object)).toEqual(['reasoning', 'output', 'citations']);
    expect(shape['definitions']).toBe(LETTER.definitions);
    expect(Object.keys(answerShape(undefined, true)['properties'] as object)).toEqual(['reasoning', 'text', 'citations']);
  });
});
