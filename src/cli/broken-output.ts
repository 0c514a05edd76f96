/**
 * Output that cannot be written. A reader may have read enough (`troupe prices | head`), which is no failure; without room for
 * what was asked for the command has failed, but what it does is brought to its end; and progress that cannot be shown is lost.
 */
import { failure } from '../protocols/failure.ts';
import { EXIT, tell } from './exit.ts';

export const outliveBrokenOutput = (): void => {
  process.stderr.on('error', () => {});
  let isTold = false;
  process.stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
    if (code === 'EPIPE' || isTold) return;
    isTold = true;
    tell(
      failure('OUTPUT_UNWRITABLE', `stdout cannot be written to: ${message}; make room there or send it elsewhere (troupe resume prints a run's answer again)`),
    );
    process.once('exit', () => (process.exitCode = EXIT.failed));
  });
};
