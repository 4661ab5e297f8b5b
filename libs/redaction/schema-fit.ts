import type { Definitions, JsonSchema } from '#libs/core/json-schema.js';
import type { Path } from './json-text.js';

type Node = Readonly<Record<string, unknown>>;
const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null && !Array.isArray(value);

/** What a tool's schema says of the value at a path; the first branch of a choice that knows the path. Undefined: nothing. */
export function schemaAt(schema: JsonSchema, definitions: Definitions, path: Path): Node | undefined {
  let nodes = resolved(schema, definitions);
  for (const part of path) nodes = nodes.flatMap((node) => below(node, part)).flatMap((next) => resolved(next, definitions)).slice(0, 64);
  return nodes.find((node) => ['format', 'maxLength', 'minLength', 'enum', 'const', 'pattern', 'minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'].some((word) => word in node)) ?? nodes[0];
}

/** The node itself and what it stands for, through `$ref` and combinations. */
function resolved(schema: unknown, definitions: Definitions, depth = 0): Node[] {
  if (!isNode(schema) || depth > 8) return [];
  const { $ref, allOf, anyOf, oneOf } = schema;
  const name = typeof $ref === 'string' && $ref.startsWith('#/$defs/') ? $ref.slice(8).replaceAll('~1', '/').replaceAll('~0', '~') : undefined;
  const more = [...(name !== undefined && Object.hasOwn(definitions, name) ? [definitions[name]] : []), ...[allOf, anyOf, oneOf].flatMap((list) => (Array.isArray(list) ? list as unknown[] : []))];
  return [schema, ...more.flatMap((next) => resolved(next, definitions, depth + 1))];
}

function below({ properties, additionalProperties, items, prefixItems }: Node, part: string | number): unknown[] {
  if (typeof part === 'string') return isNode(properties) && Object.hasOwn(properties, part) ? [properties[part]] : [additionalProperties];
  return [Array.isArray(prefixItems) && part < prefixItems.length ? prefixItems[part] : items];
}

const FORMATS: Readonly<Record<string, string>> = {
  'email': 'redacted@redacted.invalid', 'idn-email': 'redacted@redacted.invalid', 'uri': 'urn:redacted', 'iri': 'urn:redacted', 'uri-reference': 'redacted', 'uuid': '00000000-0000-0000-0000-000000000000',
  'date': '1970-01-01', 'date-time': '1970-01-01T00:00:00Z', 'hostname': 'redacted.invalid', 'ipv4': '0.0.0.0', 'ipv6': '::',
};

/** A redacted string that a value of this schema may be, where one can be told: its format, its choices, its length. */
export function fittingString(text: string, schema: Node | undefined): string {
  if (!schema) return text;
  const { format, maxLength, minLength, enum: choices, const: only } = schema;
  if (typeof only === 'string') return only;
  if (Array.isArray(choices)) return choices.find((choice): choice is string => typeof choice === 'string') ?? text;
  const shaped = typeof format === 'string' && Object.hasOwn(FORMATS, format) ? FORMATS[format]! : text;
  const long = typeof minLength === 'number' && minLength <= 10_000 ? shaped.padEnd(minLength, '*') : shaped;
  return typeof maxLength === 'number' ? long.slice(0, maxLength) : long;
}

/** The number nearest to 0 that the schema's bounds let pass, as JSON. */
export function fittingNumber(schema: Node | undefined): string {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = schema ?? {};
  let value = 0;
  if (typeof minimum === 'number') value = Math.max(value, minimum);
  if (typeof exclusiveMinimum === 'number' && value <= exclusiveMinimum) value = Math.floor(exclusiveMinimum) + 1;
  if (typeof maximum === 'number') value = Math.min(value, maximum);
  if (typeof exclusiveMaximum === 'number' && value >= exclusiveMaximum) value = Math.ceil(exclusiveMaximum) - 1;
  return JSON.stringify(value);
}
