/** A tenant's identity: lower-case letters, digits and inner hyphens, 1 to 63 characters (a DNS label, RFC 1123 §2.1). */
export type TenantSlug = string & { readonly __brand: 'TenantSlug' };

const SLUG = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** Answers the slug, or undefined when the text is not one. */
export function tenantSlug(text: unknown): TenantSlug | undefined {
  return typeof text === 'string' && SLUG.test(text) ? (text as TenantSlug) : undefined;
}

/**
 * A cache, queue, file or store key that belongs to one tenant. Only `tenantKey` makes one, so that a plain string,
 * and with it a key shared by two tenants, does not compile.
 */
export type TenantKey = string & { readonly __brand: 'TenantKey' };

/** Parts are length-prefixed, so that no two different lists of parts give the same key. */
export function tenantKey(tenant: TenantSlug, ...parts: readonly string[]): TenantKey {
  let key: string = tenant;
  for (const part of parts) key += `:${part.length}:${part}`;
  return key as TenantKey;
}
