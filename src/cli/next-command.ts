/** What people are told to type next, with the bus that they have to name. */
import { DEFAULT_BUS, isInMemory } from '../bus/open.ts';

const PLAIN = /^[\w@%+=:,./-]+$/;

/** A word as a shell reads it. */
export const inShell = (word: string): string => (PLAIN.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`);

/** `--bus` with its value; empty for the default. */
export const busArgument = (bus: string): string => (bus === DEFAULT_BUS ? '' : ` --bus ${inShell(bus)}`);

/** `undefined`: what was in memory is gone with its process, so nothing goes on. */
export const resumeCommand = (run: string, bus: string): string | undefined => (isInMemory(bus) ? undefined : `troupe resume ${run}${busArgument(bus)}`);

/** Follows a run that others host. */
export const tailCommand = (run: string, bus: string): string => `troupe tail ${run}${busArgument(bus)}`;

export const GONE = 'its bus was in memory and is gone with this process: a run that is to go on later needs a bus in a file or on a server';
