import { BlockList, isIP } from 'node:net';

/** What the operator permits beside public https: `EGRESS_ALLOW`, parsed. */
export interface AllowList {
  /** `host` lower-case, without brackets or final dot. */
  allowsHost(host: string, port: number): boolean;
  allowsAddress(address: string, port: number): boolean;
}

/** An entry of `EGRESS_ALLOW` that cannot be read; the message quotes it and says what is expected. */
export class InvalidAllowEntry extends Error {
  override get name(): string { return 'InvalidAllowEntry'; }
  constructor(readonly entry: string, why: string) {
    super(`EGRESS_ALLOW: ${JSON.stringify(entry)} ${why}; write a CIDR or host with an optional port, like 10.0.0.0/8, 127.0.0.1:9000, [::1]:9000, [fd00::]/8, orders.internal or orders.internal:8443`);
  }
}

interface Rule { readonly port: number | undefined }
type Entry = Rule & ({ readonly host: string } | { readonly subnet: BlockList; readonly family: 'ipv4' | 'ipv6' });

const HOST = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/;

/**
 * Read the operator's list. An entry without a port permits every port of that host or network. A host permits whatever addresses its
 * name has; a CIDR permits every name that resolves into it. Throws `InvalidAllowEntry` at the first entry that is not one.
 */
export function parseAllowList(entries: readonly string[]): AllowList {
  const parsed = entries.map((entry) => parseEntry(entry));
  return {
    allowsHost: (host, port) => parsed.some((e) => 'host' in e && e.host === host && (e.port === undefined || e.port === port)),
    allowsAddress: (address, port) => {
      const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
      return parsed.some((e) => 'subnet' in e && (e.port === undefined || e.port === port) && e.subnet.check(address, family));
    },
  };
}

function parseEntry(entry: string): Entry {
  const text = entry.trim().toLowerCase();
  if (text.includes('://')) throw new InvalidAllowEntry(entry, 'is a URL');
  const { address, prefix, port } = split(entry, text);
  const family = isIP(address);
  if (family === 0) {
    if (prefix !== undefined) throw new InvalidAllowEntry(entry, 'has a prefix length after something that is not an IP address');
    const host = address.endsWith('.') ? address.slice(0, -1) : address;
    if (!HOST.test(host)) throw new InvalidAllowEntry(entry, 'is neither a host name nor an IP address');
    if (/^[0-9.]+$/.test(host) || host.startsWith('0x')) throw new InvalidAllowEntry(entry, 'is a number that is not an IP address in its usual form');
    return { host, port };
  }
  const longest = family === 4 ? 32 : 128;
  const length = prefix ?? longest;
  if (length > longest) throw new InvalidAllowEntry(entry, `has a prefix length above ${longest}`);
  const subnet = new BlockList();
  subnet.addSubnet(address, length, family === 4 ? 'ipv4' : 'ipv6');
  return { subnet, family: family === 4 ? 'ipv4' : 'ipv6', port };
}

function split(entry: string, text: string): { address: string; prefix: number | undefined; port: number | undefined } {
  // `[v6]`, `[v6]/len`, `[v6/len]`, each with `:port`; bare v6 with an optional length and no port; anything else up to the last colon.
  const bracketed = /^\[([0-9a-f:.]+)(?:\/(\d{1,3}))?\](?:\/(\d{1,3}))?(?::(\d{1,5}))?$/.exec(text);
  if (bracketed) return { address: bracketed[1] ?? '', prefix: number(bracketed[2] ?? bracketed[3]), port: portOf(entry, bracketed[4]) };
  const plain = /^([^/:]+|[0-9a-f:.]*:[0-9a-f:.]*:[0-9a-f:.]*)(?:\/(\d{1,3}))?$/.exec(text);
  if (plain) return { address: plain[1] ?? '', prefix: number(plain[2]), port: undefined };
  const withPort = /^([^/:]+)(?:\/(\d{1,3}))?:(\d{1,5})$/.exec(text);
  if (withPort) return { address: withPort[1] ?? '', prefix: number(withPort[2]), port: portOf(entry, withPort[3]) };
  throw new InvalidAllowEntry(entry, 'cannot be read');
}

const number = (digits: string | undefined): number | undefined => (digits === undefined ? undefined : Number(digits));
function portOf(entry: string, digits: string | undefined): number | undefined {
  const port = number(digits);
  if (port !== undefined && (port < 1 || port > 65_535)) throw new InvalidAllowEntry(entry, 'has a port outside 1 to 65535');
  return port;
}
