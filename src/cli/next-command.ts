/** What people are told to type next, with the bus that they have to name. */
import { DEFAULT_BUS, isInMemory } from '../bus/open.ts';

const PLAIN = /^[\w@%+=:,./-]+$/;

/** A word as a shell reads it. */
export const inShell = (word: string): string => (PLAIN.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`);

/** `--bus` with its value; empty for the default. */
export const busArgument = (bus: string): string => (bus === DEFAULT_BUS ? '' : ` --bus ${inShell(bus)}`);

/** `undefined`: what was in memory is gone with its process, so nothing goes on. */
export const resumeCommand = (run: string, bus: string): string | undefined => (isInMemory(bus) ? undefined : `troupe resume ${run}${busArgument(bus)}`);

/** How `troupe budget` is told of an account of a run, or of one that it shares with others. */
const accountWords = (account: string, run: string): { readonly name: string; readonly option: string } => {
  const parts = account.split('/');
  if (!parts.includes(run)) return { name: account, option: '' };
  return { name: run, option: parts.at(-1) === run ? '' : ` --account ${account}` };
};

const LITTLE_CENTS = 5n;
const NANOS_PER_CENT = 10_000_000n;

/** Adds `missingNanos`, or a little more. */
export const raiseCommand = (run: string, account: string, missingNanos: bigint, bus: string): string => {
  const { name, option } = accountWords(account, run);
  const missing = (missingNanos + NANOS_PER_CENT - 1n) / NANOS_PER_CENT;
  const cents = missing > LITTLE_CENTS ? missing : LITTLE_CENTS;
  return `troupe budget raise ${name} ${cents / 100n}.${String(cents % 100n).padStart(2, '0')}${option} --why "worth it"${busArgument(bus)}`;
};

export const thawCommand = (run: string, account: string, bus: string): string => {
  const { name, option } = accountWords(account, run);
  return `troupe budget freeze ${name} --thaw${option} --why "looked at"${busArgument(bus)}`;
};

/** Follows a run that others host. */
export const tailCommand = (run: string, bus: string): string => `troupe tail ${run}${busArgument(bus)}`;

export const GONE = 'its bus was in memory and is gone with this process: a run that is to go on later needs a bus in a file or on a server';
