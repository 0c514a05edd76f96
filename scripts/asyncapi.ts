/**
 * The wire contract as one AsyncAPI document: the NATS subjects of the bus, what is said on them, and what the actors that a
 * foreign process may play hear and say there. Made from the messages' schemas and from the names that the adapter uses, so it
 * cannot say anything else than they do; docs/wire.md tells how to use it.
 */
import { stringify } from 'yaml';
import { z } from 'zod';
import { SHARDS } from '../src/bus/nats/batch.ts';
import { namesIn } from '../src/bus/nats/names.ts';
import { catalogue, type AnyMessage } from '../src/protocols/catalogue.ts';
import { Envelope } from '../src/protocols/envelope.ts';
import { Failure } from '../src/protocols/failure.ts';
import { speakers } from '../src/protocols/json-schema.ts';
import { HostRecord } from '../src/runtime/presence.ts';
import { RunRecord } from '../src/topology/run-record.ts';
import { Team } from '../src/topology/team.ts';

type Json = Readonly<Record<string, unknown>>;

const names = namesIn('troupe');

/** The roles that a process which is not Troupe may play, and the one that it talks to. */
const ROLES = ['worker', 'reviewer', 'supervisor'] as const;
type Role = (typeof ROLES)[number];

/** What others may rely on of a run's record. */
const PublicRunRecord = RunRecord.pick({ startedAt: true, hosting: true }).extend({
  team: Team.pick({ name: true, description: true, task: true, hash: true }).extend({
    agents: z.record(
      z.string(),
      z.object({ kind: z.string(), name: z.string(), role: z.string(), goal: z.string(), limits: z.object({ timeoutMs: z.number().int().positive() }) }),
    ),
  }),
});

const DeadLetter = z.object({ source: z.string(), reason: z.string(), body: z.string() });

const Data = z.record(z.string(), z.unknown());
const open = { id: z.string(), delivery: z.number().int().nonnegative(), data: Data };
const QueueItem = z.discriminatedUnion('state', [
  z.object({ state: z.literal('waiting'), ...open, delayMs: z.number().optional() }),
  z.object({ state: z.literal('held'), ...open, leaseMs: z.number() }),
  z.object({ state: z.literal('buried'), ...open, reason: z.string() }),
  z.object({ state: z.literal('finished'), id: z.string() }),
]);

/** JSON Schema of draft 7, which is what AsyncAPI's own schemas are made of. */
const schemaOf = (schema: z.ZodType): Json => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: 'input', target: 'draft-7' });
  return rest;
};

/** `task.assign@1` where only letters, digits, dots and dashes may stand. */
const keyOf = ({ type, v }: Pick<AnyMessage, 'type' | 'v'>): string => `${type}.v${v}`;

const ref = (...path: readonly string[]): Json => ({ $ref: `#/${path.join('/')}` });

const entrySchema = (message: AnyMessage): Json => ({
  allOf: [
    ref('components', 'schemas', 'envelope'),
    { type: 'object', properties: { type: { const: message.type }, v: { const: message.v }, data: ref('components', 'schemas', keyOf(message)) } },
  ],
});

const entryMessage = (message: AnyMessage): Json => {
  const [from, to] = speakers[message.type];
  return {
    name: `${message.type}@${message.v}`,
    summary: `Said by ${from}; to ${to}.`,
    contentType: 'application/json',
    headers: ref('components', 'schemas', 'batchHeaders'),
    payload: entrySchema(message),
  };
};

const stored = (title: string, summary: string, payload: Json, contentType = 'application/json'): Json => ({
  title,
  summary,
  contentType,
  headers: ref('components', 'schemas', 'storeHeaders'),
  payload,
});

const speaks = (said: string, role: Role): boolean => said.split(', ').includes(role);

/** What a role hears, and what it says. */
const operationsOf = (role: Role): [string, Json][] => {
  const messages = (side: 0 | 1): Json[] =>
    catalogue.filter(({ type }) => speaks(speakers[type][side], role)).map((message) => ref('channels', 'log', 'messages', keyOf(message)));
  const log = ref('channels', 'log');
  return [
    [
      `${role}.hears`,
      {
        action: 'receive',
        channel: log,
        summary: `What comes in the log of a ${role}, beside what a budget answers to whoever asks it.`,
        messages: messages(1),
      },
    ],
    [`${role}.says`, { action: 'send', channel: log, summary: `What a ${role} appends to the logs of others.`, messages: messages(0) }],
  ];
};

/** A subject as the adapter makes it, with what is different each time in braces. */
const address = (subject: string, ...parameters: readonly string[]): string =>
  parameters.reduce((made, parameter) => made.replace(parameter.toUpperCase(), `{${parameter}}`), subject);

const FRAMING = `A message holds entries, one a line: the log's name (the address of the actor that is spoken to), one space, the entry as JSON, one line feed. All logs whose names begin with the same token, such as a run's id, lie in the shard that FNV-1a of that token (32 bit) modulo ${SHARDS} gives. A writer has read the whole shard, leaves out the ids that a log has already, and expects the sequence that it has read last.`;

const token = (description: string): Json => ({ description });

const channels: Json = {
  log: {
    address: names.shard(0).replace(/0$/, '{shard}'),
    title: 'The logs of all actors',
    description: FRAMING,
    parameters: { shard: { description: 'From 0.', enum: Array.from({ length: SHARDS }, (_, shard) => `${shard}`) } },
    messages: Object.fromEntries(catalogue.map((message) => [keyOf(message), ref('components', 'messages', keyOf(message))])),
  },
  host: {
    address: address(names.key('host.HOST'), 'host'),
    title: 'Processes that are alive',
    description: 'Each renews its record three times in the length of a lease; a record that is not renewed is deleted by others.',
    parameters: { host: token('The id of one start of a process.') },
    messages: { hostRecord: ref('components', 'messages', 'hostRecord'), deleted: ref('components', 'messages', 'deleted') },
  },
  run: {
    address: address(names.key('run.RUN'), 'run'),
    title: 'What is stored of a run',
    parameters: { run: token("The run's id.") },
    messages: { runRecord: ref('components', 'messages', 'runRecord'), deleted: ref('components', 'messages', 'deleted') },
  },
  openRun: {
    address: address(names.key('open.RUN'), 'run'),
    title: 'Runs that agent processes host and that have not ended',
    parameters: { run: token("The run's id.") },
    messages: { openRun: ref('components', 'messages', 'openRun'), deleted: ref('components', 'messages', 'deleted') },
  },
  lease: {
    address: address(names.key('lease.RUN.ACTOR'), 'run', 'actor'),
    title: 'Who hosts an actor',
    parameters: { run: token("The run's id."), actor: token("What follows the run's id in the actor's address, as one token: `=2e` stands for a dot.") },
    messages: { lease: ref('components', 'messages', 'lease'), deleted: ref('components', 'messages', 'deleted') },
  },
  queue: {
    address: address(names.item('QUEUE', 'ITEM'), 'queue', 'item'),
    title: 'Shared work',
    description: 'The newest message of a subject is the state of its item; each change expects the sequence of the one before.',
    parameters: { queue: token("The queue's name, dotted."), item: token("The item's id, as one token.") },
    messages: { queueItem: ref('components', 'messages', 'queueItem') },
  },
  dead: {
    address: address(names.dead('LETTER'), 'letter'),
    title: 'What could not be decoded or delivered',
    parameters: { letter: token('What it is the letter of, as one token: a second letter of the same is refused by its expected sequence, 0.') },
    messages: { deadLetter: ref('components', 'messages', 'deadLetter') },
  },
  ask: {
    address: address(names.ask('SUBJECT'), 'subject'),
    title: 'Questions with a deadline, in core NATS',
    parameters: { subject: token('What is asked, dotted.') },
    messages: { question: ref('components', 'messages', 'question') },
  },
  answer: {
    address: null,
    title: "The asker's inbox",
    messages: { answer: ref('components', 'messages', 'answer') },
  },
  event: {
    address: address(names.event('SUBJECT'), 'subject'),
    title: 'Events for whoever looks on, in core NATS',
    parameters: { subject: token('What happened, dotted.') },
    messages: { event: ref('components', 'messages', 'event') },
  },
};

const operations: Json = {
  ...Object.fromEntries(ROLES.flatMap(operationsOf)),
  'host.isAlive': {
    action: 'send',
    channel: ref('channels', 'host'),
    summary: 'Puts itself on record, renews the record, and deletes it when it leaves.',
    messages: [ref('channels', 'host', 'messages', 'hostRecord'), ref('channels', 'host', 'messages', 'deleted')],
  },
  'host.readsRun': { action: 'receive', channel: ref('channels', 'run'), summary: 'Learns which team an address belongs to.' },
  'host.watchesRuns': { action: 'receive', channel: ref('channels', 'openRun'), summary: 'Learns which runs have not ended.' },
  'host.buries': { action: 'send', channel: ref('channels', 'dead'), summary: 'Keeps what it cannot decode, with the reason.' },
  'anybody.asks': {
    action: 'send',
    channel: ref('channels', 'ask'),
    summary: 'Asks whoever answers on the subject.',
    reply: { channel: ref('channels', 'answer'), address: { location: '$message.header#/reply' } },
  },
  'anybody.watches': { action: 'receive', channel: ref('channels', 'event'), summary: 'Looks on.' },
};

const components: Json = {
  messages: {
    ...Object.fromEntries(catalogue.map((message) => [keyOf(message), entryMessage(message)])),
    hostRecord: stored('Host record', 'A process that is alive, and what it plays.', ref('components', 'schemas', 'hostRecord')),
    runRecord: stored('Run record', 'The team of a run; the record has more than is listed here.', ref('components', 'schemas', 'runRecord')),
    openRun: stored('Open run', "The name of the run's team, as plain text.", { type: 'string' }, 'text/plain'),
    lease: stored('Lease', 'The id of a host, as plain text.', { type: 'string' }, 'text/plain'),
    deleted: stored('Deleted', 'The key is gone; the message goes after a while, too.', { type: 'string', maxLength: 0 }, 'text/plain'),
    queueItem: { title: 'Queue item', contentType: 'application/json', payload: ref('components', 'schemas', 'queueItem') },
    deadLetter: { title: 'Dead letter', contentType: 'application/json', payload: ref('components', 'schemas', 'deadLetter') },
    question: { title: 'Question', contentType: 'application/json', payload: { type: 'object' } },
    answer: { title: 'Answer', contentType: 'application/json', payload: ref('components', 'schemas', 'answer') },
    event: { title: 'Event', contentType: 'application/json', payload: { type: 'object' } },
  },
  schemas: {
    envelope: schemaOf(Envelope),
    ...Object.fromEntries(catalogue.map((message) => [keyOf(message), schemaOf(message.data)])),
    hostRecord: schemaOf(HostRecord),
    runRecord: schemaOf(PublicRunRecord),
    queueItem: schemaOf(QueueItem),
    deadLetter: schemaOf(DeadLetter),
    answer: schemaOf(z.union([z.object({ data: Data }), z.object({ failure: Failure })])),
    batchHeaders: {
      type: 'object',
      required: ['Nats-Expected-Last-Subject-Sequence'],
      properties: {
        'Nats-Expected-Last-Subject-Sequence': { type: 'string', description: "The sequence of the shard's last message that the writer has read; 0: none." },
        'Troupe-Batch': { type: 'string', description: 'How a writer knows its own message again; optional.' },
        'Troupe-Cut': { type: 'string', description: '`<log> <position>`, on a message without entries: what is before is gone.' },
      },
    },
    storeHeaders: {
      type: 'object',
      required: ['Troupe-Key'],
      properties: {
        'Troupe-Key': { type: 'string', description: 'The key, percent-encoded.' },
        'Troupe-Deleted': { type: 'string', description: '`yes` on a deletion, and on nothing else.' },
        'Nats-Expected-Last-Subject-Sequence': {
          type: 'string',
          description: 'The revision that is replaced; 0: the key is new. Without it the write is not conditional.',
        },
      },
    },
  },
};

/** The document as data. */
export const asyncApi = (): Json => ({
  asyncapi: '3.0.0',
  info: {
    title: 'Troupe on NATS',
    version: '1.0.0',
    description:
      'Generated from the sources by `npm run docs`. Each actor has a log; actors talk by appending entries to the logs of others. docs/wire.md tells how an agent in another language takes part.',
    license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
  },
  defaultContentType: 'application/json',
  servers: {
    local: {
      host: '127.0.0.1:4222',
      protocol: 'nats',
      description: `nats-server 2.9 or newer with JetStream. Streams: ${[names.logStream, names.queueStream, names.storeStream, names.deadStream].join(', ')}.`,
    },
  },
  channels,
  operations,
  components,
});

/** The text of docs/protocol/asyncapi.yaml. */
export const asyncApiYaml = (): string => stringify(asyncApi(), { lineWidth: 0, aliasDuplicateObjects: false });
