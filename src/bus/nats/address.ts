/**
 * A NATS bus by its address: `nats://user:pass@host:4222,host2?namespace=acme&replicas=3&creds=/etc/troupe.creds`. What is in the
 * query goes to the bus, the rest to the client. Keys and passwords are better kept in a credentials file than in an address.
 */
import { readFileSync } from 'node:fs';
import { credsAuthenticator } from 'nats';
import { TroupeError } from '../../protocols/failure.ts';
import type { NatsBusOptions } from './bus.ts';

const KNOWN = ['namespace', 'replicas', 'creds', 'ca', 'cert', 'key'] as const;

/** Errors: BUS_ADDRESS_INVALID. */
export const natsOptionsOf = (address: string): NatsBusOptions => {
  const at = address.indexOf('?');
  if (at < 0) return { servers: address };
  const invalid = (why: string): TroupeError => new TroupeError('BUS_ADDRESS_INVALID', `bus ${JSON.stringify(address.slice(0, at))}: ${why}`);
  const query = new URLSearchParams(address.slice(at + 1));
  const unknown = [...query.keys()].find((key) => !(KNOWN as readonly string[]).includes(key));
  if (unknown !== undefined) throw invalid(`unknown setting "${unknown}"; known: ${KNOWN.join(', ')}`);
  const replicas = query.get('replicas');
  if (replicas !== null && !/^[1-5]$/.test(replicas)) throw invalid(`replicas: expected 1 to 5, found "${replicas}"`);
  const namespace = query.get('namespace');
  const creds = query.get('creds');
  const [ca, cert, key] = [query.get('ca'), query.get('cert'), query.get('key')];
  const tls = { ...(ca !== null && { caFile: ca }), ...(cert !== null && { certFile: cert }), ...(key !== null && { keyFile: key }) };
  const security = {
    ...(creds !== null && { authenticator: credsAuthenticator(readCredentials(creds, invalid)) }),
    ...(Object.keys(tls).length > 0 && { tls }),
  };
  return {
    servers: address.slice(0, at),
    ...(namespace !== null && { namespace }),
    ...(replicas !== null && { replicas: Number(replicas) }),
    ...(Object.keys(security).length > 0 && { security }),
  };
};

const readCredentials = (file: string, invalid: (why: string) => TroupeError): Uint8Array => {
  try {
    return readFileSync(file);
  } catch (thrown) {
    throw invalid(`creds: cannot read ${file}: ${(thrown as Error).message}`);
  }
};
