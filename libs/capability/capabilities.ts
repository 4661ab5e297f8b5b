import { hash, randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { AuthenticatedCall } from '#libs/core/call.js';
import { Denial } from '#libs/core/errors.js';
import type { CallGuard, CredentialVerifier, Eventually } from '#libs/core/ports.js';
import type { Principal } from '#libs/core/principal.js';
import { attenuate, authorityOf, ExchangeRefused, type Grant, meet, TTL_SECONDS, type Wanted } from './authority.js';
import { requestHash } from './canonical-request.js';
import { isCapabilityToken, mint, MOST_LINKS, prove, type TokenSettings } from './capability-token.js';
import { type Marks, tokenKey } from './marks.js';

/** Longest capability token that is looked at, in characters: 64 tools have their place. */
const MAX_TOKEN_LENGTH = 8192;
/** Marks outlive their token by this much, in milliseconds: the clocks of replicas and of their store may differ. */
const SKEW_MS = 60_000;

/** Told what happens, for metrics and the log; must not throw. */
export interface CapabilityObserver {
  /** A one-time token was presented again. */
  replayed?(): void;
}
export interface CapabilityOptions extends TokenSettings {
  readonly marks: Marks;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly observer?: CapabilityObserver;
}

export interface Issued { readonly token: string; readonly id: string; readonly expiresIn: number; readonly grant: Grant }
/** RFC 7662 §2.2. */
export type Introspection = { readonly active: false } | ({ readonly active: true } & Readonly<Record<string, unknown>>);

/** Short-lived tokens for exactly the tools that they name (RFC 8693). */
export interface Capabilities extends CredentialVerifier, Required<CallGuard> {
  /** A token for a part of what `parent` may do; `actor`: who will act for it. Rejects with `Unavailable`. */
  exchange(parent: Principal, wanted: Wanted, actor?: Principal): Promise<Issued | ExchangeRefused>;
  /** What a token says, if it is good now and of a tenant that `asker` administers. */
  introspect(token: string, asker: Principal): Promise<Introspection>;
  /**
   * Ends a token, and all that were derived from it, within 2 s on every replica. A string is a token; `id` is a `jti` in `tenant`. Nothing happens
   * for a token that is not good, nor for one that is neither the asker's own nor of a tenant that it administers (RFC 7009 §2.2).
   */
  revoke(what: string | { readonly id: string; readonly tenant: Principal['tenant'] }, asker: Principal): Promise<void>;
}

/** Whether a principal may look at and end the tokens of a tenant. A confined credential may not. */
export const administers = (principal: Principal, tenant: Principal['tenant']): boolean => principal.allowedTools === undefined
  && (principal.roles.has('cpi-admin') || (principal.roles.has('tenant-admin') && tenant !== undefined && principal.tenant === tenant));

const unproved = (message: string, reason: string): Denial => new Denial({ code: 'UNAUTHENTICATED', message, reason });
const keys = ({ tenant, capability }: Principal) => (capability?.lineage ?? []).map((id) => tokenKey(tenant, id));

export function createCapabilities(options: CapabilityOptions): Capabilities {
  const { marks: { replay, revocations }, now, observer = {} } = options;
  const proved = new LRUCache<string, Principal>({ max: 10_000 });
  const replayed = (): Denial => { observer.replayed?.(); return unproved('Token has been used', 'a one-time token was presented again'); };

  /** Revocation and use are asked anew each time; the signature is proved once. */
  const standing = (principal: Principal): Eventually<Principal | Denial> => {
    if (principal.expiresAt * 1000 <= now()) return unproved('Token has expired', 'expired');
    const [own, ...above] = keys(principal);
    try {
      if (!own || revocations.isRevoked([own, ...above])) return unproved('Invalid token', 'revoked');
    } catch (failure) { return Promise.reject(failure instanceof Error ? failure : new Error(String(failure))); }
    if (principal.capability?.oneTime !== true) return principal;
    const spent = replay.isSpent(own);
    return spent instanceof Promise ? spent.then((is) => (is ? replayed() : principal)) : spent ? replayed() : principal;
  };
  const verify = (token: string): Eventually<Principal | Denial> => {
    if (token.length > MAX_TOKEN_LENGTH) return unproved('Invalid token', 'too long');
    const digest = hash('sha256', token, 'base64');
    const seen = proved.get(digest);
    if (seen) return standing(seen);
    return prove(options, token, now()).then((principal) => { proved.set(digest, principal); return standing(principal); },
      (failure: unknown) => (failure instanceof Error && failure.name === 'JWTExpired' ? unproved('Token has expired', 'expired') : unproved('Invalid token', failure instanceof Error ? failure.message : String(failure))));
  };
  /** Answers false when it was spent before. */
  const spendOf = (principal: Principal): Eventually<boolean> => {
    const [own] = keys(principal);
    return own === undefined || principal.capability?.oneTime !== true ? true : replay.spend(own, principal.expiresAt * 1000 + SKEW_MS);
  };

  return {
    takes: isCapabilityToken,
    verify,

    check(call) {
      const { capability } = call.principal;
      return capability && misused(call, capability);
    },
    spend(call) {
      const first = spendOf(call.principal);
      return first instanceof Promise ? first.then((is) => (is ? undefined : replayed())) : first ? undefined : replayed();
    },

    async exchange(parent, wanted, actor) {
      const from = parent.capability?.lineage ?? [];
      const actors = actor ? [actor.subject, ...parent.actors ?? [parent.clientId]] : parent.actors ?? [parent.clientId];
      if (from.length >= MOST_LINKS || actors.length > MOST_LINKS) return new ExchangeRefused('invalid_grant', `A chain has at most ${MOST_LINKS} exchanges.`);
      if (actor && (actor.capability ?? actor.allowedTools)) return new ExchangeRefused('invalid_request', 'actor_token is an access token of an issuer.');
      if (actor && actor.tenant !== parent.tenant) return new ExchangeRefused('invalid_grant', 'The actor is not of the subject\'s tenant.');
      const authority = actor ? meet(authorityOf(parent), authorityOf(actor)) : authorityOf(parent);
      if (authority instanceof ExchangeRefused) return authority;
      const at = Math.floor(now() / 1000);
      const grant = attenuate(authority, wanted, at);
      if (grant instanceof ExchangeRefused) return grant;
      // Exchanging a one-time token is its one use.
      if (!await spendOf(parent)) { observer.replayed?.(); return new ExchangeRefused('invalid_grant', 'The token that was presented has been used.'); }
      const id = randomBytes(16).toString('base64url');
      const token = await mint(options, { id, principal: parent, grant, issuedAt: at, actors, from, clientId: actor?.clientId ?? parent.clientId });
      if (token.length > MAX_TOKEN_LENGTH) return new ExchangeRefused('invalid_request', 'The token would be too long: name fewer tools or scopes.');
      return { token, id, grant, expiresIn: grant.expiresAt - at };
    },

    async introspect(token, asker) {
      const found = isCapabilityToken(token) ? await verify(token) : undefined;
      if (!found || found instanceof Denial || !administers(asker, found.tenant)) return { active: false };
      const [jti] = found.capability?.lineage ?? [];
      return {
        active: true, token_type: 'Bearer', iss: options.issuer, aud: options.audience, sub: found.subject, sub_iss: found.issuer, client_id: found.clientId, jti, exp: found.expiresAt,
        ...(found.tenant === undefined ? {} : { tenant: found.tenant }), scope: [...found.scopes].join(' '), tools: [...found.allowedTools ?? []], actors: found.actors,
        one_time: found.capability?.oneTime, ...(found.capability?.requestHash === undefined ? {} : { req: found.capability.requestHash }),
      };
    },

    async revoke(what, asker) {
      if (typeof what !== 'string') {
        if (administers(asker, what.tenant)) await revocations.revoke(tokenKey(what.tenant, what.id), now() + TTL_SECONDS.max * 1000 + SKEW_MS);
        return;
      }
      const found = isCapabilityToken(what) ? await verify(what) : undefined;
      if (!found || found instanceof Denial) return;
      const own = asker.tenant === found.tenant && asker.issuer === found.issuer && asker.subject === found.subject && holds(asker, found);
      const [key] = keys(found);
      if (key !== undefined && (own || administers(asker, found.tenant))) await revocations.revoke(key, found.expiresAt * 1000 + SKEW_MS);
    },
  };
}

/** A capability token ends itself and what it was derived to, not its siblings; a token of an issuer ends any of its subject's. */
const holds = (asker: Principal, found: Principal): boolean => {
  const [own] = asker.capability?.lineage ?? [];
  return own === undefined ? asker.allowedTools === undefined : found.capability?.lineage.includes(own) === true;
};

const refuse = (message: string): Denial => new Denial({ code: 'FORBIDDEN', message, reason: 'the capability token is for something else' });

/** Why the token is not good for this very call, whose tool is one of its own by now. */
function misused({ name, kind, arguments: args, principal }: AuthenticatedCall, capability: NonNullable<Principal['capability']>): Denial | undefined {
  if (kind !== 'tool' || principal.allowedTools?.has(name) !== true) return refuse(`This credential is not for ${kind} ${name}`);
  const operations = capability.operations.get(name);
  if (operations) {
    // Tools with several operations tell them apart by one of these arguments.
    const given = (args ?? {}) as Readonly<Record<string, unknown>>;
    const operation = Object.hasOwn(given, 'operation') ? given['operation'] : Object.hasOwn(given, 'action') ? given['action'] : undefined;
    if (typeof operation !== 'string' || !operations.has(operation)) return refuse(`This credential is not for that operation of ${name}`);
  }
  if (capability.requestHash !== undefined && capability.requestHash !== requestHash(name, args)) {
    return new Denial({ code: 'UNAUTHENTICATED', message: 'Token is bound to another request', reason: 'the request differs from the one that the token is bound to' });
  }
  return undefined;
}
