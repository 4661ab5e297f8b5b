import type { VerdictReason } from '#libs/core/conversion.js';
import type { JsonSchema } from '#libs/core/json-schema.js';
import { cleanText } from '#libs/tool-listing/clean-text.js';
import type { References } from '#libs/openapi/references.js';
import { isObject, listOf, member, token } from '#libs/tool-listing/raw.js';
import type { RawObject } from '#libs/tool-listing/raw.js';
import { KEYWORDS, TYPES, hasKind, isOfType, unicodePattern } from '#libs/openapi/schema-keywords.js';
import { oneWayNames } from '#libs/openapi/schema-pool.js';
import type { SchemaPool, SchemaScope } from '#libs/openapi/schema-pool.js';

/** Swagger 2.0 and OpenAPI 3.0 share a dialect of their own; from 3.1 on a Schema Object is JSON Schema 2020-12. */
export type SchemaDialect = 'openapi-3.0' | '2020-12';

interface At { readonly node: RawObject; readonly pointer: string; readonly scope: SchemaScope; readonly out: Record<string, unknown>; readonly oneWay: ReadonlyMap<string, 'readOnly' | 'writeOnly'> }
const NONE: ReadonlyMap<string, 'readOnly' | 'writeOnly'> = new Map();

/**
 * Schema Objects to JSON Schema 2020-12. Whatever cannot be carried over is left out, which only ever widens the schema,
 * and is noted in the scope; a `$ref` that leads nowhere becomes `true` and a reason.
 */
export class SchemaTranslator {
  readonly #dialect: SchemaDialect;
  readonly #references: References;
  readonly #pool: SchemaPool;

  constructor(dialect: SchemaDialect, references: References, pool: SchemaPool) {
    this.#dialect = dialect;
    this.#references = references;
    this.#pool = pool;
  }

  translate(node: unknown, pointer: string, scope: SchemaScope): JsonSchema {
    const schema = this.#schema(node, pointer, scope, NONE);
    this.#drain();
    return schema;
  }

  /** Schemas that were referred to are translated one after the other, so that a long chain of them cannot exhaust the stack. */
  #drain(): void {
    for (let open = this.#pool.nextOpen(); open; open = this.#pool.nextOpen()) {
      const { entry, target } = open;
      entry.schema = this.#schema(target.value, target.pointer, entry, NONE);
    }
  }

  #schema(node: unknown, pointer: string, scope: SchemaScope, inherited: At['oneWay']): JsonSchema {
    if (typeof node === 'boolean') return node;
    if (!isObject(node)) {
      note(scope.notes, 'not-a-schema', 'is not a schema; any value is taken', pointer);
      return true;
    }
    const hasRequired = Array.isArray(member(node, 'required')) || Array.isArray(member(node, 'allOf'));
    const oneWay = hasRequired ? new Map([...inherited, ...oneWayNames(node, this.#references)]) : inherited;
    const out: Record<string, unknown> = {};
    const at: At = { node, pointer, scope, out, oneWay };
    const ref = member(node, '$ref') ?? member(node, '$dynamicRef');
    if (typeof ref === 'string') {
      this.#reference(ref, at);
      if (this.#dialect === 'openapi-3.0') return this.#besideReference(at);
    }
    for (const key of Object.keys(node)) if (key !== 'patternProperties') this.#keyword(key, node[key], at);
    if (Object.hasOwn(node, 'patternProperties')) this.#patternProperties(node['patternProperties'], at);
    if (out['type'] !== undefined && Array.isArray(out['enum'])) this.#reconcile(at);
    return this.#nullable(at);
  }

  #reference(ref: string, { scope, pointer, out }: At): void {
    const target = this.#references.resolve(ref);
    if (!target.found) {
      note(scope.reasons, target.code, `${target.message}; any value is taken here`, `${pointer}/$ref`);
      return;
    }
    const key = this.#pool.keyOf(target, scope.direction);
    scope.uses.add(key);
    out['$ref'] = `#/$defs/${key}`;
  }

  /** OpenAPI 3.0 §4.8.23: members beside `$ref` are ignored; a description is kept, and `nullable` since it only widens. */
  #besideReference(at: At): JsonSchema {
    const description = member(at.node, 'description');
    if (typeof description === 'string') at.out['description'] = cleanText(description);
    return this.#nullable(at);
  }

  #keyword(key: string, value: unknown, at: At): void {
    const kind = KEYWORDS.get(key);
    if (kind === undefined) {
      if (!key.startsWith('x-')) note(at.scope.notes, 'unknown-keyword', `"${key}" is not a keyword of JSON Schema and has no effect`, at.pointer + token(key));
      return;
    }
    if (kind === 'annotation') return;
    if (!hasKind(kind, value)) {
      if (!(key === 'required' && value === false)) this.#dropped(key, at);
      return;
    }
    const { out, pointer, scope } = at;
    const inner = pointer + token(key);
    switch (kind) {
      case 'text': out[key] = key === 'description' || key === 'title' ? cleanText(value as string) : value; return;
      case 'schema': out[key] = this.#schema(value, inner, scope, NONE); return;
      case 'schema-list':
        out[key] = listOf(value).map((item, i) => this.#schema(item, inner + token(i), scope, key === 'allOf' ? at.oneWay : NONE));
        return;
      case 'schema-map': out[key] = this.#map(value as RawObject, inner, scope); return;
      case 'names': this.#required(listOf(value), at); return;
      case 'special': this.#special(key, value, at); return;
      case 'count': case 'number': case 'positive': case 'flag': case 'any': out[key] = value;
    }
  }

  #map(value: RawObject, pointer: string, scope: SchemaScope): Record<string, JsonSchema> {
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, this.#schema(inner, pointer + token(name), scope, NONE)]));
  }

  /** OpenAPI 3.0 §4.8.24.2: a `readOnly` property is required in responses only, a `writeOnly` one in requests only. */
  #required(names: readonly unknown[], at: At): void {
    const absent = at.scope.direction === 'request' ? 'readOnly' : 'writeOnly';
    const legal = [...new Set(names.filter((name) => typeof name === 'string'))].filter((name) => at.oneWay.get(name) !== absent);
    if (names.some((name) => typeof name !== 'string')) this.#dropped('required', at);
    if (legal.length > 0) at.out['required'] = legal;
  }

  #special(key: string, value: unknown, at: At): void {
    const { node, out, pointer, scope } = at;
    const inner = pointer + token(key);
    switch (key) {
      case 'type': this.#type(value, at); return;
      case 'enum': {
        const distinct = listOf(value).filter((item, i, all) => all.findIndex((other) => same(other, item)) === i);
        if (distinct.length > 0) out['enum'] = distinct; else this.#dropped(key, at);
        return;
      }
      case 'minimum': case 'maximum': {
        if (!hasKind('number', value)) { this.#dropped(key, at); return; }
        const exclusive = key === 'minimum' ? 'exclusiveMinimum' : 'exclusiveMaximum';
        out[member(node, exclusive) === true ? exclusive : key] = value;
        return;
      }
      case 'exclusiveMinimum': case 'exclusiveMaximum':
        if (hasKind('number', value)) out[key] = value; else if (typeof value !== 'boolean') this.#dropped(key, at);
        return;
      case 'items':
        if (Array.isArray(value)) {
          if (value.length > 0) out['prefixItems'] = value.map((item, i) => this.#schema(item, inner + token(i), scope, NONE));
          const rest = member(node, 'additionalItems');
          if (hasKind('schema', rest)) out['items'] = this.#schema(rest, `${pointer}/additionalItems`, scope, NONE);
        } else if (hasKind('schema', value)) out['items'] = this.#schema(value, inner, scope, NONE);
        else this.#dropped(key, at);
        return;
      case 'pattern':
        if (typeof value === 'string' && unicodePattern(value) !== undefined) out['pattern'] = unicodePattern(value);
        else note(scope.notes, 'pattern-not-ecmascript', 'is not a regular expression of ECMA-262 with the u flag, or is longer than 1024 characters; not enforced', inner);
        return;
      case 'discriminator': this.#discriminator(value, at); return;
      case 'example': out['examples'] ??= [value]; return;
      case 'examples': if (Array.isArray(value)) out['examples'] = value; else this.#dropped(key, at); return;
      case 'dependentRequired':
        if (isObject(value) && Object.values(value).every((names) => Array.isArray(names) && names.every((name) => typeof name === 'string'))) out[key] = value; else this.#dropped(key, at);
        return;
      case '$ref': case '$dynamicRef': if (typeof value !== 'string') this.#dropped(key, at); return;
      default: return;
    }
  }

  #type(value: unknown, at: At): void {
    if (value === 'file') { at.out['type'] = 'string'; at.out['format'] ??= 'binary'; return; }
    const given = Array.isArray(value) ? (value as unknown[]) : [value];
    const legal = [...new Set(given.filter((type) => TYPES.has(type)))];
    if (legal.length === 0 || legal.length < new Set(given).size) { this.#dropped('type', at); return; }
    at.out['type'] = Array.isArray(value) && legal.length !== 1 ? legal : legal[0];
  }

  /** An enum none of whose values has the declared type (`type: integer` with quoted numbers) could never be satisfied. */
  #reconcile({ out, scope, pointer }: At): void {
    const types = (Array.isArray(out['type']) ? out['type'] : [out['type']]) as string[];
    if ((out['enum'] as unknown[]).some((item) => isOfType(item, types))) return;
    delete out['type'];
    note(scope.notes, 'enum-contradicts-type', 'no value of the enum has the declared type; the type is not enforced', `${pointer}/type`);
  }

  #patternProperties(value: unknown, at: At): void {
    if (!isObject(value)) { this.#dropped('patternProperties', at); return; }
    const inner = `${at.pointer}/patternProperties`;
    const legal = Object.entries(value).filter(([pattern]) => unicodePattern(pattern) === pattern);
    at.out['patternProperties'] = this.#map(Object.fromEntries(legal), inner, at.scope);
    if (legal.length === Object.keys(value).length) return;
    // Without its pattern a property would fall under these, which would narrow.
    at.out['additionalProperties'] = true;
    at.out['unevaluatedProperties'] = true;
    note(at.scope.notes, 'pattern-not-ecmascript', 'a pattern is not a regular expression of ECMA-262 with the u flag; not enforced', inner);
  }

  #discriminator(value: unknown, at: At): void {
    const propertyName = isObject(value) ? member(value, 'propertyName') : value;
    if (typeof propertyName !== 'string') { this.#dropped('discriminator', at); return; }
    const mapping: [string, string][] = [];
    const given = isObject(value) ? member(value, 'mapping') : undefined;
    for (const [name, target] of isObject(given) ? Object.entries(given) : []) {
      const found = typeof target === 'string' ? this.#mapped(target) : undefined;
      if (found) mapping.push([name, `#/$defs/${this.#pool.keyOf(found, at.scope.direction)}`]);
      else note(at.scope.notes, 'discriminator-mapping', 'names a schema that does not exist; left out', `${at.pointer}/discriminator/mapping${token(name)}`);
    }
    at.out['discriminator'] = mapping.length > 0 ? { propertyName, mapping: Object.fromEntries(mapping) } : { propertyName };
  }

  #mapped(target: string) {
    for (const ref of [target, `#/components/schemas/${target}`, `#/definitions/${target}`]) {
      if (!ref.startsWith('#')) continue;
      const found = this.#references.resolve(ref);
      if (found.found) return found;
    }
    return undefined;
  }

  /** OpenAPI 3.0 `nullable`, `x-nullable` of Swagger 2.0: null is one more type. Documents of 3.1 that still say it mean it. */
  #nullable({ node, out }: At): JsonSchema {
    if (member(node, 'nullable') !== true && member(node, 'x-nullable') !== true) return out;
    const constrained = ['$ref', 'allOf', 'anyOf', 'oneOf', 'not', 'const'].some((key) => out[key] !== undefined);
    if (constrained) {
      const { description, title, ...rest } = out;
      return { ...(title === undefined ? {} : { title }), ...(description === undefined ? {} : { description }), anyOf: [rest, { type: 'null' }] };
    }
    if (out['type'] !== undefined) out['type'] = nullableType(out['type']);
    if (Array.isArray(out['enum']) && !out['enum'].includes(null)) out['enum'] = [...(out['enum'] as unknown[]), null];
    return out;
  }

  #dropped(key: string, { scope, pointer }: At): void {
    note(scope.notes, 'keyword-of-wrong-type', `the value of "${key}" is not what JSON Schema allows there; not enforced`, pointer + token(key));
  }
}

function nullableType(type: unknown): unknown {
  const types = Array.isArray(type) ? (type as unknown[]) : [type];
  return types.includes('null') ? type : [...types, 'null'];
}

function note(list: VerdictReason[], code: string, message: string, pointer: string): void {
  list.push({ code, message, pointer });
}

function same(a: unknown, b: unknown): boolean {
  return a === b || (typeof a === 'object' && typeof b === 'object' && JSON.stringify(a) === JSON.stringify(b));
}
