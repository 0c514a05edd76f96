/** Logs for machines: JSON lines of what the actors do, without secrets, to a file or stderr. */
import { pino, type Logger } from 'pino';
import { version } from './version.ts';
import { redact } from './redact.ts';
import type { Observed } from '../runtime/host.ts';

export type LogOptions = { readonly log?: string | undefined; readonly logLevel: string };

/** Without a destination nothing is written. */
export const openLog = ({ log, logLevel }: LogOptions): Logger =>
  pino(
    {
      name: 'troupe',
      base: { version },
      level: log === undefined ? 'silent' : logLevel,
      redact: { paths: ['*.apiKey', '*.authorization', '*.password', '*.token'], censor: '[redacted]' },
      hooks: { streamWrite: redact },
    },
    pino.destination({ dest: log === undefined || log === '-' ? 2 : log, mkdir: true, sync: true }),
  );

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
