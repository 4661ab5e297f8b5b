import { describe, expect, it } from 'vitest';
import { customResourceDefinition } from '#libs/kubernetes/custom-resource-definition.js';
import { RESOURCES, ToolSetSpec, ToolSpec } from '#libs/kubernetes/resources.js';

const definitions = new Map(RESOURCES.map((resource) => [resource.kind, customResourceDefinition(resource)]));
const specOf = (kind: string): Record<string, unknown> => ((definitions.get(kind) as { spec: { versions: [{ schema: { openAPIV3Schema: { properties: { spec: { properties: Record<string, unknown> } } } } }] } }).spec.versions[0].schema.openAPIV3Schema.properties.spec.properties);
/** Every schema inside. */
function* schemas(value: unknown): Generator<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return;
  if ('type' in value && typeof value.type === 'string') yield { ...value };
  for (const inner of Object.values(value)) yield* schemas(inner);
}

describe('the definitions of the custom resources', () => {
  it('have the names, short names and columns that kubectl shows', () => {
    expect([...definitions.keys()]).toEqual(['Tool', 'ToolSet', 'Tenant', 'Subscription', 'Principal', 'Policy', 'MCPServer', 'MCPPrompt', 'MCPResource', 'PriceBook']);
    expect(definitions.get('Tool')).toMatchObject({ metadata: { name: 'tools.gostoa.dev' }, spec: { names: { shortNames: ['tl'], categories: ['stoa', 'mcp'] }, versions: [{ subresources: { status: {} }, additionalPrinterColumns: [{ name: 'Display Name' }, { name: 'Method' }, { name: 'Status' }, { name: 'Age', type: 'date' }] }] } });
    const names = RESOURCES.flatMap(({ plural, shortNames }) => [plural, ...shortNames]);
    expect(new Set(names).size).toBe(names.length);
  });
  it('carry the constraints and defaults of the objects that the controller reads with', () => {
    expect(specOf('Tool')).toMatchObject({
      displayName: { type: 'string', minLength: 1, maxLength: 64 }, endpoint: { pattern: '^https?:\\/\\/' }, method: { enum: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'], default: 'POST' }, tags: { maxItems: 10, items: { minLength: 1, maxLength: 32 } },
      version: { default: '1.0.0' }, timeout: { default: '30s', pattern: '^\\d+(s|m)$' }, rateLimit: { properties: { requestsPerMinute: { minimum: 1, maximum: 10_000, default: 60 }, burst: { default: 10 } } }, enabled: { default: true }, inputSchema: { 'x-kubernetes-preserve-unknown-fields': true },
    });
    expect(specOf('MCPServer')).toMatchObject({ replicas: { minimum: 1, maximum: 10, default: 1 } });
    expect(JSON.stringify(definitions.get('MCPResource'))).toContain('has(self.operations) != has(self.content)');
  });
  it('are structural: one type each, no references, no combinators, no closed objects', () => {
    for (const schema of schemas([...definitions.values()].map((definition) => (definition as { spec: { versions: unknown } }).spec.versions))) {
      expect(Object.keys(schema).filter((keyword) => ['$ref', 'anyOf', 'oneOf', 'allOf', 'not', 'const', '$schema', 'definitions', 'exclusiveMinimum', 'propertyNames'].includes(keyword))).toEqual([]);
      expect(schema['additionalProperties']).not.toBe(false);
    }
  });
  it('read the documented examples, filling in what they leave out', () => {
    expect(ToolSpec.parse({ displayName: 'Payment Search', description: 'Search payments', endpoint: 'https://api.example.com/payments', method: 'POST', inputSchema: { properties: { q: { type: 'string' } } }, tags: ['payments', 'search'] }))
      .toMatchObject({ version: '1.0.0', timeout: '30s', enabled: true });
    expect(ToolSetSpec.parse({ displayName: 'Petstore', openAPISpec: { url: 'https://petstore.example/openapi.json' } })).toMatchObject({ enabled: true, openAPISpec: { refreshInterval: '1h' } });
    expect(ToolSpec.safeParse({ displayName: 'x', description: 'y', method: 'FOO' }).success).toBe(false);
  });
});
