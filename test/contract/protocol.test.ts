/**
 * The protocol as others know it: what is published is what the code says, and what was said once is understood for ever.
 * Golden messages are added, never edited: each stands for entries that lie in somebody's log.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { catalogue, decode } from '../../src/protocols/catalogue.ts';
import { Envelope } from '../../src/protocols/envelope.ts';
import { publishedProtocol } from '../../src/protocols/json-schema.ts';
import { asyncApiYaml } from '../../scripts/asyncapi.ts';

const filesOf = (folder: string): ReadonlyMap<string, string> => {
  const path = fileURLToPath(new URL(folder, import.meta.url));
  return new Map(readdirSync(path).map((name) => [name, readFileSync(`${path}/${name}`, 'utf8')]));
};

const published = filesOf('../../docs/protocol');
const goldens = [...filesOf('golden')].map(([file, text]) => ({ file, envelope: JSON.parse(text) as Envelope }));
/** The payload with what an older sender left out filled in, as the schema says. */
const whole = ({ type, v, data }: Envelope): Record<string, unknown> => {
  const { shape } = catalogue.find((one) => one.type === type && one.v === v)!.data;
  const defaults = Object.entries(shape).flatMap(([field, schema]): [string, unknown][] => {
    const missing = schema.safeParse(undefined);
    return missing.success && missing.data !== undefined ? [[field, missing.data]] : [];
  });
  return { ...Object.fromEntries(defaults), ...data };
};
const golden = (file: string): Envelope => goldens.find((one) => one.file === file)!.envelope;

describe('the published protocol', () => {
  it('is what the code says', () => {
    expect(published, 'run node scripts/protocol-docs.ts').toEqual(new Map([...publishedProtocol(), ['asyncapi.yaml', asyncApiYaml()]]));
  });

  it('has a schema for every message', () => {
    for (const { type, v } of catalogue) expect([...published.keys()]).toContain(`${type}@${v}.json`);
  });
});

describe.each(goldens)('golden/$file', ({ file, envelope }) => {
  it('is named after its type and version', () => {
    expect(file.startsWith(`${envelope.type}@${envelope.v}.`)).toBe(true);
  });

  it('decodes, and says the same when it is encoded again', () => {
    const parsed = Envelope.parse(envelope);
    expect(parsed).toEqual(envelope);
    const decoded = decode(parsed);
    expect(decoded).toEqual({ ok: true, message: { type: envelope.type, data: whole(envelope) } });
    expect(JSON.parse(JSON.stringify(decoded))).toEqual(decoded);
  });

  it('fits what is published', () => {
    const ajv = new Ajv2020({ strict: false });
    const schema = JSON.parse(published.get(`${envelope.type}@${envelope.v}.json`)!) as object;
    expect(ajv.validate(schema, envelope.data), ajv.errorsText()).toBe(true);
    expect(ajv.validate(JSON.parse(published.get('envelope.json')!) as object, envelope), ajv.errorsText()).toBe(true);
  });
});

describe('decoding', () => {
  it('knows every message of the catalogue by a golden one, and no message has two entries', () => {
    const names = catalogue.map(({ type, v }) => `${type}@${v}`);
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(goldens.map(({ file }) => file)).toContain(`${name}.json`);
  });

  it('passes over fields that it does not know, in the envelope and in the payload', () => {
    for (const { envelope } of goldens) {
      const later = { ...envelope, hop: 3, data: { ...envelope.data, colour: 'green' } };
      const parsed = Envelope.parse(later);
      expect(parsed).not.toHaveProperty('hop');
      expect(decode(parsed)).toEqual({ ok: true, message: { type: envelope.type, data: whole(envelope) } });
    }
  });

  it('says that it does not know a type', () => {
    expect(decode({ type: 'task.paint', v: 1, data: {} })).toEqual({ ok: false, code: 'MESSAGE_UNKNOWN', reason: 'no message is called task.paint' });
  });

  it('says that it does not know a version', () => {
    expect(decode({ ...golden('task.cancel@1.json'), v: 2 })).toEqual({ ok: false, code: 'MESSAGE_UNKNOWN', reason: 'task.cancel has no version 2' });
  });

  it('says every place at which a payload does not fit', () => {
    const decoded = decode({ type: 'task.assign', v: 1, data: { step: 's 1', attempt: 0, goal: 'why', instructions: 7 } });
    expect(decoded).toMatchObject({ ok: false, code: 'MESSAGE_INVALID' });
    if (!decoded.ok) for (const place of ['step: ', 'attempt: ', 'instructions: ']) expect(decoded.reason).toContain(place);
  });

  it('refuses every golden message from which a field is missing, unless it may be absent', () => {
    for (const { type, v, data } of catalogue) {
      const said = golden(`${type}@${v}.json`);
      for (const [field, schema] of Object.entries(data.shape)) {
        const { [field]: _, ...rest } = said.data;
        expect([type, field, decode({ type, v, data: rest }).ok]).toEqual([type, field, schema.safeParse(undefined).success]);
      }
    }
  });

  it('fills in what an older sender left out', () => {
    const said = decode({ type: 'task.assign', v: 1, data: { step: 's1', attempt: 1, goal: 'why', instructions: 'look' } });
    expect(said).toMatchObject({ ok: true, message: { data: { findings: [] } } });
  });

  it('keeps the words free that an event of a chart needs for itself', () => {
    for (const { type, data } of catalogue) {
      for (const word of ['type', 'from', 'to', 'at']) expect([type, Object.keys(data.shape).includes(word)]).toEqual([type, false]);
    }
  });
});
