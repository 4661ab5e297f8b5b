import { createHash } from 'node:crypto';
import type { SnapshotDocument } from '#libs/core/catalogue.js';
import type { ApiRecord, TenantRecord } from '#libs/core/control-store.js';
import { kindOf } from '#libs/core/api-kind.js';
import type { Definitions } from '#libs/core/json-schema.js';
import type { Api } from '#libs/core/target.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { turn } from './packed.js';

export const apiOf = (tenant: TenantSlug, record: ApiRecord, definitions: Definitions): Api => ({
  id: record.id, tenant, name: record.name, version: record.version, title: record.title, description: record.description, kind: kindOf(record.format),
  status: record.status, category: record.category, tags: record.tags, specHash: record.specHash, baseUrl: record.baseUrl,
  definitions, slots: record.slots, credentials: record.credentials,
});

/**
 * The tenant's catalogue with its hash: SHA-256 over everything in it, APIs by name and targets by kind and name, but not over
 * the revision; the same content gives the same hash. A target's schemas and binding count by the target's own hash.
 * A disabled tenant has no content.
 */
export async function snapshotDocument(tenant: TenantRecord, apis: readonly Api[], targets: SnapshotDocument['targets']): Promise<SnapshotDocument> {
  const content = tenant.enabled
    ? { apis: apis.toSorted((a, b) => order(a.name, b.name)), targets: targets.toSorted((a, b) => order(a.kind, b.kind) || order(a.name, b.name)) }
    : { apis: [], targets: [] };
  const hash = createHash('sha256');
  let size = 0;
  for (const part of hashedParts(tenant, content)) {
    const text = JSON.stringify(part);
    hash.update(text).update('\n');
    // Thousands of tools must not hold up the calls of a data plane in the same process.
    if ((size += text.length) > 1_000_000) {
      size = 0;
      await turn();
    }
  }
  return { tenant: tenant.slug, revision: tenant.revision, hash: hash.digest('hex'), enabled: tenant.enabled, ...(tenant.quotas === undefined ? {} : { quotas: tenant.quotas }), ...content };
}

function* hashedParts(tenant: TenantRecord, { apis, targets }: Pick<SnapshotDocument, 'apis' | 'targets'>): Generator {
  yield [tenant.slug, tenant.enabled, ...(tenant.quotas === undefined ? [] : [tenant.quotas])];
  for (const { definitions, ...api } of apis) {
    yield api;
    yield* Object.entries(definitions);
  }
  for (const { backend: _backend, inputSchema: _input, outputSchema: _output, ...target } of targets) yield target;
}

const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
