import type { Principal } from './principal.js';

/**
 * The token that proved a caller, sealed at the door: nothing that is logged, recorded, copied or sent holds it, only whoever has the very principal
 * that the door made can open it, and dependency rules let one file do so: the exchange of tokens (RFC 8693), which shows it to its own issuer alone.
 * It is gone with the principal.
 */
const sealed = new WeakMap<Principal, string>();

/** `token` of an `Authorization: Bearer` header that an issuer vouches for. */
export const sealToken = (principal: Principal, token: string): void => { sealed.set(principal, token); };
/** Undefined: the caller came with another credential, or the door was not told to keep tokens. */
export const openToken = (principal: Principal): string | undefined => sealed.get(principal);
