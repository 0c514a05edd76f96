/** What people are told to type next, with the bus that they have to name. */
import { DEFAULT_BUS, isInMemory } from '../bus/open.ts';

const PLAIN = /^[\w@%+=:,./-]+$/;

/** `--bus` with its value, as a shell reads it; empty for the default. */
export const busArgument = (bus: string): string => {
  if (bus === DEFAULT_BUS) return '';
  return ` --bus ${PLAIN.test(bus) ? bus : `'${bus.replaceAll("'", String.raw`'\''`)}'`}`;
};

/** `undefined`: what was in memory is gone with its process, so nothing goes on. */
export const resumeCommand = (run: string, bus: string): string | undefined => (isInMemory(bus) ? undefined : `troupe run --resume ${run}${busArgument(bus)}`);

export const GONE = 'its bus was in memory and is gone with this process: a run that is to go on later needs a bus in a file or on a server';
