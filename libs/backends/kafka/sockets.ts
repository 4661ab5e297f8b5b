import { isIP, type LookupFunction, connect as connectPlain, type Socket } from 'node:net';
import { checkServerIdentity, connect as connectTls } from 'node:tls';
import type { ISocketFactory } from 'kafkajs';
import { OutboundFailure, type OutboundGuard } from '#libs/core/outbound.js';

/** So that even an address is looked up, which is where the egress policy is asked. */
const NAME_TO_ASK_FOR = 'broker.invalid';
const KEEP_ALIVE_MS = 60_000;
/** `code` of a socket's error when the egress policy refused the address. */
export const REFUSED = 'STOA_EGRESS_REFUSED';

/** Opens connections to the addresses that egress admits and to no others: those of the connection as well as those that a broker advertises. */
export const guardedSockets = (guard: OutboundGuard): ISocketFactory => ({ host, port, ssl, onConnect }) => {
  const secure = (ssl as unknown) === true || (typeof ssl === 'object' && ssl !== null);
  const lookup: LookupFunction = (_name, { all }, answer) => {
    void (async () => {
      try {
        const found = (await guard.admit(host, port, secure)).map((address) => ({ address, family: isIP(address) }));
        if (all === true) answer(null, found); else answer(null, found[0]?.address ?? '', found[0]?.family);
      } catch (failure) {
        const refused = failure instanceof OutboundFailure && failure.kind === 'refused-address';
        answer(Object.assign(new Error(failure instanceof Error ? failure.message : String(failure)), { code: refused ? REFUSED : 'ENOTFOUND' }), []);
      }
    })();
  };
  const to = { host: NAME_TO_ASK_FOR, port, lookup, autoSelectFamily: true };
  const socket: Socket = secure
    ? connectTls({ ...to, servername: isIP(host) === 0 ? host : '', ...(typeof ssl === 'object' ? ssl : {}), checkServerIdentity: (_name, certificate) => checkServerIdentity(host, certificate) }, onConnect)
    : connectPlain(to, onConnect);
  return socket.setKeepAlive(true, KEEP_ALIVE_MS);
};
