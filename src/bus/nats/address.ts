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
  const servers = at < 0 ? address : address.slice(0, at);
  const invalid = (why: string): TroupeError => new TroupeError('BUS_ADDRESS_INVALID', `bus ${JSON.stringify(servers)}: ${why}`);
  const unreadable = servers.split(',').findIndex((server) => !isServer(server));
  if (unreadable >= 0)
    throw invalid(
      `expected nats://<host>:<port>, found ${servers.includes(',') ? `server ${unreadable + 1}` : 'one'} without a host, or with a port that is none`,
    );
  if (at < 0) return { servers };
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
    servers,
    ...(namespace !== null && { namespace }),
    ...(replicas !== null && { replicas: Number(replicas) }),
    ...(Object.keys(security).length > 0 && { security }),
  };
};

/** As the client reads it: the first has the protocol, and what follows need not. */
const isServer = (server: string): boolean => Boolean(URL.parse(server.includes('://') ? server : `nats://${server}`)?.hostname);

const readCredentials = (file: string, invalid: (why: string) => TroupeError): Uint8Array => {
  try {
    return readFileSync(file);
  } catch (thrown) {
    throw invalid(`creds: cannot read ${file}: ${(thrown as Error).message}`);
  }
};
