import { type JWTPayload, jwtVerify, SignJWT } from 'jose';
import type { Principal } from '#libs/core/principal.js';
import { tenantSlug } from '#libs/core/tenant.js';
import { z } from 'zod';
import type { Grant } from './authority.js';
import type { KeyRing } from './key-ring.js';

const TYPE = 'stoa-capability+jwt';
/** Longest chain of exchanges. */
export const MOST_LINKS = 8;
/** Every header that we sign begins so: its members have one order. A multiple of three bytes, so that the base64url text does too. */
const HEADER = JSON.stringify({ alg: 'EdDSA', typ: TYPE, kid: '' });
const PREFIX = Buffer.from(HEADER.slice(0, Math.floor((HEADER.length - 2) / 3) * 3)).toString('base64url');

/** Told by its first characters. */
export const isCapabilityToken = (token: string): boolean => token.startsWith(PREFIX);

/** RFC 8693 §4.1. */
interface Act { readonly sub: string; readonly act?: Act | undefined }
const Act: z.ZodType<Act> = z.lazy(() => z.object({ sub: z.string(), act: Act.optional() }));

const Claims = z.object({
  sub: z.string(), iat: z.number(), exp: z.number(), jti: z.string().min(1),
  tenant: z.string().optional(),
  /** Issuer of the token that was exchanged first: with `sub` it names the principal. */
  sub_iss: z.string(),
  client_id: z.string(),
  scope: z.array(z.string()), roles: z.array(z.string()),
  tools: z.array(z.string()).min(1), ops: z.record(z.string(), z.array(z.string())),
  act: Act,
  req: z.string().optional(),
  once: z.literal(true).optional(),
  /** `jti` of the capability tokens above it, nearest first. */
  from: z.array(z.string()).max(MOST_LINKS),
});
type Claims = z.infer<typeof Claims>;

export interface TokenSettings {
  readonly ring: KeyRing;
  /** Its `iss`: no issuer of the configuration may have the same. */
  readonly issuer: string;
  readonly audience: string;
}

/** `principal`: whom it speaks of. `issuedAt` in seconds. */
export interface Minting { readonly id: string; readonly principal: Principal; readonly grant: Grant; readonly issuedAt: number; readonly actors: readonly string[]; readonly from: readonly string[]; readonly clientId: string }

export function mint({ ring, issuer, audience }: TokenSettings, { id, principal, grant, issuedAt, actors, from, clientId }: Minting): Promise<string> {
  const claims: Claims = {
    sub: principal.subject, iat: issuedAt, exp: grant.expiresAt, jti: id, sub_iss: principal.issuer, client_id: clientId,
    scope: [...grant.scopes], roles: [...grant.roles], tools: [...grant.tools.keys()],
    ops: Object.fromEntries([...grant.tools].flatMap(([tool, operations]) => (operations ? [[tool, [...operations]]] : []))),
    act: actors.reduceRight<Act | undefined>((act, sub) => ({ sub, ...(act ? { act } : {}) }), undefined) ?? { sub: clientId },
    from: [...from],
    ...(principal.tenant === undefined ? {} : { tenant: principal.tenant }),
    ...(grant.requestHash === undefined ? {} : { req: grant.requestHash }),
    ...(grant.oneTime ? { once: true as const } : {}),
  };
  const payload: JWTPayload = { iss: issuer, aud: audience, ...claims };
  return new SignJWT(payload).setProtectedHeader({ alg: 'EdDSA', typ: TYPE, kid: ring.signing.kid }).sign(ring.signing.privateKey);
}

/** The principal of a token that one of our keys signed and that has not ended. Rejects with an error of jose or of zod for any other. `now` in milliseconds. */
export async function prove({ ring, issuer, audience }: TokenSettings, token: string, now: number): Promise<Principal & { readonly capability: object }> {
  const key = ({ kid }: { readonly kid?: string }) => {
    const found = ring.find(kid ?? '');
    if (!found) throw new Error('no key of that id');
    return found;
  };
  const { payload } = await jwtVerify(token, key, {
    algorithms: ['EdDSA'], typ: TYPE, issuer, audience, requiredClaims: ['exp', 'iat', 'jti', 'sub'], currentDate: new Date(now),
  });
  const claims = Claims.parse(payload);
  const tenant = tenantSlug(claims.tenant);
  if (claims.tenant !== undefined && tenant === undefined) throw new Error('tenant is not one');
  const actors: string[] = [];
  for (let act: Act | undefined = claims.act; act; act = act.act) actors.push(act.sub);
  return {
    tenant, issuer: claims.sub_iss, subject: claims.sub, clientId: claims.client_id, credentialId: claims.jti, credential: 'capability',
    roles: new Set(claims.roles), scopes: new Set(claims.scope), expiresAt: claims.exp, allowedTools: new Set(claims.tools), actors,
    capability: {
      lineage: [claims.jti, ...claims.from], oneTime: claims.once === true,
      operations: new Map(Object.entries(claims.ops).map(([tool, operations]) => [tool, new Set(operations)])),
      ...(claims.req === undefined ? {} : { requestHash: claims.req }),
    },
  };
}
