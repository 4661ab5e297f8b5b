/** Longest bearer token that is looked at, in characters. */
export const MAX_TOKEN_LENGTH = 8192;
const MAX_KID_LENGTH = 256;
const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;
const ACCESS_TOKEN_TYPES: ReadonlySet<string> = new Set(['jwt', 'at+jwt', 'application/at+jwt']);
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export type JsonObject = Readonly<Record<string, unknown>>;

/** What a token claims of itself: nothing here is proved. */
export interface UnverifiedToken {
  readonly algorithm: string;
  readonly keyId: string | undefined;
  readonly issuer: string;
  readonly payload: JsonObject;
}

/**
 * Takes a JWS in compact form apart (RFC 7515 §7.1). Answers a private reason instead when it is something else than a
 * plain access token: a JWE, a nested token, one with critical or unencoded-payload extensions, duplicate members
 * (RFC 7519 §4), or an ID, refresh or logout token. Members that carry keys (`jwk`, `jku`, `x5c`, `x5u`) are not read.
 */
export function readCompactToken(token: string): UnverifiedToken | { readonly fault: string } {
  if (token.length > MAX_TOKEN_LENGTH) return { fault: `token longer than ${MAX_TOKEN_LENGTH} characters` };
  if (!COMPACT.test(token)) return { fault: 'not a JWS in compact form' };
  const first = token.indexOf('.');
  const header = readObject(token.slice(0, first));
  const payload = readObject(token.slice(first + 1, token.indexOf('.', first + 1)));
  if (header === undefined) return { fault: 'header is not a JSON object with unique members' };
  if (payload === undefined) return { fault: 'payload is not a JSON object with unique members' };
  const { alg, kid, typ, cty } = header;
  if (typeof alg !== 'string') return { fault: 'no alg' };
  for (const extension of ['crit', 'b64', 'enc', 'zip']) if (Object.hasOwn(header, extension)) return { fault: `header member ${extension} is not supported` };
  if (cty !== undefined) return { fault: 'nested token' };
  if (typ !== undefined && !(typeof typ === 'string' && ACCESS_TOKEN_TYPES.has(typ.toLowerCase()))) return { fault: 'typ is not that of an access token' };
  if (kid !== undefined && !(typeof kid === 'string' && kid !== '' && kid.length <= MAX_KID_LENGTH)) return { fault: 'kid is not a short string' };
  if (typeof payload['iss'] !== 'string') return { fault: 'no iss' };
  const purpose = otherPurpose(payload);
  if (purpose !== undefined) return { fault: purpose };
  return { algorithm: alg, keyId: kid, issuer: payload['iss'], payload };
}

/** Why these claims are not those of a bearer access token. */
function otherPurpose(payload: JsonObject): string | undefined {
  // Keycloak names the purpose in the payload: Bearer, ID, Refresh, Offline, Logout.
  const { typ } = payload;
  if (typ !== undefined && !(typeof typ === 'string' && typ.toLowerCase() === 'bearer')) return 'payload typ is not Bearer';
  if (payload['token_use'] !== undefined && payload['token_use'] !== 'access') return 'token_use is not access';
  for (const hash of ['at_hash', 'c_hash', 's_hash']) if (payload[hash] !== undefined) return `an ID token (${hash})`;
  if (payload['events'] !== undefined) return 'a security event or logout token';
  // RFC 7800: the issuer demands a proof of possession which a bearer credential does not give.
  if (payload['cnf'] !== undefined) return 'bound to a key (cnf), which a bearer credential cannot prove';
  return undefined;
}

function readObject(part: string): JsonObject | undefined {
  try {
    const json = utf8.decode(Buffer.from(part, 'base64url'));
    const value: unknown = JSON.parse(json);
    if (typeof value !== 'object' || value === null || Array.isArray(value) || hasDuplicateMembers(json)) return undefined;
    return value as JsonObject;
  } catch {
    return undefined;
  }
}

/** Whether any object in `json` (already known to be valid JSON) names a member twice, escapes resolved. */
export function hasDuplicateMembers(json: string): boolean {
  // One entry per open bracket: the member names seen, or undefined for an array.
  const open: (Set<string> | undefined)[] = [];
  let nameNext = false;
  for (let at = 0; at < json.length; at += 1) {
    switch (json.charAt(at)) {
      case '{': open.push(new Set()); nameNext = true; break;
      case '[': open.push(undefined); nameNext = false; break;
      case '}': case ']': open.pop(); nameNext = false; break;
      case ',': nameNext = open.at(-1) !== undefined; break;
      case '"': {
        const start = at;
        for (at += 1; json[at] !== '"'; at += 1) if (json[at] === '\\') at += 1;
        const names = open.at(-1);
        if (nameNext && names !== undefined) {
          const name = JSON.parse(json.slice(start, at + 1)) as string;
          if (names.has(name)) return true;
          names.add(name);
        }
        nameNext = false;
        break;
      }
      default: break;
    }
  }
  return false;
}
