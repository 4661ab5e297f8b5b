import { BlockList, isIP } from 'node:net';

/** IANA special-purpose ranges (RFC 6890 and its registry), and one address that a cloud serves its own metadata from. */
const SPECIAL_V4: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8], ['10.0.0.0', 8], ['100.64.0.0', 10], ['127.0.0.0', 8], ['169.254.0.0', 16], ['172.16.0.0', 12],
  ['192.0.0.0', 24], ['192.0.2.0', 24], ['192.88.99.0', 24], ['192.168.0.0', 16], ['198.18.0.0', 15], ['198.51.100.0', 24],
  ['203.0.113.0', 24], ['224.0.0.0', 4], ['240.0.0.0', 4], ['168.63.129.16', 32],
];
/** Inside 2000::/3, but not (only) the public internet: Teredo, benchmarking, ORCHID, documentation, 6to4. */
const SPECIAL_V6: readonly (readonly [string, number])[] = [
  ['2001::', 23], ['2001:db8::', 32], ['2002::', 16], ['3fff::', 20],
];

const special = new BlockList();
for (const [network, prefix] of SPECIAL_V4) special.addSubnet(network, prefix, 'ipv4');
const globalV6 = new BlockList();
globalV6.addSubnet('2000::', 3, 'ipv6');
const specialV6 = new BlockList();
for (const [network, prefix] of SPECIAL_V6) specialV6.addSubnet(network, prefix, 'ipv6');

/**
 * Whether an IP address, in any spelling that `net.isIP` knows, belongs to the public internet. Of IPv6 only global unicast (2000::/3) may:
 * loopback, ULA, link-local, site-local, multicast, mapped, compatible and NAT64 addresses all lie outside of it.
 */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 4) return !special.check(address, 'ipv4');
  return family === 6 && globalV6.check(address, 'ipv6') && !specialV6.check(address, 'ipv6');
}

/** Names that mean this machine or its cloud, whatever a resolver says of them. `name` is lower-case without a final dot. */
export function isLocalName(name: string): boolean {
  return name === 'localhost' || name.endsWith('.localhost') || name === 'metadata' || name === 'metadata.goog' || name === 'metadata.google.internal' || name === 'instance-data';
}
