import type { JsonObject } from './compact-token.js';
import type { IssuerConfig } from './issuer-config.js';
import { claimAt, strings } from './principal-mapping.js';

interface Times {
  /** When the token ends, in seconds since the epoch. */
  readonly expiresAt: number;
  /** When it is no longer taken: its end, or the age that the issuer's configuration allows. */
  readonly takenUntil: number;
}
interface Fault { readonly fault: string; /** For the caller. */ readonly message: string }

/**
 * Times and version of proved claims, by the names that the issuer's configuration gives them. Both times must be there.
 * A token is too old at `maxTokenAgeSeconds` exactly, whatever the clocks differ by; with an age limit, one from the future
 * beyond that difference is refused too, since it would outlive the limit.
 */
export function checkClaims(config: IssuerConfig, claims: JsonObject, now: { readonly seconds: number; readonly skew: number }): Times | Fault {
  const { expiresAt: endName = 'exp', issuedAt: startName = 'iat', apiVersion: versionName = 'v' } = config.claims ?? {};
  const expiresAt = claimAt(claims, endName);
  const issuedAt = claimAt(claims, startName);
  if (!isDate(expiresAt)) return bad(`claim ${endName} is not a date`);
  if (!isDate(issuedAt)) return bad(`claim ${startName} is not a date`);
  if (expiresAt <= now.seconds - now.skew) return { message: 'Token has expired', fault: 'expired' };
  const { maxTokenAgeSeconds: maxAge = 0, apiVersions = [] } = config;
  if (maxAge > 0) {
    if (issuedAt > now.seconds + now.skew) return bad(`claim ${startName} is in the future`);
    if (now.seconds - issuedAt >= maxAge) return { message: 'Token has expired', fault: `issued more than ${maxAge} s ago` };
  }
  if (apiVersions.length > 0) {
    const version = claimAt(claims, versionName);
    if (!(typeof version === 'string' || typeof version === 'number') || !apiVersions.includes(String(version))) return bad(`claim ${versionName} is not one of ${apiVersions.join(', ')}`);
  }
  return { expiresAt, takenUntil: maxAge > 0 ? Math.min(expiresAt, issuedAt + maxAge) : expiresAt };
}

const bad = (fault: string): Fault => ({ message: 'Invalid token', fault });
const isDate = (value: unknown): value is number => typeof value === 'number' && Number.isSafeInteger(Math.ceil(value));

/** The first group of `requiredGroups` that the claims do not have. */
export function missingGroup({ requiredGroups = [], claims: names }: IssuerConfig, claims: JsonObject): string | undefined {
  if (requiredGroups.length === 0) return undefined;
  const held = new Set(strings(claimAt(claims, names?.groups ?? 'groups')));
  return requiredGroups.find((group) => !held.has(group));
}
