import { z } from 'zod';
import { GROUP, type ResourceKind, VERSION } from '#libs/kubernetes/resources.js';

type Json = Readonly<Record<string, unknown>>;

/** The CustomResourceDefinition (apiextensions.k8s.io/v1) of one kind: a structural schema with defaults and validation rules, columns, and a status that only its own subresource changes. */
export function customResourceDefinition({ kind, plural, shortNames, columns, spec, status }: ResourceKind): Json {
  return {
    apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${GROUP}`, labels: { 'app.kubernetes.io/part-of': 'stoa' } },
    spec: {
      group: GROUP, scope: 'Namespaced', names: { kind, listKind: `${kind}List`, plural, singular: kind.toLowerCase(), shortNames, categories: ['stoa', 'mcp'] },
      versions: [{
        name: VERSION, served: true, storage: true, subresources: { status: {} }, additionalPrinterColumns: columns,
        schema: { openAPIV3Schema: { type: 'object', required: ['spec'], properties: { apiVersion: { type: 'string' }, kind: { type: 'string' }, metadata: { type: 'object' }, spec: structural(spec), status: structural(status) } } },
      }],
    },
  };
}

/** Words of JSON Schema that a structural schema has (Kubernetes API, JSONSchemaProps), as zod writes them for OpenAPI 3.0. */
const KEPT: ReadonlySet<string> = new Set(['type', 'description', 'default', 'enum', 'format', 'pattern', 'minLength', 'maxLength', 'minimum', 'maximum', 'minItems', 'maxItems', 'required', 'nullable']);

const structural = (schema: z.ZodType): Json => clean(z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input', reused: 'inline', unrepresentable: 'any' }) as Json);

function clean(schema: Json): Json {
  const made: Record<string, unknown> = {};
  for (const [keyword, value] of Object.entries(schema)) if (KEPT.has(keyword) || keyword.startsWith('x-kubernetes-')) made[keyword] = value;
  // Zod bounds every integer by what a double holds; the API server's own bound is wider, and needs no saying.
  if (made['minimum'] === Number.MIN_SAFE_INTEGER) delete made['minimum'];
  if (made['maximum'] === Number.MAX_SAFE_INTEGER) delete made['maximum'];
  if (made['type'] === 'integer') made['format'] = 'int64';
  // The API server checks `date-time` itself; zod's pattern says the same at length.
  if (made['format'] === 'date-time') delete made['pattern'];
  const { properties, items, additionalProperties } = schema;
  if (isObject(properties)) made['properties'] = Object.fromEntries(Object.entries(properties).map(([name, inner]) => [name, clean(inner as Json)]));
  if (isObject(items)) made['items'] = clean(items);
  if (isObject(additionalProperties) && made['x-kubernetes-preserve-unknown-fields'] !== true) made['additionalProperties'] = clean(additionalProperties);
  return made;
}
const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);
