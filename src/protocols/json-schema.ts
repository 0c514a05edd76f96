/** The published contract: every message and the envelope as JSON Schema, for whoever speaks to the bus in another language. */
import { z } from 'zod';
import { catalogue, type MessageName } from './catalogue.ts';
import { Envelope } from './envelope.ts';

/** Who says a message, and to whom. */
export const speakers: Readonly<Record<MessageName, readonly [from: string, to: string]>> = {
  'run.start': ['client', 'supervisor, convener'],
  'run.cancel': ['client', 'supervisor, convener'],
  'run.completed': ['supervisor, convener', 'client'],
  'run.failed': ['supervisor, convener', 'client'],
  'plan.revised': ['supervisor', 'client'],
  'task.assign': ['supervisor, peer', 'worker, supervisor of a team'],
  'task.cancel': ['supervisor, peer', 'worker, reviewer, supervisor of a team'],
  'task.completed': ['worker, supervisor of a team', 'supervisor, peer'],
  'task.failed': ['worker, supervisor of a team', 'supervisor, peer'],
  'task.handed_over': ['worker', 'supervisor'],
  'review.request': ['supervisor', 'reviewer'],
  'review.verdict': ['reviewer', 'supervisor'],
  'review.failed': ['reviewer', 'supervisor'],
  'peer.convene': ['convener', 'peer'],
  'peer.dismiss': ['convener', 'peer'],
  'peer.concluded': ['peer', 'convener'],
  'peer.passed': ['peer', 'peer'],
  'contract.call': ['peer', 'peer'],
  'contract.bid': ['peer', 'peer that called'],
  'contract.award': ['peer that called', 'peer'],
  'contract.reject': ['peer that called', 'peer'],
  'contract.delivered': ['peer', 'peer that called'],
  'debate.position': ['peer', 'peer'],
  'debate.critique': ['peer', 'peer'],
  'debate.vote': ['peer', 'peer'],
  'document.edit': ['peer', 'peer'],
  'document.accept': ['peer', 'peer'],
  'gossip.facts': ['peer', 'peer'],
  'budget.reserve': ['host, for the actor that wants to spend', 'budget'],
  'budget.settle': ['actor that spent', 'budget'],
  'budget.release': ['actor that did not spend', 'budget'],
  'budget.extend': ['host, for the actor whose call goes on', 'budget'],
  'budget.orphaned': ['actor whose call was lost with its host', 'budget'],
  'budget.open': ['whoever starts a run', 'budget'],
  'budget.opened': ['budget', 'whoever opened'],
  'budget.raise': ['a person, through a command', 'budget'],
  'budget.raised': ['budget, supervisor, convener', 'whoever paused'],
  'budget.freeze': ['a person, through a command', 'budget'],
  'budget.revoked': ['budget', 'whoever holds the grant'],
  'budget.paused': ['budget, supervisor, convener', 'client, supervisor, convener, peer'],
  'budget.threshold': ['budget', 'client'],
  'budget.checkpoint': ['whoever cuts the log', 'budget'],
  'budget.close': ['supervisor, convener', 'budget'],
  'budget.granted': ['budget', 'whoever reserved'],
  'budget.vetoed': ['budget', 'whoever reserved'],
  'budget.closed': ['budget', 'supervisor, convener'],
  'approval.request': ['supervisor, reviewer, convener', 'approver'],
  'approval.answer': ['a person, through a command', 'approver'],
  'approval.decided': ['approver', 'supervisor, reviewer, convener'],
  'effect.claimed': ['host', 'log of the actor it hosts'],
  'effect.lost': ['host', 'log of the actor it hosts'],
  'effect.drawn': ['host', 'log of the actor it hosts'],
  'effect.completed': ['host', 'log of the actor it hosts'],
  'effect.failed': ['host', 'log of the actor it hosts'],
  'timer.fired': ['host', 'log of the actor it hosts'],
};

/** The messages that an actor of this role says, as such or as one `of a team` or `that called`. */
export const saidBy = (role: string): MessageName[] =>
  (Object.keys(speakers) as MessageName[]).filter((name) =>
    speakers[name][0].split(', ').some((who) => who === role || (/^\S+ (?:of|that) /.test(who) && who.startsWith(`${role} `))),
  );

const jsonSchema = (title: string, schema: z.ZodType): string => `${JSON.stringify({ title, ...z.toJSONSchema(schema, { io: 'input' }) }, null, 2)}\n`;

const index = (): string => `# The protocol

Generated from \`src/protocols\` by \`node scripts/protocol-docs.ts\`; edit it there.

Actors talk by appending entries to each other's logs. An entry is an [envelope](envelope.json) around a payload, and it is
decoded in two stages: the envelope first, then \`data\` by the schema of the envelope's \`type\` and \`v\`. What fails either
stage goes to the dead-letter log with the reason. Fields that a schema does not know are passed over. A field that may be
absent can be added to a message under the same version; any other change is a new version beside the old one.

[asyncapi.yaml](asyncapi.yaml) has all of it in one document, with the NATS subjects on which it is said; [The wire](../wire.md)
tells how an agent in another language takes part.

Amounts of money are integer nano-dollars in decimal strings, times are milliseconds since 1970.

| message | version | said by | to |
|---|---|---|---|
${catalogue.map(({ type, v }) => `| [\`${type}\`](${type}@${v}.json) | ${v} | ${speakers[type].join(' | ')} |`).join('\n')}
`;

/** The text of each published file, by its name. */
export const publishedProtocol = (): ReadonlyMap<string, string> =>
  new Map([
    ['README.md', index()],
    ['envelope.json', jsonSchema('envelope', Envelope)],
    ...catalogue.map(({ type, v, data }): [string, string] => [`${type}@${v}.json`, jsonSchema(`${type}@${v}`, data)]),
  ]);
