/** docs/protocol/asyncapi.yaml: valid by the official parser, and true of what stands on a server. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Parser, type ChannelInterface } from '@asyncapi/parser';
import { Ajv } from 'ajv';
import { connect } from 'nats';
import { expect, onTestFinished, test } from 'vitest';
import { openNatsBus } from '../../src/bus/nats/bus.ts';
import { Envelope } from '../../src/protocols/envelope.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { Presence } from '../../src/runtime/presence.ts';
import { startNatsServer } from '../support/nats-server.ts';

const RUN = 'r-0k3v9t2mqa';
const LOG = `${RUN}.worker.reader.s1-1`;

const FOLDER = join(import.meta.dirname, '../..', 'docs/protocol');
const text = readFileSync(join(FOLDER, 'asyncapi.yaml'), 'utf8');

const errorsOf = async (document: string): Promise<string[]> => {
  const { diagnostics } = await new Parser().parse(document);
  return diagnostics.filter(({ severity }) => severity === 0).map(({ code, path }) => `${path.join('.')}: ${code}`);
};

const parsed = async () => (await new Parser().parse(text)).document!;

/** The subjects of a channel: a parameter is one token, or several where it is said to be dotted. */
const subjectsOf = (channel: ChannelInterface): RegExp => {
  const dotted = new Set(
    channel
      .parameters()
      .all()
      .filter((parameter) => parameter.description()?.includes('dotted'))
      .map((parameter) => parameter.id()),
  );
  const address = channel.address() ?? 'none';
  return new RegExp(`^${address.replaceAll('.', '\\.').replaceAll(/\{(\w+)\}/g, (_, name: string) => (dotted.has(name) ? '.+' : '[^.]+'))}$`);
};

test('the official parser finds no error in it', async () => {
  expect(await errorsOf(text)).toEqual([]);
});

test.each([
  ['a message that is not there', /#\/components\/messages\/task\.assign\.v1/, '#/components/messages/task.asign.v1'],
  ['a channel that is not there', '#/channels/run"', '#/channels/runs"'],
  ['an action that does not exist', /action: receive/, 'action: listen'],
  ['a parameter that nobody explains', 'troupe.log.{shard}', 'troupe.log.{shrad}'],
  ['a type that JSON Schema does not know', /^ {6}type: object$/m, '      type: thing'],
])('the official parser finds %s', async (_, wanted, instead) => {
  const broken = text.replace(wanted, instead);
  expect(broken).not.toBe(text);
  expect(await errorsOf(broken)).not.toEqual([]);
});

test('every golden message fits the message of its name', async () => {
  const messages = (await parsed()).messages().all();
  const ajv = new Ajv({ strict: false });
  const golden = join(import.meta.dirname, 'golden');
  for (const file of readdirSync(golden)) {
    const said = JSON.parse(readFileSync(join(golden, file), 'utf8')) as Envelope;
    const described = messages.find((message) => message.name() === `${said.type}@${said.v}`);
    expect(ajv.validate(described!.payload()!.json(), said), `${file}: ${ajv.errorsText()}`).toBe(true);
    expect(ajv.validate(described!.payload()!.json(), { ...said, type: 'task.paint' }), file).toBe(false);
  }
});

test('a worker, a reviewer and a supervisor have what they hear and what they say', async () => {
  const operations = (await parsed()).operations();
  const saidBy = (operation: string) =>
    operations
      .get(operation)!
      .messages()
      .all()
      .map((message) => message.name());
  expect(saidBy('worker.hears')).toEqual(['task.assign@1', 'task.cancel@1']);
  expect(saidBy('worker.says')).toEqual(['task.completed@1', 'task.failed@1', 'task.handed_over@1']);
  expect(saidBy('reviewer.hears')).toEqual(['task.cancel@1', 'review.request@1', 'approval.decided@1']);
  expect(saidBy('reviewer.says')).toEqual(expect.arrayContaining(['review.verdict@1', 'review.failed@1']));
  expect(saidBy('supervisor.hears')).toEqual(
    expect.arrayContaining(['run.start@1', 'task.completed@1', 'task.failed@1', 'review.verdict@1', 'budget.closed@1']),
  );
  expect(saidBy('supervisor.says')).toEqual(expect.arrayContaining(['task.assign@1', 'review.request@1', 'run.completed@1', 'run.failed@1']));
});

test('what the adapter writes is on the subjects of the document, and fits its schemas', async () => {
  const server = await startNatsServer();
  const bus = await openNatsBus({ servers: server.url });
  const nats = await connect({ servers: server.url });
  onTestFinished(async () => {
    await nats.close();
    await bus.close();
    await server.dispose();
  });
  const envelope = Envelope.parse(JSON.parse(readFileSync(join(import.meta.dirname, 'golden/task.assign@1.json'), 'utf8')));
  const about = { serves: { team: 'desk', hash: 'h', agents: ['reader'], concurrency: 4, models: {} }, version: '1.0.0' };
  const presence = await Presence.open({ bus, clock: systemClock, id: 'h-1', about });
  onTestFinished(() => presence.close());
  await bus.append(LOG, envelope);
  await bus.put(`open.${RUN}`, 'desk');
  await bus.put(`lease.${LOG}`, 'h-1');
  await bus.put(`run.${RUN}`, '{}');
  await bus.put(`run.${RUN}0`, '{}');
  await bus.delete(`run.${RUN}0`);
  await bus.offer('work.now', 'item 1', { what: 'to do' });
  await bus.bury({ source: 'work.now', reason: 'no reason', body: '{}' });

  const document = await parsed();
  const channels = document.channels().all();
  const ajv = new Ajv({ strict: false });
  const fits = (message: string, body: string): void => {
    const payload = document
      .messages()
      .all()
      .find((one) => one.id() === message)!
      .payload()!;
    expect(ajv.validate(payload.json(), JSON.parse(body)), `${message}: ${ajv.errorsText()}`).toBe(true);
  };
  const jsm = await nats.jetstreamManager();
  const seen = new Set<string>();
  for (const stream of ['TROUPE_LOG', 'TROUPE_STORE', 'TROUPE_QUEUE', 'TROUPE_DEAD']) {
    const { state } = await jsm.streams.info(stream, { subjects_filter: '>' });
    for (const subject of Object.keys(state.subjects!)) {
      const channel = channels.find((one) => subjectsOf(one).test(subject));
      expect(channel, subject).toBeDefined();
      seen.add(channel!.id());
      const { data, header } = await jsm.streams.getMessage(stream, { last_by_subj: subject });
      const body = Buffer.from(data).toString();
      const headers = channel!.messages().all()[0]!.headers()?.json();
      const found = Object.fromEntries(header.keys().map((key) => [key, header.get(key)]));
      if (headers) expect(ajv.validate(headers, found), `${subject}: ${ajv.errorsText()}`).toBe(true);
      if (channel!.id() === 'host') fits('hostRecord', body);
      if (channel!.id() === 'queue') fits('queueItem', body);
      if (channel!.id() === 'dead') fits('deadLetter', body);
      if (channel!.id() === 'log') expect(body).toBe(`${LOG} ${JSON.stringify(envelope)}\n`);
    }
  }
  expect([...seen].sort()).toEqual(['dead', 'host', 'lease', 'log', 'openRun', 'queue', 'run']);
});
