import { hash, randomBytes } from 'node:crypto';
import { canonicalJson } from '#libs/audit/canonical-json.js';

/** SHA-256, 64 lower-case hexadecimal digits. */
export type Digest = string;

/** What happened, without what can be erased. Members are facts of the record's kind; plain JSON. */
export type AuditFacts = Readonly<Record<string, unknown>>;

/** Who it was, and what they said: what a person may ask to have erased. Bound to the record by its digest, and blinded by the salt. */
export interface Personal {
  /** 32 hexadecimal digits, random: without it nobody can find the erased values by trying. */
  readonly salt: string;
  readonly subject?: string;
  readonly arguments?: unknown;
  readonly details?: AuditFacts;
}

/** What the chain binds. Erasing `personal` changes nothing of it. */
export interface AuditBody {
  readonly v: 1;
  /** The chain: a tenant's slug, or `_platform` for what belongs to none. */
  readonly chain: string;
  /** From 1, without gaps. */
  readonly seq: number;
  /** Digest of the body before; of `genesis(chain)` for the first. */
  readonly prev: Digest;
  /** When it happened, ISO 8601 in UTC with milliseconds. */
  readonly at: string;
  /** `call`, `admin`, `tombstone`, `retention`. */
  readonly kind: string;
  /** Id of what is recorded: call id, request id of an administrator's change. */
  readonly id: string;
  readonly facts: AuditFacts;
  /** Digest of the canonical `personal`; absent where there was none from the start. */
  readonly personal?: Digest;
}

export interface AuditEntry {
  readonly body: AuditBody;
  /** Absent: there was none, or it was erased since. */
  readonly personal?: Personal;
}

/** Chain of what belongs to no tenant. Not a legal slug, so that no tenant can be called so. */
export const PLATFORM_CHAIN = '_platform';

export const digestOf = (text: string): Digest => hash('sha256', text, 'hex');
/** What the first body of a chain points to: names the chain, so that no other chain's records fit behind it. */
export const genesis = (chain: string): Digest => digestOf(`stoa audit chain 1 ${chain}`);
export const digestOfBody = (body: AuditBody): Digest => digestOf(canonicalJson(body));
export const digestOfPersonal = (personal: Personal): Digest => digestOf(canonicalJson(personal));

/** From a pool: one system call for 256 salts. */
export function newSalt(): string {
  if (at === POOL.length) at = 0;
  if (at === 0) randomBytes(POOL.length).copy(POOL);
  at += SALT;
  return POOL.toString('hex', at - SALT, at);
}
const SALT = 16;
const POOL = Buffer.alloc(256 * SALT);
let at = 0;
