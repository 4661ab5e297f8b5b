import { LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { ASYMMETRIC_ALGORITHMS, type IssuerConfig, type KeySource } from './issuer-config.js';

const MAX_CHARACTERS = 1_048_576;
const name = z.string().min(1);

/** Where a secret is: never in the file itself. */
const SecretRef = z.union([z.strictObject({ env: name }), z.strictObject({ file: name })]);

const Issuer = z.strictObject({
  /** The exact `iss`. */
  issuer: name,
  resource: z.url().optional(),
  audiences: z.array(name).default([]),
  algorithms: z.array(z.enum(ASYMMETRIC_ALGORITHMS)).min(1).optional(),
  metadataUrl: z.url({ protocol: /^https?$/ }).optional(),
  jwksUri: z.url({ protocol: /^https?$/ }).optional(),
  secret: SecretRef.optional(),
  claims: z.strictObject({
    tenant: name.or(z.array(name).min(1)).optional(), roles: name.optional(), scopes: name.optional(), subject: name.optional(),
    expiresAt: name.optional(), issuedAt: name.optional(), apiVersion: name.optional(), groups: name.optional(),
  }).optional(),
  maxTokenAgeMinutes: z.number().min(0).optional(),
  clockSkewSeconds: z.number().min(0).max(600).optional(),
  apiVersions: z.array(name.or(z.number().transform(String))).optional(),
  requiredGroups: z.array(name).optional(),
}).superRefine((issuer, context) => {
  const wrong = (path: string, message: string): void => { context.addIssue({ code: 'custom', path: [path], message }); };
  if (issuer.audiences.length === 0 && issuer.resource === undefined) wrong('audiences', 'name at least one, or a resource: tokens for any audience are never accepted');
  if (issuer.secret === undefined) {
    if (issuer.jwksUri === undefined && issuer.metadataUrl === undefined && !/^https?:/.test(issuer.issuer)) wrong('issuer', 'is not an http or https URL where its keys could be discovered: give jwksUri, or secret');
    if (issuer.jwksUri !== undefined && issuer.metadataUrl !== undefined) wrong('metadataUrl', 'is not read beside jwksUri: leave one of them out');
    return;
  }
  // What makes a public key a secret is that both are taken for the same issuer (RFC 8725 §3.1).
  for (const field of ['jwksUri', 'metadataUrl', 'algorithms'] as const) if (issuer[field] !== undefined) wrong(field, 'does not go with secret: an issuer has either a shared secret (HS256) or public keys');
});
const Wrapped = z.strictObject({ issuers: z.array(z.unknown()) });

export interface IssuersFileAccess {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Rejects or throws when a file cannot be read. */
  readonly readFile: (path: string) => string;
}

/**
 * Reads the list of issuers in `path`, YAML or JSON. Throws one `Error` that names the file and, for every fault, its line, the field
 * and what would be right; a secret that cannot be read is a fault as well.
 */
export function readIssuersFile(path: string, { environment, readFile }: IssuersFileAccess): readonly IssuerConfig[] {
  const text = readFile(path);
  if (text.length > MAX_CHARACTERS) throw new Error(`${path}: larger than 1 MiB`);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, merge: false, prettyErrors: false });
  const [syntax] = document.errors;
  if (syntax) throw new Error(`${path}:${lines.linePos(syntax.pos[0]).line}: ${syntax.message}`);
  let value: unknown;
  try { value = document.toJS({ maxAliasCount: 0 }); } catch { throw new Error(`${path}: aliases are not taken: write each issuer out`); }

  const wrapped = Array.isArray(value) ? { success: true as const, data: { issuers: value as unknown[] } } : Wrapped.safeParse(value);
  if (!wrapped.success || wrapped.data.issuers.length === 0) throw new Error(`${path}:1: must be a list of one issuer or more, or have it under "issuers" and nothing else`);
  const root = Array.isArray(value) ? [] : ['issuers'];
  const faults: string[] = [];
  const say = (at: readonly PropertyKey[], message: string): void => {
    const range = rangeOf(document, [...root, ...at]);
    faults.push(`${path}:${range === undefined ? 1 : lines.linePos(range).line}: ${at.map(String).join('.')}: ${message}`);
  };
  const configs = wrapped.data.issuers.flatMap((entry, index) => {
    const parsed = Issuer.safeParse(entry);
    if (!parsed.success) { for (const issue of parsed.error.issues) say([index, ...issue.path], issue.message); return []; }
    try {
      return [configOf(parsed.data, (reference) => secretOf(reference, environment, readFile))];
    } catch (failure) {
      say([index, 'secret'], failure instanceof Error ? failure.message : String(failure));
      return [];
    }
  });
  if (faults.length > 0) throw new Error(faults.join('\n'));
  return configs;
}

type IssuerEntry = z.infer<typeof Issuer>;

function configOf(entry: IssuerEntry, read: (reference: NonNullable<IssuerEntry['secret']>) => string): IssuerConfig {
  const { issuer, resource, audiences, algorithms, metadataUrl, jwksUri, secret, claims = {}, maxTokenAgeMinutes = 0, clockSkewSeconds, apiVersions = [], requiredGroups = [] } = entry;
  const among = algorithms === undefined ? {} : { algorithms };
  const keys: KeySource = secret !== undefined ? { from: 'secret', secret: read(secret) }
    : jwksUri !== undefined ? { from: 'jwks', uri: jwksUri, ...among } : { from: 'discovery', ...(metadataUrl === undefined ? {} : { metadataUrl }), ...among };
  return {
    issuer, keys, audiences: [...new Set([...(resource === undefined ? [] : [resource]), ...audiences])], apiVersions, requiredGroups,
    claims: Object.fromEntries(Object.entries(claims).filter(([, claim]) => claim !== undefined)),
    maxTokenAgeSeconds: maxTokenAgeMinutes * 60, ...(clockSkewSeconds === undefined ? {} : { clockSkewSeconds }),
  };
}

function secretOf(reference: NonNullable<IssuerEntry['secret']>, environment: IssuersFileAccess['environment'], readFile: IssuersFileAccess['readFile']): string {
  const value = 'env' in reference ? environment[reference.env] : readFile(reference.file).replace(/\r?\n$/, '');
  if (value === undefined || value === '') throw new Error('env' in reference ? `the variable ${reference.env} is not set` : `${reference.file} is empty`);
  if (Buffer.byteLength(value) < 32) throw new Error('HS256 needs at least 32 bytes (RFC 7518 §3.2)');
  return value;
}

/** Offset of the deepest node on the way to `path` that the document has. */
function rangeOf(document: ReturnType<typeof parseDocument>, path: readonly PropertyKey[]): number | undefined {
  for (let length = path.length; length >= 0; length -= 1) {
    const node: unknown = length === 0 ? document.contents : document.getIn(path.slice(0, length), true);
    if (typeof node === 'object' && node !== null && 'range' in node && Array.isArray(node.range)) return node.range[0] as number;
  }
  return undefined;
}
