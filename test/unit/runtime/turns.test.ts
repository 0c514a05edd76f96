import { expect, it } from 'vitest';
import { Turns } from '../../../src/runtime/turns.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it('lets 64 calls begin in one turn of the event loop, of those that wait the ones of the oldest unit first', async () => {
  const turns = new Turns();
  const begun: number[] = [];
  const call = async (order: number): Promise<void> => {
    await turns.next(order);
    begun.push(order);
  };
  const calls = Array.from({ length: 200 }, (_, index) => call(199 - index));
  await Promise.resolve();
  expect(begun).toEqual(Array.from({ length: 64 }, (_, index) => 199 - index));

  await turn();
  expect(begun.slice(64)).toEqual(Array.from({ length: 64 }, (_, index) => index));

  const newest = call(1_000);
  const oldest = call(-1);
  await turn();
  expect(begun.slice(128)).toEqual([-1, ...Array.from({ length: 63 }, (_, index) => 64 + index)]);
  await Promise.all([...calls, newest, oldest]);
  expect(begun.at(-1)).toBe(1_000);
});

it('never makes a call wait that comes alone', async () => {
  const turns = new Turns();
  for (let round = 0; round < 3; round++) {
    for (let calls = 0; calls < 64; calls++) expect(turns.next(0)).toBeUndefined();
    expect(turns.next(0)).toBeInstanceOf(Promise);
    await turn();
    await turn();
  }
});
