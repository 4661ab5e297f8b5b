import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clientIp } from './client-ip.js';
import { addressKey, callerKey } from './keys.js';
import { principal } from './a-call.contract.js';

describe('the client\'s address', () => {
  const behind = clientIp(['10.0.0.0/8', 'fd00::/8', '192.0.2.7']);
  it.each([
    { name: 'the peer, without a header', peer: '203.0.113.5', header: undefined, is: '203.0.113.5' },
    { name: 'the peer, whatever it writes, when it is no trusted proxy', peer: '203.0.113.5', header: '1.2.3.4, 10.0.0.1', is: '203.0.113.5' },
    { name: 'what the trusted proxy saw', peer: '10.1.1.1', header: '203.0.113.9', is: '203.0.113.9' },
    { name: 'not what the client wrote before it', peer: '10.1.1.1', header: '1.2.3.4, 203.0.113.9', is: '203.0.113.9' },
    { name: 'beyond each trusted hop', peer: 'fd00::1', header: '1.2.3.4,203.0.113.9 , 192.0.2.7,10.2.2.2', is: '203.0.113.9' },
    { name: 'the hop that wrote what is no address', peer: '10.1.1.1', header: '1.2.3.4, unknown', is: '10.1.1.1' },
    { name: 'the hop that wrote nothing', peer: '10.1.1.1', header: '', is: '10.1.1.1' },
    { name: 'an IPv4 peer on an IPv6 socket', peer: '::ffff:10.1.1.1', header: '::ffff:203.0.113.9', is: '203.0.113.9' },
    { name: 'the last when all are trusted', peer: '10.1.1.1', header: '10.3.3.3, 10.2.2.2', is: '10.3.3.3' },
  ])('is $name', ({ peer, header, is }) => { expect(behind(peer, header)).toBe(is); });
  it('is the peer where no proxy is trusted', () => { expect(clientIp([])('::ffff:203.0.113.5', '1.2.3.4')).toBe('203.0.113.5'); });
  it('does not follow a header that a client varies', () => {
    fc.assert(fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string()), (forged) => {
      expect(behind('203.0.113.5', forged)).toBe('203.0.113.5');
      expect(behind('10.0.0.1', `${forged}, 203.0.113.5`)).toBe('203.0.113.5');
    }));
  });
  it.each(['true', '1', 'proxy.internal', '10.0.0.0/33', '10.0.0.0/8/8', '10.0.0.0/-1', '10.0.0.0/', '0.0.0.0/0', '::/0', '', 'fd00::/129'])('is not looked for behind %j: that is refused', (proxy) => {
    expect(() => clientIp([proxy])).toThrow(JSON.stringify(proxy).slice(1, -1));
  });
});

describe('keys', () => {
  it('count an IPv6 client by its /64, however it is written', () => {
    const one = addressKey('requests', '2001:db8:1:2::1');
    expect([addressKey('requests', '2001:db8:1:2:ffff:ffff:ffff:ffff'), addressKey('requests', '2001:0db8:0001:0002:0:0:0:9'), addressKey('requests', '2001:DB8:1:2::%eth0')]).toEqual([one, one, one]);
    expect(addressKey('requests', '2001:db8:1:3::1')).not.toBe(one);
    expect(addressKey('requests', '::1')).toBe('@requests:0:0:0:0');
  });
  it('of addresses, of principals without tenant and of tenants never meet', () => {
    fc.assert(fc.property(fc.string(), fc.string(), fc.string(), (limit, ip, subject) => {
      const keys = [addressKey(limit, ip), callerKey(limit, principal({ subject, tenant: undefined })), callerKey(limit, principal({ subject }))];
      expect(new Set(keys).size).toBe(3);
      expect(keys.map((key) => key[0])).toEqual(['@', '*', 'a']);
    }));
  });
});
