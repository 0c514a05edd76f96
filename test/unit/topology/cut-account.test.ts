/** Cutting the log of an account that many runs share. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openEmbeddedBus } from '../../../src/bus/embedded/bus.ts';
import type { Bus, Entry } from '../../../src/bus/port.ts';
import { versionOf, type MessageName, type PayloadOf } from '../../../src/protocols/catalogue.ts';
import type { Address } from '../../../src/protocols/ids.ts';
import { firstBreak } from '../../../src/protocols/ledger.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { Host } from '../../../src/runtime/host.ts';
import { accountsIn, booksOf, cutAccount, verifyLedger } from '../../../src/topology/remote.ts';
import { openSharedAccount, sharedDefinition } from '../../../src/topology/shared-account.ts';
import { eventually } from '../../support/eventually.ts';

const ACCOUNT = 'acct-acme.budget' as Address;
const ANN = 'r-0001.worker.ann.s-1' as Address;
const CLIENT = 'r-0001.client' as Address;
const quote = { model: 'm', fixedNanos: '100', outputNanosPerMtok: '1000000', maxTokens: 400, minTokens: 200, inputTokens: 10, priceHash: 'p' };
const usage = { inputTokens: 10, outputTokens: 50, cachedInputTokens: 0, reasoningTokens: 0 };

let bus: Bus;
beforeEach(async () => {
  bus = openEmbeddedBus({ path: ':memory:' });
  const limits = [{ measure: 'money' as const, amount: '100000', window: 'total' as const }];
  await openSharedAccount(bus, { account: { id: 'acme', limits }, onExhausted: 'pause', orphans: 'charge', grantMs: 60_000, waitMs: 60_000 });
  await say(CLIENT, 'open', 'budget.open', { accounts: [{ id: 'acme/r-0001', parent: 'acme', limits: [] }] });
});
afterEach(() => bus.close());

const say = async <T extends MessageName>(from: Address, id: string, type: T, data: PayloadOf<T>): Promise<void> => {
  await bus.append(ACCOUNT, { id, type, v: versionOf(type), from, time: Date.now(), data });
};
const reserve = (grant: string) => say(ANN, `${grant}/reserve`, 'budget.reserve', { grant, quote });
const settle = (grant: string, nanos: number) => say(ANN, `${grant}/end`, 'budget.settle', { grant, spentNanos: String(nanos), usage, model: 'm' });
const grantAt = (position: number): string => `${ANN}/${position}/model#1`;

const logOf = async (log: string): Promise<Entry[]> => {
  const entries: Entry[] = [];
  for await (const entry of bus.read(log)) entries.push(entry);
  return entries;
};
const typesIn = async (log: string): Promise<string[]> => (await logOf(log)).map(({ envelope: { type } }) => type);
const rootOf = async () => accountsIn(await booksOf(bus, 'acme'))[0]!;

/** A process that serves the account, for as long as `body` takes. */
const served = async (body: () => Promise<void>): Promise<void> => {
  const definition = await sharedDefinition(bus, 'acme');
  const host = new Host({ bus, id: 'h-1', clock: systemClock, runners: {}, resolve: (at) => (at === ACCOUNT ? definition : undefined) });
  await host.adopt('acct-acme');
  await body();
  await host.stop();
};

describe('an account whose log is cut', () => {
  it('has said everything by then, and only its state is left in the log', async () => {
    await reserve(grantAt(1));
    await settle(grantAt(1), 300);
    await reserve(grantAt(2));
    const before = await rootOf();
    const { chain } = (await booksOf(bus, 'acme')).desk;
    expect(await cutAccount(bus, 'acme')).toEqual({ after: chain, entries: 4 });
    expect(await typesIn(ACCOUNT)).toEqual(['budget.checkpoint']);
    expect(await typesIn(ANN)).toEqual(['budget.granted', 'budget.granted']);
    expect(await rootOf()).toEqual(before);
  });

  it('goes on, for who served it and for who begins: what was open is settled, what was said before is known', async () => {
    await served(async () => {
      await reserve(grantAt(1));
      await settle(grantAt(1), 300);
      await reserve(grantAt(2));
      await cutAccount(bus, 'acme');
      await settle(grantAt(2), 200);
      await reserve(grantAt(3));
      await eventually('the third grant', async () => (await typesIn(ANN)).length === 3);
    });
    await served(async () => {
      await settle(grantAt(1), 300); // as a run that is resumed says it again
      await settle(grantAt(3), 1);
      await reserve(grantAt(4));
      await eventually('the fourth grant', async () => (await typesIn(ANN)).length === 4);
    });
    expect(await rootOf()).toMatchObject({ spentNanos: 501n, heldNanos: 500n, state: 'open' });
    expect(await verifyLedger(bus, 'acme')).toMatchObject({ cut: 1 });
  });

  it('is verified from there on: hashes of lines that are gone are counted, all others must hold', async () => {
    await served(async () => {
      for (const position of [1, 2, 3]) {
        await reserve(grantAt(position));
        await settle(grantAt(position), 300);
      }
      await cutAccount(bus, 'acme');
      await reserve(grantAt(4));
      await eventually('the fourth grant', async () => (await typesIn(ANN)).length === 4);
    });
    const { lines, before } = await booksOf(bus, 'acme');
    expect(lines.map(({ kind }) => kind)).toEqual(['checkpoint', 'hold']);
    expect(firstBreak(lines, before)).toBeUndefined();
    const verified = await verifyLedger(bus, 'acme');
    expect(verified).toEqual({ lines: 2, anchors: 1, cut: 3 });
  });

  it('does not verify with another state than it was cut with', async () => {
    await served(async () => {
      await reserve(grantAt(1));
      await settle(grantAt(1), 300);
      await cutAccount(bus, 'acme');
      await reserve(grantAt(2));
      await eventually('the second grant', async () => (await typesIn(ANN)).length === 2);
    });
    const [checkpoint, asked] = await logOf(ACCOUNT);
    const data = structuredClone(checkpoint!.envelope.data) as PayloadOf<'budget.checkpoint'>;
    data.accounts[0]!.announced = 50;
    await bus.cut(ACCOUNT, Number.MAX_SAFE_INTEGER);
    await bus.append(ACCOUNT, { ...checkpoint!.envelope, data });
    await bus.append(ACCOUNT, asked!.envelope);
    expect(await verifyLedger(bus, 'acme')).toMatchObject({ broken: { seq: 5 } });
  });

  it('is cut once more where nothing happened since, and again after more', async () => {
    await reserve(grantAt(1));
    await cutAccount(bus, 'acme');
    await settle(grantAt(1), 300);
    await cutAccount(bus, 'acme');
    await cutAccount(bus, 'acme');
    expect(await typesIn(ACCOUNT)).toEqual(['budget.checkpoint']);
    expect(await rootOf()).toMatchObject({ spentNanos: 300n, heldNanos: 0n });
  });

  it('loses nothing that is written while it is cut', async () => {
    const writing = (async () => {
      for (let position = 1; position <= 200; position++) {
        await reserve(grantAt(position));
        await settle(grantAt(position), 10);
      }
    })();
    for (let cuts = 0; cuts < 5; cuts++) await cutAccount(bus, 'acme');
    await writing;
    await cutAccount(bus, 'acme');
    expect(await rootOf()).toMatchObject({ spentNanos: 2_000n, heldNanos: 0n });
    expect((await typesIn(ANN)).length).toBe(200);
  });
});
