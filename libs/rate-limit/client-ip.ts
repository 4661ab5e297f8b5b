import { BlockList, isIP, isIPv4 } from 'node:net';

/** Answers the address that a request counts by. */
export type ClientIp = (peer: string, forwardedFor: string | undefined) => string;

/**
 * The client's address behind proxies that an operator named. `X-Forwarded-For` is read from its end for as long as the
 * hop that wrote an entry is trusted; what stands further left is the client's own writing and never counts. An entry
 * that is not an address ends the walk at the hop that sent it.
 * `proxies` are CIDRs (`10.0.0.0/8`, `fd00::/8`) or single addresses; none: the peer itself. Throws `TypeError` naming a
 * wrong one: host names, hop counts and `true` would let a client choose its own address.
 */
export function clientIp(proxies: readonly string[]): ClientIp {
  if (proxies.length === 0) return plain;
  const trusted = new BlockList();
  for (const proxy of proxies) addTo(trusted, proxy);
  const isTrusted = (ip: string): boolean => trusted.check(ip, isIPv4(ip) ? 'ipv4' : 'ipv6');
  return (peer, forwardedFor) => {
    let client = plain(peer);
    if (forwardedFor === undefined) return client;
    const hops = forwardedFor.split(',');
    for (let at = hops.length - 1; at >= 0 && isIP(client) !== 0 && isTrusted(client); at -= 1) {
      const hop = plain((hops[at] ?? '').trim());
      if (isIP(hop) === 0) break;
      client = hop;
    }
    return client;
  };
}

/** An IPv4 client on an IPv6 socket is the same client. */
const plain = (ip: string): string => (/^::ffff:\d/i.test(ip) ? ip.slice(7) : ip);

function addTo(trusted: BlockList, proxy: string): void {
  const [address = '', bits, ...rest] = proxy.split('/');
  const family = isIP(address);
  const most = family === 4 ? 32 : 128;
  const prefix = bits === undefined ? most : /^\d{1,3}$/.test(bits) ? Number(bits) : -1;
  if (family === 0 || rest.length > 0 || prefix < 0 || prefix > most) throw new TypeError(`"${proxy}" is not a CIDR: write 10.0.0.0/8, fd00::/8 or one address`);
  if (prefix === 0) throw new TypeError(`"${proxy}" would trust everybody: name the proxies' own networks`);
  trusted.addSubnet(address, prefix, family === 4 ? 'ipv4' : 'ipv6');
}
