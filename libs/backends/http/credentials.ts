import type { ValidatedCall } from '#libs/core/call.js';
import { Denial } from '#libs/core/errors.js';
import type { OutboundResponse } from '#libs/core/outbound.js';
import type { CredentialResolver, Eventually } from '#libs/core/ports.js';
import { type CredentialSlot, slotNamed, type StandingSlot, STANDING_SLOTS } from '#libs/core/rest-binding.js';

/** A credential to put where its slot says. `basic` takes `user:password`; a `certificate` is the connection's, not the request's. */
export interface AppliedCredential {
  readonly slot: CredentialSlot | Exclude<StandingSlot, { readonly type: 'gateway' }>;
  readonly secret: string;
  /** It is no secret, and may stand in answers. */
  readonly open?: true;
}

const NONE: readonly AppliedCredential[] = [];
const STANDING = Object.keys(STANDING_SLOTS);

/**
 * The credentials of the first alternative whose slots are all bound by the API's owner (OpenAPI 3.2 §4.26), and those of the standing slots that are bound.
 * A denial `CREDENTIAL_MISSING` names the slots that no alternative could fill.
 */
export function gatherCredentials(resolver: CredentialResolver, call: Pick<ValidatedCall, 'api' | 'principal'>, security: readonly (readonly string[])[]): Eventually<readonly AppliedCredential[] | Denial> {
  const { api } = call;
  const standing = api === undefined ? NONE_STANDING : standingOf(api);
  if (security.length === 0 && standing.length === 0) return NONE;
  const bound = (alternative: readonly string[]): boolean => alternative.every((slot) => api !== undefined && Object.hasOwn(api.credentials, slot) && slotNamed(api.slots, slot) !== undefined);
  // An empty alternative makes credentials optional: it is the last resort, not the first.
  const chosen = security.length === 0 ? NONE_STANDING : security.find((alternative) => alternative.length > 0 && bound(alternative)) ?? security.find((alternative) => alternative.length === 0);
  if (chosen === undefined || api === undefined) {
    const slots = security.map((alternative) => alternative.join(' and ')).join(', or ');
    return new Denial({ code: 'CREDENTIAL_MISSING', message: `This tool needs a credential for its backend: ${slots}. Its owner can bind one with PUT …/apis/${api?.name ?? '{api}'}/credentials/{slot}.` });
  }
  const wanted = standing.length === 0 ? chosen : [...new Set([...chosen, ...standing])];
  if (wanted.length === 0) return NONE;
  const resolved = wanted.map((slot) => resolve(resolver, call, api, slot));
  return resolved.some((one) => one instanceof Promise) ? Promise.all(resolved.map(async (one) => one)).then(allOf) : allOf(resolved as (readonly AppliedCredential[] | Denial)[]);
}

type Api = NonNullable<ValidatedCall['api']>;
const NONE_STANDING: readonly string[] = [];
/** A slot that the document declares under the same name is the document's: it is sent where an operation asks for it. */
const standingOf = ({ slots, credentials }: Api): readonly string[] =>
  (STANDING.some((name) => Object.hasOwn(credentials, name) && !Object.hasOwn(slots, name)) ? STANDING.filter((name) => Object.hasOwn(credentials, name) && !Object.hasOwn(slots, name)) : NONE_STANDING);

function resolve(resolver: CredentialResolver, { principal }: Pick<ValidatedCall, 'principal'>, api: Api, name: string): Eventually<readonly AppliedCredential[] | Denial> {
  const slot = slotNamed(api.slots, name);
  const reference = api.credentials[name];
  if (!slot || !reference) return new Denial({ code: 'CREDENTIAL_MISSING', message: `The credential ${name} is not bound.` });
  const apply = (secret: string | Denial): readonly AppliedCredential[] | Denial => {
    if (secret instanceof Denial) return new Denial({ code: secret.code, message: `The credential ${name} of this API cannot be had: ${secret.message}`, ...(secret.reason === undefined ? {} : { reason: secret.reason }) });
    if (slot.type === 'certificate') return [{ slot, secret }];
    // A line end or a non-ASCII letter would break the request, and the error would be about the header that has the secret in it.
    if (!/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(secret) && slot.type !== 'basic') {
      return new Denial({ code: 'CREDENTIAL_MISSING', message: `The credential ${name} of this API is empty or has characters that a request cannot carry.` });
    }
    if (slot.type === 'apiKey' && slot.in === 'cookie' && secret.includes(';')) return new Denial({ code: 'CREDENTIAL_MISSING', message: `The credential ${name} of this API has a semicolon, which a cookie cannot carry.` });
    return slot.type === 'gateway' ? [{ slot: GATEWAY_AUTH, secret }, { slot: USER_ID, secret: headerText(principal.subject), open: true }] : [{ slot, secret }];
  };
  const value = resolver.resolve(api.tenant, reference, { principal });
  return value instanceof Promise ? value.then(apply) : apply(value);
}

/** As API keys they take the place of arguments and fixed headers of the same names. */
const GATEWAY_AUTH = { type: 'apiKey', in: 'header', name: 'x-gateway-auth' } as const;
const USER_ID = { type: 'apiKey', in: 'header', name: 'x-user-id' } as const;
/** A subject as a header can carry it: percent-encoded (RFC 3986 §2.1) where it is more than visible ASCII. */
const headerText = (subject: string): string => (/^[\x21-\x24\x26-\x7e]+$/.test(subject) ? subject : encodeURIComponent(subject));

const allOf = (resolved: readonly (readonly AppliedCredential[] | Denial)[]): readonly AppliedCredential[] | Denial =>
  resolved.find((one) => one instanceof Denial) ?? (resolved as readonly (readonly AppliedCredential[])[]).flat();

/** What no text may show of these. */
export const secretsOf = (credentials: readonly AppliedCredential[]): readonly string[] => credentials.filter(({ open }) => open !== true).map(({ secret }) => secret);
/** PEM of the certificate that the connection is to show; undefined: none. */
export const certificateOf = (credentials: readonly AppliedCredential[]): string | undefined => credentials.find(({ slot }) => slot.type === 'certificate')?.secret;
/** Whether another try with fresh credentials is worth it, after the backend said that it does not know who asks. */
export const mayRenew = (resolver: CredentialResolver, credentials: readonly AppliedCredential[]): boolean => resolver.refused !== undefined && credentials.filter(({ secret }) => resolver.refused?.(secret) === true).length > 0;

const REDACTED = '[redacted]';
/** How a request may carry the secret, and how a text may quote that. */
const forms = (secret: string): string[] => [...new Set([secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1), Buffer.from(secret).toString('base64')])];

/** `text` with every known secret, and the forms in which a request carries it, replaced. */
export function scrub(text: string, secrets: readonly string[]): string {
  let clean = text;
  for (const secret of secrets) {
    if (secret.length < 4) continue;
    for (const form of forms(secret)) clean = clean.replaceAll(form, REDACTED);
  }
  return clean;
}

/**
 * The answer without the secrets that its request carried: a backend that quotes its request must not hand them to the caller. Bytes are
 * searched, so that the charset does not matter. What is shorter than 8 letters stays: it is as likely to be data.
 */
export function withoutSecrets(response: OutboundResponse, credentials: readonly AppliedCredential[]): OutboundResponse {
  const secrets = credentials.filter(({ open }) => open !== true).flatMap(({ slot, secret }) => (slot.type === 'basic' ? [secret, secret.slice(secret.indexOf(':') + 1)] : [secret])).filter(({ length }) => length >= 8);
  if (secrets.length === 0) return response;
  const { location } = response.headers;
  const headers = location === undefined ? response.headers : { ...response.headers, location: scrub(location, secrets) };
  const bytes = Buffer.from(response.body.buffer, response.body.byteOffset, response.body.byteLength);
  const found = secrets.flatMap(forms).filter((form) => bytes.includes(form));
  if (found.length === 0) return { ...response, headers };
  let text = bytes.toString('latin1');
  for (const form of found) text = text.replaceAll(Buffer.from(form).toString('latin1'), REDACTED);
  return { ...response, headers, body: Buffer.from(text, 'latin1') };
}

/**
 * Puts credentials on a request whose URL and headers no argument can touch. Cookies and query members of the same name give way.
 */
export function applyCredentials(url: string, headers: (readonly [string, string])[], credentials: readonly AppliedCredential[]): string {
  let target = url;
  for (const { slot, secret } of credentials) {
    if (slot.type === 'bearer') headers.push(['authorization', `Bearer ${secret}`]);
    else if (slot.type === 'basic') headers.push(['authorization', `Basic ${Buffer.from(secret).toString('base64')}`]);
    else if (slot.type === 'certificate') continue;
    else if (slot.in === 'header') setHeader(headers, slot.name, secret);
    else if (slot.in === 'cookie') headers.push(['cookie', `${slot.name}=${secret}`]);
    else {
      const parsed = new URL(target);
      parsed.searchParams.set(slot.name, secret);
      target = parsed.href;
    }
  }
  return target;
}

function setHeader(headers: (readonly [string, string])[], name: string, value: string): void {
  const lower = name.toLowerCase();
  for (let at = headers.length - 1; at >= 0; at -= 1) if (headers[at]?.[0].toLowerCase() === lower) headers.splice(at, 1);
  headers.push([name, value]);
}
