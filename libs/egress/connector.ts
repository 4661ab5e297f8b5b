import { lookup } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import { OutboundFailure } from '#libs/core/outbound.js';
import { buildConnector } from 'undici';
import { isLocalName, isPublicAddress } from './addresses.js';
import type { AllowList } from './allow-list.js';

export interface ResolvedAddress { readonly address: string; readonly family: number }
/** All addresses of a name, asked once per connection. */
export type Resolve = (hostname: string) => Promise<readonly ResolvedAddress[]>;

/** Where a request wants to go. `host` is canonical: lower-case, no brackets, no final dot. */
export interface Destination { readonly secure: boolean; readonly host: string; readonly port: number }

export const systemResolve: Resolve = async (hostname) => lookup(hostname, { all: true, verbatim: true });

const named = (to: Destination): string => `${isIP(to.host) === 6 ? `[${to.host}]` : to.host}:${to.port}`;

/** What can be said before any name is resolved: literals, names of this machine. Answers the refusal, or undefined. */
export function refusedByName(allow: AllowList, to: Destination): OutboundFailure | undefined {
  if (allow.allowsHost(to.host, to.port)) return undefined;
  if (isIP(to.host) !== 0) return refusedByAddress(allow, to, [{ address: to.host, family: isIP(to.host) }]);
  if (isLocalName(to.host)) return refusal(to, 'it names this machine or its cloud');
  return undefined;
}

/** Every address must pass; a name with one private address among public ones is refused whole. */
export function refusedByAddress(allow: AllowList, to: Destination, addresses: readonly ResolvedAddress[]): OutboundFailure | undefined {
  if (allow.allowsHost(to.host, to.port)) return undefined;
  for (const { address } of addresses) {
    if (allow.allowsAddress(address, to.port)) continue;
    if (!isPublicAddress(address)) return refusal(to, 'it is, or resolves to, a private or reserved address');
    if (!to.secure) return refusal(to, 'plain http is only for hosts that the operator lists');
  }
  return undefined;
}

const refusal = (to: Destination, why: string): OutboundFailure =>
  new OutboundFailure('refused-address', `Requests to ${named(to)} are not allowed: ${why}. The operator can permit it with EGRESS_ALLOW=${named(to)}`);

/**
 * Opens connections for the pool: resolve once, check every address, connect to what was checked and to nothing else.
 * DNS, TCP and TLS together must be done within `connectMs`. Fails with `OutboundFailure`.
 */
export function guardedConnector(options: { allow: AllowList; resolve: Resolve; connectMs: number; ca?: string; clientCertificate?: string }): buildConnector.connector {
  const { allow, resolve, connectMs } = options;
  return (to, callback) => {
    const secure = to.protocol === 'https:';
    const destination: Destination = { secure, host: canonicalHost(to.hostname), port: Number(to.port) || (secure ? 443 : 80) };
    let socket: ReturnType<buildConnector.connector> | undefined;
    let settled = false;
    const fail = (failure: OutboundFailure): void => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      callback(failure, null);
    };
    const timer = setTimeout(() => {
      fail(new OutboundFailure('unreachable', `No connection to ${named(destination)} within ${connectMs} ms`));
      (socket as { destroy?: () => void } | undefined)?.destroy?.();
    }, connectMs);

    const open = (addresses: readonly ResolvedAddress[]): void => {
      const refused = refusedByAddress(allow, destination, addresses);
      if (refused) return fail(refused);
      if (settled) return undefined;
      const checked: LookupFunction = (_name, asked, answer) => {
        if (asked.all) answer(null, addresses.map(({ address, family }) => ({ address, family })));
        else answer(null, addresses[0]?.address ?? '', addresses[0]?.family);
      };
      // `net.connect` skips `lookup` for literals, which are their own checked address.
      const connect = buildConnector({ allowH2: false, timeout: 0, lookup: checked, autoSelectFamily: true, ...(options.ca === undefined ? {} : { ca: options.ca }), ...(options.clientCertificate === undefined ? {} : { cert: options.clientCertificate, key: options.clientCertificate }) });
      socket = connect(to, (...outcome) => {
        const [failure, connected] = outcome;
        if (failure) return fail(new OutboundFailure('unreachable', `No connection to ${named(destination)}: ${reasonOf(failure)}`, { cause: failure }));
        if (settled) return void connected?.destroy();
        const peer = connected?.remoteAddress;
        if (peer !== undefined && !addresses.some(({ address }) => sameAddress(address, peer))) {
          connected?.destroy();
          return fail(refusal(destination, 'the connection went to another address than the one checked'));
        }
        settled = true;
        clearTimeout(timer);
        return callback(...outcome);
      });
    };

    const refused = refusedByName(allow, destination);
    if (refused) return fail(refused);
    const family = isIP(destination.host);
    if (family !== 0) return open([{ address: destination.host, family }]);
    resolve(destination.host).then(
      (addresses) => {
        if (addresses.length > 0) return open(addresses);
        return fail(new OutboundFailure('unreachable', `The name ${destination.host} has no address`));
      },
      (cause: unknown) => fail(new OutboundFailure('unreachable', `The name ${destination.host} cannot be resolved`, { cause })),
    );
    return undefined;
  };
}

/** Resolves once and checks every address, for those who connect by themselves. Rejects with `OutboundFailure`. */
export async function admitted({ allow, resolve }: { readonly allow: AllowList; readonly resolve: Resolve }, to: Destination): Promise<readonly string[]> {
  const refused = refusedByName(allow, to);
  if (refused) throw refused;
  const addresses = isIP(to.host) !== 0 ? [{ address: to.host, family: isIP(to.host) }] : await resolve(to.host).catch((cause: unknown) => { throw new OutboundFailure('unreachable', `The name ${to.host} cannot be resolved`, { cause }); });
  if (addresses.length === 0) throw new OutboundFailure('unreachable', `The name ${to.host} has no address`);
  const wrong = refusedByAddress(allow, to, addresses);
  if (wrong) throw wrong;
  return addresses.map(({ address }) => address);
}

/** Lower-case, no brackets, no final dot: what rules compare. */
export function canonicalHost(hostname: string): string {
  const bare = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
  return (bare.endsWith('.') ? bare.slice(0, -1) : bare).toLowerCase();
}

const sameAddress = (checked: string, peer: string): boolean => checked === peer || canonicalV6(checked) === canonicalV6(peer);
function canonicalV6(address: string): string {
  if (isIP(address) !== 6) return address;
  const canonical = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(canonical);
  if (!mapped) return canonical;
  const [high, low] = [Number.parseInt(mapped[1] ?? '', 16), Number.parseInt(mapped[2] ?? '', 16)];
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}

/** A short word for the log and the caller, without the addresses that Node puts into its messages. */
function reasonOf(failure: Error & { code?: string }): string {
  switch (failure.code) {
    case 'ECONNREFUSED': return 'connection refused';
    case 'ECONNRESET': return 'connection reset';
    case 'EHOSTUNREACH': case 'ENETUNREACH': return 'no route to it';
    case 'ETIMEDOUT': return 'timed out';
    case undefined: return 'connection failed';
    default: return failure.code;
  }
}
