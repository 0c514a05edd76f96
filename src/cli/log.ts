/** Logs for machines: JSON lines of what the actors do, without secrets, to a file or stderr. */
import { dirname, resolve } from 'node:path';
import { pino, type Logger } from 'pino';
import { makeFolder } from '../bus/make-folder.ts';
import { TroupeError } from '../protocols/failure.ts';
import { say } from './exit.ts';
import { version } from './version.ts';
import { redact } from './redact.ts';
import type { Observed } from '../runtime/host.ts';

export type LogOptions = { readonly log?: string | undefined; readonly logLevel: string };

/** Without a destination nothing is written. Error: LOG_UNWRITABLE. */
export const openLog = ({ log, logLevel }: LogOptions): Logger =>
  pino(
    {
      name: 'troupe',
      base: { version },
      level: log === undefined ? 'silent' : logLevel,
      redact: { paths: ['*.apiKey', '*.authorization', '*.password', '*.token'], censor: '[redacted]' },
      hooks: { streamWrite: redact },
    },
    log === undefined || log === '-' ? onStderr() : fileOf(log),
  );

/** Lines that cannot be written there are lost, as progress is. */
const onStderr = (): ReturnType<typeof pino.destination> => pino.destination({ dest: 2, sync: true }).on('error', () => {});

const fileOf = (path: string): ReturnType<typeof pino.destination> => {
  try {
    makeFolder(dirname(resolve(path)));
    const file = pino.destination({ dest: path, sync: true });
    // A run that was paid for does not end because its log cannot be written.
    file.once('error', ({ message }: Error) => {
      say(`--log ${path}: ${message}; from here on lines may be missing`);
      file.on('error', () => {});
    });
    return file;
  } catch (cause) {
    throw new TroupeError('LOG_UNWRITABLE', `--log ${path}: expected a file that can be written to: ${(cause as Error).message}`, { cause });
  }
};

/** One line for each step: what was heard, where that led, and what comes of it. */
export const logStep = (log: Logger, { instance, entry, outputs, replayed }: Observed): void => {
  const { message } = entry;
  const line = {
    actor: instance.address,
    heard: message.type,
    state: instance.state.snapshot.value,
    position: entry.position,
    outputs: outputs.map((output) =>
      output.kind === 'send'
        ? `send ${output.type} to ${output.to}`
        : output.kind === 'arm' || output.kind === 'disarm'
          ? `${output.kind} ${output.timer.sendId}`
          : `${output.kind} ${output.effect.child}`,
    ),
    ...(replayed && { replayed }),
  };
  if (message.type === 'effect.failed') log.warn({ ...line, failure: message.data.failure }, `${instance.address}: ${message.data.failure.message}`);
  else if (message.type === 'effect.completed' && message.data.bill) log.info({ ...line, bill: message.data.bill }, 'a paid call');
  else log.debug(line, 'step');
};
