import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { Denial } from '#libs/core/errors.js';
import type { Eventually } from '#libs/core/ports.js';
import type { SecretReference } from '#libs/core/rest-binding.js';
import type { TenantSlug } from '#libs/core/tenant.js';

/** A value that no log, error, inspection or JSON shows; only `reveal` gives it. */
export class Secret {
  readonly #value: string;
  constructor(value: string) { this.#value = value; }
  reveal(): string { return this.#value; }
  toString(): string { return '[redacted]'; }
  toJSON(): string { return '[redacted]'; }
  [inspect.custom](): string { return '[redacted]'; }
}

export interface CredentialOptions {
  /** Mostly `process.env`; read at each call. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Folder with one folder per tenant. Unset: references to files are refused. */
  readonly folder?: string;
}

/** What a reference may be called: no separator, no dot at the front, nothing that a file system or an environment reads otherwise. */
const NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const ENVIRONMENT_NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/;
const MAX_FILE_BYTES = 64 * 1024;

/** Whether a reference can name a secret at all; the admin API asks before it stores one. */
export function isCredentialReference(reference: SecretReference): boolean {
  return (reference.from === 'environment' ? ENVIRONMENT_NAME : NAME).test(reference.name);
}

/**
 * `STOA_CREDENTIAL_{TENANT}_{NAME}`, upper-case, hyphens as underscores. A hyphen in a tenant becomes two of them, so that the first lone underscore
 * ends the tenant: else `b_key` of tenant `a` were `key` of tenant `a-b`.
 */
export function environmentName(tenant: TenantSlug, name: string): string {
  return `STOA_CREDENTIAL_${tenant.replaceAll('-', '__')}_${name.replaceAll('-', '_')}`.toUpperCase();
}

export interface SecretResolver { resolve(tenant: TenantSlug, reference: SecretReference): Eventually<string | Denial> }

/** Finds secrets by reference, each tenant's in its own place only. A changed file counts at the next call; one line end at its end does not. */
export function createCredentialResolver(options: CredentialOptions): SecretResolver {
  const files = new Map<string, { readonly stamp: string; readonly secret: Secret }>();
  const fromFile = async (path: string): Promise<string | undefined> => {
    const facts = await stat(path);
    if (!facts.isFile() || facts.size > MAX_FILE_BYTES) return undefined;
    const stamp = `${facts.mtimeMs}:${facts.size}:${facts.ino}`;
    const known = files.get(path);
    if (known?.stamp === stamp) return known.secret.reveal();
    const secret = new Secret((await readFile(path, 'utf8')).replace(/\r?\n$/, ''));
    files.set(path, { stamp, secret });
    return secret.reveal();
  };
  return {
    resolve(tenant, reference): Eventually<string | Denial> {
      if (!isCredentialReference(reference)) return missing('its reference has characters that a name may not have');
      if (reference.from === 'environment') {
        const variable = environmentName(tenant, reference.name);
        const value = options.environment[variable];
        return value === undefined || value === '' ? missing(`the operator has not set ${variable}`) : value;
      }
      if (options.folder === undefined) return missing('this installation has no folder of credentials');
      const where = `${tenant}/${reference.name}`;
      return fromFile(join(options.folder, tenant, reference.name)).then(
        (value) => (value === undefined || value === '' ? missing(`the file ${where} is empty, too large or not a file`) : value),
        () => missing(`the file ${where} cannot be read`),
      );
    },
  };
}

const missing = (why: string): Denial => new Denial({ code: 'CREDENTIAL_MISSING', message: why });
