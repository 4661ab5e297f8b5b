import { NoSuchRecord } from '#libs/core/control-store.js';
import type { ApiRecord, ControlStore, ToolRecord } from '#libs/core/control-store.js';
import type { ConvertedTool } from '#libs/core/conversion.js';
import type { ToolRate } from '#libs/core/quota.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { apiRecord } from './apis.js';
import type { Database, Transaction } from './database.js';
import { Prisma } from './generated/client.js';
import { turn } from './packed.js';
import { clean, publication, reading } from './publication.js';
import { toolRecord, withEdit } from './stored-tool.js';
import type { ToolEdits } from './stored-tool.js';

type ToolStore = Pick<ControlStore, 'listTools' | 'getTool' | 'editTool'>;

export const toolStore = (database: Database): ToolStore => ({
  listTools: (tenant) => reading(database, tenant, async (transaction) => {
    const tools: ToolRecord[] = [];
    const apis = (await transaction.api.findMany({ where: { tenant } })).map(apiRecord);
    for await (const { api, tool, edits } of activeTools(transaction, tenant, apis)) tools.push(toolRecord(api, tool, edits));
    return tools.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }),

  getTool: (tenant, name) => reading(database, tenant, async (transaction) => {
    const found = await findTool(transaction, tenant, name);
    return found && toolRecord(found.api, found.tool, found.edits);
  }),

  editTool: async (tenant, name, edit) => {
    const { value: tool, revision } = await publication(database, tenant, async (transaction) => {
      const found = await findTool(transaction, tenant, name);
      if (!found) throw new NoSuchRecord('Tool', name);
      const edits = withEdit(found.edits, edit);
      const description = edits.description === null ? null : clean(edits.description);
      await transaction.tool.update({
        where: { tenant_apiId_name: { tenant, apiId: found.api.id, name } },
        data: { enabled: edits.enabled, editedDescription: description, editedTags: edits.tags === null ? Prisma.DbNull : [...edits.tags], editedTimeoutMs: edits.timeoutMs,
          editedRateLimit: edits.rateLimit === null ? Prisma.DbNull : { ...edits.rateLimit }, updatedAt: new Date() },
      });
      return toolRecord(found.api, found.tool, { ...edits, description });
    });
    return { tool, revision };
  },
});

async function findTool(transaction: Transaction, tenant: TenantSlug, name: string): Promise<{ api: ApiRecord; tool: ConvertedTool; edits: ToolEdits } | undefined> {
  const [row] = await transaction.$queryRaw<ToolRow[]>`
    SELECT api_id, name, definition::text, listed, enabled, edited_description, edited_tags::text, edited_timeout_ms, edited_rate_limit::text FROM tools WHERE tenant = ${tenant} AND name = ${name} AND active`;
  const api = row && await transaction.api.findUnique({ where: { tenant_id: { tenant, id: row.api_id } } });
  return row && api ? { api: apiRecord(api), ...parseTool(row) } : undefined;
}

interface ToolRow {
  readonly api_id: string; readonly name: string; readonly definition: string; readonly listed: string; readonly enabled: boolean;
  readonly edited_description: string | null; readonly edited_tags: string | null; readonly edited_timeout_ms: number | null; readonly edited_rate_limit: string | null;
}

const parseTool = (row: ToolRow): { tool: ConvertedTool; edits: ToolEdits } => ({
  tool: { ...JSON.parse(row.definition) as Omit<ConvertedTool, 'listed'>, listed: row.listed },
  edits: { enabled: row.enabled, description: row.edited_description, tags: row.edited_tags === null ? null : JSON.parse(row.edited_tags) as string[], timeoutMs: row.edited_timeout_ms, rateLimit: row.edited_rate_limit === null ? null : JSON.parse(row.edited_rate_limit) as ToolRate },
});

const PAGE = 100;

/** Every active tool of the tenant in pages, so that reading 20,000 of them leaves others their turns. */
export async function* activeTools(transaction: Transaction, tenant: TenantSlug, apis: readonly ApiRecord[]): AsyncGenerator<{ api: ApiRecord; tool: ConvertedTool; edits: ToolEdits }> {
  for (const api of apis) {
    for (let after = '', rows: ToolRow[] | undefined; rows === undefined || rows.length === PAGE; after = rows.at(-1)?.name ?? '') {
      rows = await transaction.$queryRaw<ToolRow[]>`
        SELECT api_id, name, definition::text, listed, enabled, edited_description, edited_tags::text, edited_timeout_ms, edited_rate_limit::text
        FROM tools WHERE tenant = ${tenant} AND api_id = ${api.id}::uuid AND name > ${after} AND active ORDER BY name LIMIT ${PAGE}`;
      for (const row of rows) yield { api, ...parseTool(row) };
      await turn();
    }
  }
}
