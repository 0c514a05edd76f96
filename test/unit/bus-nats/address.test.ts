import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { natsOptionsOf } from '../../../src/bus/nats/address.ts';

describe('the address of a NATS bus', () => {
  it('without settings is what the client is given', () => {
    expect(natsOptionsOf('nats://a:4222,b:4222')).toEqual({ servers: 'nats://a:4222,b:4222' });
  });

  it('carries the namespace, copies and files of the connection', () => {
    expect(natsOptionsOf('tls://a:4222?namespace=acme&replicas=3&ca=/etc/ca.pem&cert=/etc/c.pem&key=/etc/k.pem')).toEqual({
      servers: 'tls://a:4222',
      namespace: 'acme',
      replicas: 3,
      security: { tls: { caFile: '/etc/ca.pem', certFile: '/etc/c.pem', keyFile: '/etc/k.pem' } },
    });
  });

  it('may name a credentials file', () => {
    const folder = mkdtempSync(join(tmpdir(), 'troupe-creds-'));
    try {
      writeFileSync(join(folder, 'a.creds'), 'whatever it is');
      expect(natsOptionsOf(`nats://a?creds=${join(folder, 'a.creds')}`).security).toEqual({ authenticator: expect.any(Function) as () => void });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it.each(['nats://a', 'tls://a:4222', 'nats://ann:se%3Acret@a:4222,b', 'nats://token@[::1]:4222', 'wss://a:443,wss://b:443'])('may be %s', (address) => {
    expect(natsOptionsOf(address)).toEqual({ servers: address });
  });

  it.each([
    ['nats://', /expected nats:\/\/<host>:<port>, found one without a host/],
    ['nats://127.0.0.1:notaport', /or with a port that is none/],
    ['nats://a:70000', /or with a port that is none/],
    ['nats://a:4222,', /found server 2 without a host/],
    ['nats://?replicas=3', /without a host/],
    ['nats://a?replica=3', /unknown setting "replica"; known: namespace, replicas/],
    ['nats://a?replicas=7', /replicas: expected 1 to 5, found "7"/],
    ['nats://a?creds=/nowhere/at.all', /creds: cannot read \/nowhere\/at\.all: ENOENT/],
  ])('%s is refused in words, without what may be secret', (address, words) => {
    expect(() => natsOptionsOf(address)).toThrow(words);
    expect(() => natsOptionsOf(address)).toThrow(expect.objectContaining({ code: 'BUS_ADDRESS_INVALID' }) as Error);
  });
});
