/**
 * Values by id, as a value of its own: a change gives another one and shares all but a small part with it. Plain data, so that it
 * goes into a snapshot as it is. A record with a thousand keys would be copied key by key for each grant.
 */

type Bucket<T> = readonly (readonly [id: string, value: T, came: number, hash: number])[];
export type ById<T> = { readonly size: number; /** How many have come so far. */ readonly came: number; readonly buckets: readonly Bucket<T>[] };

const BUCKETS = 64;
const EMPTY: Bucket<never> = [];

export const none: ById<never> = { size: 0, came: 0, buckets: Array.from({ length: BUCKETS }, () => EMPTY) };

/** FNV-1a. */
const hashOf = (id: string): number => {
  let hash = 0x811c9dc5;
  for (let at = 0; at < id.length; at++) hash = Math.imul(hash ^ id.charCodeAt(at), 0x01000193);
  return hash >>> 0;
};

/** Ids of one account have long beginnings in common: their hashes are compared first. */
const indexOf = (bucket: Bucket<unknown>, id: string, hash: number): number => {
  for (let at = 0; at < bucket.length; at++) if (bucket[at]![3] === hash && bucket[at]![0] === id) return at;
  return -1;
};

export const get = <T>({ size, buckets }: ById<T>, id: string): T | undefined => {
  if (size === 0) return undefined;
  const hash = hashOf(id);
  const bucket = buckets[hash % BUCKETS]!;
  return bucket[indexOf(bucket, id, hash)]?.[1];
};

export const put = <T>(all: ById<T>, id: string, value: T): ById<T> => {
  const hash = hashOf(id);
  const at = hash % BUCKETS;
  const bucket = all.buckets[at]!;
  const known = indexOf(bucket, id, hash);
  if (known >= 0) return { ...all, buckets: all.buckets.with(at, bucket.with(known, [id, value, bucket[known]![2], hash])) };
  const came = all.came + 1;
  return { size: all.size + 1, came, buckets: all.buckets.with(at, [...bucket, [id, value, came, hash]]) };
};

export const without = <T>(all: ById<T>, id: string): ById<T> => {
  const hash = hashOf(id);
  const at = hash % BUCKETS;
  const bucket = all.buckets[at]!;
  const known = indexOf(bucket, id, hash);
  return known < 0 ? all : { ...all, size: all.size - 1, buckets: all.buckets.with(at, bucket.toSpliced(known, 1)) };
};

export const has = (all: ById<unknown>, id: string): boolean => get(all, id) !== undefined;

/** Those that `which` takes, in the order in which they came. */
export const entriesOf = <T>({ buckets }: ById<T>, which: (id: string, value: T) => boolean = () => true): readonly (readonly [id: string, value: T])[] => {
  const taken: Bucket<T>[number][] = [];
  for (const bucket of buckets) for (const one of bucket) if (which(one[0], one[1])) taken.push(one);
  return taken.sort(([, , a], [, , b]) => a - b).map(([id, value]) => [id, value]);
};

/** In no order: for whoever looks for one. */
export function* valuesOf<T>({ buckets }: ById<T>): Generator<T> {
  for (const bucket of buckets) for (const [, value] of bucket) yield value;
}
