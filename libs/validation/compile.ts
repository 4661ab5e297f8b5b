import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import type { Definitions, JsonSchema, JsonSchemaObject } from '#libs/core/json-schema.js';
import type { PatternGuard } from './pattern.js';

/** Formats that are checked where formats are; every other one is an annotation, as JSON Schema 2020-12 §7.2.1 has it. */
const FORMATS = ['date', 'date-time', 'uuid', 'email', 'ipv4', 'ipv6'] as const;

export interface CompilerOptions { readonly guard: PatternGuard; readonly formats: boolean; readonly allErrors: boolean }

/** Where a reference is checked: ajv's own data context, so that pointers and parents stay right below it. */
type Context = Parameters<ValidateFunction>[1];

const LAZY = 'x-stoa-ref';
/** Keywords that read what in-place applicators saw, also through references. */
const UNEVALUATED = ['unevaluatedProperties', 'unevaluatedItems'] as const;
/** Keywords whose value is a map of schemas: its keys are names, not keywords. */
const MAPS = new Set(['properties', 'patternProperties', 'dependentSchemas', '$defs', 'definitions']);
/** Keywords whose value is data, never a schema. */
const DATA = new Set(['const', 'enum', 'required', 'type', 'dependentRequired']);
/** Annotations that a validator has no use for, or (`nullable`, `id`, `$id`, anchors) would misread. */
const DROPPED = new Set(['title', 'description', 'default', 'example', 'examples', 'externalDocs', 'xml', 'discriminator', 'deprecated', 'readOnly', 'writeOnly', 'nullable', 'id', '$id', '$schema', '$anchor', '$dynamicAnchor', '$comment', '$vocabulary', '$defs', 'definitions', 'contentEncoding', 'contentMediaType', 'contentSchema']);

/**
 * Compiles the schemas of one API. A `$ref` into its definitions is compiled when a value first reaches it, once for all tools, so that a tool of
 * an API with ten thousand interlinked types costs what its calls use.
 */
export class SchemaCompiler {
  readonly #ajv: Ajv2020;
  readonly #compiled = new WeakMap<JsonSchemaObject, ValidateFunction>();
  readonly #references = new Map<string, ValidateFunction>();
  readonly #eager = new Set<string>();

  constructor(private readonly definitions: Definitions, options: CompilerOptions) {
    const { guard } = options;
    const regExp = Object.assign((pattern: string) => guard.matcher(pattern) ?? { test: () => true, toString: () => `/${pattern}/unreadable` }, { code: 'guarded' });
    this.#ajv = new Ajv2020({
      strict: false, allErrors: options.allErrors, validateSchema: false, validateFormats: options.formats, logger: false, ownProperties: true, addUsedSchema: false, messages: true,
      inlineRefs: false, discriminator: false, code: { regExp: regExp },
    });
    if (options.formats) addFormats.default(this.#ajv, [...FORMATS]);
    const check = (reference: string, data: unknown, _parent: unknown, context: Context): boolean => {
      const validate = this.#reference(reference);
      if (validate(data, context)) return true;
      check.errors = validate.errors ?? [];
      return false;
    };
    check.errors = [] as Partial<ErrorObject>[];
    this.#ajv.addKeyword({ keyword: LAZY, schemaType: 'string', errors: 'full', validate: check });
  }

  /** The schema's validator. Throws when ajv cannot compile it. */
  compile(schema: JsonSchema): ValidateFunction {
    if (typeof schema === 'boolean') return this.#ajv.compile(schema);
    let validate = this.#compiled.get(schema);
    if (!validate) this.#compiled.set(schema, (validate = this.#ajv.compile(this.#rewrite(schema, false) as object)));
    return validate;
  }

  #reference(reference: string): ValidateFunction {
    let validate = this.#references.get(reference);
    if (!validate) this.#references.set(reference, (validate = this.#ajv.compile(this.#rewrite(this.#target(reference), false) as object)));
    return validate;
  }

  /** `#/$defs/Name`, or a pointer further down. */
  #target(reference: string): JsonSchema {
    if (!reference.startsWith('#/$defs/')) throw new Error(`the reference ${reference} does not point into the API's definitions`);
    let at: unknown = this.definitions;
    for (const token of decodeURIComponent(reference.slice('#/$defs/'.length)).split('/')) {
      const key = token.replaceAll('~1', '/').replaceAll('~0', '~');
      at = typeof at === 'object' && at !== null && Object.hasOwn(at, key) ? (at as Record<string, unknown>)[key] : undefined;
    }
    if (typeof at !== 'object' && typeof at !== 'boolean') throw new Error(`the reference ${reference} points to nothing`);
    return at as JsonSchema;
  }

  /** A copy with references made lazy; below a schema with `unevaluated…` they stay ajv's own, for it must see through them. */
  #rewrite(schema: unknown, eager: boolean): unknown {
    if (Array.isArray(schema)) return schema.map((member) => this.#rewrite(member, eager));
    if (typeof schema !== 'object' || schema === null) return schema;
    const source = schema as JsonSchemaObject;
    const seeThrough = eager || UNEVALUATED.some((keyword) => Object.hasOwn(source, keyword));
    const copy: Record<string, unknown> = {};
    for (const [keyword, value] of Object.entries(source)) {
      if (DROPPED.has(keyword) || keyword.startsWith('x-')) continue;
      if (keyword === '$ref' && typeof value === 'string') {
        if (seeThrough) copy['$ref'] = this.#eagerly(value);
        else copy[LAZY] = value;
      } else if (MAPS.has(keyword) && typeof value === 'object' && value !== null) {
        copy[keyword] = Object.fromEntries(Object.entries(value).map(([name, member]) => [name, this.#rewrite(member, seeThrough)]));
      } else copy[keyword] = DATA.has(keyword) ? value : this.#rewrite(value, seeThrough);
    }
    return copy;
  }

  #eagerly(reference: string): string {
    const id = `stoa:${encodeURIComponent(reference)}`;
    if (!this.#eager.has(id)) {
      this.#eager.add(id);
      this.#ajv.addSchema(this.#rewrite(this.#target(reference), true) as object, id);
    }
    return id;
  }
}
