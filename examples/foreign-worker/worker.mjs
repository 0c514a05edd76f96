/**
 * A worker that is not Troupe: with a NATS client and docs/wire.md it plays the agent `counter` of the team `column`.
 *
 * It follows the logs, takes what is assigned to its agent, and answers each task once: the id of an answer follows from its
 * task, and an answer is written only if nobody has written to the shard since it was read to its end. So it may be killed at
 * any moment, and any number of it may run.
 */
import { connect, headers } from 'nats';

const [TEAM, AGENT] = ['column', 'counter'];
const [RENEW_MS, AGAIN_MS] = [1_300, 500];
const [WRONG_LAST_SEQUENCE, NO_MESSAGE] = [10071, 10037];

const nats = await connect({ servers: process.argv[2] ?? 'nats://127.0.0.1:4222', name: AGENT, maxReconnectAttempts: -1 });
const jetstream = nats.jetstream();
const { streams } = await nats.jetstreamManager();

const pause = () => new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
const isRefused = (thrown, errorCode) => thrown.api_error?.err_code === errorCode;
/** What is under a key of the store, asked until the server answers; `undefined`: nothing. */
const get = async (subject) => {
  try {
    const found = await streams.getMessage('TROUPE_STORE', { last_by_subj: subject });
    return found.header.has('Troupe-Deleted') ? undefined : found;
  } catch (thrown) {
    return isRefused(thrown, NO_MESSAGE) ? undefined : pause().then(() => get(subject));
  }
};

// --- being there: a record for the others, renewed before they take this process for dead ------------------------------------

const id = `counter-${crypto.randomUUID()}`;
const serves = { team: TEAM, hash: '', agents: [AGENT], concurrency: 16, models: {} };
const record = { id, pid: process.pid, machine: process.env.HOSTNAME ?? 'elsewhere', startedAt: Date.now(), serves };
const putRecord = (value, head = {}) => {
  const all = headers();
  for (const [name, said] of Object.entries({ 'Troupe-Key': `host.${id}`, ...head })) all.set(name, said);
  return jetstream.publish(`troupe.store.host.${id}`, value, { headers: all }).catch(() => {}); // the next one is soon
};
const renew = () => putRecord(JSON.stringify({ ...record, renewedAt: Date.now() }));

// --- reading: every entry since the oldest open run began -------------------------------------------------------------------

const MINE = new RegExp(`^r-[a-z0-9]+\\.worker\\.${AGENT}\\.[^.]+$`);
/** By the names of their logs; and the ids of answers to them, whoever gave them. */
const tasks = new Map();
const answered = new Set();
/** The sequence of the last message that was read, by shard. */
const lastOf = new Map();
const waiting = [];
const whereToBegin = async () => {
  const { last_seq: head } = (await streams.info('TROUPE_LOG')).state;
  const { subjects = {} } = (await streams.info('TROUPE_STORE', { subjects_filter: 'troupe.store.open.*' })).state;
  const open = (await Promise.all(Object.keys(subjects).map(get))).filter(Boolean);
  if (open.length === 0) return { deliver_policy: 'by_start_sequence', opt_start_seq: head + 1 };
  const oldest = Math.min(...open.map(({ time }) => time.getTime()));
  return { deliver_policy: 'by_start_time', opt_start_time: new Date(oldest).toISOString() };
};

const hear = (log, entry) => {
  if (MINE.test(entry.from) && entry.id === `${entry.from}/answer`) answered.add(entry.id);
  if (!MINE.test(log)) return;
  if (entry.type === 'task.assign' && typeof entry.data.instructions === 'string' && !tasks.has(log)) tasks.set(log, { log, run: log.split('.')[0], entry });
  if (entry.type === 'task.cancel' && tasks.has(log)) tasks.get(log).cancelled = entry.data.reason;
};

const read = (message) => {
  for (const line of message.string().split('\n')) {
    const space = line.indexOf(' ');
    try {
      if (space > 0) hear(line.slice(0, space), JSON.parse(line.slice(space + 1)));
    } catch {
      // No entry: whoever it was meant for keeps it as a dead letter.
    }
  }
  lastOf.set(message.subject, message.seq);
  for (const wake of waiting.splice(0)) wake();
};

// --- working and answering --------------------------------------------------------------------------------------------------

const work = async (task) => {
  const { run, entry } = task;
  const { step, attempt, instructions, deadline = Infinity } = entry.data;
  const [stored, isOpen] = await Promise.all([get(`troupe.store.run.${run}`), get(`troupe.store.open.${run}`)]);
  if (!stored || !isOpen || stored.json().team.name !== TEAM || Date.now() > deadline) return;
  if (task.cancelled === undefined) return answer(task, 'task.completed', { step, attempt, text: count(instructions), citations: [], turns: 0 });
  await answer(task, 'task.failed', { step, attempt, failure: { code: 'TASK_CANCELLED', message: `cancelled: ${task.cancelled}` } });
};

const answer = async ({ log, run, entry }, type, data) => {
  const shard = `troupe.log.${shardOf(run)}`;
  const said = { id: `${log}/answer`, type, v: 1, from: log, causation: entry.id, correlation: run, time: Date.now(), data };
  while (!answered.has(said.id)) {
    const last = lastOf.get(shard);
    try {
      await jetstream.publish(shard, `${entry.from} ${JSON.stringify(said)}\n`, { expect: { lastSubjectSequence: last } });
      return;
    } catch (thrown) {
      // Others were first, and what they wrote is on its way; or nobody knows whether this was written.
      if (!isRefused(thrown, WRONG_LAST_SEQUENCE)) await pause();
      else if (lastOf.get(shard) === last) await new Promise((wake) => waiting.push(wake));
    }
  }
};

/** FNV-1a of a run's id. */
const shardOf = (run) => ([...run].reduce((hash, letter) => Math.imul(hash ^ letter.charCodeAt(0), 0x01000193), 0x811c9dc5) >>> 0) % 16;

const count = (text) => {
  const words = text.match(/[\p{L}\p{N}]+(?:['’-][\p{L}\p{N}]+)*/gu) ?? [];
  const sentences = text.split(/(?<=[.!?])\s+/u).filter((sentence) => /\p{L}/u.test(sentence));
  return `The text has ${words.length} words in ${sentences.length} sentences, and takes ${Math.ceil(words.length / 4)} seconds to read aloud.`;
};

// --- life -------------------------------------------------------------------------------------------------------------------

const underWay = new Set();
let isStopping = false;
/** The streams are made by the first process of Troupe; this one is of no use before. */
const isOpened = async () => (await streams.names('troupe.store.>').next()).length > 0;
if (!(await isOpened())) process.stdout.write('waits for a process of Troupe, which makes the streams\n');
while (!(await isOpened())) await pause();
const messages = await (await jetstream.consumers.get('TROUPE_LOG', await whereToBegin())).consume();
await renew();
const renewing = setInterval(renew, RENEW_MS);
const stop = async () => {
  isStopping = true;
  await Promise.all(underWay);
  messages.stop();
};
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, stop);
process.stdout.write(`plays ${AGENT} of ${TEAM} as ${id}\n`);

for await (const message of messages) {
  read(message);
  if (message.info.pending > 0 || isStopping) continue; // before all is read it is not known what was answered
  for (const task of tasks.values()) {
    if (task.isTaken || answered.has(`${task.log}/answer`)) continue;
    task.isTaken = true;
    process.stdout.write(`took ${task.log}\n`);
    const end = work(task).finally(() => underWay.delete(end));
    underWay.add(end);
  }
}
clearInterval(renewing);
await Promise.all(underWay);
await putRecord('', { 'Troupe-Deleted': 'yes' });
await nats.drain();
