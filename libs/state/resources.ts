import type { ImportedDocument } from '#libs/core/catalogue.js';
import { AlreadyExists, NoSuchRecord } from '#libs/core/control-store.js';
import type { ControlStore, ResourceRecord } from '#libs/core/control-store.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { apiRecord } from './apis.js';
import type { Database, Transaction } from './database.js';
import type { Prisma, Resource } from './generated/client.js';
import { unpack } from './packed.js';
import { clean, publication, reading } from './publication.js';
import { documentResource, isDocumentUri } from './stored-content.js';

type ResourceStore = Pick<ControlStore, 'listResources' | 'putResource' | 'deleteResource'>;

export const resourceStore = (database: Database): ResourceStore => ({
  listResources: (tenant) => reading(database, tenant, async (transaction) => {
    const resources = (await transaction.resource.findMany({ where: { tenant } })).map(resourceRecord);
    for (const row of await transaction.api.findMany({ where: { tenant } })) {
      const api = apiRecord(row);
      resources.push(documentResource(api, await documentOf(transaction, tenant, api.id)));
    }
    return resources.toSorted((a, b) => (a.uri < b.uri ? -1 : 1));
  }),

  putResource: async (tenant, resource) => {
    const { uri } = resource;
    // An import makes those.
    if (isDocumentUri(uri)) throw new AlreadyExists('Resource', uri);
    const { value: created, revision } = await publication(database, tenant, async (transaction) => {
      const data = {
        name: clean(resource.name), description: clean(resource.description), mimeType: clean(resource.mimeType), tags: resource.tags.map(clean),
        content: resource.content as Prisma.InputJsonObject, updatedAt: new Date(),
      };
      const { count } = await transaction.resource.updateMany({ where: { tenant, uri }, data });
      if (count === 0) await transaction.resource.create({ data: { tenant, uri, ...data } });
      return count === 0;
    });
    return { revision, created };
  },

  deleteResource: async (tenant, uri) => {
    const { revision } = await publication(database, tenant, async (transaction) => {
      const { count } = await transaction.resource.deleteMany({ where: { tenant, uri } });
      if (count === 0) throw new NoSuchRecord('Resource', uri);
    });
    return { revision };
  },
});

export const resourceRecord = (row: Resource): ResourceRecord => ({
  uri: row.uri, name: row.name, description: row.description, mimeType: row.mimeType, tags: row.tags, content: row.content as ResourceRecord['content'],
});

async function documentOf(transaction: Transaction, tenant: TenantSlug, apiId: string): Promise<ImportedDocument> {
  const { bytes, mediaType } = await transaction.apiContents.findUniqueOrThrow({ where: { tenant_apiId: { tenant, apiId } }, select: { bytes: true, mediaType: true } });
  return { bytes: await unpack(bytes), mediaType };
}
