/** Reservations straight at one account, without agents: how fast it grants, how long that takes, and how soon it stops. */
import type { Bus } from '../src/bus/port.ts';
import { decode } from '../src/protocols/catalogue.ts';
import type { Envelope } from '../src/protocols/envelope.ts';
import { address, type Address, type RunId } from '../src/protocols/ids.ts';

export type Driven = { readonly perSecond: number; readonly latencyMs: readonly number[] };

const quote = {
  model: 'bench/model',
  fixedNanos: '1000',
  outputNanosPerMtok: '600000000',
  maxTokens: 100,
  minTokens: 16,
  inputTokens: 50,
  priceHash: 'bench',
};
const usage = { inputTokens: 40, outputTokens: 20, cachedInputTokens: 0, reasoningTokens: 0 };

type Hear = (type: 'budget.granted' | 'budget.vetoed', grant: string) => void;

const openClient = async (bus: Bus, account: Address, name: string) => {
  const client = address(`r-${name}` as RunId, 'client');
  const said = (id: string, type: string, data: Record<string, unknown>): Envelope => ({ id, type, v: 1, from: client, time: Date.now(), data });
  let hear: Hear = () => {};
  const following = bus.follow(client, await bus.head(), ({ envelope }) => {
    const decoded = decode(envelope);
    if (decoded.ok && (decoded.message.type === 'budget.granted' || decoded.message.type === 'budget.vetoed'))
      hear(decoded.message.type, decoded.message.data.grant);
  });
  await following.caughtUp;
  return {
    reserve: (grant: string) => bus.append(account, said(`${grant}/reserve`, 'budget.reserve', { grant, quote })),
    settle: (grant: string) => bus.append(account, said(`${grant}/settle`, 'budget.settle', { grant, spentNanos: '20000', usage, model: quote.model })),
    revoke: () => bus.append(account, said('freeze', 'budget.freeze', { frozen: true, revoke: true, by: 'bench', why: 'to see how soon it stops' })),
    onAnswer: (listener: Hear) => void (hear = listener),
    stop: () => following.stop(),
  };
};

/** Reserves and settles `pairs` times, so many at once. It ends when the last settlement is durable. */
export const drive = async (bus: Bus, account: Address, { name, pairs, inFlight }: { name: string; pairs: number; inFlight: number }): Promise<Driven> => {
  const client = await openClient(bus, account, name);
  const { promise: done, resolve, reject } = Promise.withResolvers<void>();
  const asked = new Map<string, number>();
  const latencyMs: number[] = [];
  let begun = 0;
  let settled = 0;
  const began = performance.now();
  const next = (): void => {
    if (begun === pairs) return;
    const grant = `${name}-${begun++}`;
    asked.set(grant, performance.now());
    client.reserve(grant).catch(reject);
  };
  client.onAnswer((type, grant) => {
    if (type === 'budget.vetoed') return reject(new Error(`${grant} is vetoed`));
    latencyMs.push(performance.now() - asked.get(grant)!);
    asked.delete(grant);
    client.settle(grant).then(() => {
      if (++settled === pairs) resolve();
    }, reject);
    next();
  });
  for (let i = 0; i < inFlight; i++) next();
  await done;
  const perSecond = (pairs * 1_000) / (performance.now() - began);
  client.stop();
  return { perSecond, latencyMs };
};

/** While so many are under way the account is frozen and revoked: milliseconds from there to the last grant that anybody hears, and how many came. */
export const driveUntilRevoked = async (
  bus: Bus,
  account: Address,
  { name, inFlight, before }: { name: string; inFlight: number; before: number },
): Promise<{ readonly lastGrantMs: number; readonly durableMs: number; readonly grantsAfter: number }> => {
  const client = await openClient(bus, account, name);
  const { promise: done, resolve, reject } = Promise.withResolvers<void>();
  let begun = 0;
  let granted = 0;
  let open = 0;
  let revokedAt: number | undefined;
  let durableMs = 0;
  let lastGrantMs = 0;
  let grantsAfter = 0;
  const next = (): void => {
    open++;
    client.reserve(`${name}-${begun++}`).catch(reject);
  };
  client.onAnswer((type, grant) => {
    open--;
    if (type === 'budget.vetoed') return open === 0 ? resolve() : undefined;
    if (revokedAt !== undefined) {
      lastGrantMs = performance.now() - revokedAt;
      grantsAfter++;
    }
    client.settle(grant).catch(reject);
    if (++granted === before) {
      const at = performance.now();
      revokedAt = at;
      client.revoke().then(() => void (durableMs = performance.now() - at), reject);
    }
    next();
  });
  for (let i = 0; i < inFlight; i++) next();
  await done;
  client.stop();
  return { lastGrantMs, durableMs, grantsAfter };
};
