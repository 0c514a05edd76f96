/**
 * Ids and addresses: what they look like and the one place where they are made.
 *
 *   run       r-<17 letters and digits>            r-1mfz0k3v9t2abcdef
 *   address   <run>.<role>[.<agent>[.<key>]]       r-1mfz0k3v9t2a.worker.reader.s2-1
 *   effect    <address>/<position>/<child>         one effect of one transition
 *   grant     <effect>#<attempt>                   one physical attempt at that effect
 *
 * Every token of an address is `[A-Za-z0-9_-]+`, so an address is a log's name, a part of a bus subject and a file name
 * without escaping. Everything below an address follows from the log, so it is the same on every host and every replay.
 */
import { z } from 'zod';

const TOKEN = '[A-Za-z0-9_-]{1,64}';

export const RunId = z
  .string()
  .regex(/^r-[a-z0-9]{4,32}$/, 'expected a run id such as r-0k3v9t2mqa')
  .brand<'RunId'>();
export type RunId = z.infer<typeof RunId>;

export const Address = z
  .string()
  .regex(new RegExp(`^${TOKEN}(\\.${TOKEN}){1,4}$`), 'expected an address such as r-0k3v9t2mqa.worker.reader.s2-1')
  .brand<'Address'>();
export type Address = z.infer<typeof Address>;

/** A name that people give in a file: an agent, a step, an input. */
export const Name = z.string().regex(/^[A-Za-z][A-Za-z0-9_-]{0,47}$/, 'expected a name: a letter, then letters, digits, - or _ (48 at most)');
export type Name = z.infer<typeof Name>;

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';

/** Letters at the end of a run's id that are random: a thousand runs begun in one second are a thousand ids. */
const RANDOM_LETTERS = 10;

/** A new run's id: sorts by the time it was made (7 letters, to the second), then random ones. `random` gives [0, 1). */
export const newRunId = (nowMs: number, random: () => number): RunId => {
  let stamp = '';
  for (let left = Math.floor(nowMs / 1000), i = 0; i < 7; i++, left = Math.floor(left / 32)) stamp = ALPHABET[left % 32]! + stamp;
  let tail = '';
  for (let i = 0; i < RANDOM_LETTERS; i++) tail += ALPHABET[Math.floor(random() * 32)]!;
  return `r-${stamp}${tail}` as RunId;
};

export type AddressParts = { readonly run: RunId; readonly role: string; readonly agent?: string; readonly key?: string };

export const address = (run: RunId, role: string, agent?: string, key?: string): Address =>
  [run, role, ...(agent === undefined ? [] : [agent]), ...(key === undefined ? [] : [key])].join('.') as Address;

const KEY_CHARS = 64;

/**
 * The key of whoever is given an attempt at a step, by a supervisor whose own key is `key` (empty: the run's). It begins with
 * that key; what is too long, or could be read in two ways, is cut and told apart by a hash of all of it.
 */
export const keyWithin = (key: string, step: string, attempt: number): string => {
  const whole = `${key === '' ? '' : `${key}-`}${step}-${attempt}`;
  if (whole.length <= KEY_CHARS && !/-\d+-/.test(step)) return whole;
  const told = hash(JSON.stringify([key, step, attempt]));
  return `${whole.slice(0, KEY_CHARS - told.length - 1)}-${told}`;
};

/** FNV-1a in 64 bits, as letters and digits. */
const hash = (text: string): string => {
  let sum = 0xcbf29ce484222325n;
  for (const letter of text) sum = BigInt.asUintN(64, (sum ^ BigInt(letter.codePointAt(0)!)) * 0x100000001b3n);
  return sum.toString(36);
};

/** The parts of an address. The address was parsed at the edge; a role is always there. */
export const parseAddress = (of: Address): AddressParts => {
  const [run, role, agent, key] = of.split('.');
  return { run: run as RunId, role: role!, ...(agent !== undefined && { agent }), ...(key !== undefined && { key }) };
};

export const runOf = (of: Address): RunId => of.slice(0, of.indexOf('.')) as RunId;

/** The grant of one physical attempt at an effect, and back. */
export const grantId = (effect: string, attempt: number): string => `${effect}#${attempt}`;
export const effectOfGrant = (grant: string): { effect: string; attempt: number } => {
  const at = grant.lastIndexOf('#');
  return { effect: grant.slice(0, at), attempt: Number(grant.slice(at + 1)) };
};

/** The position of the entry at which the effect of a grant began. */
export const positionOfGrant = (grant: string): number | undefined => {
  const position = Number(grant.split('/', 2)[1] || Number.NaN);
  return Number.isSafeInteger(position) ? position : undefined;
};
