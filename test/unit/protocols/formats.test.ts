import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseFormat } from '../../../src/protocols/formats.ts';

const report = { text: 'It is so [1].', citations: [{ file: 'a.md', line: 1, quote: 'so' }] };

describe('parseFormat', () => {
  it.each([
    ['bare', (json: string) => json],
    ['with room around it', (json: string) => `\n  ${json}\n\n`],
    ['in a fence', (json: string) => `\`\`\`\n${json}\n\`\`\``],
    ['in a fence that says json', (json: string) => `\`\`\`json\n${json}\n\`\`\`\n`],
  ])('reads JSON that is %s', (_, wrap) => {
    expect(parseFormat('report', wrap(JSON.stringify(report, null, 2)))).toEqual({ ok: true, value: report });
  });

  it('reads a report whose text holds a fence', () => {
    const fenced = { ...report, text: '```ts\nlet a;\n```' };
    expect(parseFormat('report', JSON.stringify(fenced))).toEqual({ ok: true, value: fenced });
    expect(parseFormat('report', `\`\`\`json\n${JSON.stringify(fenced)}\n\`\`\``)).toEqual({ ok: true, value: fenced });
  });

  it('fills in what may be left out', () => {
    expect(parseFormat('report', '{"text": "no sources"}')).toEqual({ ok: true, value: { text: 'no sources', citations: [] } });
    expect(parseFormat('verdict', '{"verdict": "accept", "confidence": 1}')).toMatchObject({ ok: true, value: { reasons: [] } });
    expect(parseFormat('plan', '{"steps": [{"id": "a", "agent": "b", "task": "c"}]}')).toMatchObject({ ok: true, value: { steps: [{ needs: [] }] } });
  });

  it.each([
    ['report', '', 'not JSON'],
    ['report', 'It is so.', 'not JSON'],
    ['report', '[]', 'answer: '],
    ['report', '{"text": ""}', 'text: '],
    ['report', '{"text": "a", "citations": [{"file": "a.md", "line": 0, "quote": "q"}]}', 'citations.0.line: '],
    ['verdict', '{"verdict": "maybe", "confidence": 2}', 'verdict: '],
    ['verdict', '{"verdict": "maybe", "confidence": 2}', 'confidence: '],
    ['plan', '{"steps": []}', 'steps: '],
    ['plan', '{"steps": [{"id": "1st", "agent": "b", "task": "c"}]}', 'steps.0.id: '],
  ] as const)('says where a %s does not fit: %s', (format, text, place) => {
    const parsed = parseFormat(format, text);
    expect(parsed.ok).toBe(false);
    if (!parsed.ok) expect(parsed.problem).toContain(place);
  });

  it('never throws, whatever a model says', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), fc.constantFrom('report', 'verdict', 'plan'), (text, format) => void parseFormat(format, text)));
  });
});
