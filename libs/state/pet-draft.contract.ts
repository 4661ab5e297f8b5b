import { createHash } from 'node:crypto';
import type { ApiDraft } from '#libs/core/control-store.js';
import type { ConvertedDocument, ConvertedTool } from '#libs/core/conversion.js';

/** A converted tool as an import hands it over. */
export function petTool(name: string, facts: Partial<Pick<ConvertedTool, 'description' | 'inputSchema'>> = {}): ConvertedTool {
  const { description = `says ${name}`, inputSchema = { type: 'object', properties: {}, additionalProperties: false } } = facts;
  return {
    name, title: undefined, description, method: 'GET', path: `/${name}`, operationId: name, tags: ['pets'], deprecated: false, operationClass: 'read',
    inputSchema, outputSchema: undefined,
    backend: { kind: 'rest', method: 'GET', baseUrl: 'https://pets.example', path: `/${name}`, parameters: [], accept: '*/*', security: [] },
    listed: JSON.stringify({ name, description, inputSchema: { type: 'object' } }),
    hash: createHash('sha256').update(JSON.stringify([name, description, inputSchema])).digest('hex'),
  };
}

export function draftOf({ tools = [], ledger, definitions = {}, slots = {}, ...facts }: Partial<Omit<ApiDraft, 'document'>> & Partial<Pick<ConvertedDocument, 'tools' | 'ledger' | 'definitions' | 'slots'>>): ApiDraft {
  const bytes = facts.bytes ?? new TextEncoder().encode('{"openapi":"3.1.0"}');
  return {
    name: 'pets', source: { inline: true }, bytes, mediaType: 'application/json', conversion: {}, baseUrl: undefined, refreshSeconds: undefined, category: undefined, tags: [], status: 'active',
    ...facts,
    document: {
      format: 'openapi-3.1', title: 'Pets', version: '1.2.3', description: 'About pets', specHash: createHash('sha256').update(bytes).digest('hex'), definitions, slots, tools,
      ledger: ledger ?? tools.map((tool) => ({ method: tool.method, path: tool.path, operationId: tool.operationId, tool: tool.name, verdict: 'exact', reasons: [], notes: [] })),
    },
  };
}
