import { type Dialect, GEMINI_KEYWORDS, KEYWORDS_2020, PROPERTY_NAME } from '#libs/discovery/dialects.js';

/** What of a Tool object a provider would refuse, as `pointer: problem`; empty when it takes it. Rules by dialect; those of the name are everybody's. */
export function lintDialect(tool: { readonly name: string; readonly description?: string; readonly inputSchema: unknown }, dialect: Dialect): readonly string[] {
  const faults: string[] = [];
  if (!/^[a-zA-Z0-9_-]{1,64}$/.test(tool.name)) faults.push('/name: must be 1 to 64 letters, digits, underscores and hyphens');
  if (dialect === 'gemini' && !/^[a-zA-Z_]/.test(tool.name)) faults.push('/name: must begin with a letter or underscore');
  if ((tool.description?.length ?? 0) > 1024) faults.push('/description: longer than 1,024 characters');
  const root = tool.inputSchema;
  if (!isObject(root) || root['type'] !== 'object') return [...faults, '/inputSchema: must have type object'];
  if (dialect === 'anthropic' || dialect === 'openai') for (const keyword of ['anyOf', 'oneOf', 'allOf', 'not', 'enum', '$ref']) if (keyword in root) faults.push(`/inputSchema/${keyword}: not taken at the root`);
  walk(root, '/inputSchema', (schema, pointer) => faults.push(...RULES[dialect](schema, pointer)));
  if (dialect !== 'gemini') faults.push(...danglingReferences(root));
  return faults;
}

type Rule = (schema: Readonly<Record<string, unknown>>, pointer: string) => readonly string[];
const RULES: Readonly<Record<Dialect, Rule>> = {
  anthropic: ({ properties }, pointer) => Object.keys(isObject(properties) ? properties : {}).filter((name) => !PROPERTY_NAME.test(name)).map((name) => `${pointer}/properties/${name}: a name that is not taken`),
  openai: ({ type, items }, pointer) => ((type === 'array' || (Array.isArray(type) && (type as unknown[]).includes('array'))) && items === undefined ? [`${pointer}: an array without items`] : []),
  gemini: (schema, pointer) => [
    ...Object.keys(schema).filter((keyword) => !GEMINI_KEYWORDS.has(keyword)).map((keyword) => `${pointer}/${keyword}: not in the Schema object`),
    ...(schema['type'] !== undefined && typeof schema['type'] !== 'string' ? [`${pointer}/type: must be one type`] : []), ...(schema['type'] === 'null' ? [`${pointer}/type: there is no null`] : []),
    ...(schema['type'] === 'array' && schema['items'] === undefined ? [`${pointer}: an array without items`] : []),
    ...(schema['enum'] !== undefined && schema['type'] !== 'string' ? [`${pointer}/enum: only for strings`] : []),
    ...(Array.isArray(schema['required']) ? (schema['required'] as unknown[]).filter((name) => !isObject(schema['properties']) || !Object.hasOwn(schema['properties'], String(name))).map((name) => `${pointer}/required: ${String(name)} is no property`) : []),
  ],
  'strict-2020-12': (schema, pointer) => Object.keys(schema).filter((keyword) => !KEYWORDS_2020.has(keyword)).map((keyword) => `${pointer}/${keyword}: not a keyword of 2020-12`),
};

const SCHEMAS = ['additionalProperties', 'items', 'contains', 'propertyNames', 'not', 'if', 'then', 'else', 'unevaluatedItems', 'unevaluatedProperties'];
function walk(schema: Readonly<Record<string, unknown>>, pointer: string, visit: (schema: Readonly<Record<string, unknown>>, pointer: string) => void): void {
  visit(schema, pointer);
  for (const keyword of SCHEMAS) { const inner = schema[keyword]; if (isObject(inner)) walk(inner, `${pointer}/${keyword}`, visit); }
  for (const keyword of ['allOf', 'anyOf', 'oneOf', 'prefixItems']) { const list = schema[keyword]; if (Array.isArray(list)) (list as unknown[]).forEach((inner, i) => { if (isObject(inner)) walk(inner, `${pointer}/${keyword}/${i}`, visit); }); }
  for (const keyword of ['properties', 'patternProperties', 'dependentSchemas', '$defs']) { const map = schema[keyword]; if (isObject(map)) for (const [name, inner] of Object.entries(map)) if (isObject(inner)) walk(inner, `${pointer}/${keyword}/${name}`, visit); }
}

function danglingReferences(root: Readonly<Record<string, unknown>>): readonly string[] {
  const definitions = isObject(root['$defs']) ? root['$defs'] : {};
  const faults: string[] = [];
  walk(root, '/inputSchema', ({ $ref: ref }, pointer) => {
    if (typeof ref !== 'string') return;
    const name = ref.startsWith('#/$defs/') ? ref.slice(8).split('/')[0]?.replaceAll('~1', '/').replaceAll('~0', '~') : undefined;
    if (ref !== '#' && (name === undefined || !Object.hasOwn(definitions, name))) faults.push(`${pointer}/$ref: ${ref} leads nowhere`);
  });
  return faults;
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null && !Array.isArray(value);
