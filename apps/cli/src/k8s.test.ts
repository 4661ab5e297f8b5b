import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { ToolSetSpec, ToolSpec } from '#libs/kubernetes/resources.js';
import { CommandError } from './client.js';
import { k8sCommand } from './k8s.js';

const DOCUMENT = `openapi: 3.1.0
info: { title: Pet Shop!, version: "1" }
servers: [{ url: https://pets.example }]
paths:
  /pets: { get: { operationId: listPets, summary: Pets, parameters: [{ name: q, in: query, schema: { type: string } }], responses: { "200": { description: ok } } }, post: { operationId: addPet, requestBody: { content: { application/json: { schema: { type: object, properties: { name: { type: string } } } } } }, responses: { "201": { description: made } } } }
  /pets/{id}: { get: { operationId: getPet, parameters: [{ name: id, in: path, required: true, schema: { type: string } }], responses: { "200": { description: ok } } } }
`;
async function run(...args: readonly string[]): Promise<{ readonly resources: readonly { readonly kind: string; readonly metadata: object; readonly spec: object }[]; readonly err: readonly string[] }> {
  const out: string[] = [];
  const err: string[] = [];
  await k8sCommand(['bridge', '-', ...args], { out: (line) => out.push(line), err: (line) => err.push(line), stdin: () => Buffer.from(DOCUMENT), env: {} });
  return { resources: parseAllDocuments(out.join('\n')).map((document) => document.toJS() as { kind: string; metadata: object; spec: object }), err };
}

describe('stoa k8s bridge', () => {
  it('prints a ToolSet with the document inside it', async () => {
    const { resources } = await run('--namespace', 'tenant-acme');
    expect(resources).toMatchObject([{ apiVersion: 'gostoa.dev/v1alpha1', kind: 'ToolSet', metadata: { name: 'pet-shop', namespace: 'tenant-acme' }, spec: { displayName: 'Pet Shop!' } }]);
    expect(ToolSetSpec.parse(resources[0]?.spec).openAPISpec.inline).toBe(DOCUMENT);
  });
  it('prints Tools that read back, and names what a Tool cannot say', async () => {
    const { resources, err } = await run('--as', 'tools');
    expect(resources.map(({ kind, metadata }) => [kind, metadata])).toEqual([['Tool', { name: 'listpets' }], ['Tool', { name: 'addpet' }]]);
    expect(resources.map(({ spec }) => ToolSpec.parse(spec))).toMatchObject([{ endpoint: 'https://pets.example/pets', method: 'GET' }, { method: 'POST', inputSchema: { properties: { name: { type: 'string' } } } }]);
    expect(err.join('\n')).toContain('GET /pets/{id}: left out');
  });
  it('refuses what it does not know', async () => { await expect(run('--as', 'pods')).rejects.toThrow(CommandError); });
});
