import { beforeAll, describe, expect, it } from 'vitest';
import { ACCESS } from '#apps/controller/src/http/access.js';
import { adminDocument } from '#apps/controller/src/openapi/admin-document.js';

type Document = Awaited<ReturnType<typeof adminDocument>>;
interface Operation { operationId: string; parameters?: { name: string; in: string; schema: object }[]; requestBody?: { content: Record<string, { schema: object }> }; responses: Record<string, { content?: Record<string, { schema: object }> }> }

describe('the admin API\'s own description', () => {
  let document: Document;
  let operations: [string, Operation][];
  beforeAll(async () => {
    document = await adminDocument();
    operations = Object.entries(document.paths).flatMap(([path, item]) => Object.entries(item).map(([method, operation]) => [`${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`, operation as unknown as Operation] as [string, Operation]));
  });

  it('tells of every route that the access table knows, and of no other', () => {
    expect(operations.map(([route]) => route).toSorted()).toEqual(Object.keys(ACCESS).toSorted());
  });
  it('gives every route an operationId of its own, every path parameter a schema and every success a body or 204', () => {
    expect(new Set(operations.map(([, { operationId }]) => operationId)).size).toBe(operations.length);
    for (const [route, { parameters = [], responses }] of operations) {
      expect([route, parameters.filter((one) => one.in === 'path').map(({ name }) => `:${name}`)]).toEqual([route, route.match(/:\w+/g) ?? []]);
      for (const { schema } of parameters) expect(schema).toHaveProperty('type');
      const success = Object.entries(responses).filter(([status]) => status.startsWith('2'));
      expect(success.length).toBeGreaterThan(0);
      for (const [status, { content }] of success) expect([route, status === '204' || Object.values(content ?? {}).every(({ schema }) => Object.keys(schema).length > 0)]).toEqual([route, true]);
    }
  });
  it('gives a body to every route that reads one', () => {
    const reading = operations.filter(([route]) => /^(?:POST|PUT|PATCH) /.test(route) && !route.endsWith('/refresh'));
    for (const [route, { requestBody }] of reading) expect([route, Object.keys(requestBody?.content ?? {})]).toEqual([route, expect.arrayContaining(['application/json'])]);
  });
  it('has no reference that leads nowhere', () => {
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]*)"/g)].map(([, reference = '']) => reference);
    expect(references.length).toBeGreaterThan(50);
    for (const reference of references) expect(Object.keys(document.components?.schemas ?? {}).map((name) => `#/components/schemas/${name}`)).toContain(reference);
  });
  it('is the same each time', async () => {
    expect(JSON.stringify(await adminDocument())).toBe(JSON.stringify(document));
  });
});
